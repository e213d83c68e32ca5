"""`DeviceArray`: a CuPy array whose operators are gpugrad's ops, so that a rule's `g * y` reaches our kernels.

To everyone else it is the CuPy array it inherits from. Bodies of ops that have no kernel run on it through NumPy's
protocols, that is on CuPy; the few whose bodies CuPy cannot run are computed on the host and copied back, with a
`HostFallbackWarning` the first time.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..device import ArrayType, Device, register_array_type, register_device
from ..dtypes import BY_NUMPY
from ..ops.operators import OPERATORS
from . import backend, bounds, several
from .errors import OutOfMemoryError

cp = backend.cupy()
_out_of_memory = cp.cuda.memory.OutOfMemoryError


class HostFallbackWarning(UserWarning):
    """An op ran on the host because CuPy cannot run its body: correct, and slow."""


class DeviceArray(cp.ndarray):  # type: ignore[name-defined]
    """An array in device memory."""

    __slots__ = ()

    def copy(self, order: str = "C") -> Any:
        return cp.ndarray.copy(self, order).view(type=DeviceArray)

    copy = several.where_arrays_lie(copy, "copy")  # CuPy's goes to the current device

    def get(self, *args: Any, **options: Any) -> np.ndarray:
        """A copy on the host. IndexError if a kernel met a bad index before, RuntimeError while a graph is captured."""
        refuse_in_capture("read by the host")
        try:
            found = cp.ndarray.get(self, *args, **options)
        except cp.cuda.runtime.CUDARuntimeError:
            backend.require()  # says why, in a forked process
            raise
        bounds.check()
        return found

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        made = cp.ndarray.reshape(self, *shape, order=order)
        return made if type(made) is DeviceArray else made.view(type=DeviceArray)  # a copy comes as CuPy's own type


for _name, _function in OPERATORS.items():
    if not _name.startswith("__i") or _name == "__invert__":  # in place is CuPy's own
        setattr(DeviceArray, _name, _function)
DeviceArray.__hash__ = object.__hash__  # type: ignore[method-assign]


watchers: tuple[Callable[[], None], ...] = ()  # called after each allocation
reclaim: Callable[[], bool] | None = None  # frees memory that waits for a stream; False if there is none
capturing = False  # whether a CUDA graph is being captured


def empty(shape: Any, dtype: Any) -> DeviceArray:
    """An uninitialised array. OutOfMemoryError, with the figures, if there is no room."""
    try:
        made = DeviceArray(shape, dtype)
    except _out_of_memory as error:
        if reclaim is None or not reclaim():
            raise out_of_memory(error) from None
        return empty(shape, dtype)
    for watch in watchers:
        watch()
    return made


def out_of_memory(error: Exception) -> OutOfMemoryError:
    """PyTorch's error for CuPy's, with what is held and what is free."""
    free, total = cp.cuda.runtime.memGetInfo()
    held = cp.get_default_memory_pool().used_bytes()
    return OutOfMemoryError(
        f"CUDA out of memory: {str(error).rstrip('.')}. The device has {_mib(total)} in all, of which {_mib(free)} are free; arrays hold "
        f"{_mib(held)}. Free some with del, use a smaller batch, or call gpugrad.cuda.empty_cache()."
    )


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"


def adopt(x: Any) -> Any:
    """What a body returned, as DeviceArrays: tuples member by member, None as it is."""
    if type(x) is DeviceArray or x is None:
        return x
    if isinstance(x, (tuple, list)):
        return tuple(map(adopt, x))
    for watch in watchers:
        watch()
    array = (x if isinstance(x, cp.ndarray) else cp.asarray(x)).view(type=DeviceArray)
    known = BY_NUMPY.get(array.dtype)
    return array if known is None or array.dtype is known.numpy else array.astype(known.numpy).view(type=DeviceArray)


def implement(op: Any) -> Callable[..., Any]:
    """What runs when `op` is called with DeviceArrays: its kernel, else its body on CuPy, else its body on the host."""
    launcher, body = op.launcher, op.body
    if op.moves:
        return body
    if launcher is None and op.formula:
        from .elementwise import formula_launcher

        launcher = formula_launcher(op)

    def run(*arrays: Any, **params: Any) -> Any:
        try:
            if launcher is not None:
                made = launcher(*arrays, **params)
                if made is not NotImplemented or "out" in params:
                    return made
            return _run_body(op, body, arrays, params)
        except _out_of_memory as error:
            raise out_of_memory(error) from None
        except cp.cuda.runtime.CUDARuntimeError as error:
            if "StreamCapture" in str(error):  # CuPy waited for the device
                refuse_in_capture("read by the host")
            backend.require()  # says why, in a forked process
            raise

    return several.where_arrays_lie(run, op.name)


def _run_body(op: Any, body: Any, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    if op.name not in _on_host:
        try:
            return adopt(body(*arrays, **params))
        except (TypeError, AttributeError, NotImplementedError):
            if op.writes is not None:
                raise
    out = body(*map(_host, arrays), **params)  # raises again what was the caller's fault
    if op.name not in _on_host:
        _on_host.add(op.name)
        warnings.warn(
            f"{op.name} has no CUDA kernel and CuPy cannot run its body: it is computed on the host",
            HostFallbackWarning,
            stacklevel=4,
        )
    return adopt(out)


_on_host: set[str] = set()  # names of ops whose bodies only NumPy can run


def _host(x: Any) -> Any:
    return to_numpy(x) if isinstance(x, cp.ndarray) else tuple(map(_host, x)) if type(x) is tuple else x


def from_numpy(array: np.ndarray) -> DeviceArray:
    """A copy of a NumPy array on the current device. RuntimeError while a graph is captured."""
    refuse_in_capture("copied to the device")
    try:
        return cp.asarray(array).view(type=DeviceArray)
    except _out_of_memory as error:
        raise out_of_memory(error) from None


def constant(array: np.ndarray) -> DeviceArray:
    """A copy on the current device of a NumPy array, to be kept and never written: a graph that is captured may read it."""
    if not capturing:
        return from_numpy(array)
    pool = None if backend.simulated() else cp.get_default_memory_pool()  # not the graph's own
    with allocating_from(pool), cp.cuda.Stream(non_blocking=True) as beside:
        made = cp.asarray(array).view(type=DeviceArray)
        beside.synchronize()
    return made


def allocating_from(pool: Any) -> Any:
    """A context in which arrays lie in a memory pool; None changes nothing."""
    return nullcontext() if pool is None else cp.cuda.using_allocator(pool.malloc)


def to_numpy(array: Any) -> np.ndarray:
    """A copy on the host; see `DeviceArray.get`."""
    return array.get()


def refuse_in_capture(what: str) -> None:
    """RuntimeError, naming the op or method that asked, while a graph is captured."""
    if capturing:
        raise RuntimeError(
            f"{_asking()}(): while a CUDA graph was captured, an array was {what}: a replay could not repeat it. Do it "
            "before the capture or after the replay"
        )


_CALLERS = ("gpugrad.nn", "gpugrad.optim", "gpugrad.distributions")  # of ops, as a user is


def _asking() -> str:
    """The name of the op on the call stack, else of what the user called: a method, or a function of tensors."""
    name, frame = "gpugrad", sys._getframe(2)
    while frame is not None:
        code, module = frame.f_code, str(frame.f_globals.get("__name__", "gpugrad.cuda.op"))
        if code.co_filename == f"<gpugrad {code.co_name}>" and code.co_name != "transfer":
            return code.co_name.strip("_")
        if not module.startswith("gpugrad.") or module.startswith(_CALLERS):
            break
        if not module.startswith("gpugrad.cuda.") and (code.co_name[0] != "_" or code.co_name.endswith("__")):
            name = code.co_name
        frame = frame.f_back  # type: ignore[assignment]
    return name


def add_watcher(watch: Callable[[], None]) -> None:
    """Call `watch` after each allocation from here on."""
    global watchers
    if watch not in watchers:
        watchers = (*watchers, watch)


def remove_watcher(watch: Callable[[], None]) -> None:
    """Call it no more."""
    global watchers
    watchers = tuple(w for w in watchers if w is not watch)


def full(shape: Any, value: Any, dtype: Any) -> DeviceArray:
    """An array of one value, or uninitialised if it is None."""
    made = empty(shape, dtype)
    if value is not None:
        from .copy import set_all

        set_all(made, value)
    return made


def device_of(array: Any) -> Device:
    """Where an array lies, as in `cuda:0`."""
    return Device("cuda", int(array.device.id))


def _writes(op: Any, array: DeviceArray) -> bool:
    return op.launcher is None and op.formula


_type = ArrayType(device_of, implement, from_numpy, to_numpy, full, several=backend.device_count() > 1, writes=_writes)
register_array_type(DeviceArray, _type)
register_device("cuda", several.for_each_device(_type))
