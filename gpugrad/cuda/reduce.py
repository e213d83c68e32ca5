"""Launchers of `kernels/reduce.cu`: sums, means, products, extremes and their places, truth, counts, variances, norms.

An array of any strides is read where it lies. What to launch for a shape, strides and dimensions is worked out once.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops import compare, linalg_norm, statistics
from ..ops import reduce as sums
from ..ops import reduce_extrema as extrema
from ..ops.attention import _all_masked
from ..ops.cast import cast
from ..ops.compare import choose
from .launches import ONCE, Once, repeated
from .module import CUDA_NAMES, Kernel, cuda_name, kernels, multiprocessors
from .strides import MAX_DIMS, merged, padded, struct

_THREADS = 256  # kReduceThreads
_INT64 = np.dtype(np.int64)
_BOOL = np.dtype(np.bool_)
_FLOAT32 = np.dtype(np.float32)
_BY_NAME = frozenset(CUDA_NAMES)


# ---- what is launched ----


class Plan:
    """How an array is reduced: which kernel, over what grid, in how many parts; the shapes of the result."""

    __slots__ = ("block", "columns", "elements", "grid", "kept_shape", "packed", "parts", "results", "shape", "variant")

    def __init__(self, shape: tuple[int, ...], strides: list[int], itemsize: int, dim: Any, ordered: bool) -> None:
        reduced = set(range(len(shape))) if dim is None else set(dim)
        self.kept_shape = tuple(1 if d in reduced else n for d, n in enumerate(shape))
        self.shape = tuple(n for d, n in enumerate(shape) if d not in reduced)
        self.results = math.prod(self.shape)
        self.elements = math.prod(shape[d] for d in reduced)
        kept = _walked(shape, strides, [d for d in range(len(shape)) if d not in reduced])
        over = sorted(reduced)
        if not ordered:  # repeated elements outermost, neighbours innermost
            over.sort(key=lambda d: (strides[d] != 0, -abs(strides[d])))
        *segments, (run, run_stride) = _walked(shape, strides, over) or [(1, 0)]
        last, last_stride = kept[-1] if kept else (1, 0)
        self.columns = 0 < abs(last_stride) < abs(run_stride)
        self.variant = bool(segments) if self.columns else run_stride == 1
        per_load = max(4, 16 // itemsize)
        if self.columns:
            self.block = _columns_block(last, self.elements)
            across, least = self.block[0], self.block[1] * 8
        else:
            self.block = _rows_block(self.results, self.elements, per_load)
            across, least = self.block[1], self.block[0] * per_load * 4
        blocks = -(-self.results // across)
        share, self.parts = split(self.elements, blocks, least)
        self.grid = (min(blocks, multiprocessors() * 32), self.parts)
        lanes = min(self.block[0], _power_of_two(-(-run // per_load))) if segments else self.block[0]
        head = [self.results, self.elements, share, lanes, max(run, 1), run_stride]
        self.packed = None
        if max(len(kept), len(segments)) <= MAX_DIMS:
            self.packed = struct(*head, *_packed(kept), *_packed(segments))


def _walked(shape: Any, strides: list[int], order: list[int]) -> list[tuple[int, int]]:
    """Those dimensions in that order, as sizes and strides, neighbours that are walked through evenly made one."""
    sizes, (steps,) = merged([shape[d] for d in order], [[strides[d] for d in order]])
    return list(zip(sizes, steps))


def _packed(dims: list[tuple[int, int]]) -> tuple[int, ...]:
    """`Walk<1>` of kernels/strides.cuh."""
    return (len(dims), *padded([n for n, _ in dims]), *padded([s for _, s in dims]))


def split(elements: int, blocks: int, least: int) -> tuple[int, int]:
    """Elements to a part, and parts, so that few blocks become about four for each multiprocessor."""
    wanted = min(multiprocessors() * 4 // max(blocks, 1), elements // least, 65535)
    if wanted < 2:
        return max(elements, 1), 1
    share = -(-elements // wanted)
    share += -share % 16
    return share, -(-elements // share)


def _power_of_two(n: int) -> int:
    """The least one that is not below n."""
    return 1 << max(n - 1, 0).bit_length()


def _rows_block(results: int, elements: int, per_load: int) -> tuple[int, int]:
    """Threads a row, rows: 256 threads in all."""
    threads = min(_power_of_two(-(-elements // per_load)), 32 if elements <= 2048 else 128 if elements <= 8192 else 256)
    while threads < _THREADS and elements >= threads * per_load * 2 and results * threads < multiprocessors() * 512:
        threads *= 2
    return threads, _THREADS // threads


def _columns_block(last: int, elements: int) -> tuple[int, int]:
    """Columns, threads a column: at most 256 threads in all."""
    each = min(_power_of_two(-(-elements // 8)), _THREADS // min(32, _power_of_two(last)))
    return min(_power_of_two(last), _THREADS // each), each


@functools.lru_cache(maxsize=4096)
def _plan(shape: Any, strides: Any, itemsize: int, dim: Any, ordered: bool) -> Plan:
    return Plan(shape, [s // itemsize for s in strides], itemsize, dim, ordered)


@functools.cache
def _kernel(name: str, types: str, variant: str) -> Kernel:
    (found,) = kernels("reduce.cu", f"gpugrad::{name}<{types}{variant}>")
    return found


def _reduce(
    do: Once,
    x: Any,
    combiner: str,
    state: int,
    made: Any,
    dim: Any,
    keepdim: bool,
    number: float = 0.0,
    ordered: bool = False,
) -> Any:
    """`x` combined over `dim` into dtype `made`; a state of the combiner takes `state` bytes."""
    plan = _plan(x.shape, x.strides, x.itemsize, dim, ordered)
    if plan.packed is None:
        return NotImplemented
    out = do.empty(plan.kept_shape if keepdim else plan.shape, made)
    if not plan.results:
        return out
    types = f"gpugrad::{combiner}, {cuda_name(x.dtype)}, {cuda_name(made)}"
    kernel = _kernel(
        "reduce_columns" if plan.columns else "reduce_rows", types, ", true" if plan.variant else ", false"
    )
    parts = None if plan.parts == 1 else do.empty(-(-plan.results * plan.parts * state // 8), _INT64)
    number = np.float64(number)
    do(kernel, plan.grid, plan.block, (x, out, parts, plan.packed, number))
    if parts is not None:
        threads = min(_power_of_two(plan.parts), _THREADS)
        blocks = min(-(-plan.results * threads // _THREADS), multiprocessors() * 32)
        arguments = (parts, out, np.int64(plan.results), np.int64(plan.parts), number)
        do(_kernel("reduce_parts", types, ""), (blocks,), (threads, _THREADS // threads), arguments)
    return out


# ---- dtypes ----


@functools.cache
def _computed(dtype: Any) -> tuple[str, int]:
    """What elements are computed in: float32 for half precision, else their own type; and its size."""
    return ("float", 4) if dtype in LOW_PRECISION else (cuda_name(dtype), dtype.itemsize)


@functools.cache
def _summed(dtype: Any) -> tuple[str, int]:
    """What sums and products are formed in: int64 for integers and bools."""
    return _computed(dtype) if dtype in FLOATS else ("long long", 8)


@functools.cache
def _taken(dtype: Any) -> bool:
    """Whether kernels take arrays of this dtype."""
    return dtype.name in _BY_NAME


def _one(dim: int | None) -> tuple[int, ...] | None:
    return None if dim is None else (dim,)


# ---- sums ----


@sums.sum_over.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, keepdim: bool) -> Any:
    if not _taken(x.dtype):
        return NotImplemented
    kind, size = _summed(x.dtype)
    return _reduce(do, x, f"SumOf<{kind}>", size, x.dtype if x.dtype in FLOATS else _INT64, dim, keepdim)


@sums.sum_to.kernel
@repeated
def _(do: Once, x: Any, *, shape: tuple[int, ...]) -> Any:
    if not _taken(x.dtype):
        return NotImplemented
    lead = x.ndim - len(shape)
    dims = tuple([d for d in range(x.ndim) if d < lead or (shape[d - lead] == 1 and x.shape[d] != 1)])
    kind, size = _summed(x.dtype)
    out = _reduce(do, x, f"SumOf<{kind}>", size, x.dtype, dims, True)
    return out if out is NotImplemented else out.reshape(shape)


@sums.mean_over.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, keepdim: bool) -> Any:
    kind, size = _computed(x.dtype)
    return _reduce(do, x, f"MeanOf<{kind}>", size, x.dtype, dim, keepdim, sums.count_over(x.shape, dim))


@sums.prod_over.kernel
@repeated
def _(do: Once, x: Any, *, dim: int | None, keepdim: bool) -> Any:
    if not _taken(x.dtype):
        return NotImplemented
    kind, size = _summed(x.dtype)
    return _reduce(do, x, f"ProductOf<{kind}>", size, x.dtype if x.dtype in FLOATS else _INT64, _one(dim), keepdim)


@sums._count_nonzero.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any) -> Any:
    return _reduce(do, x, "CountOf<long long>", 8, _INT64, dim, False) if _taken(x.dtype) else NotImplemented


@sums._logsumexp.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, keepdim: bool) -> Any:
    kind, size = _computed(x.dtype)
    return _reduce(do, x, f"LogSumExpOf<{kind}>", 2 * size, x.dtype, dim, keepdim)


# ---- truth ----


def _truth(do: Once, x: Any, combiner: str, dim: Any, keepdim: bool) -> Any:
    if not _taken(x.dtype):
        return NotImplemented
    return _reduce(do, x, combiner, 4, x.dtype if x.dtype == np.uint8 else _BOOL, dim, keepdim)


@sums._all.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, keepdim: bool) -> Any:
    return _truth(do, x, "AllOf<int>", dim, keepdim)


@compare._all_true.kernel
@repeated
def _(do: Once, x: Any) -> Any:
    return _truth(do, x, "AllOf<int>", None, False)


@_all_masked.kernel
def _(scores: Any) -> Any:
    return _truth(ONCE, scores == -math.inf, "AllOf<int>", (scores.ndim - 1,), True)


@sums._any.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, keepdim: bool) -> Any:
    return _truth(do, x, "AnyOf<int>", dim, keepdim)


# ---- extremes; the bodies refuse what has none ----


def _of_nothing(x: Any, dim: Any) -> bool:
    return not x.size and not sums.count_over(x.shape, dim)


def _extreme(do: Once, x: Any, name: str, dim: Any, keepdim: bool) -> Any:
    if not _taken(x.dtype) or _of_nothing(x, dim):
        return NotImplemented
    kind, size = _computed(x.dtype)
    return _reduce(do, x, f"{name}<{kind}>", size, x.dtype, dim, keepdim)


def _place(do: Once, x: Any, largest: str, dim: int | None, keepdim: bool) -> Any:
    if not _taken(x.dtype) or _of_nothing(x, _one(dim)):
        return NotImplemented
    return _reduce(
        do, x, f"PlaceOf<{_computed(x.dtype)[0]}, {largest}, false>", 16, _INT64, _one(dim), keepdim, ordered=True
    )


@extrema.amax_over.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, keepdim: bool) -> Any:
    return _extreme(do, x, "MaxOf", dim, keepdim)


@extrema.amin_over.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, keepdim: bool) -> Any:
    return _extreme(do, x, "MinOf", dim, keepdim)


@extrema._argmax.kernel
@repeated
def _(do: Once, x: Any, *, dim: int | None, keepdim: bool) -> Any:
    return _place(do, x, "true", dim, keepdim)


@extrema._argmin.kernel
@repeated
def _(do: Once, x: Any, *, dim: int | None, keepdim: bool) -> Any:
    return _place(do, x, "false", dim, keepdim)


@extrema.tie_weights.kernel
def _(x: Any, chosen: Any, *, dim: Any, keepdim: bool) -> Any:
    dtype = x.dtype
    if dtype not in FLOATS or not x.size:
        return NotImplemented
    top = chosen.reshape(tuple([1 if dim is None or d in dim else n for d, n in enumerate(x.shape)]))
    ties = (x == top) | ((x != x) & (top != top))
    count = cast(sums.sum_over(ties, dim=dim, keepdim=True), _FLOAT32 if dtype in LOW_PRECISION else dtype)
    return cast(choose(ties, 1 / count, 0), dtype)


# ---- variances and norms ----


def _variance(do: Once, x: Any, name: str, dim: Any, correction: float, keepdim: bool) -> Any:
    kind, size = _computed(x.dtype)
    freedom = sums.count_over(x.shape, dim) - correction
    return _reduce(do, x, f"{name}<{kind}>", 3 * size, x.dtype, dim, keepdim, max(freedom, 0))


@statistics._var.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, correction: float, keepdim: bool) -> Any:
    return _variance(do, x, "VarianceOf", dim, correction, keepdim)


@statistics._std.kernel
@repeated
def _(do: Once, x: Any, *, dim: Any, correction: float, keepdim: bool) -> Any:
    return _variance(do, x, "DeviationOf", dim, correction, keepdim)


@linalg_norm._vector_norm.kernel
@repeated
def _(do: Once, x: Any, *, ord: float, dim: Any, keepdim: bool) -> Any:
    kind, size = _computed(x.dtype)
    if ord == 0:
        return _reduce(do, x, "CountOf<long long>", 8, x.dtype, dim, keepdim)
    if math.isinf(ord) and _of_nothing(x, dim):
        return NotImplemented
    special = {1.0: "AbsoluteSumOf", 2.0: "EuclideanOf", math.inf: "LargestMagnitudeOf", -math.inf: "LeastMagnitudeOf"}
    return _reduce(do, x, f"{special.get(ord, 'PowerNormOf')}<{kind}>", size, x.dtype, dim, keepdim, ord)
