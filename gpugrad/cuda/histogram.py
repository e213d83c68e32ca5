"""Counts by value on the device: launches `kernels/histogram.cu`.

Counts are the same every time. So are sums of weights where `use_deterministic_algorithms` asks for it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.cast import cast
from ..ops.lookup import _occurrences
from ..ops.reduce import sum_over
from ..ops.statistics import _bincount, _histc, _histogram
from ..settings import are_deterministic_algorithms_enabled
from .array import DeviceArray, empty
from .copy import contiguous, zeros
from .index import added, read
from .module import CUDA_NAMES, Kernel, blocks_for, cuda_name, kernels

_THREADS, _FLIGHT, _PART_BYTES = 256, 4, 16384  # kBinThreads, kBinFlight, kPartBytes
_NUMBERS, _EVENLY, _BETWEEN = range(3)  # enum Binning
_INT64, _FLOAT32, _FLOAT64 = np.dtype(np.int64), np.dtype(np.float32), np.dtype(np.float64)


@functools.cache
def _kernel(name: str) -> Kernel:
    return kernels("histogram.cu", f"gpugrad::{name}")[0]


def _even(least: float = 0.0, most: float = 0.0, bins: int = 1, dtype: Any = _FLOAT64) -> Any:
    """`Even` of the kernels: `bins` equal parts from `least` to `most`, the edges values of `dtype`."""
    low, high = (float(np.asarray(edge).astype(dtype)) for edge in (least, most))
    numbers = (low, high, least, (most - least) / bins, bins / (most - least) if most > least else 0.0)
    return np.array(numbers, _FLOAT64).view(np.dtype((np.void, 8 * len(numbers))))[0]


def _counts(by: int, x: Any, bins: int, weight: Any = None, edges: Any = None, even: Any = None) -> Any:
    """How many elements of `x` are in each of `bins`, int64, or the sums of their weights, float64."""
    x, even = contiguous(x).reshape(-1), _even() if even is None else even
    places = (x, edges, even, np.int64(bins))
    if weight is not None:
        weight = contiguous(weight).reshape(-1)
        if are_deterministic_algorithms_enabled():
            numbers = empty(x.shape, _INT64)
            if x.size:
                name = f"number_bins<{by}, {cuda_name(x.dtype)}>"
                _kernel(name)(blocks_for(x.size, _THREADS), (_THREADS,), (np.int64(x.size), numbers, *places))
            return added(zeros((bins,), _FLOAT64), cast(weight, _FLOAT64), numbers, (0,), "bincount", skip=-1)
    total = zeros((bins,), _INT64 if weight is None else _FLOAT64)
    if x.size and bins:
        fitting = _PART_BYTES // (4 if weight is None else 8) // bins
        kinds = ("gpugrad::One" if weight is None else cuda_name(weight.dtype), "true" if fitting else "false")
        run = _kernel(f"count_bins<{by}, {cuda_name(x.dtype)}, {', '.join(kinds)}>")
        given = (total, x, weight, edges, even, np.int64(bins), np.int32(max(1, min(fitting, _THREADS // 32))))
        run(blocks_for(x.size, _THREADS * _FLIGHT, 4), (_THREADS,), (np.int64(x.size), *given))
    return total


@_bincount.kernel
def _(x: Any, weights: Any = None, *, bins: int) -> Any:
    if x.dtype.name not in CUDA_NAMES:
        return NotImplemented
    counts = _counts(_NUMBERS, x, bins, weights)
    return counts if weights is None else cast(counts, weights.dtype)


@_histc.kernel
def _(x: Any, *, bins: int, range: tuple[float, float]) -> Any:
    return cast(
        _counts(_EVENLY, x, bins, even=_even(*range, bins, _FLOAT64 if x.dtype == _FLOAT64 else _FLOAT32)), x.dtype
    )


@_histogram.kernel
def _(x: Any, edges: Any, weight: Any = None, *, density: bool) -> Any:
    if type(edges) is not DeviceArray or edges.dtype is not x.dtype or x.dtype not in FLOATS or edges.size < 2:
        return NotImplemented
    counts = _counts(_BETWEEN, x, edges.size - 1, weight, contiguous(edges))
    if density:
        counts = cast(counts, _FLOAT64)
        counts = counts / cast(edges[1:] - edges[:-1], _FLOAT64) / sum_over(counts, dim=None, keepdim=False)
    return cast(counts, x.dtype)


@_occurrences.kernel
def _(indices: Any, weight: Any) -> Any:
    counts = cast(_counts(_NUMBERS, indices, weight.shape[0]), weight.dtype)
    out = empty((*indices.shape, 1), weight.dtype)
    return out if read(out, counts, indices, (0,), "embedding") else NotImplemented


__all__: list[str] = []
