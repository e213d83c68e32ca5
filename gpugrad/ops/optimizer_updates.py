"""One step of an optimizer as an op on arrays that writes in place: all the parameters of a group in one call.

The inputs of every op here are lists of arrays of one length, one after the other: parameters, gradients, then each
kind of state, then (where the formula counts) the steps, 0-d float32 arrays that the op itself increments, and other
numbers that it keeps of each parameter. Everything but the gradients is written. `workspace` belongs to one such list of parameters and is reused from step to step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import op
from .update_blocks import Workspace


def _lists(arrays: tuple[Any, ...], count: int) -> list[tuple[Any, ...]]:
    """The `count` lists of equal length that `arrays` is made of."""
    length = len(arrays) // count
    return [arrays[i : i + length] for i in range(0, len(arrays), length)]


def _gradient(param: Any, grad: Any, weight_decay: float, maximize: bool, out: Any) -> Any:
    """The gradient to descend: `grad` itself, or in `out` with its sign turned or the decay added."""
    if weight_decay:
        np.multiply(param, weight_decay, out)
        return (np.subtract if maximize else np.add)(out, grad, out)
    return np.negative(grad, out) if maximize else grad


def _average(mean: Any, value: Any, decay: float, scratch: Any) -> None:
    """mean = decay mean + (1 - decay) value"""
    np.multiply(mean, decay, mean)
    np.multiply(value, 1 - decay, scratch)
    np.add(mean, scratch, mean)


def _average_square(mean: Any, value: Any, decay: float, scratch: Any) -> None:
    """mean = decay mean + (1 - decay) value^2"""
    np.multiply(mean, decay, mean)
    np.multiply(value, value, scratch)
    np.multiply(scratch, 1 - decay, scratch)
    np.add(mean, scratch, mean)


@op(writes="arrays")
def sgd_update(
    *arrays: Any,
    workspace: Workspace,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """Stochastic gradient descent. Lists: params, grads and, with momentum, buffers.

    b = momentum b + (1 - dampening) g;  p -= lr b, or with Nesterov's momentum p -= lr (g + momentum b)
    """
    params, grads, *buffers = _lists(arrays, 3 if momentum else 2)
    if not (momentum or weight_decay or maximize):
        return workspace.descend(params, grads, lr)

    def formula(step: float, p: Any, g: Any, *rest: Any) -> None:
        *buffer, r, s, _ = rest
        g = _gradient(p, g, weight_decay, maximize, r)
        if buffer:
            (b,) = buffer
            np.multiply(b, momentum, b)
            np.add(b, np.multiply(g, 1 - dampening, s) if dampening else g, b)
            g = np.add(g, np.multiply(b, momentum, s), s) if nesterov else b
        np.multiply(g, lr, s)
        np.subtract(p, s, p)

    workspace.update(formula, params, grads, buffers)


@op(writes="arrays")
def adam_update(
    *arrays: Any,
    workspace: Workspace,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    amsgrad: bool,
    maximize: bool,
) -> None:
    """Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), AMSGrad (Reddi et al. 2018).

    Lists: params, grads, exp_avgs, exp_avg_sqs, with AMSGrad their maxima, steps.
    m, v: averages of g and g^2;  p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
    """
    params, grads, *states, steps = _lists(arrays, 6 if amsgrad else 5)

    def formula(step: float, p: Any, g: Any, m: Any, v: Any, *rest: Any) -> None:
        *maximum, r, s, _ = rest
        if decoupled_weight_decay and weight_decay:
            np.multiply(p, 1 - lr * weight_decay, p)
        g = _gradient(p, g, 0 if decoupled_weight_decay else weight_decay, maximize, r)
        _average(m, g, beta1, s)
        _average_square(v, g, beta2, s)
        if maximum:
            (largest,) = maximum
            v = np.maximum(largest, v, out=largest)
        if not lr:
            return
        size = lr / (1 - beta1**step)
        np.sqrt(v, s)  # the step size is divided out of the denominator: one pass less
        np.multiply(s, 1 / (size * (1 - beta2**step) ** 0.5), s)
        np.add(s, eps / size, s)
        np.divide(m, s, s)
        np.subtract(p, s, p)

    workspace.update(formula, params, grads, states, workspace.advance(steps))


@op(writes="arrays")
def rmsprop_update(
    *arrays: Any,
    workspace: Workspace,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
) -> None:
    """RMSprop (Hinton 2012; centred: Graves 2013). Lists: params, grads, square_avgs, if so momentum buffers and
    grad_avgs, steps.

    v: average of g^2, less the square of the average of g if centred;  p -= lr g / (sqrt(v) + eps), with momentum
    """
    params, grads, *states, steps = _lists(arrays, 4 + bool(momentum) + centered)

    def formula(step: float, p: Any, g: Any, v: Any, *rest: Any) -> None:
        *others, r, s, t = rest
        g = _gradient(p, g, weight_decay, maximize, r)
        _average_square(v, g, alpha, s)
        if centered:
            mean = others[-1]
            _average(mean, g, alpha, s)
            np.multiply(mean, mean, s)
            v = np.subtract(v, s, s)
        np.sqrt(v, s)
        np.add(s, eps, s)
        np.divide(g, s, t)
        if momentum:
            np.multiply(others[0], momentum, others[0])
            np.add(others[0], t, others[0])
            np.multiply(others[0], lr, t)
        else:
            np.multiply(t, lr, t)
        np.subtract(p, t, p)

    workspace.advance(steps)
    workspace.update(formula, params, grads, states)


@op(writes="arrays")
def adagrad_update(
    *arrays: Any, workspace: Workspace, lr: float, lr_decay: float, eps: float, weight_decay: float, maximize: bool
) -> None:
    """Adagrad (Duchi, Hazan and Singer 2011). Lists: params, grads, sums, steps.

    v += g^2;  p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps)
    """
    params, grads, sums, steps = _lists(arrays, 4)

    def formula(step: float, p: Any, g: Any, v: Any, r: Any, s: Any, t: Any) -> None:
        g = _gradient(p, g, weight_decay, maximize, r)
        np.multiply(g, g, s)
        np.add(v, s, v)
        np.sqrt(v, s)
        np.add(s, eps, s)
        np.divide(g, s, s)
        np.multiply(s, lr / (1 + (step - 1) * lr_decay), s)
        np.subtract(p, s, p)

    workspace.update(formula, params, grads, [sums], workspace.advance(steps))


@op(writes="arrays")
def adadelta_update(
    *arrays: Any, workspace: Workspace, lr: float, rho: float, eps: float, weight_decay: float, maximize: bool
) -> None:
    """Adadelta (Zeiler 2012). Lists: params, grads, square_avgs, acc_deltas, steps.

    v: average of g^2;  d = sqrt(u + eps) / sqrt(v + eps) g;  u: average of d^2;  p -= lr d
    """
    params, grads, squares, deltas, steps = _lists(arrays, 5)

    def formula(step: float, p: Any, g: Any, v: Any, u: Any, r: Any, s: Any, t: Any) -> None:
        g = _gradient(p, g, weight_decay, maximize, r)
        _average_square(v, g, rho, s)
        np.add(v, eps, s)
        np.sqrt(s, s)
        np.add(u, eps, t)
        np.sqrt(t, t)
        np.divide(t, s, t)
        np.multiply(t, g, t)
        _average_square(u, t, rho, s)
        np.multiply(t, lr, t)
        np.subtract(p, t, p)

    workspace.advance(steps)
    workspace.update(formula, params, grads, [squares, deltas])


@op(writes="arrays")
def adamax_update(
    *arrays: Any,
    workspace: Workspace,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Adamax (Kingma and Ba 2015). Lists: params, grads, exp_avgs, exp_infs, steps.

    m: average of g;  u = max(beta2 u, |g| + eps);  p -= lr / (1 - beta1^t) m / u
    """
    params, grads, *states, steps = _lists(arrays, 5)

    def formula(step: float, p: Any, g: Any, m: Any, u: Any, r: Any, s: Any, t: Any) -> None:
        g = _gradient(p, g, weight_decay, maximize, r)
        _average(m, g, beta1, s)
        np.multiply(u, beta2, u)
        np.abs(g, s)
        np.add(s, eps, s)
        np.maximum(u, s, out=u)
        np.divide(m, u, s)
        np.multiply(s, lr / (1 - beta1**step), s)
        np.subtract(p, s, p)

    workspace.update(formula, params, grads, states, workspace.advance(steps))


__all__ = ["adadelta_update", "adagrad_update", "adam_update", "adamax_update", "rmsprop_update", "sgd_update"]
