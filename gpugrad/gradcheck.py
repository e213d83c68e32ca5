"""Check gradients against finite differences, to first and second order.

With a random direction u per input and a random weight w per output, the rules must give <w, J u> where central
differences give (<w, f(x + h u)> - <w, f(x - h u)>) / 2h. One random direction catches a wrong rule almost surely and
costs two evaluations, however large the inputs are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Tensor, wrap
from .device import ARRAY_TYPES, arrays_beside
from .dtypes import FLOATS
from .engine import grad


class GradcheckError(RuntimeError):
    """The gradient of a function does not agree with its finite differences."""


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _wanted(inputs: Sequence[Any]) -> list[int]:
    wanted = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x._requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    for i in wanted:
        if inputs[i]._array.dtype != np.float64:
            raise ValueError(
                f"gradcheck needs float64 inputs, input {i} is {inputs[i].dtype}: differences in lower precision say nothing"
            )
    return wanted


def _numpy(tensor: Tensor) -> np.ndarray:
    array = tensor._array
    return ARRAY_TYPES[type(array)].to_numpy(array)


def _outputs(function: Callable[..., Any], inputs: Sequence[Any]) -> list[Tensor]:
    return [t for t in _as_tuple(function(*inputs)) if isinstance(t, Tensor) and t._array.dtype in FLOATS]


def _moved(inputs: Sequence[Any], wanted: list[int], directions: list[np.ndarray], step: float) -> list[Any]:
    """Fresh leaves at `inputs + step * directions`."""
    moved = list(inputs)
    for i, u in zip(wanted, directions):
        make = arrays_beside(inputs[i]._array).from_numpy
        moved[i] = wrap(make(np.asarray(_numpy(inputs[i]) + step * u)), requires_grad=True)
    return moved


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    fast_mode: bool = False,
    directions: int = 2,
) -> bool:
    """True if the gradients of `func` at the float64 `inputs` agree with central differences of step `eps`.

    GradcheckError (or False, without `raise_exception`) says by how much they do not. ValueError if no input requires
    grad or one is not float64. `nondet_tol`, `check_undefined_grad` and `fast_mode` are PyTorch's and change nothing:
    a few random `directions` are what its fast mode tries.
    """
    inputs = _as_tuple(inputs)
    wanted = _wanted(inputs)
    rng = np.random.default_rng(7)
    for _ in range(directions):
        us = [np.asarray(rng.standard_normal(inputs[i].shape)) for i in wanted]
        error = _compare(func, inputs, wanted, us, rng, eps, atol, rtol)
        if error is not None:
            if raise_exception:
                raise GradcheckError(error)
            return False
    return True


def _compare(
    func: Any, inputs: Any, wanted: list[int], us: list[np.ndarray], rng: Any, eps: float, atol: float, rtol: float
) -> str | None:
    here = _moved(inputs, wanted, us, 0.0)
    outs = [t for t in _outputs(func, here) if t._requires_grad]
    if not outs:
        return None
    ws = [np.asarray(rng.standard_normal(t.shape)) for t in outs]
    make = arrays_beside(outs[0]._array).from_numpy
    gs = grad(outs, [here[i] for i in wanted], [wrap(make(w)) for w in ws], allow_unused=True)
    analytic = sum(float(np.vdot(_numpy(g), u)) for g, u in zip(gs, us) if g is not None)

    def weighted(step: float) -> float:
        moved = [t for t in _outputs(func, _moved(inputs, wanted, us, step)) if t._requires_grad]
        return sum(float(np.vdot(w, _numpy(t))) for w, t in zip(ws, moved))

    numeric = (weighted(eps) - weighted(-eps)) / (2 * eps)
    scale = max(abs(numeric), *(float(np.abs(w).sum()) for w in ws), 0.0)
    if abs(analytic - numeric) <= atol * max(1.0, scale) + rtol * abs(numeric):
        return None
    return (
        f"along a random direction the rules give {analytic:.9g}, finite differences {numeric:.9g} "
        f"(inputs of shapes {[tuple(inputs[i].shape) for i in wanted]})"
    )


def gradgradcheck(func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, **options: Any) -> bool:
    """True if second derivatives agree too: `gradcheck` of the gradient, as a function of inputs and grad_outputs."""
    inputs = _as_tuple(inputs)
    wanted = _wanted(inputs)
    rng = np.random.default_rng(11)
    outs = [t for t in _outputs(func, inputs) if t._requires_grad]
    if grad_outputs is None:
        make = [arrays_beside(t._array).from_numpy for t in outs]
        grad_outputs = [wrap(m(np.asarray(rng.standard_normal(t.shape))), True) for m, t in zip(make, outs)]

    def gradient(*args: Any) -> tuple[Any, ...]:
        xs, gs = args[: len(inputs)], args[len(inputs) :]
        ys = [t for t in _outputs(func, xs) if t._requires_grad]
        found = grad(ys, [xs[i] for i in wanted], gs, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g._requires_grad)

    return gradcheck(gradient, (*inputs, *_as_tuple(grad_outputs)), **options)
