"""The state of a Tensor, the nodes of the tape, and the clock that orders them.

A Tensor is an array plus its place on the tape. A leaf that requires a gradient has `_requires_grad` and no `_node`;
a result of a recorded op has the `_node` that made it. Methods live in `methods.py`, ops in `ops/`, the backward walk
in `engine.py`.

One clock (`tick`) orders everything: a node's `seq` is when it was recorded, and a tensor's version cell
`[time, count]` says when its memory was last written in place and how often. A saved array was changed after it was
saved exactly if its cell's time is later than the node's `seq`. A tensor shares its cell with its views.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from .dtypes import BY_NUMPY, FLOATS
from .methods import Methods
from .modes import state

tick = itertools.count(1).__next__
last_write = [0]  # the time of the latest in-place write anywhere: most walks need not look at any cell
new = object.__new__


class Tensor(Methods):
    """A multi-dimensional array that can record what is done to it; see `gpugrad.tensor` to make one."""

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_array",  # the NumPy or CuPy array
        "_base",  # the tensor this one is a view of, or None
        "_grad",  # a Tensor or None; public as `.grad`
        "_hooks",  # functions on a leaf's gradient, by number, or None
        "_node",  # the Node that made it, or None
        "_requires_grad",
        "_synced",  # views only: the time up to which `_node` is right
        "_view",  # views only: (op, params), how it was made from `_base`
        "_written",  # the cell [time of last write, number of writes], shared with views
    )

    _array: Any
    _base: Tensor | None
    _grad: Tensor | None
    _hooks: Any
    _node: Node | None
    _requires_grad: bool
    _synced: int
    _written: list[int]
    _view: Any

    if TYPE_CHECKING:  # installed from `ops.operators` when the package is loaded

        def _unary(self) -> Any: ...
        def _binary(self, other: Any, /) -> Any: ...

        __neg__ = __pos__ = __abs__ = __invert__ = _unary
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _binary
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _binary
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary

        def __eq__(self, other: object, /) -> Any: ...
        def __ne__(self, other: object, /) -> Any: ...
        def __getitem__(self, key: Any, /) -> Any: ...
        def __setitem__(self, key: Any, value: Any, /) -> None: ...

    __hash__ = object.__hash__  # by identity, at the speed of C: the walk keeps leaves in dicts
    __array_priority__ = 1000  # NumPy arrays leave `array + tensor` to Tensor.__radd__

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """PyTorch's legacy constructor: `Tensor(2, 3)` is uninitialised, `Tensor([1, 2])` copies; default dtype."""
        from .ops.create import legacy_tensor

        return legacy_tensor(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """All the work is done in `__new__`."""


# Nodes that PyTorch calls otherwise than the op.
_NODE_NAMES = {
    "copy_slices": "CopySlices",
    "cross_entropy": "NllLossBackward0",
    "linear": "AddmmBackward0",
    "pad": "ConstantPadNdBackward0",
    "perceptron": "AddmmBackward0",  # of its last layer
    "pow": "PowBackward1",
    "pow_scalar": "PowBackward0",
}


class Node:
    """One recorded op application: what `backward` needs of it, and nothing of its output but shape and dtype."""

    __slots__ = (
        "__weakref__",
        "cells",  # version cells of what is saved, None where it has none
        "dtype",
        "extra",  # None, or a dict: hooks, retained tensors, the anomaly trace
        "op",
        "params",  # the op's parameters, in the order of its signature
        "parents",  # per input: a Node, a leaf Tensor, or None where no gradient is wanted
        "saved",  # what the rules need; None once freed
        "seq",
        "shape",
    )

    def __init__(self, op: Any, parents: Any, saved: Any, cells: Any, params: Any, shape: Any, dtype: Any) -> None:
        self.op = op
        self.seq = tick()
        self.parents = parents
        self.saved = saved
        self.cells = cells
        self.params = params
        self.shape = shape
        self.dtype = dtype
        self.extra: dict[str, Any] | None = None

    def name(self) -> str:
        """PyTorch's name for it, as in `AddBackward0`."""
        if self.op.name == "pick":  # one of several outputs
            return self.parents[0].name()
        given = getattr(self.op, "node_name", None) or _NODE_NAMES.get(self.op.name)
        return given or backward_name(self.op.name)

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes this one hands gradients to; a leaf is shown as itself."""
        return tuple((parent, 0) for parent in self.parents)

    @property
    def metadata(self) -> dict[Any, Any]:
        if self.extra is None:
            self.extra = {}
        return self.extra.setdefault("metadata", {})


def backward_name(op_name: str) -> str:
    """PyTorch's name for the backward of an op: `AddBackward0` of `add`."""
    return "".join(part.capitalize() for part in op_name.strip("_").split("_")) + "Backward0"


def wrap(array: Any, requires_grad: bool = False) -> Tensor:
    """A new leaf Tensor around `array` (of a registered type and canonical dtype)."""
    tensor = new(Tensor)
    tensor._array = array
    tensor._node = None
    tensor._requires_grad = requires_grad
    tensor._base = None
    tensor._grad = None
    tensor._hooks = None
    tensor._written = [0, 0]
    return tensor


def attach(tensor: Tensor, node: Node) -> None:
    """Make `tensor` the output of `node`."""
    tensor._node = node
    tensor._requires_grad = True
    if state.grad is not True:  # anomalies are being traced
        state.grad.note(node)


def canonical(array: np.ndarray) -> np.ndarray:
    """`array` with its dtype replaced by the one object that stands for it; TypeError for dtypes gpugrad lacks."""
    known = BY_NUMPY.get(array.dtype)
    if known is None:
        if array.dtype.kind == "c":
            from .dtypes import complex_not_supported

            raise complex_not_supported(f"an array of {array.dtype}")
        raise TypeError(
            f"can't convert np.ndarray of type {array.dtype}. The only supported types are: "
            + ", ".join(d.name for d in BY_NUMPY.values())
        )
    if array.dtype is known.numpy:
        return array
    return array.astype(known.numpy)


def mark_written(*tensors: Tensor) -> None:
    """Note on the clock that the memory of `tensors` has just been written."""
    last_write[0] = now = tick()
    for tensor in tensors:
        cell = tensor._written
        cell[0] = now
        cell[1] += 1


def is_differentiable(array: Any) -> bool:
    """Only floating arrays carry gradients."""
    return array.dtype in FLOATS
