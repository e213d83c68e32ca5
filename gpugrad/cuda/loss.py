"""The squared difference on the device, out of formulas and a reduction: its body counts on NumPy's `out=`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops.cast import cast
from ..ops.loss import _mse_loss
from ..ops.reduce import mean_over, sum_over
from .array import DeviceArray

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


__all__: list[str] = []
