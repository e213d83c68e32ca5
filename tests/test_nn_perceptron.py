"""A `Sequential` whose linear layers become one op computes what it did, and steps back where somebody looks on."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise
from typing import Any

import pytest

import gpugrad
from gpugrad import nn
from gpugrad.nn.perceptron import Run, runs


def net(*sizes: int, activation: Any = nn.ReLU, last: bool = False, **options: Any) -> nn.Sequential:
    layers: list[Any] = []
    for n, m in pairwise(sizes):
        layers += [nn.Linear(n, m, **options), activation()]
    return nn.Sequential(*(layers if last else layers[:-1]))


def names(loss: gpugrad.Tensor) -> list[str]:
    """The ops on the tape behind `loss`, the latest first."""
    found, stack = [], [loss._node]
    while stack:
        node = stack.pop()
        found.append(node.op.name)
        stack += [p for p in node.parents if hasattr(p, "op")]
    return found


def one_by_one(model: nn.Sequential, x: gpugrad.Tensor) -> gpugrad.Tensor:
    for module in model:
        x = module(x)
    return x


ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.GELU, lambda: nn.GELU(approximate="tanh")]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(5, 4), (4,), (2, 3, 4), (0, 4)])
def test_the_same_bits_as_layer_by_layer(activation: Any, shape: tuple[int, ...]) -> None:
    model = net(4, 6, 3, activation=activation, last=True)
    x = gpugrad.randn(*shape, requires_grad=True)
    results = []
    for forward in (model, lambda x: one_by_one(model, x)):
        y = forward(x)
        y.square().sum().backward()
        results.append([y, x.grad, *[p.grad for p in model.parameters()]])
        model.zero_grad()
        x.grad = None
    for a, b in zip(*results, strict=True):
        assert gpugrad.equal(a, b)
    assert "perceptron" in names(model(x))


def test_what_is_put_together() -> None:
    linear, relu, tanh = nn.Linear(2, 2), nn.ReLU(), nn.Tanh()

    def lengths(*modules: Any) -> list[int]:
        return [len(part.members) if isinstance(part, Run) else 0 for part in runs(modules)]

    assert lengths(linear, relu, linear, relu, linear) == [5]
    assert lengths(relu, linear, relu, linear) == [0, 3]
    assert lengths(linear, relu, linear, tanh, linear) == [3, 0, 0]  # tanh follows what relu began
    assert lengths(linear, linear) == [0, 0]
    assert lengths(linear, relu, nn.Dropout(), linear, relu) == [2, 0, 2]
    assert lengths(*[linear, relu] * 9) == [8, 8, 2]
    assert lengths(type("Mine", (nn.Linear,), {})(2, 2), relu) == [0, 0]


def test_hooks_see_every_layer() -> None:
    model = net(4, 3, 2)
    seen = []
    handle = model[1].register_forward_hook(lambda module, args, out: seen.append(tuple(out.shape)))
    x = gpugrad.randn(5, 4)
    assert "perceptron" not in names(model(x))
    assert seen == [(5, 3)]
    handle.remove()
    model(x)
    assert seen == [(5, 3)]


def test_hooks_of_the_container_are_called() -> None:
    model = net(4, 3, 2)
    seen = []
    model.register_forward_hook(lambda module, args, out: seen.append(out))
    assert "perceptron" in names(model(gpugrad.randn(5, 4)))
    assert len(seen) == 1


def test_a_layer_with_a_forward_of_its_own_is_called() -> None:
    model = net(4, 3, 2)
    model[1].forward = lambda x: x * 2
    x = gpugrad.randn(5, 4)
    assert gpugrad.equal(model(x), model[2](model[0](x) * 2))


def test_parameters_computed_from_others() -> None:
    model = net(4, 3, 2)
    nn.utils.weight_norm(model[0])
    x = gpugrad.randn(5, 4)
    y = model(x)
    assert gpugrad.equal(y, one_by_one(model, x))
    y.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_an_approximation_may_be_changed() -> None:
    model = net(4, 3, 2, activation=nn.GELU)
    x = gpugrad.randn(5, 4)
    exact = model(x)
    model[1].approximate = "tanh"
    assert gpugrad.equal(model(x), one_by_one(model, x))
    assert not gpugrad.equal(model(x), exact)
    model[1].approximate = "cosh"
    for forward in (model, net(4, 3, 2, activation=lambda: nn.GELU("cosh"))):
        with pytest.raises(RuntimeError, match="approximate argument must be either none or tanh"):
            forward(x)


def test_modules_may_be_exchanged() -> None:
    model = net(4, 3, 3, 2)
    x = gpugrad.randn(5, 4)
    model(x)
    model[2] = nn.Identity()
    model.append(nn.Linear(2, 7))
    assert gpugrad.equal(model(x), one_by_one(model, x))
    assert model(x).shape == (5, 7)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_layers_of_their_own(again: Any) -> None:
    model = net(4, 3, 2)
    x = gpugrad.randn(5, 4)
    before = model(x)
    copied = again(model)
    assert gpugrad.equal(copied(x), before)
    with gpugrad.no_grad():
        copied[0].weight.zero_()
    assert not gpugrad.equal(copied(x), before)
    assert gpugrad.equal(model(x), before)
    copied(x).sum().backward()
    assert model[0].bias.grad is None
    assert copied[0].bias.grad is not None


@pytest.mark.parametrize("frozen", [(0,), (2,), (4,), (0, 2), (0, 4)])
def test_frozen_layers_get_no_gradient(frozen: tuple[int, ...]) -> None:
    model = net(4, 5, 6, 2)
    for i in frozen:
        model[i].requires_grad_(False)
    x = gpugrad.randn(3, 4)
    model(x).square().sum().backward()
    ours = [p.grad for p in model.parameters()]
    model.zero_grad()
    one_by_one(model, x).square().sum().backward()
    for a, b in zip(ours, [p.grad for p in model.parameters()], strict=True):
        assert (a is None) == (b is None)
        assert a is None or gpugrad.equal(a, b)


def test_a_graph_that_is_retained_gives_the_same_twice() -> None:
    model = net(4, 3, 2)
    y = model(gpugrad.randn(5, 4)).sum()
    first = gpugrad.autograd.grad(y, model.parameters(), retain_graph=True)
    second = gpugrad.autograd.grad(y, model.parameters())
    assert all(gpugrad.equal(a, b) for a, b in zip(first, second, strict=True))
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_a_penalty_on_the_gradient(torch: Any) -> None:
    """Second derivatives, through what is hidden too."""
    grads = []
    for m in (gpugrad, torch):
        m.manual_seed(0)
        layers = m.nn
        model = layers.Sequential(layers.Linear(4, 3), layers.Tanh(), layers.Linear(3, 2), layers.Tanh())
        x = m.randn(5, 4, requires_grad=True)
        (dx,) = m.autograd.grad(model(x).square().sum(), x, create_graph=True)
        (model(x).sum() + dx.square().sum()).backward()
        grads.append([x.grad.numpy(), *[p.grad.numpy() for p in model.parameters()]])
    for a, b in zip(*grads, strict=True):
        assert abs(a - b).max() < 1e-5


def test_a_weight_changed_before_backward_is_an_error() -> None:
    model = net(4, 3, 2)
    loss = model(gpugrad.randn(5, 4)).sum()
    with gpugrad.no_grad():
        model[2].weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_an_output_may_be_written_unless_gradients_read_it() -> None:
    x = gpugrad.randn(5, 4)
    for model, reads in (
        (net(4, 3, 2), False),
        (net(4, 3, last=True), True),
        (net(4, 3, activation=nn.SiLU, last=True), False),
    ):
        y = model(x)
        y.mul_(2)
        if reads:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                y.sum().backward()
            continue
        y.sum().backward()
        ours = [p.grad for p in model.parameters()]
        model.zero_grad()
        (one_by_one(model, x) * 2).sum().backward()
        assert all(gpugrad.equal(a, p.grad) for a, p in zip(ours, model.parameters(), strict=True))


def test_errors_are_those_of_the_layer() -> None:
    model = net(4, 3, 2)
    for x in (gpugrad.randn(5, 7), gpugrad.randn(5, 4, dtype=gpugrad.float64), gpugrad.tensor(1.0)):
        with pytest.raises(RuntimeError) as together:
            model(x)
        with pytest.raises(RuntimeError) as apart:
            one_by_one(model, x)
        assert str(together.value) == str(apart.value)
        assert str(apart.value).startswith("linear(): mat1 and mat2")
    with pytest.raises(TypeError, match="must be Tensor, not str"):
        model("x")


def test_anomalies_are_found() -> None:
    model = net(4, 3, 2)
    with gpugrad.no_grad():
        model[0].weight.fill_(float("nan"))
    with gpugrad.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="nan"):
        model(gpugrad.randn(5, 4)).sum().backward()


def test_without_recording_it_is_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept longer than the next layer needs it."""
    model = net(4, 3, 2)
    seen = []
    monkeypatch.setattr(
        nn.Linear, "forward", lambda self, x, forward=nn.Linear.forward: seen.append(x) or forward(self, x)
    )
    with gpugrad.no_grad():
        y = model(gpugrad.randn(5, 4))
    assert len(seen) == 2
    assert not y.requires_grad


def test_no_gradient_is_computed_that_nobody_wants() -> None:
    model = net(4, 5, 6, 2)
    model[2].requires_grad_(False)
    y = model(gpugrad.randn(3, 4))
    node = y._node
    grads = node.op.pull(node.parents, node.saved, node.params, gpugrad.ones(3, 2)._array)
    assert [g is not None for g in grads] == [False, True, True, False, False, True, True]
