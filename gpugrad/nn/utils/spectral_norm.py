"""Spectral normalization: a weight divided by its largest singular value. Miyato et al., https://arxiv.org/abs/1802.05957."""

from __future__ import annotations

from typing import Any, TypeVar

from ...core import Tensor
from ...modes import no_grad
from ..conv import _ConvTransposeNd
from ..functional import normalize
from ..module import Module
from ..parameter import Parameter

AnyModule = TypeVar("AnyModule", bound=Module)


class SpectralNorm:
    """The hook that makes a weight of `<name>_orig` before every forward, and in training estimates its largest
    singular value better: `<name>_u` and `<name>_v` are the vectors of that, by power iteration.
    """

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def as_matrix(self, weight: Tensor) -> Tensor:
        """The weight with a row for each index of `dim`."""
        return weight.movedim(self.dim, 0).reshape(weight.shape[self.dim], -1)

    def compute_weight(self, module: Module, iterate: bool) -> Tensor:
        """The weight divided by the estimate, after more iterations if `iterate`."""
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = self.as_matrix(weight)
        if iterate and self.n_power_iterations:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(matrix.t() @ u, dim=0, eps=self.eps))
                    u.copy_(normalize(matrix @ v, dim=0, eps=self.eps))
            u, v = u.clone(), v.clone()  # what the tape saves is not written by the next call
        return weight / (u @ (matrix @ v))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, iterate=module.training))


def _find(module: Module, name: str) -> int | None:
    """The number of the hook for `name`, or None."""
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            return key
    return None


def spectral_norm(
    module: AnyModule, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> AnyModule:
    """Divide the parameter `name` of `module` by its largest singular value, as a matrix with a row for each index of `dim`.

    `dim` is 1 for transposed convolutions and 0 for others unless given. `n_power_iterations` are done in every forward
    while training. RuntimeError if that has been done already, ValueError for a negative number of iterations.
    """
    if _find(module, name) is not None:
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    if n_power_iterations <= 0:
        raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
    chosen = dim if dim is not None else 1 if isinstance(module, _ConvTransposeNd) else 0
    hook = SpectralNorm(name, n_power_iterations, chosen, eps)
    weight = module._parameters[name]
    assert weight is not None
    with no_grad():
        rows, columns = hook.as_matrix(weight).shape
        u = normalize(weight.new_empty(rows).normal_(0, 1), dim=0, eps=eps)
        v = normalize(weight.new_empty(columns).normal_(0, 1), dim=0, eps=eps)
    del module._parameters[name]
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Make the parameter `name` of what is normalized its present value. ValueError if it is not normalized."""
    key = _find(module, name)
    if key is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    hook, _ = module._forward_pre_hooks.pop(key)
    weight = hook.compute_weight(module, iterate=False)
    delattr(module, name)
    del module._parameters[f"{name}_orig"], module._buffers[f"{name}_u"], module._buffers[f"{name}_v"]
    module.register_parameter(name, Parameter(weight.detach()))
    return module
