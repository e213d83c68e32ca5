"""Membership, places by number, and tensors with a part replaced."""

from __future__ import annotations

import builtins
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import as_dtype, get_default_dtype, int64
from ..op import op
from .create import tensor
from .ranges import arange
from .rearrange import clone
from .reduce import wide
from .strided import diagonal

__all__ = ["diagonal_scatter", "isin", "range", "select_scatter", "slice_scatter", "unravel_index"]


@op
def _is_in(x: Any, among: Any, *, invert: bool) -> Any:
    return np.isin(wide(x), wide(among), invert=invert)  # NumPy's sort of bfloat16 is confused by a NaN


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which of `elements` are among `test_elements`, as a bool tensor; which are not, if `invert`.

    One of the two may be a number. `assume_unique` is accepted and changes nothing.
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin(): elements or test_elements must be a Tensor")
    one, other = (x if isinstance(x, Tensor) else tensor(x) for x in (elements, test_elements))
    return _is_in(one, other, invert=invert)


def unravel_index(indices: Tensor, shape: Sequence[int] | int) -> tuple[Tensor, ...]:
    """For places in a flat tensor, those in one of `shape`: an index for each dimension.

    TypeError for indices that are no integers, ValueError for a shape with a negative size.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if indices.dtype.is_floating_point or str(indices.dtype) == "gpugrad.bool":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if any(size < 0 for size in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    strides = [math.prod(sizes[k + 1 :]) for k in builtins.range(len(sizes))]
    return tuple(indices.div(stride, rounding_mode="floor") % size for stride, size in zip(strides, sizes))


def select_scatter(input: Any, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` at `index` of `dim`."""
    out = clone(input)
    out.select(dim, index).copy_(_fitting("select_scatter", src, out.select(dim, index)))
    return out


def slice_scatter(
    input: Any, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with `src` at the slice `start:end:step` of `dim`."""
    out = clone(input)
    place = (slice(None),) * (dim % input.ndim) + (slice(start, end, step),)
    out[place].copy_(_fitting("slice_scatter", src, out[place]))
    return out


def diagonal_scatter(input: Any, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` on a diagonal."""
    out = clone(input)
    there = diagonal(out, offset, dim1, dim2)
    there.copy_(_fitting("diagonal_scatter", src, there))
    return out


def _fitting(name: str, src: Tensor, there: Tensor) -> Tensor:
    """`src`. RuntimeError unless it has the shape of what it replaces."""
    if tuple(src.shape) != tuple(there.shape):
        raise RuntimeError(
            f"{name}(): expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(there.shape)}"
        )
    return src


def range(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`start`, `start + step`, ..., with `end` itself if it is met. Use `arange`, which leaves `end` out, as Python does.

    The default dtype unless given, for whole numbers too. RuntimeError if `end` does not lie in the direction of `step`.
    """
    warnings.warn("range() is deprecated, since it includes its end; use arange()", UserWarning, stacklevel=2)
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError(f"range(): upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    count = math.floor((end - start) / step) + 1
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    places = arange(count, dtype=int64 if not wanted.is_floating_point else wanted, device=device)
    return (places * step + start).to(wanted).requires_grad_(requires_grad)
