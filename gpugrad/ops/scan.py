"""Running sums and products along a dimension: the ops behind `cumsum` and `cumprod`, and behind the gradient of `prod`.

Rounding errors add up along a scan, so float32 is accumulated in float64 and half precision in float32, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import bfloat16, float16, float32, float64
from ..op import op

_ACCUMULATED_IN = {
    float16.numpy: float32.numpy,
    bfloat16.numpy: float32.numpy,
    float32.numpy: float64.numpy,
}


def scan(function: Any, x: Any, dim: int, reverse: bool) -> Any:
    """`function` (`np.cumsum` and its like) along `dim` of an array, from its end if `reverse`."""
    ordered = np.flip(x, dim) if reverse else x
    made = function(ordered, axis=dim, dtype=_ACCUMULATED_IN.get(x.dtype, x.dtype)).astype(x.dtype, copy=False)
    return np.ascontiguousarray(np.flip(made, dim)) if reverse else made


@op(name="cumsum")
def cumsum_along(x: Any, *, dim: int, reverse: bool) -> Any:
    """The sums of all elements up to each one along `dim` (from it on, if `reverse`)."""
    return scan(np.cumsum, x, dim, reverse)


cumsum_along.defvjp(x=lambda g, *, dim, reverse: cumsum_along(g, dim=dim, reverse=not reverse))


@op
def shift(x: Any, *, by: int, dim: int, fill: float) -> Any:
    """`x` moved `by` places along `dim`, with `fill` in the places that become free."""
    out = np.full_like(x, fill)
    size = x.shape[dim]
    if abs(by) < size:
        lead = (slice(None),) * dim
        start, stop = (
            (slice(by, None), slice(None, size - by)) if by > 0 else (slice(None, by or None), slice(-by, None))
        )
        out[(*lead, start)] = x[(*lead, stop)]
    return out


shift.defvjp(x=lambda g, *, by, dim: shift(g, by=-by, dim=dim, fill=0))


@op(name="cumprod")
def cumprod_along(x: Any, *, dim: int, reverse: bool) -> Any:
    """The products of all elements up to each one along `dim` (from it on, if `reverse`)."""
    return scan(np.cumprod, x, dim, reverse)


def _cumprod_rule(g: Any, x: Any, *, dim: int, reverse: bool) -> Any:
    """The product of what comes before x_i, times the sum over k from i on of g_k x_(i+1) ... x_k: nothing is divided."""
    step = -1 if reverse else 1
    following = shift(x, by=-step, dim=dim, fill=0)
    return product_before(x, dim, reverse) * weighted_rest(g, following, dim, reverse)


cumprod_along.defvjp(x=_cumprod_rule)


def product_before(x: Any, dim: int, reverse: bool) -> Any:
    """The products of all elements before each one (after it, if `reverse`)."""
    return shift(cumprod_along(x, dim=dim, reverse=reverse), by=-1 if reverse else 1, dim=dim, fill=1)


def product_of_others(x: Any, dim: int) -> Any:
    """The products of all elements along `dim` but each one."""
    return product_before(x, dim, False) * product_before(x, dim, True)


def weighted_rest(g: Any, factors: Any, dim: int, reverse: bool) -> Any:
    """The solution of r_i = g_i + f_i r_(i+1) along `dim` (r_(i-1), if `reverse`).

    By doubling: after each round r_i looks twice as far. That is log2(n) rounds of arithmetic on whole arrays, and
    every order of derivative comes from that of the arithmetic.
    """
    direction = 1 if reverse else -1
    reach = 1
    while reach < g.shape[dim]:
        g = g + factors * shift(g, by=direction * reach, dim=dim, fill=0)
        factors = factors * shift(factors, by=direction * reach, dim=dim, fill=0)
        reach *= 2
    return g
