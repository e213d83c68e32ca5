"""ASGD: gradient descent that also keeps the average of the parameters."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ..core import Tensor
from ..ops import full
from ..ops.optimizer_updates_more import asgd_update
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_lr, check_modes, number


class ASGD(Optimizer):
    """ASGD; see `asgd_update` for the formula. The average of a parameter p is `state[p]["ax"]`.

    ValueError for options out of range. `foreach` and `capturable` are accepted and change nothing.
    """

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
            lr, lambd = number(group["lr"]), group["lambd"]
            for (eta, mu, step), members in self._by_history(params, lr).items():
                self._update(
                    asgd_update,
                    members,
                    ("ax",),
                    lambd=lambd,
                    eta=eta,
                    mu=mu,
                    weight_decay=group["weight_decay"],
                    maximize=group["maximize"],
                )
                for p in members:
                    self.state[p]["eta"].fill_(lr / (1 + lambd * lr * (step + 1)) ** group["alpha"])
                    self.state[p]["mu"].fill_(1 / max(1, step + 1 - group["t0"]))
        return loss

    def _by_history(self, params: list[Tensor], lr: float) -> dict[tuple[float, float, float], list[Tensor]]:
        """`params` by their step size, the weight of their next average and their count of steps."""
        found: dict[tuple[float, float, float], list[Tensor]] = defaultdict(list)
        for p in params:
            state = self.state[p]
            for name, first in (("eta", lr), ("mu", 1.0)):
                if name not in state:
                    state[name] = full((), first, device=p.device)
            step = state["step"].item() if "step" in state else 0.0
            found[state["eta"].item(), state["mu"].item(), step].append(p)
        return found
