"""Adagrad."""

from __future__ import annotations

from typing import Any

from ..core import Tensor, wrap
from ..ops.optimizer_updates import adagrad_update
from ..ops.update_blocks import numbers_beside, zeros_beside
from .optimizer import Closure, Optimizer, Params, check_at_least_zero, check_lr, check_modes, rate


class Adagrad(Optimizer):
    """Adagrad; see `adagrad_update` for the formula. The state is made at once, as in PyTorch.

    ValueError for options out of range. `foreach` and `fused` are accepted and change nothing.
    """

    _skips_on_device = True

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_at_least_zero("lr_decay value", lr_decay)
        check_at_least_zero("weight_decay value", weight_decay)
        check_at_least_zero("initial_accumulator_value value", initial_accumulator_value)
        check_at_least_zero("epsilon value", eps)
        check_modes(foreach=foreach, fused=fused, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            arrays = [p._array for p in group["params"]]
            sums = zeros_beside(*arrays, fill=group["initial_accumulator_value"])
            for p, step, total in zip(group["params"], numbers_beside(arrays[0], count=len(arrays)), sums):
                self.state[p] = {"step": wrap(step), "sum": wrap(total)}

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._loss(closure)
        for group, params in self._groups():
            self._update(
                adagrad_update,
                params,
                ("sum",),
                fill=group["initial_accumulator_value"],  # for parameters of groups that were added later
                lr=rate(group["lr"], params),
                lr_decay=group["lr_decay"],
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                maximize=group["maximize"],
            )
        return loss
