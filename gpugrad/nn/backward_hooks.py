"""Full backward hooks of a Module: nodes around it that see the gradients of its outputs and of its inputs."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..function import Function


class _Gate(Function):
    """The identity on several tensors; `backward` shows their gradients to a function, which may replace them."""

    @staticmethod
    def forward(ctx: Any, see: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.see = see
        return tuple(t.detach() for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        return (None, *ctx.see(grads))


class Watch:
    """One call of a module whose backward hooks are to run."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.grad_output: tuple[Any, ...] = ()

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, gated so that the gradients of the inputs are seen."""
        return tuple(_gated(args, self._see_inputs))

    def outputs(self, output: Any) -> Any:
        """The output, gated so that the gradients of the outputs are seen first."""
        several = isinstance(output, (tuple, list))
        made = _gated(output if several else (output,), self._see_outputs)
        return type(output)(made) if several else made[0]

    def _see_outputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in tuple(self.module._backward_pre_hooks.values()):
            result = hook(self.module, grads)
            if result is not None:
                grads = result if isinstance(result, tuple) else (result,)
        self.grad_output = grads
        return grads

    def _see_inputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in tuple(self.module._backward_hooks.values()):
            result = hook(self.module, grads, self.grad_output)
            if result is not None:
                grads = result if isinstance(result, tuple) else (result,)
        return grads


def _gated(values: Any, see: Any) -> list[Any]:
    where = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.is_floating_point()]
    made = list(values)
    if where:
        for i, t in zip(where, _Gate.apply(see, *(values[i] for i in where)), strict=True):
            made[i] = t
    return made
