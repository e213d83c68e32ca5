"""The `k` largest or smallest along a dimension: launches `kernels/topk.cu` where `k` is small, else sorts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.sort import _topk_indices
from .array import empty
from .copy import copied
from .module import CUDA_NAMES, cuda_name
from .rows import kernel
from .sort import by_line, key_dtype, order_of
from .strides import SMALL

_MOST, _SHORT = 64, 128  # of k; elements that a sort has in order as quickly
_SHAPES = ((32, 8, 4), (32, 32, 4), (256, 32, 1))  # threads a part, elements a thread, parts a block
_LONGEST = 65535 * 256 * 32  # of which a grid has as many parts


@_topk_indices.kernel
def _(x: Any, *, k: int, dim: int, largest: bool) -> Any:
    n = x.shape[dim]
    if x.dtype.name not in CUDA_NAMES or n >= SMALL:
        return NotImplemented
    if not 0 < k <= _MOST or not _SHORT < n <= _LONGEST or not x.size:
        return copied(order_of(x, dim, largest)[(*(slice(None),) * dim, slice(0, k))])
    return by_line(x, dim, lambda lines: _few(lines, k, largest))


def _few(x: Any, k: int, largest: bool) -> Any:
    """Of contiguous lines: the best of each part, then of these, until there is one part."""
    shape, n = x.shape[:-1], x.shape[-1]
    rows, at, turned = x.size // n, None, not largest
    while True:
        threads, each, together = next((s for s in _SHAPES if n <= s[0] * s[1]), _SHAPES[-1])
        parts = -(-n // (threads * each))
        order = empty((*shape, k), np.dtype(np.int64)) if parts == 1 else None
        keys = None if order is not None else empty((rows, parts * k), key_dtype(x.dtype))
        places = None if order is not None else empty((rows, parts * k), np.dtype(np.int32))
        given = (np.int64(rows), np.int32(n), np.int32(k), np.bool_(turned), x, at, order, keys, places)
        run = kernel("topk.cu", f"top_few<{cuda_name(x.dtype)}, {threads}, {each}, {together}>")
        run((-(-rows // together), parts), (threads, together), given)
        if order is not None:
            return order
        x, at, turned, n = keys, places, False, parts * k
