"""Convolution on the device: columns by `kernels/conv.cu`, and products of matrices.

Images are taken some at a time, so that their columns stay small. A kernel of one pixel needs no columns; nor does one
input channel a group, which has kernels of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops import conv as ops
from ..ops import conv_numpy
from .array import DeviceArray
from .copy import contiguous, copied, zeros
from .gemm import add_bias, converted, multiplies, product
from .launches import Once
from .module import cuda_name
from .rows import kernel
from .windows import MAX_ROWS, fits, grid, windows

_COLUMN_BYTES = 64 << 20  # of the columns of one product: most of a large cache, and enough to fill the device
_FLOAT32 = np.dtype(np.float32)

Sizes = tuple[int, ...]


class Columns(NamedTuple):
    """The columns of images of `channels` channels: what the kernels take, and how many there are."""

    window: Any
    channels: int
    size: Sizes
    taps: int
    windows: int

    def gather(self, do: Once, x: Any, together: bool) -> Any:
        """Columns of `x` (n, C, *size): (n, C taps, windows), or (C taps, n windows) if they are to stand `together`."""
        count, rows = len(x), self.channels * self.taps
        out = do.empty((rows, count * self.windows) if together else (count, rows, self.windows), x.dtype)
        _launch(do, f"im2col<{cuda_name(x.dtype)}>", x, out, count, self, together, self.windows)
        return out

    def scatter(self, do: Once, columns: Any, dtype: Any) -> Any:
        """The adjoint of `gather`, not together: (n, C taps, windows) to (n, C, *size) in `dtype`."""
        out = do.empty((len(columns), self.channels, *self.size), dtype)
        self.scatter_into(do, columns, out)
        return out

    def scatter_into(self, do: Once, columns: Any, out: Any) -> None:
        """The same, written into `out`."""
        types = f"{cuda_name(columns.dtype)}, {cuda_name(out.dtype)}"
        _launch(do, f"col2im<{types}>", columns, out, len(columns), self, False, prod(self.size))


def _launch(
    do: Once, name: str, source: Any, out: Any, count: int, columns: Columns, together: bool, each: int
) -> None:
    planes = count * columns.channels
    if not out.size:
        return
    row = columns.windows * (count if together else 1)
    image = columns.windows * (1 if together else columns.channels * columns.taps)
    numbers = (np.int32(planes), np.int32(columns.channels), np.int64(row), np.int64(image), columns.window)
    do(kernel("conv.cu", name), *grid(planes, each), (source, out, *numbers))


class Plan(NamedTuple):
    """A convolution of given shapes. `per_group` and `out_per_group` are channels."""

    columns: Columns
    direct: bool  # whether the image is its own columns
    out_shape: Sizes
    groups: int
    per_group: int
    out_per_group: int

    def blocks(self, do: Once, itemsize: int) -> Iterator[slice]:
        """Images whose columns are made at a time."""
        images = self.out_shape[0]
        each = self.columns.channels * self.columns.taps * self.columns.windows * itemsize
        length = images if self.direct else max(1, _COLUMN_BYTES // max(1, each))
        if length < images:
            do.once()  # which would keep the columns of all
        for start in range(0, images, length):
            yield slice(start, min(start + length, images))

    def grouped(self, x: Any, per_group: int) -> Any:
        """`x` (n, channels, ...) as (n, groups, per_group, the rest), without the groups if there is one."""
        apart = (self.groups,) if self.groups > 1 else ()
        return x.reshape((len(x), *apart, per_group, x.size // (len(x) * self.groups * per_group)))

    @property
    def depthwise(self) -> bool:
        """Whether each group has one input channel, and there are several."""
        return self.per_group == 1 < self.groups

    @property
    def matrix_shape(self) -> Sizes:
        """The weight as (groups, out_per_group, per_group taps), without the groups if there is one."""
        apart = (self.groups,) if self.groups > 1 else ()
        return (*apart, self.out_per_group, self.per_group * self.columns.taps)

    def in_rows(self, do: Once, x: Any, per_group: int) -> Any:
        """`x` (n, channels, ...) as (groups, per_group, n rest): one copy, unless n is 1."""
        apart = (self.groups,) if self.groups > 1 else ()
        moved = x if len(x) == 1 else copied(x.reshape((len(x), x.shape[1], -1)).swapaxes(0, 1), do)
        return moved.reshape((*apart, per_group, -1))


@functools.lru_cache(maxsize=1024)
def _plan(
    x_shape: Sizes, weight_shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Plan | None:
    """The plan; None for sizes that the kernels do not take. RuntimeError if the shapes do not fit each other."""
    out_shape = conv_numpy._Shifts(x_shape, weight_shape, stride, padding, dilation, groups).output_shape
    (images, channels, *size), kernel_size, out = x_shape, weight_shape[2:], out_shape[2:]
    taps = prod(kernel_size)
    if (
        weight_shape[0] > MAX_ROWS
        or not fits(images * max(channels, weight_shape[0]), size, out, padding, taps)
        or 0 in weight_shape
    ):
        return None
    window = windows(size, out, kernel_size, stride, padding, dilation)
    columns = Columns(window, channels, tuple(size), taps, prod(out))
    direct = taps == 1 and set(stride) == {1} and set(padding) == {0}
    return Plan(columns, direct, out_shape, groups, channels // groups, weight_shape[0] // groups)


def _computed(*arrays: Any) -> bool:
    """Whether the kernels compute with these arrays: of one floating dtype."""
    return arrays[0].dtype in FLOATS and all(a is None or a.dtype is arrays[0].dtype for a in arrays)


def _depthwise(
    do: Once, name: str, plan: Plan, first: Any, second: Any, out: Any, planes: int, channels: int, each: int | None
) -> DeviceArray:
    """A kernel over `each` elements of every plane of `out`; None: a block for every element of the weight `out`."""
    if out.size:
        columns = plan.columns
        blocks, threads = ((columns.taps, channels), (256,)) if each is None else grid(planes, each)
        numbers = (np.int32(planes), np.int32(channels), np.int32(plan.out_per_group), columns.window)
        run = kernel("conv.cu", f"{name}<{cuda_name(out.dtype)}>")
        do(run, blocks, threads, (contiguous(first), contiguous(second), out, *numbers))
    return out


def _add_bias(do: Once, out: DeviceArray, bias: Any) -> DeviceArray:
    if bias is not None and out.size:
        add_bias(out, bias, prod(out.shape[2:]), do)
    return out


@ops._conv.kernel
@multiplies
def _(
    do: Once, x: Any, weight: Any, bias: Any = None, *, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Any:
    plan = _plan(x.shape, weight.shape, stride, padding, dilation, groups)
    if plan is None or not _computed(x, weight, bias):
        return NotImplemented
    out = do.empty(plan.out_shape, x.dtype)
    if plan.depthwise:
        count, channels = out.shape[:2]
        _depthwise(do, "depthwise", plan, x, weight, out, count * channels, channels, plan.columns.windows)
        return _add_bias(do, out, bias)
    x, matrix = contiguous(x), contiguous(weight).reshape(plan.matrix_shape)
    for images in plan.blocks(do, x.itemsize):
        part = x[images]
        columns = part if plan.direct else plan.columns.gather(do, part, together=False)
        taps = plan.per_group * plan.columns.taps
        product(matrix, plan.grouped(columns, taps), plan.grouped(out[images], plan.out_per_group), do=do)
    return _add_bias(do, out, bias)


@ops._conv_input.kernel
@multiplies
def _(
    do: Once,
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    shape: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Any:
    plan = _plan(tuple(shape), weight.shape, stride, padding, dilation, groups)
    if plan is None or not _computed(x, weight, bias) or x.shape != plan.out_shape:
        return NotImplemented
    out = do.empty(shape, x.dtype)
    if plan.depthwise:
        count, channels = out.shape[:2]
        _depthwise(do, "depthwise_input", plan, x, weight, out, count * channels, channels, prod(shape[2:]))
        return _add_bias(do, out, bias)
    wide = _FLOAT32 if x.dtype in LOW_PRECISION else x.dtype
    x, matrix = contiguous(x), contiguous(weight).reshape(plan.matrix_shape).swapaxes(-1, -2)
    taps = plan.per_group * plan.columns.taps
    for images in plan.blocks(do, wide.itemsize):
        part = plan.grouped(x[images], plan.out_per_group)
        if plan.direct:
            product(matrix, part, plan.grouped(out[images], taps), do=do)
            continue
        columns = do.empty((*part.shape[:-2], taps, plan.columns.windows), wide)
        plan.columns.scatter_into(do, product(matrix, part, columns, do=do), out[images])
    return _add_bias(do, out, bias)


@ops._conv_weight.kernel
@multiplies
def _(do: Once, y: Any, x: Any, *, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> Any:
    plan = _plan(x.shape, tuple(shape), stride, padding, dilation, groups)
    if plan is None or not _computed(y, x) or y.shape != plan.out_shape:
        return NotImplemented
    if not len(x):
        do.once()
        return zeros(shape, y.dtype)
    if plan.depthwise:
        return _depthwise(do, "depthwise_weight", plan, y, x, do.empty(shape, y.dtype), len(x), shape[0], None)
    x, y = contiguous(x), contiguous(y)
    total = do.empty(plan.matrix_shape, _FLOAT32 if y.dtype in LOW_PRECISION else y.dtype)
    for images in plan.blocks(do, x.itemsize):
        taps = plan.per_group * plan.columns.taps
        part = x[images]
        if plan.direct:
            columns = plan.in_rows(do, part, taps)
        else:
            apart = (groups,) if groups > 1 else ()
            columns = plan.columns.gather(do, part, together=True).reshape((*apart, taps, -1))
        rows = plan.in_rows(do, y[images], plan.out_per_group)
        product(rows, columns.swapaxes(-1, -2), total, accumulate=images.start > 0, do=do)
    return converted(total, y.dtype, do).reshape(shape)


# ---- windows as columns, and back ----


def _columns(
    channels: int, images: int, size: Sizes, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> Columns | None:
    """The columns; None for sizes that the kernels do not take. RuntimeError if no window fits."""
    _, out, _ = ops._taps(size, kernel_size, stride, padding, dilation)
    if not fits(images * channels, size, out, padding, prod(kernel_size)):
        return None
    window = windows(size, out, kernel_size, stride, padding, dilation)
    return Columns(window, channels, tuple(size), prod(kernel_size), prod(out))


@ops._unfold.kernel
@multiplies
def _(do: Once, x: Any, *, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Any:
    columns = _columns(x.shape[1], len(x), x.shape[2:], kernel, stride, padding, dilation)
    if columns is None or x.dtype not in FLOATS:
        return NotImplemented
    return columns.gather(do, contiguous(x), together=False)


@ops._fold.kernel
@multiplies
def _(do: Once, x: Any, *, size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Any:
    columns = _columns(x.shape[1] // prod(kernel), len(x), size, kernel, stride, padding, dilation)
    if columns is None or x.dtype not in FLOATS:
        return NotImplemented
    return columns.scatter(do, contiguous(x), x.dtype)
