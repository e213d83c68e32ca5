"""A line search that ends where the strong Wolfe conditions hold.

J. Nocedal and S. Wright, "Numerical Optimization" (2006), 3.5: bracket a good step, then zoom in by cubic
interpolation. Numbers are Python's; only gradients are tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core import Tensor


@dataclass
class Point:
    """What is known of a step of size `t`: the loss, its gradient, and its slope along the line."""

    t: float
    loss: float
    grad: Tensor
    slope: float


def _cubic(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two points and their slopes is least, within `bounds` (the two points by default)."""
    low, high = bounds or (min(a.t, b.t), max(a.t, b.t))
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    if a.t > b.t:
        a, b = b, a
    width = b.slope - a.slope + 2 * d2
    least = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / width) if width else math.nan
    return min(max(least, low), high)


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, Tensor]],
    direction: Tensor,
    start: Point,
    t: float,
    *,
    max_steps: int,
    tolerance: float,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[Point, int]:
    """A step along `direction` from `start` (t = 0), first tried at `t`, and how often `evaluate(t)` was called.

    `evaluate` gives the loss and its gradient after a step of that size.
    """

    def point(t: float) -> Point:
        loss, grad = evaluate(t)
        return Point(t, loss, grad, grad.dot(direction).item())

    def too_high(p: Point) -> bool:
        return p.loss > start.loss + c1 * p.t * start.slope

    bracket, calls, done = _bracket(point, too_high, start, t, max_steps, -c2 * start.slope)
    steps = calls - 1
    size = direction.abs().max().item()
    slow = False
    low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    while not done and steps < max_steps and abs(bracket[1].t - bracket[0].t) * size >= tolerance:
        t, slow = _inside(_cubic(bracket[0], bracket[1]), bracket, slow)
        new = point(t)
        calls += 1
        steps += 1
        if too_high(new) or new.loss >= bracket[low].loss:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        if abs(new.slope) <= -c2 * start.slope:
            done = True
        elif new.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = new
    return bracket[low if len(bracket) > 1 else 0], calls


def _bracket(
    point: Callable[[float], Point],
    too_high: Callable[[Point], bool],
    start: Point,
    t: float,
    max_steps: int,
    flat: float,
) -> tuple[list[Point], int, bool]:
    """Two points with a good step between them, or that step alone; the calls, and whether it was found."""
    previous, new = start, point(t)
    for step in range(max_steps):
        if too_high(new) or (step > 1 and new.loss >= previous.loss):
            return [previous, new], step + 1, False
        if abs(new.slope) <= flat:
            return [new], step + 1, True
        if new.slope >= 0:
            return [previous, new], step + 1, False
        bounds = (new.t + 0.01 * (new.t - previous.t), new.t * 10)
        previous, new = new, point(_cubic(previous, new, bounds))
    return [start, new], max_steps + 1, False


def _inside(t: float, bracket: list[Any], slow: bool) -> tuple[float, bool]:
    """`t` moved away from the ends of the bracket if the search makes no progress there, and whether it did not."""
    low, high = sorted(p.t for p in bracket)
    margin = 0.1 * (high - low)
    if min(high - t, t - low) >= margin:
        return t, False
    if slow or t >= high or t <= low:
        return (high - margin if abs(t - high) < abs(t - low) else low + margin), False
    return t, True
