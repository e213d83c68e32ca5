"""Where a profile gets to see calls: the few doors that all of them pass through.

Every op on arrays is found by `op.impls[type(array)]`, every rule by `op.pull`, so that a `__getitem__` and a `pull` put
on the classes of these two see them all, on every thread, ops made later included. Put there when a profile begins and
taken away when it ends, they leave nothing to ask for where none is on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from .. import engine, function
from ..core import Tensor, backward_name
from ..device import ARRAY_TYPES, ArrayType
from ..nn import perceptron
from ..nn.module import Module
from ..op import Impls, Op
from ..optim.optimizer import Optimizer
from .events import Kind
from .recorder import Recorder


def open_doors(recorder: Recorder) -> ExitStack:
    """Let `recorder` see all calls until what is returned is closed. An error on the way leaves nothing in place."""
    with ExitStack() as doors:
        on_device = _device_type(recorder)
        _put(doors, Impls, "__getitem__", _timed_implementations(recorder, on_device))
        _put(doors, Op, "pull", _TimedPull(recorder, on_device))
        _put(doors, function._FunctionOp, "pull", _timed_function_pull(recorder, on_device))
        _put(doors, function.Function, "apply", _timed_apply(recorder))
        _put(doors, engine, "_store_all", _timed_store(recorder, on_device))
        for optimizer in _with_subclasses(Optimizer):
            for name in ("step", "zero_grad"):
                if name in optimizer.__dict__:
                    _put(doors, optimizer, name, _timed_method(recorder, optimizer.__dict__[name]))
        if recorder.options.with_modules or on_device is None:
            _put(doors, perceptron, "together", False)
        if recorder.options.with_modules:
            _put(doors, Module, "__call__", _timed_module(recorder))
        for kind in {*ARRAY_TYPES.values()}:
            _put(doors, kind, "full", _timed_full(recorder, kind, on_device))
            if on_device is not None and kind is ARRAY_TYPES[on_device]:
                _put(doors, kind, "from_numpy", _timed_copy(recorder, "Memcpy HtoD", kind.from_numpy))
                _put(doors, kind, "to_numpy", _timed_copy(recorder, "Memcpy DtoH", kind.to_numpy))
        if on_device is not None:
            from ..cuda.graphs import CUDAGraph

            _put(doors, CUDAGraph, "replay", _timed_replay(recorder, CUDAGraph.replay))
        return doors.pop_all()
    raise AssertionError("the doors were closed")  # for type checkers: an ExitStack may swallow exceptions


def _put(doors: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Set an attribute until the doors close; then it is what it was, or inherited again."""
    own = vars(owner) if isinstance(owner, type) else {name: getattr(owner, name)}
    if name in own:
        doors.callback(setattr, owner, name, own[name])
    else:
        doors.callback(delattr, owner, name)
    setattr(owner, name, value)


def _device_type(recorder: Recorder) -> type | None:
    """The type of arrays on the CUDA device, if its time is taken."""
    if not recorder.options.device:
        return None
    from ..cuda.array import DeviceArray

    return DeviceArray


def _with_subclasses(cls: type[Any]) -> list[type[Any]]:
    found = [cls]
    for sub in cls.__subclasses__():
        found += _with_subclasses(sub)
    return found


def _is_on(on_device: type | None, g: Any) -> bool:
    """Whether a cotangent lies on the device; that of several outputs is a tuple with None where there is none."""
    if isinstance(g, tuple):
        return any(_is_on(on_device, part) for part in g)
    return on_device is not None and isinstance(g._array if isinstance(g, Tensor) else g, on_device)


# ---- ops ----


def _timed_implementations(recorder: Recorder, on_device: type | None) -> Callable[..., Any]:
    made: dict[Any, Callable[..., Any]] = {}

    def look_up(impls: Impls, kind: type) -> Callable[..., Any]:
        found = made.get((impls.op, kind))
        if found is None:
            implementation = dict.__getitem__(impls, kind)
            found = made[impls.op, kind] = _timed_op(recorder, impls.op, implementation, kind is on_device)
        return found

    return look_up


def _timed_op(recorder: Recorder, op: Op, implementation: Callable[..., Any], on_device: bool) -> Callable[..., Any]:
    def call(*arrays: Any, **params: Any) -> Any:
        event = recorder.enter(op.name, Kind.OP, arrays, on_device)
        try:
            out = implementation(*arrays, **params)
        except BaseException:
            recorder.exit(event)
            raise
        recorder.exit(event, op, arrays, out)
        return out

    return call


def _timed_full(recorder: Recorder, kind: ArrayType, on_device: type | None) -> Callable[..., Any]:
    full = kind.full
    there = on_device is not None and kind is ARRAY_TYPES[on_device]

    def call(shape: Any, value: Any, dtype: Any) -> Any:
        name = "empty" if value is None else "zeros" if value == 0 else "ones" if value == 1 else "full"
        with _Call(recorder, name, Kind.OP, (), there) as event:
            made = full(shape, value, dtype)
        event.bytes_moved = 0 if value is None else int(made.nbytes)
        return made

    return call


def _timed_copy(recorder: Recorder, name: str, copy: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(array: Any) -> Any:
        with _Call(recorder, name, Kind.COPY, (array,), True) as event:
            made = copy(array)
        event.bytes_moved = int(made.nbytes)
        return made

    return call


def _timed_replay(recorder: Recorder, replay: Callable[[Any], None]) -> Callable[[Any], None]:
    def call(graph: Any) -> None:
        with _Call(recorder, "cudaGraphLaunch", Kind.OP, (), True):
            replay(graph)

    return call


class _Call:
    """`with _Call(...) as event:` is one event."""

    def __init__(self, recorder: Recorder, name: str, kind: Kind, inputs: Any = (), on_device: bool = False) -> None:
        self._recorder, self._given = recorder, (name, kind, inputs, on_device)

    def __enter__(self) -> Any:
        self._event = self._recorder.enter(*self._given)
        return self._event

    def __exit__(self, *exc: object) -> None:
        self._recorder.exit(self._event)


# ---- the backward walk ----


_backward_name = functools.cache(backward_name)


class _TimedPull:
    """In the place of the slot `Op.pull`, in which `specialise` puts the rules of an op."""

    def __init__(self, recorder: Recorder, on_device: type | None) -> None:
        self._recorder, self._on_device = recorder, on_device
        self._slot: Any = vars(Op)["pull"]

    def __get__(self, op: Op | None, owner: type) -> Any:
        return self if op is None else functools.partial(self._pull, op, self._slot.__get__(op))

    def __set__(self, op: Op, pull: Callable[..., Any]) -> None:
        self._slot.__set__(op, pull)

    def _pull(self, op: Op, pull: Callable[..., Any], parents: Any, saved: Any, params: Any, g: Any) -> Any:
        recorder = self._recorder
        event = recorder.enter(_backward_name(op.name), Kind.BACKWARD, (g,), _is_on(self._on_device, g))
        try:
            results = pull(parents, saved, params, g)
        except BaseException:
            recorder.exit(event)
            raise
        recorder.exit(event, op, (g, saved), results)
        return results


def _timed_function_pull(recorder: Recorder, on_device: type | None) -> Callable[..., Any]:
    pull = function._FunctionOp.pull

    def call(op: Any, parents: Any, saved: Any, params: Any, g: Any) -> Any:
        with _Call(recorder, f"{op.name}Backward", Kind.BACKWARD, (g,), _is_on(on_device, g)):
            return pull(op, parents, saved, params, g)

    return call


def _timed_apply(recorder: Recorder) -> Any:
    apply = function.Function.__dict__["apply"].__func__

    def call(cls: type, *args: Any) -> Any:
        with _Call(recorder, cls.__name__, Kind.OP, args):
            return apply(cls, *args)

    return classmethod(call)


def _timed_store(recorder: Recorder, on_device: type | None) -> Callable[..., None]:
    store_all = engine._store_all

    def call(found: dict[Any, Any], create_graph: bool) -> None:
        for leaf in tuple(found):
            with _Call(recorder, "AccumulateGrad", Kind.BACKWARD, (leaf,), _is_on(on_device, leaf)):
                store_all({leaf: found.pop(leaf)}, create_graph)

    return call


# ---- modules and optimizers ----


def _timed_module(recorder: Recorder) -> Callable[..., Any]:
    run = Module.__call__

    @functools.wraps(run)
    def call(module: Module, *args: Any, **kwargs: Any) -> Any:
        with _Call(recorder, f"nn.Module: {type(module).__name__}", Kind.MODULE, args):
            return run(module, *args, **kwargs)

    return call


def _timed_method(recorder: Recorder, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        name = f"Optimizer.{method.__name__}#{type(optimizer).__name__}.{method.__name__}"
        with _Call(recorder, name, Kind.RANGE):
            return method(optimizer, *args, **kwargs)

    return call
