"""What the launchers of convolution and pooling share: windows as kernels/window.cuh takes them, and grids over planes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

_THREADS = 256  # kWindowThreads
MAX_ROWS = 65535  # blocks along y
LIMIT = 2**30  # of planes, and of the pixels of one


@functools.cache
def struct(*numbers: int) -> Any:
    """Integers as a kernel takes a struct of 32-bit members."""
    return np.array(numbers, np.int32).view(np.dtype((np.void, 4 * len(numbers))))[0]


def three(sizes: Sequence[int], fill: int = 1) -> tuple[int, ...]:
    """Numbers of one to three axes, filled up in front."""
    return (*(fill,) * (3 - len(sizes)), *sizes)


def windows(
    size: Sequence[int],
    out: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    count_padding: bool = False,
    divisor: int | None = None,
) -> Any:
    """`Windows` of kernels/window.cuh."""
    axes = (three(size), three(out), three(kernel), three(stride), three(padding, 0), three(dilation))
    return struct(*[n for axis in axes for n in axis], int(count_padding), divisor or 0)


def bins(size: Sequence[int], out: Sequence[int]) -> Any:
    """`Bins` of kernels/window.cuh."""
    return struct(*three(size), *three(out))


def fits(planes: int, size: Sequence[int], out: Sequence[int], padding: Sequence[int] = (), taps: int = 1) -> bool:
    """Whether 32 bits hold every place in the kernels."""
    padded = prod(n + 2 * p for n, p in zip(size, padding)) if padding else prod(size)
    return planes < LIMIT and taps < LIMIT and max(padded, prod(out)) < LIMIT


def bins_fit(planes: int, size: Sequence[int], out: Sequence[int]) -> bool:
    """The same of bins."""
    return fits(planes, size, out) and all((n + 1) * (o + 1) < 2 * LIMIT for n, o in zip(size, out))


@functools.lru_cache(maxsize=4096)
def grid(planes: int, count: int, lanes: int = 1) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block for `count` elements of each plane, `lanes` neighbouring threads an element."""
    along = lanes
    while along < _THREADS and along < count * lanes:
        along *= 2
    beside = _THREADS // along
    return (-(-count * lanes // along), min(-(-planes // beside), MAX_ROWS)), (along, beside)
