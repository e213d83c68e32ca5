"""kernels/dropout.cu: dropout in one launch, whose mask is that of a fill of it, and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from device_tools import on_host
from test_cuda_random import philox

import gpugrad
from gpugrad.core import wrap
from gpugrad.cuda import backend
from gpugrad.nn import functional as F
from gpugrad.ops.dropout import drop

pytestmark = pytest.mark.cuda

FLOATS = [gpugrad.float32, gpugrad.float64, gpugrad.float16, gpugrad.bfloat16]
SIZES = [1, 3, 31, 33, 1023, 2047, 2048, 2049, 4099]
P = 0.3


@pytest.fixture(autouse=True)
def seeded(device: str) -> None:
    gpugrad.manual_seed(11)


def kept(count: int, start: int = 0) -> np.ndarray:
    """Which elements are kept by a draw that begins at block `start` of the stream."""
    return philox(11, start, -(-count // 4)).ravel()[:count] < round((1 - P) * 2**32)


def normal(count: int, dtype: Any) -> gpugrad.Tensor:
    return gpugrad.tensor(np.random.default_rng(count).normal(size=count)).to("cuda", dtype)


def times(x: Any, keep: np.ndarray) -> np.ndarray:
    """`x` by 1 / (1 - P) in its dtype where it is kept, else by 0, as the product of two arrays has it."""
    array = x.detach().cpu().numpy()
    made = array * np.where(keep, array.dtype.type(1 / (1 - P)), array.dtype.type(0))
    return made.astype(np.float32) if made.dtype.kind == "V" else made


@pytest.mark.parametrize("dtype", FLOATS)
def test_elements_and_gradients_are_dropped_by_the_words_of_philox(dtype: Any) -> None:
    start = 0
    for count in SIZES:
        for skip in (0, 1):  # on a 16-byte boundary and off it
            x = normal(count + skip, dtype)[skip:].requires_grad_()
            y = F.dropout(x, P)
            g = normal(count + 2, dtype)[2:]
            y.backward(g)
            keep = kept(count, start)
            np.testing.assert_array_equal(on_host(y), times(x, keep))
            np.testing.assert_array_equal(on_host(x.grad), times(g, keep))
            start += -(-count // 4)
    assert gpugrad.cuda.get_rng_state().numpy().view("<u8").tolist() == [11, start]


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_kernel_is_the_body(dtype: Any) -> None:
    x = normal(5000, dtype)
    x[::7], x[1::7], x[2::7] = float("inf"), float("nan"), -0.0
    generators = [gpugrad.Generator(device="cuda").manual_seed(5) for _ in range(2)]
    found = drop(x, p=P, generator=generators[0].engine)
    expected, _ = drop.op.body(x._array, p=P, generator=generators[1].engine, recorded=True)
    np.testing.assert_array_equal(bits(found), bits(wrap(expected)))
    assert generators[0].get_state().tolist() == generators[1].get_state().tolist()


def bits(x: Any) -> np.ndarray:
    values = on_host(x)
    return np.stack([values, np.signbit(values) & ~np.isnan(values)])


@pytest.mark.parametrize("order", range(4))
def test_the_mask_does_not_depend_on_the_order_of_threads_or_the_grid(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(order))
    from gpugrad.cuda import dropout

    monkeypatch.setattr(dropout, "blocks_for", lambda *ignored: (1 + order,))
    x = normal(9001, gpugrad.float32).requires_grad_()
    y = F.dropout(x, P)
    y.sum().backward()
    np.testing.assert_array_equal(on_host(y), times(x, kept(9001)))
    np.testing.assert_array_equal(on_host(x.grad), times(gpugrad.ones(9001), kept(9001)))
    assert gpugrad.cuda.get_rng_state().numpy().view("<u8").tolist() == [11, -(-9001 // 4)]


def launches(work: Callable[[], Any]) -> int:
    if not backend.simulated():
        pytest.skip("launches are counted by the simulator")
    work()
    backend.cupy().counters.reset()
    work()
    return int(backend.cupy().counters.launches)


def test_one_launch_there_and_one_back() -> None:
    x, g = normal(5000, gpugrad.float32).requires_grad_(), normal(5000, gpugrad.float32)
    y = F.dropout(x, P)
    assert launches(lambda: F.dropout(x, P)) == 1
    assert launches(lambda: gpugrad.autograd.grad(y, x, g, retain_graph=True)) == 1


def test_a_mask_takes_a_bit_an_element_and_is_made_only_to_be_read() -> None:
    n = 2**18
    x = normal(n, gpugrad.float32)
    for asked, bytes_ in ((True, n // 8), (False, 0)):
        x.requires_grad_(asked)
        before = gpugrad.cuda.memory_allocated()
        y = F.dropout(x, P)
        made = gpugrad.cuda.memory_allocated() - before
        assert made - 4 * n == bytes_
        del y
    x.requires_grad_()
    with gpugrad.no_grad():
        before = gpugrad.cuda.memory_allocated()
        y = F.dropout(x, P)
    assert gpugrad.cuda.memory_allocated() - before == y.nbytes


def test_gradients_of_gradients_are_dropped_by_the_same_mask() -> None:
    x = normal(3000, gpugrad.float64).requires_grad_()
    keep = times(gpugrad.ones(3000, dtype=gpugrad.float64), kept(3000))
    (g,) = gpugrad.autograd.grad(F.dropout(x, P).pow(3).sum(), x, create_graph=True)
    np.testing.assert_allclose(on_host(g), 3 * on_host(x) ** 2 * keep**3)
    (of_g,) = gpugrad.autograd.grad((g**2).sum(), x)
    np.testing.assert_allclose(on_host(of_g), 36 * on_host(x) ** 3 * keep**6)
    y = gpugrad.ones(3000, dtype=gpugrad.float64, device="cuda").requires_grad_()
    (g,) = gpugrad.autograd.grad(F.dropout(x, P), x, y, create_graph=True)
    g.sum().backward()
    np.testing.assert_array_equal(on_host(y.grad), times(gpugrad.ones(3000, dtype=gpugrad.float64), kept(3000, 750)))


def test_a_captured_step_draws_a_new_mask_at_each_replay_and_goes_back_by_it() -> None:
    x = gpugrad.ones(3000, device="cuda", requires_grad=True)
    F.dropout(x, P).sum().backward()  # the generator's state is there, and x.grad
    graph = gpugrad.cuda.CUDAGraph()
    with gpugrad.cuda.graph(graph):
        x.grad.zero_()
        y = F.dropout(x, P)
        y.sum().backward()
    for replay in range(3):
        graph.replay()
        expected = times(gpugrad.ones(3000), kept(3000, 750 * (1 + replay)))
        np.testing.assert_array_equal(on_host(y), expected)
        np.testing.assert_array_equal(on_host(x.grad), expected)


@pytest.mark.parametrize("p", [1e-12, 1 - 1e-12, 0.3])
def test_layouts_and_probabilities_that_the_kernel_leaves_to_the_body(p: float) -> None:
    whole = normal(24 * 10, gpugrad.float32).reshape(24, 10)
    for x in (whole.t(), whole[:, ::2], whole[:1].expand(3, 10), whole[:0], whole[0, 0]):
        x = x.detach().requires_grad_()
        y = F.dropout(x, p)
        y.sum().backward()
        scale = float(np.float32(1 / (1 - p)))
        assert y.shape == x.shape and set(on_host(x.grad).ravel().tolist()) <= {0.0, scale}
        np.testing.assert_array_equal(on_host(y), on_host(x) * on_host(x.grad))


def test_in_place() -> None:
    x, leaf = normal(3000, gpugrad.float32), normal(3000, gpugrad.float32).requires_grad_()
    expected = times(x, kept(3000))
    memory = x.data_ptr()
    assert F.dropout(x, P, inplace=True) is x and x.data_ptr() == memory
    np.testing.assert_array_equal(on_host(x), expected)
    y = leaf * 2
    F.dropout(y, P, inplace=True).sum().backward()
    np.testing.assert_array_equal(on_host(leaf.grad), 2 * times(gpugrad.ones(3000), kept(3000, 750)))
