"""Layers with an activation between them: what cuBLASLt, that is its stand-in, is asked to do beside the products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cublaslt_stand_in import DTYPES, EPILOGUES, NAMES, StandIn, close, draw, put_in_place
from device_tools import on_host

import gpugrad

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def lt(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    yield from put_in_place(monkeypatch)


STACKED = {  # by bias of each layer, activation and whether it comes last: what the products did besides
    (
        (True, True, True),
        "relu",
        False,
    ): "RELU_AUX_BIAS RELU_AUX_BIAS BIAS BGRADB DRELU_BGRAD DEFAULT DRELU_BGRAD DEFAULT DEFAULT",
    ((True, True), "gelu_tanh", False): "GELU_AUX_BIAS BIAS BGRADB DGELU_BGRAD DEFAULT DEFAULT",
    ((True, True), "relu", True): "RELU_AUX_BIAS RELU_BIAS BGRADB DRELU_BGRAD DEFAULT DEFAULT",
    ((True, True), "gelu_tanh", True): "GELU_AUX_BIAS GELU_AUX_BIAS BGRADB DGELU_BGRAD DEFAULT DEFAULT",
    ((False, False), "relu", False): "RELU_AUX DEFAULT DEFAULT DRELU DEFAULT DEFAULT",
    ((False, True), "gelu_tanh", True): "GELU_AUX GELU_AUX_BIAS BGRADB DGELU DEFAULT DEFAULT",
    ((True,), "relu", True): "RELU_BIAS BGRADB DEFAULT",
}


def stacked(where: str, how: Any, dtype: Any, batch: tuple[int, ...]) -> tuple[Any, list[Any]]:
    """The output of layers and its inputs, on the CPU or on the device."""
    from gpugrad.ops.perceptron import perceptron

    biased, activation, last = how
    sizes = (7, 33, 12, 5)
    shapes: list[tuple[int, ...]] = [(*batch, 7)]
    for i, has_bias in enumerate(biased):
        shapes += [(sizes[i + 1], sizes[i]), *([(sizes[i + 1],)] if has_bias else [])]
    leaves = [gpugrad.tensor(draw(*s, dtype=dtype, seed=k)).to(where).requires_grad_() for k, s in enumerate(shapes)]
    return perceptron(*leaves, biased=biased, activation=activation, last=last), leaves


@pytest.mark.parametrize("batch", [(6,), (2, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("how", STACKED, ids=str)
def test_layers_are_activated_on_the_way(how: Any, dtype: Any, batch: tuple[int, ...], lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        out, leaves = stacked(where, how, dtype, batch)
        out.backward(gpugrad.tensor(draw(*out.shape, seed=9)).to(where, out.dtype))
        found.append([on_host(t) for t in (out, *(leaf.grad for leaf in leaves))])
    for got, expected in zip(found[1], found[0], strict=True):
        close(got, expected.astype(np.float64), dtype, 64)
    assert [NAMES[e] for e in lt.epilogues] == STACKED[how].split()


@pytest.mark.parametrize("refused", ["RELU_AUX_BIAS", "DRELU_BGRAD", "BGRADB", "GELU_AUX_BIAS", "DGELU_BGRAD"])
def test_what_the_library_has_no_algorithm_for_is_done_by_kernels(refused: str, lt: StandIn) -> None:
    lt.refuses.add(EPILOGUES[refused])
    how = ((True, True, True), "relu" if "RELU" in refused else "gelu_tanh", False)
    found = []
    for where in ("cpu", "cuda"):
        out, leaves = stacked(where, how, np.float32, (6,))
        out.square().sum().backward()
        found.append([on_host(t) for t in (out, *(leaf.grad for leaf in leaves))])
    for got, expected in zip(found[1], found[0], strict=True):
        close(got, expected.astype(np.float64), np.float32, 64)
    assert EPILOGUES[refused] not in lt.epilogues


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1, 2), (3, 4), (0, 1, 2, 3), (5, 6)])
def test_only_the_wanted_gradients_of_layers(frozen: tuple[int, ...], lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        _, leaves = stacked(where, ((True, True, True), "relu", False), np.float32, (6,))
        for i in frozen:
            leaves[i].requires_grad_(False)
        from gpugrad.ops.perceptron import perceptron

        perceptron(*leaves, biased=(True, True, True), activation="relu", last=False).square().sum().backward()
        found.append([leaf.grad if leaf.grad is None else on_host(leaf.grad) for leaf in leaves])
    for i, (got, expected) in enumerate(zip(found[1], found[0], strict=True)):
        assert (got is None) == (expected is None) == (i in frozen)
        if got is not None:
            close(got, expected.astype(np.float64), np.float32, 64)


def test_layers_have_second_derivatives(lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        out, leaves = stacked(where, ((True, True), "gelu_tanh", False), np.float32, (6,))
        (dx,) = gpugrad.autograd.grad(out.square().sum(), leaves[0], create_graph=True)
        grads = gpugrad.autograd.grad(dx.square().sum() + out.sum(), leaves)
        found.append([on_host(g) for g in grads])
    for got, expected in zip(found[1], found[0], strict=True):
        close(got, expected.astype(np.float64), np.float32, 256)


def test_an_activated_output_is_not_to_be_written(lt: StandIn) -> None:
    out, _ = stacked("cuda", ((True,), "relu", True), np.float32, (6,))
    out.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
