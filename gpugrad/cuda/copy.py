"""Copies on the device, from any strides and type to any others, and fills: launches `kernels/copy.cu`.

`write(target, source)` is `target[...] = source`; the launchers of clones, conversions, broadcasts, flips and writes in
place all come down to it. How two layouts are walked together is worked out once and remembered.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from ..inplace import assign, clear_view, in_order, reordered
from ..ops import fill as fills
from ..ops.cast import cast_float, cast_other
from ..ops.create import _alike
from ..ops.ranges import write_sequence
from ..ops.rearrange import _clone, _flip, _repeat
from ..ops.reduce import expand_to, spread
from ..ops.shape import _reshaped_copy, put_among_zeros
from ..views import follow
from .array import DeviceArray, adopt, empty
from .launches import ONCE, Once, repeated
from .module import CUDA_NAMES, Kernel, blocks_for, cuda_name, grid_over, kernels
from .strides import MAX_DIMS, alignment, bits, index_type, merged, pattern, walk, widening

_THREADS, _AT_ONCE = 256, 4  # kCopyThreads, kAtOnce


@functools.cache
def kernel(name: str) -> Kernel:
    """A kernel of copy.cu by name expression, without the namespace."""
    return kernels("copy.cu", f"gpugrad::{name}")[0]


# ---- copies ----


def write(target: Any, source: Any, do: Once = ONCE) -> bool:
    """`target[...] = source`, broadcast and converted. False if it does not broadcast, or in more than MAX_DIMS dimensions."""
    if overlap(target, source):
        source = copied(source)
    launch = _copy_plan(
        *(target.shape, target.strides, target.dtype, source.shape, source.strides, source.dtype),
        alignment(target.data.ptr, source.data.ptr),
    )
    if launch is None:
        return False
    launch(do, target, source)
    return True


def overlap(target: Any, source: Any) -> bool:
    """Whether the arrays may share memory other than element for element."""
    if not target.size or not source.size or target.data.mem is not source.data.mem:
        return False
    (a, b), (c, d) = _extent(target), _extent(source)
    same = a == c and (target.shape, target.strides, target.dtype) == (source.shape, source.strides, source.dtype)
    return a < d and c < b and not same


def _extent(x: Any) -> tuple[int, int]:
    """The first address of an array, and the one behind its last."""
    reach = [s * (n - 1) for s, n in zip(x.strides, x.shape)]
    start = x.data.ptr
    return start + sum(r for r in reach if r < 0), start + sum(r for r in reach if r > 0) + x.itemsize


@functools.lru_cache(maxsize=4096)
def _copy_plan(
    shape: Any, out_strides: Any, out_dtype: Any, in_shape: Any, in_strides: Any, in_dtype: Any, aligned: int
) -> Any:
    """What launches a copy between such arrays; None if it needs too many dimensions, or one does not broadcast to the other."""
    to = [s // out_dtype.itemsize for s in out_strides]
    lead = len(shape) - len(in_shape)
    if lead < 0 or any(n not in (1, wanted) for n, wanted in zip(in_shape, shape[lead:])):
        return None
    if 0 in shape:
        return lambda do, target, source: None
    source = [0] * lead + [0 if n == 1 else s // in_dtype.itemsize for n, s in zip(in_shape, in_strides)]
    order = sorted(range(len(shape)), key=lambda d: -abs(to[d]))  # as `target` lies in memory
    sizes, (to, source) = merged([shape[d] for d in order], [[row[d] for d in order] for row in (to, source)])
    if len(sizes) > MAX_DIMS:
        return None
    same = out_dtype == in_dtype
    types = [bits(out_dtype.itemsize)] * 2 if same else [cuda_name(out_dtype), cuda_name(in_dtype)]
    if not sizes or (len(sizes) == 1 and to == source == [1]):
        return _flat_plan(math.prod(sizes), types, aligned, max(out_dtype.itemsize, in_dtype.itemsize))
    if same:
        factor = widening(out_dtype.itemsize, aligned, sizes, to, source)
        if factor > 1:
            types = [bits(out_dtype.itemsize * factor)] * 2
            sizes[-1] //= factor
            to, source = ([s // factor for s in row[:-1]] + [1] for row in (to, source))
    return _tiled_plan(sizes, to, source, types) or _strided_plan(sizes, to, source, types)


def _flat_plan(n: int, types: list[str], aligned: int, itemsize: int) -> Any:
    width = 16 // itemsize if aligned == 16 else 1
    run, grid, count = (
        kernel(f"copy_flat<{', '.join(types)}, {width}>"),
        grid_over(n, _THREADS * width * _AT_ONCE),
        np.int64(n),
    )
    return lambda do, target, source: do(run, grid, (_THREADS,), (count, target, source))


def _strided_plan(sizes: Any, to: Any, source: Any, types: list[str]) -> Any:
    n = math.prod(sizes)
    run, grid = (
        kernel(f"copy_strided<{', '.join(types)}, {index_type(sizes, to, source)}>"),
        grid_over(n, _THREADS * _AT_ONCE),
    )
    count, places = np.int64(n), walk(sizes, to, source)
    return lambda do, target, array: do(run, grid, (_THREADS,), (count, target, array, places))


_TILE_FROM = 8  # elements along either side from which tiles beat reading or writing apart


def _tiled_plan(sizes: Any, to: Any, source: Any, types: list[str]) -> Any:
    """For a transpose: each side is contiguous along a dimension of its own. None if it is no such thing."""
    if to[-1] != 1 or source[-1] == 1 or 1 not in source or types[0] == "gpugrad::Wide":
        return None
    along = source.index(1)
    rows, cols = sizes[along], sizes[-1]
    if min(rows, cols) < _TILE_FROM:
        return None
    rest = [d for d in range(len(sizes) - 1) if d != along]
    batch_sizes = [sizes[d] for d in rest]
    batch = walk(batch_sizes, [to[d] for d in rest], [source[d] for d in rest])
    side = 64 if types[1] in ("unsigned char", "unsigned short", *_NARROW) else 32
    tiles = -(-rows // side) * -(-cols // side) * math.prod(batch_sizes)
    run, grid = kernel(f"copy_tiled<{', '.join(types)}>"), grid_over(tiles, 1)
    numbers = [np.int64(x) for x in (rows, cols, to[along], source[-1], math.prod(batch_sizes))]
    return lambda do, target, array: do(run, grid, (32, 8), (target, array, *numbers, batch))


_NARROW = [CUDA_NAMES[name] for name in ("bool", "int8", "uint8", "int16", "float16", "bfloat16")]


def grid_for(n: int, each: int) -> tuple[int]:
    """A grid for `n` elements, `each` to a thread."""
    return blocks_for(n, _THREADS * each, 16)


def empty_like(x: Any, dtype: Any, do: Once = ONCE) -> DeviceArray:
    """An uninitialised array of the shape of `x`, in the same order in memory if `x` is dense, else contiguous."""
    order = _memory_order(x.shape, x.strides, x.itemsize)
    if order is None:
        return do.empty(x.shape, dtype)
    back = tuple(map(order.index, range(x.ndim)))
    return adopt(empty(tuple([x.shape[d] for d in order]), dtype).transpose(back))


@functools.lru_cache(maxsize=4096)
def _memory_order(shape: Any, strides: Any, itemsize: int) -> tuple[int, ...] | None:
    """The dimensions in the order they lie in memory; None for the standard order or where there are gaps."""
    order = tuple(sorted(range(len(shape)), key=lambda d: -strides[d] if shape[d] != 1 else 0))
    step = itemsize
    for d in reversed(order):
        if shape[d] != 1 and strides[d] != step:
            return None
        step *= shape[d]
    return None if order == tuple(range(len(shape))) else order


def copied(x: Any, do: Once = ONCE) -> Any:
    """A contiguous copy."""
    out = do.empty(x.shape, x.dtype)
    return out if write(out, x, do) else adopt(x.copy())


def contiguous(x: Any) -> Any:
    """`x` itself if its elements lie in order, else a copy in which they do."""
    return x if x.flags.c_contiguous else copied(x)


def _written(out: Any, source: Any, do: Once = ONCE) -> Any:
    return out if write(out, source, do) else NotImplemented


@_clone.kernel
@repeated
def _(do: Once, x: Any, *, order: str) -> Any:
    return _written(do.empty(x.shape, x.dtype) if order == "C" else empty_like(x, x.dtype, do), x, do)


@_reshaped_copy.kernel
@repeated
def _(do: Once, x: Any, *, shape: tuple[int, ...]) -> Any:
    return copied(x, do).reshape(shape)


@cast_float.kernel
@repeated
def _(do: Once, x: Any, *, dtype: Any) -> Any:
    return _written(empty_like(x, dtype, do), x, do)


@cast_other.kernel
@repeated
def _(do: Once, x: Any, *, dtype: Any) -> Any:
    return _written(empty_like(x, dtype, do), x, do)


@fills.copy.kernel
def _(x: Any, source: Any) -> Any:
    if type(source) is not DeviceArray:
        return filled(x.shape, source, x.dtype)
    return _written(empty(x.shape, x.dtype), source)


@assign.kernel
def _(target: Any, source: Any) -> Any:
    if type(source) is DeviceArray:
        return None if write(target, source) else NotImplemented
    return None if set_all(target, source) else NotImplemented


@expand_to.kernel
@repeated
def _(do: Once, x: Any, *, shape: tuple[int, ...]) -> Any:
    return _written(do.empty(shape, x.dtype), x, do)


@spread.kernel
@repeated
def _(do: Once, g: Any, *, shape: tuple[int, ...], dim: Any, keepdim: bool) -> Any:
    if not keepdim and dim is not None:
        g = g.reshape([1 if d in dim else n for d, n in enumerate(shape)])
    return _written(do.empty(shape, g.dtype), g, do)


@_flip.kernel
def _(x: Any, *, dims: tuple[int, ...]) -> Any:
    turned = x[tuple([slice(None, None, -1) if d in dims else slice(None) for d in range(x.ndim)])] if dims else x
    return _written(empty(x.shape, x.dtype), turned)


@_repeat.kernel
def _(x: Any, *, times: tuple[int, ...]) -> Any:
    own = (1,) * (len(times) - x.ndim) + x.shape
    apart = empty(tuple(itertools.chain.from_iterable(zip(times, own))), x.dtype)
    once = contiguous(x).reshape(tuple(itertools.chain.from_iterable((1, n) for n in own)))
    if not write(apart, once):
        return NotImplemented
    return apart.reshape(tuple([t * n for t, n in zip(times, own)]))


# ---- fills ----


def set_all(target: Any, value: Any, do: Once = ONCE) -> bool:
    """`target[...] = value`, a number. False if that takes more than MAX_DIMS dimensions."""
    if not target.size:
        return True
    launch = _fill_plan(target.shape, target.strides, target.itemsize, alignment(target.data.ptr))
    if launch is None:
        return False
    launch(do, target, pattern(value, target.dtype))
    return True


@functools.lru_cache(maxsize=4096)
def _fill_plan(shape: Any, strides: Any, itemsize: int, aligned: int) -> Any:
    steps = [s // itemsize for s in strides]
    order = sorted(range(len(shape)), key=lambda d: -abs(steps[d]))
    sizes, (steps,) = merged([shape[d] for d in order], [[steps[d] for d in order]])
    n = math.prod(sizes)
    count, grid = np.int64(n), grid_over(n, _THREADS * 4)
    if not sizes or (len(sizes) == 1 and steps == [1]):
        width = 16 // itemsize if aligned == 16 else 1
        run = kernel(f"fill_flat<{bits(itemsize)}, {width}>")
        return lambda do, target, value: do(run, grid, (_THREADS,), (count, target, value))
    if len(sizes) > MAX_DIMS:
        return None
    run, places = kernel(f"fill_strided<{bits(itemsize)}, {index_type(sizes, steps)}>"), walk(sizes, steps)
    return lambda do, target, value: do(run, grid, (_THREADS,), (count, target, places, value))


def filled(shape: Any, value: Any, dtype: Any) -> DeviceArray:
    """An array of one value."""
    out = empty(shape, dtype)
    set_all(out, value)
    return out


def zeros(shape: Any, dtype: Any) -> DeviceArray:
    """An array of zeros."""
    return filled(shape, 0, dtype)


@_alike.kernel
def _(x: Any, *, value: Any, dtype: Any) -> Any:
    out = empty_like(x, dtype)
    return out if value is None or set_all(out, value) else NotImplemented


@write_sequence.kernel
def _(target: Any, *, first: Any, last: Any, step: Any, half: int) -> Any:
    n = target.size
    if n:
        run = kernel(f"fill_sequence<{cuda_name(target.dtype)}, {cuda_name(step.dtype)}>")
        run(grid_for(n, 4), (_THREADS,), (np.int64(n), target, np.int64(half), first, last, step))


@fills._fill.kernel
def _(x: Any, *, value: Any) -> Any:
    return filled(x.shape, value, x.dtype)


@fills._fill_from.kernel
def _(x: Any, value: Any) -> Any:
    return _written(empty(x.shape, x.dtype), value)


@put_among_zeros.kernel
def _(g: Any, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    out = zeros(shape, g.dtype)
    return out if write(out[(*index, ...) if ... not in index else index], g) else NotImplemented


@in_order.kernel
def _(x: Any, *, order: tuple[int, ...] | None) -> Any:
    return reordered(x, order, contiguous)


@clear_view.kernel
def _(x: Any, *, steps: Any, order: tuple[int, ...] | None) -> Any:
    out = reordered(x, order, copied)
    return out if set_all(follow(out, steps), 0) else NotImplemented


__all__ = ["contiguous", "copied", "empty_like", "filled", "set_all", "write", "zeros"]
