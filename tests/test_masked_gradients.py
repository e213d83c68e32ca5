"""What a function does not depend on gets a gradient of zero, also where an infinite or NaN cotangent comes back.

Programs rely on it: `x.masked_fill(x <= 0, 0).sqrt()` has an infinite derivative at what was masked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import gpugrad

MASK = gpugrad.tensor([True, True, False])
PLACES = gpugrad.tensor([0, 1])
COTANGENT = [math.inf, math.nan, 2.0]

# Each takes (3,), and its first two elements of the result do not depend on the input.
INDEPENDENT: dict[str, Callable[[Any], Any]] = {
    "masked_fill": lambda x: x.masked_fill(MASK, 0.0),
    "masked_fill_": lambda x: (x * 1).masked_fill_(MASK, 0.0),
    "masked_scatter": lambda x: x.masked_scatter(MASK, gpugrad.ones(3)),
    "where": lambda x: gpugrad.where(MASK, gpugrad.zeros(3), x),
    "index_fill": lambda x: x.index_fill(0, PLACES, 2.0),
    "index_copy": lambda x: x.index_copy(0, PLACES, gpugrad.ones(2)),
    "scatter": lambda x: x.scatter(0, PLACES, 3.0),
    "clamp": lambda x: x.clamp(min=0.5),
    "relu": lambda x: x.relu(),
    "maximum": lambda x: gpugrad.maximum(x, gpugrad.tensor([9.0, 9.0, 0.0])),
    "write to a part": lambda x: written(x, slice(0, 2), 1.0),
    "write by a mask": lambda x: written(x, MASK, 1.0),
    "copy to a part": lambda x: written(x, slice(0, 2), gpugrad.ones(2)),
}
CONSTANT: dict[str, Callable[[Any], Any]] = {
    "fill_": lambda x: (x * 1).fill_(1.0),
    "zero_": lambda x: (x * 1).zero_(),
    "copy_": lambda x: (x * 1).copy_(gpugrad.ones(3)),
    "fill_ from a tensor": lambda x: (x * 1).fill_(gpugrad.tensor(2.0)),
    "sign": lambda x: x.sign(),
    "floor": lambda x: x.floor(),
}


def written(x: Any, key: Any, value: Any) -> Any:
    y = x * 1
    y[key] = value
    return y


@pytest.mark.parametrize("name", [*INDEPENDENT, *CONSTANT])
def test_masked_elements_have_a_gradient_of_zero(name: str) -> None:
    x = gpugrad.tensor([-1.0, 0.0, 4.0], requires_grad=True)
    (INDEPENDENT | CONSTANT)[name](x).backward(gpugrad.tensor(COTANGENT))
    assert x.grad is not None and x.grad.tolist() == [0.0, 0.0, 2.0 if name in INDEPENDENT else 0.0]


def test_the_value_that_fills_gets_the_gradient_of_what_it_filled() -> None:
    value = gpugrad.tensor(0.5, requires_grad=True)
    gpugrad.zeros(3).masked_fill(~MASK, value).backward(gpugrad.tensor(COTANGENT))
    assert value.grad is not None and value.grad.item() == 2.0


def test_the_root_of_what_is_masked() -> None:
    x = gpugrad.tensor([-1.0, 0.0, 4.0], requires_grad=True)
    x.masked_fill(x <= 0, 0).sqrt().sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 0.0, 0.25]


@pytest.mark.parametrize(("reduce", "expected"), [("amax", [0.0, 1.0, 0.0]), ("prod", [math.inf, 0.0, 0.0])])
def test_infinite_elements_of_a_reduction_by_place(reduce: str, expected: list[float]) -> None:
    source = gpugrad.tensor([2.0, math.inf, -math.inf] if reduce == "amax" else [0.0, math.inf, 3.0])
    source.requires_grad_()
    gpugrad.ones(1).scatter_reduce(0, gpugrad.zeros(3, dtype=gpugrad.int64), source, reduce).backward(gpugrad.ones(1))
    assert source.grad is not None
    found = [0.0 if math.isnan(g) else g for g in source.grad.tolist()]  # 0 * inf, the product of others, is NaN
    assert found == expected
