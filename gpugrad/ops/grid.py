"""Sampling of images at points of a grid. Jaderberg et al., https://arxiv.org/abs/1506.02025."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..core import Tensor
from ..dtypes import int64
from .arithmetic import abs
from .compare import choose
from .create import ones
from .extrema import clamp
from .gather import gather
from .join import stack
from .matmul import matmul
from .ranges import arange, linspace
from .shape import expand, reshape, transpose
from .unary import floor, round

__all__ = ["affine_grid", "grid_sample"]

_DEFAULT_CORNERS = (
    "Default {name} behavior has changed to align_corners=False since 1.3.0. Please specify align_corners=True if the "
    "old behavior is desired."
)


# ------------------------------------------------------------------------------------------------------ affine grid


def _centres(size: int, align_corners: bool, like: Any) -> Any:
    """Where the `size` pixels of a dimension lie in [-1, 1]."""
    if size <= 1:
        return arange(size, dtype=like.dtype, device=like.device) * 0
    points = linspace(-1, 1, size, dtype=like.dtype, device=like.device)
    return points if align_corners else points * ((size - 1) / size)


def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Any:
    """Points of a (N, *spatial) image in the coordinates of another, by the affine maps `theta`.

    `theta` (N, 2, 3) and `size` (N, C, H, W) give (N, H, W, 2); (N, 3, 4) and (N, C, D, H, W) give (N, D, H, W, 3).
    RuntimeError or ValueError for other shapes.
    """
    if align_corners is None:
        warnings.warn(_DEFAULT_CORNERS.format(name="affine_grid"), UserWarning, stacklevel=2)
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    dims = len(size) - 2
    if dims not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{list(size)}."
        )
    if tuple(theta.shape[1:]) != (dims, dims + 1) or theta.ndim != 3:
        raise ValueError(
            f"Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size {list(size)}. Got "
            f"{list(theta.shape)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {list(size)}")
    batch, _, *spatial = size
    columns = []
    for k, n in reversed(list(enumerate(spatial))):  # x first
        shape = [1] * dims
        shape[k] = n
        columns.append(expand(reshape(_centres(n, align_corners, theta), shape), spatial))
    columns.append(ones(*spatial, dtype=theta.dtype, device=theta.device))
    points = reshape(stack(columns, -1), (1, math.prod(spatial), dims + 1))
    return reshape(matmul(points, transpose(theta, 1, 2)), (batch, *spatial, dims))


# ------------------------------------------------------------------------------------------------------ grid sample


def _pixels(x: Any, size: int, align_corners: bool) -> Any:
    """Coordinates in [-1, 1] as places among `size` pixels."""
    return (x + 1) * ((size - 1) / 2) if align_corners else ((x + 1) * size - 1) * 0.5


def _clipped(x: Any, size: int) -> Any:
    """`x` limited to the pixels; without a gradient at the ends and beyond."""
    return choose((x > 0) & (x < size - 1), x, clamp(x.detach(), 0, size - 1))


def _reflected(x: Any, size: int, align_corners: bool) -> Any:
    """`x` mirrored at the ends until it is inside."""
    low, span = (0.0, size - 1) if align_corners else (-0.5, size)
    if span == 0:
        return x * 0
    distance = abs(x - low)
    turns = floor(distance.detach() / span)
    rest = distance - turns * span
    return choose(turns % 2 == 0, rest, span - rest) + low


def _within(x: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    if padding_mode == "border":
        return _clipped(x, size)
    if padding_mode == "reflection":
        return _clipped(_reflected(x, size, align_corners), size)
    return x


def _fetch(image: Any, places: Sequence[Any], sizes: Sequence[int]) -> Any:
    """The pixels (N, C, points) of `image` (N, C, pixels) at whole `places`, (N, points) each; 0 outside."""
    index: Any = 0
    inside: Any = None
    for place, size in zip(places, sizes):
        here = (place >= 0) & (place <= size - 1)
        inside = here if inside is None else inside & here
        index = index * size + clamp(place, 0, size - 1)
    index = expand(index.to(int64).unsqueeze(1), (image.shape[0], image.shape[1], index.shape[1]))
    return choose(inside.unsqueeze(1), gather(image, 2, index), 0)


def _linear(image: Any, at: Sequence[Any], sizes: Sequence[int]) -> Any:
    lows = [floor(x.detach()) for x in at]
    total: Any = None
    for corner in itertools.product((0, 1), repeat=len(at)):
        weight: Any = 1
        for side, x, low in zip(corner, at, lows):
            weight = weight * (x - low if side else low + 1 - x)
        term = _fetch(image, [low + side for low, side in zip(lows, corner)], sizes) * weight.unsqueeze(1)
        total = term if total is None else total + term
    return total


def _nearest(image: Any, at: Sequence[Any], sizes: Sequence[int]) -> Any:
    out = _fetch(image, [round(x.detach()) for x in at], sizes)
    for x in at:  # the gradient of the grid is zero, not missing
        out = out + choose(x.detach().isfinite(), 0, x).unsqueeze(1)
    return out


_CUBIC = -0.75  # the slope at distance 1, PyTorch's


def _cubic_weights(t: Any) -> list[Any]:
    """The weights of the pixels at -1, 0, 1 and 2 for a point `t` beyond pixel 0."""

    def near(d: Any) -> Any:
        return ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1

    def far(d: Any) -> Any:
        return ((_CUBIC * d - 5 * _CUBIC) * d + 8 * _CUBIC) * d - 4 * _CUBIC

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _cubic(image: Any, at: Sequence[Any], sizes: Sequence[int], padding_mode: str, align_corners: bool) -> Any:
    lows = [floor(x.detach()) for x in at]
    weights = [_cubic_weights(x - low) for x, low in zip(at, lows)]
    total: Any = None
    for steps in itertools.product(range(4), repeat=2):
        places = [
            _within(low + (step - 1), size, padding_mode, align_corners) for low, step, size in zip(lows, steps, sizes)
        ]
        weight = weights[0][steps[0]] * weights[1][steps[1]]
        term = _fetch(image, places, sizes) * weight.unsqueeze(1)
        total = term if total is None else total + term
    return total


def _check(input: Any, grid: Any, mode: str, padding_mode: str) -> None:
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if input.ndim not in (4, 5) or grid.ndim != input.ndim:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[0] != input.shape[0] or grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.ndim - 2} in last dimension and the batch size of the "
            f"input, but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if mode == "bicubic" and input.ndim == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if input.dtype != grid.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has {input.dtype} and grid has "
            f"{grid.dtype}"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(input.shape)}"
        )


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """(N, C, H, W) at the points `grid` (N, H', W', 2), x before y, in [-1, 1]: (N, C, H', W'). In three dimensions too.

    `mode`: "bilinear", "nearest", "bicubic"; `padding_mode`, for points outside: "zeros", "border", "reflection".
    With `align_corners`, -1 and 1 are the centres of the outermost pixels, else their outer edges. ValueError for
    unknown modes, RuntimeError for shapes or dtypes that do not fit.
    """
    _check(input, grid, mode, padding_mode)
    if align_corners is None:
        warnings.warn(_DEFAULT_CORNERS.format(name="grid_sample and affine_grid"), UserWarning, stacklevel=2)
        align_corners = False
    sizes = tuple(input.shape[2:])
    batch, channels, points = input.shape[0], input.shape[1], tuple(grid.shape[1:-1])
    image = reshape(input, (batch, channels, math.prod(sizes)))
    flat = reshape(grid, (batch, math.prod(points), len(sizes)))
    at = [_pixels(flat[..., len(sizes) - 1 - k], size, align_corners) for k, size in enumerate(sizes)]
    if mode == "bicubic":
        out = _cubic(image, at, sizes, padding_mode, align_corners)
    else:
        at = [_within(x, size, padding_mode, align_corners) for x, size in zip(at, sizes)]
        out = (_linear if mode == "bilinear" else _nearest)(image, at, sizes)
    return reshape(out, (batch, channels, *points))
