"""Shapes and bytes of what an op is called with: arrays or Tensors, among numbers, None and tuples of them."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from ..core import Tensor


def arrays_in(values: Any) -> Iterator[Any]:
    """The arrays in a value, or in a tuple of values."""
    if isinstance(values, Tensor):
        yield values._array
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from arrays_in(value)
    elif hasattr(values, "strides"):
        yield values


def shapes_of(values: Any) -> list[Any]:
    """The shape of each value as a list: [] for a number or None, a list of shapes for a tuple."""
    return [_shape(value) for value in values]


def _shape(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return shapes_of(value)
    return list(value.shape) if hasattr(value, "shape") else []


def bytes_of(values: Any) -> int:
    """The bytes of memory that the arrays in `values` lie in; what is broadcast counts once."""
    return sum(_bytes(array) for array in arrays_in(values))


def _bytes(array: Any) -> int:
    strides = array.strides
    if strides is None or 0 not in strides:
        return int(array.nbytes)
    return int(array.itemsize * prod(size for size, stride in zip(array.shape, strides) if stride or not size))
