"""`gpugrad.func` beside `torch.func`."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest
from nn_pair import Case, assert_same

import gpugrad
from gpugrad import func, nn


def tools(lib: Any) -> Any:
    return importlib.import_module(f"{lib.__name__}.func")


def net(lib: Any) -> Any:
    lib.manual_seed(0)
    return lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.Tanh(), lib.nn.Linear(4, 2))


def rounded(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: rounded(value) for key, value in tree.items()}
    return (
        [rounded(t) for t in tree]
        if isinstance(tree, (tuple, list))
        else (tree.requires_grad, tree.detach().round(decimals=4))
    )


def parameters(lib: Any) -> Any:
    return {name: p.detach() for name, p in net(lib).named_parameters()}


def loss(lib: Any) -> Any:
    module = net(lib)
    return lambda params, x, y: ((tools(lib).functional_call(module, params, (x,)) - y) ** 2).mean()


def x(lib: Any, n: int = 3) -> Any:
    return lib.linspace(-1, 2, n)


def test_per_sample_gradients(torch: ModuleType) -> None:
    def case(lib: Any) -> Any:
        of_each = tools(lib).vmap(tools(lib).grad(loss(lib)), in_dims=(None, 0, 0))
        return rounded(of_each(parameters(lib), x(lib, 6).view(2, 3), lib.ones(2, 2)))

    assert_same(case, torch)


CASES: list[Case] = [
    lambda lib: tools(lib).grad(lambda t: (t**3).sum())(x(lib)),
    lambda lib: tools(lib).grad(tools(lib).grad(lambda t: t**3))(lib.tensor(2.0)),
    lambda lib: tools(lib).grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(x(lib), x(lib) + 1),
    lambda lib: tools(lib).grad(lambda a, b: (a * b["w"]).sum(), argnums=1)(x(lib), {"w": x(lib)}),
    lambda lib: tools(lib).grad(lambda t: ((t**2).sum(), t * 2), has_aux=True)(x(lib)),
    lambda lib: tools(lib).grad(lambda t, other: other.sum())(x(lib), lib.ones(2)),
    lambda lib: tools(lib).grad(lambda t: t * 2)(x(lib)),
    lambda lib: tools(lib).grad_and_value(lambda t: (t**2).sum())(x(lib)),
    lambda lib: tools(lib).grad(lambda t: (t**2).sum())(x(lib).requires_grad_()),
    lambda lib: tools(lib).jacrev(lambda t: t.outer(t))(x(lib)),
    lambda lib: tools(lib).jacfwd(lambda a, b: a * b, argnums=1)(x(lib), x(lib)),
    lambda lib: tools(lib).jacrev(lambda t: (t.sum(), t * 2))(x(lib)),
    lambda lib: tools(lib).jacrev(net(lib))(x(lib)),
    lambda lib: tools(lib).hessian(lambda t: (t**3).sum())(x(lib)),
    lambda lib: tools(lib).vjp(lambda a, b: a * b, x(lib), x(lib) + 1)[1](lib.ones(3)),
    lambda lib: tools(lib).jvp(lambda a: a.sin(), (x(lib),), (lib.ones(3) * 2,)),
    lambda lib: lib.vmap(lib.dot)(x(lib, 6).view(2, 3), x(lib, 6).view(2, 3)),
    lambda lib: lib.vmap(lambda a, b: a + b, in_dims=(1, None), out_dims=1)(x(lib, 6).view(2, 3), x(lib, 2)),
    lambda lib: lib.vmap(lambda d: d["a"] * 2)({"a": x(lib, 4)}),
    lambda lib: lib.vmap(lib.vmap(lambda t: t * 2))(x(lib, 6).view(2, 3)),
    lambda lib: lib.vmap(lambda a: (a, a.sum()), out_dims=(1, 0))(x(lib, 6).view(2, 3)),
    lambda lib: tools(lib).functional_call(net(lib), parameters(lib), x(lib)),
    lambda lib: tools(lib).stack_module_state([net(lib), net(lib)])[0]["0.bias"],
]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # PyTorch's own forward mode uses it
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_it_gives_what_torch_gives(torch: ModuleType, case: Case) -> None:
    def call(lib: Any) -> Any:
        try:
            return rounded(case(lib))
        except RuntimeError:
            return "RuntimeError"

    assert_same(call, torch)


def test_a_module_is_called_with_other_parameters_and_put_back() -> None:
    tied = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    tied[1].weight = weight = tied[0].weight
    given = gpugrad.eye(2).mul(3).requires_grad_()
    out = func.functional_call(tied, {"0.weight": given}, (gpugrad.ones(1, 2),))
    out.sum().backward()
    assert out.tolist() == [[9, 9]] and given.grad is not None and weight.grad is None
    assert tied[0].weight is weight is tied[1].weight
    with pytest.raises(RuntimeError, match=r"has no \['2.weight'\]"):
        func.functional_call(tied, {"2.weight": given}, (gpugrad.ones(1, 2),))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        func.functional_call(tied, {"0.weight": given}, (gpugrad.ones(1, 3),))
    assert tied[0].weight is weight


def test_vmap_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="at least one argument must be mapped"):
        func.vmap(lambda t: t, in_dims=None)(gpugrad.ones(2))
    with pytest.raises(ValueError, match="same size in the mapped dimension"):
        func.vmap(lambda a, b: a)(gpugrad.ones(2), gpugrad.ones(3))
    with pytest.raises(ValueError, match="only return Tensors, got int"):
        func.vmap(lambda t: 1)(gpugrad.ones(2))
