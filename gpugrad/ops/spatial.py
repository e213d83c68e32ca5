"""What convolution, pooling and resampling have in common: arguments per spatial dimension, and the batch dimension."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any


def per_dim(value: Any, dims: int, name: str) -> tuple[int, ...]:
    """One int for each of `dims` spatial dimensions, from an int or as many ints. RuntimeError for another number."""
    if not isinstance(value, Iterable):
        return (operator.index(value),) * dims
    values = tuple(operator.index(v) for v in value)
    if len(values) == 1:
        return values * dims
    if len(values) != dims:
        raise RuntimeError(f"expected {name} to be a single integer value or a list of {dims} values, but got {values}")
    return values


def batched(function: Callable[[Any], Any], input: Any, dims: int, name: str) -> Any:
    """`function(input)` for an (N, C, *) input, and for (C, *) by way of a batch of one.

    RuntimeError unless `input` has `dims` spatial dimensions.
    """
    if input.ndim == dims + 2:
        return function(input)
    if input.ndim != dims + 1:
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got input of size: "
            f"{list(input.shape)}"
        )
    out = function(input.reshape((1, *input.shape)))
    if isinstance(out, tuple):
        return tuple(o.reshape(tuple(o.shape[1:])) for o in out)
    return out.reshape(tuple(out.shape[1:]))
