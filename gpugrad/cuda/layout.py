"""Where the elements of arrays that broadcast lie: as one stretch of memory, or as few dimensions as will do."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .strides import SMALL, merged

MAX_DIMS = 8  # kMaxDims of kernels/elementwise.cu

ArrayPlace = tuple[Any, Any, int]  # shape, strides in bytes, itemsize


class Layout:
    """How arrays broadcast.

    `flat`: every array has the result's shape and is contiguous, or has one element. Else `sizes` and, for each array,
    `strides` in elements of the dimensions that are left when neighbours are merged; never none.
    `small`: whether 32 bits hold every index.
    """

    def __init__(self, shape: Any, flat: bool, sizes: list[int], strides: list[list[int]]) -> None:
        self.shape, self.flat = shape, flat
        self.sizes, self.strides = sizes or [1], [row or [0] for row in strides]
        self.count = math.prod(shape)
        self.small = self.count < SMALL
        self._takes: dict[int, bool] = {}
        self._axes: dict[Any, Any] = {}

    def takes(self, width: int) -> bool:
        """Whether groups of `width` neighbours lie in one row, and start on its boundaries where they are contiguous."""
        found = self._takes.get(width)
        if found is None:
            inside = (row[-1] != 1 or all(s % width == 0 for s in row[:-1]) for row in self.strides)
            found = self._takes[width] = self.sizes[-1] % width == 0 and all(inside)
        return found

    def axes(self, is_array: tuple[bool, ...], width: int) -> Any:
        """`Axes` of kernels/elementwise.cu, passed by value, for groups of `width`; numbers among the inputs lie still."""
        key = (is_array, width)
        if key not in self._axes:
            self._axes[key] = self._packed(is_array, width)
        return self._axes[key]

    def _packed(self, is_array: tuple[bool, ...], width: int) -> Any:
        n, inputs, rows = len(self.sizes), len(is_array), iter(self.strides)
        table = np.zeros(1 + MAX_DIMS * (1 + inputs) + inputs, np.int64)
        table[0] = n
        table[1 : 1 + n] = self.sizes
        table[n] //= width
        for k, there in enumerate(is_array):
            if there:
                row = next(rows)
                start = 1 + MAX_DIMS * (1 + k)
                table[start : start + n] = row
                table[start + n - 1] *= width
                table[k - inputs] = row[-1]
        return table.view(np.dtype((np.void, table.nbytes)))[0]


@functools.lru_cache(maxsize=4096)
def layout_of(arrays: tuple[ArrayPlace, ...]) -> Layout | None:
    """How arrays of these places broadcast; None if that takes more than MAX_DIMS dimensions.

    ValueError if they do not.
    """
    shape = np.broadcast_shapes(*[a[0] for a in arrays])
    ones = [math.prod(a[0]) == 1 for a in arrays]
    flat = all(one or (a[0] == shape and _contiguous(*a)) for a, one in zip(arrays, ones))
    sizes, strides = merged(shape, [_strides(shape, *a) for a in arrays])
    return Layout(shape, flat, sizes, strides) if len(sizes) <= MAX_DIMS else None


def _contiguous(shape: Any, strides: Any, itemsize: int) -> bool:
    expected = itemsize
    for n, stride in zip(reversed(shape), reversed(strides)):
        if n != 1 and stride != expected:
            return False
        expected *= n
    return True


def _strides(shape: Any, own: Any, strides: Any, itemsize: int) -> list[int]:
    """The strides of an array, in elements, over the broadcast shape: 0 where it is repeated."""
    lead = len(shape) - len(own)
    return [0] * lead + [0 if n == 1 else s // itemsize for n, s in zip(own, strides)]
