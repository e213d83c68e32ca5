"""Linear layers with an activation between them as one op: what `nn.Sequential` makes of `Linear, ReLU, Linear, ...`.

One node stands for what would be one a layer and one an activation, and a device can compute an activation and its
gradient where the matrix product beside it leaves its result. The layers are x -> a(x @ weight.T + bias), the last with
or without `a`. The inputs of the op are x, then each layer's weight and, if it is `biased`, its bias.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ..core import Tensor
from ..op import op
from . import perceptron_numpy
from .activation import _gelu_op, relu, silu
from .cast import cast
from .matmul import grad_of_bias, linear, linear_grad_input, linear_grad_weight
from .reduce import numpy_dtype
from .unary import sigmoid, tanh

__all__ = ["perceptron"]


class Activation(NamedTuple):
    """An elementwise op of one input, with its parameters.

    `reads_output`: its rule computes its gradient from its output, and not from its input.
    """

    function: Any
    params: dict[str, Any]
    reads_output: bool

    def __call__(self, x: Any) -> Any:
        return self.function(x, **self.params)

    def gradient(self, g: Any, read: Any) -> Any:
        """The cotangent of its input from that of its output; `read` is what `reads_output` says."""
        return cast(self.function.op.rules["x"](g, read, **self.params), numpy_dtype(read))


ACTIVATIONS = {
    "relu": Activation(relu, {}, True),
    "tanh": Activation(tanh, {}, True),
    "sigmoid": Activation(sigmoid, {}, True),
    "silu": Activation(silu, {}, False),
    "gelu": Activation(_gelu_op, {"approximate": "none"}, False),
    "gelu_tanh": Activation(_gelu_op, {"approximate": "tanh"}, False),
}


@lru_cache(maxsize=256)
def places(biased: tuple[bool, ...]) -> tuple[tuple[int, int | None], ...]:
    """Where among the inputs the weight and the bias of each layer are; None for no bias."""
    found, at = [], 1
    for has_bias in biased:
        found.append((at, at + 1 if has_bias else None))
        at += 1 + has_bias
    return tuple(found)


@op(hidden=True, joins=True)
def perceptron(*arrays: Any, biased: tuple[bool, ...], activation: str, last: bool) -> tuple[Any, Any]:
    """(..., in) to (..., out). `activation` is a key of ACTIVATIONS; with `last` it also follows the last layer.

    RuntimeError for shapes and dtypes that do not fit, as `linear` raises it. Hidden are the activations that gradients
    read, then, if gradients read that, what went into them.
    """
    activate = ACTIVATIONS[activation]
    layers = places(biased)
    end = len(biased) if last else len(biased) - 1
    quick: Any = None if activation == "relu" else activate
    x, before, after = perceptron_numpy.forward(arrays, layers, quick, end) or _layer_by_layer(
        arrays, layers, activate, end
    )
    return x, after if activate.reads_output else after[: len(layers) - 1] + before


def _layer_by_layer(arrays: Any, layers: Any, activate: Any, end: int) -> tuple[Any, list[Any], list[Any]]:
    x = arrays[0]
    before, after = [], []
    for i, (at, at_bias) in enumerate(layers):
        x = linear(x, arrays[at], None if at_bias is None else arrays[at_bias])
        if i < end:
            before.append(x)
            x = activate(x)
            after.append(x)
    return x, before, after


def _rule(
    g: Any, arrays: Any, hidden: Any, needs: Any, *, biased: tuple[bool, ...], activation: str, last: bool
) -> list[Any]:
    dy = g[0]
    if isinstance(dy, Tensor):  # for second derivatives, what is hidden is a function of the inputs once more
        hidden = perceptron.op.body(*arrays, biased=biased, activation=activation, last=last)[1]
    activated = len(biased) if last else len(biased) - 1
    inputs, reads = [arrays[0], *hidden[: len(biased) - 1]], hidden[-activated:] if activated else []
    layers, gradient = places(biased), ACTIVATIONS[activation].gradient
    quick = None if activation == "relu" else gradient
    grads = perceptron_numpy.gradients(dy, arrays, inputs, reads, layers, needs, quick)
    return grads or _gradients_layer_by_layer(dy, arrays, inputs, reads, layers, needs, gradient)


def _gradients_layer_by_layer(
    dy: Any, arrays: Any, inputs: Any, reads: Any, layers: Any, needs: Any, gradient: Any
) -> list[Any]:
    grads: list[Any] = [None] * len(arrays)
    for i in range(len(layers) - 1, -1, -1):
        if i < len(reads):
            dy = gradient(dy, reads[i])
        at, at_bias = layers[i]
        if needs[at]:
            grads[at] = linear_grad_weight(dy, inputs[i])
        if at_bias is not None and needs[at_bias]:
            grads[at_bias] = grad_of_bias(dy, arrays[at_bias].shape)
        if True not in needs[:at]:
            return grads
        dy = linear_grad_input(dy, arrays[at])
    grads[0] = dy
    return grads


perceptron.defvjp(_rule)
