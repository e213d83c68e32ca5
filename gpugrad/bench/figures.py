"""The arithmetic of measurements: medians, quartiles, how sure a median is, where two curves cross."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

CONFIDENCE = 0.95


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """An interval that holds the true median: low, high, and the probability with which such an interval does.

    It lies between two of the values, by the binomial distribution of how many fall below the median, whatever theirs
    is. It is the narrowest that is as sure as `confidence`; too few values for that give the widest, which says how
    sure it is (3 values: 0.75).
    """
    ordered = sorted(values)
    n = len(ordered)
    outside = 0.0  # probability that the median lies outside of the k-th lowest and k-th highest value
    found = (ordered[0], ordered[-1], max(0.0, 1 - 2 * 0.5**n))
    for k in range((n + 1) // 2):
        outside += 2 * math.comb(n, k) * 0.5**n
        if 1 - outside < confidence:
            break
        found = (ordered[k], ordered[n - 1 - k], 1 - outside)
    return found


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles, interval of the median with its confidence, and the values themselves."""
    low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
    lowest, highest, confidence = interval(values)
    return {
        "median": middle,
        "quartiles": [low, high],
        "interval": [lowest, highest],
        "confidence": confidence,
        "rounds": list(values),
    }


def half_width(found: dict[str, Any]) -> float:
    """Half the interval of a median, relative to it: 0.02 is plus or minus 2%."""
    low, high = found["interval"]
    return (high - low) / 2 / found["median"]


def overtakes(slow_start: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> float | None:
    """From which size on the first is faster: both are (size, seconds). 0 if it is at every size, None if it ends slower.

    Between two sizes, times are taken to be straight lines in a plot with logarithmic axes.
    """
    seconds = dict(other)
    points = sorted((n, math.log(t / seconds[n])) for n, t in slow_start if n in seconds)
    if not points or points[-1][1] >= 0:
        return None
    for (n0, d0), (n1, d1) in reversed(list(pairwise(points))):
        if d0 >= 0:
            return float(math.exp(math.log(n0) + (math.log(n1) - math.log(n0)) * d0 / (d0 - d1)))
    return 0.0
