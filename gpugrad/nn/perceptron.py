"""Which layers of a `Sequential` become one `perceptron` op: runs of `Linear` with one activation between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops.perceptron import perceptron
from .activations import GELU, ReLU, Sigmoid, SiLU, Tanh
from .layers import Linear
from .module import Module

_LONGEST = 4  # layers of one op: what its node saved is freed when all its gradients are made
_NAMES: dict[type, str] = {ReLU: "relu", Tanh: "tanh", Sigmoid: "sigmoid", SiLU: "silu"}
_GELU = {"none": "gelu", "tanh": "gelu_tanh"}  # by `approximate`

together = True  # a profile of the CPU alone turns this off: it shows the layers one by one, as PyTorch's does


class Run:
    """Modules of a `Sequential` that follow one another and become one op."""

    def __init__(self, first: Linear) -> None:
        self.members: list[Module] = [first]
        self.linear = [first]
        self.gelus: list[GELU] = []
        self.activation: str | None = None
        self.last = False

    def takes(self, module: Module) -> bool:
        """Add `module` if it continues the run."""
        if type(module) is Linear:
            if not self.last or len(self.linear) == _LONGEST:
                return False
            self.linear.append(module)
        else:
            name = _name(module)
            if name is None or self.last or self.activation not in (None, name):
                return False
            self.activation = name
            self.gelus += [module] if type(module) is GELU else []
        self.last = type(module) is not Linear
        self.members.append(module)
        return True

    def __call__(self, x: Any) -> Any:
        given, biased = self._inputs(x)
        if biased:
            return perceptron(*given, biased=biased, activation=self.activation, last=self.last)
        for module in self.members:
            x = module(x)
        return x

    def _inputs(self, x: Any) -> tuple[list[Any], tuple[bool, ...]]:
        """What the op takes. Nothing if somebody sees what goes on between the modules, or parameters are not in place."""
        for module in self.members:
            state = module.__dict__
            if state["_hooked"] or "forward" in state:
                return [], ()
        for gelu in self.gelus:
            if _name(gelu) != self.activation:  # its `approximate` has been changed
                return [], ()
        given, biased = [x], []
        for linear in self.linear:
            parameters = linear._parameters
            weight, bias = parameters.get("weight"), parameters.get("bias")
            if weight is None or (bias is None and "bias" not in parameters):
                return [], ()  # computed from others, as weight_norm does
            given.append(weight)
            biased.append(bias is not None)
            if bias is not None:
                given.append(bias)
        return given, tuple(biased)


def _name(module: Module) -> str | None:
    """What the op calls an activation, None for other modules."""
    return _GELU.get(module.approximate) if type(module) is GELU else _NAMES.get(type(module))


def runs(modules: Sequence[Module]) -> list[Any]:
    """`modules` with those together that become one op."""
    found: list[Any] = []
    for module in modules:
        if found and type(found[-1]) is Run and found[-1].takes(module):
            continue
        found.append(Run(module) if type(module) is Linear else module)
    return [f.members[0] if type(f) is Run and len(f.members) == 1 else f for f in found]
