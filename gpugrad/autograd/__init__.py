"""`gpugrad.autograd`: gradients by name, as `torch.autograd`."""

from __future__ import annotations

from typing import Any

from ..anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from ..core import Tensor
from ..engine import backward, grad
from ..gradcheck import gradcheck, gradgradcheck
from ..modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from . import function, functional
from .function import Function, once_differentiable


def Variable(data: Any, requires_grad: bool = False, volatile: Any = None) -> Tensor:
    """What tensors were called once: a tensor sharing memory with `data`."""
    if not isinstance(data, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
    return data.detach().requires_grad_(requires_grad) if requires_grad or data.is_leaf else data


__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]
