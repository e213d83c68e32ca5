"""Results of different peers compared before anything is timed: a digest of each, and how far two are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

ENDS = 256  # values at either end: where the last block of a kernel goes wrong
SPREAD = 512  # and in between

# Relative to the largest value: roundings of the dtype, sums in another order, a few steps of training.
TOLERANCES = {"float64": 1e-6, "float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}

Digest = list[dict[str, Any]]


def digest(arrays: Sequence[np.ndarray]) -> Digest:
    """For each array its shape, root mean squares (as it is, and along a ramp: another order shows), and sample values.

    Every value has a part in the mean squares. The samples are the first and the last, and others evenly between.
    """
    found = []
    for array in arrays:
        values = np.asarray(array, dtype=np.float64).ravel()
        size = values.size
        places = np.arange(size) if size <= 2 * ENDS + SPREAD else _places(size)
        ramp = np.linspace(0.5, 1, size)
        means = [math.sqrt(float(np.mean(v * v))) if size else 0.0 for v in (values, values * ramp)]
        found.append({"shape": list(np.shape(array)), "means": means, "values": values[places].tolist()})
    return found


def _places(size: int) -> np.ndarray:
    return np.concatenate(
        (
            np.arange(ENDS),
            np.linspace(ENDS, size - ENDS, SPREAD, endpoint=False).astype(np.int64),
            np.arange(size - ENDS, size),
        )
    )


def difference(found: Digest, reference: Digest) -> float:
    """The largest difference, relative to the largest value of the array concerned; inf for other shapes or NaN."""
    if [part["shape"] for part in found] != [part["shape"] for part in reference]:
        return math.inf
    return max((_apart(a, b) for a, b in zip(found, reference)), default=0.0)


def _apart(found: dict[str, Any], reference: dict[str, Any]) -> float:
    worst = 0.0
    for key in ("means", "values"):
        a, b = np.array(found[key]), np.array(reference[key])
        if b.size:
            scale = float(np.abs(b).max()) or 1.0
            apart = float(np.abs(a - b).max()) / scale
            worst = max(worst, apart if math.isfinite(apart) else math.inf)
    return worst
