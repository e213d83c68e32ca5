"""Counts by value on the CUDA device: each against the body of its op."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.cuda.backend import simulated
from gpugrad.ops.statistics import _bincount, _histc, _histogram

pytestmark = pytest.mark.cuda

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(t) for t in (np.float32, np.float64, np.float16)] + [BFLOAT16]
INTEGERS = [np.dtype(t) for t in (np.int64, np.int32, np.int16, np.int8, np.uint8)]
SIZES = [0, 1, 31, 32, 33, 1023, 4097]
BINS = [1, 3, 100, 2049, 5000]  # in shared memory, with 8 copies and with fewer, and where they lie


@pytest.fixture(autouse=True)
def kernels_only(on_cupy: set[str]) -> Iterator[None]:
    """After a test: nothing was left to CuPy."""
    yield
    assert not on_cupy


def on_device(x: Any) -> Any:
    return None if x is None else gpugrad.tensor(x).to("cuda")


def numbers(n: int, dtype: Any, below: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, min(below, np.iinfo(dtype).max), n).astype(dtype)


def values(n: int, dtype: Any, seed: int = 0) -> np.ndarray:
    """Normal numbers, with NaNs, infinities and both zeros among them."""
    x = np.random.default_rng(seed).normal(size=n).astype(dtype)
    for place, special in enumerate((np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.5)):
        x[3 * place + 1 : 3 * place + 2] = special
    return x


def same(found: Any, body: np.ndarray, rtol: float = 0, atol: float = 0) -> None:
    got = on_host(found)
    assert found.is_cuda and got.shape == body.shape and found._array.dtype == body.dtype
    np.testing.assert_allclose(got, body.astype(got.dtype), rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("bins", BINS)
def test_counts_of_numbers(dtype: np.dtype, bins: int) -> None:
    for n in SIZES:
        x = numbers(n, dtype, bins + 1)
        needed = max(bins, int(x.max(initial=0)) + 1)
        same(_bincount(on_device(x), bins=needed), np.bincount(x, minlength=needed))
        same(gpugrad.bincount(on_device(x)), np.bincount(x))
        for kind in (np.float32, np.float64):
            weights = np.random.default_rng(1).normal(size=n).astype(kind)
            found = gpugrad.bincount(on_device(x), on_device(weights), minlength=bins)
            same(found, _bincount.op.body(x, weights if n else None, bins=bins), rtol=1e-6, atol=1e-6)


def test_counts_of_views_and_of_other_weights() -> None:
    x, weights = numbers(4098, np.int64, 40), np.arange(4098)
    for part in (slice(1, None), slice(None, None, 2), slice(0, 0)):
        same(gpugrad.bincount(on_device(x)[part]), np.bincount(x[part]))
        if len(x[part]):
            found = gpugrad.bincount(on_device(x)[part], on_device(weights)[part])
            same(found, np.bincount(x[part], weights[part]), rtol=1e-12)


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_nothing_is_counted_in_int64(where: str, device: str) -> None:
    nothing = gpugrad.zeros(0, dtype=gpugrad.int64, device=where)
    for weights in (None, gpugrad.ones(0, device=where), gpugrad.ones(0, device=where, dtype=gpugrad.float64)):
        assert gpugrad.bincount(nothing, weights).dtype == gpugrad.int64
        assert gpugrad.bincount(nothing, weights, minlength=3).tolist() == [0, 0, 0]


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_what_cannot_be_counted(where: str, device: str) -> None:
    with pytest.raises(RuntimeError, match="only supports 1-d non-negative integral inputs"):
        gpugrad.bincount(gpugrad.tensor([1, -1, 2], device=where))
    with pytest.raises(RuntimeError, match="only supports 1-d non-negative integral inputs"):
        gpugrad.bincount(gpugrad.zeros(2, 2, dtype=gpugrad.int64, device=where))
    with pytest.raises(RuntimeError, match="same length as input"):
        gpugrad.bincount(gpugrad.tensor([1, 2], device=where), gpugrad.ones(3, device=where))
    with pytest.raises(NotImplementedError, match="not implemented for"):
        gpugrad.bincount(gpugrad.ones(3, device=where))
    with pytest.raises(RuntimeError, match="is not finite"):
        gpugrad.histc(gpugrad.tensor([1.0, float("nan")], device=where))
    with pytest.raises(RuntimeError, match="max must be larger than min"):
        gpugrad.histc(gpugrad.ones(3, device=where), 10, 2, 1)
    with pytest.raises(NotImplementedError, match="not implemented for"):
        gpugrad.histc(gpugrad.tensor([1, 2], device=where))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("bins", BINS)
def test_counts_between_even_edges(dtype: np.dtype, bins: int) -> None:
    for n in SIZES:
        x = values(n, dtype)
        for bounds in ((-1.5, 0.7), (0.0, 1.0), (-3e-3, 1e-3)):
            same(_histc(on_device(x), bins=bins, range=bounds), _histc.op.body(x, bins=bins, range=bounds))


def test_elements_on_edges_and_beside_them() -> None:
    edges = np.linspace(0.1, 2.3, 38)
    for dtype in FLOATS[:2]:
        on = edges.astype(dtype)
        x = np.concatenate([on, np.nextafter(on, dtype.type(9)), np.nextafter(on, dtype.type(-9))])
        same(_histc(on_device(x), bins=37, range=(0.1, 2.3)), _histc.op.body(x, bins=37, range=(0.1, 2.3)))


def test_the_range_of_the_data_and_views() -> None:
    x = np.random.default_rng(0).normal(size=(66, 65)).astype(np.float32)
    for view in (lambda x: x, lambda x: x.T, lambda x: x[1:, ::2], lambda x: x[:1, :1]):
        here, there = gpugrad.tensor(x), on_device(x)
        same(gpugrad.histc(view(there), 20), gpugrad.histc(view(here), 20).numpy())


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["counts", "weights"])
def test_counts_between_given_edges(dtype: np.dtype, weighted: bool) -> None:
    eps = float(gpugrad.finfo({2: gpugrad.bfloat16, 4: gpugrad.float32, 8: gpugrad.float64}[dtype.itemsize]).eps)
    for n in SIZES:
        for bins in BINS:
            edges = np.sort(np.random.default_rng(bins).normal(size=bins + 1)).astype(dtype)
            edges[bins // 2 : bins // 2 + 2] = edges[bins // 2]  # one bin of no width
            x = values(n, dtype)
            x[: min(n, 1)] = edges[-1]
            weight = np.random.default_rng(2).random(n).astype(dtype) if weighted else None
            found = _histogram(on_device(x), on_device(edges), on_device(weight), density=False)
            same(found, _histogram.op.body(x, edges, weight, density=False), rtol=2 * eps, atol=1e-6)


def test_densities() -> None:
    x = values(4097, np.float32)
    edges, weight = np.linspace(-2, 2, 12).astype(np.float32) ** 3, np.arange(4097, dtype=np.float32)
    for w in (None, weight):
        found = _histogram(on_device(x), on_device(edges), on_device(w), density=True)
        same(found, _histogram.op.body(x, edges, w, density=True), rtol=1e-5)


def test_the_same_sums_in_any_order_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    if not simulated():
        pytest.skip("only the simulator's order can be chosen")
    x, weights = numbers(5000, np.int64, 9), np.random.default_rng(0).normal(size=5000)
    floats, edges = values(5000, np.float64), np.linspace(-2, 2, 8)
    gpugrad.use_deterministic_algorithms(True)
    found = set()
    try:
        for seed in range(10):
            monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
            sums = gpugrad.bincount(on_device(x), on_device(weights))
            between = gpugrad.histogram(on_device(floats), on_device(edges), weight=on_device(weights)).hist
            found.add(on_host(sums).tobytes() + on_host(between).tobytes())
    finally:
        gpugrad.use_deterministic_algorithms(False)
    assert len(found) == 1
    same(sums, np.bincount(x, weights), rtol=1e-12, atol=1e-12)
    same(between, _histogram.op.body(floats, edges, weights, density=False), rtol=1e-12, atol=1e-12)


def test_counts_in_any_order(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    if not simulated():
        pytest.skip("only the simulator's order can be chosen")
    x, floats = numbers(5000, np.int64, 300), values(5000, np.float32)
    for seed in range(10):
        monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
        same(gpugrad.bincount(on_device(x)), np.bincount(x))
        same(gpugrad.bincount(on_device(x * 20)), np.bincount(x * 20))
        same(_histc(on_device(floats), bins=30, range=(-1.0, 1.0)), _histc.op.body(floats, bins=30, range=(-1.0, 1.0)))


def test_one_wait_for_the_bounds(device: str) -> None:
    if not simulated():
        pytest.skip("waits are counted by the simulator")
    from gpugrad.cuda import backend

    counters = backend.cupy().counters
    x, floats = on_device(numbers(500, np.int64, 9)), on_device(values(500, np.float32)).nan_to_num(0, 1, -1)
    for work, expected in ((lambda: gpugrad.bincount(x), 1), (lambda: gpugrad.histc(floats, 5), 1)):
        counters.reset()
        work()
        assert counters.device_to_host == expected
    counters.reset()
    gpugrad.histc(floats, 5, -1, 1)
    assert counters.synchronizations == 0


def test_how_often_each_index_occurs() -> None:
    index, table = numbers(70, np.int64, 9).reshape(7, 10), np.ones((12, 3), np.float32)
    results = []
    for where in ("cpu", "cuda"):
        weight = gpugrad.tensor(table, device=where, requires_grad=True)
        embedded = gpugrad.nn.functional.embedding(gpugrad.tensor(index, device=where), weight, scale_grad_by_freq=True)
        (embedded * gpugrad.arange(10, device=where)[:, None]).sum().backward()
        results.append(on_host(weight.grad))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6)
