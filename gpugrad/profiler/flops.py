"""Floating-point operations of a call, for the ops whose work is products: matrices, convolutions, and plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

# By op: what it counts from its inputs and its output. A multiplication and the addition it feeds are two.
_COUNTS: dict[str, Callable[[Any, Any], int]] = {
    "mm": lambda inputs, out: 2 * out.size * inputs[0].shape[-1],
    "linear": lambda inputs, out: 2 * out.size * inputs[0].shape[-1],
    "perceptron": lambda inputs, out: 2 * _rows(inputs[0]) * sum(a.size for a in inputs[1:] if a.ndim == 2),
    "linear_grad_input": lambda inputs, out: 2 * out.size * inputs[0].shape[-1],
    "linear_grad_weight": lambda inputs, out: 2 * inputs[0].size * inputs[1].shape[-1],
    "convolution": lambda inputs, out: 2 * out.size * prod(inputs[1].shape[1:]),
    "convolution_transpose": lambda inputs, out: 2 * inputs[0].size * prod(inputs[1].shape[1:]),
    "_conv_weight": lambda inputs, out: 2 * inputs[0].size * prod(out.shape[1:]),
    **{name: lambda inputs, out: out.size for name in ("add", "sub", "mul", "div")},
}


def _rows(x: Any) -> int:
    return int(prod(x.shape[:-1]))


def flops_of(name: str, inputs: Any, out: Any) -> int:
    """0 for an op that is not counted."""
    count = _COUNTS.get(name)
    out = out[0] if name == "perceptron" else out  # and what it hides
    return int(count(inputs, out)) if count is not None and hasattr(out, "size") else 0
