"""`autograd.Function` and `autograd.functional`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad.autograd import Function, functional, gradcheck, gradgradcheck


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grads[0] * 3 * x * x


class SumAndDifference(Function):
    @staticmethod
    def forward(ctx: Any, x: Any, scale: float, y: Any) -> Any:
        ctx.scale = scale
        return (x + y) * scale, (x - y) * scale

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        a, b = grads
        assert ctx.needs_input_grad == (True, False, True)
        return (a + b) * ctx.scale, None, (a - b) * ctx.scale


def leaf(*values: float) -> gpugrad.Tensor:
    return gpugrad.tensor(values, dtype=gpugrad.float64, requires_grad=True)


def test_one_output_to_second_order() -> None:
    assert gradcheck(Cube.apply, (leaf(1.0, -2.0),))
    assert gradgradcheck(Cube.apply, (leaf(1.0, -2.0),))
    assert repr(Cube.apply(leaf(1.0)).grad_fn) == "<CubeBackward>"


def test_several_outputs_and_a_number() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    assert gradcheck(lambda x, y: SumAndDifference.apply(x, 2.0, y), (x, y))
    total, _ = SumAndDifference.apply(x, 2.0, y)
    total.sum().backward()  # no gradient comes to the other output: it is zeros
    assert (x.grad.tolist(), y.grad.tolist()) == ([2.0, 2.0], [2.0, 2.0])


def test_a_changed_saved_tensor_is_an_error() -> None:
    x = leaf(1.0)
    y = x * 1
    z = Cube.apply(y)
    y.add_(1)
    with pytest.raises(RuntimeError, match="inplace"):
        z.sum().backward()


def test_once_differentiable() -> None:
    class Once(Cube):
        backward = staticmethod(gpugrad.autograd.once_differentiable(lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2))

    x = leaf(2.0)
    (g,) = gpugrad.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
    assert g.tolist() == [12.0]
    with pytest.raises(RuntimeError, match="does not require grad"):
        g.sum().backward()
    (g,) = gpugrad.autograd.grad(Once.apply(x), x, leaf(1.0), create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_the_wrong_number_of_gradients() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x + y

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads[0]

    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        Wrong.apply(leaf(1.0), leaf(2.0)).sum().backward()


def f(x: Any) -> Any:
    return (x * x * x).sum()


def test_functional_against_known_derivatives() -> None:
    x, v = gpugrad.tensor([1.0, 2.0]), gpugrad.tensor([1.0, -1.0])
    assert functional.jacobian(lambda x: x * x, x).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert functional.hessian(f, x).tolist() == [[6.0, 0.0], [0.0, 12.0]]
    assert functional.vjp(lambda x: x * x, x, v)[1].tolist() == [2.0, -4.0]
    assert functional.jvp(lambda x: x * x, x, v)[1].tolist() == [2.0, -4.0]
    assert functional.hvp(f, x, v)[1].tolist() == [6.0, -12.0]
    assert functional.vhp(f, x, v)[1].tolist() == [6.0, -12.0]


def test_functional_is_torchs(torch: Any) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3)), rng.standard_normal(3)

    def call(t: Any) -> Any:
        def g(x: Any, y: Any) -> Any:
            return (x * y).exp(), (x * x).sum(1)

        return t.autograd.functional.jacobian(g, (t.from_numpy(a.copy()), t.from_numpy(b.copy())))

    for ours, theirs in zip(call(gpugrad), call(torch)):
        for o, t in zip(ours, theirs):
            np.testing.assert_allclose(o.numpy(), t.numpy(), rtol=1e-10)


def test_backward_is_not_called_for_a_gradient_that_ends_at_its_output() -> None:
    class Loud(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise AssertionError("nobody asked for the gradient of the input")

    y = Loud.apply(gpugrad.ones(2, requires_grad=True))
    for _ in range(2):  # nor is anything freed there
        (g,) = gpugrad.autograd.grad((y * 3).sum(), y)
        assert g.tolist() == [3, 3]
    z = gpugrad.ones(2, requires_grad=True).exp()
    for _ in range(2):
        assert gpugrad.autograd.grad((z * 3).sum(), z)[0].tolist() == [3, 3]
