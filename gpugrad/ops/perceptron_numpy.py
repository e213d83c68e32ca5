"""`perceptron` and its gradients in NumPy: what the ops it stands for come to, without a call of each.

A small network's layers take NumPy a microsecond or two, and that is what a call of an op takes beside it. Only matrices
of a dtype that BLAS has are dealt with; for all else, and to say what is wrong, None is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .compare import choose_numpy
from .elementwise import typed_zero
from .matrix_numpy import BLAS, column_sums
from .reduce import sum_to

Places = tuple[tuple[int, int | None], ...]


def forward(arrays: Any, layers: Places, activate: Callable[[Any], Any] | None, end: int) -> Any:
    """The output and, of the `end` layers that are activated, what went into `activate` (None is ReLU) and what came out."""
    x = arrays[0]
    dtype = x.dtype
    if type(x) is not np.ndarray or dtype not in BLAS or x.ndim != 2:
        return None
    zero = typed_zero(x)
    before, after = [], []
    for i, (at, at_bias) in enumerate(layers):
        weight = arrays[at]
        if weight.dtype is not dtype or weight.shape[1] != x.shape[1]:
            return None
        x = x.dot(weight.T)
        if at_bias is not None:
            bias = arrays[at_bias]
            if bias.dtype is not dtype or bias.shape != weight.shape[:1]:
                return None
            np.add(x, bias, x)
        if i < end:
            before.append(x)
            x = np.maximum(x, zero, out=x) if activate is None else activate(x)
            after.append(x)
    return x, before, after


def gradients(
    dy: Any,
    arrays: Any,
    inputs: Any,
    reads: Any,
    layers: Places,
    needs: Any,
    gradient: Callable[[Any, Any], Any] | None,
) -> Any:
    """The gradients of `arrays`. `gradient` is that of the activation, None for ReLU, from what `reads` keeps."""
    if type(dy) is not np.ndarray or dy.dtype not in BLAS or dy.ndim != 2:
        return None
    grads: list[Any] = [None] * len(arrays)
    zero = typed_zero(dy)
    i = len(layers)
    for at, at_bias in reversed(layers):
        i -= 1
        if i < len(reads):
            dy = gradient(dy, reads[i]) if gradient is not None else choose_numpy(reads[i] <= zero, 0, dy)
        if needs[at]:
            grads[at] = dy.T.dot(inputs[i])
        if at_bias is not None and needs[at_bias]:
            shape = arrays[at_bias].shape
            grads[at_bias] = column_sums(dy) if shape == dy.shape[1:] else sum_to(dy, shape=shape)
        if True not in needs[:at]:
            return grads
        dy = dy.dot(arrays[at])
    grads[0] = dy
    return grads
