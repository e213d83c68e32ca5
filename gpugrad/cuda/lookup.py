"""Embeddings, and an index for every element (gather, scatter and what picks along a dimension) on the device.

Launches `kernels/index.cu`; see `index.py` for what is said there of sums and bad indices.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..ops.along import pick_along, put_along
from ..ops.compare import choose
from ..ops.embedding import _embedding, read_embedding_rows
from ..ops.gather import (
    _gather,
    _scatter,
    _scatter_add,
    _scatter_extreme,
    _scatter_prod,
    _scatter_value,
    scatter_among_zeros,
)
from ..ops.linalg_norm import _vector_norm
from ..ops.lookup import _divide_gradient, _limit_rows
from ..settings import are_deterministic_algorithms_enabled
from . import bounds
from .array import empty
from .copy import contiguous, copied, grid_for, zeros
from .index import NOTHING, THREADS, added, atomic_dtype, converted, kept, kernel, number, put, read
from .module import cuda_name
from .strides import MAX_DIMS, SMALL, bits, merged, pattern, walk

_WRITE, _ADD, _MULTIPLY, _LARGEST, _SMALLEST = range(5)  # enum Combine

# ---- rows of a table ----


@_embedding.kernel
def _(weight: Any, index: Any, *, padding_idx: int) -> Any:
    out = empty((*index.shape, weight.shape[1]), weight.dtype)
    return out if read(out, weight, index, (0,), "embedding") else NotImplemented


@read_embedding_rows.kernel
def _(g: Any, index: Any, *, padding_idx: int) -> Any:
    out = empty((*index.shape, g.shape[1]), g.dtype)
    return out if read(out, g, index, (0,), "embedding", skipped(padding_idx)) else NotImplemented


@_limit_rows.kernel
def _(weight: Any, indices: Any, *, max_norm: float, norm_type: float) -> Any:
    """A row that is named twice is written twice, the same both times."""
    rows = empty((indices.size, weight.shape[1]), weight.dtype)
    places = contiguous(indices).reshape(-1)
    if not read(rows, weight, places, (0,), "embedding"):
        return NotImplemented
    norms = _vector_norm(rows, ord=norm_type, dim=(1,), keepdim=True)
    limited = choose(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)
    return None if put(weight, limited, places, (0,), "embedding") else NotImplemented


@_divide_gradient.kernel
def _(x: Any, counts: Any) -> Any:
    return copied(x)


def skipped(padding_idx: int) -> int:
    return padding_idx if padding_idx >= 0 else NOTHING


# ---- an index for every element ----


@functools.lru_cache(maxsize=4096)
def _along(
    shape: Any, strides: Any, itemsize: int, dim: int, index_shape: Any, index_step: Any, src_step: Any
) -> tuple[Any, str, Any] | None:
    """The walk over the indices, the type it is counted in, and the size and stride of `dim`; None if too long.

    `index_step` and `src_step` are in elements; without `src_step` it walks two arrays.
    """
    steps = [s // itemsize for s in strides]
    rows = [index_step, [0 if d == dim else s for d, s in enumerate(steps)], *([src_step] if src_step else [])]
    sizes, merged_rows = merged(index_shape, [list(row) for row in rows])
    if len(sizes) > MAX_DIMS:
        return None
    index_type = "int" if max(math.prod(shape), math.prod(index_shape)) < SMALL else "long long"
    reach = max(sum(abs(s) * (n - 1) for s, n in zip(row, sizes)) for row in merged_rows)
    index_type = index_type if reach < SMALL else "long long"
    return walk(sizes, *merged_rows), index_type, (np.int64(shape[dim]), np.int64(steps[dim]))


def _steps(x: Any) -> tuple[int, ...]:
    return tuple([s // x.itemsize for s in x.strides])


def _gathered(x: Any, index: Any, dim: int, name: str) -> Any:
    out = empty(index.shape, x.dtype)
    if not out.size:
        return out
    found = _along(x.shape, x.strides, x.itemsize, dim, index.shape, _steps(index), None)
    if found is None:
        return NotImplemented
    places, index_type, sizes = found
    run = kernel(f"gather_along<{bits(x.dtype.itemsize)}, {cuda_name(index.dtype)}, {index_type}>")
    run(
        grid_for(out.size, 4),
        THREADS,
        (np.int64(out.size), out, x, index, places, *sizes, bounds.words(), number(name)),
    )
    return out


def _scattered(start: Any, src: Any, index: Any, dim: int, how: int, name: str) -> Any:
    """`start`, contiguous and our own, with `src` (an array or a number, which is written) combined where `index` says."""
    if not index.size:
        return start
    is_array = hasattr(src, "strides")
    if are_deterministic_algorithms_enabled() and is_array and how in (_WRITE, _ADD):
        return _scattered_in_order(start, src, index, dim, how, name)
    total = start if how == _WRITE else converted(start, atomic_dtype(start.dtype))
    src_step = _steps(src) if is_array else (0,) * index.ndim
    found = _along(total.shape, total.strides, total.itemsize, dim, index.shape, _steps(index), src_step)
    if found is None:
        return NotImplemented
    places, index_type, sizes = found
    types = [bits(start.dtype.itemsize)] * 2 if how == _WRITE else [cuda_name(total.dtype), cuda_name(start.dtype)]
    run = kernel(f"scatter_along<{how}, {', '.join(types)}, {cuda_name(index.dtype)}, {index_type}>")
    value = pattern(0 if is_array else src, start.dtype)
    if how != _WRITE:
        value = value.view(start.dtype) if start.dtype.kind != "V" else value
    given = (total, src if is_array else np.uint64(0), value, index, places, *sizes, bounds.words(), number(name))
    run(grid_for(index.size, 1), THREADS, (np.int64(index.size), *given))
    return converted(total, start.dtype)


def _scattered_in_order(start: Any, src: Any, index: Any, dim: int, how: int, name: str) -> Any:
    """The same with indices into the flattened array, which are then sorted."""
    flat = empty((index.size,), np.dtype(np.int64))
    found = _along(start.shape, start.strides, start.itemsize, dim, index.shape, _steps(index), None)
    if found is None:
        return NotImplemented
    places, index_type, sizes = found
    run = kernel(f"number_along<{cuda_name(index.dtype)}, {index_type}>")
    given = (np.int64(index.size), flat, index, places, *sizes, bounds.words(), number(name))
    run(grid_for(index.size, 1), THREADS, given)
    rows, values = start.reshape(-1), contiguous(src).reshape(-1)
    if how == _ADD:
        added(rows, values, flat, (0,), name, skip=-1)
    else:
        put(rows, values, flat, (0,), name, skip=-1)
    return start


@_gather.kernel
def _(x: Any, index: Any, *, dim: int) -> Any:
    return _gathered(x, index, dim, "gather")


def _changed(x: Any, src: Any, index: Any, dim: int, how: int, name: str, inplace: bool) -> Any:
    """`_scattered` of a copy of `x`; with `inplace` of `x` itself, which is contiguous."""
    return kept(x, _scattered(x if inplace else copied(x), src, index, dim, how, name), inplace)


@_scatter.kernel
def _(x: Any, src: Any, index: Any, *, dim: int, inplace: bool = False) -> Any:
    return _changed(x, src, index, dim, _WRITE, "scatter", inplace)


@_scatter_value.kernel
def _(x: Any, index: Any, *, dim: int, value: Any, inplace: bool = False) -> Any:
    return _changed(x, value, index, dim, _WRITE, "scatter", inplace)


@_scatter_add.kernel
def _(x: Any, src: Any, index: Any, *, dim: int, inplace: bool = False) -> Any:
    return _changed(x, src, index, dim, _ADD, "scatter_add", inplace)


@scatter_among_zeros.kernel
def _(g: Any, index: Any, *, shape: tuple[int, ...], dim: int) -> Any:
    return _scattered(zeros(shape, g.dtype), g, index, dim, _ADD, "gather")


@_scatter_prod.kernel
def _(x: Any, src: Any, index: Any, *, dim: int, inplace: bool = False) -> Any:
    return _changed(x, src, index, dim, _MULTIPLY, "scatter_reduce", inplace)


@_scatter_extreme.kernel
def _(x: Any, src: Any, index: Any, *, dim: int, largest: bool, inplace: bool = False) -> Any:
    return _changed(x, src, index, dim, _LARGEST if largest else _SMALLEST, "scatter_reduce", inplace)


# ---- one element, or several, picked along a dimension ----


def _whole(index: Any, dim: int, squeezed: bool) -> Any:
    return index.reshape((*index.shape[:dim], 1, *index.shape[dim:])) if squeezed else index


@pick_along.kernel
def _(x: Any, index: Any, *, dim: int, squeezed: bool = False, repeats: bool = False) -> Any:
    out = _gathered(x, _whole(index, dim, squeezed), dim, "gather")
    return out.reshape(index.shape) if out is not NotImplemented else out


@put_along.kernel
def _(g: Any, index: Any, *, shape: tuple[int, ...], dim: int, squeezed: bool, repeats: bool) -> Any:
    how = _ADD if repeats else _WRITE
    return _scattered(
        zeros(shape, g.dtype), _whole(g, dim, squeezed), _whole(index, dim, squeezed), dim, how, "scatter"
    )


__all__: list[str] = []
