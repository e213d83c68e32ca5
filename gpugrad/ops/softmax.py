"""Softmax and its logarithm along a dimension.

The gradients are ops of their own, computed in one buffer, with rules for second derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import as_dtype
from ..inplace import into
from ..op import op
from .cast import cast
from .dims import normalize_dim
from .elementwise import refusing, widen
from .reduce import sum_over
from .unary import exp

__all__ = ["log_softmax", "softmax", "softmin"]

Dims = tuple[int, ...] | None  # one dimension in a tuple; None for a 0-d input


def _softmax_body(x: Any, *, dim: Dims) -> Any:
    out = np.subtract(x, np.max(x, axis=dim, keepdims=True, initial=-np.inf), out=np.empty_like(x))
    np.exp(out, out=out)
    out /= np.add.reduce(out, axis=dim, keepdims=True)
    return out


def _log_softmax_body(x: Any, *, dim: Dims) -> Any:
    out = np.subtract(x, np.max(x, axis=dim, keepdims=True, initial=-np.inf), out=np.empty_like(x))
    out -= np.log(np.add.reduce(np.exp(out), axis=dim, keepdims=True))
    return out


def _softmax_grad_body(dy: Any, y: Any, *, dim: Dims) -> Any:
    out = dy * y
    out -= y * np.add.reduce(out, axis=dim, keepdims=True)
    return out


def _log_softmax_grad_body(dy: Any, y: Any, *, dim: Dims) -> Any:
    out = np.exp(y, out=np.empty_like(y))
    out *= np.add.reduce(dy, axis=dim, keepdims=True)
    return np.subtract(dy, out, out=out)


def _sum(x: Any, dim: Dims) -> Any:
    return sum_over(x, dim=dim, keepdim=True)


_softmax = op(widen(refusing("softmax", _softmax_body, "bool", "int")), name="softmax", names=("input",))
_log_softmax = op(
    widen(refusing("log_softmax", _log_softmax_body, "bool", "int")), name="log_softmax", names=("input",)
)
_softmax.defvjp(x=lambda g, out, *, dim: softmax_grad(g, out, dim=dim))
_log_softmax.defvjp(x=lambda g, out, *, dim: log_softmax_grad(g, out, dim=dim))

# y * (dy - sum(dy * y)), and of the logarithm dy - exp(y) * sum(dy), where y is the value
softmax_grad: Any = op(widen(_softmax_grad_body), name="softmax_grad")
log_softmax_grad: Any = op(widen(_log_softmax_grad_body), name="log_softmax_grad")
softmax_grad.defvjp(
    dy=lambda g, y, *, dim: softmax_grad(g, y, dim=dim),
    y=lambda g, dy, y, *, dim: g * (dy - _sum(dy * y, dim)) - dy * _sum(g * y, dim),
)
log_softmax_grad.defvjp(
    dy=lambda g, y, *, dim: g - _sum(g * exp(y), dim),
    y=lambda g, dy, y, *, dim: -g * exp(y) * _sum(dy, dim),
)


def _apply(function: Any, input: Any, dim: int, dtype: Any) -> Any:
    if dtype is not None:
        input = cast(input, as_dtype(dtype).numpy)
    dim = normalize_dim(dim, input.ndim)
    return function(input, dim=(dim,) if input.ndim else None)


def softmax(input: Any, dim: int, dtype: Any = None, *, out: Tensor | None = None) -> Any:
    """`exp(input)` scaled to sum to 1 along `dim`; `input` is converted to `dtype` first if one is given.

    IndexError for a `dim` out of range, NotImplementedError for integers.
    """
    result = _apply(_softmax, input, dim, dtype)
    return result if out is None else into(out, result, "softmax")


def log_softmax(input: Any, dim: int, dtype: Any = None, *, out: Tensor | None = None) -> Any:
    """The logarithm of `softmax`, without the overflow. Errors as there."""
    result = _apply(_log_softmax, input, dim, dtype)
    return result if out is None else into(out, result, "log_softmax")


def softmin(input: Any, dim: int, dtype: Any = None) -> Any:
    """The softmax of `-input`. Errors as there."""
    return softmax(-input, dim, dtype)
