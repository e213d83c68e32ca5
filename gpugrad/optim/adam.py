"""Adam."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..ops.optimizer_updates import adam_update
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_betas, check_lr, check_modes, number, rate


class Adam(Optimizer):
    """Adam, with AMSGrad if asked for; see `adam_update` for the formula.

    ValueError for options out of range. `foreach`, `capturable` and `fused` are accepted and change nothing.
    """

    _skips_on_device = True

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_lr(lr)
        check_at_least_zero("epsilon value", eps)
        check_betas(betas)
        check_at_least_zero("weight_decay value", weight_decay)
        check_modes(foreach=foreach, fused=fused, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._loss(closure)
        for group, params in self._groups():
            names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")
            beta1, beta2 = group["betas"]
            self._update(
                adam_update,
                params,
                names,
                lr=rate(group["lr"], params),
                beta1=number(beta1),
                beta2=number(beta2),
                eps=group["eps"],
                weight_decay=number(group["weight_decay"]),
                decoupled_weight_decay=group["decoupled_weight_decay"],
                amsgrad=group["amsgrad"],
                maximize=group["maximize"],
            )
        return loss
