"""Activation layers: each names its function and the arguments it takes."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..ops import full
from . import functional as F
from .module import Module
from .parameter import Parameter


class _Activation(Module):
    """A function of one tensor. `arguments` are its options with their defaults, `shown` those that are printed."""

    function: Any
    arguments: dict[str, Any] = {}
    shown: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        names = list(self.arguments)
        if len(args) > len(names) or set(kwargs) - set(names) or set(names[: len(args)]) & set(kwargs):
            raise TypeError(f"{type(self).__name__}() takes ({', '.join(names)}), got {args} and {kwargs}")
        for name, value in {**self.arguments, **dict(zip(names, args)), **kwargs}.items():
            object.__setattr__(self, name, value)

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, **{name: getattr(self, name) for name in self.arguments})

    def extra_repr(self) -> str:
        parts = [f"{name}={getattr(self, name)!r}" for name in self.shown]
        if getattr(self, "inplace", False):
            parts.append("inplace=True")
        return ", ".join(parts)


def _layer(name: str, function: Any, shown: tuple[str, ...] = (), **arguments: Any) -> type[_Activation]:
    """A layer class for `function`."""
    body = {"__doc__": f"`nn.functional.{function.__name__}` as a layer.", "__module__": __name__}
    return type(name, (_Activation,), {**body, "function": staticmethod(function), "arguments": arguments, "shown": shown})


ReLU = _layer("ReLU", F.relu, inplace=False)
ReLU6 = _layer("ReLU6", F.relu6, inplace=False)
ELU = _layer("ELU", F.elu, ("alpha",), alpha=1.0, inplace=False)
SELU = _layer("SELU", F.selu, inplace=False)
CELU = _layer("CELU", F.celu, ("alpha",), alpha=1.0, inplace=False)
GELU = _layer("GELU", F.gelu, ("approximate",), approximate="none")
SiLU = _layer("SiLU", F.silu, inplace=False)
Mish = _layer("Mish", F.mish, inplace=False)
LeakyReLU = _layer("LeakyReLU", F.leaky_relu, ("negative_slope",), negative_slope=0.01, inplace=False)
Sigmoid = _layer("Sigmoid", F.sigmoid)
Tanh = _layer("Tanh", F.tanh)
LogSigmoid = _layer("LogSigmoid", F.logsigmoid)
Softsign = _layer("Softsign", F.softsign)
Tanhshrink = _layer("Tanhshrink", F.tanhshrink)
Hardsigmoid = _layer("Hardsigmoid", F.hardsigmoid, inplace=False)
Hardswish = _layer("Hardswish", F.hardswish, inplace=False)
Hardtanh = _layer("Hardtanh", F.hardtanh, ("min_val", "max_val"), min_val=-1.0, max_val=1.0, inplace=False)
Softplus = _layer("Softplus", F.softplus, ("beta", "threshold"), beta=1.0, threshold=20.0)
Hardshrink = _layer("Hardshrink", F.hardshrink, lambd=0.5)
Softshrink = _layer("Softshrink", F.softshrink, lambd=0.5)
Softmax = _layer("Softmax", F.softmax, ("dim",), dim=None)
LogSoftmax = _layer("LogSoftmax", F.log_softmax, ("dim",), dim=None)
Softmin = _layer("Softmin", F.softmin, ("dim",), dim=None)


class _Lambd(_Activation):
    """Prints its one number without a name, as PyTorch does."""

    def extra_repr(self) -> str:
        return str(self.lambd)


for _shrink in (Hardshrink, Softshrink):
    _shrink.extra_repr = _Lambd.extra_repr  # type: ignore[method-assign]


class PReLU(Module):
    """Leaky ReLU whose slope is learned, one for all channels or one per channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), init, device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
