"""Activation checkpointing: the gradients of the plain call, with nothing saved in between."""

from __future__ import annotations

from typing import Any

import pytest
from nn_pair import assert_same

import gpugrad
from gpugrad import nn
from gpugrad.utils.checkpoint import checkpoint, checkpoint_sequential


class Counted(nn.Module):
    """A part of a model with dropout, that counts how often it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.drop, self.runs = nn.Linear(3, 3), nn.Dropout(0.5), 0

    def forward(self, x: Any, scale: float = 1.0) -> Any:
        self.runs += 1
        return self.drop(gpugrad.tanh(self.linear(x)) * scale)


def gradients(run: Any) -> list[Any]:
    gpugrad.manual_seed(0)
    part, x = Counted(), gpugrad.randn(4, 3, requires_grad=True)
    y = run(part, x * 2)
    gpugrad.randn(7)  # other draws between the two runs
    (y * y).sum().backward()
    after = gpugrad.rand(2)
    return [t.tolist() for t in (y, x.grad, part.linear.weight.grad, part.linear.bias.grad, after)]


@pytest.mark.parametrize("reentrant", [None, True, False])
def test_the_gradients_are_those_of_the_plain_call(reentrant: Any) -> None:
    plain = gradients(lambda part, x: part(x, scale=3.0))
    assert gradients(lambda part, x: checkpoint(part, x, use_reentrant=reentrant, scale=3.0)) == plain


def test_it_runs_again_in_the_backward_and_not_without_one() -> None:
    part = Counted()
    y = checkpoint(part, gpugrad.ones(2, 3))
    assert part.runs == 1
    y.sum().backward()
    assert part.runs == 2 and part.linear.weight.grad is not None
    with gpugrad.no_grad():
        assert not checkpoint(part, gpugrad.ones(2, 3)).requires_grad


def test_the_tape_of_the_first_run_is_let_go() -> None:
    x = gpugrad.ones(3, requires_grad=True)
    y = checkpoint(lambda t: t.exp().sin().exp(), x)
    assert [parent for parent, _ in y.grad_fn.next_functions] == [x]


def test_what_it_reads_without_being_given_it_has_gradients() -> None:
    x, w = gpugrad.ones(3, requires_grad=True), gpugrad.full((3,), 2.0, requires_grad=True)
    made = w * 3
    y, count = checkpoint(lambda t: (t * made, gpugrad.tensor(5)), x)
    (y.sum() + made.sum()).backward()
    assert x.grad.tolist() == [6, 6, 6] and w.grad.tolist() == [6, 6, 6] and count.item() == 5


def test_second_derivatives() -> None:
    x = gpugrad.tensor([2.0, 3.0], requires_grad=True)
    (g,) = gpugrad.autograd.grad(checkpoint(lambda t: t**3, x).sum(), x, create_graph=True)
    g.sum().backward()
    assert x.grad.tolist() == [12, 18]


def test_each_of_a_chain_runs_again_once() -> None:
    parts = [Counted() for _ in range(3)]
    x = gpugrad.ones(2, 3)
    for part in parts:
        x = checkpoint(part, x)
    x.sum().backward()
    assert [part.runs for part in parts] == [2, 2, 2]


@pytest.mark.parametrize("outside", [False, True])
def test_it_runs_again_in_the_precision_it_ran_in(outside: bool) -> None:
    seen = []
    part = nn.Linear(3, 3)

    def run(x: Any) -> Any:
        seen.append((y := part(x)).dtype)
        return y

    with gpugrad.autocast("cpu", enabled=not outside):
        y = checkpoint(run, gpugrad.ones(2, 3))
    with gpugrad.autocast("cpu", enabled=outside):
        y.sum().backward()
    assert seen == [gpugrad.float32 if outside else gpugrad.bfloat16] * 2 and part.weight.grad is not None


def test_what_changed_in_between_is_an_error() -> None:
    x = gpugrad.ones(3, requires_grad=True)
    y = checkpoint(gpugrad.exp, x)
    with gpugrad.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_sequential(torch: Any) -> None:
    def run(lib: Any) -> Any:
        import importlib

        utils = importlib.import_module(f"{lib.__name__}.utils.checkpoint")
        lib.manual_seed(0)
        net = lib.nn.Sequential(*[lib.nn.Linear(2, 2) for _ in range(5)])
        x = lib.ones(1, 2, requires_grad=True)
        utils.checkpoint_sequential(net, 2, x, use_reentrant=False).sum().backward()
        return [t.grad.round(decimals=5) for t in (x, *net.parameters())]

    assert_same(run, torch)
    assert checkpoint_sequential([gpugrad.exp], 1, gpugrad.zeros(1)).item() == 1


@pytest.mark.parametrize("create_graph", [False, True])
def test_what_led_to_the_arguments_is_not_walked_twice(create_graph: bool) -> None:
    """A weight used before and inside, one checkpoint in another, an argument handed on; hooks run once."""

    def run(part: Any) -> list[Any]:
        w, x = (gpugrad.tensor(v, requires_grad=True) for v in (2.0, 3.0))
        seen: list[float] = []
        h = w * x
        for t in (w, h):
            t.register_hook(lambda g: seen.append(g.item()))
        z = part(lambda a: w * part(lambda b: w * b, a), h)
        same, y = part(lambda a: (a, w * a * a), z)
        grads = gpugrad.autograd.grad(y * same, (w, x), create_graph=create_graph)
        second = gpugrad.autograd.grad(grads[0], (w, x)) if create_graph else ()
        return [*(g.item() for g in (*grads, *second)), sorted(seen)]

    assert run(checkpoint) == run(lambda function, *args: function(*args))
