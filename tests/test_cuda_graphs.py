"""CUDA graphs: captured steps replay as eager ones run, and what they could not repeat is refused."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from device_tools import need_captured_products, on_host

import gpugrad
from gpugrad import nn
from gpugrad.nn import functional as F

pytestmark = pytest.mark.cuda


def model_and_data(device: str) -> Any:
    gpugrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).to(device)
    return model, [gpugrad.randn(3, 4).to(device) for _ in range(4)], [gpugrad.randn(3, 2).to(device) for _ in range(4)]


def test_a_captured_step_trains_as_an_eager_one(device: str) -> None:
    need_captured_products()
    losses = []
    for captured in (False, True):
        model, xs, ys = model_and_data(device)
        optimizer = gpugrad.optim.Adam(model.parameters(), lr=0.05)
        x, y = gpugrad.zeros(3, 4, device=device), gpugrad.zeros(3, 2, device=device)

        def step(model: Any = model, optimizer: Any = optimizer, x: Any = x, y: Any = y) -> Any:
            optimizer.zero_grad(set_to_none=True)
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        x.copy_(xs[0])
        y.copy_(ys[0])
        loss = step()  # also warms up
        found = [loss.item()]
        graph = gpugrad.cuda.CUDAGraph()
        if captured:
            with gpugrad.cuda.graph(graph):
                loss = step()
            assert gc.isenabled()
        for a, b in zip(xs[1:], ys[1:]):
            x.copy_(a)
            y.copy_(b)
            if captured:
                graph.replay()
            else:
                loss = step()
            found.append(loss.item())
        losses.append(found)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_a_whole_step_draws_and_updates_at_each_replay(name: str, device: str) -> None:
    """Matrix products, dropout, a norm, cross-entropy, clipping and the update inside: the losses of eager steps."""
    need_captured_products()
    losses, weights = [], []
    for captured in (False, True):
        gpugrad.manual_seed(0)
        layers = (nn.Linear(4, 16), nn.GELU(), nn.Dropout(0.4), nn.LayerNorm(16), nn.Linear(16, 3))
        model = nn.Sequential(*layers).to(device)
        options = {"momentum": 0.9} if name == "SGD" else {"weight_decay": 0.1}
        optimizer = getattr(gpugrad.optim, name)(model.parameters(), lr=0.05, **options)
        x, y = gpugrad.zeros(6, 4, device=device), gpugrad.zeros(6, dtype=gpugrad.int64, device=device)

        def step(model: Any = model, optimizer: Any = optimizer, x: Any = x, y: Any = y) -> Any:
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            return loss

        loss, found = step(), []  # also warms up
        graph = gpugrad.cuda.CUDAGraph()
        if captured:
            with gpugrad.cuda.graph(graph):
                loss = step()
        rng = np.random.default_rng(1)
        for _ in range(4):
            x.copy_(gpugrad.tensor(rng.normal(size=(6, 4)), dtype=gpugrad.float32))
            y.copy_(gpugrad.tensor(rng.integers(0, 3, 6)))
            if captured:
                graph.replay()
            else:
                loss = step()
            found.append(loss.item())
        losses.append(found)
        weights.append(on_host(model[0].weight))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-5, atol=1e-7)


def test_a_graphed_callable_takes_the_shapes_it_was_made_for(device: str) -> None:
    need_captured_products()
    layer = gpugrad.cuda.make_graphed_callables(nn.Linear(3, 2).to(device), (gpugrad.zeros(4, 3, device=device),))
    with pytest.raises(RuntimeError, match=r"shapes are \[4, 3\] and \[5, 3\]"):
        layer(gpugrad.zeros(5, 3, device=device))


def test_a_host_read_inside_is_refused_and_the_next_capture_works(device: str) -> None:
    x = gpugrad.ones(3, device=device)
    graph = gpugrad.cuda.CUDAGraph()
    with (
        pytest.raises(RuntimeError, match="while a CUDA graph was captured, an array was read by the host"),
        gpugrad.cuda.graph(graph),
    ):
        (x * 2).sum().item()
    assert not gpugrad.cuda.is_current_stream_capturing()
    with gpugrad.cuda.graph(graph):
        y = x * 2
    x.fill_(5)
    graph.replay()
    assert y.tolist() == [10.0] * 3


def draw(*shape: int) -> Any:
    return gpugrad.tensor(np.random.default_rng(0).normal(size=shape), dtype=gpugrad.float32, device="cuda")


HOST_READS: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x.sum().item(),
    "__bool__": lambda x: 1 if x.sum() > 0 else 0,
    "__float__": lambda x: float(x.sum()),
    "__repr__": repr,
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "nonzero": lambda x: x.nonzero(),
    "masked_select": lambda x: x[x > 0],
    "unique": lambda x: x.unique(),
    "equal": lambda x: gpugrad.equal(x, x),
    "allclose": lambda x: gpugrad.allclose(x, x),
    "bincount": lambda x: gpugrad.bincount((x > 0).long().flatten()),
    "one_hot": lambda x: F.one_hot((x > 0).long()),
    "tensor": lambda x: gpugrad.tensor([1.0], device=x.device),
    "copy_": lambda x: x.copy_(gpugrad.zeros(2, 3, 8, 8)),
    "synchronize": lambda x: gpugrad.cuda.synchronize(),
}


@pytest.mark.parametrize("name", HOST_READS)
def test_what_a_replay_cannot_repeat_is_refused_by_name(name: str, device: str) -> None:
    x = draw(2, 3, 8, 8)
    HOST_READS[name](x)
    said = rf"^{name}\(\): while a CUDA graph was captured, an array was "
    with pytest.raises(RuntimeError, match=said), gpugrad.cuda.graph(gpugrad.cuda.CUDAGraph()):
        HOST_READS[name](nn.Identity()(x))
    with gpugrad.cuda.graph(gpugrad.cuda.CUDAGraph()):
        pass  # the next capture works
    with gpugrad.cuda.graph(gpugrad.cuda.CUDAGraph()), pytest.raises(RuntimeError, match="captures do not nest"):
        gpugrad.cuda.graph(gpugrad.cuda.CUDAGraph()).__enter__()


CAPTURED: dict[str, Callable[[Any], Any]] = {
    "interpolation": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "the nearest pixels": lambda x: F.interpolate(x, size=(5, 11)),
    "positions": lambda x: F.embedding(gpugrad.arange(8, device=x.device), x[0, 0]),
    "a grid": lambda x: F.grid_sample(
        x,
        F.affine_grid(gpugrad.eye(2, 3, device=x.device).expand(2, 2, 3), [2, 3, 4, 4], align_corners=False),
        align_corners=False,
    ),
    "binary cross-entropy": lambda x: F.binary_cross_entropy(x.sigmoid(), (x > 0).float()),
    "a number by a mask": lambda x: (x * 1).index_put((x > 0,), gpugrad.zeros((), device=x.device)),
    "repeated elements": lambda x: x.repeat_interleave(3, 1),
    "a quantile": lambda x: x.quantile(0.3),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "cross-entropy": lambda x: F.cross_entropy(x[0, 0], gpugrad.arange(8, device=x.device)),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_work_done_for_the_first_time_in_a_capture(name: str, device: str) -> None:
    """What is made once and kept, such as weights of an interpolation, is made beside the graph."""
    if name in ("a grid", "attention"):
        need_captured_products()
    x, other = draw(2, 3, 8, 8).requires_grad_(), draw(2, 3, 8, 8).flip(0) * 1.5
    graph = gpugrad.cuda.CUDAGraph()
    with gpugrad.cuda.graph(graph):
        out = CAPTURED[name](x)
        (g,) = gpugrad.autograd.grad((out * out).sum(), x)
    with gpugrad.no_grad():
        x.copy_(other)
    graph.replay()
    graph.replay()
    leaf = other.clone().requires_grad_()
    expected = CAPTURED[name](leaf)
    (expected * expected).sum().backward()
    assert leaf.grad is not None
    for found, want in ((out, expected), (g, leaf.grad)):
        np.testing.assert_allclose(on_host(found), on_host(want), rtol=1e-6, atol=1e-6)


def test_replay_without_a_capture(device: str) -> None:
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        gpugrad.cuda.CUDAGraph().replay()
    with pytest.raises(RuntimeError, match="non-default stream"):
        gpugrad.cuda.CUDAGraph().capture_begin()


def test_graphed_callables_train(device: str) -> None:
    need_captured_products()
    results = []
    for graphed in (False, True):
        model, xs, ys = model_and_data(device)
        if graphed:
            model = gpugrad.cuda.make_graphed_callables(model, (xs[0],))
        optimizer = gpugrad.optim.SGD(model.parameters(), lr=0.1)
        found = []
        for x, y in zip(xs, ys):
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        results.append(found)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6)


def test_graphs_share_a_pool_and_a_stream_of_one_s_own(device: str) -> None:
    x, pool, stream = gpugrad.ones(3, device=device), gpugrad.cuda.graph_pool_handle(), gpugrad.cuda.Stream()
    made = []
    for factor in (2.0, 3.0):
        graph = gpugrad.cuda.CUDAGraph()
        _ = x * factor
        with gpugrad.cuda.graph(graph, pool=pool, stream=stream):
            assert gpugrad.cuda.current_stream() == stream and gpugrad.cuda.is_current_stream_capturing()
            made.append((graph, x * factor))
        assert graph.pool() is pool
    assert gpugrad.cuda.current_stream() == gpugrad.cuda.default_stream()
    for value in (1.0, 5.0):
        x.fill_(value)
        for graph, _ in made:
            graph.replay()
        assert [y.tolist() for _, y in made][1] == [3 * value] * 3
    graph.reset()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        graph.replay()
