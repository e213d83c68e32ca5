"""Dimensions and shapes as users write them, brought to one form: non-negative ints in tuples."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any


def normalize_dim(dim: int, ndim: int) -> int:
    """`dim` counted from the front; IndexError if it is out of range. A 0-d tensor has dims -1 and 0, as in PyTorch."""
    bound = max(ndim, 1)
    dim = operator.index(dim)
    if not -bound <= dim < bound:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})")
    return dim + bound if dim < 0 else dim


def normalize_dims(dim: int | Iterable[int] | None, ndim: int) -> tuple[int, ...] | None:
    """`dim` as a sorted tuple of dims of a tensor with `ndim` dimensions; None (all of them) for None and `()`.

    RuntimeError if a dim is named twice.
    """
    if dim is None:
        return None
    dims = tuple(normalize_dim(d, ndim) for d in (dim if isinstance(dim, Iterable) else (dim,)))
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"dim {max(dims, key=dims.count)} appears multiple times in the list of dims {list(dims)}")
    return None if not dims or ndim == 0 else tuple(sorted(dims))


def as_size(size: Sequence[Any]) -> tuple[int, ...]:
    """The sizes in `f(2, 3)` or `f((2, 3))`, given as the tuple of arguments, as a tuple of ints."""
    if len(size) == 1 and not hasattr(size[0], "__index__"):
        size = size[0]
    return tuple(map(operator.index, size))


def memory_order(x: Any) -> Any:  # a str: one of four literals, to the stubs of NumPy
    """NumPy's name of the layout of what is made like the array `x`: "K", that of `x`, or "C" if `x` is expanded.

    An expanded array has no order to keep. NumPy would put its repeated dimensions last, PyTorch puts all in order.
    """
    return "C" if 0 in x.strides else "K"
