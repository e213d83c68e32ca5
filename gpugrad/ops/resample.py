"""Other numbers of pixels: interpolation, and the exchange of channels for pixels.

Interpolation is separable and linear: along each dimension the output is a matrix times the input. The gradient is the
transposed matrix times the cotangent.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..op import op
from .elementwise import not_implemented
from .pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .shape import permute, reshape

__all__ = [
    "channel_shuffle",
    "interpolate",
    "pixel_shuffle",
    "pixel_unshuffle",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


# ---- where the pixels come from ----


class Weights(NamedTuple):
    """Which matrix (new, size) makes `new` pixels of a dimension out of `size`, or its transpose.

    `mode` is "nearest", "nearest-exact", "linear" or "cubic"; `scale` is new over old where the user gave it.
    """

    mode: str
    size: int
    new: int
    scale: float | None
    align_corners: bool = False
    transposed: bool = False

    @property
    def adjoint(self) -> Weights:
        return self._replace(transposed=not self.transposed)


def taps_of(weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """For each new pixel those it is made of, and their weights, both (new, taps); a pixel may be named twice.

    The same of both directions: `transposed` is not looked at.
    """
    if weights.mode.startswith("nearest"):
        return sources_of(weights)[:, None], np.ones((weights.new, 1))
    at, last = _positions(weights)[:, None], weights.size - 1
    if weights.mode == "linear":
        at = np.maximum(at, 0)
        low = np.minimum(at.astype(np.int64), last)
        return np.minimum(low + [0, 1], last), np.concatenate([1 - (at - low), at - low], 1)
    around = np.floor(at).astype(np.int64) + [-1, 0, 1, 2]
    return np.clip(around, 0, last), _cubic_weight(at - around)


@functools.lru_cache(maxsize=16)
def matrix_of(weights: Weights) -> np.ndarray:
    """The matrix, in float64; not to be written to."""
    matrix = np.zeros((weights.new, weights.size))
    pixels, values = taps_of(weights)
    np.add.at(matrix, (np.arange(weights.new)[:, None], pixels), values)
    return matrix.T if weights.transposed else matrix


@functools.lru_cache(maxsize=256)
def sources_of(weights: Weights) -> np.ndarray:
    """The pixel that is nearest to each new one."""
    index = np.arange(weights.new, dtype=np.float32)
    step = np.float32(1 / weights.scale if weights.scale else weights.size / weights.new)
    exact = np.float32(0.5 if weights.mode == "nearest-exact" else 0)
    return np.minimum(np.floor((index + exact) * step).astype(np.int64), weights.size - 1)


def _positions(weights: Weights) -> np.ndarray:
    """Where the centres of the new pixels lie among the old."""
    size, new, index = weights.size, weights.new, np.arange(weights.new)
    if weights.align_corners:
        return index * ((size - 1) / (new - 1)) if new > 1 else index * 0.0
    return (index + 0.5) * (1 / weights.scale if weights.scale else size / new) - 0.5


_CUBIC = -0.75  # the slope at distance 1, PyTorch's; Keys, IEEE Trans. ASSP 29 (1981)


def _cubic_weight(distance: np.ndarray) -> np.ndarray:
    d = np.abs(distance)
    near = ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1
    far = ((_CUBIC * d - 5 * _CUBIC) * d + 8 * _CUBIC) * d - 4 * _CUBIC
    return np.where(d <= 1, near, far)


_MODES = {"linear": (1, "linear"), "bilinear": (2, "linear"), "trilinear": (3, "linear"), "bicubic": (2, "cubic")}


# ---- one dimension at a time ----


@op
def resample_along(x: Any, *, weights: Weights, axis: int) -> Any:
    """The matrix of `weights` times `x` along `axis`."""
    wide = np.result_type(x.dtype, np.float32) if x.dtype in LOW_PRECISION else x.dtype
    lines = np.moveaxis(x, axis, -1).astype(wide, copy=False)
    out = np.moveaxis(np.matmul(lines, matrix_of(weights).T.astype(wide)), -1, axis)
    return np.ascontiguousarray(out, dtype=x.dtype)


resample_along.defvjp(x=lambda g, *, weights, axis: resample_along(g, weights=weights.adjoint, axis=axis))


@op
def pick_pixels(x: Any, *, weights: Weights, axis: int) -> Any:
    """The nearest elements along `axis`."""
    return np.take(x, sources_of(weights), axis=axis)


pick_pixels.defvjp(x=lambda g, *, weights, axis: resample_along(g, weights=weights.adjoint, axis=axis))


# ---- public ----


def _target(
    input: Any, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The new sizes, and the scale of each dimension where it counts. ValueError unless exactly one is given."""
    dims = input.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ValueError("only one of size or scale_factor should be defined, and one must be")
    if size is not None:
        sizes = (size,) * dims if isinstance(size, int) else tuple(size)
        scales: tuple[float | None, ...] = (None,) * dims
    else:
        scales = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (float(scale_factor),) * dims
        sizes = tuple(math.floor(n * s) for n, s in zip(input.shape[2:], scales))
    if len(sizes) != dims or len(scales) != dims:
        raise ValueError(
            f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {list(input.shape[2:])} and size={size}, scale_factor={scale_factor}"
        )
    if min(sizes) < 1 or 0 in input.shape[1:]:
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got {list(input.shape)} and {sizes}")
    return sizes, (None,) * dims if recompute else scales


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """(N, C, *) with other spatial sizes, given as such or as factors.

    `mode` is "nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic" or "area". ValueError for
    sizes or options that do not fit the mode, NotImplementedError for `antialias` or a mode that does not fit the
    dimensions.
    """
    if antialias:
        raise NotImplementedError("interpolate(antialias=True) is not supported; average before reducing the size")
    sizes, scales = _target(input, size, scale_factor, recompute_scale_factor)
    axes = list(zip(range(2, input.ndim), input.shape[2:], sizes, scales))
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[len(sizes) - 1](input, sizes)
    if mode in ("nearest", "nearest-exact"):
        for axis, old, new, scale in axes:
            input = pick_pixels(input, weights=Weights(mode, old, new, scale), axis=axis)
        return input
    if input.dtype.numpy not in FLOATS:
        raise not_implemented(f"interpolate(mode={mode!r})", input.dtype.numpy)
    dims, kind = _MODES.get(mode, (0, ""))
    if dims != len(sizes):
        raise NotImplementedError(
            f"interpolate: mode {mode!r} is not there for {len(sizes)} spatial dimensions; linear is for 1, bilinear "
            "and bicubic for 2, trilinear for 3, nearest, nearest-exact and area for any"
        )
    for axis, old, new, scale in axes:
        input = resample_along(input, weights=Weights(kind, old, new, scale, bool(align_corners)), axis=axis)
    return input


def _warn_of_old_name(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", UserWarning, stacklevel=3
    )


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Any:
    """`interpolate` under its old name. Warns."""
    _warn_of_old_name("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate(mode="nearest")` under its old name. Warns."""
    _warn_of_old_name("upsample_nearest")
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate(mode="bilinear", align_corners=True)` under its old name. Warns."""
    _warn_of_old_name("upsample_bilinear")
    return interpolate(input, size, scale_factor, "bilinear", True)


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(*, C * r * r, H, W) to (*, C, H * r, W * r). Shi et al., https://arxiv.org/abs/1609.05158.

    RuntimeError if the channels are no multiple of r * r.
    """
    *lead, channels, height, width = input.shape
    r = upscale_factor
    if channels % (r * r):
        raise RuntimeError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={channels} is not divisible by {r * r}"
        )
    n = len(lead)
    split = reshape(input, (*lead, channels // (r * r), r, r, height, width))
    moved = permute(split, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(moved, (*lead, channels // (r * r), height * r, width * r))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """The reverse of `pixel_shuffle`. RuntimeError if height or width are no multiple of the factor."""
    *lead, channels, height, width = input.shape
    r = downscale_factor
    if height % r or width % r:
        raise RuntimeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but got {height} x {width} "
            f"and {r}"
        )
    n = len(lead)
    split = reshape(input, (*lead, channels, height // r, r, width // r, r))
    moved = permute(split, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(moved, (*lead, channels * r * r, height // r, width // r))


def channel_shuffle(input: Any, groups: int) -> Any:
    """(N, groups * C, *) with the channels of the groups interleaved. https://arxiv.org/abs/1707.01083

    RuntimeError if the channels are no multiple of `groups`.
    """
    batch, channels, *spatial = input.shape
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    split = reshape(input, (batch, groups, channels // groups, *spatial))
    return reshape(permute(split, (0, 2, 1, *range(3, split.ndim))), tuple(input.shape))
