"""Pooling on the device: launches `kernels/pool.cu`."""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops import pool as ops
from ..ops import pool_numpy
from . import bounds
from .array import empty
from .copy import contiguous, zeros
from .gemm import converted
from .module import cuda_name
from .rows import kernel
from .windows import LIMIT, bins, bins_fit, fits, grid, windows

_INT64, _FLOAT32 = np.dtype(np.int64), np.dtype(np.float32)
_WARP_FROM = 64  # pixels in a bin from which a warp adds them up

Sizes = tuple[int, ...]
Geometry = tuple[str, Any, Sizes]  # the kernels' W, its value, and the output sizes


def _planes(shape: Sizes, dims: int) -> int:
    return prod(shape[:-dims])


@functools.lru_cache(maxsize=1024)
def _windows(
    shape: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    count_include_pad: bool = False,
    divisor_override: int | None = None,
) -> Geometry | None:
    """Windows over the last dimensions of `shape`; None if the kernels do not take them. RuntimeError if they do not fit."""
    found = pool_numpy._Windows(shape, kernel, stride, padding, dilation, ceil_mode)
    found.divisor(count_include_pad, divisor_override)
    if divisor_override is not None and abs(divisor_override) >= LIMIT:
        return None
    return _geometry(shape, found.out, (kernel, stride, padding, dilation), count_include_pad, divisor_override)


def _geometry(
    shape: Sizes, out: Sizes, window: ops.Pooled, count_include_pad: bool = False, divisor_override: int | None = None
) -> Geometry | None:
    kernel, stride, padding, dilation = window
    size = shape[-len(kernel) :]
    reach = [p + d * k for k, p, d in zip(kernel, padding, dilation)]
    if not fits(_planes(shape, len(kernel)), size, out, reach):
        return None
    struct = windows(size, out, kernel, stride, padding, dilation, count_include_pad, divisor_override)
    return "Windows", struct, out


@functools.lru_cache(maxsize=1024)
def _bins(shape: Sizes, output: Sizes) -> Geometry | None:
    """Bins of the last dimensions of `shape`, as `_windows`."""
    pool_numpy._bins(shape, output)
    size = shape[-len(output) :]
    if not bins_fit(_planes(shape, len(output)), size, output):
        return None
    return "Bins", bins(size, output), output


def _launch(name: str, kinds: str, given: tuple[Any, ...], planes: int, each: int, struct: Any, lanes: int = 1) -> None:
    if planes and each:
        run = kernel("pool.cu", f"{name}<{kinds}>")
        run(*grid(planes, each, lanes), (*given, np.int32(planes), struct))


# ---- the largest value ----


def _max(x: Any, geometry: Geometry | None) -> Any:
    if geometry is None or x.dtype not in FLOATS:
        return NotImplemented
    kind, struct, out = geometry
    shape = (*x.shape[: -len(out)], *out)
    values, indices = empty(shape, x.dtype), empty(shape, _INT64)
    kinds = f"{cuda_name(x.dtype)}, gpugrad::{kind}"
    _launch("max_pool", kinds, (contiguous(x), values, indices), _planes(shape, len(out)), prod(out), struct)
    return values, indices


@ops._max_pool.kernel
def _(x: Any, *, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool) -> Any:
    return _max(x, _windows(x.shape, kernel, stride, padding, dilation, ceil_mode))


@ops._adaptive_max_pool.kernel
def _(x: Any, *, output: Sizes) -> Any:
    return _max(x, _bins(x.shape, output))


@ops._values.kernel
def _(x: Any, values: Any, indices: Any, *, pooled: ops.Pooled) -> Any:
    return values


@functools.lru_cache(maxsize=1024)
def _pooled(shape: Sizes, out: Sizes, pooled: ops.Pooled) -> Geometry | None:
    """What `shape` was pooled by, with outputs of size `out`."""
    return _bins(shape, pooled[0]) if len(pooled) == 1 else _geometry(shape, out, pooled)


@ops._scatter.kernel
def _(x: Any, indices: Any, *, spatial: Sizes, pooled: ops.Pooled | None = None) -> Any:
    dims = len(spatial)
    shape, planes = (*x.shape[:-dims], *spatial), _planes(x.shape, dims)
    if x.dtype not in FLOATS or indices.dtype != _INT64 or not fits(planes, spatial, x.shape[-dims:]):
        return NotImplemented
    g, indices = contiguous(x), contiguous(indices)
    geometry = _pooled(shape, x.shape[-dims:], pooled) if pooled is not None else None
    if geometry is not None:
        kind, struct, _ = geometry
        out = empty(shape, x.dtype)
        kinds = f"{cuda_name(x.dtype)}, gpugrad::{kind}"
        _launch("max_pool_backward", kinds, (g, indices, out), planes, prod(spatial), struct)
        return out
    out = zeros(shape, _FLOAT32 if x.dtype in LOW_PRECISION else x.dtype)
    _by_index(f"max_unpool<{cuda_name(x.dtype)}, {cuda_name(out.dtype)}>", g, indices, out, spatial, "max_unpool")
    return converted(out, x.dtype)


@ops._gather.kernel
def _(x: Any, indices: Any, *, dims: int) -> Any:
    size, out_size = x.shape[-dims:], indices.shape[-dims:]
    if x.dtype not in FLOATS or indices.dtype != _INT64 or not fits(_planes(x.shape, dims), size, out_size):
        return NotImplemented
    out = empty(indices.shape, x.dtype)
    name = f"max_pool_gather<{cuda_name(x.dtype)}>"
    _by_index(name, contiguous(x), contiguous(indices), out, size, "max_pool_gather")
    return out


def _by_index(name: str, source: Any, indices: Any, out: Any, size: Sizes, op_name: str) -> None:
    planes, each = _planes(indices.shape, len(size)), prod(indices.shape[-len(size) :])
    if planes and each:
        numbers = (np.int32(planes), np.int32(each), np.int32(prod(size)))
        errors = (bounds.words(), np.int32(bounds.number(op_name)))
        kernel("pool.cu", name)(*grid(planes, each), (source, indices, out, *numbers, *errors))


# ---- the mean ----


def _mean(x: Any, geometry: Geometry | None, pixels: int) -> Any:
    """`pixels` are about how many a window has."""
    if geometry is None or x.dtype not in FLOATS:
        return NotImplemented
    kind, struct, sizes = geometry
    out = empty((*x.shape[: -len(sizes)], *sizes), x.dtype)
    lanes = 32 if pixels >= _WARP_FROM and prod(sizes) * 32 < LIMIT else 1
    kinds = f"{cuda_name(x.dtype)}, gpugrad::{kind}, {lanes}"
    _launch("avg_pool", kinds, (contiguous(x), out), _planes(out.shape, len(sizes)), prod(sizes), struct, lanes)
    return out


def _mean_backward(g: Any, shape: Sizes, geometry: Geometry | None) -> Any:
    if geometry is None or g.dtype not in FLOATS:
        return NotImplemented
    kind, struct, sizes = geometry
    if g.shape != (*shape[: -len(sizes)], *sizes):
        return NotImplemented
    out = empty(shape, g.dtype)
    planes, each = _planes(shape, len(sizes)), prod(shape[-len(sizes) :])
    kinds = f"{cuda_name(g.dtype)}, gpugrad::{kind}"
    _launch("avg_pool_backward", kinds, (contiguous(g), out), planes, each, struct)
    return out


@ops._avg_pool.kernel
def _(
    x: Any,
    *,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    dilation = (1,) * len(kernel)
    found = _windows(x.shape, kernel, stride, padding, dilation, ceil_mode, count_include_pad, divisor_override)
    return _mean(x, found, prod(kernel))


@ops._avg_unpool.kernel
def _(x: Any, *, shape: Sizes, window: dict[str, Any]) -> Any:
    return _mean_backward(x, tuple(shape), _windows(tuple(shape), dilation=(1,) * len(window["kernel"]), **window))


@ops._adaptive_avg_pool.kernel
def _(x: Any, *, output: Sizes) -> Any:
    size = x.shape[-len(output) :]
    return _mean(x, _bins(x.shape, output), prod(size) // max(1, prod(output)))


@ops._adaptive_avg_unpool.kernel
def _(x: Any, *, shape: Sizes, output: Sizes) -> Any:
    return _mean_backward(x, tuple(shape), _bins(tuple(shape), output))
