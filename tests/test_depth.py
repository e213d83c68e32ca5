"""What a node costs does not depend on how many came before it: work and memory, forward and backward.

Work is counted, not timed: lines of Python run plus calls made, which are the same in every run.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import gpugrad
from gpugrad import Tensor, nn

DEPTHS = (100, 1_000, 20_000)
# Memory is compared between two depths at which hash tables, which double, are equally full.
SHALLOW, DEEP = 1_000, 16_000

Graph = Callable[[int], tuple[Tensor, list[Tensor]]]


def leaf(*shape: int) -> Tensor:
    return gpugrad.ones(*shape).requires_grad_()


def chain(depth: int) -> tuple[Tensor, list[Tensor]]:
    """Each op takes the result of the one before."""
    x = y = leaf(4)
    for _ in range(depth // 2):
        y = y * 1.5
        y = y + 1
    return y.sum(), [x]


def shared_leaf(depth: int) -> tuple[Tensor, list[Tensor]]:
    """One leaf takes part in every op: its gradient is a sum of as many terms."""
    x = y = leaf(4)
    for _ in range(depth):
        y = y * x
    return y.sum(), [x]


def branches(depth: int) -> tuple[Tensor, list[Tensor]]:
    """Twice as many paths with every second op."""
    x = y = leaf(4)
    for _ in range(depth // 2):
        y = (y * 0.5) + y
    return y.sum(), [x]


def layers(depth: int) -> tuple[Tensor, list[Tensor]]:
    """A leaf of its own for every second op."""
    weights = [leaf(4, 4) for _ in range(depth // 2)]
    y = gpugrad.ones(2, 4)
    for weight in weights:
        y = nn.functional.relu(nn.functional.linear(y, weight))
    return y.sum(), weights


def several_outputs(depth: int) -> tuple[Tensor, list[Tensor]]:
    x = y = leaf(4)
    for _ in range(depth):
        y, _ = y.sort()
    return y.sum(), [x]


def views(depth: int) -> tuple[Tensor, list[Tensor]]:
    """Views of views."""
    x = leaf(4, 4)
    y = x * 1
    for _ in range(depth):
        y = y.t()
    return y.sum(), [x]


def in_place(depth: int) -> tuple[Tensor, list[Tensor]]:
    """Writes through views of one tensor."""
    x = leaf(4)
    y = x * 1
    for _ in range(depth // 4):
        y[0] = y[1]
    return y.sum(), [x]


GRAPHS = (chain, shared_leaf, branches, layers, several_outputs, views, in_place)


def backward(out: Tensor, leaves: list[Tensor]) -> None:
    out.backward()


def grad(out: Tensor, leaves: list[Tensor]) -> None:
    gpugrad.autograd.grad(out, leaves)


def grad_of_grad(out: Tensor, leaves: list[Tensor]) -> None:
    gradients = gpugrad.autograd.grad(out, leaves, create_graph=True)
    if gradients[0].requires_grad:
        gradients[0].sum().backward()


def work(function: Callable[..., Any], *args: Any) -> tuple[int, Any]:
    """How many lines of Python run and calls are made, of C functions too, in `function(*args)`; and what it returns."""
    count = 0

    def on_line(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return on_line

    def on_call(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.gettrace(), sys.getprofile()
    gc.disable()  # others may have hung callbacks on it
    sys.setprofile(on_call)
    sys.settrace(on_line)
    try:
        result = function(*args)
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
        gc.enable()
    return count, result


def per_node(costs: list[int], depths: tuple[int, ...]) -> list[float]:
    """The cost of a node between one depth and the next, without what a call costs once."""
    steps = zip(costs, costs[1:], depths, depths[1:])
    return [(more - less) / (deep - shallow) for less, more, shallow, deep in steps]


@pytest.mark.parametrize(
    ("graph", "walk"),
    [(graph, backward) for graph in GRAPHS]
    + [(graph, walk) for graph in (chain, layers) for walk in (grad, grad_of_grad)],
)
def test_work_per_node_is_constant(graph: Graph, walk: Callable[..., None]) -> None:
    walk(*graph(8))  # the first call of an op builds its call path
    forward, back = [], []
    for depth in DEPTHS:
        count, made = work(graph, depth)
        forward.append(count)
        back.append(work(walk, *made)[0])
    for costs in forward, back:
        early, late = per_node(costs, DEPTHS)
        assert 2 < late <= 1.001 * early, costs


def memory(graph: Graph, depth: int) -> tuple[int, int, int]:
    """Bytes that the graph takes, that `backward` takes on top at its peak, and that are left when all is gone."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        out, leaves = graph(depth)
        made, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        out.backward()
        _, peak = tracemalloc.get_traced_memory()
        del out, leaves
        left, _ = tracemalloc.get_traced_memory()
        return made - before, peak - made, left - before
    finally:
        tracemalloc.stop()


# Not of writes through views: they read NumPy's array interface, which churns Python's table of interned strings, and
# that is enlarged by a megabyte or two now and then.
@pytest.mark.parametrize("graph", [graph for graph in GRAPHS if graph is not in_place])
def test_memory_per_node_is_constant(graph: Graph) -> None:
    graph(8)[0].backward()
    (some, some_back, _), (many, many_back, left) = memory(graph, SHALLOW), memory(graph, DEEP)
    times = DEEP / SHALLOW
    assert many <= 1.2 * times * some
    assert many_back <= 1.2 * times * some_back
    assert left < many / 10, "the graph was not freed"  # Python keeps some freed objects for the next
