"""Convolution and transposed convolution in one, two and three dimensions; `unfold` and `fold`.

A convolution is linear in its input and in its weight. Its two adjoints are ops as well, and the rules of each of the
three are the other two.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..op import op
from . import conv_numpy
from .pad import pad
from .reduce import sum_over
from .spatial import batched, per_dim

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold", "unfold"]

Sizes = tuple[int, ...]

# ---- the three ops ----


def _add_bias(out: Any, bias: Any) -> Any:
    if bias is not None:
        np.add(out, bias.reshape((-1,) + (1,) * (out.ndim - 2)), out=out)
    return out


def _sum_over_channels(g: Any) -> Any:
    """The gradient of a bias."""
    return sum_over(g, dim=(0, *range(2, g.ndim)), keepdim=False)


@op(name="convolution", names=("input", "weight", "bias"))
def _conv(x: Any, weight: Any, bias: Any = None, *, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> Any:
    out = conv_numpy.conv(x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _add_bias(out, bias)


@op(name="convolution_transpose", names=("input", "weight", "bias"))
def _conv_input(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    shape: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Any:
    """The adjoint of `_conv` in its input, which has `shape`."""
    out = conv_numpy.conv_grad_input(
        x, weight, input_shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return _add_bias(out, bias)


@op
def _conv_weight(y: Any, x: Any, *, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> Any:
    """The adjoint of `_conv` in its weight, which has `shape`; `y` is what is mapped back, `x` the input."""
    return conv_numpy.conv_grad_weight(
        y, x, weight_shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


def _how(stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


_conv.defvjp(
    x=lambda g, x_shape, weight, *, stride, padding, dilation, groups: _conv_input(
        g, weight, None, shape=x_shape, **_how(stride, padding, dilation, groups)
    ),
    weight=lambda g, x, weight_shape, *, stride, padding, dilation, groups: _conv_weight(
        g, x, shape=weight_shape, **_how(stride, padding, dilation, groups)
    ),
    bias=_sum_over_channels,
)
_conv_input.defvjp(
    x=lambda g, weight, *, stride, padding, dilation, groups: _conv(
        g, weight, None, **_how(stride, padding, dilation, groups)
    ),
    weight=lambda g, x, weight_shape, *, stride, padding, dilation, groups: _conv_weight(
        x, g, shape=weight_shape, **_how(stride, padding, dilation, groups)
    ),
    bias=_sum_over_channels,
)
_conv_weight.defvjp(
    y=lambda g, x, *, stride, padding, dilation, groups: _conv(x, g, None, **_how(stride, padding, dilation, groups)),
    x=lambda g, y, x_shape, *, stride, padding, dilation, groups: _conv_input(
        y, g, None, shape=x_shape, **_how(stride, padding, dilation, groups)
    ),
)


# ---- convolution ----


def _check(name: str, input: Any, weight: Any, bias: Any, out_channels: int) -> None:
    """RuntimeError for dtypes that differ and for a bias that does not fit."""
    for other, what in ((weight, "weight"), (bias, "bias")):
        if other is not None and other.dtype != input.dtype:
            raise RuntimeError(f"{name}: Input type ({input.dtype}) and {what} type ({other.dtype}) should be the same")
    if bias is not None and tuple(bias.shape) != (out_channels,):
        raise RuntimeError(
            f"{name}: expected bias to be 1-dimensional with {out_channels} elements, but got bias of size "
            f"{list(bias.shape)} instead"
        )


def _same_padding(stride: Sizes, kernel: Sizes, dilation: Sizes) -> tuple[Sizes, list[int]]:
    """Padding on both sides that keeps the size, and what is padded at the end beyond it, last dimension first."""
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for d, k in zip(dilation, kernel)]
    uneven = [side for t in reversed(total) for side in (0, t % 2)]
    return tuple(t // 2 for t in total), uneven


def _convolve(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, dims: int
) -> Any:
    name = f"conv{dims}d"
    _check(name, input, weight, bias, weight.shape[0])
    stride, dilation = per_dim(stride, dims, "stride"), per_dim(dilation, dims, "dilation")
    if padding == "same":
        padding, uneven = _same_padding(stride, tuple(weight.shape[2:]), dilation)
        input = pad(input, uneven) if any(uneven) else input
    elif isinstance(padding, str) and padding != "valid":
        raise RuntimeError(f"Invalid padding string: {padding!r}; it is 'valid' or 'same'")
    padding = (0,) * dims if padding == "valid" else per_dim(padding, dims, "padding")
    how = _how(stride, padding, dilation, groups)
    return batched(lambda x: _conv(x, weight, bias, **how), input, dims, name)


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, C, L) or (C, L) with (O, C / groups, K): (N, O, L').

    `padding` is a number, "valid" or "same". RuntimeError if shapes or dtypes do not fit.
    """
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, C, H, W) or (C, H, W) with (O, C / groups, KH, KW): (N, O, H', W'). As `conv1d`."""
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, C, D, H, W) or (C, D, H, W) with (O, C / groups, KD, KH, KW). As `conv1d`."""
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 3)


# ---- transposed convolution ----


def _transposed(
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
    dims: int,
) -> Any:
    name = f"conv_transpose{dims}d"
    channels = weight.shape[1] * groups
    _check(name, input, weight, bias, channels)
    stride, padding, dilation = (
        per_dim(value, dims, what) for value, what in ((stride, "stride"), (padding, "padding"), (dilation, "dilation"))
    )
    extra = per_dim(output_padding, dims, "output_padding")
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding {extra}, stride "
            f"{stride} and dilation {dilation}"
        )
    axes = list(zip(weight.shape[2:], stride, padding, dilation, extra))
    how = _how(stride, padding, dilation, groups)

    def convolve(x: Any) -> Any:
        sizes = [(n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, (k, s, p, d, e) in zip(x.shape[2:], axes)]
        return _conv_input(x, weight, bias, shape=(x.shape[0], channels, *sizes), **how)

    return batched(convolve, input, dims, name)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The adjoint of `conv1d`: (N, C, L) or (C, L) with (C, O / groups, K) to (N, O, L').

    RuntimeError if shapes or dtypes do not fit.
    """
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The adjoint of `conv2d`: (N, C, H, W) or (C, H, W) with (C, O / groups, KH, KW) to (N, O, H', W')."""
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 2)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The adjoint of `conv3d`: (N, C, D, H, W) or (C, D, H, W) with (C, O / groups, KD, KH, KW)."""
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 3)


# ---- windows as columns, and back ----


def _taps(size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Any:
    """The padded size, the number of windows, and for each tap its slices of the padded image."""
    padded = tuple(n + 2 * p for n, p in zip(size, padding))
    windows = tuple(map(conv_numpy.output_size, size, kernel, stride, padding, dilation))
    if min(windows) < 1:
        raise RuntimeError(
            f"windows of kernel_size {kernel} with dilation {dilation} and padding {padding} do not fit into {size}"
        )
    taps = []
    for tap in np.ndindex(*kernel):
        starts = [t * d for t, d in zip(tap, dilation)]
        spans = [slice(first, first + (n - 1) * s + 1, s) for first, n, s in zip(starts, windows, stride)]
        taps.append((slice(None), slice(None), *spans))
    return padded, windows, taps


@op
def _unfold(x: Any, *, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Any:
    size = x.shape[2:]
    padded, windows, taps = _taps(size, kernel, stride, padding, dilation)
    image = np.zeros_like(x, shape=(*x.shape[:2], *padded))
    image[(slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, size)))] = x
    columns = np.empty_like(x, shape=(*x.shape[:2], len(taps), *windows))
    for k, tap in enumerate(taps):
        columns[:, :, k] = image[tap]
    return columns.reshape(x.shape[0], x.shape[1] * len(taps), prod(windows))


@op
def _fold(x: Any, *, size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Any:
    """The adjoint of `_unfold`: columns are added up."""
    padded, windows, taps = _taps(size, kernel, stride, padding, dilation)
    columns = x.reshape(x.shape[0], x.shape[1] // len(taps), len(taps), *windows)
    image = np.zeros_like(x, shape=(*columns.shape[:2], *padded), dtype=np.result_type(x.dtype, np.float32))
    for k, tap in enumerate(taps):
        image[tap] += columns[:, :, k]
    inside = (slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, size)))
    return image[inside].astype(x.dtype)


_unfold.defvjp(
    x=lambda g, x_shape, *, kernel, stride, padding, dilation: _fold(
        g, size=x_shape[2:], kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )
)
_fold.defvjp(
    x=lambda g, *, kernel, stride, padding, dilation: _unfold(
        g, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )
)


def _window(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Sizes]:
    return {
        "kernel": per_dim(kernel_size, 2, "kernel_size"),
        "stride": per_dim(stride, 2, "stride"),
        "padding": per_dim(padding, 2, "padding"),
        "dilation": per_dim(dilation, 2, "dilation"),
    }


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The windows of (N, C, H, W) or (C, H, W) as columns: (N, C * kernel elements, windows).

    RuntimeError if no window fits.
    """
    window = _window(kernel_size, dilation, padding, stride)
    return batched(lambda x: _unfold(x, **window), input, 2, "unfold")


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The adjoint of `unfold`: columns (N, C * kernel elements, windows) summed into (N, C, *output_size).

    RuntimeError if the number of columns or their length does not fit.
    """
    window = _window(kernel_size, dilation, padding, stride)
    size = per_dim(output_size, 2, "output_size")
    _, windows, taps = _taps(size, **window)
    length, count = input.shape[-2:]
    if length % len(taps) or count != windows[0] * windows[1]:
        raise RuntimeError(
            f"fold: expected (N, C * {len(taps)}, {windows[0] * windows[1]}) for output_size {size} and kernel_size "
            f"{window['kernel']}, but got {list(input.shape)}"
        )
    return batched(lambda x: _fold(x, size=size, **window), input, 1, "fold")
