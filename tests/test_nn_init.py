"""`nn.init` draws and writes what PyTorch's does, to the last bit."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from nn_pair import Case, assert_error, assert_same

import gpugrad
from gpugrad.nn import init

FILLS: list[Case] = [
    lambda i, t: i.uniform_(t),
    lambda i, t: i.uniform_(t, -2, 0.5),
    lambda i, t: i.normal_(t),
    lambda i, t: i.normal_(t, 1.5, std=0.1),
    lambda i, t: i.trunc_normal_(t, a=-0.5),
    lambda i, t: i.trunc_normal_(t, mean=1.0, std=2.0, a=-1.0, b=1.5),
    lambda i, t: i.constant_(t, 0.3),
    lambda i, t: i.ones_(t),
    lambda i, t: i.zeros_(t),
    lambda i, t: i.xavier_uniform_(t),
    lambda i, t: i.xavier_uniform_(t, gain=i.calculate_gain("relu")),
    lambda i, t: i.xavier_normal_(t, 2.0),
    lambda i, t: i.kaiming_uniform_(t),
    lambda i, t: i.kaiming_uniform_(t, a=0.1, mode="fan_out"),
    lambda i, t: i.kaiming_uniform_(t, nonlinearity="tanh"),
    lambda i, t: i.kaiming_normal_(t, mode="FAN_IN", nonlinearity="relu"),
    lambda i, t: i.kaiming_normal_(t, a=5**0.5, mode="fan_out"),
]
SHAPES = [(2, 3), (17, 31), (4, 3, 3, 2), (3, 2, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fill", FILLS)
def test_draws(torch: ModuleType, fill: Any, shape: tuple[int, ...]) -> None:
    def case(library: ModuleType) -> Any:
        library.manual_seed(3)
        tensor = library.zeros(shape, requires_grad=True)
        assert fill(library.nn.init, tensor) is tensor
        return tensor, tensor.is_leaf, library.rand(2)  # and the generators stay in step

    assert_same(case, torch)


@pytest.mark.parametrize("name", ["uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "kaiming_normal_"])
def test_generator(torch: ModuleType, name: str) -> None:
    def case(library: ModuleType) -> Any:
        library.manual_seed(3)
        generator = library.Generator().manual_seed(8)
        return getattr(library.nn.init, name)(library.zeros(3, 4), generator=generator), library.rand(1)

    assert_same(case, torch)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_dtypes(torch: ModuleType, dtype: str) -> None:
    def case(library: ModuleType) -> Any:
        library.manual_seed(3)
        tensor = library.zeros(5, 4, dtype=getattr(library, dtype))
        return [library.nn.init.kaiming_uniform_(tensor).tolist(), library.nn.init.xavier_normal_(tensor)]

    assert_same(case, torch)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)], ids=str)
def test_eye(torch: ModuleType, shape: tuple[int, int]) -> None:
    assert_same(lambda lib: lib.nn.init.eye_(lib.ones(shape)), torch)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 2, 3, 4), (2, 4, 3, 3), (4, 2, 1, 3, 2)], ids=str)
def test_dirac(torch: ModuleType, shape: tuple[int, ...], groups: int) -> None:
    assert_same(lambda lib: lib.nn.init.dirac_(lib.ones(shape), groups), torch)


GAINS = ["linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]


@pytest.mark.parametrize("nonlinearity", GAINS)
def test_gain(torch: ModuleType, nonlinearity: str) -> None:
    assert_same(lambda lib: lib.nn.init.calculate_gain(nonlinearity), torch)


def test_gain_of_a_slope(torch: ModuleType) -> None:
    assert_same(lambda lib: [lib.nn.init.calculate_gain("leaky_relu", a) for a in (0, 0.2, 5**0.5)], torch)


ERRORS: list[tuple[type[Exception], Case]] = [
    (ValueError, lambda lib: lib.nn.init.calculate_gain("leaky_relu", "0.1")),
    (ValueError, lambda lib: lib.nn.init.calculate_gain("leaky_relu", True)),
    (ValueError, lambda lib: lib.nn.init.xavier_normal_(lib.ones(3))),
    (ValueError, lambda lib: lib.nn.init.kaiming_uniform_(lib.ones(3))),
    (ValueError, lambda lib: lib.nn.init.kaiming_normal_(lib.ones(3, 2), mode="fan_both")),
    (ValueError, lambda lib: lib.nn.init.dirac_(lib.ones(3, 2))),
    (ValueError, lambda lib: lib.nn.init.dirac_(lib.ones(3, 2, 2), groups=2)),
]


@pytest.mark.parametrize(("error", "case"), ERRORS)
def test_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    assert_error(case, torch, error)


def test_number_of_dimensions() -> None:
    for fill in (init.eye_, lambda t: init.sparse_(t, 0.5)):
        with pytest.raises(ValueError, match="Only tensors with 2 dimensions are supported, got 3"):
            fill(gpugrad.ones(2, 2, 2))
    with pytest.raises(ValueError, match="Only tensors with 2 or more dimensions are supported, got 1"):
        init.orthogonal_(gpugrad.ones(2))


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (4, 3, 2), (3, 4, 2), (0, 2)], ids=str)
def test_orthogonal(torch: ModuleType, shape: tuple[int, ...]) -> None:
    results = []
    for library in (gpugrad, torch):
        library.manual_seed(2)
        tensor = library.zeros(shape, requires_grad=True)
        assert library.nn.init.orthogonal_(tensor, gain=1.5) is tensor
        results.append(tensor.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (10, 2)], ids=str)
def test_sparse(torch: ModuleType, shape: tuple[int, int]) -> None:
    def case(library: ModuleType) -> Any:
        library.manual_seed(2)
        tensor = library.ones(shape, requires_grad=True)
        return library.nn.init.sparse_(tensor, sparsity=0.3), tensor.is_leaf

    assert_same(case, torch)


def test_unknown_nonlinearity() -> None:
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish; there are linear"):
        init.calculate_gain("swish")


def test_warnings() -> None:
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
        init.kaiming_uniform_(gpugrad.ones(0, 2))
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
        init.kaiming_normal_(gpugrad.ones(2, 0))
    with pytest.warns(UserWarning, match="more than 2 std from"):
        init.trunc_normal_(gpugrad.ones(2), mean=9.0)
