"""Masks: where a tensor is not zero, and elements read and written where a mask is True."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor, wrap
from ..device import apart
from ..inplace import into
from ..op import op
from .compare import choose
from .reduce import sum_to
from .shape import reshape

__all__ = ["argwhere", "nonzero"]

# ---- reading and writing where a mask is True ----


@op(name="masked_select")
def read_mask(x: Any, mask: Any) -> Any:
    """The elements of `x` where `mask`, which covers the first dimensions of `x`, is True."""
    return x[mask]


@op
def put_at_mask(g: Any, mask: Any, *, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with `g` where `mask` is True."""
    out = np.zeros_like(g, shape=shape)
    out[mask] = g
    return out


read_mask.defvjp(x=lambda g, x_shape, mask: put_at_mask(g, mask, shape=x_shape))
put_at_mask.defvjp(g=lambda g, mask: read_mask(g, mask))


@op(name="masked_fill", broadcasts=True)
def fill_where(x: Any, value: Any, mask: Any) -> Any:
    return choose(mask, value, x)


def _kept(g: Any, mask: Any) -> Any:
    return choose(mask, 0, g)


fill_where.defvjp(
    x=lambda g, mask: _kept(g, mask),
    value=lambda g, value_shape, mask: sum_to(choose(mask, g, 0), shape=value_shape),
)


@op(writes="target")
def write_where(target: Any, value: Any, mask: Any) -> None:
    """Write the 0-d array `value` where `mask`, which broadcasts to `target`, is True: nobody waits for the places."""
    np.copyto(target, value, where=mask, casting="unsafe")


def filled_where(x: Tensor, value: Tensor, mask: Tensor, inplace: bool) -> Tensor:
    """`fill_where`; with `inplace` `x` itself, unless the mask is larger, or a value or mask elsewhere."""
    arrays = x._array, value._array, mask._array
    smaller = mask.ndim <= x.ndim and all(m in (1, n) for m, n in zip(reversed(mask.shape), reversed(x.shape)))
    if not inplace or not smaller or any(apart(arrays[0], y) for y in arrays[1:]):
        return fill_where(x, value, mask)
    write_where(*arrays)
    return x


@op(writes="target")
def put_at_full_mask(target: Any, mask: Any, value: Any) -> None:
    """Write `value`, a vector with an element for each True of `mask`, in order; `mask` is of the shape of `target`."""
    target[mask] = value


# ---- where it is not zero ----


@op
def nonzero_places(mask: Any) -> Any:
    """Where `mask` is not zero: (ndim, n) int64."""
    return np.stack(mask.nonzero())


@op(name="nonzero")
def _nonzero(x: Any) -> Any:
    return np.argwhere(x)


def nonzero(input: Tensor, *, out: Tensor | None = None, as_tuple: bool = False) -> Any:
    """The places where `input` is not zero: (n, ndim) int64, or with `as_tuple` one tensor (n,) per dimension."""
    if as_tuple:
        x = input if input._array.ndim else reshape(input, (1,))
        return tuple([wrap(along) for along in nonzero_places(x._array)])
    result = _nonzero(input)
    return result if out is None else into(out, result, "nonzero")


def argwhere(input: Tensor) -> Tensor:
    """The places where `input` is not zero, (n, ndim) int64."""
    return _nonzero(input)
