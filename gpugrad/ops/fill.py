"""The out-of-place meaning of `fill_`, `zero_` and `copy_`: what they replace gets a zero gradient,
whatever comes back: `g * 0` would be NaN where `g` is infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..op import op
from .elementwise import zero
from .reduce import sum_over

__all__: list[str] = []


@op
def _fill(x: Any, *, value: Any) -> Any:
    return np.full_like(x, value)


_fill.defvjp(x=lambda g: zero(g))


@op(name="copy", broadcasts=True)
def copy(x: Any, source: Any) -> Any:
    """`source`, broadcast and converted to the shape and dtype of `x`."""
    if source.ndim > x.ndim:  # NumPy would drop leading dimensions of size 1
        raise RuntimeError(
            f"copy_(): output with shape {[*x.shape]} doesn't match the broadcast shape {[*source.shape]}"
        )
    out = np.empty_like(x)
    np.copyto(out, source, casting="unsafe")
    return out


copy.defvjp(x=lambda g: zero(g), source=lambda g: g)


@op
def _fill_from(x: Any, value: Any) -> Any:
    return np.full_like(x, value)


_fill_from.defvjp(x=lambda g: zero(g), value=lambda g: sum_over(g, dim=None, keepdim=False))


def fill(x: Any, value: Any) -> Any:
    """`value`, a number or a 0-d tensor, in the shape and dtype of `x`."""
    return _fill_from(x, value) if isinstance(value, Tensor) else _fill(x, value=value)
