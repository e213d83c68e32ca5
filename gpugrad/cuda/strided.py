"""Views by strides, and what they make of copies and sums: windows, diagonals, traces, the dimensions of einsum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ops.cast import cast
from ..ops.einsum import _trace, align, fill_diagonal, spread_labels
from ..ops.linalg_decompose import off_diagonal
from ..ops.reduce import sum_over
from ..ops.strided import _as_strided, _unfold, add_strided, fold_windows, read_strided
from . import backend
from .array import DeviceArray, adopt
from .copy import contiguous, copied, set_all, write, zeros
from .index import added


def main_diagonal(x: Any) -> Any:
    """The diagonal of the last two dimensions, as the last: a view."""
    return adopt(x.diagonal(0, x.ndim - 2, x.ndim - 1))


def strided(x: Any, shape: Any, strides: Any, offset: int = 0) -> Any:
    """A view of the memory of `x`: `strides` and `offset` in bytes, the latter from its first element."""
    if not math.prod(shape):
        return DeviceArray(shape, x.dtype)
    return DeviceArray(shape, x.dtype, x.data + offset, strides)


@_as_strided.kernel
def _(x: Any, *, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
    flat = contiguous(x)
    return strided(flat, size, [s * x.itemsize for s in stride], offset * x.itemsize)


@add_strided.kernel
def _(g: Any, *, shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
    out = zeros(math.prod(shape), g.dtype)
    every = adopt(backend.cupy().arange(out.size, dtype=np.int64))
    places = copied(_as_strided(every, size=g.shape, stride=stride, offset=offset)).reshape(1, -1)
    total = added(out, contiguous(g).reshape(-1), places, (0,), "as_strided")
    return total if total is NotImplemented else total.reshape(shape)


@read_strided.kernel
def _(x: Any, *, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
    return copied(_as_strided(x, size=size, stride=stride, offset=offset))


@fold_windows.kernel
def _(g: Any, *, shape: tuple[int, ...], dim: int, size: int, step: int) -> Any:
    strides = [math.prod(shape[d + 1 :]) for d in range(len(shape))]
    windows = (*strides[:dim], strides[dim] * step, *strides[dim + 1 :], strides[dim])
    return add_strided(g, shape=shape, stride=windows, offset=0)


@_unfold.kernel
def _(x: Any, *, dim: int, size: int, step: int) -> Any:
    count = (x.shape[dim] - size) // step + 1
    shape = (*x.shape[:dim], count, *x.shape[dim + 1 :], size)
    strides = (*x.strides[:dim], x.strides[dim] * step, *x.strides[dim + 1 :], x.strides[dim])
    return strided(x, shape, strides)


# ---- diagonals ----


def _labelled(x: Any, labels: Any) -> Any:
    """The view of `x` with one dimension for each distinct label: the diagonal where one is repeated."""
    distinct = dict.fromkeys(labels)
    if len(distinct) == len(labels):
        return x
    sizes = dict(zip(labels, x.shape))
    strides = [sum(s for s, own in zip(x.strides, labels) if own == label) for label in distinct]
    return strided(x, tuple([sizes[label] for label in distinct]), strides)


@align.kernel
def _(x: Any, *, labels: Any, wanted: Any) -> Any:
    distinct = tuple(dict.fromkeys(labels))
    seen = _labelled(x, labels)
    summed = tuple([i for i, label in enumerate(distinct) if label not in wanted])
    kept = [label for label in distinct if label in wanted]
    order = [kept.index(label) for label in wanted]
    if not summed:
        return copied(adopt(seen.transpose(order)))
    total = cast(sum_over(seen, dim=summed, keepdim=False), x.dtype)
    return contiguous(adopt(total.transpose(order)))


@spread_labels.kernel
def _(g: Any, *, labels: Any, wanted: Any, shape: tuple[int, ...]) -> Any:
    sizes = dict(zip(labels, shape))
    turned = adopt(g.transpose([wanted.index(label) for label in sizes if label in wanted]))
    spread = contiguous(turned).reshape([size if label in wanted else 1 for label, size in sizes.items()])
    out = zeros(shape, g.dtype)
    return out if write(_labelled(out, labels), spread) else NotImplemented


@_trace.kernel
def _(x: Any) -> Any:
    return sum_over(main_diagonal(x), dim=None, keepdim=False)


@fill_diagonal.kernel
def _(g: Any, *, shape: tuple[int, ...]) -> Any:
    out = zeros(shape, g.dtype)
    return out if write(main_diagonal(out), g) else NotImplemented


@off_diagonal.kernel
def _(x: Any) -> Any:
    out = copied(x)
    return out if set_all(main_diagonal(out), 0) else NotImplemented


__all__ = ["main_diagonal", "strided"]
