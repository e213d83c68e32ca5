"""Linear layers with ReLU or GELU between them: each layer is one product, and so is each step back to the one before.

cuBLASLt adds the bias and activates before it writes a layer's output, and leaves a mask of bits (ReLU) or the
activation's input (GELU). On the way back the product that gives the cotangent of a layer's input also applies the
gradient of the activation there, and sums up that of the bias before it. GELU is the one with tanh: the library has no
other, and what its ReLU makes of NaN is its own business. Without the library, or for other activations, the op's body and rule run layer by layer.
"""

from __future__ import annotations

from typing import Any

from ..dtypes import FLOATS
from ..ops.matmul import linear_grad_bias, linear_grad_input, linear_grad_weight
from ..ops.perceptron import ACTIVATIONS, perceptron, places
from . import cublaslt
from .array import empty
from .copy import contiguous
from .gemm import grads_of_weight_and_bias, rows_of

_EPILOGUES = {"relu": "RELU", "gelu_tanh": "GELU"}


class Hidden(list[Any]):
    """What the layers leave for the way back, and how they were computed.

    Of each layer that is activated: its output if another layer follows, and its mask or input. If the last layer is
    activated by ReLU, the last is the output itself.
    """

    def __init__(self, inputs: list[Any], marks: list[Any], how: tuple[tuple[bool, ...], str, bool]) -> None:
        super().__init__([*inputs, *marks])
        self.inputs, self.marks = inputs, marks
        self.biased, self.activation, self.last = how


@perceptron.kernel
def _(*arrays: Any, biased: tuple[bool, ...], activation: str, last: bool) -> Any:
    x = arrays[0]
    name = _EPILOGUES.get(activation)
    if name is None or cublaslt.library() is None or x.dtype not in FLOATS or not x.ndim or not x.size:
        return NotImplemented
    inputs: list[Any] = []
    marks: list[Any] = []
    rows, end = rows_of(x), len(biased) if last else len(biased) - 1
    for i, (at, at_bias) in enumerate(places(biased)):
        weight, bias = arrays[at], None if at_bias is None else contiguous(arrays[at_bias])
        if not _fits(rows, weight, bias):
            return NotImplemented  # the body broadcasts, or says what is wrong
        marks_bits = i < end and not (name == "RELU" and i == len(biased) - 1)  # who comes last reads its own output
        made = _layer(rows, weight, bias, name if i < end else "", marks_bits)
        if made is None:
            return NotImplemented
        rows, mark = made
        if i < end:
            marks.append(rows if mark is None else mark)
        if i < len(biased) - 1:
            inputs.append(rows)
    out = rows if x.ndim == 2 else rows.reshape((*x.shape[:-1], rows.shape[1]))
    if last and name == "RELU":
        marks[-1] = out
    return out, Hidden(inputs, marks, (biased, activation, last))


def _fits(x: Any, weight: Any, bias: Any) -> bool:
    if weight.ndim != 2 or weight.shape[1] != x.shape[1] or weight.dtype is not x.dtype:
        return False
    return bias is None or (bias.dtype is x.dtype and bias.shape == weight.shape[:1])


def _layer(x: Any, weight: Any, bias: Any, name: str, marks: bool) -> tuple[Any, Any] | None:
    """`x @ weight.T + bias`, activated if there is a name, and what the activation leaves; None if there is no way."""
    out = empty((x.shape[0], weight.shape[0]), x.dtype)
    epilogue = "_".join([part for part in (name, "AUX" * marks, "BIAS" * (bias is not None)) if part])
    aux = cublaslt.auxiliary(name, out.shape[0], out.shape[1], x.dtype) if marks else None
    beside = cublaslt.Beside(epilogue, bias, aux) if epilogue else None
    return (out, aux) if out.size and cublaslt.multiply(x, weight.T, out, beside) else None


@perceptron.op.rules_kernel
def _(parents: Any, saved: Any, dy: Any) -> Any:
    arrays, hidden = saved
    if type(hidden) is not Hidden:
        return NotImplemented
    needs = [parent is not None for parent in parents]
    inputs = [rows_of(arrays[0]), *hidden.inputs]
    layers = places(hidden.biased)
    grads: list[Any] = [None] * len(arrays)
    if hidden.last:
        dy = _through_activation(hidden, len(layers) - 1, dy, dy.shape)
    rows = rows_of(dy)
    for i in range(len(layers) - 1, -1, -1):
        at, at_bias = layers[i]
        if at_bias is None or not needs[at_bias] or grads[at_bias] is not None:
            if needs[at]:
                grads[at] = linear_grad_weight(rows, inputs[i])
        elif needs[at] and (both := grads_of_weight_and_bias(rows, inputs[i])) is not None:
            grads[at], grads[at_bias] = both
        else:
            grads[at] = linear_grad_weight(rows, inputs[i]) if needs[at] else None
            grads[at_bias] = linear_grad_bias(rows)
        if True not in needs[:at]:
            return grads
        if i:
            before = layers[i - 1][1]
            if before is None or not needs[before]:
                rows, _ = _step_back(hidden, i, rows, arrays[at], False)
            else:
                rows, grads[before] = _step_back(hidden, i, rows, arrays[at], True)
    grads[0] = linear_grad_input(rows, arrays[1]).reshape(arrays[0].shape)
    return grads


def _step_back(hidden: Hidden, i: int, dy: Any, weight: Any, sums: bool) -> tuple[Any, Any]:
    """The cotangent of what went into the activation before layer `i`; with `sums` that of the bias before it too."""
    dx = empty((dy.shape[0], weight.shape[1]), dy.dtype)
    db = empty((weight.shape[1],), dy.dtype) if sums else None
    epilogue = f"D{_EPILOGUES[hidden.activation]}{'_BGRAD' * sums}"
    if cublaslt.multiply(dy, weight, dx, cublaslt.Beside(epilogue, db, hidden.marks[i - 1])):
        return dx, db
    return _through_activation(hidden, i - 1, linear_grad_input(dy, weight), dx.shape), None


def _through_activation(hidden: Hidden, i: int, dy: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of the activation of layer `i` by its own kernel, from the layer's output or from its input."""
    if hidden.activation == "relu":
        read = hidden.marks[i] if i == len(hidden.inputs) else hidden.inputs[i]
    else:
        read = hidden.marks[i][:, : shape[-1]].reshape(shape)
    return ACTIVATIONS[hidden.activation].gradient(dy, read)


__all__ = ["Hidden"]
