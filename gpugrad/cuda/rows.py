"""What launchers of row kernels share: arrays in the layout the kernels read, kernels by name, shapes of blocks."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..dtypes import LOW_PRECISION
from ..ops.rearrange import _clone
from .module import Kernel, kernels

LONG_THREADS = 512  # kLongThreads
MOST_COLUMNS = 2**31  # that column_start takes
_CHUNK = 8192  # elements of a long row to a block of an elementwise kernel

_FLOAT32 = np.dtype(np.float32)

Shape = tuple[int, int]  # threads a row, elements a thread

# Where a kernel holds one row. With 32 elements a thread registers are left for 24 warps and more, which hide the latency of
# memory; a row that fills less than half of its threads' elements costs instructions
_SHAPES = ((8, 8), (16, 8), (32, 8), (32, 16), (32, 32), (64, 32), (128, 32), (256, 32), (512, 32))
SHAPES = {
    2: _SHAPES,
    4: ((8, 4), *_SHAPES),
    8: ((8, 8), (16, 8), (32, 8), (32, 32), (128, 32), (256, 32)),
}  # by itemsize


@functools.cache
def kernel(file: str, name: str) -> Kernel:
    """The kernel `gpugrad::<name>` of a file."""
    return kernels(file, f"gpugrad::{name}")[0]


def ready(x: Any) -> Any:
    """`x`, or a copy of it if it is not contiguous or does not begin on a 16-byte boundary."""
    return x if x.flags.c_contiguous and x.data.ptr % 16 == 0 else _clone(x, order="C")


def split(shape: Sequence[int], dim: int) -> tuple[int, int, int]:
    """The product of the sizes before `dim`, its own, and that of those behind."""
    return prod(shape[:dim]), shape[dim], prod(shape[dim + 1 :])


def fitting(shapes: Sequence[Shape], cols: int, itemsize: int) -> Shape | None:
    """The first of `shapes` that holds a row of `cols` elements in registers; None if it is too long for all.

    What is less than 16 bytes before and behind the packs is held besides.
    """
    return next((s for s in shapes if cols < s[0] * s[1] + 16 // itemsize), None)


def row_launch(rows: int, threads: int) -> tuple[tuple[int], tuple[int, int]]:
    """Grid and block of a kernel that gives each row `threads` threads: as many rows to a block as make 128 threads."""
    together = max(1, 128 // threads) if threads <= 32 else 1
    return (-(-rows // together),), (threads, together)


def chunks(rows: int, cols: int, whole: bool = False) -> tuple[int, tuple[int, int], tuple[int, int], Any]:
    """Threads a row, grid, block and `Rows` of a kernel that goes over rows element by element; `whole`: uncut rows."""
    threads = 8 if cols <= 64 else 32 if cols <= 2048 else 256
    chunk = cols if whole or threads < 256 else max(_CHUNK, -(-cols // (65535 * 16)) * 16)
    (lines,), block = row_launch(rows, threads)
    return threads, (lines, -(-cols // chunk)), block, struct(rows, cols, chunk)


def column_launch(columns: int, n: int) -> tuple[tuple[int], tuple[int, int]]:
    """Grid and block of a kernel over columns of `n` elements: about eight elements a thread, 16 threads at most."""
    along = 1
    while along < 16 and along * 8 < n:
        along *= 2
    beside = max(32, 128 // along)
    return (-(-columns // beside),), (beside, along)


@functools.lru_cache(maxsize=4096)
def struct(*numbers: int | float) -> Any:
    """Numbers as a kernel takes a struct whose members are int64 and double, by their Python types."""
    packed = b"".join(np.array(n, np.float64 if isinstance(n, float) else np.int64).tobytes() for n in numbers)
    return np.frombuffer(packed, np.dtype((np.void, len(packed))))[0]


def compute(dtype: Any) -> Any:
    """The dtype that kernels compute a floating dtype in."""
    return _FLOAT32 if dtype in LOW_PRECISION else dtype
