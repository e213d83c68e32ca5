"""Reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import op


@op
def sum_over(x: Any, *, dim: tuple[int, ...] | None, keepdim: bool) -> Any:
    """The sum of `x` over the dimensions `dim` (all if None)."""
    return np.add.reduce(x, axis=dim, keepdims=keepdim)


sum_over.defvjp(x=lambda g, x_shape, *, dim, keepdim: spread(g, shape=x_shape, dim=dim, keepdim=keepdim))


@op
def spread(g: Any, *, shape: tuple[int, ...], dim: tuple[int, ...] | None, keepdim: bool) -> Any:
    """The reverse of a reduction: `g` repeated along the reduced dimensions, to `shape`."""
    if not keepdim and dim is not None:
        kept = [1 if i in dim else size for i, size in enumerate(shape)]
        g = g.reshape(kept)
    return np.array(np.broadcast_to(g, shape))


spread.defvjp(g=lambda g, *, dim, keepdim: sum_over(g, dim=dim, keepdim=keepdim))


@op
def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """`x` summed to `shape`, from which it was broadcast."""
    lead = x.ndim - len(shape)
    axes = tuple(i for i in range(x.ndim) if i < lead or (shape[i - lead] == 1 and x.shape[i] != 1))
    return np.add.reduce(x, axis=axes, keepdims=True).reshape(shape)


@op
def expand_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """`x` broadcast to `shape`, as a copy."""
    return np.array(np.broadcast_to(x, shape))


sum_to.defvjp(x=lambda g, x_shape: expand_to(g, shape=x_shape))
expand_to.defvjp(x=lambda g, x_shape: sum_to(g, shape=x_shape))


def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    if isinstance(dim, int):
        dim = (dim,)
    return sum_over(input, dim=dim, keepdim=keepdim)
