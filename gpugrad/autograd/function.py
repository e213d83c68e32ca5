"""`gpugrad.autograd.function`: what `torch.autograd.function` has for programs."""

from ..function import Function, FunctionCtx, once_differentiable

__all__ = ["Function", "FunctionCtx", "once_differentiable"]
