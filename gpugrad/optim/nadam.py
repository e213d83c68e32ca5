"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..ops.optimizer_updates_more import nadam_update
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_betas, check_lr, check_modes, number, rate


class NAdam(Optimizer):
    """NAdam; see `nadam_update` for the formula.

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
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_at_least_zero("epsilon value", eps)
        check_betas(betas)
        check_at_least_zero("weight_decay value", weight_decay)
        check_at_least_zero("momentum_decay value", momentum_decay)
        check_modes(differentiable=differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._loss(closure)
        for group, params in self._groups():
            beta1, beta2 = map(number, group["betas"])
            self._update(
                nadam_update,
                params,
                ("exp_avg", "exp_avg_sq"),
                numbers={"mu_product": 1.0},
                lr=rate(group["lr"], params),
                beta1=beta1,
                beta2=beta2,
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                decoupled_weight_decay=group["decoupled_weight_decay"],
                maximize=group["maximize"],
                momentum_decay=group["momentum_decay"],
            )
        return loss
