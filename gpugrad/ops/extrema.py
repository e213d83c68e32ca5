"""The larger and the smaller of two, and bounds: `maximum`, `fmax`, `clamp`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..op import op
from .compare import choose
from .elementwise import binary, widen

__all__ = ["clamp", "clamp_max", "clamp_min", "clip", "fmax", "fmin", "maximum", "minimum"]

# NaN wins in maximum and minimum, which share the gradient in halves at a tie, and loses in fmax and fmin.
maximum = binary("maximum", np.maximum, "is_nan({0}) || {0} >= {1} ? {0} : {1}")
minimum = binary("minimum", np.minimum, "is_nan({0}) || {0} <= {1} ? {0} : {1}")
maximum.defvjp(
    x=lambda g, x, y: choose(x == y, g / 2, choose(x < y, 0, g)),
    y=lambda g, x, y: choose(x == y, g / 2, choose(y < x, 0, g)),
)
minimum.defvjp(
    x=lambda g, x, y: choose(x == y, g / 2, choose(x > y, 0, g)),
    y=lambda g, x, y: choose(x == y, g / 2, choose(y > x, 0, g)),
)

fmax = binary("fmax", np.fmax, "is_nan({1}) || {0} >= {1} ? {0} : {1}")
fmin = binary("fmin", np.fmin, "is_nan({1}) || {0} <= {1} ? {0} : {1}")
fmax.defvjp(
    x=lambda g, x, y: choose((x >= y) | (y != y), g, 0),
    y=lambda g, x, y: choose((x >= y) | (y != y), 0, g),
)
fmin.defvjp(
    x=lambda g, x, y: choose((x <= y) | (y != y), g, 0),
    y=lambda g, x, y: choose((x <= y) | (y != y), 0, g),
)


def _clamp_formula(x: Any, min: Any = None, max: Any = None) -> Any:
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


_clamp = op(
    widen(_clamp_formula), name="clamp", names=("input", "min", "max"), broadcasts=True, promotes=True, formula=True
)


def _inside(g: Any, x: Any, min: Any, max: Any) -> Any:
    """`g` where `x` lies between the bounds, the bounds included."""
    if min is None:
        return choose(x <= max, g, 0)
    return choose(x >= min if max is None else (x >= min) & (x <= max), g, 0)


def _to_min(g: Any, x: Any, min: Any, max: Any) -> Any:
    return choose(x < min if max is None else (x < min) & (min < max), g, 0)


def _to_max(g: Any, x: Any, min: Any, max: Any) -> Any:
    return choose(x > max if min is None else (x > max) | (max < min), g, 0)


_clamp.defvjp(x=_inside, min=_to_min, max=_to_max)


def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """`input` limited to [`min`, `max`], numbers or tensors that broadcast; `max` where the two are in the wrong order.

    RuntimeError if both bounds are None.
    """
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    return _clamp(input, min, max, out=out)


def clamp_min(input: Tensor, min: Any, *, out: Tensor | None = None) -> Tensor:
    """`input`, and `min` where it is less."""
    return clamp(input, min, out=out)


def clamp_max(input: Tensor, max: Any, *, out: Tensor | None = None) -> Tensor:
    """`input`, and `max` where it is more."""
    return clamp(input, None, max, out=out)


clip = clamp
