"""`autograd.grad(is_grads_batched=True)`: a cotangent to each row; and what the Jacobian's options refuse."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import each_device

import gpugrad

pytestmark = each_device


def same(found: Any, expected: Any) -> None:
    assert type(found) is tuple and len(found) == len(expected)
    for mine, other in zip(found, expected):
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_allclose(
                mine.detach().cpu().numpy(), other.detach().numpy(), rtol=1e-6, atol=1e-6, strict=True
            )


def several(t: ModuleType, **options: Any) -> Any:
    rng = np.random.default_rng(0)
    x, w, unused = (t.tensor(rng.normal(size=s).astype(np.float32), requires_grad=True) for s in ((3,), (2, 3), (4,)))
    y, z = w @ t.sin(x), (x * x).sum()
    cotangents = [t.tensor(rng.normal(size=s).astype(np.float32)) for s in ((5, 2), (5,))]
    return t.autograd.grad((y, z), (x, w, unused), cotangents, is_grads_batched=True, **options)


@pytest.mark.parametrize("options", [{"allow_unused": True}, {"materialize_grads": True}], ids=str)
def test_a_row_of_gradients_to_each_row_of_cotangents(torch: ModuleType, options: dict[str, Any]) -> None:
    same(several(gpugrad, **options), several(torch, **options))


def test_an_unused_input_is_refused() -> None:
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        several(gpugrad)


def test_rows_of_a_jacobian_and_of_a_hessian() -> None:
    x = gpugrad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x**3
    eye = gpugrad.eye(3)
    (first,) = gpugrad.autograd.grad(y, x, eye, is_grads_batched=True, create_graph=True)
    assert first.tolist() == [[3, 0, 0], [0, 12, 0], [0, 0, 27]]
    (second,) = gpugrad.autograd.grad(first.sum(0), x, eye, is_grads_batched=True)
    assert second.tolist() == [[6, 0, 0], [0, 12, 0], [0, 0, 18]]


def test_gradients_flow_to_cotangents() -> None:
    x = gpugrad.tensor([1.0, 2.0], requires_grad=True)
    g = gpugrad.ones(3, 2, requires_grad=True)
    (found,) = gpugrad.autograd.grad(x**2, x, g, is_grads_batched=True, create_graph=True)
    found.sum().backward()
    assert g.grad is not None and g.grad.tolist() == [[2, 4]] * 3 and x.grad is not None and x.grad.tolist() == [6, 6]


def test_the_graph_is_freed_after_the_last_row() -> None:
    x = gpugrad.ones(2, requires_grad=True)
    y = x * x
    gpugrad.autograd.grad(y, x, gpugrad.ones(3, 2), is_grads_batched=True, retain_graph=True)
    gpugrad.autograd.grad(y, x, gpugrad.ones(3, 2), is_grads_batched=True)
    with pytest.raises(RuntimeError, match="a second time"):
        y.sum().backward()
    assert x.grad is None


def test_no_rows() -> None:
    x = gpugrad.ones(2, requires_grad=True)
    (found,) = gpugrad.autograd.grad(x * x, x, gpugrad.ones(0, 2), is_grads_batched=True)
    assert found.shape == (0, 2) and found.device == x.device


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (lambda: None, ValueError, r"output 0.*None"),
        (lambda: gpugrad.ones(2), RuntimeError, r"first dimension.*output 0.*\[2\].*\[3\]"),
        (lambda: gpugrad.ones(2, 4), RuntimeError, r"output 0.*\[2, 4\].*\[3\]"),
        (lambda: gpugrad.tensor(1.0), RuntimeError, r"output 0.*\[\]"),
        (lambda: (gpugrad.ones(2, 3), gpugrad.ones(2, 3)), RuntimeError, "got 1 tensors and 2 gradients"),
    ],
)
def test_cotangents_that_do_not_fit(given: Any, error: type[Exception], says: str) -> None:
    x = gpugrad.ones(3, requires_grad=True)
    y = x * x
    with pytest.raises(error, match=says):
        gpugrad.autograd.grad(y, x, given(), is_grads_batched=True)
    y.sum().backward()  # the graph is still there


def test_batches_of_two_sizes() -> None:
    x = gpugrad.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match=r"same size.*\[2, 4\]"):
        gpugrad.autograd.grad((x * 2, x * 3), x, (gpugrad.ones(2, 3), gpugrad.ones(4, 3)), is_grads_batched=True)


def options_of_functions(t: ModuleType, name: str, options: dict[str, Any]) -> Any:
    x = t.tensor([1.0, 2.0])
    function = {"jacobian": lambda x: x**2, "hessian": lambda x: (x**3).sum()}[name]
    return getattr(t.autograd.functional, name)(function, x, **options)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own parts
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("jacobian", {"vectorize": True}),
        ("jacobian", {"vectorize": True, "strategy": "forward-mode"}),
        ("jacobian", {"vectorize": True, "strict": True}),
        ("jacobian", {"strategy": "forward-mode"}),
        ("jacobian", {"vectorize": True, "strategy": "sideways"}),
        ("hessian", {"vectorize": True}),
        ("hessian", {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}),
        ("hessian", {"vectorize": True, "strict": True}),
        ("hessian", {"outer_jacobian_strategy": "forward-mode"}),
        ("hessian", {"vectorize": True, "outer_jacobian_strategy": "sideways"}),
    ],
    ids=str,
)
def test_options_of_jacobians(torch: ModuleType, name: str, options: dict[str, Any]) -> None:
    found = []
    for t in (gpugrad, torch):
        try:
            found.append(options_of_functions(t, name, options).detach().cpu().numpy())
        except Exception as error:
            found.append(type(error))
    np.testing.assert_equal(*found)
