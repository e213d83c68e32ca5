"""Statistics of order: `median`, `mode`, `quantile`. NaN counts as the largest value, or is left out by `nan...`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..core import Tensor
from ..dtypes import FLOATS, as_dtype
from ..inplace import into
from ..op import op
from .along import check_reducible, chosen, pick_along
from .arithmetic import lerp
from .dims import normalize_dim
from .elementwise import not_implemented
from .numpy_names import numpy_names
from .reduce import numpy_dtype, wide
from .reduce_extrema import share_among_ties
from .sort import sort, stable_order

__all__ = ["median", "mode", "nanmedian", "nanquantile", "quantile"]


def _pick_line(x: Any, index: Any, dim: int, keepdim: bool) -> Any:
    """`x` at `index`, which has size 1 along `dim`."""
    found = np.take_along_axis(x, index, axis=dim)
    return found if keepdim else found.reshape([n for d, n in enumerate(found.shape) if d != dim])


# ---- median ----


@op(name="median_index")
def _median_index(x: Any, *, dim: int, keepdim: bool, skip_nan: bool) -> Any:
    """Where the lower median is; the first NaN, if there is one and NaNs are not skipped."""
    size = x.shape[dim]
    numbers = np.add.reduce(x == x, axis=dim, keepdims=True, dtype=np.int64)
    middle = np.maximum(numbers - 1, 0) // 2
    if np.logical_and.reduce(numbers == size, axis=None):
        order = np.argpartition(wide(x), (size - 1) // 2, axis=dim)
    else:
        order = stable_order(x, dim)
        middle = middle if skip_nan else np.where(numbers < size, numbers, middle)
    return _pick_line(order, middle, dim, keepdim)


@op(name="median")
def _median_of_all(x: Any, *, skip_nan: bool) -> Any:
    flat = x.reshape(-1)
    if not flat.size:
        return np.full_like(flat, np.nan, shape=())
    return flat[_median_index.op.body(flat, dim=0, keepdim=False, skip_nan=skip_nan)]


_median_of_all.defvjp(x=lambda g, x, out: share_among_ties(g, x, out, dim=None, keepdim=False))


def _median(result: Any, input: Any, dim: int | None, keepdim: bool, skip_nan: bool, out: Any) -> Any:
    if numpy_dtype(input) == np.bool_:
        raise not_implemented(result.__name__, np.bool_)
    if dim is not None:
        return chosen(result, input, _median_index, dim, keepdim, out, skip_nan=skip_nan)
    if 0 in input.shape and numpy_dtype(input) not in FLOATS:
        raise RuntimeError(
            f"{result.__name__}(): there is no median of no integers: input has shape {list(input.shape)}"
        )
    return _median_of_all(input, skip_nan=skip_nan)


@numpy_names
def median(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The lower median of everything, or with `dim` `(values, indices)` along it; NaN if there is one, or nothing.

    IndexError if `dim` is out of range or has size 0, RuntimeError for no integers at all, NotImplementedError for bools.
    """
    return _median(return_types.median, input, dim, keepdim, False, out)


@numpy_names
def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """`median` of what is not NaN; NaN if nothing else is there."""
    return _median(return_types.nanmedian, input, dim, keepdim, True, out)


# ---- mode ----


@op(name="mode_index")
def _mode_index(x: Any, *, dim: int, keepdim: bool) -> Any:
    """The last index of the smallest of the most frequent values: where the first longest run of the sorted line ends."""
    order = stable_order(x, dim)
    line = np.moveaxis(np.take_along_axis(x, order, axis=dim), dim, -1)
    places = np.arange(line.shape[-1], like=x)
    begins = np.ones_like(line, np.bool_)
    begins[..., 1:] = line[..., 1:] != line[..., :-1]
    length = places - np.maximum.accumulate(np.where(begins, places, 0), axis=-1)
    ends = np.expand_dims(np.argmax(length, axis=-1), dim)
    return _pick_line(order, ends, dim, keepdim)


@numpy_names
def mode(input: Any, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """`(values, indices)` of the most frequent value along `dim`, the smallest of equally frequent ones.

    The index is its last. IndexError if `dim` is out of range or has size 0.
    """
    return chosen(return_types.mode, input, _mode_index, dim, keepdim, out)


# ---- quantiles ----


@op(name="quantile_places", outputs=3)
def _quantile_places(x: Any, q: Any, *, dim: int, interpolation: str, skip_nan: bool) -> Any:
    """For each q along `dim`: the indices below and above it in the sorted line, and the number of steps in the line."""
    size = x.shape[dim]
    numbers = np.add.reduce(x == x, axis=dim, keepdims=True, dtype=np.int64)
    steps = (np.maximum(numbers, 1) - 1).astype(x.dtype)
    rank = np.where(numbers < (1 if skip_nan else size), x.dtype.type(size - 1), q * steps)
    if interpolation in _ROUNDINGS:
        rank = _ROUNDINGS[interpolation](rank)
    return np.floor(rank).astype(np.int64), np.ceil(rank).astype(np.int64), steps


_ROUNDINGS = {"lower": np.floor, "higher": np.ceil, "nearest": np.rint}


def _quantile(
    name: str, input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool, out: Any
) -> Any:
    q, one = _check_quantile(name, input, q, interpolation)
    x, at = (input.reshape((-1,)), 0) if dim is None else (input, normalize_dim(dim, input.ndim))
    if not x.ndim:
        x = x.reshape((1,))
    check_reducible(name, x, at)
    q = q.reshape((-1,) + (1,) * (x.ndim - at - 1))
    line = sort(x, at).values
    below, above, steps = _quantile_places(x, q, dim=at, interpolation=interpolation, skip_nan=skip_nan)
    found = pick_along(line, below, dim=at, repeats=True)
    if interpolation not in _ROUNDINGS:
        way = 0.5 if interpolation == "midpoint" else q * steps - below
        found = lerp(found, pick_along(line, above, dim=at, repeats=True), way)
    found = found.movedim(at, 0)
    if keepdim:
        kept = [1] * input.ndim if dim is None else [1 if d == at else n for d, n in enumerate(input.shape)]
        found = found.reshape((found.shape[0], *kept))
    elif not input.ndim:
        found = found.reshape((found.shape[0],))
    result = found.reshape(found.shape[1:]) if one else found
    return result if out is None else into(out, result, name)


def _check_quantile(name: str, input: Any, q: Any, interpolation: str) -> tuple[Any, bool]:
    """`q` as a tensor, and whether it is a single number. RuntimeErrors as PyTorch has them.

    A tensor on a device is not looked at, so that nobody waits for it.
    """
    from .create import full, tensor

    dtype = numpy_dtype(input)
    if dtype not in (np.float32, np.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype, got {as_dtype(dtype)}")
    within = not isinstance(q, Tensor) or q.is_cuda or bool(((q >= 0) & (q <= 1)).all())
    if isinstance(q, (int, float)):
        within, q = 0 <= q <= 1, full((), q, dtype=input.dtype, device=input.device)
    elif not isinstance(q, Tensor):
        within, q = all(0 <= x <= 1 for x in np.ravel(q)), tensor(q, dtype=input.dtype, device=input.device)
    if q.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor, got {q.ndim} dimensions")
    if numpy_dtype(q) != dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor, got {q.dtype}")
    if interpolation not in ("linear", "midpoint", *_ROUNDINGS):
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if 0 in input.shape:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if not within:
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    return q, q.ndim == 0


@numpy_names
def quantile(
    input: Any,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Any:
    """The `q`-th quantiles along `dim` (of everything if None), NaN if there is one; `q` is a number or has one dimension.

    Several q come first in the shape. `interpolation` is linear, lower, higher, midpoint or nearest. RuntimeError if
    `input` is empty or not float32 or float64, or q is not in [0, 1].
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False, out)


@numpy_names
def nanquantile(
    input: Any,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Any:
    """`quantile` of what is not NaN; NaN if nothing else is there."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True, out)
