"""kernels/poisson.cu: Poisson numbers are as probable as they should be, and drawn where their rates lie."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from device_tools import on_host

import gpugrad

pytestmark = pytest.mark.cuda

RATES = [0.02, 0.7, 5.0, 9.99, 10.0, 12.5, 90.0, 1e3, 1e6, 3e9, 1e15]


def generator(seed: int = 5) -> gpugrad.Generator:
    return gpugrad.Generator(device="cuda").manual_seed(seed)


def draw(rate: float, count: int = 20_000, dtype: Any = gpugrad.float64) -> np.ndarray:
    rates = gpugrad.full((count,), rate, dtype=dtype, device="cuda")
    return on_host(gpugrad.poisson(rates, generator())).astype(np.float64)


@pytest.mark.parametrize("rate", RATES)
def test_mean_variance_and_whole_numbers(device: str, rate: float) -> None:
    found = draw(rate)
    assert (found >= 0).all() and (found == np.floor(found)).all()
    z = (found - rate) / math.sqrt(rate)
    assert abs(z.mean()) < 5 / math.sqrt(z.size)
    kurtosis = 3 + 1 / rate
    assert abs((z**2).mean() - 1) < 5 * math.sqrt((kurtosis - 1) / z.size)
    assert abs((z**3).mean() - rate**-0.5) < 5 * math.sqrt((15 + 25 / rate + 1 / rate**2) / z.size)


@pytest.mark.parametrize("rate", [0.5, 3.0, 10.0, 40.0, 900.0])
def test_each_number_comes_as_often_as_it_should(device: str, rate: float) -> None:
    found = draw(rate, 40_000)
    k = np.arange(int(rate + 20 * math.sqrt(rate) + 20))
    logs = np.array([math.lgamma(i + 1) for i in k])
    expected = found.size * np.exp(k * math.log(rate) - rate - logs)
    expected[-1] += found.size - expected.sum()
    seen = np.bincount(found.astype(np.int64), minlength=k.size).astype(np.float64)
    assert seen.size == k.size
    # Neighbours are put together until 10 of each are expected
    group = np.floor(np.cumsum(expected) / 10).astype(np.int64)
    expected, seen = np.bincount(group, expected), np.bincount(group, seen)
    used = expected > 5
    chi_square, freedom = ((seen - expected)[used] ** 2 / expected[used]).sum(), used.sum() - 1
    assert abs(chi_square - freedom) < 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("dtype", [gpugrad.float32, gpugrad.float16, gpugrad.bfloat16])
def test_other_dtypes_hold_the_same_numbers(device: str, dtype: Any) -> None:
    rates = gpugrad.tensor([[0.5, 4.0, 16.0], [64.0, 128.0, 0.0]], device=device).expand(50, 2, 3)
    assert not rates.is_contiguous()
    found = gpugrad.poisson(rates.to(dtype), generator())
    wide = gpugrad.poisson(rates.double(), generator())
    assert found.dtype is dtype and found.is_cuda and found.shape == (50, 2, 3)
    np.testing.assert_array_equal(on_host(found), on_host(wide.to(dtype)))
    assert (on_host(wide)[:, 1, 2] == 0).all()


def test_rates_without_numbers(device: str) -> None:
    rates = gpugrad.tensor([0.0, float("inf"), 1e-300, 1e300], dtype=gpugrad.float64, device=device)
    none, endless, rare, huge = gpugrad.poisson(rates).tolist()
    assert (none, endless, rare) == (0.0, float("inf"), 0.0) and huge == pytest.approx(1e300)
    assert gpugrad.poisson(gpugrad.ones(0, 3, device=device)).shape == (0, 3)


@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_a_bad_rate_is_refused_by_the_next_wait(device: str, bad: float) -> None:
    with pytest.raises(RuntimeError, match=r"poisson\(\): invalid Poisson rate, .*non-negative.*element 2 of 4"):
        gpugrad.poisson(gpugrad.tensor([1.0, 2.0, bad, 3.0], device=device)).tolist()
    assert gpugrad.poisson(gpugrad.zeros(3, device=device)).tolist() == [0.0] * 3  # the process goes on


def test_integers_are_no_rates(device: str) -> None:
    with pytest.raises(NotImplementedError, match="poisson is not implemented for int64"):
        gpugrad.poisson(gpugrad.ones(3, dtype=gpugrad.int64, device=device))


@pytest.mark.parametrize("order", range(3))
def test_numbers_depend_on_seed_and_place_alone(device: str, order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = gpugrad.linspace(0, 60, 700, device=device)
    g = generator()
    expected = on_host(gpugrad.poisson(rates, g))
    place = g.get_state()
    assert place.numpy().view("<u8")[1] == 700
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(order))
    from gpugrad.cuda import sampling

    monkeypatch.setattr(sampling, "blocks_for", lambda count, each: (1 + order,))
    np.testing.assert_array_equal(on_host(gpugrad.poisson(rates, generator())), expected)
    assert (on_host(gpugrad.poisson(rates, g)) != expected).mean() > 0.5


def test_a_captured_draw_goes_on_and_waits_for_nothing(device: str) -> None:
    from gpugrad.cuda import backend

    rates, g = gpugrad.full((100,), 30.0, device=device), generator()
    expected = [gpugrad.poisson(rates, g).tolist() for _ in range(3)]
    g.manual_seed(5)
    assert gpugrad.poisson(rates, g).tolist() == expected[0]
    graph = gpugrad.cuda.CUDAGraph()
    if backend.simulated():
        backend.cupy().counters.reset()
    with gpugrad.cuda.graph(graph):
        drawn = gpugrad.poisson(rates, g)
    if backend.simulated():
        counters = backend.cupy().counters
        assert (counters.host_to_device, counters.device_to_host) == (0, 0)
    for want in expected[1:]:
        graph.replay()
        assert drawn.tolist() == want
