"""What `amp.GradScaler` does to gradients and to its scale: each in few passes, and on a device without the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import op
from .reduce import narrow, wide

__all__: list[str] = []


@op(writes="arrays")
def unscale(*arrays: Any) -> None:
    """Divide arrays in place, and note whether an element of one is infinite or NaN.

    The last two, 0-d and float32, are what to divide by, and what becomes 1 if there is such an element.
    """
    *given, scale, found = arrays
    with np.errstate(all="ignore"):
        inverse = np.float32(1 / np.float64(scale))
        for x in given:
            if not np.isfinite(x).all():
                found[...] = 1
            if inverse != 1:
                x[...] = narrow(wide(x) * inverse, x.dtype)


@op(writes="scale")
def update_scale(scale: Any, tracker: Any, found: Any, *, growth: float, backoff: float, interval: int) -> None:
    """Move on the `scale` (0-d, float32) and how often in a row it was right, `tracker` (0-d, int32).

    If `found` is not 0 the scale is multiplied by `backoff`; after `interval` times without, by `growth`, if that leaves
    it finite.
    """
    if found != 0:
        scale[...] = scale * np.float32(backoff)
        tracker[...] = 0
    elif tracker + 1 == interval:
        with np.errstate(over="ignore"):
            grown = np.float32(scale * growth)
        if np.isfinite(grown):
            scale[...] = grown
        tracker[...] = 0
    else:
        tracker += 1
