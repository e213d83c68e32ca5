"""Adamax: Adam with the largest gradient in the place of the mean square."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..ops.optimizer_updates import adamax_update
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_betas, check_lr, check_modes, number, rate


class Adamax(Optimizer):
    """Adamax; see `adamax_update` for the formula.

    ValueError for options out of range. `foreach` and `capturable` are accepted and change nothing.
    """

    _skips_on_device = True

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_at_least_zero("epsilon value", eps)
        check_betas(betas)
        check_at_least_zero("weight_decay value", weight_decay)
        check_modes(differentiable=differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
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
            beta1, beta2 = group["betas"]
            self._update(
                adamax_update,
                params,
                ("exp_avg", "exp_inf"),
                lr=rate(group["lr"], params),
                beta1=number(beta1),
                beta2=number(beta2),
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                maximize=group["maximize"],
            )
        return loss
