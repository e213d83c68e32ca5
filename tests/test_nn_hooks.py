"""Hooks of modules: before and after forward, and on the gradients of inputs and outputs."""

from __future__ import annotations

import collections
import gc
import warnings
from types import ModuleType
from typing import Any

import pytest
from device_tools import each_device
from nn_pair import Case, assert_error, assert_same, values

import gpugrad
from gpugrad import nn

pytestmark = each_device

Pair = collections.namedtuple("Pair", "left right")


def linear(library: ModuleType) -> Any:
    module = library.nn.Linear(2, 2)
    with library.no_grad():
        module.weight.copy_(library.tensor([[1.0, 2.0], [3.0, 4.0]]))
        module.bias.zero_()
    return module


def test_forward_hooks_see_and_replace(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        seen: list[Any] = []
        module = linear(library)
        module.register_forward_pre_hook(lambda m, args: seen.append(("pre", args)))
        module.register_forward_pre_hook(lambda m, args: args[0] * 2)
        module.register_forward_pre_hook(lambda m, args: (args[0] + 1,), prepend=True)
        module.register_forward_hook(lambda m, args, output: seen.append(("post", args, output)))
        handle = module.register_forward_hook(lambda m, args, output: output.sum())
        first = module(library.ones(2))
        handle.remove()
        handle.remove()
        return first, module(library.ones(2)), seen

    assert_same(case, torch)


def test_forward_hooks_with_keywords(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        class Scale(library.nn.Module):
            def forward(self, x: Any, *, by: float) -> Any:
                return x * by

        seen: list[Any] = []
        module = Scale()
        module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True)
        module.register_forward_pre_hook(lambda m, args: None)
        module.register_forward_hook(lambda m, args, kwargs, out: seen.append((args, kwargs)), with_kwargs=True)
        module.register_forward_hook(lambda m, args, output: output + 1, prepend=True)
        return module(library.ones(2), by=3.0), seen

    assert_same(case, torch)


def test_a_pre_hook_with_keywords_must_return_a_pair(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        module = linear(library)
        module.register_forward_pre_hook(lambda m, args, kwargs: (1,), with_kwargs=True)
        return module(library.ones(2))

    assert_error(case, torch, RuntimeError)


def test_always_called_hooks_run_after_an_error() -> None:
    seen: list[Any] = []
    module = nn.Module()  # has no forward
    module.register_forward_hook(lambda m, args, output: seen.append("never"))
    module.register_forward_hook(lambda m, args, output: seen.append((args, output)), always_call=True)
    with pytest.raises(NotImplementedError):
        module(1)
    assert seen == [((1,), None)]


def backward_seen(
    prepare: Any = lambda module, library: None, inputs: tuple[bool, ...] = (True,), module: Any = linear
) -> Case:
    """The case of a backward through a hooked module: what hooks saw, and the gradients of the inputs."""

    def case(library: ModuleType) -> Any:
        seen: list[Any] = []
        made = module(library)
        made.register_full_backward_pre_hook(lambda m, grads: seen.append(("pre", grads)))
        made.register_full_backward_hook(lambda m, into, out: seen.append(("full", into, out)))
        prepare(made, library)
        xs = [values(library, 3, 2, seed=i, requires_grad=wanted) for i, wanted in enumerate(inputs)]
        output = made(*xs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, where no input requires a gradient
            (output if hasattr(output, "sum") else output[0]).sum().backward()
        return seen, [x.grad for x in xs], [p.grad for p in made.parameters()]

    return case


def several(library: ModuleType) -> Any:
    """Takes two tensors, returns two."""

    class Several(library.nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a * b, a + b

    return Several()


def test_backward_hooks_see(torch: ModuleType) -> None:
    assert_same(backward_seen(), torch)
    assert_same(backward_seen(inputs=(False,)), torch)
    assert_same(backward_seen(inputs=(True, True), module=several), torch)


def test_a_tensor_that_wants_no_gradient_has_none() -> None:
    (_, (name, into, out)), grads, _ = backward_seen(inputs=(True, False), module=several)(gpugrad)
    assert name == "full"
    assert into[0].tolist() == grads[0].tolist() == values(gpugrad, 3, 2, seed=1).tolist()
    assert (into[1], out[1], grads[1]) == (None, None, None)


def test_backward_hooks_replace(torch: ModuleType) -> None:
    def replace(module: Any, library: ModuleType) -> None:
        module.register_full_backward_pre_hook(lambda m, grads: (grads[0] * 2,), prepend=True)
        module.register_full_backward_hook(lambda m, into, out: (into[0] + 1,), prepend=True)

    assert_same(backward_seen(replace), torch)


@pytest.mark.parametrize("inputs", [(True,), (False,)])
def test_backward_hooks_return_as_many_gradients(torch: ModuleType, inputs: tuple[bool, ...]) -> None:
    def two(module: Any, library: ModuleType) -> None:
        module.register_full_backward_hook(lambda m, into, out: (library.ones(3, 2), None))

    def pre_two(module: Any, library: ModuleType) -> None:
        module.register_full_backward_pre_hook(lambda m, grads: (grads[0], None))

    assert_error(backward_seen(two, inputs), torch, RuntimeError)
    assert_error(backward_seen(pre_two, inputs), torch, RuntimeError)


def test_backward_hooks_under_no_grad_and_after_removal(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        seen: list[Any] = []
        module = linear(library)
        handle = module.register_full_backward_hook(lambda m, into, out: seen.append(1))
        with library.no_grad():
            quiet = module(values(library, 2, requires_grad=True)).requires_grad
        handle.remove()
        module(values(library, 2, requires_grad=True)).sum().backward()
        return quiet, seen

    assert assert_same(case, torch) == [False, []]


def test_outputs_keep_their_kind_behind_backward_hooks() -> None:
    class Returns(nn.Module):
        def forward(self, x: Any, kind: Any) -> Any:
            return kind(x, x)

    module = Returns()
    module.register_full_backward_hook(lambda m, into, out: None)
    x = gpugrad.ones(2, requires_grad=True)
    for kind in (Pair, lambda *xs: list(xs), lambda *xs: xs):
        made = module(x, kind)
        assert type(made) is type(kind(x, x))
        assert all(t.requires_grad for t in made)


def test_backward_hooks_twice_differentiated(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        module = library.nn.Tanh()
        module.register_full_backward_hook(lambda m, into, out: (into[0] * 3,))
        x = values(library, 2, requires_grad=True)
        (first,) = library.autograd.grad(module(x).sum(), x, create_graph=True)
        (second,) = library.autograd.grad(first.sum(), x)
        return [round(v, 5) for v in first.tolist() + second.tolist()]

    assert_same(case, torch)


def test_a_hooked_call_leaves_no_garbage() -> None:
    module = linear(gpugrad)
    module.register_full_backward_hook(lambda m, into, out: None)
    x = gpugrad.ones(3, 2, requires_grad=True)
    for _ in range(2):  # the first and the second call build what those after them use
        module(x).sum().backward()
    gc.collect()
    gc.disable()
    try:
        module(x).sum().backward()
        assert gc.collect() == 0
    finally:
        gc.enable()
