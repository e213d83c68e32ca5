"""The largest and the smallest element, and where they are: `max`, `amax`, `argmax`, `aminmax`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..core import Tensor
from ..inplace import into
from ..op import op
from .along import check_reducible, chosen, given
from .dims import normalize_dim, normalize_dims
from .extrema import maximum, minimum
from .numpy_names import numpy_names
from .reduce import Dims, Flag, narrow, numpy_dtype, spread, wide

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]

# ---- values: elements that tie share the gradient ----


@op(name="amax")
def amax_over(x: Any, *, dim: Dims, keepdim: Flag) -> Any:
    """The largest element over the dimensions `dim`; NaN if there is one."""
    return np.maximum.reduce(x, axis=dim, keepdims=keepdim)


@op(name="amin")
def amin_over(x: Any, *, dim: Dims, keepdim: Flag) -> Any:
    """The smallest element over the dimensions `dim`; NaN if there is one."""
    return np.minimum.reduce(x, axis=dim, keepdims=keepdim)


@op
def tie_weights(x: Any, chosen: Any, *, dim: Dims, keepdim: bool) -> Any:
    """1/n at each of the n elements of `x` that equal the element `chosen` chosen from them over `dim`, else 0."""
    top = spread(chosen, shape=x.shape, dim=dim, keepdim=keepdim)
    ties = (x == top) | ((x != x) & (top != top))
    return narrow(ties / np.add.reduce(ties, axis=dim, keepdims=True), x.dtype)


def share_among_ties(g: Any, x: Any, out: Any, *, dim: Dims, keepdim: bool) -> Any:
    """The rule of ops that choose an element by its value alone."""
    weights = tie_weights(x, out, dim=dim, keepdim=keepdim)
    return weights * spread(g, shape=tuple(x.shape), dim=dim, keepdim=keepdim)


amax_over.defvjp(x=share_among_ties)
amin_over.defvjp(x=share_among_ties)


def _over(function: Any, name: str, input: Any, dim: Any, keepdim: bool) -> Any:
    dims = normalize_dims(dim, input.ndim)
    if 0 in input.shape:
        if dims is None:
            raise RuntimeError(_empty(name))
        for d in dims:
            check_reducible(name, input, d)
    return function(input, dim=dims, keepdim=keepdim)


def _empty(name: str) -> str:
    return (
        f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
        "'dim' argument."
    )


@numpy_names
def amax(input: Any, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """The largest elements over `dim`, an int or several (all dimensions by default); ties share the gradient.

    IndexError if a dimension to reduce has size 0, RuntimeError if there is no element at all.
    """
    result = _over(amax_over, "amax", input, dim, keepdim)
    return result if out is None else into(out, result, "amax")


@numpy_names
def amin(input: Any, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """The smallest elements over `dim`, an int or several (all dimensions by default); ties share the gradient.

    IndexError if a dimension to reduce has size 0, RuntimeError if there is no element at all.
    """
    result = _over(amin_over, "amin", input, dim, keepdim)
    return result if out is None else into(out, result, "amin")


@numpy_names
def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False, out: Any = None) -> Any:
    """`(min, max)` along `dim` (all dimensions if None); ties share the gradient. Errors as `amax`."""
    least, most = (_over(f, "aminmax", input, dim, keepdim) for f in (amin_over, amax_over))
    return given(return_types.aminmax(least, most), out)


# ---- indices ----


@op(name="argmax")
def _argmax(x: Any, *, dim: int | None, keepdim: bool) -> Any:
    return np.argmax(wide(x), axis=dim, keepdims=keepdim)


@op(name="argmin")
def _argmin(x: Any, *, dim: int | None, keepdim: bool) -> Any:
    return np.argmin(wide(x), axis=dim, keepdims=keepdim)


def _index(function: Any, name: str, input: Any, dim: int | None, keepdim: bool, out: Tensor | None) -> Any:
    if numpy_dtype(input) == np.bool_:
        raise RuntimeError(f"{name}(): does not support bool input; convert it to an integer dtype")
    if dim is not None:
        dim = normalize_dim(dim, input.ndim)
        if input.ndim == 0:
            dim = None
        else:
            check_reducible(name, input, dim)
    elif 0 in input.shape:
        raise IndexError(_empty(name))
    result = function(input, dim=dim, keepdim=keepdim)
    return result if out is None else into(out, result, name)


@numpy_names
def argmax(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """The index (int64) of the first largest element along `dim`, or in the flattened input; NaN counts as largest.

    IndexError if there is nothing to choose from, RuntimeError for bools.
    """
    return _index(_argmax, "argmax", input, dim, keepdim, out)


@numpy_names
def argmin(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None) -> Any:
    """The index (int64) of the first smallest element along `dim`, or in the flattened input; NaN counts as smallest.

    IndexError if there is nothing to choose from, RuntimeError for bools.
    """
    return _index(_argmin, "argmin", input, dim, keepdim, out)


# ---- PyTorch's max and min: three functions each ----


@numpy_names
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
    """`max(x)`: the largest element. `max(x, dim)`: `(values, indices)` along `dim`. `max(x, y)`: `maximum(x, y)`.

    Ties share the gradient of `max(x)`; that of `max(x, dim)` goes to the element at the index, the first largest.
    IndexError if `dim` is out of range or has size 0, RuntimeError if there is no element at all.
    """
    if dim is None and other is None:
        result = _over(amax_over, "max", input, None, keepdim)
        return result if out is None else into(out, result, "max")
    if isinstance(dim, Tensor) or other is not None:
        return maximum(input, dim if other is None else other, out=out)
    return chosen(return_types.max, input, _argmax, dim, keepdim, out)


@numpy_names
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
    """`min(x)`: the smallest element. `min(x, dim)`: `(values, indices)` along `dim`. `min(x, y)`: `minimum(x, y)`.

    Ties share the gradient of `min(x)`; that of `min(x, dim)` goes to the element at the index, the first smallest.
    IndexError if `dim` is out of range or has size 0, RuntimeError if there is no element at all.
    """
    if dim is None and other is None:
        result = _over(amin_over, "min", input, None, keepdim)
        return result if out is None else into(out, result, "min")
    if isinstance(dim, Tensor) or other is not None:
        return minimum(input, dim if other is None else other, out=out)
    return chosen(return_types.min, input, _argmin, dim, keepdim, out)
