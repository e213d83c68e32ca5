"""Rprop: a step size for each element, which the signs of the gradients steer."""

from __future__ import annotations

from typing import Any

from ..core import Tensor, wrap
from ..ops.optimizer_updates_more import rprop_update
from ..ops.update_blocks import zeros_beside
from .optimizer import Closure, Optimizer, Params, check_lr, check_modes, number


class Rprop(Optimizer):
    """Rprop; see `rprop_update` for the formula. For gradients of the whole data, not of batches.

    ValueError for options out of range. `foreach` and `capturable` are accepted and change nothing.
    """

    _skips_on_device = True

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        check_modes(differentiable=differentiable)
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._loss(closure)
        for group, params in self._groups():
            fresh = [p for p in params if "step_size" not in self.state[p]]
            sizes = zeros_beside(*[p._array for p in fresh], fill=number(group["lr"])) if fresh else ()
            for p, array in zip(fresh, sizes):
                self.state[p]["step_size"] = wrap(array)
            (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
            self._update(
                rprop_update,
                params,
                ("prev", "step_size"),
                shrink=shrink,
                grow=grow,
                smallest=smallest,
                largest=largest,
                maximize=group["maximize"],
            )
        return loss
