"""Variances and what is made of them: `var`, `std`, `cov`, `corrcoef`; and counts by value: `bincount`, `histc`, ..."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import return_types
from ..core import Tensor
from ..dtypes import FLOATS, as_dtype, float64
from ..inplace import into
from ..op import op
from .along import given
from .cast import cast
from .compare import choose
from .dims import normalize_dims
from .join import _stack
from .numpy_names import numpy_names
from .reduce import Dims, Flag, count_over, mean_over, narrow, numpy_dtype, spread, sum, wide
from .reduce_extrema import aminmax

__all__ = ["bincount", "corrcoef", "cov", "histc", "histogram", "std", "std_mean", "var", "var_mean"]

# ---- variance ----


def _variance(x: Any, dim: Dims, correction: float, keepdim: Flag) -> Any:
    """In two passes: the squared distances from the mean, over the degrees of freedom."""
    values = wide(x)
    count = count_over(x.shape, dim)
    centered = values - np.true_divide(np.add.reduce(values, axis=dim, keepdims=True), count)
    freedom = count - correction
    return np.true_divide(np.add.reduce(centered * centered, axis=dim, keepdims=keepdim), freedom if freedom > 0 else 0)


@op(name="var")
def _var(x: Any, *, dim: Dims, correction: float, keepdim: bool) -> Any:
    return narrow(_variance(x, dim, correction, keepdim), x.dtype)


@op(name="std")
def _std(x: Any, *, dim: Dims, correction: float, keepdim: bool) -> Any:
    return narrow(np.sqrt(_variance(x, dim, correction, keepdim)), x.dtype)


def _var_rule(g: Any, x: Any, *, dim: Dims, correction: float, keepdim: bool) -> Any:
    shape = tuple(x.shape)
    freedom = count_over(shape, dim) - correction
    scale = 2 / freedom if freedom > 0 else math.inf
    return spread(g, shape=shape, dim=dim, keepdim=keepdim) * (x - mean_over(x, dim=dim, keepdim=True)) * scale


def _std_rule(g: Any, x: Any, out: Any, *, dim: Dims, correction: float, keepdim: bool) -> Any:
    """As of the square root of the variance, but 0 where that is 0."""
    flat = out == 0
    g = choose(flat, 0, g / (2 * choose(flat, 1, out)))
    return _var_rule(g, x, dim=dim, correction=correction, keepdim=keepdim)


_var.defvjp(x=_var_rule)
_std.defvjp(x=_std_rule)


def _prepare(name: str, input: Any, dim: Any, unbiased: Any, correction: Any) -> tuple[Dims, float]:
    """The dims and the correction that PyTorch's overloads mean: `(unbiased)`, `(dim, unbiased)`, `(dim, correction=)`."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}(): got both unbiased={unbiased} and correction={correction}; give one of them")
    if numpy_dtype(input) not in FLOATS:
        raise RuntimeError(
            f"{name}(): std and var only support floating point dtypes, got {as_dtype(numpy_dtype(input))}; use .float()"
        )
    dims = normalize_dims(dim, input.ndim)
    amount = correction if correction is not None else 1 if unbiased is None else int(unbiased)
    if count_over(input.shape, dims) <= amount:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input "
            "numel divided by output numel).",
            UserWarning,
            stacklevel=4,
        )
    return dims, amount


@numpy_names
def var(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> Any:
    """The variance over `dim` (all dimensions if None): squared distances from the mean, over count - `correction`.

    `correction` is 1, or 0 with `unbiased=False`. If the count is not above it the result is NaN or inf, with a
    warning. RuntimeError for integers and bools.
    """
    dims, amount = _prepare("var", input, dim, unbiased, correction)
    result = _var(input, dim=dims, correction=amount, keepdim=keepdim)
    return result if out is None else into(out, result, "var")


@numpy_names
def std(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> Any:
    """The square root of `var`, with the same arguments; its gradient is 0 where it is 0."""
    dims, amount = _prepare("std", input, dim, unbiased, correction)
    result = _std(input, dim=dims, correction=amount, keepdim=keepdim)
    return result if out is None else into(out, result, "std")


@numpy_names
def var_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Any, Any]:
    """`(var, mean)` over the same dimensions; arguments as of `var`."""
    dims, amount = _prepare("var_mean", input, dim, unbiased, correction)
    spreads = _var(input, dim=dims, correction=amount, keepdim=keepdim)
    return spreads, mean_over(input, dim=dims, keepdim=keepdim)


@numpy_names
def std_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Any, Any]:
    """`(std, mean)` over the same dimensions; arguments as of `var`."""
    dims, amount = _prepare("std_mean", input, dim, unbiased, correction)
    spreads = _std(input, dim=dims, correction=amount, keepdim=keepdim)
    return spreads, mean_over(input, dim=dims, keepdim=keepdim)


# ---- covariance ----


def _weights_of_observations(count: int, fweights: Any, aweights: Any) -> Any:
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is not None and tuple(weights.shape) != (count,):
            raise RuntimeError(
                f"cov(): expected {name} to have one weight for each of the {count} observations, got shape "
                f"{list(weights.shape)}"
            )
        if weights is not None and bool((weights < 0).any()):
            raise RuntimeError(f"cov(): {name} cannot be negative")
    if fweights is not None and numpy_dtype(fweights).kind not in "iu":
        raise RuntimeError(
            f"cov(): expected fweights to have integral dtype, got {fweights.dtype}; aweights may be floating"
        )
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    return fweights * aweights


def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """Covariances of the rows of `input`, (variables, observations) or (observations,): a square matrix, 0-d for one.

    `fweights` says how often each observation was made, `aweights` how much it counts. RuntimeError for more than two
    dimensions or weights of another length.
    """
    if input.ndim > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim}")
    x = input.reshape((1, -1)) if input.ndim < 2 else input
    if numpy_dtype(x) not in FLOATS:
        x = x / 1
    weights = _weights_of_observations(x.shape[1], fweights, aweights)
    if weights is None:
        centered = x - mean_over(x, dim=(1,), keepdim=True)
        weighted, total, norm = centered, x.shape[1], x.shape[1] - correction
        norm = norm if norm > 0 else 0
    else:
        total = sum(weights)
        centered = x - sum(x * weights, 1, True) / total
        weighted = centered * weights
        lost = correction if aweights is None else correction * sum(weights * aweights) / total
        norm = total - lost
        norm = choose(norm > 0, norm, 0)
    result = (weighted @ centered.transpose(0, 1)) / norm
    return result.reshape(()) if x.shape[0] == 1 else result


def corrcoef(input: Any) -> Any:
    """Pearson's correlations of the rows of `input`, between -1 and 1. RuntimeError for more than two dimensions."""
    from .extrema import clamp

    c = cov(input)
    if c.ndim == 0:
        return c / c
    deviations = c.diagonal() ** 0.5
    return clamp(c / deviations.reshape((-1, 1)) / deviations.reshape((1, -1)), -1, 1)


# ---- counts by value ----


def _extremes(input: Any) -> Any:
    """The least and the largest element, read together."""
    return _stack(*aminmax(input), dim=0).tolist()


@op(name="bincount")
def _bincount(x: Any, weights: Any = None, *, bins: int) -> Any:
    made = np.bincount(x, weights, bins)
    return made if weights is None or weights.dtype != np.float32 else made.astype(np.float32)


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each of 0, 1, 2, ... (at least `minlength` of them) is in `input`; with `weights`, their sums.

    RuntimeError unless `input` has one dimension and nothing negative, and `weights` the same shape;
    NotImplementedError for floats and bools.
    """
    if numpy_dtype(input) in FLOATS or numpy_dtype(input) == np.bool_:
        raise NotImplementedError(f"bincount(): not implemented for {as_dtype(numpy_dtype(input))}; use .long() first")
    least, most = _extremes(input) if input.ndim == 1 and len(input) else (0, -1)
    if input.ndim != 1 or least < 0:
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs, got {as_dtype(numpy_dtype(input))} of shape "
            f"{list(input.shape)}"
        )
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    if weights is not None and tuple(weights.shape) != tuple(input.shape):
        raise RuntimeError(
            f"bincount: weights should be 1-d and have the same length as input ({len(input)}), got shape "
            f"{list(weights.shape)}"
        )
    if not len(input):
        weights = None  # PyTorch counts nothing in int64, whatever it weighs
    elif weights is not None and numpy_dtype(weights) != np.float32:
        weights = cast(weights, float64.numpy)
    return _bincount(input, weights, bins=max(most + 1, minlength))


@op(name="histc")
def _histc(x: Any, *, bins: int, range: tuple[float, float]) -> Any:
    return np.histogram(wide(x), bins, range)[0].astype(x.dtype)


def _bounds(name: str, input: Any, least: float, most: float) -> tuple[float, float]:
    """The range of a histogram: as given, that of the data if none is, never empty."""
    if least == most and input.shape.numel():
        least, most = map(float, _extremes(input))
    if not (math.isfinite(least) and math.isfinite(most)):
        raise RuntimeError(f"{name}: range of [{least}, {most}] is not finite")
    if least > most:
        raise RuntimeError(f"{name}: max must be larger than min, got min {least} and max {most}")
    return (least - 1, most + 1) if least == most else (least, most)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None) -> Tensor:
    """How many elements lie in each of `bins` equal parts of [`min`, `max`] (of the data's range if both are 0).

    NotImplementedError for integers, RuntimeError if `bins` is not positive, or the range is not finite or turned around.
    """
    if bins <= 0:
        raise RuntimeError(f"histc(): bins must be > 0, but got {bins}")
    if numpy_dtype(input) not in FLOATS:
        raise NotImplementedError(f"histc(): not implemented for {as_dtype(numpy_dtype(input))}; use .float() first")
    result = _histc(input, bins=bins, range=_bounds("histc", input, min, max))
    return result if out is None else into(out, result, "histc")


@op(name="histogram")
def _histogram(x: Any, edges: Any, weight: Any = None, *, density: bool) -> Any:
    weight = None if weight is None else weight.astype(np.float64)  # NumPy takes differences of their running sums
    return np.histogram(wide(x), wide(edges), weights=weight, density=density)[0].astype(x.dtype)


def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: tuple[float, float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> Any:
    """`(hist, bin_edges)`: how much of `input` (its count, or sum of `weight`) lies between neighbouring edges.

    `bins` is the number of equal parts of `range` (of the data's range by default) or the increasing edges
    themselves. `density` scales the integral to 1. NotImplementedError for integers.
    """
    from .ranges import linspace

    if numpy_dtype(input) not in FLOATS:
        raise NotImplementedError(
            f"histogram(): not implemented for {as_dtype(numpy_dtype(input))}; use .float() first"
        )
    if isinstance(bins, int):
        least, most = _bounds("histogram", input, *(range or (0, 0)))
        bins = linspace(least, most, bins + 1, dtype=input.dtype, device=input.device)
    flat = input.reshape((-1,))
    hist = _histogram(flat, bins, None if weight is None else weight.reshape((-1,)), density=density)
    return given(return_types.histogram(hist, bins), out)
