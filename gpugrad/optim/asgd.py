"""ASGD: gradient descent that also keeps the average of the parameters."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..ops.optimizer_updates_more import asgd_update
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_lr, check_modes, rate


class ASGD(Optimizer):
    """ASGD; see `asgd_update` for the formula. The average of a parameter p is `state[p]["ax"]`.

    ValueError for options out of range. `foreach` and `capturable` are accepted and change nothing.
    """

    _skips_on_device = True

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_at_least_zero("weight_decay value", weight_decay)
        check_modes(differentiable=differentiable)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._loss(closure)
        for group, params in self._groups():
            lr = rate(group["lr"], params)
            self._update(
                asgd_update,
                params,
                ("ax",),
                numbers={"eta": lr, "mu": 1.0},
                lr=lr,
                lambd=group["lambd"],
                alpha=group["alpha"],
                t0=group["t0"],
                weight_decay=group["weight_decay"],
                maximize=group["maximize"],
            )
        return loss
