"""Gradients of parts: where several are taken of one tensor, each is added to what the others gave, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpugrad
import gpugrad.nn.functional as F
from gpugrad import Tensor

INDEX, COLUMNS = [[0, 2], [2, 1]], [[0], [2], [4]]

# By name: what is taken of a tensor (3, 5), several times
PARTS: dict[str, Callable[[Any, Any], list[Any]]] = {
    "slices": lambda x, i: [x[1:], x[:2, 1:4], x[:, ::2], x[0], x[-1, 2], x[..., None, 1], x[:]],
    "split": lambda x, i: [*x.split(2, dim=1), *x.unbind(0), *x.chunk(2)],
    "diagonals": lambda x, i: [x.diagonal(), x.t().diagonal(1)],
    "places": lambda x, i: [x[i(INDEX)], x[i([1, 1]), i([2, 2])], x[:, i([4, 0, 4])]],
    "masks": lambda x, i: [x[x.detach() > 0], x[x.detach() < 0.5]],
    "gather": lambda x, i: [x.gather(1, i(COLUMNS)), x.gather(0, i([[2, 2, 0, 1, 1]]))],
    "rows": lambda x, i: [F.embedding(i(INDEX), x), F.embedding(i([1, 1, 2]), x), x.index_select(0, i([2, 2]))],
    "rows but one": lambda x, i: [F.embedding(i(INDEX), x, padding_idx=2), F.embedding(i([2, 1]), x, padding_idx=2)],
    "rows named often": lambda x, i: [F.embedding(i([2, 1, *[0] * 70]), x), F.embedding(i([*[1] * 65, 2]), x)],
    "with the whole": lambda x, i: [x[1:], x, x * x, x[:2], x.relu(), x[i([2, 0])]],
    "parts of parts": lambda x, i: [x[1:][:, 1:], x[1:][:, :3], x[1:]],
}


def loss(parts: list[Any]) -> Any:
    """A sum in which every element has a weight of its own."""
    return sum(((p * p).reshape(-1) * gpugrad.arange(1.0, p.numel() + 1).to(p)).sum() for p in parts)


def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 5))


def places(device: str) -> Callable[[Any], Tensor]:
    return lambda numbers: gpugrad.tensor(numbers, device=device)


@pytest.mark.parametrize("name", PARTS)
def test_the_gradient_is_that_of_the_parts_one_by_one(name: str) -> None:
    check(name, "cpu", gpugrad.float64)


@pytest.mark.cuda
@pytest.mark.parametrize("name", PARTS)
def test_on_the_device(name: str, device: str) -> None:
    check(name, device, gpugrad.float32)


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["rows", "rows but one", "rows named often"])
def test_rows_in_order_on_the_device(name: str, device: str) -> None:
    """As a large table's are, or where the same bits are wanted in every run."""
    gpugrad.use_deterministic_algorithms(True)
    try:
        check(name, device, gpugrad.float32)
    finally:
        gpugrad.use_deterministic_algorithms(False)


def check(name: str, device: str, dtype: Any) -> None:
    """A leaf, and a tensor in the graph that keeps its gradient and has a hook, against one backward for each part."""
    x = gpugrad.tensor(values(), dtype=dtype, device=device, requires_grad=True)
    inner = x * 2
    inner.retain_grad()
    seen: list[Any] = []
    inner.register_hook(lambda g: seen.append(g.clone()))
    loss([p for of in (x, inner) for p in PARTS[name](of, places(device))]).backward()
    assert x.grad is not None and inner.grad is not None
    of_x, of_inner = (one_by_one(name, scale * values(), device, dtype) for scale in (1, 2))
    np.testing.assert_allclose(on_host(inner.grad), of_inner, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(on_host(x.grad), of_x + 2 * of_inner, rtol=2e-5, atol=1e-5)
    assert gpugrad.equal(seen[0], inner.grad)


def one_by_one(name: str, array: np.ndarray, device: str, dtype: Any) -> np.ndarray:
    total = np.zeros((3, 5))
    for k in range(len(PARTS[name](gpugrad.tensor(array, dtype=dtype, device=device), places(device)))):
        x = gpugrad.tensor(array, dtype=dtype, device=device, requires_grad=True)
        loss([PARTS[name](x, places(device))[k]]).backward()
        total += on_host(x.grad)
    return total


def on_host(x: Any) -> np.ndarray:
    return x.detach().cpu().double().numpy()


@pytest.mark.parametrize("dtype", [gpugrad.float16, gpugrad.bfloat16])
def test_half_precision(dtype: Any) -> None:
    x = gpugrad.ones(4, 8, dtype=dtype, requires_grad=True)
    sum(x[k].sum() for k in (0, 1, 1)).backward()
    assert x.grad.dtype is dtype and x.grad.sum(1).tolist() == [8.0, 16.0, 0.0, 0.0]


def test_a_part_costs_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.ops.shape import put_among_zeros

    made = []
    body = put_among_zeros.op.impls[np.ndarray]
    monkeypatch.setitem(put_among_zeros.op.impls, np.ndarray, lambda g, **how: made.append(g.shape) or body(g, **how))
    x = gpugrad.ones(50, 3, requires_grad=True)
    sum(x[k] for k in range(50)).sum().backward()
    assert made == [(3,)] and x.grad.tolist() == [[1.0] * 3] * 50


def test_gradients_of_gradients_and_a_second_walk() -> None:
    x = gpugrad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = sum(x[k] ** 3 for k in (0, 1, 1))
    (first,) = gpugrad.autograd.grad(y, x, create_graph=True)
    (second,) = gpugrad.autograd.grad(first.sum(), x, retain_graph=True)
    assert first.tolist() == [3, 24, 0] and second.tolist() == [6, 24, 0]
    for _ in range(2):
        y.backward(retain_graph=True)
    assert x.grad.tolist() == [6, 48, 0]
    (again,) = gpugrad.autograd.grad(y, x)
    assert again.tolist() == [3, 24, 0] and x.grad.tolist() == [6, 48, 0]


def test_what_was_given_is_not_written() -> None:
    """The cotangent of the whole is the caller's own: parts that come after it go to a copy."""
    x = gpugrad.ones(2, 2, requires_grad=True)
    y, g = x * 1, gpugrad.ones(2, 2)
    gpugrad.autograd.backward([y, y[0], y[1]], [g, gpugrad.ones(2), gpugrad.ones(2)])
    assert x.grad.tolist() == [[2, 2], [2, 2]] and g.tolist() == [[1, 1], [1, 1]]
