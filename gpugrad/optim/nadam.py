"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ..core import Tensor
from ..modes import no_grad
from ..ops import ones
from ..ops.optimizer_updates_more import nadam_update
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_betas, check_lr, check_modes, number


class NAdam(Optimizer):
    """NAdam; see `nadam_update` for the formula.

    ValueError for options out of range. `foreach` and `capturable` are accepted and change nothing.
    """

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
            for (step, _), members in self._by_history(params).items():
                mu, following = (
                    beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step + 1, step + 2)
                )
                with no_grad():
                    for p in members:
                        self.state[p]["mu_product"].mul_(mu)
                product = self.state[members[0]]["mu_product"].item()
                self._update(
                    nadam_update,
                    members,
                    ("exp_avg", "exp_avg_sq"),
                    lr=number(group["lr"]),
                    beta1=beta1,
                    beta2=beta2,
                    eps=group["eps"],
                    weight_decay=group["weight_decay"],
                    decoupled_weight_decay=group["decoupled_weight_decay"],
                    maximize=group["maximize"],
                    now=(1 - mu) / (1 - product),
                    ahead=following / (1 - product * following),
                )
        return loss

    def _by_history(self, params: list[Tensor]) -> dict[tuple[float, float], list[Tensor]]:
        """`params` by their count of steps and the product of their momenta so far, which is 1 at first."""
        found: dict[tuple[float, float], list[Tensor]] = defaultdict(list)
        for p in params:
            state = self.state[p]
            if "mu_product" not in state:
                state["mu_product"] = ones((), device=p.device)
            step = state["step"].item() if "step" in state else 0.0
            found[step, state["mu_product"].item()].append(p)
        return found
