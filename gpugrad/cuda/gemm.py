"""Matrix products on the device.

`product(a, b)` is `a @ b` for stacks of matrices; everything that multiplies matrices here comes down to it.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops.arithmetic import raw_add
from ..ops.matmul import _check_shapes, _matmul, linear, linear_grad_bias, linear_grad_input, linear_grad_weight
from ..ops.reduce import sum_over
from . import backend
from .array import DeviceArray, adopt, empty
from .copy import contiguous, write, zeros
from .elementwise import run
from .printing import forward_formula

cp = backend.cupy()
_FLOAT32 = np.dtype(np.float32)
_ADD = forward_formula(raw_add.op, (True, True), ())


def converted(x: Any, dtype: Any) -> Any:
    """`x` in `dtype`: itself if it is."""
    if x.dtype is dtype:
        return x
    out = empty(x.shape, dtype)
    return out if write(out, x) else adopt(x.astype(dtype))


def add_into(target: Any, x: Any) -> None:
    """`target += x`, where `target` is contiguous and `x` broadcasts."""
    if run(_ADD, (target, x), (target.dtype,), out=target) is NotImplemented:
        np.add(target, x, out=target)


def product(a: Any, b: Any, out: Any = None, *, accumulate: bool = False) -> DeviceArray:
    """`a @ b` for (..., n, k) and (..., k, m) of one floating dtype, whose leading dimensions broadcast.

    Half precision is multiplied in float32 and rounded once. With `out`, which is contiguous and of that dtype or
    float32, the product is written there; with `accumulate` it is added.
    """
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if 0 in shape or not a.shape[-1]:
        return _without_terms(shape, a.dtype, out, accumulate)
    dtype = a.dtype
    if dtype in LOW_PRECISION:
        a, b = converted(a, _FLOAT32), converted(b, _FLOAT32)
    if out is not None and not accumulate and out.dtype is a.dtype:
        cp.matmul(a, b, out=out)
        return out
    made = adopt(cp.matmul(a, b))
    if out is None:
        return converted(made, dtype)
    if accumulate:
        add_into(out, made)
    else:
        write(out, made)
    return out


def _without_terms(shape: tuple[int, ...], dtype: Any, out: Any, accumulate: bool) -> DeviceArray:
    if out is None:
        return zeros(shape, dtype)
    if not accumulate:
        out.fill(0)
    return out


# ---- the ops ----


def _rows(x: Any) -> Any:
    """`x` (..., n) as a matrix of rows."""
    return x if x.ndim == 2 else contiguous(x).reshape((prod(x.shape[:-1]), x.shape[-1]))


@_matmul.kernel
def _(x: Any, y: Any) -> Any:
    _check_shapes(x, y)
    return product(x, y) if x.dtype in FLOATS else NotImplemented


@linear.kernel
def _(x: Any, weight: Any, bias: Any = None) -> Any:
    fits = x.ndim and x.shape[-1] == weight.shape[-1] and x.dtype is weight.dtype and x.dtype in FLOATS
    if not fits or (bias is not None and bias.dtype is not x.dtype):
        return NotImplemented  # the body says what is wrong
    out = product(_rows(x), weight.T)
    if bias is not None:
        add_into(out, bias)
    return out if x.ndim == 2 else out.reshape((*x.shape[:-1], weight.shape[0]))


@linear_grad_input.kernel
def _(dy: Any, weight: Any) -> Any:
    if dy.dtype not in FLOATS:
        return NotImplemented
    out = product(_rows(dy), weight)
    return out if dy.ndim == 2 else out.reshape((*dy.shape[:-1], weight.shape[1]))


@linear_grad_weight.kernel
def _(dy: Any, x: Any) -> Any:
    return product(_rows(dy).T, _rows(x)) if dy.dtype in FLOATS else NotImplemented


@linear_grad_bias.kernel
def _(dy: Any) -> Any:
    return sum_over(_rows(dy), dim=(0,), keepdim=False)
