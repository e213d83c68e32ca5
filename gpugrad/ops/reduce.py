"""Reductions: sums, means, products, truth, counts, `logsumexp`; and the two that undo broadcasting.

The ops take dimensions normalised: a sorted tuple of non-negative ints, or None for all. float16 and bfloat16 are
accumulated in float32 and rounded once; integers and bools are summed in int64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import FLOATS, LOW_PRECISION, as_dtype
from ..inplace import into
from ..op import op
from .cast import cast
from .compare import choose, isnan, logical_not
from .dims import normalize_dim, normalize_dims
from .matrix_numpy import column_sums
from .numpy_names import numpy_names
from .scan import product_of_others
from .unary import exp

__all__ = ["all", "any", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "sum"]

Dims = Any  # a sorted tuple of non-negative ints, or None for all dimensions
Flag = Any  # a bool: NumPy's stubs tell reductions apart by literal True and False


def wide(x: Any) -> Any:
    """The array `x` in the dtype it is computed with: float32 for half precision."""
    return x.astype(np.float32) if x.dtype in LOW_PRECISION else x


def narrow(made: Any, dtype: Any) -> Any:
    """A result back in `dtype`."""
    return made if made.dtype is dtype else made.astype(dtype)


def numpy_dtype(x: Any) -> Any:
    """The NumPy dtype of a Tensor or an array."""
    return x._array.dtype if isinstance(x, Tensor) else x.dtype


def count_over(shape: tuple[int, ...], dim: Dims) -> int:
    """How many elements each result of a reduction is made of."""
    return math.prod(shape if dim is None else [shape[d] for d in dim])


def _converted(input: Any, dtype: Any) -> Any:
    return input if dtype is None else cast(input, as_dtype(dtype).numpy)


# ---- sums, and the reverse of sums ----


@op(name="sum")
def sum_over(x: Any, *, dim: Dims, keepdim: Flag) -> Any:
    """The sum of `x` over the dimensions `dim`."""
    dtype = x.dtype
    if dtype in LOW_PRECISION:
        return np.add.reduce(x.astype(np.float32), axis=dim, keepdims=keepdim).astype(dtype)
    if dim == (0,) and x.ndim == 2 and not keepdim and dtype in FLOATS:
        return column_sums(x)
    summed_in: Any = None if dtype in FLOATS else np.int64
    return np.add.reduce(x, axis=dim, dtype=summed_in, keepdims=keepdim)


@op
def spread(g: Any, *, shape: tuple[int, ...], dim: Dims, keepdim: bool) -> Any:
    """The reverse of a reduction: `g` repeated along the reduced dimensions, to `shape`."""
    out = np.empty_like(g, shape=shape, order="C")
    out[...] = g if keepdim or dim is None else g.reshape([1 if d in dim else n for d, n in enumerate(shape)])
    return out


sum_over.defvjp(x=lambda g, x_shape, *, dim, keepdim: spread(g, shape=x_shape, dim=dim, keepdim=keepdim))
spread.defvjp(g=lambda g, *, dim, keepdim: sum_over(g, dim=dim, keepdim=keepdim))


@op
def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """`x` summed to `shape`, from which it was broadcast."""
    lead = x.ndim - len(shape)
    if x.ndim == 2 and lead == 1 and shape[0] == x.shape[1] and x.dtype not in LOW_PRECISION:
        return column_sums(x)
    axes = tuple(i for i in range(x.ndim) if i < lead or (shape[i - lead] == 1 and x.shape[i] != 1))
    return narrow(np.add.reduce(wide(x), axis=axes, keepdims=True), x.dtype).reshape(shape)


@op
def expand_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """`x` broadcast to `shape`, as a copy."""
    out = np.empty_like(x, shape=shape, order="C")
    out[...] = x
    return out


sum_to.defvjp(x=lambda g, x_shape: expand_to(g, shape=x_shape))
expand_to.defvjp(x=lambda g, x_shape: sum_to(g, shape=x_shape))


@numpy_names
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Any:
    """The sum over `dim`, an int or several (all dimensions if None). Integers and bools give int64.

    IndexError if a dimension is out of range, RuntimeError if it is named twice.
    """
    if dim is not None:
        dim = normalize_dims(dim, input.ndim)
    result = _converted(sum_over(_converted(input, dtype), dim=dim, keepdim=keepdim), dtype)
    return result if out is None else into(out, result, "sum")


@numpy_names
def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Any:
    """The sum over `dim` (all dimensions if None) of what is not NaN."""
    if numpy_dtype(input) in FLOATS:
        input = choose(isnan(input), 0, input)
    return sum(input, dim, keepdim, dtype=dtype, out=out)


# ---- means ----


@op(name="mean")
def mean_over(x: Any, *, dim: Dims, keepdim: Flag) -> Any:
    """The mean of a floating `x` over the dimensions `dim`; NaN if there is nothing there."""
    total = np.add.reduce(wide(x), axis=dim, keepdims=keepdim)
    return narrow(np.true_divide(total, count_over(x.shape, dim)), x.dtype)


def _mean_rule(g: Any, x_shape: tuple[int, ...], *, dim: Dims, keepdim: bool) -> Any:
    return spread(g / count_over(x_shape, dim), shape=x_shape, dim=dim, keepdim=keepdim)


mean_over.defvjp(x=_mean_rule)


@numpy_names
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Any:
    """The mean over `dim`, an int or several (all dimensions if None); NaN of nothing.

    RuntimeError for integers and bools, unless a floating `dtype` to compute in is given.
    """
    input = _converted(input, dtype)
    if numpy_dtype(input) not in FLOATS:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be a floating point dtype. Got: "
            f"{as_dtype(numpy_dtype(input))}; give a floating dtype="
        )
    if dim is not None:
        dim = normalize_dims(dim, input.ndim)
    result = mean_over(input, dim=dim, keepdim=keepdim)
    return result if out is None else into(out, result, "mean")


@numpy_names
def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Any:
    """The mean over `dim` (all dimensions if None) of what is not NaN. RuntimeError for integers and bools."""
    if numpy_dtype(input) not in FLOATS:
        raise RuntimeError(
            f"nanmean(): expected input to have floating point dtype but got {as_dtype(numpy_dtype(input))}"
        )
    total = nansum(input, dim, keepdim, dtype=dtype)
    result = total / cast(sum(logical_not(isnan(input)), dim, keepdim), numpy_dtype(total))
    return result if out is None else into(out, result, "nanmean")


# ---- products ----


@op(name="prod")
def prod_over(x: Any, *, dim: Any, keepdim: Flag) -> Any:
    """The product of `x` along `dim` (of everything if None)."""
    dtype: Any = None if x.dtype in FLOATS else np.int64
    made = np.multiply.reduce(wide(x), axis=dim, dtype=dtype, keepdims=keepdim)
    return narrow(made, x.dtype) if dtype is None else made


def _prod_rule(g: Any, x: Any, *, dim: int | None, keepdim: bool) -> Any:
    if dim is None:
        others = product_of_others(x.reshape((-1,)), 0).reshape(x.shape)
    else:
        others = product_of_others(x, dim)
    return others * spread(g, shape=tuple(x.shape), dim=None if dim is None else (dim,), keepdim=keepdim)


prod_over.defvjp(x=_prod_rule)


@numpy_names
def prod(
    input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Any:
    """The product along `dim` (of everything if None); 1 of nothing. Integers and bools give int64.

    Its gradients, of every order, are right where elements are zero. IndexError if `dim` is out of range.
    """
    if dim is not None:
        dim = normalize_dim(dim, input.ndim)
    result = prod_over(_converted(input, dtype), dim=dim if input.ndim else None, keepdim=keepdim)
    result = _converted(result, dtype)
    return result if out is None else into(out, result, "prod")


# ---- truth and counts ----


def _truth(made: Any, x: Any) -> Any:
    return made.astype(np.uint8) if x.dtype == np.uint8 else made


def _truth_dims(dim: Any, ndim: int) -> Dims:
    """`dim` of `all` and `any`, where `()` means none: PyTorch's other reductions read it as all."""
    return () if isinstance(dim, (tuple, list)) and not dim else normalize_dims(dim, ndim)


@op(name="all")
def _all(x: Any, *, dim: Dims, keepdim: Flag) -> Any:
    return _truth(np.logical_and.reduce(x, axis=dim, keepdims=keepdim), x)


@op(name="any")
def _any(x: Any, *, dim: Dims, keepdim: Flag) -> Any:
    return _truth(np.logical_or.reduce(x, axis=dim, keepdims=keepdim), x)


@numpy_names
def all(input: Any, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """Whether no element is zero, over `dim` (all dimensions if None): bool, but uint8 for uint8."""
    result = _all(input, dim=_truth_dims(dim, input.ndim), keepdim=keepdim)
    return result if out is None else into(out, result, "all")


@numpy_names
def any(input: Any, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """Whether some element is not zero, over `dim` (all dimensions if None): bool, but uint8 for uint8."""
    result = _any(input, dim=_truth_dims(dim, input.ndim), keepdim=keepdim)
    return result if out is None else into(out, result, "any")


@op(name="count_nonzero")
def _count_nonzero(x: Any, *, dim: Dims) -> Any:
    return np.add.reduce(x != 0, axis=dim, dtype=np.int64)


@numpy_names
def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many elements are not zero, over `dim` (all dimensions if None): int64."""
    return _count_nonzero(input, dim=normalize_dims(dim, input.ndim))


# ---- logarithm of a sum of exponentials ----


@op(name="logsumexp", promotes=True, to_float=True)
def _logsumexp(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    values = wide(x)
    top = np.maximum.reduce(values, axis=dim, keepdims=True, initial=-np.inf)
    top = np.where(np.isinf(top), np.zeros_like(top), top)
    made = np.log(np.add.reduce(np.exp(values - top), axis=dim, keepdims=True)) + top
    kept = made.shape if keepdim else [n for d, n in enumerate(made.shape) if dim is not None and d not in dim]
    return narrow(made.reshape(kept), x.dtype)


def _logsumexp_rule(g: Any, x: Any, out: Any, *, dim: Dims, keepdim: bool) -> Any:
    """g softmax(x)."""
    shape = tuple(x.shape)
    out = spread(out, shape=shape, dim=dim, keepdim=keepdim)
    return spread(g, shape=shape, dim=dim, keepdim=keepdim) * exp(x - out)


_logsumexp.defvjp(x=_logsumexp_rule)


@numpy_names
def logsumexp(input: Any, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """`log(sum(exp(input)))` over `dim`, an int or several, without overflow; -inf of nothing."""
    result = _logsumexp(input, dim=normalize_dims(dim, input.ndim), keepdim=keepdim)
    return result if out is None else into(out, result, "logsumexp")
