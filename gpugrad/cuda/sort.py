"""Sorting on the device, and what is found in sorted rows: launches `kernels/sort.cu`.

`order_of` is what argsort, top-k, medians and modes come down to; it is stable, and a NaN is the largest value.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops.along import pick_along
from ..ops.cast import cast
from ..ops.compare import choose
from ..ops.cumulative import _extreme_so_far
from ..ops.extrema import maximum
from ..ops.join import _cat
from ..ops.order import _median_index, _median_of_all, _mode_index, _quantile_places
from ..ops.rearrange import _repeated_places
from ..ops.reduce import sum_over
from ..ops.reduce_extrema import _argmax
from ..ops.scan import cumsum_along
from ..ops.sets import _is_in
from ..ops.sort import _argsort, _kth_index, _searchsorted
from ..ops.unary import _round, ceil, floor
from . import backend
from .array import adopt, empty, to_numpy
from .copy import contiguous, copied, filled
from .module import CUDA_NAMES, Kernel, blocks_for, cuda_name, kernels
from .strides import SMALL

_TILE, _MERGE_THREADS, _SEARCH_THREADS = 1024, 256, 256  # kSortTile, kMergeThreads, kSearchThreads
_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)
_FEW = 32  # among so many, a value is looked for in turn
_LARGE = frozenset(("float64", "int64", "uint64"))  # whose keys have 64 bits


@functools.cache
def _kernel(name: str) -> Kernel:
    return kernels("sort.cu", f"gpugrad::{name}")[0]


# ---- sorting ----


def order_of(x: Any, dim: int, descending: bool = False) -> Any:
    """The indices (int64, contiguous) that sort `x` along `dim`; of equal elements the first comes first.

    NotImplemented for dtypes that kernels do not take, and lines of 2^31 elements.
    """
    n = x.shape[dim]
    if x.dtype.name not in CUDA_NAMES or n >= SMALL:
        return NotImplemented
    if not x.size:
        return empty(x.shape, _INT64)
    return by_line(x, dim, lambda lines: _sorted_rows(lines, lines.size // n, n, descending))


def by_line(x: Any, dim: int, work: Callable[[Any], Any]) -> Any:
    """What `work` makes of `x` with `dim` as its last dimension, contiguous, and back in place."""
    axes = [*(d for d in range(x.ndim) if d != dim), dim]
    made = work(contiguous(adopt(x.transpose(axes))))
    return contiguous(adopt(made.transpose([axes.index(d) for d in range(x.ndim)])))


def key_dtype(dtype: Any) -> Any:
    """What the keys of a dtype are, `KeyOf` of kernels/keys.cuh."""
    return np.dtype(np.uint64 if dtype.name in _LARGE else np.uint32)


def _sorted_rows(x: Any, rows: int, n: int, descending: bool) -> Any:
    out = empty(x.shape, _INT64)
    length = min(1 << (n - 1).bit_length(), _TILE)
    segments = rows * -(-n // length)
    slots = min(max(64, length << (segments - 1).bit_length()), _TILE)
    key = key_dtype(x.dtype)
    between: list[Any] = [None] * 4
    if n > length:
        between = [empty(x.size, dtype) for dtype in (key, np.dtype(np.int32)) * 2]
    blocks = (-(-segments // (slots // length)),)
    sizes = (np.int64(rows), np.int64(n), np.int32(length), np.bool_(descending))
    _kernel(f"sort_tiles<{cuda_name(x.dtype)}>")(blocks, (slots // 2,), (x, out, *between[:2], *sizes))
    run = length
    while run < n:
        source, target = between[:2], between[2:]
        last = "true" if 2 * run >= n else "false"
        kernel = _kernel(f"merge_runs<{cuda_name(key)}, {last}>")
        kernel((rows * -(-n // _TILE),), (_MERGE_THREADS,), (*source, *target, out, np.int64(n), np.int64(run)))
        between = [*target, *source]
        run *= 2
    return out


@_argsort.kernel
def _(x: Any, *, dim: int, descending: bool) -> Any:
    return order_of(x, dim, descending)


@_kth_index.kernel
def _(x: Any, *, k: int, dim: int, keepdim: bool) -> Any:
    found = order_of(x, dim)
    return found if found is NotImplemented else _line(found[(*(slice(None),) * dim, slice(k - 1, k))], dim, keepdim)


def _line(index: Any, dim: int, keepdim: bool) -> Any:
    """A copy of `index`, which has size 1 along `dim`, without it unless `keepdim`."""
    found = copied(index)
    return found if keepdim else found.reshape([n for d, n in enumerate(found.shape) if d != dim])


# ---- statistics of order ----


@_median_index.kernel
def _(x: Any, *, dim: int, keepdim: bool, skip_nan: bool) -> Any:
    found = order_of(x, dim)
    if found is NotImplemented:
        return NotImplemented
    numbers = sum_over(x == x, dim=(dim,), keepdim=True)
    middle = choose(numbers > 0, (numbers - 1) // 2, 0)
    if not skip_nan:
        middle = choose(numbers < x.shape[dim], numbers, middle)
    return _line(pick_along(found, middle, dim=dim), dim, keepdim)


@_median_of_all.kernel
def _(x: Any, *, skip_nan: bool) -> Any:
    if not x.size:
        return filled((), np.nan, x.dtype)
    flat = contiguous(x).reshape(-1)
    place = _median_index(flat, dim=0, keepdim=True, skip_nan=skip_nan)
    return pick_along(flat, place, dim=0).reshape(())


@_quantile_places.kernel
def _(x: Any, q: Any, *, dim: int, interpolation: str, skip_nan: bool) -> Any:
    numbers = sum_over(x == x, dim=(dim,), keepdim=True)
    steps = cast(maximum(numbers, 1) - 1, x.dtype)
    size = x.shape[dim]
    rank = choose(numbers < (1 if skip_nan else size), float(size - 1), q * steps)
    rank = {"lower": floor, "higher": ceil, "nearest": _round}.get(interpolation, lambda rank: rank)(rank)
    return cast(floor(rank), _INT64), cast(ceil(rank), _INT64), steps


@_mode_index.kernel
def _(x: Any, *, dim: int, keepdim: bool) -> Any:
    found = order_of(x, dim)
    if found is NotImplemented:
        return NotImplemented
    line = pick_along(x, found, dim=dim)
    before = (slice(None),) * dim
    later = line[(*before, slice(1, None))] != line[(*before, slice(None, -1))]
    begins = _cat(filled((*x.shape[:dim], 1, *x.shape[dim + 1 :]), True, _BOOL), later, dim=dim)
    places = _counted(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    starts = choose(begins, places, 0)
    length = places - pick_along(starts, _extreme_so_far(starts, dim=dim, largest=True), dim=dim, repeats=True)
    return _line(pick_along(found, _argmax(length, dim=dim, keepdim=True), dim=dim), dim, keepdim)


def _counted(n: int) -> Any:
    """0, 1, ..., n - 1."""
    return adopt(backend.cupy().arange(n, dtype=np.int64))


# ---- runs of given lengths ----


@_repeated_places.kernel
def _(counts: Any) -> Any:
    if not counts.size:
        return empty((0,), _INT64)
    ends = cumsum_along(cast(counts.reshape(-1), _INT64), dim=0, reverse=False)
    return _searched(ends, _counted(int(to_numpy(ends[-1:])[0])), True)


# ---- places in sorted sequences ----


def _searched(sequence: Any, values: Any, right: bool) -> Any:
    """Where `values` go in the last dimension of `sequence`; both contiguous, of one dtype."""
    out = empty(values.shape, _INT64)
    if out.size:
        length = sequence.shape[-1]
        several = sequence.ndim > 1
        each = values.shape[-1] if several else out.size
        sizes = [np.int64(v) for v in (length, length if several else 0, each)]
        run = _kernel(f"search_rows<{cuda_name(sequence.dtype)}>")
        given = (np.int64(out.size), out, sequence, values, *sizes, np.bool_(right))
        run(blocks_for(out.size, _SEARCH_THREADS, 16), (_SEARCH_THREADS,), given)
    return out


@_searchsorted.kernel
def _(sequence: Any, values: Any, *, right: bool) -> Any:
    dtype = np.promote_types(sequence.dtype, values.dtype)
    if dtype.name not in CUDA_NAMES:
        return NotImplemented
    return _searched(contiguous(cast(sequence, dtype)), contiguous(cast(values, dtype)), right)


@_is_in.kernel
def _(x: Any, among: Any, *, invert: bool) -> Any:
    dtype = np.promote_types(x.dtype, among.dtype)
    if dtype.name not in CUDA_NAMES or among.size >= SMALL:
        return NotImplemented
    values, among = contiguous(cast(x, dtype)), contiguous(cast(among, dtype)).reshape(-1)
    many = among.size > _FEW
    if many:
        among = pick_along(among, order_of(among, 0), dim=0)
    out = empty(x.shape, _BOOL)
    if out.size:
        run = _kernel(f"found_among<{cuda_name(dtype)}, {'true' if many else 'false'}>")
        given = (np.int64(out.size), out, among, values, np.int64(among.size), np.bool_(invert))
        run(blocks_for(out.size, _SEARCH_THREADS, 16), (_SEARCH_THREADS,), given)
    return out


__all__ = ["order_of"]
