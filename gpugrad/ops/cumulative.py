"""Along a dimension, step by step: `cumsum`, `cumprod`, `cummax`, `logcumsumexp`, `diff`, `trapezoid`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import return_types
from ..core import Tensor
from ..dtypes import FLOATS, as_dtype
from ..inplace import into
from ..op import op
from .along import given, pick_along
from .cast import cast
from .compare import choose, logical_xor
from .dims import normalize_dim
from .join import cat
from .reduce import numpy_dtype, wide
from .scan import cumprod_along, cumsum_along, shift, weighted_rest
from .shape import narrow
from .unary import exp

__all__ = [
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "cumulative_trapezoid",
    "diff",
    "logcumsumexp",
    "trapezoid",
    "trapz",
]


def _along(function: Callable[..., Any], input: Any, dim: int, **params: Any) -> Any:
    """`function(input, dim=)`, on a line of one element if `input` is 0-d. IndexError if `dim` is out of range."""
    dim = normalize_dim(dim, input.ndim)
    if input.ndim:
        return function(input, dim=dim, **params)
    return function(input.reshape((1,)), dim=0, **params).reshape(())


# ---- sums and products ----


def _summable(input: Any, dtype: Any) -> Any:
    """`input` in the dtype asked for; integers and bools in int64 if none is."""
    if dtype is not None:
        return cast(input, as_dtype(dtype).numpy)
    return input if numpy_dtype(input) in FLOATS else cast(input, as_dtype(int).numpy)


def cumsum(input: Any, dim: int, *, dtype: Any = None, out: Tensor | None = None) -> Any:
    """The sums of all elements up to each one along `dim`. Integers and bools give int64."""
    result = _along(cumsum_along, _summable(input, dtype), dim, reverse=False)
    return result if out is None else into(out, result, "cumsum")


def cumprod(input: Any, dim: int, *, dtype: Any = None, out: Tensor | None = None) -> Any:
    """The products of all elements up to each one along `dim`. Integers and bools give int64.

    Its gradients, of every order, are right where elements are zero.
    """
    result = _along(cumprod_along, _summable(input, dtype), dim, reverse=False)
    return result if out is None else into(out, result, "cumprod")


# ---- extremes so far ----


@op(name="cummax_indices")
def _extreme_so_far(x: Any, *, dim: int, largest: bool) -> Any:
    """The index of the last element, so far, that equals the extreme so far; NaN stays once it is there."""
    keys = wide(x)
    extreme = (np.maximum if largest else np.minimum).accumulate(keys, axis=dim)
    places = np.arange(x.shape[dim], like=x).reshape((-1,) + (1,) * (x.ndim - dim - 1))
    hits = np.where((keys == extreme) | (keys != keys), places, 0)
    return np.maximum.accumulate(hits, axis=dim)


def _so_far(result: Any, input: Any, dim: int, largest: bool, out: Any) -> Any:
    dim = normalize_dim(dim, input.ndim)
    x = input if input.ndim else input.reshape((1,))
    indices = _extreme_so_far(x, dim=dim, largest=largest)
    values = pick_along(x, indices, dim=dim, repeats=True)
    if not input.ndim:
        values, indices = values.reshape(()), indices.reshape(())
    return given(result(values, indices), out)


def cummax(input: Any, dim: int, *, out: tuple[Tensor, Tensor] | None = None) -> Any:
    """`(values, indices)` of the largest element so far along `dim`, the last of equal ones."""
    return _so_far(return_types.cummax, input, dim, True, out)


def cummin(input: Any, dim: int, *, out: tuple[Tensor, Tensor] | None = None) -> Any:
    """`(values, indices)` of the smallest element so far along `dim`, the last of equal ones."""
    return _so_far(return_types.cummin, input, dim, False, out)


# ---- logarithms of sums of exponentials ----


@op(name="logcumsumexp", promotes=True)
def _logcumsumexp(x: Any, *, dim: int) -> Any:
    return np.logaddexp.accumulate(wide(x), axis=dim).astype(x.dtype, copy=False)


def _logcumsumexp_rule(g: Any, x: Any, out: Any, *, dim: int) -> Any:
    """sum over k from i on of g_k exp(x_i - out_k), by steps exp(out_k - out_(k+1)) <= 1, so that nothing overflows."""
    empty = out == -math.inf
    safe = choose(empty, 0, out)
    steps = choose(empty, 0, exp(safe - shift(safe, by=-1, dim=dim, fill=math.inf)))
    return choose(empty, 0, exp(x - safe) * weighted_rest(g, steps, dim, False))


_logcumsumexp.defvjp(x=_logcumsumexp_rule)


def logcumsumexp(input: Any, dim: int, *, out: Tensor | None = None) -> Any:
    """`log(cumsum(exp(input), dim))` without overflow. NotImplementedError for integers and bools."""
    normalize_dim(dim, input.ndim)
    if numpy_dtype(input) not in FLOATS:
        raise NotImplementedError(f"logcumsumexp(): not implemented for {as_dtype(numpy_dtype(input))}; use .float()")
    result = _along(_logcumsumexp, input, dim)
    return result if out is None else into(out, result, "logcumsumexp")


# ---- differences ----


def _neighbours(x: Any, dim: int) -> tuple[Any, Any]:
    """All elements but the last, and all but the first, along `dim`."""
    count = max(x.shape[dim] - 1, 0)
    return narrow(x, dim, 0, count), narrow(x, dim, x.shape[dim] - count, count)


def diff(
    input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None, *, out: Tensor | None = None
) -> Any:
    """The `n`-th differences of neighbours along `dim`, after `prepend` and `append` have been joined on.

    Bools differ by exclusive or. RuntimeError for a 0-d input or `n` less than 0.
    """
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = normalize_dim(dim, input.ndim)
    parts = [part for part in (prepend, input, append) if part is not None]
    result = cat(parts, dim) if len(parts) > 1 else input.clone() if n == 0 else input
    for _ in range(min(n, result.shape[dim])):
        before, after = _neighbours(result, dim)
        result = logical_xor(after, before) if numpy_dtype(result) == np.bool_ else after - before
    return result if out is None else into(out, result, "diff")


def _strips(y: Any, x: Any, dx: float | None, dim: int) -> Any:
    """The areas between neighbours: mean height times distance."""
    before, after = _neighbours(y, dim)
    if x is None:
        return (before + after) * ((1.0 if dx is None else dx) / 2)
    if dx is not None:
        raise TypeError("trapezoid(): got both x and dx; give one of them")
    along = 0 if x.ndim == 1 else dim - y.ndim + x.ndim
    if x.shape[along] != y.shape[dim]:
        raise RuntimeError(
            f"trapezoid: There must be one `x` value for each sample point: got {x.shape[along]} for {y.shape[dim]}"
        )
    left, right = _neighbours(x, along)
    width = right - left
    if x.ndim == 1:
        width = width.reshape((-1,) + (1,) * (y.ndim - dim - 1))
    return (before + after) * width / 2


def trapezoid(y: Any, x: Any = None, *, dx: float | None = None, dim: int = -1) -> Any:
    """The integral along `dim` of values `y` at places `x` (or `dx` apart, 1 by default), by the trapezoidal rule."""
    dim = normalize_dim(dim, y.ndim)
    return _strips(y, x, dx, dim).sum(dim)


trapz = trapezoid


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float | None = None, dim: int = -1) -> Any:
    """The integrals up to each place but the first, by the trapezoidal rule; arguments as of `trapezoid`."""
    dim = normalize_dim(dim, y.ndim)
    return cumsum(_strips(y, x, dx, dim), dim)
