"""`autograd.functional`: jacobian, hessian and the products with them, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Tensor, wrap
from ..device import ARRAY_TYPES
from ..engine import grad
from ..modes import enable_grad


def _tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _like(x: Any, parts: tuple[Any, ...]) -> Any:
    """`parts` in the form `x` was given in: a tuple, or one tensor."""
    return parts if isinstance(x, (tuple, list)) else parts[0]


def _leaves(inputs: Any, create_graph: bool) -> tuple[Tensor, ...]:
    """The inputs as tensors to differentiate by: views of the given ones if the result is to be differentiable."""
    return tuple(
        t.view_as(t) if create_graph and t.requires_grad else t.detach().requires_grad_() for t in _tuple(inputs)
    )


def _run(func: Callable[..., Any], leaves: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...]]:
    with enable_grad():
        out = func(*leaves)
    outs = _tuple(out)
    for t in outs:
        if not isinstance(t, Tensor):
            raise TypeError(f"the function given must return Tensors, got {type(t).__name__}")
    return out, outs


def _filled(array: Any, value: int) -> Any:
    return ARRAY_TYPES[type(array)].full(array.shape, value, array.dtype)


def _zeros(t: Tensor) -> Tensor:
    return wrap(_filled(t._array, 0))


def _gradients(
    outs: Any, leaves: Any, vs: Any, create_graph: bool, strict: bool, retain: bool = True
) -> tuple[Tensor, ...]:
    """Gradients with zeros where an input is not used, or a RuntimeError if `strict`."""
    roots = [(o, v) for o, v in zip(outs, vs) if o.requires_grad]
    if not roots:
        if strict:
            raise RuntimeError(
                "The outputs of the function are independent of its inputs. This is not allowed in strict mode."
            )
        return tuple(_zeros(t) for t in leaves)
    with enable_grad():
        found = grad(
            [o for o, _ in roots], leaves, [v for _, v in roots], retain, create_graph=create_graph, allow_unused=True
        )
    if strict and any(g is None for g in found):
        raise RuntimeError(
            f"Input {found.index(None)} is independent of the outputs. This is not allowed in strict mode."
        )
    return tuple(_zeros(t) if g is None else g for g, t in zip(found, leaves))


def _done(x: Any, create_graph: bool) -> Any:
    return tuple(t if create_graph else t.detach() for t in x)


def _vectors(v: Any, like: tuple[Tensor, ...], what: str) -> tuple[Tensor, ...]:
    """`v` checked against the tensors it multiplies; ones for a single scalar if it is None."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if the {what} is a single scalar")
        return (wrap(_filled(like[0]._array, 1)),)
    vs = _tuple(v)
    for i, (a, b) in enumerate(zip(vs, like, strict=True)):
        if tuple(a.shape) != tuple(b.shape):
            raise RuntimeError(f"v (entry {i}) has invalid size {tuple(a.shape)}: it should be {tuple(b.shape)}")
    return vs


def vjp(func: Any, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """`(func(inputs), v^T J)`: one backward pass."""
    leaves = _leaves(inputs, create_graph)
    out, outs = _run(func, leaves)
    found = _gradients(outs, leaves, _vectors(v, outs, "output of the function"), create_graph, strict)
    return _like(out, _done(outs, create_graph)), _like(inputs, _done(found, create_graph))


def jvp(func: Any, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """`(func(inputs), J v)`, by differentiating the vjp, which is linear in its vector ("double backward trick")."""
    leaves = _leaves(inputs, create_graph)
    vs = _vectors(v, leaves, "input of the function")
    out, outs = _run(func, leaves)
    duals = tuple(wrap(_filled(t._array, 0), True) for t in outs)
    backwards = _gradients(outs, leaves, duals, True, strict)
    forwards = _gradients(backwards, duals, vs, create_graph, strict)
    return _like(out, _done(outs, create_graph)), _like(out, _done(forwards, create_graph))


def jacobian(
    func: Any,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian, of shape `output.shape + input.shape`, one backward pass per output element.

    Nested tuples for tuples of outputs and inputs. `vectorize` and `strategy` change nothing but speed in PyTorch and
    nothing here; what PyTorch refuses of them is refused: strict=True with `vectorize` (RuntimeError), "forward-mode"
    without it (NotImplementedError), another `strategy` (AssertionError).
    """
    from ..ops import stack
    from ..ops.create import make

    _check_strategy("jacobian", strategy, vectorize, strict)
    leaves = _leaves(inputs, create_graph)
    out, outs = _run(func, leaves)
    rows = []
    for k, o in enumerate(outs):
        per_input: list[list[Tensor]] = [[] for _ in leaves]
        for j in range(o.numel()):
            unit = np.zeros(o.numel(), o._array.dtype)
            unit[j] = 1
            cotangent = make(unit.reshape(o.shape), o.device)
            vs = [cotangent if i == k else _zeros(t) for i, t in enumerate(outs)]
            for column, g in zip(per_input, _gradients(outs, leaves, vs, create_graph, strict)):
                column.append(g)
        shaped = tuple(
            (stack(column) if column else make(np.zeros((0, *t.shape), t._array.dtype), t.device)).reshape(
                tuple(o.shape) + tuple(t.shape)
            )
            for column, t in zip(per_input, leaves)
        )
        rows.append(_like(inputs, _done(shaped, create_graph)))
    return _like(out, tuple(rows))


def _check_strategy(name: str, strategy: str, vectorize: bool, strict: bool) -> None:
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            f'{name}(): expected strategy to be either "forward-mode" or "reverse-mode", got {strategy!r}'
        )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(f'{name}(): "forward-mode" is only implemented for vectorize=True')
    if strict and vectorize:
        raise RuntimeError(
            f"{name}(): `strict=True` and `vectorize=True` are not supported together; set one of them to False"
        )


def _scalar(func: Any) -> Any:
    def checked(*inputs: Any) -> Tensor:
        out = func(*inputs)
        if not isinstance(out, Tensor) or out.numel() != 1:
            raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
        return out.reshape(())

    return checked


def _gradient_of(func: Any, count: int) -> Any:
    def gradient(*inputs: Any) -> Any:
        with enable_grad():
            found = grad(_scalar(func)(*inputs), inputs, create_graph=True, allow_unused=True)
        gs = tuple(_zeros(t) if g is None else g for g, t in zip(found, inputs))
        return gs if count > 1 else gs[0]

    return gradient


def hessian(
    func: Any,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The matrix of second derivatives of a scalar function, of shape `input.shape + input.shape`.

    `vectorize` and `outer_jacobian_strategy` are those of `jacobian`.
    """
    _check_strategy("hessian", outer_jacobian_strategy, vectorize, strict)
    count = len(_tuple(inputs))
    gradient = _gradient_of(func, count)
    result = jacobian(gradient, inputs, create_graph, strict)
    return (result,) if isinstance(inputs, (tuple, list)) and count == 1 else result


def hvp(func: Any, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """`(func(inputs), H v)` of a scalar function."""
    value, product = vhp(func, inputs, v, create_graph, strict)  # a Hessian is symmetric
    return value, product


def vhp(func: Any, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """`(func(inputs), v^T H)` of a scalar function."""
    leaves = _leaves(inputs, create_graph)
    vs = _vectors(v, leaves, "input of the function")
    _, (out,) = _run(_scalar(func), leaves)
    first = _gradients((out,), leaves, (wrap(_filled(out._array, 1)),), True, strict)
    second = _gradients(first, leaves, vs, create_graph, strict)
    (value,) = _done((out,), create_graph)
    return value, _like(inputs, _done(second, create_graph))
