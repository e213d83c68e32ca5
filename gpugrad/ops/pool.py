"""Pooling: the largest value or the mean of windows, or of a given number of bins.

Max pooling finds values and positions; its gradient is scattered to the positions. Scattering and gathering are adjoint.
Average pooling is linear, with an adjoint of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..op import op
from . import pool_numpy
from .elementwise import not_implemented
from .spatial import batched, per_dim

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]

Sizes = tuple[int, ...]
Pooled = tuple[Sizes, ...]  # kernel, stride, padding and dilation of a max pooling; of an adaptive one its output size

# ---- the largest value ----


@op(outputs=2)
def _max_pool(
    x: Any, *, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Any, Any]:
    return pool_numpy.max_pool(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


@op(outputs=2)
def _adaptive_max_pool(x: Any, *, output: Sizes) -> tuple[Any, Any]:
    return pool_numpy.adaptive_max_pool(x, output=output)


@op(name="max_pool_gather")
def _gather(x: Any, indices: Any, *, dims: int) -> Any:
    """The values of `x` at `indices` into its flattened planes of `dims` dimensions."""
    return pool_numpy.max_pool_gather(x, indices, dims=dims)


@op(name="max_unpool")
def _scatter(x: Any, indices: Any, *, spatial: Sizes, pooled: Pooled | None = None) -> Any:
    """The adjoint of `_gather`, into planes of shape `spatial`.

    `pooled`, of the max pooling that found the indices, says which windows can have chosen a pixel.
    """
    return pool_numpy.max_pool_scatter(x, indices, spatial=spatial)


_gather.defvjp(x=lambda g, x_shape, indices, *, dims: _scatter(g, indices, spatial=tuple(x_shape[-dims:])))
_scatter.defvjp(x=lambda g, indices, *, spatial: _gather(g, indices, dims=len(spatial)))


@op
def _values(x: Any, values: Any, indices: Any, *, pooled: Pooled) -> Any:
    """`values`, fresh from pooling `x`, as the function of `x` that they are."""
    return values


_values.defvjp(
    x=lambda g, x_shape, indices, *, pooled: _scatter(
        g, indices, spatial=tuple(x_shape[-len(pooled[0]) :]), pooled=pooled
    )
)


def _check_pooled(name: str, input: Any, dims: int) -> None:
    """RuntimeError unless there is something to pool."""
    if 0 in input.shape[1:]:
        raise RuntimeError(
            f"{name}: Expected {dims + 1}D or {dims + 2}D tensor with no empty dimension but the batch for input, "
            f"but got: {list(input.shape)}"
        )


def _max_pooled(
    input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, dims: int
) -> Any:
    """Values and indices."""
    name = f"max_pool{dims}d"
    _check_pooled(name, input, dims)
    kernel = per_dim(kernel_size, dims, "kernel_size")
    window = {
        "kernel": kernel,
        "stride": kernel if stride is None or stride == [] else per_dim(stride, dims, "stride"),
        "padding": per_dim(padding, dims, "padding"),
        "dilation": per_dim(dilation, dims, "dilation"),
        "ceil_mode": ceil_mode,
    }

    def pooled(x: Any) -> Any:
        values, indices = _max_pool(x, **window)
        return _values(x, values, indices, pooled=tuple(window.values())[:4]), indices

    return batched(pooled, input, dims, name)


def _max_pool_function(dims: int) -> Any:
    def max_pool(
        input: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        values, indices = _max_pooled(input, kernel_size, stride, padding, dilation, ceil_mode, dims)
        return (values, indices) if return_indices else values

    max_pool.__doc__ = f"""The largest value of each window over the last {dims} dimensions of (N, C, *) or (C, *).

    With `return_indices` also its position in the flattened plane. Padding never wins. RuntimeError if the windows do
    not fit, or for padding of more than half a window.
    """
    return _named(max_pool, f"max_pool{dims}d")


def _max_pool_with_indices_function(dims: int) -> Any:
    def max_pool_with_indices(
        input: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = True,
    ) -> Any:
        return _max_pooled(input, kernel_size, stride, padding, dilation, ceil_mode, dims)

    max_pool_with_indices.__doc__ = f"`max_pool{dims}d` with `return_indices`."
    return _named(max_pool_with_indices, f"max_pool{dims}d_with_indices")


def _named(function: Any, name: str) -> Any:
    function.__name__ = function.__qualname__ = name
    return function


max_pool1d, max_pool2d, max_pool3d = map(_max_pool_function, (1, 2, 3))
max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = map(
    _max_pool_with_indices_function, (1, 2, 3)
)


def _adaptive_sizes(input: Any, output_size: Any, dims: int) -> Sizes:
    """The output sizes, where None stands for the input's."""
    sizes = (output_size,) * dims if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(sizes) != dims:
        raise RuntimeError(f"adaptive pooling: output_size must be an int or {dims} ints, but got {output_size}")
    return tuple(n if size is None else size for size, n in zip(sizes, input.shape[-dims:]))


def _adaptive_max_function(dims: int) -> Any:
    name = f"adaptive_max_pool{dims}d"

    def adaptive_max_pool(input: Any, output_size: Any, return_indices: bool = False) -> Any:
        output = _adaptive_sizes(input, output_size, dims)
        if input.dtype.numpy not in FLOATS:
            raise not_implemented(name, input.dtype.numpy)

        def pooled(x: Any) -> Any:
            values, indices = _adaptive_max_pool(x, output=output)
            return _values(x, values, indices, pooled=(output,)), indices

        values, indices = batched(pooled, input, dims, name)
        return (values, indices) if return_indices else values

    adaptive_max_pool.__doc__ = f"""The largest value of each of `output_size` bins over the last {dims} dimensions.

    None in `output_size` keeps a size. With `return_indices` also the position in the flattened plane. RuntimeError
    if there is nothing to pool.
    """
    return _named(adaptive_max_pool, name)


adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = map(_adaptive_max_function, (1, 2, 3))


def _unpool_function(dims: int) -> Any:
    name = f"max_unpool{dims}d"

    def max_unpool(
        input: Any,
        indices: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Any:
        if tuple(input.shape) != tuple(indices.shape):
            raise RuntimeError(
                f"Expected shape of indices to be the same as that of the input, {list(input.shape)}, but got "
                f"{list(indices.shape)}"
            )
        kernel = per_dim(kernel_size, dims, "kernel_size")
        stride = kernel if stride is None else per_dim(stride, dims, "stride")
        padding = per_dim(padding, dims, "padding")
        if output_size is None:
            axes = zip(input.shape[-dims:], kernel, stride, padding)
            size = tuple((n - 1) * s + k - 2 * p for n, k, s, p in axes)
        else:
            size = tuple(output_size)[-dims:]
        return _scatter(input, indices, spatial=size)

    max_unpool.__doc__ = f"""The values of a `max_pool{dims}d` back at their `indices`, zeros elsewhere.

    RuntimeError if the shapes differ, IndexError for an index out of range.
    """
    return _named(max_unpool, name)


max_unpool1d, max_unpool2d, max_unpool3d = map(_unpool_function, (1, 2, 3))


# ---- the mean ----


@op
def _avg_pool(
    x: Any,
    *,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    return pool_numpy.avg_pool(
        x,
        kernel=kernel,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


@op
def _avg_unpool(x: Any, *, shape: Sizes, window: dict[str, Any]) -> Any:
    """The adjoint of `_avg_pool`, whose input had `shape`."""
    return pool_numpy.avg_pool_grad(x, input_shape=shape, **window)


_avg_pool.defvjp(
    x=lambda g, x_shape, *, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override: _avg_unpool(
        g,
        shape=x_shape,
        window={
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "ceil_mode": ceil_mode,
            "count_include_pad": count_include_pad,
            "divisor_override": divisor_override,
        },
    )
)
_avg_unpool.defvjp(x=lambda g, *, window: _avg_pool(g, **window))


def _avg_pool_function(dims: int) -> Any:
    name = f"avg_pool{dims}d"

    def avg_pool(
        input: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        _check_pooled(name, input, dims)
        kernel = per_dim(kernel_size, dims, "kernel_size")
        window = {
            "kernel": kernel,
            "stride": kernel if stride is None or stride == [] else per_dim(stride, dims, "stride"),
            "padding": per_dim(padding, dims, "padding"),
            "ceil_mode": ceil_mode,
            "count_include_pad": count_include_pad,
            "divisor_override": divisor_override,
        }
        return batched(lambda x: _avg_pool(x, **window), input, dims, name)

    avg_pool.__doc__ = f"""The mean of each window over the last {dims} dimensions of (N, C, *) or (C, *).

    The divisor is the size of the window, less the padding unless `count_include_pad`, or `divisor_override`.
    RuntimeError if the windows do not fit, or for padding of more than half a window.
    """
    return _named(avg_pool, name)


avg_pool1d, avg_pool2d, avg_pool3d = map(_avg_pool_function, (1, 2, 3))


@op
def _adaptive_avg_pool(x: Any, *, output: Sizes) -> Any:
    return pool_numpy.adaptive_avg_pool(x, output=output)


@op
def _adaptive_avg_unpool(x: Any, *, shape: Sizes, output: Sizes) -> Any:
    """The adjoint of `_adaptive_avg_pool`, whose input had `shape`."""
    return pool_numpy.adaptive_avg_pool_grad(x, input_shape=shape, output=output)


_adaptive_avg_pool.defvjp(x=lambda g, x_shape, *, output: _adaptive_avg_unpool(g, shape=x_shape, output=output))
_adaptive_avg_unpool.defvjp(x=lambda g, *, output: _adaptive_avg_pool(g, output=output))


def _adaptive_avg_function(dims: int) -> Any:
    name = f"adaptive_avg_pool{dims}d"

    def adaptive_avg_pool(input: Any, output_size: Any) -> Any:
        output = _adaptive_sizes(input, output_size, dims)
        if input.dtype.numpy not in FLOATS:
            raise not_implemented(name, input.dtype.numpy)
        return batched(lambda x: _adaptive_avg_pool(x, output=output), input, dims, name)

    adaptive_avg_pool.__doc__ = f"""The mean of each of `output_size` bins over the last {dims} dimensions.

    None in `output_size` keeps a size. RuntimeError if there is nothing to pool.
    """
    return _named(adaptive_avg_pool, name)


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_function, (1, 2, 3))


# ---- the p-norm ----


def _lp_pool_function(dims: int) -> Any:
    average = (avg_pool1d, avg_pool2d)[dims - 1]

    def lp_pool(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
        size = int(np.prod(per_dim(kernel_size, dims, "kernel_size")))
        return (average(input**norm_type, kernel_size, stride, 0, ceil_mode) * size) ** (1 / norm_type)

    lp_pool.__doc__ = f"The `norm_type`-norm of each window over the last {dims} dimensions."
    return _named(lp_pool, f"lp_pool{dims}d")


lp_pool1d, lp_pool2d = map(_lp_pool_function, (1, 2))
