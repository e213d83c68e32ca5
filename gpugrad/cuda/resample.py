"""Interpolation on the device: launches `kernels/resample.cu`. Weights are copied there once, and kept."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.resample import Weights, pick_pixels, resample_along, sources_of, taps_of
from .array import constant, empty
from .copy import contiguous, zeros
from .index import read
from .module import Kernel, blocks_for, cuda_name, current_device, kernels
from .rows import compute
from .strides import SMALL

_THREADS = 256  # kResampleThreads


@functools.cache
def _kernel(name: str) -> Kernel:
    return kernels("resample.cu", f"gpugrad::{name}")[0]


@functools.lru_cache(maxsize=256)
def _band(weights: Weights, dtype: Any, device: int) -> tuple[Any, Any, np.int32]:
    """Where the band of each row of the matrix begins, its weights (rows, width), and its width; on the device."""
    pixels, values = taps_of(weights)
    made, used = np.broadcast_to(np.arange(weights.new)[:, None], pixels.shape), pixels
    rows, columns = weights.new, weights.size
    if weights.transposed:
        made, used, rows, columns = used, made, columns, rows
    first, last = np.full(rows, columns), np.full(rows, 0)
    np.minimum.at(first, made, used)
    np.maximum.at(last, made, used)
    width = max(1, int((last - first).max()) + 1)
    first = np.minimum(first, columns - width)
    band = np.zeros((rows, width))
    np.add.at(band, (made, used - first[made]), values)
    return constant(first.astype(np.int32)), constant(band.astype(dtype)), np.int32(width)


@functools.lru_cache(maxsize=256)
def _sources(weights: Weights, device: int) -> Any:
    return constant(sources_of(weights))


@resample_along.kernel
def _(x: Any, *, weights: Weights, axis: int) -> Any:
    if x.dtype not in FLOATS:
        return NotImplemented
    made = weights.size if weights.transposed else weights.new
    shape = (*x.shape[:axis], made, *x.shape[axis + 1 :])
    if not math.prod(shape):
        return zeros(shape, x.dtype)
    out = empty(shape, x.dtype)
    first, band, width = _band(weights, compute(x.dtype), current_device())
    index = "int" if max(x.size, out.size) < SMALL else "long long"
    sizes = [np.int64(n) for n in (x.shape[axis], made, math.prod(x.shape[axis + 1 :]))]
    given = (np.int64(out.size), out, contiguous(x), first, band, width, *sizes)
    _kernel(f"resample_along<{cuda_name(x.dtype)}, {index}>")(blocks_for(out.size, _THREADS, 16), (_THREADS,), given)
    return out


@pick_pixels.kernel
def _(x: Any, *, weights: Weights, axis: int) -> Any:
    out = empty((*x.shape[:axis], weights.new, *x.shape[axis + 1 :]), x.dtype)
    return out if read(out, x, _sources(weights, current_device()), (axis,), "interpolate") else NotImplemented


__all__: list[str] = []
