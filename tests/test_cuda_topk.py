"""kernels/topk.cu: the few largest and smallest of rows are those of a stable sort."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.cuda import backend
from gpugrad.ops.sort import stable_order

pytestmark = pytest.mark.cuda

DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8"]


@pytest.fixture(autouse=True)
def never_sorted(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend.require()
    from gpugrad.cuda import topk

    monkeypatch.setattr(topk, "order_of", None)
    monkeypatch.setattr(topk, "_SHORT", 0)


def both(x: np.ndarray, dtype: str, k: int, dim: int = -1, view: Any = lambda x: x) -> None:
    """Values and places, whichever end; equal elements in their order."""
    there = view(gpugrad.tensor(x).to("cuda", getattr(gpugrad, dtype)))
    host = there.cpu().numpy()
    for largest in (True, False):
        values, places = there.topk(k, dim, largest)
        expected = stable_order(host, dim % host.ndim, largest).take(range(k), dim)
        np.testing.assert_array_equal(on_host(places), expected)
        np.testing.assert_array_equal(
            on_host(values), np.take_along_axis(host, expected, dim).astype(on_host(values).dtype)
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 33, 256, 257, 1024, 1025, 8192, 8193, 17000])
def test_rows_of_every_length(n: int, dtype: str) -> None:
    x = np.random.default_rng(n).integers(0, 200, (3, n)) if n < 1000 else np.random.default_rng(n).normal(size=(2, n))
    for k in {1, min(n, 7), min(n, 64)}:
        both(x * (40 if n >= 1000 and dtype == "uint8" else 1), dtype, k)


def test_equal_ones_nans_infinities_and_zeros_in_order() -> None:
    x = np.random.default_rng(0).choice([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0], (3, 9000))
    for n in (64, 700, 9000):
        both(x[:, :n], "float32", 33)
        both(np.zeros((2, n)), "float64", 20)
        both(np.full((1, n), np.nan), "float16", 9)
    last = np.zeros((1, 8192 * 2 + 3))  # more are wanted than the last part has
    last[0, -3:] = 1
    both(last, "float32", 10)


def test_of_more_passes_than_two(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import topk

    monkeypatch.setattr(topk, "_SHAPES", ((32, 8, 4),))
    both(np.random.default_rng(1).integers(0, 50, (5, 7000)), "int32", 40)


def test_along_any_dimension_and_of_views() -> None:
    x = np.random.default_rng(2).normal(size=(6, 300, 5))
    both(x, "float32", 4, 1)
    both(x, "float32", 3, 0)
    both(x, "float32", 8, 1, lambda x: x.transpose(0, 2)[:, ::2])
    both(x, "float32", 5, 0, lambda x: x[1:, :, 3].t())


def test_one_launch_finds_the_places_and_one_reads_the_values() -> None:
    if not backend.simulated():
        pytest.skip("launches are counted by the simulator")
    x = gpugrad.randn(9, 1000, device="cuda")
    x.topk(5)
    backend.cupy().counters.reset()
    x.topk(5)
    assert backend.cupy().counters.launches == 2


def test_gradients() -> None:
    x = gpugrad.randn(4, 300, device="cuda", requires_grad=True)
    values, places = x.topk(6)
    (values * values).sum().backward()
    expected = np.zeros((4, 300), np.float32)
    np.put_along_axis(expected, on_host(places), 2 * on_host(values), 1)
    np.testing.assert_array_equal(on_host(x.grad), expected)
