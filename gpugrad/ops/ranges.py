"""Making tensors of numbers in a row: `arange`, `linspace` and their like. On a device nothing is copied there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..device import CPU, Device
from ..dtypes import FLOATS, as_dtype, get_default_dtype, int64
from ..inplace import assign, into
from ..op import op
from .create import device_for, make, make_full

__all__ = ["arange", "eye", "linspace", "logspace"]


def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`start, start + step, ...` below `end`; `arange(n)` starts at 0. Integers give int64, floats the default dtype."""
    if end is None:
        start, end = None, start
    if end is None:
        raise TypeError("arange(): expected at least an end, as in arange(5), arange(2, 5) or arange(end=5)")
    start = 0 if start is None else start
    start, end, step = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: arange({start}, {end}, {step})")
    whole = all(isinstance(x, (int, np.integer)) for x in (start, end, step))
    wanted = as_dtype(dtype) if dtype is not None else int64 if whole else get_default_dtype()
    count = len(range(start, end, step)) if whole else math.ceil((end - start) / step)
    first, step = ((np.int64 if whole else np.float64)(x) for x in (start, step))
    made = _in_a_row(count, (first, first, step, count), wanted.numpy, device_for(device, out), requires_grad)
    return made if out is None else into(out, made, "arange")


def _in_a_row(n: int, numbers: Any, wanted: Any, device: Device, requires_grad: bool) -> Tensor:
    """A vector of `n` numbers evenly spaced: those that `_evenly` gives for `numbers`, in the dtype `wanted`."""
    if device.type == "cpu":
        return make(_evenly(n, *numbers).astype(wanted, copy=False), device, requires_grad)
    made = make_full((n,), None, wanted, device, requires_grad)
    first, last, step, half = numbers
    write_sequence(made._array, first=first, last=last, step=step, half=half)
    return made


def _evenly(n: int, first: Any, last: Any, step: Any, half: int) -> np.ndarray:
    """`first`, `first + step`, ... for the first `half` of `n` numbers; the others are counted back from `last`.

    In the precision of the three NumPy scalars.
    """
    if half == n and type(step) is np.int64:
        return np.arange(first, first + n * step, step)
    index = np.arange(n, dtype=step.dtype)
    if half == n:
        return first + step * index
    return np.where(index < half, first + step * index, last - step * index[::-1])


@op(writes="target")
def write_sequence(target: Any, *, first: Any, last: Any, step: Any, half: int) -> None:
    """Write the numbers of `_evenly` into a vector of any dtype."""
    target[...] = _evenly(len(target), first, last, step, half)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` evenly spaced values from `start` to `end`, both included."""
    made = _spaced(start, end, steps, dtype, device_for(device, out), requires_grad)
    return made if out is None else into(out, made, "linspace")


def _spaced(start: Any, end: Any, steps: int, wanted: Any, device: Any, requires_grad: bool = False) -> Tensor:
    """Symmetric about the middle, as PyTorch's: the second half is counted back from `end`, in the result's precision."""
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    start, end = (x.item() if isinstance(x, Tensor) else x for x in (start, end))
    numpy_dtype = (get_default_dtype() if wanted is None else as_dtype(wanted)).numpy
    work = numpy_dtype if numpy_dtype in FLOATS and numpy_dtype.itemsize > 2 else np.dtype(np.float32)
    if numpy_dtype not in FLOATS:
        work = np.dtype(np.float64)
    first, last = work.type(start), work.type(end)
    step = (last - first) / work.type(max(steps - 1, 1))
    half = steps // 2 if steps > 1 else steps
    return _in_a_row(steps, (first, last, step, half), numpy_dtype, device, requires_grad)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`base` to the powers `linspace(start, end, steps)`."""
    numpy_dtype = (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    exponents = _spaced(start, end, steps, "float64", CPU)._array
    values = np.power(float(base), exponents).astype(numpy_dtype)
    made = make(values, device_for(device, out), requires_grad)
    return made if out is None else into(out, made, "logspace")


def eye(
    n: int,
    m: int | None = None,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix (square if `m` is not given)."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"n and m must be greater or equal to 0, got {n} and {m}")
    numpy_dtype = (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    columns = n if m is None else m
    made = make_full((n, columns), 0, numpy_dtype, device_for(device, out), requires_grad)
    assign(made._array.reshape(-1)[: min(n, columns) * (columns + 1) : columns + 1], 1)
    return made if out is None else into(out, made, "eye")
