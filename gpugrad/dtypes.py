"""Data types: PyTorch's names over NumPy's dtypes, and PyTorch's promotion rules.

A `dtype` is what users see (`gpugrad.float32`); arrays carry the NumPy dtype it wraps (`dtype.numpy`).
Every array inside a Tensor has one of the canonical NumPy dtype objects listed here, so the call path may compare
dtypes with `is`.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np


class dtype:
    """One element type. `numpy` is the NumPy dtype; `itemsize` is in bytes."""

    is_floating_point: bool
    __slots__ = ("category", "is_floating_point", "itemsize", "name", "numpy", "rank")

    def __init__(self, name: str, numpy: Any, category: int, rank: int) -> None:
        self.name = name
        self.numpy = np.dtype(numpy)
        self.category = category  # 0 bool, 1 integer, 2 floating: promotion picks the highest first
        self.rank = rank  # order inside the category
        self.is_floating_point = category == FLOATING
        self.itemsize = self.numpy.itemsize

    is_complex = False

    @property
    def is_signed(self) -> bool:
        return self.category == FLOATING or (self.category == INTEGER and self.numpy.kind == "i")

    def to_complex(self) -> dtype:
        raise complex_not_supported(f"{self}.to_complex()")

    def __repr__(self) -> str:
        return f"gpugrad.{self.name}"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _by_name, (self.name,)


BOOLEAN, INTEGER, FLOATING = 0, 1, 2

bool_ = dtype("bool", np.bool_, BOOLEAN, 0)
uint8 = dtype("uint8", np.uint8, INTEGER, 0)
int8 = dtype("int8", np.int8, INTEGER, 0)
int16 = dtype("int16", np.int16, INTEGER, 1)
int32 = dtype("int32", np.int32, INTEGER, 2)
int64 = dtype("int64", np.int64, INTEGER, 3)
uint16 = dtype("uint16", np.uint16, INTEGER, 1)
uint32 = dtype("uint32", np.uint32, INTEGER, 2)
uint64 = dtype("uint64", np.uint64, INTEGER, 3)
float16 = dtype("float16", np.float16, FLOATING, 0)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOATING, 0)
float32 = dtype("float32", np.float32, FLOATING, 1)
float64 = dtype("float64", np.float64, FLOATING, 2)

ALL = (bool_, uint8, int8, int16, int32, int64, uint16, uint32, uint64, float16, bfloat16, float32, float64)
ALIASES = {"half": float16, "float": float32, "double": float64, "short": int16, "int": int32, "long": int64}

BY_NUMPY: dict[Any, dtype] = {d.numpy: d for d in ALL}
_NAMES = {d.name: d for d in ALL}

# Python scalars are weak: they take a tensor's dtype unless their category is higher. (NumPy knows no weak floats for
# bfloat16, and refuses ints that do not fit: there they are converted first.)
WEAK: dict[Any, tuple[type, ...]] = {
    d.numpy: {FLOATING: (float, int, bool), INTEGER: (int, bool), BOOLEAN: (bool,)}[d.category] for d in ALL
}
WEAK[bfloat16.numpy] = (int, bool)
WEAK |= {
    d.numpy: (bool,) for d in (uint8, int8, int16, int32, uint16, uint32, uint64)
}  # an int may have to wrap around
FLOATS = frozenset(d.numpy for d in ALL if d.is_floating_point)
LOW_PRECISION = frozenset((float16.numpy, bfloat16.numpy))

_default = float32


def _by_name(name: str) -> dtype:
    return _NAMES[name]


def get_default_dtype() -> dtype:
    """The dtype given to Python floats and to factories called without one (float32 unless changed)."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the default floating dtype; TypeError unless `d` is a floating dtype."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d!r}")
    _default = d


def complex_not_supported(what: str) -> NotImplementedError:
    """The error to raise where complex numbers are asked for."""
    return NotImplementedError(f"{what}: complex numbers are not supported; keep real and imaginary parts apart")


def as_dtype(d: Any) -> dtype:
    """`d` as a gpugrad dtype: a dtype, a NumPy dtype or scalar type, or the Python types bool, int, float."""
    if isinstance(d, dtype):
        return d
    if d is float:
        return _default
    if d is int:
        return int64
    try:
        found = BY_NUMPY.get(np.dtype(d))
    except TypeError:
        found = None
    if found is None:
        if d is complex or "complex" in str(d):
            raise complex_not_supported(f"dtype {d}")
        raise TypeError(f"{d!r} is not a data type gpugrad has; it has {', '.join(x.name for x in ALL)}")
    return found


def scalar_dtype(value: complex) -> dtype:
    """The dtype a Python scalar has on its own: bool, int64 or the default floating dtype."""
    if isinstance(value, (bool, np.bool_)):
        return bool_
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, complex):
        raise complex_not_supported(repr(value))
    return _default


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype both convert to, by PyTorch's table.

    https://pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
    """
    a, b = type1, type2
    if a is b:
        return a
    if a.category != b.category:
        return a if a.category > b.category else b
    if a.category == FLOATING:
        if a.rank == b.rank:  # float16 with bfloat16
            return float32
        return a if a.rank > b.rank else b
    return _promote_integers(a, b)


def _promote_integers(a: dtype, b: dtype) -> dtype:
    if a.is_signed == b.is_signed:
        return a if a.rank > b.rank else b
    signed, unsigned = (a, b) if a.is_signed else (b, a)
    if unsigned is not uint8:
        raise TypeError(
            f"Promotion for uint16, uint32, uint64 types is not supported, attempted to promote {a} and {b}"
        )
    return signed if signed.rank > 0 else int16


def result_type_of(parts: list[tuple[dtype, int]]) -> dtype:
    """PyTorch's result dtype of operands given as (dtype, priority).

    Priority 2 is a tensor with dimensions, 1 a 0-d tensor, 0 a Python scalar. An operand of lower priority counts
    only if its category (bool < integer < floating) is above that of every operand of higher priority.
    """
    result: dtype | None = None
    for priority in (2, 1, 0):
        group: dtype | None = None
        for d, p in parts:
            if p == priority:
                group = d if group is None else promote_types(group, d)
        if group is not None and (result is None or group.category > result.category):
            result = group
    assert result is not None
    return result


class finfo:
    """Machine limits of a floating dtype (the default one if none is given)."""

    def __init__(self, type: dtype | None = None) -> None:
        d = _default if type is None else type
        if not d.is_floating_point:
            raise TypeError(f"finfo() needs a floating point dtype, got {d}; use iinfo for integers")
        info = ml_dtypes.finfo(d.numpy)
        self.bits, self.dtype = d.itemsize * 8, d.name
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = float(info.resolution)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Machine limits of an integer dtype."""

    def __init__(self, type: dtype) -> None:
        if type.category != INTEGER:
            raise TypeError(f"iinfo() needs an integer dtype, got {type}; use finfo for floating point")
        info = np.iinfo(type.numpy)
        self.bits, self.dtype, self.max, self.min = info.bits, type.name, int(info.max), int(info.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
