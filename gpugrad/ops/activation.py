"""Activation functions. Those that are formulas of other ops are traced through; the rules are formulas too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import FLOATS
from ..op import op
from .arithmetic import abs
from .compare import choose, choose_numpy
from .elementwise import INTEGRAL, binary, is_integral, not_implemented, typed_zero, unary, zero
from .extrema import maximum, minimum
from .special import erf
from .unary import exp, expm1, log1p, sigmoid, tanh

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
]

_SQRT_HALF = math.sqrt(0.5)
_NORMAL_PEAK = 1 / math.sqrt(2 * math.pi)
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715  # Hendrycks & Gimpel, https://arxiv.org/abs/1606.08415
_SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al., https://arxiv.org/abs/1706.02515
_SELU_SCALE = 1.0507009873554804934193349852946

_BOOL = np.dtype(bool)

# ---- piecewise linear ----


@op(names=("input",), cuda="{0} < 0 ? 0 : {0}")
def relu(x: Any) -> Any:
    """`max(input, 0)`; NaN stays NaN. RuntimeError for bool."""
    if x.dtype is _BOOL:
        raise RuntimeError("Boolean inputs not supported for relu; convert with .to(dtype) first")
    return np.maximum(x, typed_zero(x))


@op(broadcasts=True, promotes=True, cuda="{1} <= 0 ? 0 : {0}")
def relu_grad(dy: Any, y: Any) -> Any:
    """`dy` where `y` is positive or NaN, else 0."""
    return choose_numpy(y <= typed_zero(y), 0, dy)


relu.defvjp(x=lambda g, out: relu_grad(g, out))
# The slope is constant between kinks: a zero, which reaches the leaves as PyTorch's does (a gradient penalty's biases).
relu_grad.defvjp(dy=relu_grad, y=lambda g: zero(g))


def _hardtanh(x: Any, *, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    if is_integral(x):
        min_val, max_val = int(min_val), int(max_val)
    return minimum(maximum(x, min_val), max_val)


hardtanh = unary("hardtanh", _hardtanh, refused=("bool",))
hardtanh.defvjp(x=lambda g, x, *, min_val, max_val: choose((x <= min_val) | (x >= max_val), 0, g))

relu6 = unary("relu6", lambda x: minimum(maximum(x, 0), 6), refused=("bool",))
relu6.defvjp(x=lambda g, x: choose((x <= 0) | (x >= 6), 0, g))


def _leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    return choose(x > 0, x, x * negative_slope)


leaky_relu = unary("leaky_relu", _leaky_relu, refused=INTEGRAL)
leaky_relu_grad = binary(
    "leaky_relu_grad", lambda dy, x, *, negative_slope: choose(x > 0, dy, dy * negative_slope), names=("dy", "x")
)
leaky_relu.defvjp(x=lambda g, x, *, negative_slope: leaky_relu_grad(g, x, negative_slope=negative_slope))
leaky_relu_grad.defvjp(
    dy=lambda g, x, *, negative_slope: leaky_relu_grad(g, x, negative_slope=negative_slope),
    x=lambda g: zero(g),
)


def _threshold(x: Any, *, threshold: float, value: float) -> Any:
    return choose(x <= threshold, value, x)


_threshold_op = unary("threshold", _threshold, refused=("bool",))
_threshold_op.defvjp(x=lambda g, x, *, threshold: choose(x <= threshold, 0, g))


def threshold(input: Any, threshold: float, value: float, *, out: Tensor | None = None) -> Any:
    """`input` where above `threshold`, else `value`."""
    return _threshold_op(input, threshold=threshold, value=value, out=out)


hardsigmoid = unary("hardsigmoid", lambda x: minimum(maximum(x + 3, 0), 6) / 6, refused=INTEGRAL)
hardsigmoid.defvjp(x=lambda g, x: choose((x > -3) & (x < 3), g / 6, 0))

hardswish = unary("hardswish", lambda x: x * minimum(maximum(x + 3, 0), 6) / 6, refused=INTEGRAL)
hardswish.defvjp(x=lambda g, x: choose(x <= -3, 0, choose(x < 3, g * (x / 3 + 0.5), g)))


def _hardshrink(x: Any, *, lambd: float = 0.5) -> Any:
    return choose((x >= -lambd) & (x <= lambd), 0, x)


_hardshrink_op = unary("hardshrink", _hardshrink, refused=INTEGRAL)
_hardshrink_op.defvjp(x=lambda g, x, *, lambd: choose((x >= -lambd) & (x <= lambd), 0, g))


def hardshrink(input: Any, lambd: float = 0.5, *, out: Tensor | None = None) -> Any:
    """`input` where farther than `lambd` from 0, else 0."""
    return _hardshrink_op(input, lambd=lambd, out=out)


def _softshrink(x: Any, *, lambd: float = 0.5) -> Any:
    return choose(x > lambd, x - lambd, choose(x < -lambd, x + lambd, x * 0))


softshrink = unary("softshrink", _softshrink, refused=INTEGRAL)
softshrink.defvjp(x=lambda g, x, *, lambd: choose((x >= -lambd) & (x <= lambd), 0, g))

_prelu = binary("prelu", lambda x, weight: choose(x > 0, x, weight * x), names=("input", "weight"))
_prelu.defvjp(
    x=lambda g, x, weight: choose(x > 0, g, weight * g),
    weight=lambda g, x: choose(x > 0, 0, x * g),
)


def prelu(input: Any, weight: Any) -> Any:
    """`input` where positive, else `weight * input`; `weight` has one element, or one per channel (dim 1).

    RuntimeError if the number of weights is neither.
    """
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    channels = input.shape[1] if input.ndim > 1 else 1
    count = math.prod(weight.shape)
    if count not in (1, channels):
        raise RuntimeError(
            f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {count} and "
            f"channel size = {channels}."
        )
    if count != 1:
        weight = weight.reshape((1, channels) + (1,) * (input.ndim - 2))
    elif weight.ndim > input.ndim:
        weight = weight.reshape(())
    return _prelu(input, weight)


def rrelu(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    """Leaky ReLU whose slope is the mean of `lower` and `upper`. NotImplementedError for `training` (random slopes)."""
    if training:
        raise NotImplementedError("rrelu(training=True) draws random slopes, which is not supported; use leaky_relu")
    return leaky_relu(input, negative_slope=(lower + upper) / 2)


# ---- smooth ----


def _silu(x: Any) -> Any:
    y = sigmoid(x)
    y *= x
    return y


silu = unary("silu", _silu, refused=INTEGRAL)
silu.defvjp(x=lambda g, x: _silu_rule(g, x, sigmoid(x)))


def _silu_rule(g: Any, x: Any, s: Any) -> Any:
    return g * (s * (1 + x * (1 - s)))


def _twice_ndtr(x: Any) -> Any:
    """1 + erf(x / sqrt 2): twice the normal distribution function."""
    y = erf(x * _SQRT_HALF)
    y += 1
    return y


# A leaf of formulas, as a device has shorter ways to it for half precision.
twice_ndtr = unary("twice_ndtr", _twice_ndtr, "twice_ndtr<{storage}>({0})", to_float=True)
twice_ndtr.defvjp(x=lambda g, x: g * exp(x * x * -0.5) * (2 * _NORMAL_PEAK))


def _gelu(x: Any, *, approximate: str = "none") -> Any:
    if approximate == "tanh":
        y = x * x
        y *= _SQRT_2_OVER_PI * _GELU_CUBIC
        y += _SQRT_2_OVER_PI
        y *= x
        y = tanh(y)
        y += 1
    else:
        y = twice_ndtr(x)
    y *= x
    y *= 0.5
    return y


def _gelu_rule(g: Any, x: Any, approximate: str) -> Any:
    if approximate == "tanh":
        square = x * x
        t = tanh(x * (square * (_SQRT_2_OVER_PI * _GELU_CUBIC) + _SQRT_2_OVER_PI))
        slope = x * (square * (3 * _SQRT_2_OVER_PI * _GELU_CUBIC) + _SQRT_2_OVER_PI)
        return g * (0.5 * (1 + t + slope * (1 - t * t)))
    return g * (0.5 * twice_ndtr(x) + x * exp(x * x * -0.5) * _NORMAL_PEAK)


_gelu_op = unary("gelu", _gelu, refused=INTEGRAL)
_gelu_op.defvjp(x=lambda g, x, *, approximate: _gelu_rule(g, x, approximate))


def gelu(input: Any, *, approximate: str = "none") -> Any:
    """`input` times the normal distribution function of it; with `approximate="tanh"` by the tanh formula.

    https://arxiv.org/abs/1606.08415. RuntimeError for another `approximate`.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")
    return _gelu_op(input, approximate=approximate)


def _softplus(x: Any, *, beta: float = 1, threshold: float = 20) -> Any:
    scaled = x * beta
    return choose(scaled > threshold, x, log1p(exp(scaled)) / beta)


softplus = unary("softplus", _softplus, refused=INTEGRAL)
softplus.defvjp(
    x=lambda g, x, *, beta, threshold: choose(x * beta > threshold, g, g * sigmoid(x * beta)),
)

logsigmoid = unary("logsigmoid", lambda x: minimum(x, 0) - log1p(exp(-abs(x))), refused=INTEGRAL)
logsigmoid.defvjp(x=lambda g, x: g * sigmoid(-x))

mish = unary("mish", lambda x: x * tanh(_softplus(x)), refused=INTEGRAL)
mish.defvjp(x=lambda g, x: _mish_rule(g, x, tanh(softplus(x))))


def _mish_rule(g: Any, x: Any, t: Any) -> Any:
    return g * (t + x * sigmoid(x) * (1 - t * t))


def _elu(x: Any, *, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    return choose(x > 0, x * scale, expm1(x * input_scale) * (alpha * scale))


_elu_op = unary("elu", _elu, refused=INTEGRAL)
_elu_op.defvjp(x=lambda g, x, *, alpha, scale, input_scale: _elu_rule(g, x, alpha * scale, scale, input_scale))


def _elu_rule(g: Any, x: Any, factor: float, scale: float, input_scale: float) -> Any:
    bounded = choose(x <= 0, x * input_scale, 0)  # so that what is not chosen does not overflow
    return choose(x <= 0, g * exp(bounded) * (factor * input_scale), g * scale)


def elu(input: Any, *, alpha: float = 1.0) -> Any:
    """`input` where positive, else `alpha * (exp(input) - 1)`. https://arxiv.org/abs/1511.07289"""
    return _elu_op(input, alpha=alpha)


def celu(input: Any, alpha: float = 1.0) -> Any:
    """`input` where positive, else `alpha * (exp(input / alpha) - 1)`. https://arxiv.org/abs/1704.07483

    RuntimeError if `alpha` is 0.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: celu: alpha cannot be 0")
    return _elu_op(input, alpha=alpha, input_scale=1 / alpha)


def selu(input: Any) -> Any:
    """`elu` with the scale and alpha that keep mean and variance. https://arxiv.org/abs/1706.02515"""
    return _elu_op(input, alpha=_SELU_ALPHA, scale=_SELU_SCALE)


softsign = unary("softsign", lambda x: x / (abs(x) + 1), to_float=True)
softsign.defvjp(x=lambda g, x: _softsign_rule(g, abs(x) + 1))


def _softsign_rule(g: Any, d: Any) -> Any:
    return g / (d * d)


tanhshrink = unary("tanhshrink", lambda x: x - tanh(x), to_float=True)
tanhshrink.defvjp(x=lambda g, x: _tanhshrink_rule(g, tanh(x)))


def _tanhshrink_rule(g: Any, t: Any) -> Any:
    return g * t * t


def glu(input: Any, dim: int = -1) -> Any:
    """The first half of `input` along `dim` times the sigmoid of the second. RuntimeError if the size is odd."""
    from .dims import normalize_dim

    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if input.dtype.numpy not in FLOATS:
        raise not_implemented("glu", input.dtype.numpy)
    size = input.shape[normalize_dim(dim, input.ndim)]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    from .join import chunk

    value, gate = chunk(input, 2, dim)
    return value * sigmoid(gate)
