"""Full backward hooks of a Module: nodes around it that see the gradients of its outputs and of its inputs."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..function import Function
from ..modes import is_grad_enabled

Grads = tuple[Any, ...]


class _Gate(Function):
    """The identity on several tensors; `backward` shows their gradients to a function, which may replace them."""

    @staticmethod
    def forward(ctx: Any, see: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.see = see
        ctx.set_materialize_grads(False)
        outputs = tuple(t.detach() for t in tensors)
        ctx.mark_non_differentiable(*(o for o, t in zip(outputs, tensors) if not t.requires_grad))
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Grads:
        return (None, *ctx.see(grads))


class Watch:
    """One call of a module whose backward hooks are to run."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.inputs_gated = False
        self.input_count = 0
        self.grad_output: Grads | None = None

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, gated so that the gradients of the inputs are seen."""
        self.input_count = len(args)
        gated = _gated(args, self._see_inputs)
        self.inputs_gated = gated is not args
        return gated

    def outputs(self, output: Any) -> Any:
        """The output, gated so that the gradients of the outputs are seen first."""
        if not isinstance(output, (tuple, list)):
            return _gated((output,), self._see_outputs)[0]
        made = _gated(tuple(output), self._see_outputs)
        return type(output)(*made) if hasattr(output, "_fields") else type(output)(made)

    def _see_outputs(self, grads: Grads) -> Grads:
        for hook in tuple(self.module._backward_pre_hooks.values()):
            grads = _replaced(grads, hook(self.module, grads), "pre hook returned an invalid number of grad_output")
        if self.inputs_gated:
            self.grad_output = grads
        else:  # no input wants a gradient: this is the last that the walk shows of the module
            self._tell_without_inputs(grads)
        return grads

    def _tell_without_inputs(self, grad_output: Grads) -> None:
        for hook in tuple(self.module._backward_hooks.values()):
            result = hook(self.module, (None,) * self.input_count, grad_output)
            if result is not None and any(g is not None for g in result):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or None for "
                    "all gradients."
                )

    def _see_inputs(self, grads: Grads) -> Grads:
        if self.grad_output is None:  # the gradient came to the inputs by a way around the outputs
            return grads
        for hook in tuple(self.module._backward_hooks.values()):
            result = hook(self.module, grads, self.grad_output)
            grads = _replaced(grads, result, "hook returned an invalid number of grad_input")
        self.grad_output = None
        return grads


def _replaced(grads: Grads, result: Any, complaint: str) -> Grads:
    """What a hook returned in place of `grads`, unless that is None."""
    if result is None:
        return grads
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(grads):
        raise RuntimeError(f"Backward {complaint}, got {len(result)}, but expected {len(grads)}")
    return result


def _gated(values: tuple[Any, ...], see: Any) -> tuple[Any, ...]:
    """`values` with the tensors among them behind a gate; `values` itself if none of them wants a gradient.

    `see` gets one gradient per value, None for those that are not tensors.
    """
    where = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    if not (is_grad_enabled() and any(values[i].requires_grad for i in where)):
        return values

    def see_all(grads: Grads) -> Grads:
        spread: list[Any] = [None] * len(values)
        for i, g in zip(where, grads):
            spread[i] = g
        seen = see(tuple(spread))
        return tuple(seen[i] for i in where)

    made = list(values)
    for i, t in zip(where, _Gate.apply(see_all, *(values[i] for i in where))):
        made[i] = t
    return tuple(made)
