"""Convolution of arrays: against PyTorch, against its definition, and each gradient as an adjoint."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from spatial_checks import adjoint, close, normal, same, torch_function, torch_gradients

from gpugrad.ops import conv_numpy
from gpugrad.ops.conv_numpy import conv, conv_grad_input, conv_grad_weight

# x shape, weight shape, stride, padding, dilation, groups
CONVOLUTIONS = [
    ((2, 3, 9), (4, 3, 3), (1,), (0,), (1,), 1),
    ((2, 4, 7), (6, 2, 4), (3,), (2,), (2,), 2),
    ((1, 1, 1), (1, 1, 3), (1,), (5,), (5,), 1),  # shifts longer than the row
    ((3, 2, 6, 5), (3, 2, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((3, 2, 7, 5), (3, 2, 3, 2), (2, 3), (1, 0), (1, 1), 1),
    ((2, 3, 8, 6), (2, 3, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 3, 8, 7), (2, 3, 1, 1), (2, 2), (0, 0), (1, 1), 1),  # pixels that no window reads
    ((2, 4, 8, 6), (8, 1, 3, 3), (1, 2), (1, 1), (1, 2), 4),
    ((2, 4, 6, 6), (4, 1, 3, 3), (1, 1), (1, 1), (1, 1), 4),
    ((2, 6, 5, 6), (4, 3, 2, 3), (2, 1), (3, 2), (2, 1), 2),
    ((1, 2, 4, 4), (3, 2, 4, 4), (4, 4), (0, 0), (1, 1), 1),
    ((1, 2, 2, 3), (2, 2, 2, 2), (1, 1), (4, 3), (1, 1), 1),  # windows that see only padding
    ((2, 2, 4, 5, 3), (3, 2, 2, 3, 2), (1, 1, 1), (1, 1, 0), (1, 1, 1), 1),
    ((2, 4, 5, 4, 6), (2, 2, 3, 1, 2), (2, 1, 3), (1, 0, 2), (1, 1, 2), 2),
]


def conv_case(case: tuple) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    x_shape, weight_shape, stride, padding, dilation, groups = case
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return normal(*x_shape), normal(*weight_shape, seed=1), options


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv_matches_torch(torch: ModuleType, case: tuple) -> None:
    x, weight, options = conv_case(case)
    tx, tw = torch.tensor(x, requires_grad=True), torch.tensor(weight, requires_grad=True)
    expected = torch_function(torch, "conv", x.ndim - 2)(tx, tw, None, *options.values())
    out = conv(x, weight, **options)
    close(out, expected.detach())
    g = normal(*out.shape, seed=2)
    grad_x, grad_weight = torch_gradients(torch, expected, g, tx, tw)
    close(conv_grad_input(g, weight, input_shape=x.shape, **options), grad_x)
    close(conv_grad_weight(g, x, weight_shape=weight.shape, **options), grad_weight)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv_adjoints(case: tuple) -> None:
    x, weight, options = conv_case(case)
    out = conv(x, weight, **options)
    g = normal(*out.shape, seed=2)
    adjoint(out, g, conv_grad_input(g, weight, input_shape=x.shape, **options), x)
    adjoint(out, g, conv_grad_weight(g, x, weight_shape=weight.shape, **options), weight)


def test_conv_is_the_sum_over_windows() -> None:
    x, weight, options = conv_case(((2, 3, 7, 6), (4, 3, 3, 2), (2, 1), (1, 2), (1, 1), 1))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), axis=(2, 3))[:, :, ::2]
    close(conv(x, weight, **options), np.einsum("nchwij,ocij->nohw", windows, weight))


@pytest.mark.parametrize("column_bytes", [1, 3000])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv_in_blocks(monkeypatch: pytest.MonkeyPatch, case: tuple, column_bytes: int) -> None:
    """The work split into many blocks, the last ones smaller, gives what one block gives."""
    x, weight, options = conv_case(case)
    out = conv(x, weight, **options)
    grad_x = conv_grad_input(out, weight, input_shape=x.shape, **options)
    grad_weight = conv_grad_weight(out, x, weight_shape=weight.shape, **options)
    monkeypatch.setattr(conv_numpy, "_COLUMN_BYTES", column_bytes)
    close(conv(x, weight, **options), out)
    close(conv_grad_input(out, weight, input_shape=x.shape, **options), grad_x)
    close(conv_grad_weight(out, x, weight_shape=weight.shape, **options), grad_weight)


def test_conv_takes_any_strides() -> None:
    x, weight, options = conv_case(CONVOLUTIONS[3])
    out = conv(x, weight, **options)
    g = normal(*out.shape, seed=2)
    x_view, weight_view, g_view = (np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1) for a in (x, weight, g))
    close(conv(x_view, weight_view, **options), out)
    close(conv(x[:, :, ::-1], weight[:, :, ::-1], **options), out[:, :, ::-1])
    close(
        conv_grad_input(g_view, weight_view, input_shape=x.shape, **options),
        conv_grad_input(g, weight, input_shape=x.shape, **options),
    )
    close(
        conv_grad_weight(g_view, x_view, weight_shape=weight.shape, **options),
        conv_grad_weight(g, x, weight_shape=weight.shape, **options),
    )


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_conv_computes_in_float32_and_keeps_the_dtype(dtype: Any) -> None:
    x, weight, options = conv_case(CONVOLUTIONS[3])
    x, weight = x.astype(dtype), weight.astype(dtype)
    wide_x, wide_weight = x.astype(np.float32), weight.astype(np.float32)
    out = conv(x, weight, **options)
    assert out.dtype == dtype
    same(out, conv(wide_x, wide_weight, **options).astype(dtype))
    g = out.astype(np.float32)
    same(
        conv_grad_input(out, weight, input_shape=x.shape, **options),
        conv_grad_input(g, wide_weight, input_shape=x.shape, **options).astype(dtype),
    )
    same(
        conv_grad_weight(out, x, weight_shape=weight.shape, **options),
        conv_grad_weight(g, wide_x, weight_shape=weight.shape, **options).astype(dtype),
    )


def test_conv_gives_the_same_bits_again() -> None:
    """At a size that spreads over the threads of the BLAS."""
    x, weight, options = conv_case(((8, 16, 32, 32), (32, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1))
    x, weight = x.astype(np.float32), weight.astype(np.float32)
    out = conv(x, weight, **options)
    grad_x = conv_grad_input(out, weight, input_shape=x.shape, **options)
    grad_weight = conv_grad_weight(out, x, weight_shape=weight.shape, **options)
    for _ in range(3):
        same(conv(x.copy(), weight, **options), out)
        same(conv_grad_input(out.copy(), weight, input_shape=x.shape, **options), grad_x)
        same(conv_grad_weight(out, x.copy(), weight_shape=weight.shape, **options), grad_weight)


def test_conv_of_no_images() -> None:
    _, weight, options = conv_case(CONVOLUTIONS[3])
    x, g = normal(0, 2, 6, 5), normal(0, 3, 6, 5)
    assert conv(x, weight, **options).shape == (0, 3, 6, 5)
    assert conv_grad_input(g, weight, input_shape=x.shape, **options).shape == x.shape
    same(conv_grad_weight(g, x, weight_shape=weight.shape, **options), np.zeros(weight.shape))


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "changed", "message"),
    [
        ((2, 3, 5, 5), (4, 2, 3, 3), {}, "expected input"),
        ((2, 4, 5, 5), (3, 2, 3, 3), {"groups": 2}, "output channels to be divisible"),
        ((2, 3, 5), (4, 3, 3, 3), {}, "dimensions"),
        ((2, 3, 2, 5), (4, 3, 3, 3), {}, "larger than the input"),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"stride": (0, 1)}, "must be positive"),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"padding": (0, -1)}, "must not be negative"),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"groups": 0}, "must be positive"),
    ],
)
def test_conv_refuses(x_shape: tuple, weight_shape: tuple, changed: dict[str, Any], message: str) -> None:
    options = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, **changed}
    with pytest.raises(RuntimeError, match=message):
        conv(normal(*x_shape), normal(*weight_shape), **options)


def test_conv_gradients_refuse_another_shape() -> None:
    x, weight, options = conv_case(CONVOLUTIONS[3])
    g = normal(3, 3, 1, 5)  # would broadcast
    with pytest.raises(RuntimeError, match="the output has"):
        conv_grad_input(g, weight, input_shape=x.shape, **options)
    with pytest.raises(RuntimeError, match="the output has"):
        conv_grad_weight(g, x, weight_shape=weight.shape, **options)
