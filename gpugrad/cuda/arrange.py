"""Parts put side by side, borders, rolls and triangles on the device: launches of `kernels/copy.cu`."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.join import _cat, _stack
from ..ops.pad import _pad, _unpad
from ..ops.pad_numpy import _padded_size, _sources
from ..ops.rearrange import _roll, _tril, _triu
from ..ops.strided import put_on_diagonal
from .array import adopt, empty
from .copy import contiguous, grid_for, kernel, write, zeros
from .module import cuda_name, grid_over
from .strides import MAX_DIMS, SMALL, alignment, bits, padded, pattern, struct

_THREADS = (256,)  # kCopyThreads
_PARTS = 32  # kParts
_BORDERS = {"constant": 0, "reflect": 1, "replicate": 2, "circular": 3}  # enum Border

# ---- side by side ----


def _join(out: Any, rows: int, parts: Sequence[Any]) -> None:
    """Rows of `out` (rows, ...) made of the rows of contiguous `parts`, one behind the other."""
    parts = [p for p in parts if p.size]
    cols = out.size // rows
    widths = [p.size // rows for p in parts]
    factor = alignment(out.data.ptr, *[p.data.ptr for p in parts]) // out.itemsize
    while factor > 1 and any(w % factor for w in widths):
        factor //= 2
    factor = max(factor, 1)
    ends = list(itertools.accumulate([w // factor for w in widths], initial=0))
    index = "int" if out.size < SMALL else "long long"
    run = kernel(f"join_columns<{bits(out.itemsize * factor)}, {index}>")
    for start in range(0, len(parts), _PARTS):
        some = parts[start : start + _PARTS]
        table = [0] * (2 + 2 * _PARTS)
        table[:2] = len(some), ends[start]
        table[2 : 2 + len(some)] = [p.data.ptr for p in some]
        table[2 + _PARTS : 2 + _PARTS + len(some)] = ends[start + 1 : start + 1 + len(some)]
        grid = grid_over(rows * (ends[start + len(some)] - ends[start]), _THREADS[0])
        given = np.array(table, np.int64).view(np.dtype((np.void, 8 * len(table))))[0]
        run(grid, _THREADS, (out, np.int64(rows), np.int64(cols // factor), given))


@_cat.kernel
def _(*tensors: Any, dim: int) -> Any:
    shapes = [x.shape for x in tensors]
    first = next((s for s in shapes if s != (0,)), (0,))
    out = empty((*first[:dim], sum([s[dim] if s != (0,) else 0 for s in shapes]), *first[dim + 1 :]), tensors[0].dtype)
    if out.size:
        _join(out, math.prod(first[:dim]), [contiguous(x) for x in tensors])
    return out


@_stack.kernel
def _(*tensors: Any, dim: int) -> Any:
    shape = tensors[0].shape
    out = empty((*shape[:dim], len(tensors), *shape[dim:]), tensors[0].dtype)
    if out.size:
        _join(out, math.prod(shape[:dim]), [contiguous(x) for x in tensors])
    return out


# ---- borders ----


@functools.lru_cache(maxsize=1024)
def _padded_shape(shape: tuple[int, ...], padding: Any, border: str) -> tuple[int, ...]:
    """The shape of the padded array; the body's errors for widths that the mode cannot serve."""
    lead = len(shape) - len(padding)
    if border == "constant":
        return (*shape[:lead], *map(_padded_size, shape[lead:], padding))
    return (*shape[:lead], *[n if w == (0, 0) else len(_sources(n, w, border)) for n, w in zip(shape[lead:], padding)])


def _bordered(x: Any, shape: tuple[int, ...], before: Sequence[int], border: str, value: float) -> Any:
    """An array of `shape`, `x` in it `before` places from its start along each dimension, continued around."""
    out = empty(shape, x.dtype)
    if not out.size:
        return out
    launch = _border_plan(shape, x.shape, x.strides, tuple(before), border, x.dtype)
    if launch is None:
        return NotImplemented
    launch(out, x, pattern(value, x.dtype))
    return out


@functools.lru_cache(maxsize=1024)
def _border_plan(
    shape: tuple[int, ...], own: tuple[int, ...], strides: Any, before: tuple[int, ...], border: str, dtype: Any
) -> Any:
    dims: list[list[int]] = []  # size, size of x, before, stride
    plain = False  # whether the last of them is x's own size, unshifted
    for row in zip(shape, own, before, [s // dtype.itemsize for s in strides]):
        n, _, _, step = row
        whole = n == row[1] and row[2] == 0
        if plain and whole and dims[-1][3] == step * n:
            dims[-1] = [dims[-1][0] * n, dims[-1][1] * n, 0, step]
        elif n != 1 or not whole:
            dims.append(list(row))
            plain = whole
    if len(dims) > MAX_DIMS:
        return None
    n = math.prod(shape)
    frame = struct(len(dims), *itertools.chain.from_iterable(padded([d[k] for d in dims]) for k in range(4)))
    index = "int" if n < SMALL else "long long"
    run, grid, count = (
        kernel(f"copy_bordered<{bits(dtype.itemsize)}, {_BORDERS[border]}, {index}>"),
        grid_for(n, 1),
        np.int64(n),
    )
    return lambda out, x, value: run(grid, _THREADS, (count, out, x, frame, value))


@_pad.kernel
def _(x: Any, *, padding: Any, border: str, value: float) -> Any:
    shape = _padded_shape(x.shape, padding, border)
    lead = x.ndim - len(padding)
    before = [0] * lead + [w[0] for w in padding]
    if border == "circular":  # what is cropped does not come around
        kept = [slice(None)] * lead + [slice(max(0, -b), n - max(0, -a)) for n, (b, a) in zip(x.shape[lead:], padding)]
        x, before = x[tuple(kept)], [max(0, b) for b in before]
    return _bordered(x, shape, before, border, value)


@_unpad.kernel
def _(x: Any, *, shape: tuple[int, ...], padding: Any, border: str) -> Any:
    lead = len(shape) - len(padding)
    if border == "constant":
        return _bordered(x, shape, [0] * lead + [-before for before, _ in padding], "constant", 0)
    if x.dtype not in FLOATS:
        return NotImplemented
    if not x.size:
        return zeros(shape, x.dtype)
    for d, (size, width) in enumerate(zip(shape[lead:], padding), start=lead):
        if width != (0, 0):
            x = _folded(x, d, size, width, border)
    return x


def _folded(g: Any, dim: int, size: int, width: tuple[int, int], border: str) -> Any:
    """The adjoint of padding along one dimension."""
    out = empty((*g.shape[:dim], size, *g.shape[dim + 1 :]), g.dtype)
    if not out.size:
        return out
    before, first, kept = width[0], 0, size
    if border == "circular":
        first, kept = max(0, -width[0]), size - max(0, -width[0]) - max(0, -width[1])
        before = max(0, before)
    run = kernel(f"fold_border<{cuda_name(g.dtype)}, {_BORDERS[border]}>")
    numbers = [np.int64(x) for x in (size, g.shape[dim], math.prod(g.shape[dim + 1 :]), before, first, kept)]
    run(grid_for(out.size, 1), _THREADS, (np.int64(out.size), out, contiguous(g), *numbers))
    return out


@_roll.kernel
def _(x: Any, *, shifts: tuple[int, ...], dims: tuple[int, ...] | None) -> Any:
    if not x.size:
        return empty(x.shape, x.dtype)
    flat = dims is None
    source = contiguous(x).reshape(-1) if flat else x
    before = [0] * source.ndim
    for by, d in zip(shifts, (0,) if dims is None else dims):
        before[d] = (before[d] + by) % source.shape[d]
    out = _bordered(source, source.shape, before, "circular", 0)
    return out.reshape(x.shape) if flat and out is not NotImplemented else out


# ---- triangles and diagonals ----


def _triangle(x: Any, diagonal: int, lower: bool) -> Any:
    out = empty(x.shape, x.dtype)
    if out.size:
        run = kernel(f"triangle<{bits(x.dtype.itemsize)}, {'true' if lower else 'false'}>")
        numbers = [np.int64(v) for v in (*x.shape[-2:], diagonal)]
        run(grid_for(out.size, 1), _THREADS, (np.int64(out.size), out, contiguous(x), *numbers))
    return out


@_tril.kernel
def _(x: Any, *, diagonal: int) -> Any:
    return _triangle(x, diagonal, lower=True)


@_triu.kernel
def _(x: Any, *, diagonal: int) -> Any:
    return _triangle(x, diagonal, lower=False)


@put_on_diagonal.kernel
def _(g: Any, *, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Any:
    out = zeros(shape, g.dtype)
    return out if write(adopt(out.diagonal(offset, dim1, dim2)), g) else NotImplemented


__all__: list[str] = []
