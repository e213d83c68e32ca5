"""Softmax and norms on the CUDA device: each kernel against the body of its op on the CPU."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from device_tools import on_host
from row_tools import DTYPES, SIZES, both, draw, kernels_only, tolerance

import gpugrad
from gpugrad.nn import functional as F

__all__ = ["kernels_only"]  # a fixture that every test here has

pytestmark = pytest.mark.cuda


# ---- softmax ----

SOFTMAXES = [gpugrad.softmax, gpugrad.log_softmax]


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_rows(function: Any, dtype: Any) -> None:
    for cols in SIZES if dtype == np.float32 else (1, 33, 1023):
        both(lambda x: function(x, -1), draw((5, cols), dtype), factor=32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_as_long_as_threads_hold_and_longer(dtype: Any) -> None:
    """Besides whole packs a row has a head and a tail, of less than 16 bytes each."""
    spare = 16 // np.dtype(dtype).itemsize - 1
    for held in (32, 64, 128, 256, 512, 1024):
        for cols in (held + spare, held + spare + 1):
            both(lambda x: gpugrad.softmax(x, -1), draw((3, cols), dtype), factor=32)


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("cols", [6145, 16385, 16400])
def test_softmax_of_long_rows(function: Any, cols: int) -> None:
    both(lambda x: function(x, -1), draw((2, cols)), factor=64)


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_columns(function: Any, dtype: Any) -> None:
    for shape, dim in [((3, 5, 2), 1), ((2, 33, 70), 1), ((70, 3), 0), ((1023, 2), 0), ((4, 1, 31), 1)]:
        if dtype == np.float32 or shape[1] < 50:
            both(partial(function, dim=dim), draw(shape, dtype), factor=32)


@pytest.mark.parametrize("function", SOFTMAXES)
def test_softmax_of_views_and_scalars(function: Any) -> None:
    x = draw((7, 33))
    for view in (
        lambda t: t[1:],
        lambda t: t.t(),
        lambda t: t[:, ::2],
        lambda t: t[0].expand(4, 33),
        lambda t: t[1, 3],
    ):
        both(lambda t: function(t, -1), x, views=view, factor=32)
    for shape, dim in [((0, 3), 1), ((3, 0), 1), ((2, 0, 3), 1), ((), 0)]:
        both(partial(function, dim=dim), draw(shape))


@pytest.mark.parametrize("seed", range(10))
def test_softmax_in_every_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    both(lambda x: gpugrad.softmax(x, 0), draw((130, 3)))
    both(lambda x: gpugrad.log_softmax(x, 1), draw((3, 6200)), factor=64)


def test_softmax_of_infinities() -> None:
    inf, nan = np.inf, np.nan
    rows = np.array([[0, -inf, 1], [-inf] * 3, [1, nan, 2], [inf, 0, 1], [1e38, -1e38, 0], [-inf, -inf, 2]], np.float32)
    for x, dim in ((rows, 1), (rows.T.copy(), 0)):
        expected, got = (gpugrad.softmax(gpugrad.tensor(x).to(where), dim) for where in ("cpu", "cuda"))
        np.testing.assert_allclose(on_host(got), on_host(expected), rtol=1e-6)


def test_softmax_refuses_integers() -> None:
    with pytest.raises(NotImplementedError, match='"softmax" not implemented for'):
        gpugrad.softmax(gpugrad.ones(3, dtype=gpugrad.int64, device="cuda"), 0)


def test_second_derivatives_of_softmax() -> None:
    found = []
    for where in ("cpu", "cuda"):
        x = gpugrad.tensor(draw((3, 5))).to(where).requires_grad_()
        (g,) = gpugrad.autograd.grad((gpugrad.softmax(x, 1) ** 2).sum(), x, create_graph=True)
        (second,) = gpugrad.autograd.grad((g * g).sum(), x)
        found.append(on_host(second))
    np.testing.assert_allclose(found[1], found[0], **tolerance(np.float32))


# ---- norms ----


def layer_norm(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.layer_norm(x, tuple(x.shape[1:]), weight, bias)


def rms_norm(x: Any, weight: Any = None) -> Any:
    return F.rms_norm(x, tuple(x.shape[1:]), weight)


def drawn(cols: Any, dtype: Any = np.float32, rows: Any = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An input away from zero, a weight and a bias."""
    return draw((rows, cols), dtype) + np.asarray(3, dtype), draw(cols, dtype, 1), draw(cols, dtype, 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_norm(dtype: Any) -> None:
    for cols in SIZES if dtype == np.float32 else (1, 33, 1024):
        both(layer_norm, *drawn(cols, dtype), factor=64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rms_norm(dtype: Any) -> None:
    for cols in SIZES if dtype == np.float32 else (1, 33, 1024):
        both(rms_norm, *drawn(cols, dtype)[:2], factor=64)


@pytest.mark.parametrize("function", [layer_norm, rms_norm])
def test_norms_of_long_rows(function: Any) -> None:
    x, weight, bias = drawn(16400, rows=3)
    both(function, *((x, weight, bias) if function is layer_norm else (x, weight)), factor=256)


def test_norms_of_many_rows() -> None:
    """More than the blocks of a persistent grid take at once, and than one thread sums."""
    x, weight, bias = drawn(12, rows=6000)
    both(layer_norm, x, weight, bias, factor=512)
    both(rms_norm, x, weight, factor=512)


def test_norms_of_views_and_without_parameters() -> None:
    x, weight, bias = drawn(33, rows=7)
    for view, cols in ((lambda t: t[1:], 33), (lambda t: t[:, ::2], 17), (lambda t: t[0].expand(4, 33), 33)):
        both(layer_norm, x, weight[:cols], bias[:cols], views=view, factor=64)
        both(rms_norm, x, weight[:cols], views=view, factor=64)
    both(layer_norm, x, views=lambda t: t.t())
    both(lambda t, b: layer_norm(t, None, b), x, bias, factor=64)
    both(layer_norm, draw(33), views=lambda t: t.reshape(1, 33))
    both(lambda t: F.layer_norm(t, (33,)), draw(33))
    both(layer_norm, draw((4, 3, 5)), draw((3, 5), seed=1), draw((3, 5), seed=2), factor=64)
    for shape in [(0, 3), (3, 0)]:
        both(layer_norm, draw(shape), draw(shape[1:], seed=1), draw(shape[1:], seed=2))


def test_norms_of_half_precision_with_float32_parameters() -> None:
    x, weight, bias = drawn(40, np.float16)
    both(layer_norm, x, weight.astype(np.float32), bias.astype(np.float32), factor=16)


def batch_norm(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.batch_norm(x, None, None, weight, bias, training=True)


IMAGES = [(5, 3), (300, 33), (600, 2), (4, 3, 7, 7), (3, 5, 1, 2), (1, 4, 33), (2, 3, 3000), (70, 2, 64)]


@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_batch_norm(shape: Any) -> None:
    c = shape[1]
    both(batch_norm, draw(shape) * 2 + 3, draw(c, seed=1), draw(c, seed=2), factor=256)
    if c == 3:
        both(batch_norm, draw(shape), factor=256)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_batch_norm_of_other_types(dtype: Any) -> None:
    for shape in [(40, 5), (4, 3, 5, 5)]:
        both(batch_norm, draw(shape, dtype), draw(shape[1], dtype, 1), draw(shape[1], dtype, 2), factor=64)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_moves_its_statistics(training: bool) -> None:
    found = []
    for where in ("cpu", "cuda"):
        norm = gpugrad.nn.BatchNorm2d(3).to(where).train(training)
        out = norm(gpugrad.tensor(draw((4, 3, 5, 5)) * 2 + 1).to(where))
        found.append([on_host(t) for t in (out, norm.running_mean, norm.running_var)])
    for expected, got in zip(*found):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 6, 4, 4), (2, 6, 33), (4, 6), (2, 6, 1, 3)], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(groups: int, shape: Any) -> None:
    x, weight, bias = draw(shape) + 1, draw(6, seed=1), draw(6, seed=2)
    # Over a group of one number the gradient is 0, the difference of terms that 1 / sqrt(eps) = 316 has multiplied
    scale = 1 / np.sqrt(x.reshape(shape[0], groups, -1).var(-1).min() + 1e-5)
    terms = scale * np.abs(draw(shape, seed=9)).max() * np.abs(weight).max()
    both(lambda *given: F.group_norm(given[0], groups, *given[1:]), x, weight, bias, factor=256, cancelled=terms)


@pytest.mark.parametrize("shape", [(3, 6, 4, 4), (1, 2, 70), (2, 3, 3000)], ids=str)
def test_instance_norm(shape: Any) -> None:
    c = shape[1]
    both(
        lambda x, weight, bias: F.instance_norm(x, weight=weight, bias=bias),
        *(draw(shape) + 1, draw(c, seed=1), draw(c, seed=2)),
        factor=256,
    )


@pytest.mark.parametrize("seed", range(10))
def test_norms_in_every_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    both(layer_norm, *drawn(33), factor=64)
    both(layer_norm, *drawn(1023, rows=3), factor=64)
    both(rms_norm, *drawn(1023, rows=3)[:2], factor=64)
    both(batch_norm, draw((300, 3)), draw(3, seed=1), draw(3, seed=2), factor=256)
    both(batch_norm, draw((2, 3, 70)), draw(3, seed=1), draw(3, seed=2), factor=256)


def test_statistics_far_from_zero() -> None:
    """Where the mean square minus the squared mean would be all rounding."""
    for shape, function in [((4, 70), layer_norm), ((600, 3), batch_norm), ((3, 2, 70), batch_norm)]:
        x = (draw(shape) + 1e4).astype(np.float32)
        expected = function(gpugrad.tensor(x.astype(np.float64)))
        np.testing.assert_allclose(
            on_host(function(gpugrad.tensor(x).to("cuda"))), on_host(expected), atol=5e-3, err_msg=str(shape)
        )


def test_second_derivatives_of_norms() -> None:
    for function in (layer_norm, rms_norm, batch_norm):
        found = []
        for where in ("cpu", "cuda"):
            x = gpugrad.tensor(draw((4, 5))).to(where).requires_grad_()
            (g,) = gpugrad.autograd.grad((function(x) ** 3).sum(), x, create_graph=True)
            (second,) = gpugrad.autograd.grad((g * g).sum(), x)
            found.append(on_host(second))
        np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-3)
