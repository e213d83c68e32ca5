"""Dropout in one launch, and one on the way back: `kernels/dropout.cu`. Elements drawn are those of `dropout_mask`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.dropout import drop, drop_again
from .array import DeviceArray, empty
from .copy import contiguous
from .module import blocks_for, cuda_name, grid_over
from .philox import Philox
from .rows import compute, kernel

_FILE, _THREADS, _TILE = "dropout.cu", 256, 2048  # kDropThreads, and the elements of a tile
_BITS = np.dtype(np.uint8)


@drop.kernel
def _(x: DeviceArray, *, p: float, generator: Philox, recorded: bool) -> Any:
    """NotImplemented where a mask is wanted in the layout of `x`, and for what is always or never dropped."""
    below = round((1 - p) * 2.0**32)
    if x.dtype not in FLOATS or not x.size or not x.flags.c_contiguous or not 0 < below < 2**32:
        return NotImplemented
    out = empty(x.shape, x.dtype)
    mask = empty((-(-x.size // _TILE) * _THREADS,), _BITS) if recorded else None
    grid = blocks_for(x.size, _TILE, 32)  # more than are resident: they do not end together
    given = (generator.state, np.int64(x.size), out, x, mask, np.uint32(below), _scale(x.dtype, p))
    kernel(_FILE, f"drop<{cuda_name(x.dtype)}>")(grid, (_THREADS,), given)
    return out, [mask]


@drop_again.kernel
def _(g: DeviceArray, mask: DeviceArray, *, p: float) -> Any:
    if mask.dtype != _BITS:
        return NotImplemented  # of a body: it multiplies
    g, out = contiguous(g), empty(g.shape, g.dtype)
    given = (np.int64(g.size), out, g, mask, _scale(g.dtype, p))
    kernel(_FILE, f"drop_again<{cuda_name(g.dtype)}>")(grid_over(g.size, _TILE), (_THREADS,), given)
    return out


def _scale(dtype: Any, p: float) -> Any:
    """1 / (1 - p), which a mask of the dtype would hold, as kernels compute in it."""
    return compute(dtype).type(dtype.type(1 / (1 - p)))
