"""Permutations, categories and numbers found by rejection: PyTorch's to the last bit."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from random_pair import FLOATING, Pair, assert_in_step, assert_same, dtype_of

from gpugrad import random_sampling as sample
from gpugrad.random_engine import Mt19937

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def pair(torch: ModuleType) -> Pair:
    return Pair(torch, 1234)


def test_literal_samples() -> None:
    assert sample.randperm(10, generator=Mt19937(0)).tolist() == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]
    assert sample.multinomial(np.float32([1, 2, 3, 4]), 3, generator=Mt19937(0)).tolist() == [2, 1, 3]


def test_long_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shuffle for 214,748,364 elements and more, at a size a test can afford."""
    monkeypatch.setattr(sample, "_LONG_PERMUTATION", 20)
    monkeypatch.setattr(sample, "_CHUNK", 8)
    generator, words = Mt19937(4), Mt19937(4).words64(20).tolist()
    expected: list[int] = []
    for i, word in enumerate(words):  # Fisher and Yates, inside out
        expected.append(i)
        j = word % (i + 1)
        expected[i], expected[j] = expected[j], i
    assert sample.randperm(20, generator=generator).tolist() == expected
    assert sorted(expected) == list(range(20))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 625, 66000])
def test_randperm(pair: Pair, n: int) -> None:
    pair.sample("randperm", n)


@pytest.mark.parametrize(("dtype", "n"), [("uint8", 256), ("int16", 300), ("float16", 2049), ("float32", 100)])
def test_randperm_dtypes(pair: Pair, dtype: str, n: int) -> None:
    ours = sample.randperm(n, np.dtype(dtype), generator=pair.ours)
    assert_same(ours, pair.torch.randperm(n, dtype=getattr(pair.torch, dtype), generator=pair.theirs))


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("shape", [(1,), (50,), (7, 30), (0, 5), (300, 65)])
def test_multinomial(pair: Pair, dtype: str, shape: tuple[int, ...]) -> None:
    weights = np.random.RandomState(0).gamma(0.5, size=shape).astype(dtype_of(dtype))
    weights += weights.dtype.type(1e-3)
    theirs = pair.torch.from_numpy(weights.astype(np.float64)).to(getattr(pair.torch, dtype))
    for count, replacement in ((1, False), (1, True), (9, True)):
        ours = sample.multinomial(weights, count, replacement, generator=pair.ours)
        assert_same(ours, pair.torch.multinomial(theirs, count, replacement, generator=pair.theirs))
        assert_in_step(pair.ours, pair.theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "count"), [((50,), 50), ((7, 30), 4), ((3, 5000), 20), ((5000,), 5000)])
def test_multinomial_without_replacement(pair: Pair, dtype: str, shape: tuple[int, ...], count: int) -> None:
    weights = np.random.RandomState(0).gamma(0.5, size=shape).astype(dtype)
    pair.sample("multinomial", weights, count)


def test_multinomial_of_a_transposed_array(pair: Pair) -> None:
    weights = np.random.RandomState(0).uniform(size=(30, 7))
    ours = sample.multinomial(weights.T, 3, generator=pair.ours)
    assert_same(ours, pair.torch.multinomial(pair.torch.from_numpy(weights).T, 3, generator=pair.theirs))


def test_multinomial_takes_what_is_impossible_last() -> None:
    drawn = sample.multinomial(np.float32([0.0, 0.5, 0.0, 0.5]), 4, generator=Mt19937(0))
    assert sorted(drawn[:2].tolist()) == [1, 3]
    assert drawn[2:].tolist() == [0, 2]


@pytest.mark.parametrize("dtype", FLOATING)
def test_normal_by_element(pair: Pair, dtype: str) -> None:
    torch = pair.torch
    rows, columns = np.linspace(-2, 2, 5).reshape(5, 1), np.linspace(0, 3, 7)
    kind, theirs = dtype_of(dtype), getattr(torch, dtype)
    t_rows, t_columns = torch.from_numpy(rows).to(theirs), torch.from_numpy(columns).to(theirs)
    for ours, expected in (
        ((rows.astype(kind), columns.astype(kind)), (t_rows, t_columns)),
        ((columns.astype(kind), 1.7), (t_columns, 1.7)),
        ((0.3, columns.astype(kind)), (0.3, t_columns)),
    ):
        assert_same(sample.normal(*ours, generator=pair.ours), torch.normal(*expected, generator=pair.theirs))
        assert_in_step(pair.ours, pair.theirs)


def test_normal_without_an_array() -> None:
    with pytest.raises(TypeError, match="normal expects mean or std to be an array"):
        sample.normal(0.0, 1.0, generator=Mt19937(0))


def test_normal_of_mixed_dtypes(pair: Pair) -> None:
    mean, std = np.linspace(-1, 1, 40, dtype=np.float32), np.linspace(0, 2, 40)
    pair.sample("normal", mean, std)
    pair.sample("normal", mean, np.arange(40))
    pair.sample("normal", mean, np.array(1.7))
    pair.sample("normal", std, mean + 1)


@pytest.mark.parametrize("dtype", FLOATING)
def test_poisson(pair: Pair, dtype: str) -> None:
    rates = np.array([0, 0.1, 1, 5, 9.99, 10, 30, 1000, 60000]).repeat(20)
    kind = getattr(pair.torch, dtype)
    ours = sample.poisson(rates.astype(dtype_of(dtype)), generator=pair.ours)
    assert_same(ours, pair.torch.poisson(pair.torch.from_numpy(rates).to(kind), generator=pair.theirs))
    assert_in_step(pair.ours, pair.theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gamma_and_dirichlet(pair: Pair, dtype: str) -> None:
    alpha = np.array([0, 1e-3, 0.1, 0.9, 1, 1.5, 7, 300], dtype).repeat(10).reshape(10, 8)
    pair.sample("standard_gamma", alpha, torch_name="_standard_gamma")
    ours = sample.dirichlet(alpha, generator=pair.ours)
    theirs = pair.torch._sample_dirichlet(pair.torch.from_numpy(alpha), generator=pair.theirs)
    assert ours.dtype == alpha.dtype
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0 if dtype == "float32" else 5e-16)  # sums differ by an ulp
    assert_in_step(pair.ours, pair.theirs)


BAD_SAMPLES: list[tuple[str, tuple[Any, ...]]] = [
    ("multinomial", (np.float32([0.5, 0.5]), 0)),
    ("multinomial", (np.float32([0.5, 0.5]), 3)),
    ("multinomial", (np.float32(1), 1)),
    ("multinomial", (np.ones((2, 2, 2)), 1)),
    ("multinomial", (np.ones(3, np.int64), 1)),
    ("multinomial", (np.zeros(3), 1)),
    ("multinomial", (np.zeros(3), 2, True)),
    ("multinomial", (np.zeros(0), 2, True)),
    ("multinomial", (np.array([[0.5, 0.5], [0, 0]]), 1)),
    ("multinomial", (np.array([0.5, -0.1]), 1)),
    ("multinomial", (np.array([0.5, NAN]), 2, True)),
    ("multinomial", (np.array([0.5, INF]), 1)),
    ("multinomial", (np.broadcast_to(np.float32(1), (2**24 + 1,)), 1)),
    ("randperm", (-1,)),
    ("normal", (np.zeros(3), -1.0)),
    ("normal", (np.zeros(3), np.array([1, -1.0, 1]))),
    ("normal", (0.0, np.array([1, NAN, 1]))),
    ("normal", (np.zeros(3), np.ones(2))),
    ("normal", (np.zeros(3, np.int64), 1.0)),
    ("poisson", (np.array([1.0, -1.0]),)),
    ("poisson", (np.array([NAN]),)),
    ("poisson", (np.array([1]),)),
]


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning")
@pytest.mark.parametrize(("name", "args"), BAD_SAMPLES)
def test_bad_sample(torch: ModuleType, name: str, args: tuple[Any, ...]) -> None:
    theirs = [torch.from_numpy(np.asarray(arg)) if hasattr(arg, "dtype") else arg for arg in args]
    with pytest.raises(Exception) as expected:  # whatever its class is
        getattr(torch, name)(*theirs)
    generator = Mt19937(0)
    before = generator.get_state()
    with pytest.raises(expected.type) as raised:
        getattr(sample, name)(*args, generator=generator)
    assert raised.type is expected.type
    assert (generator.get_state() == before).all()


@pytest.mark.parametrize(
    ("dtype", "error"), [("uint8", RuntimeError), ("float16", RuntimeError), ("bool", NotImplementedError)]
)
def test_randperm_that_does_not_fit(torch: ModuleType, dtype: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        torch.randperm(3000, dtype=getattr(torch, dtype))
    with pytest.raises(error, match="randperm"):
        sample.randperm(3000, np.dtype(dtype), generator=Mt19937(0))


@pytest.mark.parametrize("name", ["standard_gamma", "dirichlet"])
def test_bad_concentration(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"{name} expects all elements of alpha >= 0"):
        getattr(sample, name)(np.array([1.0, -1.0]), generator=Mt19937(0))
    with pytest.raises(NotImplementedError, match=f"{name} is not implemented for int64"):
        getattr(sample, name)(np.array([1]), generator=Mt19937(0))
