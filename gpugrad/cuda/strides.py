"""How arrays are walked together, as kernels/strides.cuh takes it: sizes, strides, and how many elements move as one."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

MAX_DIMS = 8  # kWalkDims
SMALL = 2**31 - 2**20  # elements and reach that `int` can count, with room for a last step
_BITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned", 8: "unsigned long long", 16: "gpugrad::Wide"}
_BITS_DTYPES = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def bits(itemsize: int) -> str:
    """The type that elements of so many bytes are moved as where they stay what they are."""
    return _BITS[itemsize]


def pattern(value: Any, dtype: Any) -> Any:
    """The bits of a number in `dtype`."""
    kind: Any = type(value)
    return _pattern(value, kind, math.copysign(1.0, value), dtype)


@functools.lru_cache(maxsize=1024)
def _pattern(value: Any, kind: Any, sign: float, dtype: Any) -> Any:
    return np.asarray(value).astype(dtype).reshape(1).view(_BITS_DTYPES[dtype.itemsize])[0]


def alignment(*addresses: int) -> int:
    """The largest power of two, at most 16, that divides all addresses."""
    together = functools.reduce(int.__or__, addresses) & 15
    return together & -together or 16


@functools.lru_cache(maxsize=4096)
def struct(*numbers: int) -> Any:
    """Integers as a kernel takes a struct of 64-bit members."""
    return np.array(numbers, np.int64).view(np.dtype((np.void, 8 * len(numbers))))[0]


def padded(numbers: Any) -> tuple[int, ...]:
    """`numbers` filled up to the dimensions of a `Walk`."""
    return (*numbers, *(0,) * (MAX_DIMS - len(numbers)))


def walk(sizes: Any, *strides: Any) -> Any:
    """`Walk` of kernels/strides.cuh."""
    return struct(len(sizes), *padded(sizes), *itertools.chain.from_iterable(map(padded, strides)))


def index_type(sizes: Any, *strides: Any) -> str:
    """`int` if it can count the elements and reach all of them, else `long long`."""
    reach = [sum(abs(s) * (n - 1) for s, n in zip(row, sizes)) for row in strides]
    return "int" if max(math.prod(sizes), *reach) < SMALL else "long long"


def merged(shape: Any, strides: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """The dimensions without those of size 1, neighbours that every array walks through evenly made one."""
    sizes: list[int] = []
    rows: list[list[int]] = [[] for _ in strides]
    for d, n in enumerate(shape):
        if n == 1:
            continue
        if sizes and all(row[-1] == s[d] * n for row, s in zip(rows, strides)):
            sizes[-1] *= n
            for row, s in zip(rows, strides):
                row[-1] = s[d]
        else:
            sizes.append(n)
            for row, s in zip(rows, strides):
                row.append(s[d])
    return sizes, rows


def widening(itemsize: int, aligned: int, sizes: Any, *strides: Any) -> int:
    """How many neighbours can be moved as one: all strides are multiples of it, and they lie on its boundary.

    The last of each row of `strides` is that of the last of `sizes`, which is to be 1.
    """
    if any(row[-1] != 1 for row in strides):
        return 1
    factor = max(1, aligned // itemsize)
    while factor > 1 and (sizes[-1] % factor or any(s % factor for row in strides for s in row[:-1])):
        factor //= 2
    return factor
