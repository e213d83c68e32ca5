"""CUDA graphs: captured steps replay as eager ones run, and what they could not repeat is refused."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad import nn

pytestmark = pytest.mark.cuda


def model_and_data(device: str) -> Any:
    gpugrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).to(device)
    return model, [gpugrad.randn(3, 4).to(device) for _ in range(4)], [gpugrad.randn(3, 2).to(device) for _ in range(4)]


def test_a_captured_step_trains_as_an_eager_one(device: str) -> None:
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


def test_replay_without_a_capture(device: str) -> None:
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        gpugrad.cuda.CUDAGraph().replay()
    with pytest.raises(RuntimeError, match="non-default stream"):
        gpugrad.cuda.CUDAGraph().capture_begin()


def test_graphed_callables_train(device: str) -> None:
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
