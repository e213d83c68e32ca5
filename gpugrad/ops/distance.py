"""Lengths of vectors, distances and angles between them."""

from __future__ import annotations

import math
from typing import Any

from ..core import Tensor
from ..dtypes import FLOATS
from ..inplace import into
from .arithmetic import abs
from .cast import cast
from .compare import choose
from .create import result_type
from .dims import normalize_dims
from .extrema import clamp_min
from .reduce import sum_over
from .shape import broadcast_tensors
from .unary import sqrt

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


def _length(x: Any, p: float, dim: tuple[int, ...] | None, keepdim: bool) -> Any:
    """The `p`-norm along `dim`; its gradient is 0 at 0."""
    if p == 2:
        squares = sum_over(x * x, dim=dim, keepdim=keepdim)
        at_zero = squares == 0
        return choose(at_zero, 0, sqrt(choose(at_zero, 1, squares)))
    if p == 1:
        return sum_over(abs(x), dim=dim, keepdim=keepdim)
    if not math.isinf(p) and p > 0:
        powers = sum_over(abs(x) ** p, dim=dim, keepdim=keepdim)
        at_zero = powers == 0
        return choose(at_zero, 0, choose(at_zero, 1, powers) ** (1 / p))
    from .linalg_norm import norm

    return norm(x, p, dim, keepdim)


def _check_floating(name: str, *inputs: Any) -> None:
    if all(x.dtype.numpy not in FLOATS for x in inputs):
        raise RuntimeError(f"{name}: expected a floating point tensor, got {inputs[0].dtype}; convert it with .float()")


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The `p`-norm of `x1 - x2 + eps` along the last dimension."""
    difference = x1 - x2 + eps
    return _length(difference, p, normalize_dims(-1, difference.ndim), keepdim)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along `dim` of what the two broadcast to; lengths are at least `eps`.

    IndexError for a bad `dim`.
    """
    _check_floating("cosine_similarity", x1, x2)
    dtype = result_type(x1, x2)
    if x1.shape != x2.shape:
        x1, x2 = broadcast_tensors(x1, x2)
    dims = normalize_dims(dim, x1.ndim)
    one, two = (x / clamp_min(_length(x, 2, dims, True), eps) for x in (cast(x1, dtype.numpy), cast(x2, dtype.numpy)))
    return sum_over(one * two, dim=dims, keepdim=False)


def normalize(
    input: Any, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Any:
    """`input` divided by its `p`-norm along `dim`, which is at least `eps`. IndexError for a bad `dim`."""
    _check_floating("normalize", input)
    result = input / clamp_min(_length(input, p, normalize_dims(dim, input.ndim), True), eps)
    return result if out is None else into(out, result, "normalize")
