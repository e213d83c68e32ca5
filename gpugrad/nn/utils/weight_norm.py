"""Weight normalization. Salimans and Kingma, https://arxiv.org/abs/1602.07868."""

from __future__ import annotations

from typing import Any, TypeVar

from ... import ops
from ...core import Tensor
from ..module import Module
from ..parameter import Parameter

AnyModule = TypeVar("AnyModule", bound=Module)


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The `pow`-norm over all dimensions but `dim`, which stay with size 1; over all of them if `dim` is -1."""
    if dim == -1:
        return ops.norm(v, pow)
    return ops.norm(v, pow, tuple(d for d in range(v.ndim) if d != dim % v.ndim), True)


class WeightNorm:
    """The hook that makes a weight of its length, `<name>_g`, and its direction, `<name>_v`, before every forward."""

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = dim

    def compute_weight(self, module: Module) -> Any:
        """`g * v / norm(v)`."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except_dim(v, 2, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def _find(module: Module, name: str) -> int | None:
    """The number of the hook for `name`, or None."""
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            return key
    return None


def weight_norm(module: AnyModule, name: str = "weight", dim: int | None = 0) -> AnyModule:
    """Replace the parameter `name` of `module` by a length for each index of `dim`, or for all, and a direction.

    RuntimeError if that has been done already.
    """
    if _find(module, name) is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, -1 if dim is None else dim)
    weight = getattr(module, name)
    del module._parameters[name]
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight, 2, hook.dim).detach()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Make the parameter `name` what it was before `weight_norm`, with its present value. ValueError if it was not."""
    key = _find(module, name)
    if key is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    hook, _ = module._forward_pre_hooks.pop(key)
    weight = hook.compute_weight(module)
    delattr(module, name)
    del module._parameters[f"{name}_g"], module._parameters[f"{name}_v"]
    setattr(module, name, Parameter(weight.detach()))
    return module
