"""Values that an op refuses: `kernels/within.cu` looks at them, and `bounds` reports when the host next waits."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import bounds
from .copy import contiguous
from .module import blocks_for, cuda_name
from .rows import compute, kernel


def report_outside(x: Any, least: float, most: float, sentence: str) -> None:
    """RuntimeError at the next wait unless all of `x`, floating, lies from `least` to `most`; `sentence` names the op."""
    if x.size:
        wide = compute(x.dtype).type
        given = (
            np.int64(x.size),
            contiguous(x),
            wide(least),
            wide(most),
            bounds.words(),
            np.int32(bounds.number(sentence)),
        )
        kernel("within.cu", f"report_outside<{cuda_name(x.dtype)}>")(blocks_for(x.size, 256), (256,), given)
