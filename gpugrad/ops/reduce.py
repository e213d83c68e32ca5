"""Reductions: sums, means, products, extrema, variances, norms.

float16 and bfloat16 are accumulated in float32 and rounded once. A dimension is normalised by the public function; the
ops take a sorted tuple of non-negative dims, or None for all.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import return_types
from ..core import Tensor
from ..dtypes import FLOATS, LOW_PRECISION, as_dtype
from ..inplace import into
from ..op import op
from .cast import cast
from .compare import choose
from .dims import normalize_dim, normalize_dims
from .extrema import maximum, minimum

__all__ = [
    "all",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "logsumexp",
    "max",
    "mean",
    "min",
    "nanmean",
    "nansum",
    "prod",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
]

_add: Any = np.add.reduce
_multiply: Any = np.multiply.reduce
_maximum: Any = np.maximum.reduce
_minimum: Any = np.minimum.reduce
_logical_and: Any = np.logical_and.reduce
_logical_or: Any = np.logical_or.reduce
Dims = Any  # a sorted tuple of ints, or None for all


def _dtype_of(x: Any) -> Any:
    return x._array.dtype if isinstance(x, Tensor) else x.dtype


def _wide(x: Any) -> Any:
    """What `x` is accumulated in: itself, or float32 for half precision."""
    return x.astype(np.float32) if x.dtype in LOW_PRECISION else x


# -------------------------------------------------------------------------------------------- sums and their reverse


@op(name="sum")
def sum_over(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    """The sum of `x` over `dim`; integers and bools are summed as int64."""
    if x.dtype in LOW_PRECISION:
        return _add(x.astype(np.float32), axis=dim, keepdims=keepdim).astype(x.dtype)
    if x.dtype.kind in "biu":
        return _add(x, axis=dim, keepdims=keepdim, dtype=np.int64)
    return _add(x, axis=dim, keepdims=keepdim)


@op
def spread(g: Any, *, shape: tuple[int, ...], dim: Dims, keepdim: bool) -> Any:
    """The reverse of a reduction: `g` repeated along the reduced dimensions, to `shape`."""
    return np.array(np.broadcast_to(restore_dims(g, shape, dim, keepdim), shape))


def restore_dims(g: Any, shape: tuple[int, ...], dim: Dims, keepdim: bool) -> Any:
    """`g`, the result of a reduction of `shape` over `dim`, with the reduced dimensions as size 1."""
    if keepdim:
        return g
    return g.reshape(tuple(1 if dim is None or i in dim else size for i, size in enumerate(shape)))


sum_over.defvjp(x=lambda g, x_shape, *, dim, keepdim: spread(g, shape=x_shape, dim=dim, keepdim=keepdim))
spread.defvjp(g=lambda g, *, dim, keepdim: sum_over(g, dim=dim, keepdim=keepdim))


@op
def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """`x` summed to `shape`, from which it was broadcast."""
    lead = x.ndim - len(shape)
    axes = tuple(i for i in range(x.ndim) if i < lead or (shape[i - lead] == 1 and x.shape[i] != 1))
    return _add(_wide(x), axis=axes, keepdims=True).astype(x.dtype, copy=False).reshape(shape)


@op
def expand_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """`x` broadcast to `shape`, as a copy."""
    return np.array(np.broadcast_to(x, shape))


sum_to.defvjp(x=lambda g, x_shape: expand_to(g, shape=x_shape))
expand_to.defvjp(x=lambda g, x_shape: sum_to(g, shape=x_shape))


def _converted(input: Any, dtype: Any) -> Any:
    return input if dtype is None else cast(input, as_dtype(dtype).numpy)


def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Any:
    """The sum over `dim`, an int or a tuple (all dimensions if None). Integers give int64."""
    dims = None if dim is None else normalize_dims(dim, input.ndim)
    result = sum_over(_converted(input, dtype), dim=dims, keepdim=keepdim)
    return result if out is None else into(out, result, "sum")


def _count(shape: tuple[int, ...], dim: Dims) -> int:
    return math.prod(shape if dim is None else [shape[d] for d in dim])


@op(name="mean")
def mean_over(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    """The mean of a floating `x` over `dim`; NaN of nothing."""
    total = _add(_wide(x), axis=dim, keepdims=keepdim)
    return (total / total.dtype.type(_count(x.shape, dim))).astype(x.dtype, copy=False)


def _mean_rule(g: Any, x_shape: Any, *, dim: Dims, keepdim: bool) -> Any:
    count = _count(x_shape, dim)
    return spread(g / count if count else g, shape=x_shape, dim=dim, keepdim=keepdim)


mean_over.defvjp(x=_mean_rule)


def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Any:
    """The mean over `dim` (all dimensions if None). RuntimeError for integers, unless a floating `dtype` is given."""
    input = _converted(input, dtype)
    if _dtype_of(input) not in FLOATS:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be a floating point dtype. Got: "
            f"{as_dtype(_dtype_of(input))}; use x.float().mean()"
        )
    result = mean_over(input, dim=None if dim is None else normalize_dims(dim, input.ndim), keepdim=keepdim)
    return result if out is None else into(out, result, "mean")


def _without_nan(input: Any) -> Any:
    return choose(input == input, input, 0.0)


def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum, NaNs counted as zero."""
    return sum(_without_nan(input) if _dtype_of(input) in FLOATS else input, dim, keepdim, dtype=dtype)


def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean of what is not NaN."""
    count = sum(cast(input == input, _dtype_of(input)), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


# --------------------------------------------------------------------------------------------------------- products


@op(name="prod")
def prod_over(x: Any, *, dim: Any, keepdim: bool) -> Any:
    """The product of `x` over one dimension, or all."""
    kept = keepdim and dim is not None
    if x.dtype.kind in "biu":
        return _multiply(x, axis=dim, keepdims=kept, dtype=np.int64)
    return _multiply(_wide(x), axis=dim, keepdims=kept).astype(x.dtype)


@op
def exclusive_cumprod(x: Any, *, dim: int, reverse: bool) -> Any:
    """The products of all elements before each one along `dim` (after it, if `reverse`)."""
    moved = np.moveaxis(x, dim, 0)
    moved = moved[::-1] if reverse else moved
    out = np.ones_like(moved)
    np.multiply.accumulate(moved[:-1], axis=0, out=out[1:])
    return np.array(np.moveaxis(out[::-1] if reverse else out, 0, dim))


def _exclusive_rule(g: Any, x: Any, *, dim: int, reverse: bool) -> Any:
    """Element j appears in every product after it: sum over those, each without its factor x_j, one j at a time."""
    parts = []
    size = x.shape[dim]
    for j in range(size):
        mask = np.arange(size).reshape((size,) + (1,) * (x.ndim - dim - 1)) == j
        without = exclusive_cumprod(choose(mask, 1.0, x), dim=dim, reverse=reverse)
        later = np.arange(size) < j if reverse else np.arange(size) > j
        weights = later.reshape((size,) + (1,) * (x.ndim - dim - 1))
        parts.append(sum_over(choose(weights, g * without, 0.0), dim=(dim,), keepdim=True))
    from .join import _cat

    return _cat(*parts, dim=dim) if parts else g * 0


exclusive_cumprod.defvjp(x=_exclusive_rule)


def _prod_rule(g: Any, x: Any, x_shape: Any, *, dim: int | None, keepdim: bool) -> Any:
    """g times the product of all the others: right where elements are zero, too."""
    if dim is None:
        flat = x.reshape((-1,))
        others = _others(flat, 0).reshape(x_shape)
        return g * others
    kept = g if keepdim or not x_shape else g.reshape((*x_shape[:dim], 1, *x_shape[dim + 1 :]))
    return kept * _others(x, dim)


def _others(x: Any, dim: int) -> Any:
    return exclusive_cumprod(x, dim=dim, reverse=False) * exclusive_cumprod(x, dim=dim, reverse=True)


prod_over.defvjp(x=_prod_rule)


def prod(
    input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Any:
    """The product over one dimension, or of everything. Integers give int64."""
    input = _converted(input, dtype)
    one = None if dim is None or input.ndim == 0 else normalize_dim(dim, input.ndim)
    if dim is not None:
        normalize_dim(dim, input.ndim)
    result = prod_over(input, dim=one, keepdim=keepdim)
    return result if out is None else into(out, result, "prod")


# ---------------------------------------------------------------------------------------------------------- extrema


def _share_among_ties(g: Any, out: Any, x: Any, x_shape: Any, *, dim: Dims, keepdim: bool) -> Any:
    """The gradient of an extreme value goes in equal parts to the elements that have it."""
    wide = restore_dims(out, x_shape, dim, keepdim)
    tied = (x == wide) | ((x != x) & (wide != wide))
    mask = cast(tied, _dtype_of(g))
    count = sum_over(mask, dim=dim, keepdim=True) if x_shape else mask
    return mask * (restore_dims(g, x_shape, dim, keepdim) / count)


@op(name="amax")
def amax_over(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    """The largest element over `dim`; NaN if there is one."""
    return _maximum(x, axis=dim, keepdims=keepdim)


@op(name="amin")
def amin_over(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    """The smallest element over `dim`; NaN if there is one."""
    return _minimum(x, axis=dim, keepdims=keepdim)


amax_over.defvjp(x=_share_among_ties)
amin_over.defvjp(x=_share_among_ties)


def _check_not_empty(name: str, input: Any, dims: Dims) -> None:
    for d in range(input.ndim) if dims is None else dims:
        if input.shape[d] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {d} to have non-zero size, but the input has shape {list(input.shape)}"
            )


def _full_check(name: str, input: Any) -> None:
    if 0 in input.shape:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
            "'dim' argument."
        )


def amax(input: Any, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """The largest element over `dim`; ties share the gradient."""
    dims = normalize_dims(dim, input.ndim)
    _check_not_empty("amax", input, dims)
    result = amax_over(input, dim=dims, keepdim=keepdim)
    return result if out is None else into(out, result, "amax")


def amin(input: Any, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """The smallest element over `dim`; ties share the gradient."""
    dims = normalize_dims(dim, input.ndim)
    _check_not_empty("amin", input, dims)
    result = amin_over(input, dim=dims, keepdim=keepdim)
    return result if out is None else into(out, result, "amin")


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element."""
    dims = () if dim is None else dim
    return return_types.aminmax(amin(input, dims, keepdim), amax(input, dims, keepdim))


@op(name="argmax")
def argmax_over(x: Any, *, dim: int | None, keepdim: bool) -> Any:
    """The index of the first largest element (the first NaN, if there is one)."""
    return np.argmax(_wide(x), axis=dim, keepdims=keepdim).astype(np.int64, copy=False)


@op(name="argmin")
def argmin_over(x: Any, *, dim: int | None, keepdim: bool) -> Any:
    """The index of the first smallest element."""
    return np.argmin(_wide(x), axis=dim, keepdims=keepdim).astype(np.int64, copy=False)


def _arg(function: Any, name: str, input: Any, dim: int | None, keepdim: bool) -> Any:
    if dim is None:
        _full_check(name, input)
    else:
        dim = normalize_dim(dim, input.ndim)
        if input.ndim:
            _check_not_empty(name, input, (dim,))
        else:
            dim, keepdim = None, False
    return function(input, dim=dim, keepdim=keepdim)


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the largest element, in the flattened tensor or along `dim`."""
    return _arg(argmax_over, "argmax", input, dim, keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the smallest element, in the flattened tensor or along `dim`."""
    return _arg(argmin_over, "argmin", input, dim, keepdim)


@op
def pick_along(x: Any, index: Any, *, dim: int, keepdim: bool) -> Any:
    """The element of each line of `x` along `dim` at `index` (which has the dimension, with size 1)."""
    out = np.take_along_axis(x, index, axis=dim)
    return out if keepdim else np.array(np.squeeze(out, dim))


@op
def put_along(g: Any, index: Any, *, shape: tuple[int, ...], dim: int, keepdim: bool) -> Any:
    """Zeros of `shape` with `g` at `index` along `dim`: the reverse of `pick_along`."""
    out = np.zeros(shape, g.dtype, like=g)
    np.put_along_axis(out, index, g if keepdim else np.expand_dims(g, dim), axis=dim)
    return out


def _pick_rule(g: Any, index: Any, x_shape: Any, *, dim: int, keepdim: bool) -> Any:
    return put_along(g, index, shape=x_shape, dim=dim, keepdim=keepdim)


def _put_rule(g: Any, index: Any, *, dim: int, keepdim: bool) -> Any:
    return pick_along(g, index, dim=dim, keepdim=keepdim)


pick_along.defvjp(x=_pick_rule)
put_along.defvjp(g=_put_rule)


def _extreme(
    name: str, input: Any, dim: Any, keepdim: bool, out: Any, full: Any, arg: Any, pair: Any, result: Any
) -> Any:
    if dim is None:
        _full_check(name, input)
        return full(input, dim=None, keepdim=False)
    if isinstance(dim, Tensor):
        return pair(input, dim) if out is None else into(out, pair(input, dim), name)
    dim = normalize_dim(dim, input.ndim)
    if input.ndim == 0:
        found = result(full(input, dim=None, keepdim=False), arg(input, dim=None, keepdim=False))
    else:
        _check_not_empty(name, input, (dim,))
        index = arg(input, dim=dim, keepdim=True)
        shown = index if keepdim else index.reshape((*input.shape[:dim], *input.shape[dim + 1 :]))
        found = result(pick_along(input, index, dim=dim, keepdim=keepdim), shown)
    if out is None:
        return found
    return result(*(into(o, r, name) for o, r in zip(out, found, strict=True)))


def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
    """The largest element; with `dim`, (values, indices) along it; with a tensor, the elementwise maximum."""
    if other is not None:
        dim = other
    return _extreme("max", input, dim, keepdim, out, amax_over, argmax_over, maximum, return_types.max)


def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
    """The smallest element; with `dim`, (values, indices) along it; with a tensor, the elementwise minimum."""
    if other is not None:
        dim = other
    return _extreme("min", input, dim, keepdim, out, amin_over, argmin_over, minimum, return_types.min)


# ------------------------------------------------------------------------------------------------------------ logic


@op(name="all")
def _all(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    out = _logical_and(x != 0, axis=dim, keepdims=keepdim)
    return out.astype(np.uint8) if x.dtype == np.uint8 else out


@op(name="any")
def _any(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    out = _logical_or(x != 0, axis=dim, keepdims=keepdim)
    return out.astype(np.uint8) if x.dtype == np.uint8 else out


def all(input: Any, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """Whether all elements are nonzero."""
    result = _all(input, dim=normalize_dims(dim, input.ndim), keepdim=keepdim)
    return result if out is None else into(out, result, "all")


def any(input: Any, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """Whether any element is nonzero."""
    result = _any(input, dim=normalize_dims(dim, input.ndim), keepdim=keepdim)
    return result if out is None else into(out, result, "any")


def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many elements are nonzero."""
    return sum_over(input != 0, dim=normalize_dims(dim, input.ndim), keepdim=False)


# -------------------------------------------------------------------------------------------------- variances, norms


@op(name="var")
def var_over(x: Any, *, dim: Dims, correction: float, keepdim: bool) -> Any:
    """The mean squared distance from the mean, with count - correction in the denominator; two passes."""
    wide = _wide(x)
    count = _count(x.shape, dim)
    centre = _add(wide, axis=dim, keepdims=True) / wide.dtype.type(count)
    total = _add(np.square(wide - centre), axis=dim, keepdims=keepdim)
    return (total / total.dtype.type(np.maximum(count - correction, 0))).astype(x.dtype, copy=False)


def _var_rule(g: Any, x: Any, x_shape: Any, *, dim: Dims, correction: float, keepdim: bool) -> Any:
    freedom = np.maximum(_count(x_shape, dim) - correction, 0)
    factor = float(2 / freedom) if freedom else math.inf
    return restore_dims(g, x_shape, dim, keepdim) * factor * (x - mean_over(x, dim=dim, keepdim=True))


var_over.defvjp(x=_var_rule)


def _variance_arguments(name: str, input: Any, dim: Any, unbiased: Any, correction: Any) -> tuple[Dims, float]:
    """Dims and correction from PyTorch's overloads: (unbiased), (dim, unbiased, ...), (dim, correction=...)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if _dtype_of(input) not in FLOATS:
        raise RuntimeError(f"{name} only support floating point and complex dtypes, got {as_dtype(_dtype_of(input))}")
    dims = normalize_dims(dim, input.ndim)
    amount = correction if correction is not None else 1 if unbiased is None or unbiased else 0
    if _count(input.shape, dims) - amount <= 0:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input "
            "numel divided by output numel).",
            stacklevel=3,
        )
    return dims, amount


def var(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> Any:
    """The variance over `dim`, with `correction` (1 unless given) subtracted from the count."""
    dims, amount = _variance_arguments("var", input, dim, unbiased, correction)
    result = var_over(input, dim=dims, correction=amount, keepdim=keepdim)
    return result if out is None else into(out, result, "var")


def std(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> Any:
    """The square root of `var`; its gradient is 0 where it is 0."""
    dims, amount = _variance_arguments("std", input, dim, unbiased, correction)
    result = root(var_over(input, dim=dims, correction=amount, keepdim=keepdim))
    return result if out is None else into(out, result, "std")


@op(name="std")
def root(x: Any) -> Any:
    """The square root, whose gradient is taken to be 0 at 0."""
    return np.sqrt(x)


root.defvjp(x=lambda g, out: choose(out == 0, 0.0, g / (out * 2)))


def var_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """Variance and mean."""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def std_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """Standard deviation and mean."""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@op(name="logsumexp", to_float=True, promotes=True)
def logsumexp_over(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    """log(sum(exp(x))), shifted by the largest element so that nothing overflows."""
    wide = _wide(x)
    top = _maximum(wide, axis=dim, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, wide.dtype.type(0))
    out = np.log(_add(np.exp(wide - shift), axis=dim, keepdims=True)) + shift
    out = out.astype(x.dtype, copy=False)
    return out if keepdim else np.array(np.squeeze(out, dim if dim is not None else tuple(range(x.ndim))))


def _logsumexp_rule(g: Any, out: Any, x: Any, x_shape: Any, *, dim: Dims, keepdim: bool) -> Any:
    from .unary import exp

    wide = restore_dims(out, x_shape, dim, keepdim)
    shift = choose((wide == math.inf) | (wide == -math.inf), 0.0, wide)
    return restore_dims(g, x_shape, dim, keepdim) * exp(x - shift)


logsumexp_over.defvjp(x=_logsumexp_rule)


def logsumexp(input: Any, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """log(sum(exp(input))) over `dim`, without overflow."""
    result = logsumexp_over(input, dim=normalize_dims(dim, input.ndim), keepdim=keepdim)
    return result if out is None else into(out, result, "logsumexp")
