"""Matrix products on the device.

`product(a, b)` is `a @ b` for stacks of matrices; everything that multiplies matrices here comes down to it. It is
computed by cuBLASLt if nvmath is installed (`cublaslt.py`), else by CuPy, which refuses to be captured in a CUDA graph;
on the simulated device, by NumPy.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops.arithmetic import accumulate as add_to
from ..ops.arithmetic import raw_add
from ..ops.matmul import _check_shapes, _matmul, linear, linear_grad_bias, linear_grad_input, linear_grad_weight
from ..ops.reduce import sum_over
from ..settings import get_float32_matmul_precision
from . import backend, cublaslt
from .array import DeviceArray, adopt, empty
from .copy import contiguous, set_all, write, zeros
from .errors import explain_missing_library
from .launches import ONCE, Once, repeated
from .module import cuda_name
from .rows import kernel
from .windows import LIMIT, grid

cp = backend.cupy()
_FLOAT32 = np.dtype(np.float32)


def converted(x: Any, dtype: Any, do: Once = ONCE) -> Any:
    """`x` in `dtype`: itself if it is."""
    if x.dtype is dtype:
        return x
    out = do.empty(x.shape, dtype)
    return out if write(out, x, do) else adopt(x.astype(dtype))


def add_bias(out: Any, bias: Any, each: int, do: Once = ONCE) -> None:
    """`out += bias` over a contiguous array of `each` neighbouring elements for every element of `bias`, in turn."""
    planes, width = out.size // each, 16 // out.itemsize
    if each % width or out.data.ptr % 16:
        width = 1
    if max(planes, each) >= LIMIT:
        do.once()
        np.add(out.reshape(-1, bias.size, each), bias.reshape(-1, 1), out=out.reshape(-1, bias.size, each))
        return
    packs = each // width
    numbers = (np.int32(planes), np.int32(bias.size), np.int32(packs))
    run = kernel("conv.cu", f"add_bias<{cuda_name(out.dtype)}, {width}>")
    do(run, *grid(planes, packs), (out, contiguous(bias), *numbers))


def product(
    a: Any, b: Any, out: Any = None, bias: Any = None, *, accumulate: bool = False, do: Once = ONCE
) -> DeviceArray:
    """`a @ b` for (..., n, k) and (..., k, m) of one floating dtype, whose leading dimensions broadcast.

    Half precision is multiplied in float32 and rounded once. `bias` (m,) is added. With `out`, which is contiguous and
    of that dtype or float32, the product is written there; with `accumulate` it is added, and there is no bias.
    """
    lead = () if a.ndim == 2 == b.ndim else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*lead, a.shape[-2], b.shape[-1])
    if 0 in shape or not a.shape[-1]:
        do.once()
        return _without_terms(shape, a.dtype, out, bias, accumulate)
    if cublaslt.library() is not None:
        made = do.empty(shape, a.dtype) if out is None else out
        if _by_library(a, b, made, bias, accumulate, do):
            return made
        if _by_library(contiguous(a), contiguous(b), made, bias, accumulate, do):
            return made
    do.once()
    made = _by_cupy(a, b, out, accumulate)
    if bias is not None:
        add_bias(made, bias, 1)
    return made


def computed_by(a: Any, b: Any) -> str:
    """What `product(a, b)` is computed by, in words: it is tried."""
    if cublaslt.library() is not None:
        out = empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype)
        if cublaslt.multiply(a, b, out):
            return "cuBLASLt"
        if cublaslt.multiply(contiguous(a), contiguous(b), out):
            return "cuBLASLt, of copies"
    return "NumPy, for the simulated device" if backend.simulated() else "CuPy"


def _by_library(a: Any, b: Any, out: Any, bias: Any, accumulate: bool, do: Once) -> bool:
    """Whether cuBLASLt has computed it: with the bias or, if it does not take that beside, before it is added."""
    if bias is None:
        return cublaslt.multiply(a, b, out, accumulate=accumulate, do=do)
    if cublaslt.multiply(a, b, out, cublaslt.Beside("BIAS", bias), do=do):
        return True
    if not cublaslt.multiply(a, b, out, do=do):
        return False
    add_bias(out, bias, 1, do)
    return True


def _by_cupy(a: Any, b: Any, out: Any, accumulate: bool) -> DeviceArray:
    dtype = a.dtype
    if dtype in LOW_PRECISION:
        a, b = converted(a, _FLOAT32), converted(b, _FLOAT32)
    into = out if out is not None and not accumulate and out.dtype is a.dtype else None
    try:
        made = adopt(cp.matmul(a, b, out=into))
    except ImportError as error:
        explain_missing_library(error)
        raise
    if into is not None:
        return out
    if out is None:
        return converted(made, dtype)
    if accumulate:
        add_to(out, made)
    else:
        write(out, made)
    return out


def _without_terms(shape: tuple[int, ...], dtype: Any, out: Any, bias: Any, accumulate: bool) -> DeviceArray:
    if out is None:
        out = zeros(shape, dtype)
    elif not accumulate:
        set_all(out, 0)
    if bias is not None and out.size:
        add_bias(out, bias, 1)
    return out


# ---- the ops ----

# What decides how a product is launched, besides its arrays
multiplies = functools.partial(repeated, by=get_float32_matmul_precision)


def rows_of(x: Any) -> Any:
    """`x` (..., n) as a matrix of rows."""
    return x if x.ndim == 2 else contiguous(x).reshape((prod(x.shape[:-1]), x.shape[-1]))


@_matmul.kernel
@multiplies
def _(do: Once, x: Any, y: Any) -> Any:
    _check_shapes(x, y)
    return product(x, y, do=do) if x.dtype in FLOATS else NotImplemented


@linear.kernel
@multiplies
def _(do: Once, x: Any, weight: Any, bias: Any = None) -> Any:
    fits = (
        x.ndim
        and weight.ndim == 2
        and x.shape[-1] == weight.shape[-1]
        and x.dtype is weight.dtype
        and x.dtype in FLOATS
    )
    if not fits or (bias is not None and bias.dtype is not x.dtype):
        return NotImplemented  # the body says what is wrong
    shape = (*x.shape[:-1], weight.shape[0])
    if bias is None or bias.shape == shape[-1:]:
        out = product(rows_of(x), weight.T, bias=None if bias is None else contiguous(bias), do=do)
    else:
        do.once()
        out = product(rows_of(x), weight.T)
        out = out if x.ndim <= 2 else out.reshape(shape)
        if np.broadcast_shapes(out.shape, bias.shape) != out.shape:
            return NotImplemented
        out = raw_add(out, bias)
    return out if x.ndim == 2 else out.reshape(shape)


@linear_grad_input.kernel
@multiplies
def _(do: Once, dy: Any, weight: Any) -> Any:
    return _grad_of_input(do, dy, weight) if dy.dtype in FLOATS else NotImplemented


def _grad_of_input(do: Once, dy: Any, weight: Any) -> Any:
    out = product(rows_of(dy), weight, do=do)
    return out if dy.ndim == 2 else out.reshape((*dy.shape[:-1], weight.shape[1]))


@linear_grad_weight.kernel
@multiplies
def _(do: Once, dy: Any, x: Any) -> Any:
    return product(rows_of(dy).T, rows_of(x), do=do) if dy.dtype in FLOATS else NotImplemented


@linear.op.rules_kernel
def _(parents: Any, saved: Any, dy: Any) -> Any:
    weight, x, bias_shape = saved
    if parents[1] is None or parents[2] is None or bias_shape != dy.shape[-1:]:
        return NotImplemented
    if cublaslt.library() is None or dy.dtype not in FLOATS or not dy.size:
        return NotImplemented
    return _all_grads(dy, x, None if parents[0] is None else weight)


@multiplies
def _all_grads(do: Once, dy: Any, x: Any, weight: Any) -> Any:
    """The gradients of the weight and the bias by one product, `dy` read once; that of the input if there is a weight."""
    both = grads_of_weight_and_bias(do, rows_of(dy), rows_of(x))
    return NotImplemented if both is None else (None if weight is None else _grad_of_input(do, dy, weight), *both)


def grads_of_weight_and_bias(do: Once, dy: Any, x: Any) -> tuple[Any, Any] | None:
    """Those of a linear layer (n, in) to (n, out), by one product; None if the library has no way to do it."""
    if not x.size:
        return None  # it takes no matrices without elements
    dw, db = do.empty((dy.shape[1], x.shape[1]), dy.dtype), do.empty((dy.shape[1],), dy.dtype)
    return (dw, db) if cublaslt.multiply(dy.T, x, dw, cublaslt.Beside("BGRADB", db), do=do) else None


@linear_grad_bias.kernel
def _(dy: Any) -> Any:
    return sum_over(rows_of(dy), dim=(0,), keepdim=False)
