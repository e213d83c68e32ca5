"""Linear layers with ReLU or GELU between them: each layer is one product, and so is each step back to the one before.

cuBLASLt adds the bias and activates before it writes a layer's output, and leaves a mask of bits (ReLU) or the
activation's input (GELU). On the way back the product that gives the cotangent of a layer's input also applies the
gradient of the activation there, and sums up that of the bias before it. GELU is the one with tanh: the library has no
other, and what its ReLU makes of NaN is its own business. Without the library, or for other activations, the op's body and rule run layer by layer.
"""

from __future__ import annotations

from typing import Any

from ..dtypes import FLOATS
from ..ops.matmul import linear_grad_bias
from ..ops.perceptron import ACTIVATIONS, perceptron, places
from . import cublaslt
from .copy import contiguous
from .gemm import grads_of_weight_and_bias, multiplies, product, rows_of
from .launches import Once

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
    if activation not in _EPILOGUES or cublaslt.library() is None or x.dtype not in FLOATS or not x.ndim or not x.size:
        return NotImplemented
    made = _forward(*arrays, biased=biased, activation=activation, last=last)
    if made is NotImplemented:
        return made
    out, inputs, marks = made
    return out, Hidden(inputs, marks, (biased, activation, last))


@multiplies
def _forward(do: Once, *arrays: Any, biased: tuple[bool, ...], activation: str, last: bool) -> Any:
    """The output, and the inputs and marks of `Hidden`."""
    x, name = arrays[0], _EPILOGUES[activation]
    inputs: list[Any] = []
    marks: list[Any] = []
    rows, end = rows_of(x), len(biased) if last else len(biased) - 1
    for i, (at, at_bias) in enumerate(places(biased)):
        weight, bias = arrays[at], None if at_bias is None else contiguous(arrays[at_bias])
        if not _fits(rows, weight, bias):
            return NotImplemented  # the body broadcasts, or says what is wrong
        marks_bits = i < end and not (name == "RELU" and i == len(biased) - 1)  # who comes last reads its own output
        made = _layer(do, rows, weight, bias, name if i < end else "", marks_bits)
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
    return out, inputs, marks


def _fits(x: Any, weight: Any, bias: Any) -> bool:
    if weight.ndim != 2 or weight.shape[1] != x.shape[1] or weight.dtype is not x.dtype:
        return False
    return bias is None or (bias.dtype is x.dtype and bias.shape == weight.shape[:1])


def _layer(do: Once, x: Any, weight: Any, bias: Any, name: str, marks: bool) -> tuple[Any, Any] | None:
    """`x @ weight.T + bias`, activated if there is a name, and what the activation leaves; None if there is no way."""
    out = do.empty((x.shape[0], weight.shape[0]), x.dtype)
    epilogue = "_".join([part for part in (name, "AUX" * marks, "BIAS" * (bias is not None)) if part])
    aux = cublaslt.auxiliary(do, name, out.shape[0], out.shape[1], x.dtype) if marks else None
    beside = cublaslt.Beside(epilogue, bias, aux) if epilogue else None
    return (out, aux) if out.size and cublaslt.multiply(x, weight.T, out, beside, do=do) else None


@perceptron.op.rules_kernel
def _(parents: Any, saved: Any, dy: Any) -> Any:
    arrays, hidden = saved
    if type(hidden) is not Hidden:
        return NotImplemented
    needs = tuple([parent is not None for parent in parents])
    how = {"biased": hidden.biased, "activation": hidden.activation, "last": hidden.last}
    return _backward(dy, *arrays, *hidden, needs=needs, **how)


@multiplies
def _backward(
    do: Once, dy: Any, *given: Any, needs: tuple[bool, ...], biased: tuple[bool, ...], activation: str, last: bool
) -> list[Any]:
    """The gradients of the inputs that need one, from what the forward was given and left."""
    count, layers = len(needs), places(biased)
    arrays, left = given[:count], given[count:]
    hidden = Hidden(list(left[: len(layers) - 1]), list(left[len(layers) - 1 :]), (biased, activation, last))
    inputs = [rows_of(arrays[0]), *hidden.inputs]
    grads: list[Any] = [None] * count
    if last:
        dy = _through_activation(do, hidden, len(layers) - 1, dy, dy.shape)
    rows = rows_of(dy)
    for i in range(len(layers) - 1, -1, -1):
        at, at_bias = layers[i]
        has_grad = at_bias is None or grads[at_bias] is not None
        wanted = (needs[at], not has_grad and needs[at_bias])  # type: ignore[index]
        dw, db = _grads_of_layer(do, rows, inputs[i], wanted)
        grads[at] = dw
        if wanted[1]:
            grads[at_bias] = db  # type: ignore[index]
        if True not in needs[:at]:
            return grads
        if i:
            before = layers[i - 1][1]
            sums = before is not None and needs[before]
            rows, db = _step_back(do, hidden, i, rows, arrays[at], sums)
            if sums:
                grads[before] = db  # type: ignore[index]
    grads[0] = product(rows, arrays[1], do=do).reshape(arrays[0].shape)
    return grads


def _grads_of_layer(do: Once, dy: Any, x: Any, wanted: tuple[bool, bool]) -> tuple[Any, Any]:
    """The gradients of the weight and of the bias that are wanted, None for the others; by one product if both are."""
    if wanted == (True, True) and (both := grads_of_weight_and_bias(do, dy, x)) is not None:
        return both
    if wanted[1]:
        do.once()
    return product(dy.T, x, do=do) if wanted[0] else None, linear_grad_bias(dy) if wanted[1] else None


def _step_back(do: Once, hidden: Hidden, i: int, dy: Any, weight: Any, sums: bool) -> tuple[Any, Any]:
    """The cotangent of what went into the activation before layer `i`; with `sums` that of the bias before it too."""
    dx = do.empty((dy.shape[0], weight.shape[1]), dy.dtype)
    db = do.empty((weight.shape[1],), dy.dtype) if sums else None
    epilogue = f"D{_EPILOGUES[hidden.activation]}{'_BGRAD' * sums}"
    if cublaslt.multiply(dy, weight, dx, cublaslt.Beside(epilogue, db, hidden.marks[i - 1]), do=do):
        return dx, db
    return _through_activation(do, hidden, i - 1, product(dy, weight), dx.shape), None


def _through_activation(do: Once, hidden: Hidden, i: int, dy: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of the activation of layer `i` by its own kernel, from the layer's output or from its input."""
    do.once()
    if hidden.activation == "relu":
        read = hidden.marks[i] if i == len(hidden.inputs) else hidden.inputs[i]
    else:
        read = hidden.marks[i][:, : shape[-1]].reshape(shape)
    return ACTIVATIONS[hidden.activation].gradient(dy, read)


__all__ = ["Hidden"]
