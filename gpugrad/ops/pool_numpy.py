"""Pooling of NumPy arrays over their last one, two or three dimensions, and the adjoints.

A pooling with a window walks over the taps of the window: one tap of all windows at once is a strided slice of the
input. Where the tap falls on padding in some of the windows, it is a slice of the output too; so padding is never
stored. Blocks of planes (a plane is what the spatial dimensions span) are small enough to stay in the cache meanwhile.

Half precision is computed in float32 and rounded once, at the end. Same inputs, same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import product
from math import prod

import numpy as np

from .conv_numpy import output_size

_BLOCK_BYTES = 1 << 20  # of input


def max_pool(
    x: np.ndarray,
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of each window of `x` (..., *spatial), and its int64 position in the flattened plane.

    Of equal values the first is taken, of several NaN the last; a NaN beats any number, padding never wins.
    Raises RuntimeError if the windows do not fit.
    """
    windows = _Windows(x.shape, kernel, stride, padding, dilation, ceil_mode)
    planes = x.astype(_computing(x.dtype), copy=False).reshape(-1, *windows.spatial)
    values = np.full((len(planes), *windows.out), -np.inf, planes.dtype)
    indices = np.empty(values.shape, np.int64)
    tap_dtype = np.min_scalar_type(len(windows.taps))
    for block in _blocks(planes):
        best, chosen = values[block], np.empty(values[block].shape, tap_dtype)
        chosen[...] = windows.first_taps()  # what an all -inf window chooses
        for tap, (outs, pixels) in enumerate(windows.taps):
            candidates = np.ascontiguousarray(planes[block][pixels])
            wins = candidates > best[outs]
            wins |= np.isnan(candidates)
            np.maximum(best[outs], candidates, out=best[outs])
            np.maximum(chosen[outs], wins * tap_dtype.type(tap), out=chosen[outs])
        np.add(windows.tap_positions()[chosen], windows.origin_positions(), out=indices[block])
    shape = (*x.shape[: -len(windows.out)], *windows.out)
    return values.reshape(shape).astype(x.dtype, copy=False), indices.reshape(shape)


def adaptive_max_pool(x: np.ndarray, *, output: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of each bin of `x` (..., *spatial), and its int64 position in the flattened plane.

    Along each dimension bin i of n reaches from floor(i * size / n) up to, not including, ceil((i + 1) * size / n).
    Ties and NaN as in `max_pool`. Raises RuntimeError if the input has no pixels to fill the bins with.
    """
    bins = _bins(x.shape, output)
    lead, spatial = x.shape[: -len(bins)], x.shape[-len(bins) :]
    values = np.empty((*lead, *output), x.dtype)
    indices = np.empty(values.shape, np.int64)
    positions = np.arange(prod(spatial)).reshape(spatial)
    for at in np.ndindex(*output):
        window = tuple(edges[i] for edges, i in zip(bins, at))
        places = positions[window].reshape(-1)
        candidates = x[(..., *window)].reshape(*lead, len(places))
        chosen = _argmax(candidates)
        values[(..., *at)] = np.take_along_axis(candidates, chosen[..., None], -1)[..., 0]
        indices[(..., *at)] = places[chosen]
    return values, indices


def max_pool_scatter(g: np.ndarray, indices: np.ndarray, *, spatial: Sequence[int]) -> np.ndarray:
    """The adjoint of `max_pool_gather`: adds each value of `g` (..., *out) to its place in a plane of shape `spatial`.

    With the indices that a max pooling chose, this is that pooling's gradient. Raises IndexError if an index is out of
    range.
    """
    size = prod(spatial)
    _check_indices(indices, size)
    lead = g.shape[: -len(spatial)]
    starts = np.arange(0, prod(lead) * size, size).reshape(*lead, *(1 for _ in spatial))
    total = np.zeros(prod(lead) * size, _computing(g.dtype))
    np.add.at(total, (indices + starts).reshape(-1), g.reshape(-1).astype(total.dtype, copy=False))
    return total.reshape(*lead, *spatial).astype(g.dtype, copy=False)


def max_pool_gather(x: np.ndarray, indices: np.ndarray, *, dims: int) -> np.ndarray:
    """The values of `x` (..., *spatial), with `dims` spatial dimensions, at `indices` (..., *out).

    Raises IndexError if an index is out of range.
    """
    lead, size = x.shape[:-dims], prod(x.shape[-dims:])
    _check_indices(indices, size)
    flat_indices = indices.reshape(*lead, prod(indices.shape[-dims:]))
    return np.take_along_axis(x.reshape(*lead, size), flat_indices, -1).reshape(indices.shape)


def avg_pool(
    x: np.ndarray,
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """The mean of each window of `x` (..., *spatial).

    The divisor is the number of pixels in the window, with those of the padding if `count_include_pad` (never those
    beyond it that `ceil_mode` reaches), or else `divisor_override`. Raises RuntimeError if the windows do not fit or
    the divisor is zero.
    """
    windows = _Windows(x.shape, kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    divisor = windows.divisor(count_include_pad, divisor_override)
    planes = x.reshape(-1, *windows.spatial)
    means = np.empty((len(planes), *windows.out), x.dtype)
    for block in _blocks(planes):
        total = np.zeros(means[block].shape, _computing(x.dtype))
        for outs, pixels in windows.taps:
            total[outs] += planes[block][pixels]
        total /= divisor
        means[block] = total
    return means.reshape(*x.shape[: -len(windows.out)], *windows.out)


def avg_pool_grad(
    g: np.ndarray,
    *,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """The adjoint of `avg_pool`: maps `g` (..., *out) to `input_shape`."""
    windows = _Windows(input_shape, kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    divisor = windows.divisor(count_include_pad, divisor_override)
    planes = g.reshape(-1, *windows.out)
    grad = np.empty((len(planes), *windows.spatial), g.dtype)
    for block in _blocks(grad):
        share = planes[block].astype(_computing(g.dtype)) / divisor
        total = np.zeros(grad[block].shape, share.dtype)
        for outs, pixels in windows.taps:
            total[pixels] += share[outs]
        grad[block] = total
    return grad.reshape(tuple(input_shape))


def adaptive_avg_pool(x: np.ndarray, *, output: Sequence[int]) -> np.ndarray:
    """The mean of each bin of `x` (..., *spatial); the bins are those of `adaptive_max_pool`.

    Raises RuntimeError if the input has no pixels to fill the bins with.
    """
    bins = _bins(x.shape, output)
    total = x.astype(_computing(x.dtype), copy=False)
    for axis, edges in enumerate(bins, start=x.ndim - len(bins)):
        sums = np.empty((*total.shape[:axis], len(edges), *total.shape[axis + 1 :]), total.dtype)
        rows, into = np.moveaxis(total, axis, 0), np.moveaxis(sums, axis, 0)
        for i, edge in enumerate(edges):
            np.add.reduce(rows[edge], axis=0, out=into[i, ...])
        total = sums
    total /= _area(bins)
    return total.astype(x.dtype, copy=False)


def adaptive_avg_pool_grad(g: np.ndarray, *, input_shape: Sequence[int], output: Sequence[int]) -> np.ndarray:
    """The adjoint of `adaptive_avg_pool`: maps `g` (..., *output) to `input_shape`."""
    bins = _bins(input_shape, output)
    share = g.astype(_computing(g.dtype), copy=False) / _area(bins)
    for axis, edges in enumerate(bins, start=g.ndim - len(bins)):
        total = np.zeros((*share.shape[:axis], input_shape[axis], *share.shape[axis + 1 :]), share.dtype)
        rows = np.moveaxis(total, axis, 0)
        for edge, row in zip(edges, np.moveaxis(share, axis, 0)):
            rows[edge] += row
        share = total
    return share.astype(g.dtype, copy=False)


class _Windows:
    """Where the windows lie in a plane.

    `taps` has, for each tap of the window in row-major order, an index of the outputs for which it meets a pixel, and
    one of those pixels; both into arrays of planes.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        ceil_mode: bool,
    ) -> None:
        _check_window(kernel, stride, padding, dilation)
        self.kernel, self.dilation = kernel, dilation
        self.spatial = tuple(input_shape[-len(kernel) :])
        axes = list(zip(self.spatial, kernel, stride, padding, dilation))
        self.out = tuple(_pool_size(*axis, ceil_mode=ceil_mode) for axis in axes)
        if min(self.out) < 1:
            raise RuntimeError(
                f"pool: windows of {tuple(kernel)} with dilation {tuple(dilation)} and padding {tuple(padding)} do not "
                f"fit into an input of {self.spatial}: the output would have the size {self.out}"
            )
        self.origins = [np.arange(o) * s - p for o, s, p in zip(self.out, stride, padding)]  # negative on padding
        first_pixels = [np.where(at < 0, at % d, at) for at, d in zip(self.origins, dilation)]
        if any(at.max() >= size for at, size in zip(first_pixels, self.spatial)):
            raise RuntimeError(
                f"pool: windows of {tuple(kernel)} with stride {tuple(stride)}, padding {tuple(padding)} and dilation "
                f"{tuple(dilation)} step over all pixels of an input of {self.spatial}; use less padding"
            )
        self.ends = [np.minimum(at + k, size + p) for at, (size, k, _, p, _) in zip(self.origins, axes)]
        axis_taps = [_axis_taps(*axis, out=out) for axis, out in zip(axes, self.out)]
        self.taps = [
            ((slice(None), *(outs for outs, _ in tap)), (slice(None), *(pixels for _, pixels in tap)))
            for tap in product(*axis_taps)
        ]

    def divisor(self, count_include_pad: bool, override: int | None) -> np.ndarray | int:
        """What the sum of each window is divided by; raises RuntimeError if that is zero."""
        if override == 0:
            raise RuntimeError("divisor_override must not be zero; leave it out to divide by the window's size")
        if override is not None:
            return override
        if count_include_pad:
            return _outer(np.multiply, [end - at for at, end in zip(self.origins, self.ends)])
        return _outer(
            np.multiply,
            [np.minimum(end, n) - np.maximum(at, 0) for at, end, n in zip(self.origins, self.ends, self.spatial)],
        )

    def first_taps(self) -> np.ndarray:
        """For each output the number of the first tap that meets a pixel."""
        first = [np.maximum(0, -(at // d)) for at, d in zip(self.origins, self.dilation)]
        return _outer(np.add, [tap * line for tap, line in zip(first, _lines(self.kernel))])

    def tap_positions(self) -> np.ndarray:
        """For each tap the distance from its window's first tap, in the flattened plane."""
        lines = _lines(self.spatial)
        return _outer(np.add, [np.arange(k) * (d * n) for k, d, n in zip(self.kernel, self.dilation, lines)]).reshape(
            -1
        )

    def origin_positions(self) -> np.ndarray:
        """For each output the position of its window's first tap, in the flattened plane."""
        return _outer(np.add, [at * n for at, n in zip(self.origins, _lines(self.spatial))])


def _check_window(
    kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> None:
    if min(*kernel, *stride, *dilation) < 1:
        raise RuntimeError(
            f"pool: kernel_size {tuple(kernel)}, stride {tuple(stride)} and dilation {tuple(dilation)} must be "
            "greater than zero"
        )
    for k, p, d in zip(kernel, padding, dilation):
        if not 0 <= p <= (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                "pad must be non-negative and should be at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={k} and dilation={d}"
            )


def _pool_size(size: int, kernel: int, stride: int, padding: int, dilation: int, *, ceil_mode: bool) -> int:
    if not ceil_mode:
        return output_size(size, kernel, stride, padding, dilation)
    out = output_size(size + stride - 1, kernel, stride, padding, dilation)
    return out - ((out - 1) * stride >= size + padding)  # a window must begin on a pixel or on the padding before


def _axis_taps(
    size: int, kernel: int, stride: int, padding: int, dilation: int, *, out: int
) -> list[tuple[slice, slice]]:
    """For each tap along one axis, the outputs for which it meets a pixel, and those pixels."""
    taps = []
    for offset in range(-padding, kernel * dilation - padding, dilation):
        first = max(0, -(offset // stride))
        stop = max(first, min(out, (size - 1 - offset) // stride + 1))
        taps.append((slice(first, stop), slice(first * stride + offset, stop * stride + offset, stride)))
    return taps


def _bins(input_shape: Sequence[int], output: Sequence[int]) -> list[list[slice]]:
    """The bins of an adaptive pooling along each of the last dimensions."""
    spatial = tuple(input_shape[-len(output) :])
    if 0 in spatial or min(output) < 0:
        raise RuntimeError(
            f"adaptive pool: cannot pool an input of spatial size {spatial} to {tuple(output)}; the input must not be "
            "empty, nor the output sizes negative"
        )
    return [[slice(i * n // bins, -(-(i + 1) * n // bins)) for i in range(bins)] for n, bins in zip(spatial, output)]


def _area(bins: list[list[slice]]) -> np.ndarray:
    return _outer(np.multiply, [np.array([edge.stop - edge.start for edge in edges]) for edges in bins])


def _argmax(rows: np.ndarray) -> np.ndarray:
    """The position of each row's first maximum, or of its last NaN."""
    nans = np.isnan(rows)
    if not nans.any():
        return rows.argmax(-1)
    last_nan = rows.shape[-1] - 1 - nans[..., ::-1].argmax(-1)
    return np.where(nans.any(-1), last_nan, rows.argmax(-1))


def _check_indices(indices: np.ndarray, size: int) -> None:
    if indices.size and not 0 <= indices.min() <= indices.max() < size:
        raise IndexError(
            f"max_pool: the indices run from {indices.min()} to {indices.max()}, but the positions in a plane from 0 "
            f"to {size - 1}"
        )


def _computing(dtype: np.dtype) -> np.dtype:
    return np.result_type(dtype, np.float32)


def _lines(shape: Sequence[int]) -> list[int]:
    """How far one step along each axis goes in the flattened plane."""
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _outer(operation: np.ufunc, axes: list[np.ndarray]) -> np.ndarray:
    """Combines a vector for each axis into one array over all of them."""
    return reduce(operation.outer, axes)


def _blocks(planes: np.ndarray) -> Iterator[slice]:
    length = max(1, _BLOCK_BYTES // max(1, prod(planes.shape[1:]) * planes.itemsize))
    for start in range(0, len(planes), length):
        yield slice(start, start + length)
