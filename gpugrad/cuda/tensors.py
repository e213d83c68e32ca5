"""`Tensors` of kernels/tensors.cuh: pointers to many arrays, passed to a kernel by value."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

LIMIT = 64  # kTensors
_CHUNK_BYTES = 256 * 4 * 16  # kChunkThreads, kChunkPacks, a pack


@functools.cache
def _layout(lists: int, numbers: int) -> np.dtype:
    return np.dtype(
        [
            ("data", np.uint64, (lists, LIMIT)),
            ("number", np.uint64, (numbers, LIMIT)),
            ("size", np.int64, LIMIT),
            ("first", np.int32, LIMIT + 1),
            ("count", np.int32),
        ]
    )


class Table:
    """The arguments of one launch: parallel lists of contiguous arrays of one dtype, at most LIMIT of each.

    Lists that change from launch to launch are pointed to anew with `point`.
    """

    def __init__(self, lists: int, sizes: Sequence[int], itemsize: int, numbers: int = 1) -> None:
        """`numbers`: how many lists of single numbers there are besides, which a kernel may leave alone."""
        self._record = np.zeros(1, _layout(lists, numbers))
        self._bytes = self._record.view(np.dtype((np.void, self._record.nbytes)))
        self._data, self._numbers = self._record["data"][0], self._record["number"][0]
        self._count = count = len(sizes)
        chunk = _CHUNK_BYTES // itemsize
        first = np.cumsum([0, *(-(-size // chunk) for size in sizes)])
        self._record["size"][0, :count] = sizes
        self._record["first"][0, : count + 1] = first
        self._record["count"] = count
        self.blocks = max(1, int(first[-1]))

    def point(self, column: int, arrays: Sequence[Any]) -> None:
        """Make list `column` that of `arrays`."""
        self._data[column, : self._count] = [x.data.ptr for x in arrays]

    def point_numbers(self, column: int, arrays: Sequence[Any]) -> None:
        """Say where the single numbers of list `column` are."""
        self._numbers[column, : self._count] = [x.data.ptr for x in arrays]

    def packed(self) -> Any:
        """The struct as a kernel takes it."""
        return self._bytes[0]
