"""L-BFGS beside PyTorch's, and what it refuses."""

from __future__ import annotations

import pickle
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import each_device

import gpugrad
from gpugrad import optim

pytestmark = each_device


def rosenbrock(lib: ModuleType, x: Any, y: Any) -> Any:
    return ((1 - x) ** 2).sum() + 100 * ((y - x**2) ** 2).sum()


def parameters(lib: ModuleType) -> list[Any]:
    start = [[-1.2, 0.7], [1.0, -0.4]]
    return [lib.tensor(v, dtype=lib.float64, requires_grad=True) for v in start]


def run(lib: ModuleType, options: dict[str, Any], steps: int) -> tuple[list[float], list[Any], Any]:
    params = parameters(lib)
    unused = lib.ones(2, dtype=lib.float64, requires_grad=True)
    optimizer = lib.optim.LBFGS([*params, unused], **options)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = rosenbrock(lib, *params)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(steps)]
    return losses, params, optimizer


CASES: list[tuple[dict[str, Any], int]] = [
    ({"lr": 1e-3}, 3),
    ({"lr": 1e-3, "max_iter": 4, "history_size": 2}, 6),
    ({"lr": 1e-3, "max_iter": 1}, 3),
    ({"line_search_fn": "strong_wolfe"}, 3),
    ({"lr": 0.5, "line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 6, "max_eval": 8}, 5),
    ({"lr": 0.1, "line_search_fn": "strong_wolfe", "tolerance_change": 1e-3, "tolerance_grad": 1e-2}, 3),
]


@pytest.mark.parametrize(("options", "steps"), CASES)
def test_numbers_of_pytorch(torch: ModuleType, options: dict[str, Any], steps: int) -> None:
    ours, theirs = run(gpugrad, options, steps), run(torch, options, steps)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), rtol=1e-5)
    mine, other = (o.state[o.param_groups[0]["params"][0]] for o in (ours[2], theirs[2]))
    assert (mine["n_iter"], mine["func_evals"]) == (other["n_iter"], other["func_evals"])
    assert repr(ours[2]) == repr(theirs[2])


def test_finds_the_minimum() -> None:
    _, (x, y), _ = run(gpugrad, {"line_search_fn": "strong_wolfe", "max_iter": 100}, 3)
    np.testing.assert_allclose(x.detach().cpu().numpy(), 1, atol=1e-5)
    np.testing.assert_allclose(y.detach().cpu().numpy(), 1, atol=1e-5)


def test_saved_and_loaded_goes_on_the_same() -> None:
    options = {"lr": 1e-3, "max_iter": 4}
    expected = run(gpugrad, options, 4)[0]
    losses, params, optimizer = run(gpugrad, options, 2)
    copies = [p.detach().clone().requires_grad_() for p in params]
    fresh = optim.LBFGS([*copies, gpugrad.ones(2, dtype=gpugrad.float64, requires_grad=True)])
    fresh.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))

    def closure() -> Any:
        fresh.zero_grad()
        loss = rosenbrock(gpugrad, *copies)
        loss.backward()
        return loss

    losses += [fresh.step(closure).item() for _ in range(2)]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


def test_what_it_refuses(torch: ModuleType) -> None:
    for lib in (gpugrad, torch):
        x = lib.ones(2, requires_grad=True)
        with pytest.raises(ValueError, match="doesn't support per-parameter options"):
            lib.optim.LBFGS([{"params": [x]}, {"params": [lib.ones(1, requires_grad=True)]}])
        with pytest.raises(ValueError, match="Invalid learning rate"):
            lib.optim.LBFGS([x], lr=-1)
        with pytest.raises(TypeError):
            lib.optim.LBFGS([x]).step()
        with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
            lib.optim.LBFGS([x], line_search_fn="armijo").step(lambda x=x: loss_of(x))


def loss_of(x: Any) -> Any:
    x.grad = None
    loss = (x**2).sum()
    loss.backward()
    return loss
