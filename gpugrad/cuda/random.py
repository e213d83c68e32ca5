"""Launchers of kernels/random.cu: random fills and dropout masks. What they draw is the device's own, not PyTorch's.

Arguments are checked, and refused, by the functions of `random_cpu`; probabilities in a device array are not looked at.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random_cpu
from ..dtypes import FLOATS, LOW_PRECISION
from ..ops.dropout import channel_mask
from ..ops.random import dropout_mask, empty_beside, random_fill
from ..random_engine import Mt19937
from .array import DeviceArray, empty, from_numpy, full
from .module import Kernel, blocks_for, cuda_name, kernels
from .philox import Philox

_THREADS = 256  # kFillThreads
_Draw = tuple[Kernel, int, Any]  # a fill, the elements that a thread makes at a time, the draw as the kernel takes it


@random_fill.kernel
def _(target: DeviceArray, *, name: str, options: dict[str, Any], generator: Philox) -> None:
    if not target.flags.c_contiguous and any(s == 0 and n > 1 for s, n in zip(target.strides, target.shape)):
        raise RuntimeError(f"{name} cannot write to a read-only array, such as an expanded one; copy it first")
    given = options.get("p")
    if isinstance(given, (DeviceArray, np.ndarray)):
        given = _laid_out_as(target, from_numpy(given) if isinstance(given, np.ndarray) else given)
        draw = _bernoulli_each(target.dtype, given.dtype, target.size, generator.device)
    else:
        given, draw = None, _draw(name, target.dtype, tuple(options.items()), generator.device)
    if target.size:
        _fill(target, draw, generator, given)


@dropout_mask.kernel
def _(x: DeviceArray, *, p: float, generator: Philox) -> DeviceArray:
    return _mask(_like(x, x.dtype), p, generator)


@channel_mask.kernel
def _(x: DeviceArray, *, p: float, generator: Philox) -> DeviceArray:
    return _mask(empty(x.shape[:2] + (1,) * (x.ndim - 2), x.dtype), p, generator)


@empty_beside.kernel
def _(x: DeviceArray, *, dtype: Any) -> DeviceArray:
    return _like(x, dtype)


def _mask(mask: DeviceArray, p: float, generator: Philox) -> DeviceArray:
    if not 0 < p < 1:
        return full(mask.shape, float(p == 0), mask.dtype)
    if mask.size:
        _fill(mask, _scaled_bernoulli(mask.dtype, p, generator.device), generator)
    return mask


# ---- where the numbers go ----


def _fill(target: DeviceArray, draw: _Draw, generator: Philox, given: DeviceArray | None = None) -> None:
    """Fill an array with elements in the order of memory, or of its indices if it has gaps."""
    dense = target.flags.c_contiguous or _permuted(target) is not None
    out = target if dense else empty(target.shape, target.dtype)
    kernel, each, packed = draw
    grid = blocks_for(out.size, _THREADS * each, 32)  # more than are resident: they do not end together
    kernel(grid, (_THREADS,), (generator.state, np.int64(out.size), out, packed, given))
    if not dense:
        target[...] = out


def _permuted(x: DeviceArray) -> list[int] | None:
    """The dims of `x` from the slowest to the fastest if its elements fill a stretch of memory, else None."""
    dims = sorted(range(x.ndim), key=lambda d: (-x.strides[d], d))
    expected = x.itemsize
    for d in reversed(dims):
        if x.shape[d] != 1 and x.strides[d] != expected:
            return None
        expected *= x.shape[d]
    return dims


def _like(x: DeviceArray, dtype: Any) -> DeviceArray:
    """An uninitialised array like `x`, in its layout if that has no gaps."""
    dims = None if x.flags.c_contiguous else _permuted(x)
    if dims is None:
        return empty(x.shape, dtype)
    return empty([x.shape[d] for d in dims], dtype).transpose([dims.index(d) for d in range(x.ndim)])


# ---- what is drawn ----


@functools.cache
def _no_words() -> Mt19937:
    """The generator of fills without elements, which check their arguments and draw nothing."""
    return Mt19937()


@functools.lru_cache(maxsize=1024)
def _draw(name: str, dtype: Any, options: tuple[tuple[str, Any], ...], device: int) -> _Draw:
    """The draw called `name` in `random_cpu`, its arguments checked."""
    getattr(random_cpu, name)(np.empty(0, dtype), **dict(options), generator=_no_words())
    return _MAKERS[name](dtype, **dict(options))


def _made(struct: str, dtype: Any, each: int, fields: Any) -> _Draw:
    """A draw of the kernel's type `struct` with these fields; `each` of its elements come from one Philox block."""
    name = cuda_name(dtype)
    (kernel,) = kernels("random.cu", f"gpugrad::fill<gpugrad::{struct}, {name}>")
    return kernel, max(each, 16 // dtype.itemsize), _packed(fields)


def _packed(fields: np.ndarray) -> Any:
    """A struct as a kernel takes it by value."""
    return fields.view(np.dtype((np.void, fields.nbytes)))[0]


def _real(struct: str, *names: str, defaults: tuple[float, ...]) -> Callable[..., _Draw]:
    """A draw of floating numbers whose parameters have the type that the kernel computes in."""

    def make(dtype: Any, **options: float) -> _Draw:
        compute = np.dtype(np.float32) if dtype in LOW_PRECISION else dtype
        values = [options.get(name, default) for name, default in zip(names, defaults)]
        each = 2 if compute == np.float64 else 4
        with np.errstate(over="ignore"):
            return _made(f"{struct}<{cuda_name(dtype)}>", dtype, each, np.array(values, compute))

    return make


def _exponential(dtype: Any, lambd: float = 1.0) -> _Draw:
    return _real("Exponential", "mean", defaults=(1.0,))(dtype, mean=1.0 / lambd)


def _geometric(dtype: Any, p: float) -> _Draw:
    return _made(f"Geometric<{cuda_name(dtype)}>", dtype, 2, np.array([-1.0 / math.log1p(-p)]))


def _bernoulli(dtype: Any, p: float = 0.5, one: float = 1.0) -> _Draw:
    fields = np.zeros(1, [("below", np.uint64), ("one", np.float64)])
    fields["below"], fields["one"] = round(p * 2.0**32), one
    return _made(f"Bernoulli<{cuda_name(dtype)}>", dtype, 4, fields)


@functools.lru_cache(maxsize=1024)
def _scaled_bernoulli(dtype: Any, p: float, device: int) -> _Draw:
    """A dropout mask of probability `p`."""
    return _bernoulli(dtype, 1 - p, float(dtype.type(1 / (1 - p))) if dtype in FLOATS else 1.0)


def _random(dtype: Any, low: int | None = None, high: int | None = None) -> _Draw:
    low, span = random_cpu.integer_span(dtype, low, high)
    fields = np.zeros(1, [("span", np.uint64), ("low", np.int64)])
    fields["span"], fields["low"] = span % 2**64, low
    return _made(f"Integers<{cuda_name(dtype)}>", dtype, 2, fields)


@functools.lru_cache(maxsize=1024)
def _bernoulli_each(dtype: Any, given: Any, size: int, device: int) -> _Draw:
    """A draw whose probabilities are in an array of the dtype `given`."""
    random_cpu.bernoulli_(np.empty(0, dtype), np.empty((), given), generator=_no_words())
    struct = f"BernoulliEach<{cuda_name(dtype)}, {cuda_name(given)}>"
    return _made(struct, dtype, 2 if given == np.float64 else 4, np.array([size], np.int64))


def _laid_out_as(target: DeviceArray, given: DeviceArray) -> DeviceArray:
    """`given`, broadcast, with its elements in the order in which those of the target are filled."""
    try:
        wide: Any = np.broadcast_to(given, target.shape)
    except ValueError:
        raise RuntimeError(f"bernoulli_: p of shape {given.shape} does not broadcast to {target.shape}") from None
    order = None if target.flags.c_contiguous else _permuted(target)
    if order is not None:
        wide = wide.transpose(order)
    return wide if wide.flags.c_contiguous else wide.copy()


_MAKERS: dict[str, Callable[..., _Draw]] = {
    "uniform_": _real("Uniform", "low", "high", defaults=(0.0, 1.0)),
    "normal_": _real("Normal", "mean", "std", defaults=(0.0, 1.0)),
    "log_normal_": _real("LogNormal", "mean", "std", defaults=(1.0, 2.0)),
    "exponential_": _exponential,
    "cauchy_": _real("Cauchy", "median", "sigma", defaults=(0.0, 1.0)),
    "geometric_": _geometric,
    "bernoulli_": _bernoulli,
    "random_": _random,
}
