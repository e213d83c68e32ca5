"""The gradient of an embedding: rows of g added up by the rows of the table, by `kernels/embedding.cu`.

Where there is little to add, atomic sums of `index.py` take fewer launches; where rows are few and named often, warps too few.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops.embedding import add_embedding_rows, add_rows_to_table
from ..settings import are_deterministic_algorithms_enabled
from . import bounds
from .array import empty
from .copy import contiguous, zeros
from .index import added, kept, number
from .lookup import skipped
from .module import blocks_for, cuda_name
from .rows import kernel
from .sort import order_of

_FILE, _THREADS, _WARPS = "embedding.cu", 256, 8  # kRowThreads, kRowWarps
_FROM = 2**20  # elements from which sorting pays
_OFTEN = 256  # names of a row on average, up to which there are warps enough
_INT32 = np.dtype(np.int32)


@add_embedding_rows.kernel
def _(g: Any, index: Any, *, shape: tuple[int, ...], padding_idx: int) -> Any:
    g, index, skip = contiguous(g), contiguous(index), skipped(padding_idx)
    if _sorted_pays(g, index, shape):
        return _summed_in_order(empty(shape, g.dtype), g, index, skip, fresh=True)
    return added(zeros(shape, g.dtype), g, index, (0,), "embedding", skip)


@add_rows_to_table.kernel
def _(total: Any, g: Any, index: Any, *, padding_idx: int) -> Any:
    g, index, skip = contiguous(g), contiguous(index), skipped(padding_idx)
    if g.dtype is not total.dtype or not total.flags.c_contiguous:
        return NotImplemented
    if _sorted_pays(g, index, total.shape):
        _summed_in_order(total, g, index, skip, fresh=False)
        return None
    made = kept(total, added(total, g, index, (0,), "embedding", skip), True)
    return None if made is total else made


def _sorted_pays(g: Any, index: Any, shape: tuple[int, ...]) -> bool:
    rows, n = shape[0], index.size
    if g.dtype not in FLOATS or not g.size or n > _OFTEN * rows or max(n, 2 * rows) >= 2**31:
        return False
    moved = g.size + (rows * shape[1] if g.dtype in LOW_PRECISION else 0)  # which atomic sums convert there and back
    return moved >= _FROM or are_deterministic_algorithms_enabled()


def _summed_in_order(out: Any, g: Any, index: Any, skip: int, fresh: bool) -> Any:
    """`out`, which holds the sums, or if it is not `fresh` has had them added."""
    (rows, width), n = out.shape, np.int64(index.size)
    key, limits = empty((index.size,), _INT32), empty((2, rows), _INT32)
    run = kernel(_FILE, f"row_keys<{cuda_name(index.dtype)}>")
    reported = bounds.words(), number("embedding")
    grid = blocks_for(max(index.size, 2 * rows), _THREADS)
    run(grid, (_THREADS,), (n, index, np.int32(rows), np.int64(skip), key, limits, *reported))
    order = order_of(key, 0)
    run = kernel(_FILE, "row_bounds<long long>")
    run(blocks_for(index.size, _THREADS), (_THREADS,), (n, key, order, np.int32(rows), limits))
    pack = 16 // g.itemsize
    wide = pack if width % pack == 0 and g.data.ptr % 16 == out.data.ptr % 16 == 0 else 1
    steps, types = -(-width // (32 * wide)), f"<{cuda_name(g.dtype)}, {wide}, {'true' if fresh else 'false'}>"
    given = (g, out, order, limits, np.int32(rows), np.int64(width))
    kernel(_FILE, "sum_rows" + types)((-(-rows // _WARPS), -(-steps // 2)), (_THREADS,), given)
    kernel(_FILE, "sum_long_rows" + types)((-(-rows // _THREADS), steps), (_THREADS,), given)
    return out
