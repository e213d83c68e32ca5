"""Losses on the device: what is no formula of theirs.

The squared difference out of formulas and a reduction, as its body counts on NumPy's `out=`; the look at probabilities by
`within`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops.cast import cast
from ..ops.loss import NO_PROBABILITY, _mse_loss, probabilities
from ..ops.reduce import mean_over, sum_over
from .array import DeviceArray
from .within import report_outside

_FLOAT32 = np.dtype(np.float32)


@_mse_loss.kernel
def _(x: Any, y: Any, *, reduction: str) -> Any:
    dtype = x.dtype if type(x) is DeviceArray else y.dtype
    if dtype not in FLOATS:
        return NotImplemented  # the body says what is wrong
    wide = _FLOAT32 if dtype in LOW_PRECISION else dtype  # rounded once
    x, y = (cast(a, wide) if type(a) is DeviceArray else a for a in (x, y))
    difference = x - y
    out = difference * difference
    if reduction != "none":
        out = (mean_over if reduction == "mean" else sum_over)(out, dim=None, keepdim=False)
    return cast(out, dtype)


@probabilities.kernel
def _(x: Any) -> Any:
    if x.dtype in FLOATS:
        report_outside(x, 0, 1, NO_PROBABILITY)
    return x if x.dtype in FLOATS else NotImplemented


__all__: list[str] = []
