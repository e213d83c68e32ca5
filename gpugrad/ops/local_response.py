"""Local response normalization. Krizhevsky et al., "ImageNet classification with deep CNNs" (2012), 3.3."""

from __future__ import annotations

from typing import Any

from .pad import pad
from .pool import avg_pool2d
from .shape import reshape

__all__ = ["local_response_norm"]


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """`input` (N, C, *) divided by `(k + alpha * mean) ** beta`, the mean of the squares of `size` channels around.

    ValueError for fewer than three dimensions.
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if 0 in input.shape:
        return input
    shape = tuple(input.shape)
    squares = reshape(input * input, (shape[0], 1, shape[1], -1))
    padded = pad(squares, (0, 0, size // 2, (size - 1) // 2))
    means = reshape(avg_pool2d(padded, (size, 1), stride=1), shape)
    return input / (means * alpha + k) ** beta
