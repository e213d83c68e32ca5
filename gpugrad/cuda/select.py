"""Choosing elements on the device: by a mask, where they are not zero, one of each value. Launches `kernels/select.cu`.

What is chosen is kept as bits, with how many of them are set up to the end of each tile. The host reads one number, how
much is chosen, where that is the size of the result; what has room already (gradients, values written) reads nothing.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.along import pick_along, put_along
from ..ops.cast import cast
from ..ops.index import read_places
from ..ops.join import _cat
from ..ops.mask import _nonzero, nonzero_places, put_at_full_mask, put_at_mask, read_mask
from ..ops.scan import cumsum_along
from ..ops.sort import _unique, _unique_consecutive
from .array import adopt, empty, to_numpy
from .copy import contiguous, filled, overlap, write, zeros
from .index import put
from .module import CUDA_NAMES, Kernel, blocks_for, cuda_name, kernels
from .sort import order_of
from .strides import MAX_DIMS, SMALL, bits, merged, walk

_THREADS, _TILE, _TILE_WORDS = 256, 2048, 64  # kSelectThreads, kSelectTile, kTileWords
_FEW_COLUMNS = 8  # by which rows are sorted one after the other
_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)


@functools.cache
def _kernel(name: str) -> Kernel:
    return kernels("select.cu", f"gpugrad::{name}")[0]


def _walked(x: Any) -> Any:
    """`Walk<1>` over `x`, which has at most MAX_DIMS dimensions."""
    sizes, (steps,) = merged(x.shape, [[s // x.itemsize for s in x.strides]])
    return walk(sizes, steps)


def _counter(n: int) -> str:
    """The type that counts `n` elements."""
    return "int" if n < SMALL else "long long"


class Chosen:
    """Which of `n` elements are chosen, as the kernels take it."""

    __slots__ = ("_ends", "_grid", "_words", "n")

    def __init__(self, n: int, flag: str, *given: Any) -> None:
        """By the kernel `flag`, which is given `given`."""
        self.n = n
        tiles = -(-n // _TILE)
        self._words, counts = empty(tiles * _TILE_WORDS, np.dtype(np.uint32)), empty(tiles, _INT64)
        self._grid = blocks_for(tiles, 1, 16)
        if n:
            _kernel(flag)(self._grid, (_THREADS,), (np.int64(n), self._words, counts, *given))
        self._ends = counts if tiles < 2 else cumsum_along(counts, dim=0, reverse=False)

    def count(self) -> int:
        """How many are chosen: the host waits."""
        return int(to_numpy(self._ends[-1:])[0]) if self.n else 0

    def visit(self, name: str, out: Any, *given: Any) -> Any:
        """`out`, written by a kernel that goes over all elements with their ranks."""
        if self.n and out.size:
            head = (np.int64(self.n), out, self._words, self._ends)
            _kernel(name)(self._grid, (_THREADS,), (*head, *given))
        return out

    def take(self, x: Any, count: int) -> Any:
        """The `count` chosen elements of `x`, in order."""
        return self.visit(
            f"take_flagged<{bits(x.itemsize)}, {_counter(self.n)}>", empty((count,), x.dtype), x, _walked(x)
        )

    def places(self, shape: Any, count: int, *, by_element: bool = False) -> Any:
        """The indices of what is chosen in an array of `shape`, (ndim, count); (count, ndim) `by_element`."""
        ndim = len(shape)
        out = empty((count, ndim) if by_element else (ndim, count), _INT64)
        starts = [k if by_element else k * count for k in range(ndim)]
        return self.visit(
            f"list_flagged<{_counter(self.n)}>", out, walk(shape, starts), np.int64(ndim if by_element else 1)
        )


def _not_zero(x: Any) -> Any:
    """The elements of `x` that are not zero; None if the kernels do not take it."""
    if x.dtype.name not in CUDA_NAMES or x.ndim > MAX_DIMS:
        return None
    floating = "true" if x.dtype in FLOATS else "false"
    return Chosen(x.size, f"flag_nonzero<{bits(x.itemsize)}, {floating}, {_counter(x.size)}>", x, _walked(x))


# ---- where elements are not zero ----


@nonzero_places.kernel
def _(mask: Any) -> Any:
    chosen = _not_zero(mask)
    return NotImplemented if chosen is None else chosen.places(mask.shape, chosen.count())


@_nonzero.kernel
def _(x: Any) -> Any:
    chosen = _not_zero(x)
    return NotImplemented if chosen is None else chosen.places(x.shape, chosen.count(), by_element=True)


# ---- masks ----


@read_mask.kernel
def _(x: Any, mask: Any) -> Any:
    chosen = _not_zero(mask)
    if chosen is None or x.ndim > MAX_DIMS or mask.shape != x.shape[: mask.ndim]:
        return NotImplemented
    if mask.ndim == x.ndim:
        return chosen.take(x, chosen.count())
    return read_places(x, chosen.places(mask.shape, chosen.count()), dims=tuple(range(mask.ndim)))


@put_at_mask.kernel
def _(g: Any, mask: Any, *, shape: tuple[int, ...]) -> Any:
    chosen = _not_zero(mask)
    if chosen is None or len(shape) > MAX_DIMS:
        return NotImplemented
    if mask.ndim == len(shape):
        return chosen.visit(f"spread_flagged<{bits(g.itemsize)}>", empty(shape, g.dtype), contiguous(g))
    out, places = zeros(shape, g.dtype), chosen.places(mask.shape, len(g))
    return out if put(out, contiguous(g), places, tuple(range(mask.ndim)), "index_put") else NotImplemented


@put_at_full_mask.kernel
def _(target: Any, mask: Any, value: Any) -> Any:
    chosen = _not_zero(mask)
    if chosen is None:
        return NotImplemented
    chosen.visit(
        f"write_flagged<{bits(target.itemsize)}, {_counter(target.size)}>", target, _own(target, value), _walked(target)
    )
    return None


def _own(target: Any, value: Any) -> Any:
    """The elements of `value` in order, of the dtype of `target`, in memory that writing `target` leaves alone."""
    if value.dtype is target.dtype and value.flags.c_contiguous and not overlap(target, value):
        return value
    out = empty(value.shape, target.dtype)
    write(out, value)
    return out


# ---- one of each value ----


def _runs(rows: Any) -> Chosen:
    """The rows of a contiguous (n, width) that differ from the one before."""
    return Chosen(len(rows), f"flag_runs<{cuda_name(rows.dtype)}>", rows, np.int64(rows.shape[1]))


def _told_apart(runs: Chosen, order: Any = None) -> tuple[Any, Any, Any]:
    """Of runs: where each starts, (1, runs), which one each element belongs to, and how many elements each has.

    `order` says where the elements stood.
    """
    starts = runs.places((runs.n,), runs.count())
    inverse = runs.visit("number_runs<long long>", empty((runs.n,), _INT64), order)
    ends = empty(starts.shape[1:], _INT64)
    if ends.size:
        write(ends[:-1], starts[0, 1:])
        write(ends[-1:], filled((1,), runs.n, _INT64))
    return starts, inverse, ends - starts[0]


def _rows_along(x: Any, dim: int | None) -> Any:
    """The elements of `x`, or its slices along `dim`, as the rows of a matrix."""
    if dim is None:
        return contiguous(x).reshape(x.size, 1)
    slices = adopt(x.transpose([dim, *[d for d in range(x.ndim) if d != dim]]))
    return contiguous(slices).reshape(x.shape[dim], math.prod(slices.shape[1:]))


@_unique_consecutive.kernel
def _(x: Any, *, dim: int | None) -> Any:
    if x.dtype.name not in CUDA_NAMES:
        return NotImplemented
    rows = _rows_along(x, dim)
    starts, inverse, counts = _told_apart(_runs(rows))
    if dim is None:
        return read_places(rows.reshape(-1), starts, dims=(0,)), inverse.reshape(x.shape), counts
    return read_places(x, starts, dims=(dim,)), inverse, counts


@_unique.kernel
def _(x: Any, *, dim: int | None) -> Any:
    rows = _rows_along(x, dim)
    order = _order_of_rows(rows) if dim is None or x.size else NotImplemented  # the body knows what nothing amounts to
    if order is NotImplemented:
        return NotImplemented
    line = read_places(rows, order[None], dims=(0,))
    starts, inverse, counts = _told_apart(_runs(line), order)
    values = read_places(line, starts, dims=(0,))
    if dim is None:
        return values.reshape(-1), inverse.reshape(x.shape), counts
    others = [n for d, n in enumerate(x.shape) if d != dim]
    back = [*range(1, dim + 1), 0, *range(dim + 1, x.ndim)]
    return contiguous(adopt(values.reshape(len(values), *others).transpose(back))), inverse, counts


def _order_of_rows(rows: Any) -> Any:
    """The indices that sort the rows of a matrix by their first element, those alike by the second, and so on.

    The last element is sorted by first: a sort keeps the order of equal ones. Of wide rows, neighbouring columns are made
    one before, until few are left: some 13 launches for all of them, where a sort by each column takes three a column.
    """
    if rows.dtype.name not in CUDA_NAMES or len(rows) >= SMALL:
        return NotImplemented
    while rows.shape[1] > _FEW_COLUMNS:
        rows = _in_pairs(rows)
    order = None
    for column in range(rows.shape[1] - 1, -1, -1):
        keys = adopt(rows[:, column])
        if order is None:
            order = order_of(keys, 0)
        else:
            sorted_keys = read_places(keys, order[None], dims=(0,))
            order = read_places(order, order_of(sorted_keys, 0)[None], dims=(0,))
        if order is NotImplemented:
            return NotImplemented
    return order


def _in_pairs(rows: Any) -> Any:
    """Integers (n, half the width) in the order of pairs of neighbouring elements of the rows."""
    rank = _ranks(rows)
    pairs = rank[:, :-1:2] * len(rows) + rank[:, 1::2]
    return _cat(pairs, rank[:, -1:], dim=1) if rows.shape[1] % 2 else pairs


def _ranks(rows: Any) -> Any:
    """The place of each element among the distinct ones of its column, in order: int64, below n. A NaN equals others."""
    order = order_of(rows, 0)
    line = pick_along(rows, order, dim=0)
    before, after = adopt(line[:-1]), adopt(line[1:])
    differs = after != before
    if rows.dtype in FLOATS:
        differs = differs & ((after == after) | (before == before))
    begins = _cat(zeros((1, rows.shape[1]), differs.dtype), differs, dim=0)
    rank = cumsum_along(cast(begins, _INT64), dim=0, reverse=False)
    return put_along(rank, order, shape=rows.shape, dim=0, squeezed=False, repeats=False)


__all__: list[str] = []
