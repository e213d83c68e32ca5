"""Activation layers: each names its function and the arguments it takes."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core import Tensor
from ..ops import full, relu
from . import functional as F
from .module import Module
from .parameter import Parameter


class _Activation(Module):
    """A function of one tensor. `arguments` are its options, in order, with their defaults."""

    function: Any
    arguments: ClassVar[dict[str, Any]] = {}
    shows_arguments = True  # when printed

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        names = list(self.arguments)
        if len(args) > len(names) or set(kwargs) - set(names) or set(names[: len(args)]) & set(kwargs):
            raise TypeError(f"{type(self).__name__}() takes ({', '.join(names)}), got {args} and {kwargs}")
        self.__dict__.update(self.arguments, **dict(zip(names, args)), **kwargs)

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, **{name: getattr(self, name) for name in self.arguments})

    def extra_repr(self) -> str:
        if not self.shows_arguments:
            return ""
        parts = [f"{name}={getattr(self, name)!r}" for name in self.arguments if name != "inplace"]
        if getattr(self, "inplace", False):
            parts.append("inplace=True")
        return ", ".join(parts)


class ReLU(_Activation):
    """max(x, 0)."""

    function = staticmethod(F.relu)
    arguments: ClassVar[dict[str, Any]] = {"inplace": False}
    inplace: bool

    def forward(self, input: Tensor) -> Tensor:  # spelt out: it is the most called of all
        return F.relu(input, True) if self.inplace else relu(input)


class ReLU6(_Activation):
    """min(max(x, 0), 6)."""

    function = staticmethod(F.relu6)
    arguments: ClassVar[dict[str, Any]] = {"inplace": False}


class ELU(_Activation):
    """x above 0, alpha * (exp(x) - 1) below."""

    function = staticmethod(F.elu)
    arguments: ClassVar[dict[str, Any]] = {"alpha": 1.0, "inplace": False}


class SELU(_Activation):
    """ELU scaled so that mean and variance are kept."""

    function = staticmethod(F.selu)
    arguments: ClassVar[dict[str, Any]] = {"inplace": False}


class CELU(_Activation):
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)."""

    function = staticmethod(F.celu)
    arguments: ClassVar[dict[str, Any]] = {"alpha": 1.0, "inplace": False}


class GELU(_Activation):
    """x times the normal distribution function of x, or its approximation by "tanh"."""

    function = staticmethod(F.gelu)
    arguments: ClassVar[dict[str, Any]] = {"approximate": "none"}


class SiLU(_Activation):
    """x * sigmoid(x)."""

    function = staticmethod(F.silu)
    arguments: ClassVar[dict[str, Any]] = {"inplace": False}


class Mish(_Activation):
    """x * tanh(softplus(x))."""

    function = staticmethod(F.mish)
    arguments: ClassVar[dict[str, Any]] = {"inplace": False}


class LeakyReLU(_Activation):
    """x above 0, negative_slope * x below."""

    function = staticmethod(F.leaky_relu)
    arguments: ClassVar[dict[str, Any]] = {"negative_slope": 0.01, "inplace": False}


class Sigmoid(_Activation):
    """1 / (1 + exp(-x))."""

    function = staticmethod(F.sigmoid)


class Tanh(_Activation):
    """The hyperbolic tangent."""

    function = staticmethod(F.tanh)


class LogSigmoid(_Activation):
    """log(sigmoid(x))."""

    function = staticmethod(F.logsigmoid)


class Softsign(_Activation):
    """x / (1 + |x|)."""

    function = staticmethod(F.softsign)


class Tanhshrink(_Activation):
    """x - tanh(x)."""

    function = staticmethod(F.tanhshrink)


class Hardsigmoid(_Activation):
    """x / 6 + 1 / 2, cut off at 0 and 1."""

    function = staticmethod(F.hardsigmoid)
    arguments: ClassVar[dict[str, Any]] = {"inplace": False}
    shows_arguments = False


class Hardswish(_Activation):
    """x * hardsigmoid(x)."""

    function = staticmethod(F.hardswish)
    arguments: ClassVar[dict[str, Any]] = {"inplace": False}
    shows_arguments = False


class Hardtanh(_Activation):
    """x cut off at min_val and max_val."""

    function = staticmethod(F.hardtanh)
    arguments: ClassVar[dict[str, Any]] = {"min_val": -1.0, "max_val": 1.0, "inplace": False}


class Softplus(_Activation):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x is above the threshold."""

    function = staticmethod(F.softplus)
    arguments: ClassVar[dict[str, Any]] = {"beta": 1.0, "threshold": 20.0}


class Softmax(_Activation):
    """exp(x) along `dim`, divided by its sum."""

    function = staticmethod(F.softmax)
    arguments: ClassVar[dict[str, Any]] = {"dim": None}


class LogSoftmax(_Activation):
    """log(softmax(x))."""

    function = staticmethod(F.log_softmax)
    arguments: ClassVar[dict[str, Any]] = {"dim": None}


class Softmin(_Activation):
    """softmax(-x)."""

    function = staticmethod(F.softmin)
    arguments: ClassVar[dict[str, Any]] = {"dim": None}


class _Shrink(_Activation):
    """Zero within `lambd` of zero; prints that number without its name, as PyTorch does."""

    arguments: ClassVar[dict[str, Any]] = {"lambd": 0.5}

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """0 between -lambd and lambd, x elsewhere."""

    function = staticmethod(F.hardshrink)


class Softshrink(_Shrink):
    """x moved towards 0 by lambd, 0 where that would pass 0."""

    function = staticmethod(F.softshrink)


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


class GLU(_Activation):
    """The first half along `dim` times the sigmoid of the second."""

    function = staticmethod(F.glu)
    arguments: ClassVar[dict[str, Any]] = {"dim": -1}


class Threshold(Module):
    """x above the threshold, `value` elsewhere."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}{', inplace=True' if self.inplace else ''}"


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W). ValueError for other inputs."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)
