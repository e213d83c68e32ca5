"""Normalization: subtract the mean and divide by the standard deviation, over some dimensions, then scale and shift.

Layer, batch, group and instance normalization are one op over different dimensions; `weight` and `bias` come to it in
shapes that broadcast. The op gets mean and variance as inputs, and its rule knows that they depend on `x`:

    s = g * weight;  dx = (s - mean(s) - x_hat * mean(s * x_hat)) / std

(Ioffe & Szegedy, https://arxiv.org/abs/1502.03167; Ba et al., https://arxiv.org/abs/1607.06450).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import FLOATS, LOW_PRECISION, as_dtype, finfo
from ..inplace import update
from ..op import op
from . import normalization_numpy
from .cast import cast
from .elementwise import not_implemented, widen
from .rearrange import contiguous
from .reduce import sum_over
from .unary import rsqrt

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]

Dims = tuple[int, ...]
_FLOAT32 = np.dtype(np.float32)


def _dtype(x: Any) -> Any:
    return x._array.dtype if isinstance(x, Tensor) else x.dtype


def _mean(x: Any, dims: Dims) -> Any:
    """The mean over `dims`, which stay with size 1."""
    return sum_over(x, dim=dims, keepdim=True) / max(prod([x.shape[d] for d in dims]), 1)


@op(outputs=2)
def moments(x: Any, *, dims: Dims) -> Any:
    """Mean and biased variance of `x` over `dims`, which stay with size 1; in float32 for half precision."""
    return normalization_numpy.moments(x, dims=dims)


def _moments_of(x: Any, dims: Dims) -> tuple[Any, Any]:
    """`moments`, made of ops that are recorded."""
    mean = _mean(x, dims)
    centered = x - mean
    return mean, _mean(centered * centered, dims)


@op(name="normalize_over", broadcasts=True)
def _normalize(
    x: Any, mean: Any, variance: Any, weight: Any = None, bias: Any = None, *, dims: Dims, eps: float
) -> Any:
    return normalization_numpy.normalize(x, mean, variance, weight, bias, dims=dims, eps=eps)


@op(outputs=3)
def normalize_backward(
    g: Any, x: Any, mean: Any, variance: Any, weight: Any, *, needs: tuple[bool, bool, bool], dims: Dims, eps: float
) -> Any:
    """The gradients of `x`, `weight` and `bias`, None where not needed; for arrays (see `_recorded_gradients`).

    That of `bias` is `g`, which the walk sums; a kernel sums it as it goes.
    """
    dx, dweight = normalization_numpy.normalize_gradients(g, x, mean, variance, weight, needs, dims=dims, eps=eps)
    return dx, dweight, g if needs[2] else None


def _normalize_rule(
    g: Any, x: Any, mean: Any, variance: Any, weight: Any, needs: Any, *, dims: Dims, eps: float
) -> tuple[Any, ...]:
    """The walk sums the gradients of weight and bias to their shapes."""
    if isinstance(x, Tensor):
        dx, dweight = _recorded_gradients(g, x, weight, dims, eps)
        return dx, None, None, dweight, g
    wanted = (needs[0], needs[3], needs[4])
    dx, dweight, dbias = normalize_backward(g, x, mean, variance, weight, needs=wanted, dims=dims, eps=eps)
    return dx, None, None, dweight, dbias


def _recorded_gradients(g: Any, x: Any, weight: Any, dims: Dims, eps: float) -> tuple[Any, Any]:
    """`normalize_gradients` for second derivatives: mean and variance are functions of `x` once more."""
    if _dtype(x) in LOW_PRECISION:
        g, x = cast(g, _FLOAT32), cast(x, _FLOAT32)
    mean, variance = _moments_of(x, dims)
    scale = rsqrt(variance + eps)
    x_hat = (x - mean) * scale
    dweight = g * x_hat
    s, product = (g, dweight) if weight is None else (g * weight, dweight * weight)
    return (s - _mean(s, dims) - x_hat * _mean(product, dims)) * scale, dweight


_normalize.defvjp(_normalize_rule)


@op(name="layer_norm", names=("input", "weight", "bias"), broadcasts=True, hidden=True)
def _layer_norm(x: Any, weight: Any = None, bias: Any = None, *, dims: Dims, eps: float) -> Any:
    """`_normalize` by the moments of `x` itself, which a kernel finds in the same pass. They are hidden."""
    mean, variance = normalization_numpy.moments(x, dims=dims)
    return normalization_numpy.normalize(x, mean, variance, weight, bias, dims=dims, eps=eps), [mean, variance]


def _layer_norm_rule(
    g: Any, x: Any, weight: Any, hidden: Any, needs: Any, *, dims: Dims, eps: float
) -> tuple[Any, ...]:
    """The walk sums the gradients of weight and bias to their shapes."""
    dy = g[0]
    if isinstance(x, Tensor):
        return *_recorded_gradients(dy, x, weight, dims, eps), dy
    return normalize_backward(dy, x, *hidden, weight, needs=tuple(needs), dims=dims, eps=eps)


_layer_norm.defvjp(_layer_norm_rule)


def _check_floating(name: str, input: Any) -> None:
    """NotImplementedError for integers and bools."""
    if _dtype(input) not in FLOATS:
        raise not_implemented(name, _dtype(input))


def _as_shape(x: Any, shape: Any) -> Any:
    """`x` reshaped so that it broadcasts; None stays."""
    return x if x is None or tuple(x.shape) == tuple(shape) else x.reshape(shape)


# ---- over the last dimensions ----


def _check_normalized_shape(input: Any, normalized_shape: Sequence[int], **parameters: Any) -> Dims:
    """The dims that `normalized_shape` covers. RuntimeError if the shapes do not fit."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise RuntimeError(f"Expected normalized_shape to be at least 1-dimensional, but got {list(shape)}")
    for name, parameter in parameters.items():
        if parameter is not None and tuple(parameter.shape) != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(parameter.shape)} and normalized_shape = {list(shape)}"
            )
    if tuple(input.shape[max(input.ndim - len(shape), 0) :]) != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{list(input.shape)}"
        )
    return tuple(range(input.ndim - len(shape), input.ndim))


def layer_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Any:
    """Normalize over the last dimensions, whose sizes are `normalized_shape`; `weight` and `bias` have that shape.

    RuntimeError if the shapes do not fit, NotImplementedError for integers.
    """
    dims = _check_normalized_shape(input, normalized_shape, weight=weight, bias=bias)
    _check_floating("layer_norm", input)
    return _layer_norm(input, weight, bias, dims=dims, eps=eps)


def _rms_norm_body(x: Any, weight: Any = None, *, dims: Dims, eps: float) -> Any:
    count = max(prod([x.shape[d] for d in dims]), 1)
    out = x * x
    out = x * (1 / np.sqrt(np.add.reduce(out, axis=dims, keepdims=True) / count + eps))
    if weight is not None:
        out *= weight
    return out


@op(outputs=2)
def rms_norm_backward(
    g: Any, x: Any, weight: Any = None, *, needs: tuple[bool, bool], dims: Dims, eps: float
) -> tuple[Any, Any]:
    """The gradients of `x` and `weight`, None where not needed; for arrays."""
    return _rms_norm_gradients(g, x, weight, needs, dims, eps)


def _rms_norm_gradients(g: Any, x: Any, weight: Any, needs: Any, dims: Dims, eps: float) -> tuple[Any, Any]:
    """These of arrays or Tensors. The walk sums that of `weight` to its shape."""
    if _dtype(x) in LOW_PRECISION:
        g, x = cast(g, _FLOAT32), cast(x, _FLOAT32)
    scale = rsqrt(_mean(x * x, dims) + eps)
    x_hat = x * scale
    dx = None
    if needs[0]:
        s = g if weight is None else g * weight
        dx = (s - x_hat * _mean(s * x_hat, dims)) * scale
    return dx, g * x_hat if needs[1] else None


def _rms_norm_rule(g: Any, x: Any, weight: Any, needs: Any, *, dims: Dims, eps: float) -> tuple[Any, ...]:
    if isinstance(x, Tensor):
        return _rms_norm_gradients(g, x, weight, needs, dims, eps)
    return rms_norm_backward(g, x, weight, needs=tuple(needs), dims=dims, eps=eps)


_rms_norm = op(widen(_rms_norm_body), name="rms_norm", broadcasts=True)
_rms_norm.defvjp(_rms_norm_rule)


def rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """`input` divided by its root mean square over the last dimensions, then times `weight`.

    Zhang & Sennrich, https://arxiv.org/abs/1910.07467. `eps` is the dtype's by default. RuntimeError if the shapes do
    not fit.
    """
    dims = _check_normalized_shape(input, normalized_shape, weight=weight)
    _check_floating("rms_norm", input)
    if eps is None:
        dtype = as_dtype(_dtype(input))
        eps = finfo(dtype if dtype.numpy not in LOW_PRECISION else as_dtype(_FLOAT32)).eps
    return _rms_norm(input, weight, dims=dims, eps=eps)


# ---- over samples and pixels, per channel ----


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalize (N, C, *) per channel: over all else in training, by `running_mean` and `running_var` otherwise.

    Training moves the running statistics towards those of the batch, by the fraction `momentum`. RuntimeError or
    ValueError if the shapes do not fit, if training has one value per channel, if there are no statistics to use.
    """
    channels, columns = _check_channels(input, running_mean, running_var, weight, bias)
    _check_floating("batch_norm", input)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
        return _by_statistics(input, running_mean, running_var, weight, bias, columns, eps)
    count = prod(input.shape) // max(channels, 1)
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    dims = (0, *range(2, input.ndim))
    mean, variance = moments(input, dims=dims)
    out = _normalize(input, mean, variance, _as_shape(weight, columns), _as_shape(bias, columns), dims=dims, eps=eps)
    _move(running_mean, mean, momentum)
    _move(running_var, variance, momentum, count / max(count - 1, 1))
    return out


def _check_channels(input: Any, *parameters: Any) -> tuple[int, tuple[int, ...]]:
    """The number of channels, and the shape of per-channel values that broadcasts. RuntimeError if one does not fit."""
    if input.ndim < 2:
        raise RuntimeError(f"Expected an input with a batch and a channel dimension, but got {list(input.shape)}")
    channels = input.shape[1]
    for name, parameter in zip(("running_mean", "running_var", "weight", "bias"), parameters):
        if parameter is not None and parameter.shape[0] != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {parameter.shape[0]}")
    return channels, (1, channels) + (1,) * (input.ndim - 2)


def _by_statistics(input: Any, mean: Any, variance: Any, weight: Any, bias: Any, shape: Any, eps: float) -> Any:
    """`(input - mean) / std * weight + bias`, arranged as one multiplication and one addition."""
    scale = rsqrt(variance.detach() + eps)
    scale = scale if weight is None else scale * weight
    shift = -mean.detach() * scale
    shift = shift if bias is None else shift + bias
    return contiguous(cast(input * scale.reshape(shape) + shift.reshape(shape), _dtype(input)))


@op(formula=True, promotes=True)
def weighted_sum(x: Any, y: Any, of_x: float, of_y: float) -> Any:
    """`x * of_x + y * of_y`, for numbers: they are given by value, so that a kernel serves all."""
    return x * of_x + y * of_y


weighted_sum.defvjp(x=lambda g, of_x: g * of_x, y=lambda g, of_y: g * of_y)


def _move(running: Any, value: Any, momentum: float, correction: float = 1.0) -> None:
    """Move a running statistic towards `correction` times that of the batch."""
    if running is not None:
        value = cast(value.detach().reshape(running.shape), _dtype(running))
        update(running, weighted_sum, value, 1 - momentum, correction * momentum)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Normalize (N, C, *) over each group of C / `num_groups` channels. Wu & He, https://arxiv.org/abs/1803.08494.

    RuntimeError if the shapes do not fit or the channels do not divide evenly.
    """
    channels, _ = _check_channels(input, None, None, weight, bias)
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    _check_floating("group_norm", input)
    per_group, spatial = channels // num_groups, tuple(input.shape[2:])
    grouped = input.reshape((input.shape[0], num_groups, per_group, *spatial))
    columns = (num_groups, per_group) + (1,) * len(spatial)
    dims = tuple(range(2, grouped.ndim))
    statistics = moments(grouped, dims=dims)
    out = _normalize(grouped, *statistics, _as_shape(weight, columns), _as_shape(bias, columns), dims=dims, eps=eps)
    return out.reshape(tuple(input.shape))


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalize each channel of each sample of (N, C, *) on its own. https://arxiv.org/abs/1607.08022

    With `use_input_stats` False by the running statistics, as `batch_norm` does. ValueError if a channel has one value.
    """
    _, columns = _check_channels(input, running_mean, running_var, weight, bias)
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    _check_floating("instance_norm", input)
    count = prod(input.shape[2:])
    if count == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {tuple(input.shape)}")
    dims = tuple(range(2, input.ndim))
    mean, variance = moments(input, dims=dims)
    out = _normalize(input, mean, variance, _as_shape(weight, columns), _as_shape(bias, columns), dims=dims, eps=eps)
    for running, value in ((running_mean, mean), (running_var, variance * (count / max(count - 1, 1)))):
        if running is not None:
            _move(running, _mean(value, (0,)), momentum)
    return out
