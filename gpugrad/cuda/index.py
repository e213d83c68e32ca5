"""Reading and writing by index on the device: launches `kernels/index.cu`.

Sums are atomic, unless `use_deterministic_algorithms` asks for the same bits every time: then indices are sorted, and
equal ones summed in order. Bad indices are reported by `bounds` when the host next waits.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..dtypes import bfloat16
from ..ops.compare import choose
from ..ops.index import (
    _indexed_shape,
    _where_indexed,
    add_at_places,
    add_places,
    clear_places,
    in_range,
    put_places,
    read_places,
    within,
    write_places,
)
from ..ops.mask import fill_where, write_where
from ..settings import are_deterministic_algorithms_enabled
from . import bounds
from .array import DeviceArray, empty
from .copy import contiguous, copied, filled, grid_for, overlap, write, zeros
from .elementwise import formula_launcher
from .module import Kernel, cuda_name, kernels
from .sort import order_of
from .strides import MAX_DIMS, SMALL, alignment, bits, merged, padded, struct, walk, widening

THREADS = (256,)  # kIndexThreads
NOTHING = -(2**63)  # no index is this one
_EVERY = 2**63 - 1
_IN_FLOAT = (np.dtype(np.float16), bfloat16.numpy)
_IN_INT = (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16), np.dtype(np.bool_))


@functools.cache
def kernel(name: str) -> Kernel:
    """A kernel of index.cu by name expression, without the namespace."""
    return kernels("index.cu", f"gpugrad::{name}")[0]


@functools.cache
def number(name: str) -> np.int32:
    """What stands for the op `name` in the error words."""
    return np.int32(bounds.number(name))


def atomic_dtype(dtype: Any) -> Any:
    """The dtype that values of `dtype` are combined in: atomics work on 4 and 8 bytes."""
    return np.dtype(np.float32) if dtype in _IN_FLOAT else np.dtype(np.int32) if dtype in _IN_INT else dtype


def converted(x: Any, dtype: Any) -> Any:
    """`x`, which is contiguous, in `dtype`: itself if it is."""
    if x.dtype == dtype:
        return x
    out = empty(x.shape, dtype)
    write(out, x)
    return out


def in_order(index: Any) -> tuple[Any, Any]:
    """`index` (n,), int64, sorted, and where each of them stood; equal ones in their order."""
    order = order_of(index, 0)
    out = empty(index.shape, index.dtype)
    read(out, index, order, (0,), "index")
    return out, order


# ---- where elements lie ----


class _Layout:
    """An array seen from an index: `Places` of kernels/index.cu, how many elements a thread moves, the type it counts in."""

    __slots__ = ("factor", "n", "places", "type")

    def __init__(self, factor: int, n: int, places: Any, type: str) -> None:
        self.factor, self.n, self.places, self.type = factor, n, places, type


@functools.lru_cache(maxsize=4096)
def _layout(
    shape: Any, strides: Any, itemsize: int, dims: tuple[int, ...], count: int, aligned: int, skip: int
) -> _Layout | None:
    """The places of an array with `count` indices along `dims`; several dims are numbered by `_numbered`.

    `aligned` 0: one element a thread. None if the strides are more than the kernels take.
    """
    steps = [s // itemsize for s in strides]
    before = range(dims[0] if _where_indexed(dims) else 0)
    behind = [d for d in range(len(shape)) if d not in dims and d not in before]
    outer, (outer_steps,) = merged([shape[d] for d in before], [[steps[d] for d in before]])
    inner, (inner_steps,) = merged([shape[d] for d in behind], [[steps[d] for d in behind]])
    if len(outer) + len(inner) > MAX_DIMS or min(steps, default=0) < 0:
        return None
    factor = 1
    if inner and aligned:
        along = [steps[d] for d in dims]
        factor = widening(itemsize, aligned, inner, [*along, *outer_steps, *inner_steps])
        inner[-1] //= factor
        outer_steps = [s // factor for s in outer_steps]
        inner_steps = [*[s // factor for s in inner_steps[:-1]], inner_steps[-1]]
    size, stride = (shape[dims[0]], steps[dims[0]] // factor) if len(dims) == 1 else (_EVERY, 1)
    n = math.prod(outer) * count * math.prod(inner)
    head = (count, math.prod(inner), size, stride, skip, len(outer) + len(inner), len(outer))
    places = struct(*head, *padded([*outer, *inner]), *padded([*outer_steps, *inner_steps]))
    return _Layout(factor, n, places, "int" if n < SMALL else "long long")


def _numbered(x: Any, places: Any, dims: tuple[int, ...], factor: int, name: str) -> Any:
    """`places` along several dimensions of `x` as offsets, in units of `factor` elements; -1 for bad ones."""
    out = empty(places.shape[1:], np.dtype(np.int64))
    count = out.size
    steps = [x.strides[d] // (x.itemsize * factor) for d in dims]
    run = kernel(f"number_places<{cuda_name(places.dtype)}>")
    indexed = walk([x.shape[d] for d in dims], steps)
    run(grid_for(count, 1), THREADS, (np.int64(count), out, places, indexed, bounds.words(), number(name)))
    return out


def _prepared(
    x: Any, places: Any, dims: tuple[int, ...], name: str, skip: int, aligned: int
) -> tuple[_Layout | None, Any]:
    """The layout of `x` for `places`, (k, ...) or for one dimension (...), and its indices as one vector."""
    several = len(dims) > 1
    if len(dims) > MAX_DIMS:
        return None, None
    count = places.size // len(dims)
    layout = _layout(x.shape, x.strides, x.itemsize, dims, count, aligned, -1 if several else skip)
    if layout is not None:
        places = contiguous(places)
        if several and count:
            places = _numbered(x, places, dims, layout.factor, name)
    return layout, places


def read(out: Any, x: Any, places: Any, dims: tuple[int, ...], name: str, skip: int = NOTHING) -> bool:
    """`out`, contiguous, becomes `x` at `places`; zeros at `skip`. False if the kernels cannot."""
    if not out.size:
        return True
    layout, index = _prepared(x, places, dims, name, skip, alignment(out.data.ptr, x.data.ptr))
    if layout is None:
        return False
    kind = bits(x.itemsize * layout.factor)
    run = kernel(f"read_places<{kind}, {cuda_name(index.dtype)}, {layout.type}>")
    given = (np.int64(layout.n), out, x, index, layout.places, bounds.words(), number(name))
    run(grid_for(layout.n, 4), THREADS, given)
    return True


def put(target: Any, value: Any, places: Any, dims: tuple[int, ...], name: str, skip: int = NOTHING) -> bool:
    """Write `value`, contiguous and one for all or one for each, to `places` of `target`. False if the kernels cannot."""
    if not places.size or not target.size:
        return True
    single = value.size == 1
    if are_deterministic_algorithms_enabled() and not single:
        return _settle(target, value, places, dims, name, skip, add=False)
    aligned = 0 if single else alignment(target.data.ptr, value.data.ptr)
    layout, index = _prepared(target, places, dims, name, skip, aligned)
    if layout is None:
        return False
    kind = bits(target.itemsize * layout.factor)
    run = kernel(f"write_places<{kind}, {cuda_name(index.dtype)}, {layout.type}>")
    given = (target, value, np.int64(not single), index, layout.places, bounds.words(), number(name))
    run(grid_for(layout.n, 1), THREADS, (np.int64(layout.n), *given))
    return True


def added(start: Any, value: Any, places: Any, dims: tuple[int, ...], name: str, skip: int = NOTHING) -> Any:
    """`start`, which is our own, with `value` added at `places` but for `skip`. NotImplemented if the kernels cannot."""
    if not places.size or not start.size:
        return start
    if are_deterministic_algorithms_enabled():
        return start if _settle(start, value, places, dims, name, skip, add=True) else NotImplemented
    total = converted(start, atomic_dtype(start.dtype))
    layout, index = _prepared(total, places, dims, name, skip, 0)
    if layout is None:
        return NotImplemented
    types = (cuda_name(total.dtype), cuda_name(value.dtype), cuda_name(index.dtype), layout.type)
    given = (total, value, np.int64(value.size != 1), index, layout.places, bounds.words(), number(name))
    kernel(f"add_places<{', '.join(types)}>")(grid_for(layout.n, 1), THREADS, (np.int64(layout.n), *given))
    return converted(total, start.dtype)


def _settle(target: Any, value: Any, places: Any, dims: tuple[int, ...], name: str, skip: int, add: bool) -> bool:
    """`put`, or `added`, in the order of `places`, whatever the order of the threads."""
    layout, index = _prepared(target, places, dims, name, skip, 0)
    if layout is None:
        return False
    kind = cuda_name(target.dtype) if add else bits(target.dtype.itemsize)
    index, order = in_order(converted(index, np.dtype(np.int64)).reshape(-1))
    run = kernel(f"settle_places<{kind}, {'true' if add else 'false'}, {layout.type}>")
    given = (target, value, np.int64(value.size != 1), index, order, layout.places, bounds.words(), number(name))
    run(grid_for(layout.n, 1), THREADS, (np.int64(layout.n), *given))
    return True


def _values(value: Any, target: Any, places: Any, dims: tuple[int, ...]) -> Any:
    """`value`, an array or a number, as `put` and `added` take it."""
    if type(value) is not DeviceArray:
        return filled((1,), value, target.dtype)
    if value.dtype != target.dtype:
        value = converted(contiguous(value), target.dtype)
    shape = _indexed_shape(target.shape, places, dims)
    if value.size == 1 or (value.shape == shape and value.flags.c_contiguous and not overlap(target, value)):
        return value
    out = empty(shape, target.dtype)
    write(out, value)
    return out


# ---- places ----


@read_places.kernel
def _(x: Any, places: Any, *, dims: tuple[int, ...]) -> Any:
    out = empty(_indexed_shape(x.shape, places, dims), x.dtype)
    return out if read(out, x, places, dims, "index") else NotImplemented


@add_places.kernel
def _(g: Any, places: Any, *, shape: tuple[int, ...], dims: tuple[int, ...]) -> Any:
    start = zeros(shape, g.dtype)
    return added(start, _values(g, start, places, dims), places, dims, "index")


@add_at_places.kernel
def _(x: Any, value: Any, places: Any, *, dims: tuple[int, ...], inplace: bool = False) -> Any:
    out = x if inplace else copied(x)
    return kept(out, added(out, _values(value, out, places, dims), places, dims, "index_add"), inplace)


def kept(x: Any, made: Any, inplace: bool) -> Any:
    """`made`; with `inplace` in `x`, where it may be already."""
    if not inplace or made is x or made is NotImplemented:
        return made
    write(x, made)
    return x


@write_places.kernel
def _(x: Any, value: Any, places: Any, *, dims: tuple[int, ...], inplace: bool = False) -> Any:
    out = x if inplace else copied(x)
    return out if put(out, _values(value, out, places, dims), places, dims, "index_put") else NotImplemented


@write_where.kernel
def _(target: Any, value: Any, mask: Any) -> Any:
    alone = target.flags.c_contiguous and not (overlap(target, value) or overlap(target, mask))
    if alone and value.dtype is target.dtype and _choose(mask, value, target, out=target) is not NotImplemented:
        return None
    return None if write(target, fill_where(target, value, mask)) else NotImplemented


@put_places.kernel
def _(target: Any, value: Any, places: Any, *, dims: tuple[int, ...]) -> Any:
    return None if put(target, _values(value, target, places, dims), places, dims, "index_put_") else NotImplemented


@clear_places.kernel
def _(x: Any, places: Any, *, dims: tuple[int, ...]) -> Any:
    out = copied(x)
    return out if put(out, zeros((1,), x.dtype), places, dims, "index_put") else NotImplemented


@in_range.kernel
def _(index: Any, *, dim: int, size: int) -> Any:
    out = empty(index.shape, np.dtype(np.int64))
    if out.size:
        run = kernel(f"wrap_indices<{cuda_name(index.dtype)}>")
        given = (np.int64(out.size), out, contiguous(index), np.int64(size))
        run(grid_for(out.size, 1), THREADS, (*given, bounds.words(), number("index")))
    return out


@within.kernel
def _(index: Any, **_: Any) -> Any:
    return index  # the kernels that read it look themselves


_choose = formula_launcher(choose.op)

__all__ = ["THREADS", "added", "converted", "in_order", "kept", "kernel", "number", "put", "read"]
