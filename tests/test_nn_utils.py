"""`nn.utils`: clipping of gradients, parameters as one vector."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import each_device
from nn_pair import Case, assert_error, assert_same, values

import gpugrad
from gpugrad.nn import utils

pytestmark = each_device

SCALES = (3.0, 0.0, 0.25)


def parameters(library: ModuleType, scales: tuple[float, ...] = SCALES) -> list[Any]:
    """Parameters with gradients, and one without."""
    made = []
    for i, scale in enumerate(scales):
        p = library.nn.Parameter(values(library, 3, i + 1, seed=i))
        p.grad = values(library, 3, i + 1, seed=i + 9) * scale
        made.append(p)
    return [*made, library.nn.Parameter(library.ones(2))]


def close(case: Case, torch: ModuleType) -> None:
    """`case` gives the same tensors in both libraries, up to the order of a sum."""
    ours, theirs = case(gpugrad), case(torch)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert (tuple(a.shape), str(a.dtype).split(".")[-1]) == (tuple(b.shape), str(b.dtype).split(".")[-1])
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), 1e-6)


@pytest.mark.parametrize("norm_type", [2, 1.0, 3, 0.5, math.inf, -math.inf, 0])
@pytest.mark.parametrize("max_norm", [0.5, 1000, 0])
def test_clip_grad_norm(torch: ModuleType, max_norm: float, norm_type: float) -> None:
    def case(library: ModuleType) -> list[Any]:
        given = parameters(library)
        grads = [p.grad for p in given[:-1]]
        total = library.nn.utils.clip_grad_norm_(given, max_norm, norm_type)
        assert all(p.grad is g for p, g in zip(given, grads))
        assert given[-1].grad is None
        return [total, *grads]

    close(case, torch)


def test_clip_grad_norm_of_one_tensor_of_an_iterator_and_of_none(torch: ModuleType) -> None:
    def case(library: ModuleType) -> list[Any]:
        first, second, *_ = parameters(library)
        clip = library.nn.utils.clip_grad_norm_
        return [clip(first, 1.0), clip(iter([first, second]), 0.5), first.grad, clip([library.ones(1)], 1.0)]

    close(case, torch)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_clip_grad_norm_in_other_dtypes(dtype: str) -> None:
    p = gpugrad.nn.Parameter(gpugrad.ones(4, dtype=getattr(gpugrad, dtype)))
    p.grad = gpugrad.full((4,), 2.0, dtype=p.dtype)
    assert utils.clip_grad_norm_([p], 1.0).item() == 4
    assert p.grad.dtype is p.dtype
    assert p.grad.tolist() == pytest.approx([0.5] * 4, rel=4e-3)


def test_infinite_norms(torch: ModuleType) -> None:
    def case(library: ModuleType, check: bool = True) -> Any:
        given = parameters(library, (1.0, math.inf))
        return library.nn.utils.clip_grad_norm_(given, 1.0, error_if_nonfinite=check)

    assert_error(case, torch, RuntimeError)
    assert case(gpugrad, check=False).item() == math.inf


def test_a_refused_clip_changes_nothing() -> None:
    given = parameters(gpugrad, (1.0, math.inf))
    before = given[0].grad.tolist()
    with pytest.raises(RuntimeError, match="is non-finite"):
        utils.clip_grad_norm_(given, 1.0, error_if_nonfinite=True)
    assert given[0].grad.tolist() == before


def test_total_norm_and_scaling_by_it(torch: ModuleType) -> None:
    def case(library: ModuleType) -> list[Any]:
        given = parameters(library)
        total = library.nn.utils.get_total_norm([p.grad for p in given[:-1]])
        library.nn.utils.clip_grads_with_norm_(given, 0.7, total)
        return [total, library.nn.utils.get_total_norm([]), *(p.grad for p in given[:-1])]

    close(case, torch)


@pytest.mark.parametrize("several", [True, False])
def test_clip_grad_value(torch: ModuleType, several: bool) -> None:
    def case(library: ModuleType) -> Any:
        given = parameters(library)
        library.nn.utils.clip_grad_value_(given if several else given[0], 0.5)
        return [p.grad for p in given]

    assert_same(case, torch)


def test_parameters_as_a_vector(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        given = parameters(library)
        vector = library.nn.utils.parameters_to_vector(given)
        library.nn.utils.vector_to_parameters(library.arange(float(vector.numel())), iter(given))
        return vector, given, [p.is_leaf and p.requires_grad for p in given]

    assert_same(case, torch)


def test_gradients_flow_into_the_vector() -> None:
    given = parameters(gpugrad)
    utils.parameters_to_vector(given).pow(2).sum().backward()
    np.testing.assert_allclose(given[-1].grad.cpu().numpy(), [2, 2])


@pytest.mark.parametrize("size", [19, 21])
def test_a_vector_of_the_wrong_size_changes_nothing(size: int) -> None:
    given = parameters(gpugrad)
    before = [p.tolist() for p in given]
    with pytest.raises(RuntimeError, match=f"the vector has {size} elements, the parameters 20"):
        utils.vector_to_parameters(gpugrad.zeros(size), given)
    assert [p.tolist() for p in given] == before
