"""Views by strides: diagonals, sliding windows, and memory read with any strides."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..inplace import into
from ..op import op
from ..views import address
from .dims import as_size, normalize_dim
from .shape import unsqueeze

__all__ = ["as_strided", "diag", "diag_embed", "diagflat", "diagonal"]


# ---- diagonals ----


@op(view=True, name="diagonal")
def _diagonal(x: Any, *, offset: int, dim1: int, dim2: int) -> Any:
    out = x.diagonal(offset, dim1, dim2)
    if isinstance(out, np.ndarray):
        out.flags.writeable = x.flags.writeable  # NumPy's diagonals are read-only, PyTorch's are not
    return out


@op
def put_on_diagonal(g: Any, *, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Any:
    """Zeros of `shape` with `g` on a diagonal, whose place in `g` is the last dimension."""
    out = np.zeros_like(g, shape=shape)
    _diagonal(out, offset=offset, dim1=dim1, dim2=dim2)[...] = g
    return out


_diagonal.defvjp(
    x=lambda g, x_shape, *, offset, dim1, dim2: put_on_diagonal(g, shape=x_shape, offset=offset, dim1=dim1, dim2=dim2)
)
put_on_diagonal.defvjp(g=lambda g, *, offset, dim1, dim2: _diagonal(g, offset=offset, dim1=dim1, dim2=dim2))


def _two_dims(dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    first, second = normalize_dim(dim1, ndim), normalize_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return first, second


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of `input` over `dim1` and `dim2`, as the last dimension of a view."""
    first, second = _two_dims(dim1, dim2, len(input.shape))
    return _diagonal(input, offset=operator.index(offset), dim1=first, dim2=second)


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the last dimension of `input` on the diagonal of two new dimensions `dim1` and `dim2`."""
    first, second = _two_dims(dim1, dim2, len(input.shape) + 1)
    *batch, length = input.shape
    size = length + abs(offset)
    shape = list(batch)
    for d in sorted((first, second)):
        shape.insert(d, size)
    return put_on_diagonal(input, shape=tuple(shape), offset=operator.index(offset), dim1=first, dim2=second)


def diag(input: Any, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """The matrix with the vector `input` on a diagonal; of a matrix, a copy of that diagonal."""
    ndim = len(input.shape)
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    offset = operator.index(diagonal)
    result = diag_embed(input, offset) if ndim == 1 else _diagonal(input, offset=offset, dim1=0, dim2=1).clone()
    return result if out is None else into(out, result, "diag")


def diagflat(input: Any, offset: int = 0) -> Tensor:
    """The matrix with the elements of `input`, in order, on a diagonal."""
    return diag_embed(input.reshape(-1), offset)


# ---- windows ----


@op(view=True, name="unfold")
def _unfold(x: Any, *, dim: int, size: int, step: int) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, size, dim)
    return windows[(*(slice(None),) * dim, slice(None, None, step))]


@op
def fold_windows(g: Any, *, shape: tuple[int, ...], dim: int, size: int, step: int) -> Any:
    """Zeros of `shape` with the windows `g`, which lie in its last dimension, added where they were taken."""
    out = np.zeros_like(g, shape=shape)
    count = g.shape[dim]
    for k in range(size):  # the elements at place k of all windows do not overlap
        out[(*(slice(None),) * dim, slice(k, k + (count - 1) * step + 1, step))] += g[..., k]
    return out


_unfold.defvjp(x=lambda g, x_shape, *, dim, size, step: fold_windows(g, shape=x_shape, dim=dim, size=size, step=step))
fold_windows.defvjp(g=lambda g, *, dim, size, step: _unfold(g, dim=dim, size=size, step=step))


def unfold(input: Any, dimension: int, size: int, step: int) -> Tensor:
    """The windows of `size` elements, `step` apart, along `dimension`: a view, read-only, with a last dimension `size`.

    RuntimeError if `size` exceeds the dimension, or `step` is not positive.
    """
    if not input.shape:
        return unsqueeze(input, 0) if size == 1 else _refuse_window(size, 1, 0)
    dim = normalize_dim(dimension, len(input.shape))
    if size > input.shape[dim] or size < 0:
        _refuse_window(size, input.shape[dim], dim)
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return _unfold(input, dim=dim, size=size, step=step)


def _refuse_window(size: int, most: int, dim: int) -> Any:
    raise RuntimeError(f"maximum size for tensor at dimension {dim} is {most} but size is {size}")


# ---- any strides ----


@op(view=True, name="as_strided")
def _as_strided(x: Any, *, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
    bytes_apart, writeable = [s * x.itemsize for s in stride], not _overlaps(size, stride)
    return np.lib.stride_tricks.as_strided(x.reshape(-1)[offset:], size, bytes_apart, writeable=writeable)


def _overlaps(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether two places may be one element: unless each stride steps over all that the smaller ones reach."""
    reach = 0
    for step, n in sorted((s, n) for s, n in zip(stride, size) if n > 1):
        if step <= reach:
            return True
        reach += step * (n - 1)
    return False


@op
def add_strided(g: Any, *, shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
    """Zeros of `shape` with each element of `g` added where `_as_strided` had read it."""
    out = np.zeros_like(g, shape=shape, order="C")
    places = _as_strided(np.arange(out.size), size=g.shape, stride=stride, offset=offset)
    np.add.at(out.reshape(-1), places.reshape(-1), g.reshape(-1))
    return out


_as_strided.defvjp(x=lambda g, x_shape, *, stride, offset: add_strided(g, shape=x_shape, stride=stride, offset=offset))


@op
def read_strided(x: Any, *, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
    """A copy of what `_as_strided` sees of the elements of `x` in order: the adjoint of `add_strided`."""
    return _as_strided(x.copy(), size=size, stride=stride, offset=offset).copy()


add_strided.defvjp(g=lambda g, g_shape, *, stride, offset: read_strided(g, size=g_shape, stride=stride, offset=offset))
read_strided.defvjp(x=lambda g, x_shape, *, stride, offset: add_strided(g, shape=x_shape, stride=stride, offset=offset))


def offset_in_memory(array: Any) -> int:
    """How many elements into the memory it was cut from `array` begins."""
    root = array
    while isinstance(root.base, type(array)):
        root = root.base
    return (address(array) - address(root)) // array.itemsize if array.size else 0


def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """The memory of `input` read in shape `size` with `stride` (in elements), from `storage_offset` on.

    RuntimeError if it would leave the memory of the tensor that `input` is a view of, or that is not contiguous.
    """
    size, stride, array = as_size((size,)), as_size((stride,)), input._array
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if stride and min(stride) < 0:
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    start = offset_in_memory(array) if storage_offset is None else storage_offset
    reach = sum((n - 1) * s for n, s in zip(size, stride)) + 1 if 0 not in size else 0
    memory: Tensor | None = input
    while memory is not None:
        begin = start - offset_in_memory(memory._array)
        if memory._array.flags.c_contiguous and begin >= 0 and begin + reach <= memory._array.size:
            return _as_strided(memory, size=size, stride=stride, offset=begin)
        memory = memory._base
    raise RuntimeError(
        f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {start}, and itemsize "
        f"{array.itemsize} requiring a storage size of {(start + reach) * array.itemsize} are out of bounds for "
        f"storage of size {array.nbytes}"
    )
