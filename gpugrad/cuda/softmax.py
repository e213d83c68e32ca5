"""Softmax, log-softmax and their gradients, by `kernels/softmax.cu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.softmax import _log_softmax, _softmax, log_softmax_grad, softmax_grad
from .launches import Once, repeated
from .module import cuda_name
from .rows import LONG_THREADS, MOST_COLUMNS, SHAPES, Shape, column_launch, fitting, kernel, ready, row_launch, split

# Registers are few in a backward, which holds two rows, and for float64
_BACKWARD = ((8, 8), (16, 8), (32, 8), (32, 16), (32, 32), (64, 32), (128, 32), (256, 24))
_FORWARD_DOUBLE = ((8, 8), (16, 8), (32, 28), (128, 32), (256, 32))
_BACKWARD_DOUBLE = ((8, 8), (16, 8), (32, 32), (128, 20), (256, 24))


def _launch(do: Once, name: str, arrays: tuple[Any, ...], dim: Any, shapes: tuple[Shape, ...], log: bool) -> Any:
    """The kernel `name` over the dimension in the tuple `dim` (None: a 0-d array) of arrays of one shape and dtype."""
    x = arrays[0]
    outer, n, inner = split(x.shape, dim[0]) if dim else (1, 1, 1)
    if x.dtype not in FLOATS or any(a.dtype is not x.dtype or a.shape != x.shape for a in arrays):
        return NotImplemented
    if inner > 1 and outer * inner > MOST_COLUMNS:
        return NotImplemented
    out = do.empty(x.shape, x.dtype)
    if not out.size:
        return out
    given = (*map(ready, arrays), out)
    types = f"{cuda_name(x.dtype)}, {'true' if log else 'false'}"
    if inner > 1:
        grid, block = column_launch(outer * inner, n)
        sizes = (np.uint32(outer * inner), np.int64(n), np.uint32(inner))
        do(kernel("softmax.cu", f"{name}_columns<{types}>"), grid, block, (*given, *sizes))
        return out
    shape = fitting(shapes, n, x.itemsize)
    if shape is None:
        do(kernel("softmax.cu", f"{name}_long<{types}>"), (outer,), (LONG_THREADS,), (*given, np.int64(n)))
        return out
    grid, block = row_launch(outer, shape[0])
    run = kernel("softmax.cu", f"{name}<{types}, {shape[0]}, {shape[1]}>")
    do(run, grid, block, (*given, np.int64(outer), np.int32(n)))
    return out


def _forward(do: Once, x: Any, dim: Any, log: bool) -> Any:
    shapes = _FORWARD_DOUBLE if x.itemsize == 8 else SHAPES[x.itemsize]
    return _launch(do, "softmax_forward", (x,), dim, shapes, log)


def _backward(do: Once, dy: Any, y: Any, dim: Any, log: bool) -> Any:
    shapes = _BACKWARD_DOUBLE if y.itemsize == 8 else _BACKWARD
    return _launch(do, "softmax_backward", (dy, y), dim, shapes, log)


@_softmax.kernel
@repeated
def _softmax_kernel(do: Once, x: Any, *, dim: Any) -> Any:
    return _forward(do, x, dim, log=False)


@_log_softmax.kernel
@repeated
def _log_softmax_kernel(do: Once, x: Any, *, dim: Any) -> Any:
    return _forward(do, x, dim, log=True)


@softmax_grad.kernel
@repeated
def _softmax_grad_kernel(do: Once, dy: Any, y: Any, *, dim: Any) -> Any:
    return _backward(do, dy, y, dim, log=False)


@log_softmax_grad.kernel
@repeated
def _log_softmax_grad_kernel(do: Once, dy: Any, y: Any, *, dim: Any) -> Any:
    return _backward(do, dy, y, dim, log=True)
