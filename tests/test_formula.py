"""`gpugrad.elementwise`: formulas as ops, with rules given or left out."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from gpugrad.autograd import gradcheck, gradgradcheck
from gpugrad.expr import differentiate, symbol
from gpugrad.op import op


@gpugrad.elementwise
def swish(x, *, beta=1.0):  # type: ignore[no-untyped-def]
    return x * gpugrad.sigmoid(beta * x)


@gpugrad.elementwise
def smooth_distance(x, y):  # type: ignore[no-untyped-def]
    d = x - y
    return gpugrad.sqrt(d * d + 1.0) + gpugrad.where(d > 0, gpugrad.exp(-d), 1.0 - d)


def leaf(*values: float) -> gpugrad.Tensor:
    return gpugrad.tensor(values, dtype=gpugrad.float64, requires_grad=True)


def test_value_is_the_body() -> None:
    x = np.linspace(-2, 2, 7)
    np.testing.assert_allclose(swish(gpugrad.tensor(x)).numpy(), x / (1 + np.exp(-x)))
    np.testing.assert_allclose(swish(x, beta=2.0), x / (1 + np.exp(-2 * x)))


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_rules_left_out_are_right_to_second_order(beta: float) -> None:
    x = (leaf(-1.5, 0.3, 2.0),)
    assert gradcheck(lambda x: swish(x, beta=beta), x)
    assert gradgradcheck(lambda x: swish(x, beta=beta), x)


def test_two_inputs_broadcast() -> None:
    x = gpugrad.tensor(np.linspace(-1, 1, 6).reshape(3, 2), requires_grad=True)
    assert gradcheck(smooth_distance, (x, leaf(0.25, -0.55)))
    assert gradgradcheck(smooth_distance, (x, leaf(0.25, -0.55)))


def test_one_node_on_the_tape() -> None:
    out = swish(leaf(1.0))
    assert out.grad_fn.name() == "SwishBackward0"
    assert out.grad_fn.next_functions[0][0].is_leaf


def test_given_rules_are_used() -> None:
    @gpugrad.elementwise
    def cube(x):  # type: ignore[no-untyped-def]
        return x * x * x

    cube.defvjp(x=lambda g, x: g * 100.0)
    x = leaf(2.0)
    cube(x).sum().backward()
    assert x.grad.tolist() == [100.0]


def test_equal_subexpressions_are_one() -> None:
    x, y = symbol("x"), symbol("y")
    assert x * y is x * y
    assert differentiate(x * 3.0, [x, y], symbol("g"))[1] == 0.0


def test_a_formula_cannot_branch() -> None:
    @gpugrad.elementwise
    def bad(x):  # type: ignore[no-untyped-def]
        return x if x > 0 else -x

    with pytest.raises((TypeError, RuntimeError), match=r"where|ambiguous"):
        bad(leaf(1.0, -1.0))


def test_a_formula_takes_elementwise_ops_only() -> None:
    with pytest.raises(TypeError, match="not elementwise"):
        gpugrad.matmul.__globals__["_matmul"](symbol("x"), symbol("y"))


@pytest.mark.parametrize("name", ["out", "node", "recording"])
def test_names_the_call_path_uses_are_refused(name: str) -> None:
    scope: dict[str, object] = {}
    exec(f"def body(x, *, {name}): return x", scope)
    with pytest.raises(TypeError, match=f"'{name}'.*call these arguments something else"):
        op(scope["body"], name=f"refused_{name}")(gpugrad.ones(2), **{name: 1})


def test_a_lambda_is_a_formula_too() -> None:
    square = gpugrad.elementwise(lambda x: x * x)
    x = gpugrad.tensor([2.0, 3.0], requires_grad=True)
    square(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0, 6.0]
