"""Losses on the CUDA device that are more than a formula, and closeness, which is one: the CPU's values and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.nn import functional as F

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("kernels_only")]

FLOATS = [gpugrad.float32, gpugrad.float64, gpugrad.float16, gpugrad.bfloat16]
SIZES = [0, 1, 31, 32, 33, 1023, 4097]
VIEWS: dict[str, Any] = {
    "plain": lambda x: x[: (len(x) - 1) // 2],
    "misaligned": lambda x: x[1 : 1 + (len(x) - 1) // 2],
    "every other": lambda x: x[1::2],
}


@pytest.fixture
def kernels_only(on_cupy: set[str]) -> Any:
    """After a test: nothing was left to CuPy."""
    yield
    assert not on_cupy


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("view", VIEWS)
def test_cross_entropy_of_probabilities(view: str, dtype: Any) -> None:
    for n in SIZES:
        rng = np.random.default_rng(n)
        x, y = rng.random(2 * n + 1), rng.random(2 * n + 1)
        x[: n // 3], x[n // 3 : n // 2] = 0, 1  # where logarithms are cut off
        results = []
        for where in ("cpu", "cuda"):
            given = [gpugrad.tensor(a).to(dtype).to(where).requires_grad_() for a in (x, y)]
            losses = F.binary_cross_entropy(*map(VIEWS[view], given), reduction="none")
            losses.backward(gpugrad.ones_like(losses))
            results.append([losses, *[g.grad for g in given]])
        eps = float(gpugrad.finfo(dtype).eps)
        for here, there in zip(*results):
            np.testing.assert_allclose(on_host(there), on_host(here), rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize("bad", [1.5, -1e-3, float("nan")])
def test_what_is_no_probability_is_found_when_the_host_waits(bad: float) -> None:
    x, y = gpugrad.full((5000,), 0.5), gpugrad.ones(5000)
    x[4321] = bad
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1; apply sigmoid"):
        F.binary_cross_entropy(x, y)
    loss = F.binary_cross_entropy(x.to("cuda"), y.to("cuda"))
    with pytest.raises(
        RuntimeError, match=r"binary_cross_entropy\(\): all elements of input should be between 0 and 1"
    ):
        loss.item()
    np.testing.assert_allclose(F.binary_cross_entropy(y.to("cuda") / 2, y.to("cuda")).item(), np.log(2), rtol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_closeness(dtype: Any) -> None:
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 1e4]
    for n in SIZES:
        rng = np.random.default_rng(n)
        x = np.concatenate([rng.normal(size=n), np.repeat(special, 7)])
        y = np.concatenate([x[:n] * (1 + rng.choice([0, 1e-7, 1e-4, 1e-2, 1], n)), special * 7])
        for tolerance in ({}, {"rtol": 3e-3, "atol": 0.0}, {"rtol": 0.0, "atol": 0.1}, {"equal_nan": True}):
            found = []
            for where in ("cpu", "cuda"):
                a, b = (gpugrad.tensor(v).to(dtype).to(where) for v in (x, y))
                found += [gpugrad.isclose(a, b, **tolerance), gpugrad.isclose(a[:, None], b[-9:], **tolerance)]
                assert gpugrad.allclose(a, b, **tolerance) is False
                assert gpugrad.allclose(a[:n], a[:n], **tolerance) is True
            np.testing.assert_array_equal(on_host(found[2]), on_host(found[0]))
            np.testing.assert_array_equal(on_host(found[3]), on_host(found[1]))


@pytest.mark.parametrize("dtype", [gpugrad.int64, gpugrad.int32, gpugrad.uint8, gpugrad.bool], ids=str)
def test_closeness_of_integers(dtype: Any) -> None:
    x = gpugrad.tensor([0, 1, 100, 255, 2**40, 2**40 + 1]).to(dtype)
    y = gpugrad.tensor([0, 2, 101, 255, 2**40 + 1, 2**41]).to(dtype)
    for rtol in (1e-5, 0.02, 0.0):
        here, there = (gpugrad.isclose(x.to(w), y.to(w), rtol=rtol) for w in ("cpu", "cuda"))
        np.testing.assert_array_equal(on_host(there), on_host(here))


def test_a_tolerance_makes_no_kernel_of_its_own(device: str) -> None:
    from gpugrad.cuda import elementwise

    x = gpugrad.ones(9, device=device)
    gpugrad.isclose(x, x)
    made = len(elementwise._kernels)
    for k in range(5):
        gpugrad.isclose(x, x, rtol=0.1 * k, atol=0.2 * k)
    assert len(elementwise._kernels) == made


def test_rows_are_limited(device: str) -> None:
    table, index = np.random.default_rng(0).normal(size=(9, 33)).astype(np.float32), np.array([[3, 5, 3], [0, 8, 5]])
    for norm in (2.0, 1.0, 3.0, float("inf")):
        results = []
        for where in ("cpu", device):
            weight = gpugrad.tensor(table, device=where)
            out = F.embedding(gpugrad.tensor(index, device=where), weight, max_norm=1.5, norm_type=norm)
            results.append((out, weight))
        for here, there in zip(*results):
            np.testing.assert_allclose(on_host(there), on_host(here), rtol=1e-6)
