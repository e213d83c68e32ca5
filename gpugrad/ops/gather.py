"""Reading and writing along one dimension with an index for every element: gather, scatter and their reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor, wrap
from ..device import arrays_beside
from ..dtypes import FLOATS, as_dtype
from ..errors import no_tensor
from ..inplace import into
from ..op import op
from .compare import choose
from .dims import normalize_dim
from .elementwise import zero
from .extrema import maximum
from .index import add_rows, within
from .shape import broadcast_shapes, expand, part, reshape

__all__ = [
    "gather",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "take_along_dim",
]

# ---- an index for every element ----


def _flat_places(shape: tuple[int, ...], index: Any, dim: int) -> Any:
    """Where in a contiguous array of `shape` the elements lie that `index` names along `dim`."""
    index = index.astype(np.int64, copy=False)
    flat: Any = 0
    step = 1
    for d in reversed(range(len(shape))):
        along = index if d == dim else np.arange(index.shape[d]).reshape((-1,) + (1,) * (index.ndim - d - 1))
        flat = flat + along * step
        step *= shape[d]
    return flat


@op(name="gather")
def _gather(x: Any, index: Any, *, dim: int) -> Any:
    return x.reshape(-1)[_flat_places(x.shape, index, dim)]


def _own(x: Any, inplace: bool) -> Any:
    """A contiguous copy of `x` to write to; with `inplace` `x` itself, which is contiguous then."""
    return x if inplace else x.copy("C")


@op(name="scatter_add")
def _scatter_add(x: Any, src: Any, index: Any, *, dim: int, inplace: bool = False) -> Any:
    return _scattered_sum(_own(x, inplace), src, index, dim)


@op
def scatter_among_zeros(g: Any, index: Any, *, shape: tuple[int, ...], dim: int) -> Any:
    """Zeros of `shape` with `g` added where `index` says: the adjoint of `gather`."""
    return _scattered_sum(np.zeros_like(g, shape=shape, order="C"), g, index, dim)


def _scattered_sum(out: Any, src: Any, index: Any, dim: int) -> Any:
    add_rows(out.reshape(-1, 1), _flat_places(out.shape, index, dim).reshape(-1), src.reshape(-1, 1))
    return out


@op(name="scatter")
def _scatter(x: Any, src: Any, index: Any, *, dim: int, inplace: bool = False) -> Any:
    out = _own(x, inplace)
    out.reshape(-1)[_flat_places(x.shape, index, dim)] = src
    return out


@op(name="scatter_value")
def _scatter_value(x: Any, index: Any, *, dim: int, value: Any, inplace: bool = False) -> Any:
    out = _own(x, inplace)
    out.reshape(-1)[_flat_places(x.shape, index, dim)] = value
    return out


_gather.defvjp(x=lambda g, x_shape, index, *, dim: scatter_among_zeros(g, index, shape=x_shape, dim=dim))
_gather.defadd(lambda total, g, index, *, dim: _scatter_add(total, g, index, dim=dim, inplace=True))
scatter_among_zeros.defvjp(g=lambda g, index, *, dim: _gather(g, index, dim=dim))
_scatter_add.defvjp(x=lambda g: g, src=lambda g, index, *, dim: _gather(g, index, dim=dim))
_scatter.defvjp(
    x=lambda g, index, *, dim: _scatter_value(g, index, dim=dim, value=0),
    src=lambda g, index, *, dim: _gather(g, index, dim=dim),
)
_scatter_value.defvjp(x=lambda g, index, *, dim: _scatter_value(g, index, dim=dim, value=0))


def _checked(input: Tensor, dim: int, index: Tensor, name: str, what: str) -> tuple[Tensor, int, Tensor]:
    """`input` and `index` with at least one dimension, and `dim`; RuntimeError if they do not go together."""
    if not isinstance(index, Tensor):
        raise no_tensor(name, "index", 3, index)
    if index._array.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index, got {as_dtype(index._array.dtype)}; convert it with .long()"
        )
    dim = normalize_dim(dim, input._array.ndim)
    input, index = (reshape(x, (1,)) if x._array.ndim == 0 else x for x in (input, index))
    if index._array.ndim != input._array.ndim and index._array.size:
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as {what} tensor, got "
            f"{index._array.ndim} and {input._array.ndim}"
        )
    size = input._array.shape[dim]
    message = f"{name}(): index {{0}} is out of bounds for dimension {dim} with size {size}"
    within(index._array, low=0, size=size, error=RuntimeError, message=message)
    return input, dim, index


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    """`out[i][j] = input[index[i][j]][j]` for dim 0, and so on; the shape is that of `index`.

    `index` is int64 and no larger than `input` in the other dimensions; RuntimeError otherwise, or out of range.
    """
    x, dim, places = _checked(input, dim, index, "gather", "input")
    shape = index._array.shape
    have, want = x._array.shape, places._array.shape
    if places._array.size and any(w > h for d, (h, w) in enumerate(zip(have, want)) if d != dim):
        wrong = next(d for d, (h, w) in enumerate(zip(have, want)) if d != dim and w > h)
        raise RuntimeError(
            f"gather(): Size does not match at dimension {wrong} expected index {list(want)} to be no larger than self "
            f"{list(have)} apart from dimension {dim}"
        )
    result = _gather(x, places, dim=dim) if places._array.size else part(x, (slice(0, 0),) * x.ndim)
    result = result if result._array.shape == shape else reshape(result, shape)
    return result if out is None else into(out, result, "gather")


def _scatter_args(input: Tensor, dim: int, index: Tensor, src: Any, name: str) -> tuple[Tensor, int, Tensor, Any]:
    """The checked arguments of a scatter; a tensor `src` is narrowed to the shape of `index`."""
    x, dim, places = _checked(input, dim, index, name, "self")
    if not isinstance(src, Tensor):
        return x, dim, places, src
    if src._array.dtype is not x._array.dtype:
        raise RuntimeError(
            f"{name}(): Expected self.dtype to be equal to src.dtype, got {as_dtype(x._array.dtype)} and "
            f"{as_dtype(src._array.dtype)}"
        )
    src = reshape(src, (1,)) if src._array.ndim == 0 else src
    have, want, given = x._array.shape, places._array.shape, src._array.shape
    if places._array.size and src._array.ndim != places._array.ndim:
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as src tensor, got {places._array.ndim} "
            f"and {src._array.ndim}"
        )
    if any(w > s or (w > h and d != dim) for d, (h, w, s) in enumerate(zip(have, want, given))) and places._array.size:
        raise RuntimeError(
            f"{name}(): Expected index {list(want)} to be no larger than self {list(have)} apart from dimension {dim} and to be no "
            f"larger size than src {list(given)}"
        )
    return x, dim, places, src if given == want else part(src, tuple([slice(0, n) for n in want]))


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
    out: Tensor | None = None,
    _inplace: bool = False,
) -> Tensor:
    """A copy of `input` with `src` (a tensor or a number) written where `index` says along `dim`; see `gather`.

    `reduce` "add" or "multiply" combines instead. Where two go to one place, the last in memory order is kept.
    """
    src = value if src is None else src
    if reduce is not None:
        result = _scatter_combine(input, dim, index, src, reduce, _inplace)
        return result if out is None else into(out, result, "scatter")
    x, dim, places, src = _scatter_args(input, dim, index, src, "scatter")
    if places._array.size == 0:
        result = x.clone()
    elif isinstance(src, Tensor):
        result = _scatter(x, src, places, dim=dim, inplace=_inplace)
    else:
        result = _scatter_value(x, places, dim=dim, value=src, inplace=_inplace)
    result = result if result._array.ndim == input._array.ndim else reshape(result, ())
    return result if out is None else into(out, result, "scatter")


def _scatter_combine(input: Tensor, dim: int, index: Tensor, src: Any, reduce: str, inplace: bool) -> Tensor:
    names = {"add": "sum", "multiply": "prod"}
    if reduce not in names:
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce}.")
    if not isinstance(src, Tensor):
        src = wrap(arrays_beside(input._array).full(index._array.shape, src, input._array.dtype))
    return scatter_reduce(input, dim, index, src, names[reduce], _inplace=inplace)


def scatter_add(
    input: Tensor, dim: int, index: Tensor, src: Tensor, *, out: Tensor | None = None, _inplace: bool = False
) -> Tensor:
    """A copy of `input` with `src` added where `index` says along `dim`; see `gather`."""
    x, dim, places, src = _scatter_args(input, dim, index, src, "scatter_add")
    result = _scatter_add(x, src, places, dim=dim, inplace=_inplace) if places._array.size else x.clone()
    result = result if result._array.ndim == input._array.ndim else reshape(result, ())
    return result if out is None else into(out, result, "scatter_add")


# ---- reduced by place ----


@op(name="scatter_prod")
def _scatter_prod(x: Any, src: Any, index: Any, *, dim: int, inplace: bool = False) -> Any:
    out = _own(x, inplace)
    np.multiply.at(out.reshape(-1), _flat_places(x.shape, index, dim).reshape(-1), src.reshape(-1))
    return out


def _scatter_prod_vjp(g: Any, x: Any, src: Any, index: Any, out: Any, *, dim: int) -> tuple[Any, Any, None]:
    """Each factor gets the product of the others: the whole by itself, or, for the only zero, that of the rest."""
    zero_x, zero_src = x == 0, src == 0
    ones = choose(zero_src, zero(src) + 1, zero(src))
    zeros = _scatter_add(
        choose(zero_x, zero(x) + 1, zero(x)), ones, index, dim=dim
    )  # how many zeros meet at each place
    lone_x, lone_src = zero_x & (zeros == 1), zero_src & (_gather(zeros, index, dim=dim) == 1)
    others = _scatter_prod(choose(lone_x, 1, x), choose(lone_src, 1, src), index, dim=dim)
    gx = g * choose(zero_x, choose(lone_x, others, 0), out / choose(zero_x, 1, x))
    by_zero, whole = _gather(g * others, index, dim=dim), _gather(g * out, index, dim=dim)
    return gx, choose(zero_src, choose(lone_src, by_zero, 0), whole / choose(zero_src, 1, src)), None


_scatter_prod.defvjp(_scatter_prod_vjp)


@op(name="scatter_extreme")
def _scatter_extreme(x: Any, src: Any, index: Any, *, dim: int, largest: bool, inplace: bool = False) -> Any:
    out = _own(x, inplace)
    ufunc = np.maximum if largest else np.minimum
    ufunc.at(out.reshape(-1), _flat_places(x.shape, index, dim).reshape(-1), src.reshape(-1))
    return out


def _scatter_extreme_vjp(g: Any, x: Any, src: Any, index: Any, out: Any, *, dim: int) -> tuple[Any, Any, None]:
    """All that equal the extreme share its gradient."""
    hit_x = choose(x == out, zero(g) + 1, zero(g))
    hit_src = choose(src == _gather(out, index, dim=dim), zero(src) + 1, zero(src))
    share = g / _scatter_add(hit_x, hit_src, index, dim=dim)
    return hit_x * share, hit_src * _gather(share, index, dim=dim), None


_scatter_extreme.defvjp(_scatter_extreme_vjp)


def _start_of(reduce: str, dtype: Any) -> Any:
    """What leaves a reduction unchanged."""
    if reduce in ("amax", "amin"):
        if dtype in FLOATS:
            return -np.inf if reduce == "amax" else np.inf
        info = np.iinfo(dtype) if dtype != np.bool_ else None
        return (info.min if reduce == "amax" else info.max) if info else reduce == "amin"
    return 1 if reduce == "prod" else 0


def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
    out: Tensor | None = None,
    _inplace: bool = False,
) -> Tensor:
    """A copy of `input` where all of `src` that goes to one place is reduced: "sum prod mean amax amin".

    What was in that place counts too, if `include_self`. RuntimeError as for `scatter`, or for another `reduce`.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    x, dim, places, src = _scatter_args(input, dim, index, src, "scatter_reduce")
    if places._array.size == 0:
        return input.clone() if out is None else into(out, input.clone(), "scatter_reduce")
    where: dict[str, Any] = {"dim": dim, "inplace": _inplace}
    start = x if include_self else _scatter_value(x, places, value=_start_of(reduce, x._array.dtype), **where)
    if reduce == "prod":
        result = _scatter_prod(start, src, places, **where)
    elif reduce in ("amax", "amin"):
        result = _scatter_extreme(start, src, places, largest=reduce == "amax", **where)
    else:
        result = _scatter_add(start, src, places, **where)
    if reduce == "mean":
        result = _divided(result, _counts(x, places, dim, include_self))
    result = result if result._array.ndim == input._array.ndim else reshape(result, ())
    return result if out is None else into(out, result, "scatter_reduce")


def _counts(x: Tensor, places: Tensor, dim: int, include_self: bool) -> Tensor:
    """How many numbers each mean is of, at least one."""
    full, dtype = arrays_beside(x._array).full, x._array.dtype
    before, ones = full(x._array.shape, int(include_self), dtype), full(places._array.shape, 1, dtype)
    return maximum(wrap(_scatter_add(before, ones, places._array, dim=dim)), 1)


def _divided(total: Tensor, counts: Tensor) -> Tensor:
    return total / counts if total._array.dtype in FLOATS else total // counts


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """`gather` with `input` and `indices` broadcast in the other dimensions; without `dim`, of the flattened tensor."""
    if indices._array.dtype != np.int64:
        raise RuntimeError(
            f"take_along_dim(): dtype of indices should be Long but got {as_dtype(indices._array.dtype)}"
        )
    if dim is None:
        result = gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
        return result if out is None else into(out, result, "take_along_dim")
    if input._array.ndim != indices._array.ndim:
        raise RuntimeError(
            f"take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._array.ndim} dimensions for input, and {indices._array.ndim} dimensions for indices"
        )
    dim = normalize_dim(dim, input._array.ndim)
    have, want = list(input.shape), list(indices.shape)
    size, count, have[dim], want[dim] = have[dim], want[dim], 1, 1
    together = broadcast_shapes(have, want)
    before, after = together[:dim], together[dim + 1 :]
    result = gather(expand(input, (*before, size, *after)), dim, expand(indices, (*before, count, *after)))
    return result if out is None else into(out, result, "take_along_dim")
