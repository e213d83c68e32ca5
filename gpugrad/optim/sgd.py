"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..ops.optimizer_updates import sgd_update
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_lr, check_modes, number, rate


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (also Nesterov's) if asked for; see `sgd_update` for the formula.

    ValueError for options out of range. `foreach` and `fused` are accepted and change nothing.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_at_least_zero("momentum value", momentum)
        check_at_least_zero("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_modes(foreach=foreach, fused=fused, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    @property
    def _skips_on_device(self) -> bool:
        """Not with damped momentum: a buffer that has been made says that the first gradient is in it."""
        return not any(group["momentum"] and group["dampening"] for group in self.param_groups)

    def step(self, closure: Closure | None = None) -> Any:
        loss = None if closure is None else self._loss(closure)
        for group, params in self._groups():
            momentum, dampening = number(group["momentum"]), number(group["dampening"])
            if not (momentum and dampening):
                self._descend(group, params, momentum, dampening)
                continue
            # The first gradient enters an empty buffer undamped.
            fresh = {id(p) for p in params if self.state[p].get("momentum_buffer") is None}
            self._descend(group, [p for p in params if id(p) in fresh], momentum, 0)
            self._descend(group, [p for p in params if id(p) not in fresh], momentum, dampening)
        return loss

    def _descend(self, group: dict[str, Any], params: list[Tensor], momentum: float, dampening: float) -> None:
        if not params:
            return
        self._update(
            sgd_update,
            params,
            ("momentum_buffer",) if momentum else (),
            counts=False,
            lr=rate(group["lr"], params),
            momentum=momentum,
            dampening=dampening,
            weight_decay=number(group["weight_decay"]),
            nesterov=group["nesterov"],
            maximize=group["maximize"],
        )
