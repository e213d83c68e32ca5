"""More optimizer steps as ops: see `optimizer_updates.py` for what they are given and how they write."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import op
from .optimizer_updates import _average, _average_square, _gradient, _lists
from .update_blocks import Workspace


@op(writes="arrays")
def nadam_update(
    *arrays: Any,
    workspace: Workspace,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
    momentum_decay: float,
) -> None:
    """NAdam (Dozat 2016). Lists: params, grads, exp_avgs, exp_avg_sqs, steps, products of the momenta so far.

    m, v: averages of g and g^2;  mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), M = mu_1 ... mu_t;
    p -= lr ((1 - mu_t) / (1 - M) g + mu_(t+1) / (1 - M mu_(t+1)) m) / (sqrt(v / (1 - beta2^t)) + eps)
    """
    params, grads, *states, steps, products = _lists(arrays, 6)
    turns = []
    for step, product in zip(workspace.advance(steps), products):
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
        np.multiply(product, mu, product)
        so_far = product.item()
        turns.append((step, (1 - mu) / (1 - so_far), following / (1 - so_far * following)))

    def formula(turn: tuple[float, ...], p: Any, g: Any, m: Any, v: Any, r: Any, s: Any, t: Any) -> None:
        step, now, ahead = turn
        if decoupled_weight_decay and weight_decay:
            np.multiply(p, 1 - lr * weight_decay, p)
        g = _gradient(p, g, 0 if decoupled_weight_decay else weight_decay, maximize, r)
        _average(m, g, beta1, s)
        _average_square(v, g, beta2, s)
        np.multiply(v, 1 / (1 - beta2**step), s)
        np.sqrt(s, s)
        np.add(s, eps, s)
        np.multiply(g, lr * now, r)
        np.multiply(m, lr * ahead, t)
        np.add(r, t, r)
        np.divide(r, s, r)
        np.subtract(p, r, p)

    workspace.update(formula, params, grads, states, turns)


@op(writes="arrays")
def radam_update(
    *arrays: Any,
    workspace: Workspace,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """RAdam (Liu et al. 2020). Lists: params, grads, exp_avgs, exp_avg_sqs, steps.

    m, v: averages of g and g^2;  p -= lr / (1 - beta1^t) m times, once the variance of v is known well enough
    (rho > 5), r sqrt(1 - beta2^t) / (sqrt(v) + eps)
    """
    params, grads, *states, steps = _lists(arrays, 5)
    limit = 2 / (1 - beta2) - 1

    def formula(step: float, p: Any, g: Any, m: Any, v: Any, r: Any, s: Any, t: Any) -> None:
        if decoupled_weight_decay and weight_decay:
            np.multiply(p, 1 - lr * weight_decay, p)
        g = _gradient(p, g, 0 if decoupled_weight_decay else weight_decay, maximize, r)
        _average(m, g, beta1, s)
        _average_square(v, g, beta2, s)
        correction = 1 - beta2**step
        rho = limit - 2 * step * beta2**step / correction
        size = lr / (1 - beta1**step)
        if rho > 5:
            spread = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
            np.sqrt(v, s)
            np.add(s, eps, s)
            np.divide(m, s, s)
            np.multiply(s, size * (correction * spread) ** 0.5, s)
        else:
            np.multiply(m, size, s)
        np.subtract(p, s, p)

    workspace.update(formula, params, grads, states, workspace.advance(steps))


@op(writes="arrays")
def rprop_update(
    *arrays: Any,
    workspace: Workspace,
    shrink: float,
    grow: float,
    smallest: float,
    largest: float,
    maximize: bool,
) -> None:
    """Rprop (Riedmiller and Braun 1993). Lists: params, grads, previous grads, step sizes, steps.

    A step size grows while the sign of g stays and shrinks when it changes, which also skips g;  p -= size sign(g)
    """
    params, grads, *states, steps = _lists(arrays, 5)

    def formula(step: float, p: Any, g: Any, previous: Any, size: Any, r: Any, s: Any, t: Any) -> None:
        g = _gradient(p, g, 0, maximize, r)
        np.multiply(g, previous, s)
        turned = s < 0
        np.copyto(t, 1)
        np.copyto(t, grow, where=s > 0)
        np.copyto(t, shrink, where=turned)
        np.multiply(size, t, size)
        np.clip(size, smallest, largest, out=size)
        np.copyto(previous, g)
        np.copyto(previous, 0, where=turned)
        np.sign(previous, s)
        np.multiply(s, size, s)
        np.subtract(p, s, p)

    workspace.advance(steps)
    workspace.update(formula, params, grads, states)


@op(writes="arrays")
def asgd_update(
    *arrays: Any,
    workspace: Workspace,
    lr: float,
    lambd: float,
    alpha: float,
    t0: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Averaged SGD (Polyak and Juditsky 1992). Lists: params, grads, averages, steps, etas, mus.

    p = (1 - lambd eta) p - eta g;  a += mu (p - a);  then eta = lr / (1 + lambd lr t)^alpha, mu = 1 / max(1, t - t0)
    """
    params, grads, averages, steps, etas, mus = _lists(arrays, 6)

    def formula(turn: tuple[float, ...], p: Any, g: Any, a: Any, r: Any, s: Any, t: Any) -> None:
        eta, mu = turn
        g = _gradient(p, g, weight_decay, maximize, r)
        np.multiply(g, eta, s)
        np.multiply(p, 1 - lambd * eta, p)
        np.subtract(p, s, p)
        np.subtract(p, a, s)
        np.multiply(s, mu, s)
        np.add(a, s, a) if mu != 1 else np.copyto(a, p)

    workspace.update(formula, params, grads, [averages], [(eta.item(), mu.item()) for eta, mu in zip(etas, mus)])
    for step, eta, mu in zip(workspace.advance(steps), etas, mus):
        eta[...] = lr / (1 + lambd * lr * step) ** alpha
        mu[...] = 1 / max(1, step - t0)


__all__ = ["asgd_update", "nadam_update", "radam_update", "rprop_update"]
