"""What the tests of convolution, pooling and padding share: inputs, comparisons, PyTorch's functions by name."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def close(actual: np.ndarray, expected: Any) -> None:
    np.testing.assert_allclose(actual, np.asarray(expected), rtol=1e-10, atol=1e-10)


def same(actual: np.ndarray, expected: Any) -> None:
    np.testing.assert_array_equal(actual, np.asarray(expected))


def torch_function(torch: ModuleType, name: str, dims: int) -> Any:
    return getattr(torch.nn.functional, f"{name}{dims}d")


def torch_gradients(torch: ModuleType, out: Any, g: np.ndarray, *inputs: Any) -> list[np.ndarray]:
    return [grad.numpy() for grad in torch.autograd.grad(out, inputs, torch.tensor(g))]


def adjoint(forward: np.ndarray, g: np.ndarray, backward: np.ndarray, x: np.ndarray) -> None:
    """<A x, g> = <x, A* g>."""
    assert backward.shape == x.shape
    np.testing.assert_allclose(np.vdot(forward, g), np.vdot(x, backward), rtol=1e-9, atol=1e-9)
