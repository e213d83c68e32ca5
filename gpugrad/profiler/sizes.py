"""Shapes and bytes of what an op is called with: arrays or Tensors, among numbers, None and tuples of them."""

from __future__ import annotations

from math import prod
from typing import Any

from ..core import Tensor
from ..device import ARRAY_TYPES


def shapes_of(values: Any) -> list[Any]:
    """The shape of each value as a list: [] for a number or None, a list of shapes for a tuple."""
    return [_shape(value) for value in values]


def _shape(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return shapes_of(value)
    return list(value.shape) if isinstance(value, Tensor) or type(value) in ARRAY_TYPES else []


def bytes_of(values: Any) -> int:
    """The bytes of memory that a value, or the values of a tuple, lie in; what is broadcast counts once."""
    total = 0
    for value in values if isinstance(values, (tuple, list)) else (values,):
        if isinstance(value, (tuple, list)):
            total += bytes_of(value)
            continue
        array = value._array if isinstance(value, Tensor) else value
        if type(array) in ARRAY_TYPES:
            strides = array.strides
            total += int(array.nbytes) if 0 not in strides else _bytes_of_view(array, strides)
    return total


def _bytes_of_view(array: Any, strides: tuple[int, ...]) -> int:
    """Of an array along some of whose dimensions all elements are one."""
    return int(array.itemsize * prod([size for size, stride in zip(array.shape, strides) if stride or not size]))
