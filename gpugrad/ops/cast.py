"""Conversion between dtypes. The gradient of a conversion is converted back."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..dtypes import FLOATS
from ..op import op
from .dims import memory_order


@op(ordered=False)
def cast_float(x: Any, *, dtype: Any) -> Any:
    """`x` as an array of the floating NumPy dtype `dtype`."""
    return x.astype(dtype, order=memory_order(x))


cast_float.defvjp(x=lambda g: g)  # the walk converts it to the dtype of x


@op(ordered=False)
def cast_other(x: Any, *, dtype: Any) -> Any:
    """`x` as an array of the integer or bool NumPy dtype `dtype`; nothing to differentiate."""
    return x.astype(dtype, order=memory_order(x))


def cast(x: Any, dtype: Any) -> Any:
    """`x`, a Tensor or an array, converted to the NumPy dtype `dtype`; `x` itself if it already is."""
    have = x._array.dtype if isinstance(x, Tensor) else x.dtype
    if have is dtype:
        return x
    return (cast_float if dtype in FLOATS else cast_other)(x, dtype=dtype)
