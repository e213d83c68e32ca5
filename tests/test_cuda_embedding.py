"""kernels/embedding.cu: the gradient of an embedding is summed by sorted rows, the same bits in every run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.cuda import backend
from gpugrad.nn import functional as F
from gpugrad.ops.embedding import add_embedding_rows

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


@pytest.fixture(autouse=True)
def sorted_however_few(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    backend.require()
    from gpugrad.cuda import embedding

    monkeypatch.setattr(embedding, "_FROM", 0)
    monkeypatch.setattr(embedding, "added", None)  # atomic sums
    yield


pytestmark = pytest.mark.cuda


def both(index: np.ndarray, rows: int, width: int, dtype: Any, padding_idx: int = -1) -> np.ndarray:
    """The sums on the device, held to those in float64."""
    g = np.random.default_rng(len(index)).normal(size=(*index.shape, width)).astype(dtype)
    on_device = gpugrad.tensor(g).to("cuda"), gpugrad.tensor(index).to("cuda")
    found = on_host(add_embedding_rows(*on_device, shape=(rows, width), padding_idx=padding_idx))
    wide = g.astype(np.float64)
    expected = add_embedding_rows.op.body(wide, index, shape=(rows, width), padding_idx=padding_idx)
    unit = float(ml_dtypes.finfo(dtype).eps)
    sizes = add_embedding_rows.op.body(abs(wide), index, shape=(rows, width), padding_idx=padding_idx)
    steps = np.bincount(index.ravel(), minlength=rows)[:, None] if unit < 1e-5 else 1  # wider sums round once
    assert (abs(found - expected) <= unit * (abs(expected) + steps * (sizes if unit < 1e-5 else 0)) + 1e-30).all()
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_rows_of_every_width(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    for width in (1, 7, 8, 33, 64, 128, 520, 1025):
        for rows, n in ((9, 35), (300, 70), (1, 3)):
            both(rng.integers(0, rows, n), rows, width, dtype)
    both(rng.integers(0, 9, (4, 5, 3)).astype(np.int32), 9, 40, dtype, padding_idx=4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_are_named_often_among_others(dtype: Any) -> None:
    index = np.concatenate([np.zeros(65, int), np.full(64, 1), np.full(600, 299), np.arange(300), np.full(200, 257)])
    for width in (40, 129, 300):
        both(np.random.default_rng(1).permutation(index), 300, width, dtype)


def test_a_row_that_nobody_names_is_zero_and_so_is_padding() -> None:
    found = both(np.array([3, 1, 3, 7, 7]), 10, 24, np.float32, padding_idx=7)
    assert (np.flatnonzero(found.any(1)) == [1, 3]).all()


def test_every_run_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    index = np.random.default_rng(2).integers(0, 40, 3000) // 3
    seen = set()
    for order in range(4):
        monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(order))
        seen.add(both(index, 40, 36, np.float32).tobytes())
    assert len(seen) == 1


def test_bad_indices_are_reported_and_left_out() -> None:
    g, index = gpugrad.ones(4, 8).to("cuda"), gpugrad.tensor([1, 5, -1, 2]).to("cuda")
    made = add_embedding_rows(g._array, index._array, shape=(5, 8), padding_idx=-1)
    with pytest.raises(IndexError, match=r"embedding\(\): index (5|-1) .* size 5"):
        made.get()
    assert made.get()[:, 0].tolist() == [0, 1, 1, 0, 0]


def test_through_the_layer_and_in_a_graph() -> None:
    weight = gpugrad.randn(50, 16, device="cuda", requires_grad=True)
    index = gpugrad.randint(0, 50, (8, 9), device="cuda")
    (F.embedding(index, weight) ** 2).sum().backward()
    expected = on_host(weight.grad).copy()
    counts = np.bincount(on_host(index).ravel(), minlength=50)
    np.testing.assert_allclose(expected, 2 * counts[:, None] * on_host(weight), rtol=1e-5)
    graph = gpugrad.cuda.CUDAGraph()
    with gpugrad.cuda.graph(graph):
        weight.grad.zero_()
        (F.embedding(index, weight) ** 2).sum().backward()
    for _ in range(2):
        graph.replay()
        np.testing.assert_array_equal(on_host(weight.grad), expected)


def test_gradients_of_gradients() -> None:
    weight = gpugrad.randn(20, 6, dtype=gpugrad.float64, device="cuda", requires_grad=True)
    index = gpugrad.randint(0, 20, (40,), device="cuda")
    (g,) = gpugrad.autograd.grad((F.embedding(index, weight) ** 3).sum(), weight, create_graph=True)
    (of_g,) = gpugrad.autograd.grad((g**2).sum(), weight)
    counts = np.bincount(on_host(index), minlength=20)[:, None]
    np.testing.assert_allclose(on_host(of_g), 36 * counts**2 * on_host(weight) ** 3)
