"""Layer, batch, group, instance and RMS norm and their gradients, by `kernels/layer_norm.cu` and `kernels/batch_norm.cu`.

How the dimensions of a call are rows and columns, and to which the statistics and parameters belong, is a `Plan`,
worked out once for each combination of shapes.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import FLOATS
from ..ops.normalization import _layer_norm, _normalize, _rms_norm, moments, normalize_backward, rms_norm_backward
from .launches import Once, repeated
from .module import cuda_name, multiprocessors
from .rows import LONG_THREADS, SHAPES, chunks, compute, fitting, kernel, ready, row_launch, struct

# Of layer_norm_backward: threads a row, elements a thread, and blocks a multiprocessor: as many as registers allow (half as
# many of float64), for 64 KiB in flight
_BACKWARD = ((32, 8, 8), (128, 8, 8), (256, 8, 4), (512, 8, 2), (512, 16, 1))
_COLUMNS, _STRETCH = 32, 256  # columns to a block of batch_norm.cu; rows, at least, if there are enough
_BY_COLUMN, _BY_ROW, _BY_TABLE = "gpugrad::kByColumn", "gpugrad::kByRow", "gpugrad::kByTable"


class Plan(NamedTuple):
    """See kernels/layer_norm.cu. `sharing` elements share a mean."""

    by: str
    rows: int
    cols: int
    per: int
    period: int
    channels: int
    sharing: int


def _plan(x: Any, dims: tuple[int, ...], weight: Any, bias: Any = None) -> Plan | None:
    """How x is walked; None where its body must run: dtypes or shapes that the public functions do not make."""
    if x.dtype not in FLOATS:
        return None
    parameters = [p for p in (weight, bias) if p is not None]
    shape = parameters[0].shape if parameters else None
    for p in parameters:
        if p.dtype not in (x.dtype, compute(x.dtype)) or p.dtype is not parameters[0].dtype or p.shape != shape:
            return None
    return _plan_shapes(x.shape, dims, shape)


@functools.lru_cache(maxsize=4096)
def _plan_shapes(shape: tuple[int, ...], dims: tuple[int, ...], parameter: tuple[int, ...] | None) -> Plan | None:
    ndim, first = len(shape), min(dims, default=0)
    own = None if parameter is None else (1,) * (ndim - len(parameter)) + parameter
    if ndim >= 2 and dims == (0, *range(2, ndim)):
        if own is not None and own != (1, shape[1], *(1,) * (ndim - 2)):
            return None
        samples, channels, pixels = shape[0], shape[1], prod(shape[2:])
        if pixels == 1:
            return Plan(_BY_TABLE, samples, channels, 1, 1, channels, samples)
        return Plan(_BY_ROW, samples * channels, pixels, 1, channels, channels, samples * pixels)
    if not dims or dims != tuple(range(first, ndim)):
        return None
    rows, cols = prod(shape[:first]), prod(shape[first:])
    if own is None or own == (1,) * first + shape[first:]:
        return Plan(_BY_COLUMN, rows, cols, 1, max(rows, 1), 1, cols)
    if first != 2 or own[0] != 1 or own[1] != shape[1]:
        return None
    per = 1 if all(n == 1 for n in own[2:]) else shape[2]
    if own[2:] != (1,) * (ndim - 2) and own[2:] != (shape[2], *(1,) * (ndim - 3)):
        return None
    return Plan(_BY_ROW, rows * per, cols // max(per, 1), per, max(rows, 1), shape[1] * per, cols)


def _types(x: Any, *parameters: Any) -> str:
    """T and P of a kernel."""
    given = next((p.dtype for p in parameters if p is not None), x.dtype)
    return f"{cuda_name(x.dtype)}, {cuda_name(given)}"


def _scheme(plan: Plan, eps: float) -> Any:
    return struct(plan.per, plan.period, plan.channels, float(eps))


# ---- statistics ----


def _row_moments(do: Once, x: Any, rows: int, cols: int, mean: Any, variance: Any) -> None:
    """Mean (None: of RMS norm, which has none) and variance, or mean square, of rows."""
    name = f"{cuda_name(x.dtype)}, {'true' if mean is None else 'false'}"
    shape = fitting(SHAPES[x.itemsize], cols, x.itemsize)
    if shape is None:
        run = kernel("layer_norm.cu", f"row_moments_long<{name}>")
        do(run, (rows,), (LONG_THREADS,), (x, mean, variance, np.int64(cols)))
        return
    grid, block = row_launch(rows, shape[0])
    run = kernel("layer_norm.cu", f"row_moments<{name}, {shape[0]}, {shape[1]}>")
    do(run, grid, block, (x, mean, variance, np.int64(rows), np.int32(cols)))


def _stretches(rows: int, cols: int) -> tuple[int, int]:
    """How many pieces columns are cut into, so that all multiprocessors have work, and how many rows a piece has."""
    across = -(-cols // _COLUMNS)
    pieces = min(-(-rows // _STRETCH), max(1, 4 * multiprocessors() // across))
    stretch = -(-rows // pieces)
    return -(-rows // stretch), stretch


def _column_moments(
    do: Once, means: Any, variances: Any, rows: int, cols: int, each: int, mean: Any, variance: Any
) -> None:
    """Those of columns, in two launches where they are long; entries stand for `each` elements."""
    real = compute(means.dtype).type
    grid, block = (-(-cols // _COLUMNS),), (32, 16)
    pieces, stretch = _stretches(rows, cols)
    if pieces > 1:
        parts = do.empty((pieces, cols), mean.dtype), do.empty((pieces, cols), mean.dtype)
        sizes = (np.int64(rows), np.int64(cols), np.int64(stretch), real(each), real(each))
        run = kernel("batch_norm.cu", f"column_moments<{cuda_name(means.dtype)}>")
        do(run, (*grid, pieces), block, (means, variances, *parts, *sizes))
        last = each * (rows - (pieces - 1) * stretch)
        means, variances, rows, each = *parts, pieces, each * stretch
    else:
        last = each
    sizes = (np.int64(rows), np.int64(cols), np.int64(rows), real(each), real(last))
    run = kernel("batch_norm.cu", f"column_moments<{cuda_name(means.dtype)}>")
    do(run, grid, block, (means, variances, mean, variance, *sizes))


@moments.kernel
@repeated
def _moments_kernel(do: Once, x: Any, *, dims: tuple[int, ...]) -> Any:
    plan = _plan(x, dims, None)
    if plan is None or not x.size:
        return NotImplemented
    kept = tuple([1 if d in dims else n for d, n in enumerate(x.shape)])
    mean, variance = do.empty(kept, compute(x.dtype)), do.empty(kept, compute(x.dtype))
    x = ready(x)
    if plan.by == _BY_TABLE:
        _column_moments(do, x, None, plan.rows, plan.cols, 1, mean, variance)
    elif plan.by == _BY_COLUMN or plan.rows == plan.channels:
        _row_moments(do, x, plan.rows, plan.cols, mean, variance)
    else:
        of_rows = do.empty((plan.rows,), mean.dtype), do.empty((plan.rows,), mean.dtype)
        _row_moments(do, x, plan.rows, plan.cols, *of_rows)
        samples = plan.rows // plan.channels
        _column_moments(do, *of_rows, samples, plan.channels, plan.cols, mean, variance)
    return mean, variance


# ---- forward ----


def _forward(do: Once, plan: Plan, x: Any, mean: Any, variance: Any, weight: Any, bias: Any, eps: float) -> Any:
    out = do.empty(x.shape, x.dtype)
    threads, grid, block, rows = chunks(plan.rows, plan.cols)
    run = kernel("layer_norm.cu", f"normalize<{_types(x, weight, bias)}, {plan.by}, {threads}>")
    do(run, grid, block, (x, mean, variance, weight, bias, out, _scheme(plan, eps), rows))
    return out


@_normalize.kernel
@repeated
def _normalize_kernel(
    do: Once,
    x: Any,
    mean: Any,
    variance: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    dims: tuple[int, ...],
    eps: float,
) -> Any:
    plan = _plan(x, dims, weight, bias)
    if plan is None or mean.dtype is not compute(x.dtype) or variance.dtype is not mean.dtype:
        return NotImplemented
    if not x.size:
        return do.empty(x.shape, x.dtype)
    x, mean, variance, weight, bias = _all_ready(x, mean, variance, weight, bias)
    return _forward(do, plan, x, mean, variance, weight, bias, eps)


@_layer_norm.kernel
@repeated
def _layer_norm_kernel(
    do: Once, x: Any, weight: Any = None, bias: Any = None, *, dims: tuple[int, ...], eps: float
) -> Any:
    plan = _plan(x, dims, weight, bias)
    if plan is None or plan.by != _BY_COLUMN or not x.size:
        return NotImplemented
    x, weight, bias = _all_ready(x, weight, bias)
    kept = tuple([1 if d in dims else n for d, n in enumerate(x.shape)])
    mean, variance = do.empty(kept, compute(x.dtype)), do.empty(kept, compute(x.dtype))
    shape = fitting(SHAPES[x.itemsize], plan.cols, x.itemsize)
    if shape is None:
        _row_moments(do, x, plan.rows, plan.cols, mean, variance)
        return _forward(do, plan, x, mean, variance, weight, bias, eps), [mean, variance]
    out = do.empty(x.shape, x.dtype)
    grid, block = row_launch(plan.rows, shape[0])
    run = kernel("layer_norm.cu", f"layer_norm_forward<{_types(x, weight, bias)}, {shape[0]}, {shape[1]}>")
    sizes = (np.int64(plan.rows), np.int32(plan.cols), compute(x.dtype).type(eps))
    do(run, grid, block, (x, weight, bias, out, mean, variance, *sizes))
    return out, [mean, variance]


@_rms_norm.kernel
@repeated
def _rms_norm_kernel(do: Once, x: Any, weight: Any = None, *, dims: tuple[int, ...], eps: float) -> Any:
    plan = _plan(x, dims, weight)
    if plan is None or plan.by != _BY_COLUMN:
        return NotImplemented
    if not x.size:
        return do.empty(x.shape, x.dtype)
    x, weight = _all_ready(x, weight)
    shape = fitting(SHAPES[x.itemsize], plan.cols, x.itemsize)
    if shape is None:
        return _forward(do, plan, x, None, _mean_squares(do, plan, x), weight, None, eps)
    out = do.empty(x.shape, x.dtype)
    real = compute(x.dtype).type
    grid, block = row_launch(plan.rows, shape[0])
    run = kernel("layer_norm.cu", f"rms_norm_forward<{_types(x, weight)}, {shape[0]}, {shape[1]}>")
    do(run, grid, block, (x, weight, out, np.int64(plan.rows), np.int32(plan.cols), real(eps), real(1 / plan.cols)))
    return out


def _mean_squares(do: Once, plan: Plan, x: Any) -> Any:
    squares = do.empty((plan.rows,), compute(x.dtype))
    _row_moments(do, x, plan.rows, plan.cols, None, squares)
    return squares


def _all_ready(*arrays: Any) -> Any:
    return tuple([a if a is None else ready(a) for a in arrays])


# ---- backward ----


def _sum_columns(
    do: Once, name: str, given: tuple[Any, ...], rows: int, cols: int, kind: Any, wanted: Any, *more: Any
) -> Any:
    """Two sums down columns, of which those that are `wanted` are returned, in two launches where they are long."""
    pieces, stretch = _stretches(rows, cols)
    across = -(-cols // _COLUMNS)
    shape = (cols,) if pieces == 1 else (pieces, cols)
    found: Any = tuple([do.empty(shape, kind) if want else None for want in wanted])
    sizes = (np.int64(rows), np.int64(cols), np.int64(stretch))
    do(kernel("batch_norm.cu", name), (across, pieces), (32, 16), (*given, *found, *more, *sizes))
    return found if pieces == 1 else _added(do, found, pieces, cols, kind)


def _added(do: Once, sums: tuple[Any, Any], rows: int, cols: int, kind: Any) -> Any:
    """The sums down the columns of two arrays, or of one and None."""
    return _sum_columns(
        do, f"column_sums<{cuda_name(kind)}>", sums, rows, cols, kind, tuple([s is not None for s in sums])
    )


class _Call(NamedTuple):
    """What the kernels of a backward are given."""

    do: Once
    plan: Plan
    g: Any
    x: Any
    mean: Any
    variance: Any
    weight: Any
    eps: float

    @property
    def kind(self) -> Any:
        return compute(self.x.dtype)

    def row_sums(self) -> tuple[Any, Any]:
        plan, made = (
            self.plan,
            (self.do.empty((self.plan.rows,), self.kind), self.do.empty((self.plan.rows,), self.kind)),
        )
        threads, grid, block, rows = chunks(plan.rows, plan.cols, whole=True)
        run = kernel("layer_norm.cu", f"row_sums<{_types(self.x, self.weight)}, {plan.by}, {threads}>")
        self.do(run, grid, block, (*self[2:7], *made, _scheme(plan, self.eps), rows))
        return made

    def column_sums(self, wanted: tuple[bool, bool] = (True, True)) -> tuple[Any, Any]:
        """Of g and of g * x_hat."""
        plan = self.plan
        name = f"column_products<{cuda_name(self.x.dtype)}, {plan.by}>"
        return _sum_columns(self.do, name, self[2:6], plan.rows, plan.cols, self.kind, wanted, _scheme(plan, self.eps))

    def group_sums(self, sums: Any, products: Any) -> tuple[Any, Any]:
        plan = self.plan
        groups = plan.rows // plan.per
        made = self.do.empty((groups,), self.kind), self.do.empty((groups,), self.kind)
        given = self.kind if self.weight is None else self.weight.dtype
        run = kernel("batch_norm.cu", f"group_sums<{cuda_name(self.kind)}, {cuda_name(given)}>")
        sizes = (np.int64(groups), np.int64(plan.per), np.int64(plan.channels))
        self.do(run, (-(-groups // 256),), (256,), (sums, products, self.weight, *made, *sizes))
        return made

    def apply(self, sums: Any, products: Any, weighted: bool) -> Any:
        plan, dx = self.plan, self.do.empty(self.x.shape, self.x.dtype)
        threads, grid, block, rows = chunks(plan.rows, plan.cols)
        run = kernel("layer_norm.cu", f"normalize_gradient<{_types(self.x, self.weight)}, {plan.by}, {threads}>")
        last = (np.int32(weighted), self.kind.type(1 / plan.sharing))
        self.do(run, grid, block, (*self[2:7], sums, products, dx, _scheme(plan, self.eps), rows, *last))
        return dx

    def in_one_pass(self, rms: bool, needs: tuple[bool, bool, bool]) -> tuple[Any, Any, Any] | None:
        """dx, dweight and dbias of rows that fit into registers; None if they do not."""
        plan = self.plan
        shapes = _BACKWARD[:-1] if self.x.itemsize == 8 else _BACKWARD
        shape = next((s for s in shapes if plan.cols <= s[0] * s[1]), None)
        if shape is None:
            return None
        threads, each, resident = shape
        (lines,), block = row_launch(plan.rows, threads)
        resident = max(1, resident // 2) if self.x.itemsize == 8 else resident
        blocks = min(lines, resident * multiprocessors())
        dx = self.do.empty(self.x.shape, self.x.dtype) if needs[0] else None
        parts: Any = tuple([self.do.empty((blocks, plan.cols), self.kind) if need else None for need in needs[1:]])
        pack = 16 // self.x.itemsize
        name = f"{_types(self.x, self.weight)}, {'true' if rms else 'false'}, {threads}, {each}"
        run = kernel("layer_norm.cu", f"layer_norm_backward<{name}, {1 if plan.cols % pack else pack}>")
        sizes = (np.int64(plan.rows), np.int32(plan.cols), self.kind.type(self.eps), self.kind.type(1 / plan.cols))
        self.do(run, (blocks,), block, (*self[2:7], dx, *parts, *sizes))
        if blocks > 1 and any(needs[1:]):
            parts = _added(self.do, parts, blocks, plan.cols, self.kind)
        return dx, *parts

    def of_rows(self, rms: bool, needs: tuple[bool, bool, bool]) -> tuple[Any, Any, Any]:
        """The gradients where parameters belong to columns."""
        made = self.in_one_pass(rms, needs)
        if made is not None:
            return made
        call = self._replace(variance=_mean_squares(self.do, self.plan, self.x)) if rms else self
        dx, dbias, dweight = None, None, None
        if needs[0]:
            sums, products = call.row_sums()
            dx = call.apply(None if rms else sums, products, weighted=True)
        if needs[1] or needs[2]:
            dbias, dweight = call.column_sums((needs[2], needs[1]))
        return dx, dweight, dbias

    def of_channels(self, needs: tuple[bool, bool, bool]) -> tuple[Any, Any, Any]:
        """The gradients where parameters belong to channels."""
        plan, dx, dbias, dweight = self.plan, None, None, None
        if plan.by == _BY_TABLE:
            dbias, dweight = self.column_sums()
            return self.apply(dbias, dweight, weighted=False) if needs[0] else None, dweight, dbias
        sums, products = self.row_sums()
        shared = plan.period == plan.channels and plan.per == 1  # by all samples
        if shared or needs[1] or needs[2]:
            dbias, dweight = _added(self.do, (sums, products), plan.rows // plan.channels, plan.channels, self.kind)
        if not needs[0]:
            return dx, dweight, dbias
        if shared:
            dx = self.apply(dbias, dweight, weighted=False)
        elif plan.per == 1:
            dx = self.apply(sums, products, weighted=False)
        else:
            dx = self.apply(*self.group_sums(sums, products), weighted=True)
        return dx, dweight, dbias


@normalize_backward.kernel
@repeated
def _normalize_backward_kernel(
    do: Once,
    g: Any,
    x: Any,
    mean: Any,
    variance: Any,
    weight: Any = None,
    *,
    needs: Any,
    dims: tuple[int, ...],
    eps: float,
) -> Any:
    plan = _plan(x, dims, weight)
    if plan is None or g.dtype is not x.dtype or mean.dtype is not compute(x.dtype) or not x.size:
        return NotImplemented
    g, x, mean, variance, weight = _all_ready(g, x, mean, variance, weight)
    call = _Call(do, plan, g, x, mean, variance, weight, eps)
    wanted = (needs[0], needs[1], needs[2] and weight is not None)  # without it the shape of the bias is not known
    dx, dweight, dbias = call.of_rows(False, wanted) if plan.by == _BY_COLUMN else call.of_channels(wanted)
    if weight is None:
        return dx, None, g if needs[2] else None
    return dx, _shaped(dweight, weight.shape) if needs[1] else None, _shaped(dbias, weight.shape) if needs[2] else None


def _shaped(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Reshaped; itself, and no view, which the walk would copy, if it has that shape."""
    return gradient if gradient is None or gradient.shape == shape else gradient.reshape(shape)


@rms_norm_backward.kernel
@repeated
def _rms_norm_backward_kernel(
    do: Once, g: Any, x: Any, weight: Any = None, *, needs: Any, dims: tuple[int, ...], eps: float
) -> Any:
    plan = _plan(x, dims, weight)
    if plan is None or plan.by != _BY_COLUMN or g.dtype is not x.dtype or not x.size:
        return NotImplemented
    g, x, weight = _all_ready(g, x, weight)
    dx, dweight, _ = _Call(do, plan, g, x, None, None, weight, eps).of_rows(True, (needs[0], needs[1], False))
    return dx, dweight if weight is None else _shaped(dweight, weight.shape)
