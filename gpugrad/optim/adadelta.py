"""Adadelta."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..ops.optimizer_updates import adadelta_update
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_lr, check_modes, rate


class Adadelta(Optimizer):
    """Adadelta; see `adadelta_update` for the formula.

    ValueError for options out of range. `foreach` and `capturable` are accepted and change nothing.
    """

    _skips_on_device = True

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0 <= rho <= 1:
            raise ValueError(f"Invalid rho value: {rho}")
        check_at_least_zero("epsilon value", eps)
        check_at_least_zero("weight_decay value", weight_decay)
        check_modes(differentiable=differentiable)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._loss(closure)
        for group, params in self._groups():
            self._update(
                adadelta_update,
                params,
                ("square_avg", "acc_delta"),
                lr=rate(group["lr"], params),
                rho=group["rho"],
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                maximize=group["maximize"],
            )
        return loss
