"""Launchers of `kernels/scan.cu`: running sums, products, extremes and logarithms of sums of exponentials; `shift`."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops import cumulative, scan
from .array import empty
from .copy import contiguous
from .module import CUDA_NAMES, Kernel, blocks_for, cuda_name, kernels, multiprocessors
from .reduce import split
from .strides import MAX_DIMS, SMALL, merged, padded, struct

_THREADS, _ITEMS = 256, 4  # kScanThreads, kItems
_INT64 = np.dtype(np.int64)
_BY_NAME = frozenset(CUDA_NAMES)


class Plan:
    """How the lines of an array are scanned: by which kernel, over what grid, in how many parts."""

    __slots__ = ("block", "columns", "count", "grid", "packed", "parts")

    def __init__(self, shape: tuple[int, ...], strides: list[int], dim: int, reverse: bool, aligned: bool) -> None:
        length, step = shape[dim], strides[dim]
        inner = math.prod(shape[dim + 1 :])
        others = [d for d in range(len(shape)) if d != dim]
        sizes, (steps,) = merged([shape[d] for d in others], [[strides[d] for d in others]])
        target = [(n, s) for n, s in ((math.prod(shape[:dim]), length * inner), (inner, 1)) if n != 1]
        self.count = math.prod(shape) // length
        self.columns = length <= 64 or (step != 1 and self.count >= multiprocessors() * _THREADS)
        together = 32 if length <= 1024 else _THREADS
        blocks = -(-self.count * together // _THREADS)
        share, self.parts = (length, 1) if self.columns else split(length, blocks, 8192)
        self.block: tuple[int, ...] = (_THREADS,) if self.columns else (together, _THREADS // together)
        self.grid: tuple[int, ...] = (min(blocks, multiprocessors() * 32), self.parts)
        if self.columns:
            self.grid = blocks_for(self.count, _THREADS)
        wide = aligned and step == 1 and inner == 1 and length % _ITEMS == 0 and not any(s % _ITEMS for s in steps)
        places = (_walk(sizes, steps), _walk([n for n, _ in target], [s for _, s in target]))
        head = (self.count, length, share, step, inner, int(reverse), int(wide))
        self.packed = struct(*head, *places[0], *places[1]) if len(sizes) <= MAX_DIMS else None


def _walk(sizes: list[int], steps: list[int]) -> tuple[int, ...]:
    """`Walk<1>` of kernels/strides.cuh; more dimensions than it holds are cut, and not launched."""
    return (len(sizes), *padded(sizes[:MAX_DIMS]), *padded(steps[:MAX_DIMS]))


@functools.lru_cache(maxsize=4096)
def _plan(shape: Any, strides: Any, itemsize: int, dim: int, reverse: bool, aligned: bool) -> Plan:
    return Plan(shape, [s // itemsize for s in strides], dim, reverse, aligned)


@functools.cache
def _kernel(name: str) -> Kernel:
    (found,) = kernels("scan.cu", f"gpugrad::{name}")
    return found


def _scan(x: Any, combiner: str, state: int, made: Any, dim: int, reverse: bool = False) -> Any:
    """`x` scanned along `dim` into dtype `made`; a state of the combiner takes `state` bytes."""
    if not x.size:
        return empty(x.shape, made)
    plan = _plan(x.shape, x.strides, x.itemsize, dim, reverse, x.data.ptr % (_ITEMS * x.itemsize) == 0)
    if plan.packed is None:
        return NotImplemented
    out = empty(x.shape, made)
    types = f"<gpugrad::{combiner}, {cuda_name(x.dtype)}, {cuda_name(made)}>"
    if plan.columns:
        _kernel("scan_columns" + types)(plan.grid, plan.block, (x, out, plan.packed))
        return out
    kernel = _kernel("scan_lines" + types)
    starts = None
    if plan.parts > 1:
        room = -(-plan.count * plan.parts * state // 8)
        totals, starts = empty(room, _INT64), empty(room, _INT64)
        kernel(plan.grid, plan.block, (x, out, None, totals, plan.packed))
        _kernel(f"scan_starts<gpugrad::{combiner}>")((plan.count,), (_THREADS,), (totals, starts, np.int64(plan.parts)))
    kernel(plan.grid, plan.block, (x, out, starts, None, plan.packed))
    return out


# ---- sums and products ----


@functools.cache
def _accumulated(dtype: Any) -> str:
    if dtype not in FLOATS:
        return "long long"
    return "float" if dtype in LOW_PRECISION else "double"


def _accumulate(x: Any, name: str, dim: int, reverse: bool) -> Any:
    if x.dtype.name not in _BY_NAME:
        return NotImplemented
    return _scan(x, f"{name}<{_accumulated(x.dtype)}>", 4 if x.dtype in LOW_PRECISION else 8, x.dtype, dim, reverse)


@scan.cumsum_along.kernel
def _(x: Any, *, dim: int, reverse: bool) -> Any:
    return _accumulate(x, "SumOf", dim, reverse)


@scan.cumprod_along.kernel
def _(x: Any, *, dim: int, reverse: bool) -> Any:
    return _accumulate(x, "ProductOf", dim, reverse)


# ---- extremes, and logarithms of sums of exponentials ----


@functools.cache
def _computed(dtype: Any) -> str:
    return "float" if dtype in LOW_PRECISION else cuda_name(dtype)


@cumulative._extreme_so_far.kernel
def _(x: Any, *, dim: int, largest: bool) -> Any:
    if x.dtype.name not in _BY_NAME:
        return NotImplemented
    return _scan(x, f"PlaceOf<{_computed(x.dtype)}, {str(bool(largest)).lower()}, true>", 16, _INT64, dim)


@cumulative._logcumsumexp.kernel
def _(x: Any, *, dim: int) -> Any:
    kind = _computed(x.dtype)
    return _scan(x, f"LogSumExpOf<{kind}>", 16 if kind == "double" else 8, x.dtype, dim)


# ---- shift ----


@scan.shift.kernel
def _(x: Any, *, by: int, dim: int, fill: float) -> Any:
    if x.dtype.name not in _BY_NAME:
        return NotImplemented
    out = empty(x.shape, x.dtype)
    if x.size:
        inner = math.prod(x.shape[dim + 1 :])
        sizes = (np.int64(x.size), np.int64(x.shape[dim]), np.int64(inner), np.int64(by), np.float64(fill))
        kernel = _kernel(f"shift_along<{cuda_name(x.dtype)}, {'unsigned' if x.size < SMALL else 'long long'}>")
        kernel(blocks_for(x.size, _THREADS), (_THREADS,), (contiguous(x), out, *sizes))
    return out
