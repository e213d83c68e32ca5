"""Formulas on the device: printed as CUDA C++, compiled into the loops of `kernels/elementwise.cu`, launched.

A kernel is made for each formula, set of parameters and combination of input types, when it is first met. Python
numbers among the inputs are passed by value, so that a learning rate does not make a kernel of its own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import BY_NUMPY, LOW_PRECISION
from ..expr import Expr, reachable, symbol
from .array import DeviceArray, empty
from .module import Kernel, blocks_for, compiled, cuda_name

MAX_DIMS = 8  # kMaxDims
_TILE = 256 * 4  # kMapThreads * kInFlight
_NUMBERS = (bool, int, float)


def formula_launcher(op: Any) -> Callable[..., Any]:
    """What runs the formula `op` on DeviceArrays and Python numbers. NotImplemented where its body must run."""

    def launch(*inputs: Any, **params: Any) -> Any:
        arrays = [x for x in inputs if type(x) is DeviceArray]
        if not arrays or any(type(x) is not DeviceArray and type(x) not in _NUMBERS for x in inputs):
            return NotImplemented
        layout = _layout(tuple([(x.shape, x.strides, x.itemsize) for x in arrays]))
        if layout is None:
            return NotImplemented
        dtypes = tuple([x.dtype if type(x) is DeviceArray else type(x) for x in inputs])
        kept = tuple(params.values())
        made = _result_dtype(op, dtypes, kept)
        if made is None:
            return NotImplemented
        out = empty(layout.shape, made)
        if not out.size:
            return out
        single = tuple([type(x) is DeviceArray and x.size == 1 for x in inputs])
        flat = layout.flat
        width = _width(arrays, out) if flat else 0
        kernel, number = _kernel(op, dtypes, kept, made, single, width, layout.small)
        given = [x if type(x) is DeviceArray else number(x) for x in inputs]
        if flat:
            kernel(blocks_for(out.size, _TILE * width), (256,), (np.int64(out.size), out, *given))
        else:
            axes = _axes(layout, tuple([type(x) is DeviceArray for x in inputs]))
            kernel(blocks_for(out.size, 256, 16), (256,), (np.int64(out.size), out, axes, *given))
        return out

    return launch


# ---- where elements lie ----


class _Layout:
    """The shape of the result; whether all arrays are it, contiguous, or one element; else merged sizes and strides."""

    __slots__ = ("flat", "shape", "sizes", "small", "strides")

    def __init__(self, shape: Any, flat: bool, small: bool, sizes: Any, strides: Any) -> None:
        self.shape, self.flat, self.small, self.sizes, self.strides = shape, flat, small, sizes, strides


@functools.lru_cache(maxsize=4096)
def _layout(arrays: tuple[tuple[Any, Any, int], ...]) -> _Layout | None:
    """How arrays of these (shape, strides, itemsize) broadcast; None if that takes more than MAX_DIMS dimensions."""
    shape = np.broadcast_shapes(*[a[0] for a in arrays])
    count = math.prod(shape)
    flat = all(math.prod(a[0]) == 1 or (a[0] == shape and _contiguous(*a)) for a in arrays)
    sizes, strides = _merged(shape, [_strides(shape, *a) for a in arrays])
    reach = max((sum(abs(s) * (n - 1) for s, n in zip(row, sizes)) for row in strides), default=0)
    if len(sizes) > MAX_DIMS:
        return None
    return _Layout(shape, flat, max(reach, count) < 2**31 - 2**20, sizes, strides)


def _contiguous(shape: Any, strides: Any, itemsize: int) -> bool:
    expected = itemsize
    for n, stride in zip(reversed(shape), reversed(strides)):
        if n != 1 and stride != expected:
            return False
        expected *= n
    return True


def _strides(shape: Any, own: Any, strides: Any, itemsize: int) -> list[int]:
    """The strides of an array, in elements, over the broadcast shape: 0 where it is repeated."""
    lead = len(shape) - len(own)
    return [0] * lead + [0 if n == 1 else s // itemsize for n, s in zip(own, strides)]


def _merged(shape: Any, strides: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """The dimensions without those of size 1, neighbours that every array walks through evenly made one."""
    sizes: list[int] = []
    rows: list[list[int]] = [[] for _ in strides]
    for d, n in enumerate(shape):
        if n == 1:
            continue
        if sizes and all(row[-1] == s[d] * n for row, s in zip(rows, strides)):
            sizes[-1] *= n
            for row, s in zip(rows, strides):
                row[-1] = s[d]
        else:
            sizes.append(n)
            for row, s in zip(rows, strides):
                row.append(s[d])
    return sizes, rows


def _axes(layout: _Layout, is_array: tuple[bool, ...]) -> Any:
    """`Axes` of kernels/elementwise.cu, passed by value."""
    return _packed_axes(tuple(layout.sizes), tuple(map(tuple, layout.strides)), is_array)


@functools.lru_cache(maxsize=4096)
def _packed_axes(sizes: Any, strides: Any, is_array: tuple[bool, ...]) -> Any:
    table = np.zeros(1 + MAX_DIMS * (1 + len(is_array)), np.int64)
    table[0] = len(sizes)
    table[1 : 1 + len(sizes)] = sizes
    rows = iter(strides)
    for k, there in enumerate(is_array):
        if there:
            start = 1 + MAX_DIMS * (1 + k)
            table[start : start + len(sizes)] = next(rows)
    return table.view(np.dtype((np.void, table.nbytes)))[0]


def _width(arrays: list[Any], out: Any) -> int:
    """Elements to a load: 16 bytes of the widest type, or 1 where an array does not lie on such a boundary."""
    spread = [x for x in (*arrays, out) if x.size != 1]
    width = 16 // max([x.itemsize for x in spread], default=16)
    return width if all(x.data.ptr % (width * x.itemsize) == 0 for x in spread) else 1


# ---- the kernel ----


@functools.cache
def _result_dtype(op: Any, dtypes: tuple[Any, ...], params: tuple[Any, ...]) -> Any:
    """The dtype of the result: that of the body on NumPy arrays without elements; None for inputs kernels do not take."""
    if not all(d in BY_NUMPY for d in dtypes if isinstance(d, np.dtype)):
        return None  # bodies may view arrays as a dtype that tensors do not have
    inputs = [np.empty(0, d) if isinstance(d, np.dtype) else d(1) for d in dtypes]
    made = np.asarray(op.body(*inputs, **dict(zip(op.params, params)))).dtype
    return BY_NUMPY[made].numpy


@functools.cache
def _kernel(
    op: Any,
    dtypes: tuple[Any, ...],
    params: tuple[Any, ...],
    made: Any,
    single: tuple[bool, ...],
    width: int,
    small: bool,
) -> tuple[Kernel, Callable[[Any], Any]]:
    """The kernel for inputs of these types (`width` 0: strided), and what numbers are converted with."""
    compute = compute_dtype(dtypes)
    inputs = []
    for d, one in zip(dtypes, single):
        if not isinstance(d, np.dtype):
            inputs.append(cuda_name(compute))
        else:
            inputs.append(f"gpugrad::Single<{cuda_name(d)}>" if one and width else f"const {cuda_name(d)}*")
    loop = (
        f"map_flat<gpugrad::Formula, {width}"
        if width
        else f"map_strided<gpugrad::Formula, {'int' if small else 'long long'}"
    )
    name = f"gpugrad::{loop}, {cuda_name(made)}, {', '.join(inputs)}>"
    source = f'#include "elementwise.cu"\n{print_formula(op, dtypes, dict(zip(op.params, params)))}'
    (kernel,) = compiled(source, name)
    return kernel, compute.type


def compute_dtype(dtypes: tuple[Any, ...]) -> Any:
    """The dtype a formula computes in: its inputs', but float32 for half precision, and none of bool unless all are."""
    arrays = [d for d in dtypes if isinstance(d, np.dtype)]
    known = next((d for d in arrays if d != np.bool_), arrays[0])
    return np.dtype(np.float32) if known in LOW_PRECISION else known


def print_formula(op: Any, dtypes: tuple[Any, ...], params: dict[str, Any]) -> str:
    """The formula of `op` as a C++ struct; see kernels/elementwise.cu."""
    compute = compute_dtype(dtypes)
    symbols = [symbol(f"x{i}") for i in range(len(dtypes))]
    out = Expr(None, op, tuple(symbols), params=params) if op.cuda is not None else op.body(*symbols, **params)
    types = [cuda_name(compute_dtype((d,))) if isinstance(d, np.dtype) else "C" for d in dtypes]
    lines = [
        "namespace gpugrad {",
        f"struct Formula {{  // {op.name}",
        f"    using C = {cuda_name(compute)};",
        f"    static __device__ __forceinline__ auto apply({', '.join(f'{t} x{i}' for i, t in enumerate(types))}) {{",
    ]
    names = {id(s): s.name for s in symbols}
    for k, e in enumerate(reachable(out)):
        if e.op is None:
            continue
        given = [names[id(a)] if isinstance(a, Expr) else literal(a) for a in e.args]
        text = e.op.cuda.format(*given, **{name: literal(value) for name, value in e.params.items()})
        names[id(e)] = f"t{k}"
        lines.append(f"        const auto t{k} = {text};")
    lines.append(f"        return {names[id(out)] if isinstance(out, Expr) else literal(out)};")
    return "\n".join([*lines, "    }", "};", "}  // namespace gpugrad", ""])


def literal(value: Any) -> str:
    """A constant of a formula in the type it computes in."""
    if value is None:
        return "C(-1)"
    if isinstance(value, bool):
        return f"C({int(value)})"
    if isinstance(value, int):
        return f"C({value}ll)"
    if math.isinf(value):
        return "infinity<C>()" if value > 0 else "-infinity<C>()"
    return "not_a_number<C>()" if math.isnan(value) else f"C({value!r})"
