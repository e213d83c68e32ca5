"""`autograd.Function`: an op of the user's own, with PyTorch's interface (static `forward` and `backward`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .core import Node, Tensor, attach, wrap
from .device import ARRAY_TYPES, ArrayType, arrays_beside
from .engine import place
from .modes import enable_grad, no_grad, state
from .op import PICK, pick
from .ops.one import own


class FunctionCtx:
    """What `forward` leaves for `backward`."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self._saved: tuple[Tensor | None, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._non_differentiable: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Save inputs or outputs of `forward` for `backward`, which finds them in `saved_tensors`."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward can only save variables, but got {type(t).__name__}")
        self._saved = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say that `forward` changed these inputs in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that these outputs carry no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """False: `backward` gets None, not zeros, for outputs no gradient came to."""
        self.materialize_grads = value


class _FunctionOp:
    """What the walk needs of an op, for one `Function` class."""

    add_into = None
    broadcasts = False
    hidden = False
    variadic = True

    def __init__(self, cls: type[Function], outputs: int) -> None:
        self.name = cls.__name__
        self.node_name = f"{cls.__name__}Backward"
        self.cls = cls
        self.outputs = outputs
        self.names = ("inputs",)
        self.saved = [("versions", -1, frozenset[int]())]

    def pull(self, parents: Any, saved: Any, params: Any, g: Any) -> tuple[Any, ...]:
        """Call the user's `backward` with Tensors; give back what the walk is made of."""
        ctx, positions, like = params
        gs = g if self.outputs != 1 else (g,)
        recording = any(isinstance(x, Tensor) for x in gs)
        given = [self._as_tensor(x, shape_dtype, ctx) for x, shape_dtype in zip(gs, like, strict=True)]
        _check_saved(ctx, *saved)
        with enable_grad() if recording else no_grad():
            results = self.cls.backward(ctx, *given)
        results = results if isinstance(results, (tuple, list)) else (results,)
        if len(results) < len(ctx.needs_input_grad) or any(r is not None for r in results[len(ctx.needs_input_grad) :]):
            raise RuntimeError(
                f"function {self.name}Backward returned an incorrect number of gradients (expected "
                f"{len(ctx.needs_input_grad)}, got {len(results)})"
            )
        return tuple(
            _taken(results[i], parent, kind, recording, self.name)
            for (i, kind), parent in zip(positions, parents, strict=True)
        )

    @staticmethod
    def _as_tensor(g: Any, like: Any, ctx: FunctionCtx) -> Any:
        if g is None:
            if not ctx.materialize_grads:
                return None
            array, shape, dtype = like
            return wrap(arrays_beside(array).full(shape, 0, dtype))
        return g if isinstance(g, Tensor) else wrap(own(g))


def _taken(result: Any, parent: Any, kind: ArrayType, recording: bool, name: str) -> Any:
    """A gradient that the user's `backward` returned for an input whose array is of the type `kind`."""
    if parent is None or result is None:
        return None
    if not isinstance(result, Tensor):
        raise TypeError(f"{name}.backward returned {type(result).__name__} where a Tensor or None was expected")
    if ARRAY_TYPES[type(result._array)] is not kind:
        raise RuntimeError(
            f"{name}.backward returned a gradient on {result.device} for an input that is on another device; move it there"
        )
    return result if recording else result._array


def _check_saved(ctx: FunctionCtx, versions: Any) -> None:
    for tensor, version in zip(ctx._saved, versions, strict=True):
        if tensor is not None and tensor._written[1] != version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: a "
                f"tensor saved for backward is at version {tensor._written[1]}; expected version {version} instead."
            )


class _Context(FunctionCtx):
    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        return self._saved


class Function:
    """Subclass it with static methods `forward(ctx, *args)` and `backward(ctx, *grads)`; call it with `apply`.

    `forward` may leave out `ctx` if the class also defines `setup_context(ctx, inputs, output)`.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError("You must implement the backward for your custom autograd.Function to use it.")

    setup_context: Any = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` off the tape and put one node for it on the tape."""
        ctx = _Context()
        parents_of_all = [place(a) if isinstance(a, Tensor) else None for a in args]
        ctx.needs_input_grad = tuple(p is not None for p in parents_of_all)
        with no_grad():
            if cls.setup_context is None:
                outputs = cls.forward(ctx, *args)
            else:
                outputs = cls.forward(*args)
                cls.setup_context(ctx, args, outputs)
        if not (state.grad and any(ctx.needs_input_grad)):
            return outputs
        return _record(cls, ctx, args, parents_of_all, outputs)


def _record(cls: type[Function], ctx: _Context, args: Any, parents_of_all: Any, outputs: Any) -> Any:
    listed = isinstance(outputs, (tuple, list))
    given = outputs if listed else (outputs,)
    outs = [_fresh(t, args, ctx) for t in given]
    found = [t for t in outs if isinstance(t, Tensor)]
    positions = [(i, ARRAY_TYPES[type(a._array)]) for i, a in enumerate(args) if isinstance(a, Tensor)]
    like = [(t._array, t._array.shape, t._array.dtype) for t in found]
    several = len(found) != 1
    op = _FunctionOp(cls, len(found))
    parents = tuple(parents_of_all[i] for i, _ in positions)
    shapes = tuple(t._array.shape for t in found)
    dtypes = tuple(t._array.dtype for t in found)
    ctx._saved = tuple(_saved_input(t, args, outs, given) for t in ctx._saved)
    versions = tuple(t._written[1] if t is not None else 0 for t in ctx._saved)
    node = Node(
        op,
        parents,
        (versions,),
        (None,),
        (ctx, positions, like),
        shapes if several else shapes[0],
        dtypes if several else dtypes[0],
    )
    for k, tensor in enumerate(found):
        if not any(tensor is t for t in ctx._non_differentiable):
            attach(tensor, pick(node, k) if several else node)
    return tuple(outs) if listed else outs[0]


def _fresh(output: Any, args: Any, ctx: FunctionCtx) -> Any:
    """An output that is an input (and not marked dirty) becomes a tensor of its own."""
    is_input = any(output is a for a in args) and not any(output is d for d in ctx._dirty)
    return wrap(output._array) if isinstance(output, Tensor) and is_input else output


def _saved_input(tensor: Tensor | None, args: Any, outs: Any, outputs: Any) -> Tensor | None:
    """A saved output is kept off the tape, so that a node never holds its own output; saved inputs stay themselves."""
    if tensor is None or any(tensor is a for a in args):
        return tensor
    if any(tensor is o for o in outputs):
        kept = wrap(tensor._array)
        kept._written = tensor._written
        return kept
    return tensor


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a `backward` whose result cannot be differentiated again; trying to is an error."""

    @functools.wraps(backward)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        recording = state.grad and any(isinstance(g, Tensor) and g._requires_grad for g in grads)
        with no_grad():
            results = backward(ctx, *grads)
        if not recording:
            return results
        several = isinstance(results, (tuple, list))
        marked = tuple(_no_second(r) for r in (results if several else (results,)))
        return marked if several else marked[0]

    return wrapped


class _NoSecond(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return wrap(x._array)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def _no_second(result: Any) -> Any:
    if not isinstance(result, Tensor):
        return result
    with enable_grad():
        leaf = wrap(result._array, requires_grad=True)
        return _NoSecond.apply(leaf)


__all__ = ["PICK", "Function", "FunctionCtx", "once_differentiable"]
