"""The op table: one row per op drives every check there is of it (see `test_op_table.py`).

A row's `call` takes the module first, gpugrad or torch, so that one text runs both. Samples are tuples of `arr(...)`,
descriptions of inputs from which the same random arrays are made for both.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

NUMPY_DTYPES = {"bfloat16": ml_dtypes.bfloat16}


@dataclass(frozen=True)
class Arr:
    """One input: a shape, a range of values, and a dtype if it is not the one being tested."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    dtype: str | None = None
    values: tuple[Any, ...] | None = None  # exact values, in order, repeated to fill the shape
    distinct: bool = False  # well separated, for ops whose gradient jumps at ties
    make: Callable[[np.random.Generator], np.ndarray] | None = None

    def array(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
        numpy_dtype = np.dtype(NUMPY_DTYPES.get(self.dtype or dtype, self.dtype or dtype))
        size = int(np.prod(self.shape))
        if self.make is not None:
            return np.ascontiguousarray(self.make(rng)).astype(numpy_dtype)
        if self.values is not None:
            return np.resize(np.array(self.values), self.shape).astype(numpy_dtype)
        if numpy_dtype.kind in "iu":
            return rng.integers(
                int(max(self.low, 0 if numpy_dtype.kind == "u" else self.low)), int(self.high), self.shape
            ).astype(numpy_dtype)
        if numpy_dtype.kind == "b":
            return rng.integers(0, 2, self.shape).astype(numpy_dtype)
        if self.distinct:
            steps = np.linspace(self.low, self.high, size) if size > 1 else np.full(size, self.low)
            return rng.permutation(steps).reshape(self.shape).astype(numpy_dtype)
        return np.asarray(rng.uniform(self.low, self.high, self.shape)).astype(numpy_dtype)


def arr(*shape: int, **options: Any) -> Arr:
    """`arr(2, 3)`, `arr()` for 0-d, `arr(3, low=0.1, high=5)`, `arr(4, dtype="int64", high=3)`, `arr(2, values=(..))`."""
    return Arr(tuple(shape), **options)


Sample = tuple[Arr, ...]


@dataclass
class Row:
    """One op. `samples` are checked in float32 and float64 for values, in float64 for both derivatives."""

    name: str
    call: Callable[..., Any]
    samples: list[Sample]
    dtypes: tuple[str, ...] = ("float32", "float64")
    more_dtypes: tuple[str, ...] = ()  # values only: "float16", "bfloat16", "int64", "int32", "uint8", "bool"
    grad: bool = True
    second: bool = True
    smooth: bool = True  # False where a sample is at a kink: compared with PyTorch, not with finite differences
    view: bool = False  # the result shares memory with the first input
    like_torch: bool = True  # False where torch has no such op, or differs and the row says why
    tolerance: dict[str, float] = field(default_factory=dict)  # relative, by dtype
    why: str = ""

    def inputs(self, sample: Sample, dtype: str, other: bool = False) -> list[np.ndarray]:
        """The arrays of one sample: the same for every module that is given them. `other`: of other values."""
        name = f"{self.name}{self.samples.index(sample)}" + "'" * other
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        return [a.array(rng, dtype) for a in sample]


def all_rows() -> list[Row]:
    """The rows of every file in `tests/rows`, in order; a name twice is an error."""
    rows: list[Row] = []
    package = importlib.import_module("rows")
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        rows += importlib.import_module(f"rows.{module}").ROWS
    names = [row.name for row in rows]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})
    return rows
