"""Categories, normal numbers around given means and Poisson numbers of given rates, drawn on the device.

The first two come out of the fills of `random.py`; the last have a kernel, kernels/poisson.cu.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import wrap
from ..dtypes import LOW_PRECISION
from ..ops.arithmetic import add, mul
from ..ops.cast import cast
from ..ops.cumulative import cumsum
from ..ops.random import draw_categories, draw_poisson, normal_around, random_fill
from ..ops.reduce_extrema import amax, argmax
from ..ops.sort import argsort, searchsorted
from ..random_sampling import check_multinomial, check_poisson
from . import bounds
from .array import DeviceArray, empty
from .copy import contiguous
from .module import blocks_for, cuda_name
from .rows import kernel
from .within import report_outside

_FLOAT32 = np.dtype(np.float32)
_BAD = "multinomial(): probability tensor contains either `inf`, `nan` or element < 0"
_RATE = "poisson(): invalid Poisson rate, expected rate to be non-negative"
_ZEROS = "multinomial(): invalid multinomial distribution (sum of probabilities <= 0): all of a row are 0"


def _filled(shape: Any, dtype: Any, name: str, generator: Any, **options: Any) -> DeviceArray:
    out = empty(tuple(shape), dtype)
    random_fill(out, name=name, options=options, generator=generator)
    return out


@draw_categories.kernel
def _(probs: Any, *, num_samples: int, replacement: bool, generator: Any) -> Any:
    check_multinomial(probs, num_samples, replacement)
    if not probs.size:
        return empty((*probs.shape[:-1], num_samples), np.dtype(np.int64))
    x = wrap(cast(probs, _FLOAT32) if probs.dtype in LOW_PRECISION else probs)
    limits = np.finfo(x._array.dtype)
    report_outside(x._array, 0, float(limits.max), _BAD)
    report_outside(amax(x, -1)._array, float(limits.smallest_subnormal), float("inf"), _ZEROS)
    if replacement and num_samples > 1:
        shares = cumsum(x, -1)
        shares = shares / shares[..., -1:]
        uniform = _filled((*probs.shape[:-1], num_samples), x._array.dtype, "uniform_", generator)
        return searchsorted(shares, wrap(uniform), right=True)._array  # the last share is 1, which none is
    scores = x / wrap(_filled(x.shape, x._array.dtype, "exponential_", generator))
    if num_samples == 1:
        return argmax(scores, -1, keepdim=True)._array
    return argsort(scores, -1, descending=True)._array[..., :num_samples].copy()


@normal_around.kernel
def _(mean: Any, std: Any, *, generator: Any) -> Any:
    dtype = mean.dtype if type(mean) is DeviceArray else std.dtype
    if type(std) is not DeviceArray:
        return add(mean, _filled(mean.shape, dtype, "normal_", generator, mean=0.0, std=std))
    mean, std = (cast(x, dtype) if type(x) is DeviceArray else x for x in (mean, std))
    report_outside(std, 0, float("inf"), "normal(): expects all elements of std >= 0.0")
    drawn = _filled(np.broadcast_shapes(np.shape(mean), std.shape), dtype, "normal_", generator)
    return add(mul(drawn, std), mean)


@draw_poisson.kernel
def _(rate: Any, *, generator: Any) -> Any:
    check_poisson(rate)
    out = empty(rate.shape, rate.dtype)
    if out.size:
        given = (
            generator.state,
            np.int64(out.size),
            contiguous(rate),
            out,
            bounds.words(),
            np.int32(bounds.number(_RATE)),
        )
        kernel("poisson.cu", f"poisson<{cuda_name(rate.dtype)}>")(blocks_for(out.size, 256), (256,), given)
    return out


__all__: list[str] = []
