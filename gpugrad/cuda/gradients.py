"""Launchers of kernels/gradients.cu: norms over all gradients, scaling them, adding one to another; the scale of a loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.arithmetic import accumulate
from ..ops.gradient_norm import scale_down, total_norm
from ..ops.gradient_scale import unscale, update_scale
from .array import DeviceArray, empty
from .launches import Once, repeated
from .module import blocks_for, cuda_name, grid_over, kernels
from .strides import MAX_DIMS, index_type, merged, walk
from .tensors import LIMIT, Table

_THREADS, _ADDED_AT_ONCE = 256, 4  # kChunkThreads, kAddedAtOnce
_KINDS = {math.inf: 0, 1.0: 1, 2.0: 2}  # enum Kind; any other order is 3
_POWERS = 3


@total_norm.kernel
def _(*arrays: DeviceArray, norm_type: float) -> Any:
    dtype = arrays[0].dtype
    if dtype not in FLOATS or any(x.dtype != dtype for x in arrays) or norm_type <= 0:
        return NotImplemented
    if norm_type == math.inf and not all(x.size for x in arrays):
        return NotImplemented  # the body refuses it
    tables = _tables([x if x.flags.c_contiguous else x.copy() for x in arrays], dtype)
    blocks = sum(table.blocks for table, _ in tables)
    parts, total = empty((blocks,), np.float64), empty((), dtype)
    kind, p = _KINDS.get(norm_type, _POWERS), np.float64(norm_type)
    of_part, of_all = kernels(
        "gradients.cu", *[f"gpugrad::norm_{way}<{kind}, {cuda_name(dtype)}>" for way in ("parts", "total")]
    )
    start = 0
    for table, _ in tables:
        of_part((table.blocks,), (_THREADS,), (table.packed(), p, parts[start:]))
        start += table.blocks
    of_all((1,), (_THREADS,), (parts, np.int64(blocks), p, total))
    return total


@scale_down.kernel
def _(*arrays: DeviceArray, max_norm: float) -> Any:
    *given, total = arrays
    for dtype, mine in _by_dtype(given).items():
        beside = total if total.dtype == dtype else total.astype(dtype)
        _write_all("scale_down", dtype, mine, beside, np.float64(max_norm))


@unscale.kernel
def _(*arrays: DeviceArray) -> Any:
    *given, scale, found = arrays
    for dtype, mine in _by_dtype(given).items():
        _write_all("unscale", dtype, mine, scale, found)


@update_scale.kernel
def _(
    scale: DeviceArray, tracker: DeviceArray, found: DeviceArray, *, growth: float, backoff: float, interval: int
) -> None:
    (kernel,) = kernels("gradients.cu", "gpugrad::update_scale<float>")
    kernel((1,), (1,), (scale, tracker, found, np.float64(growth), np.float32(backoff), np.int32(interval)))


def _by_dtype(arrays: list[Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for x in arrays:
        found.setdefault(x.dtype, []).append(x)
    return found


def _write_all(name: str, dtype: Any, arrays: list[Any], *arguments: Any) -> None:
    """Launch a kernel that writes all of `arrays`, which have one dtype; others than contiguous ones by way of copies."""
    flat = [x if x.flags.c_contiguous else x.copy() for x in arrays]
    (kernel,) = kernels("gradients.cu", f"gpugrad::{name}<{cuda_name(dtype)}>")
    for table, _ in _tables(flat, dtype):
        kernel((table.blocks,), (_THREADS,), (table.packed(), *arguments))
    for x, copy in zip(arrays, flat):
        if copy is not x:
            x[...] = copy


def _tables(arrays: list[Any], dtype: Any) -> list[tuple[Table, list[Any]]]:
    """The arrays, contiguous, as kernels take them, and themselves: they are to live until the launch."""
    tables = []
    for k in range(0, len(arrays), LIMIT):
        part = arrays[k : k + LIMIT]
        table = Table(1, [x.size for x in part], dtype.itemsize)
        table.point(0, part)
        tables.append((table, part))
    return tables


@accumulate.kernel
@repeated
def _(do: Once, target: DeviceArray, g: Any) -> Any:
    if type(g) is not DeviceArray or target.dtype not in FLOATS or g.dtype != target.dtype or g.shape != target.shape:
        return NotImplemented
    if not target.size:
        return None
    if target.flags.c_contiguous and g.flags.c_contiguous:
        (kernel,) = kernels("gradients.cu", f"gpugrad::accumulate<{cuda_name(target.dtype)}>")
        grid = blocks_for(target.size, _THREADS * 16 // target.itemsize)
        do(kernel, grid, (_THREADS,), (np.int64(target.size), target, g))
        return None
    order = sorted(range(target.ndim), key=lambda d: -abs(target.strides[d]))  # as `target` lies in memory
    strides = [[x.strides[d] // x.itemsize for d in order] for x in (target, g)]
    sizes, (to, source) = merged([target.shape[d] for d in order], strides)
    if len(sizes) > MAX_DIMS:
        return NotImplemented
    types = f"{cuda_name(target.dtype)}, {index_type(sizes, to, source)}"
    (kernel,) = kernels("gradients.cu", f"gpugrad::accumulate_strided<{types}>")
    given = (np.int64(target.size), target, g, walk(sizes, to, source))
    do(kernel, grid_over(target.size, _THREADS * _ADDED_AT_ONCE), (_THREADS,), given)
    return None
