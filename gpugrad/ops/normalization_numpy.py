"""Normalization of NumPy arrays, and its gradients, in blocks that stay in the cache.

A block covers part of the first dimension that is not reduced, so that it holds whole groups of what is normalized
together. Half precision is computed in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

_BLOCK_ELEMENTS = 1 << 16

Dims = tuple[int, ...]


def moments(x: np.ndarray, *, dims: Dims) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of `x` over `dims`, which stay with size 1."""
    computing = np.result_type(x.dtype, np.float32)
    count = max(prod([x.shape[d] for d in dims]), 1)
    mean = np.add.reduce(x, axis=dims, keepdims=True, dtype=computing) / count
    variance = np.empty_like(mean)
    for block in _blocks(x.shape, dims):
        centered = x[block] - mean[block]
        np.multiply(centered, centered, out=centered)
        np.add.reduce(centered, axis=dims, keepdims=True, out=variance[block])
    variance /= count
    return mean, variance


def normalize(
    x: np.ndarray, mean: np.ndarray, variance: np.ndarray, weight: Any, bias: Any, *, dims: Dims, eps: float
) -> np.ndarray:
    """`(x - mean) / sqrt(variance + eps) * weight + bias`, in the dtype of `x`; `weight` and `bias` may be None."""
    out = np.empty_like(x, dtype=mean.dtype)
    scale = 1 / np.sqrt(variance + eps)
    for block in _blocks(x.shape, dims):
        part = out[block]
        np.subtract(x[block], mean[block], out=part)
        part *= scale[block]
        if weight is not None:
            part *= _part(weight, block, x.ndim)
        if bias is not None:
            part += _part(bias, block, x.ndim)
    return out.astype(x.dtype, copy=False)


def normalize_gradients(
    g: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    weight: Any,
    needs: Sequence[bool],
    *,
    dims: Dims,
    eps: float,
) -> tuple[Any, Any]:
    """The gradients of `x` (or None) and of `weight` (or None), whose shape it has."""
    count = max(prod([x.shape[d] for d in dims]), 1)
    scale = 1 / np.sqrt(variance + eps)
    dx = np.empty_like(x, dtype=mean.dtype) if needs[0] else None
    dweight = np.zeros_like(weight, dtype=mean.dtype) if needs[1] else None
    for block in _blocks(x.shape, dims):
        x_hat = x[block] - mean[block]
        x_hat *= scale[block]
        product = g[block] * x_hat
        if dweight is not None:
            part = _part(dweight, block, x.ndim)
            part += _sum_to(product, part.shape)
        if dx is None:
            continue
        s = dx[block]
        s[...] = g[block]
        if weight is not None:
            s *= _part(weight, block, x.ndim)
            product *= _part(weight, block, x.ndim)
        s -= np.add.reduce(s, axis=dims, keepdims=True) / count
        x_hat *= np.add.reduce(product, axis=dims, keepdims=True) / count
        s -= x_hat
        s *= scale[block]
    return dx, dweight


def _blocks(shape: Sequence[int], dims: Dims) -> Iterator[tuple[slice, ...]]:
    """Indices of blocks along the first dimension that is not in `dims`; everything at once if there is none."""
    axis = next((d for d in range(len(shape)) if d not in dims), None)
    if axis is None:
        yield (slice(None),)
        return
    length = max(1, _BLOCK_ELEMENTS // max(1, prod(shape) // max(1, shape[axis])))
    for start in range(0, shape[axis], length):
        yield (*(slice(None) for _ in range(axis)), slice(start, start + length))


def _part(parameter: Any, block: tuple[slice, ...], ndim: int) -> Any:
    """What of a parameter that broadcasts to `ndim` dimensions belongs to a block: a view."""
    axis = len(block) - 1 - (ndim - parameter.ndim)
    if axis < 0 or parameter.shape[axis] == 1:
        return parameter
    return parameter[(*(slice(None) for _ in range(axis)), block[-1])]


def _sum_to(x: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    lead = x.ndim - len(shape)
    axes = (*range(lead), *(lead + i for i, size in enumerate(shape) if size == 1))
    return np.add.reduce(x, axis=axes, keepdims=True).reshape(shape)
