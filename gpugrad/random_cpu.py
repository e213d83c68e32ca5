"""Random fills of NumPy arrays that draw, from the same seed, the numbers PyTorch draws on the CPU.

Every function fills `out` in place and returns it, whatever its strides: elements are drawn in the order of memory,
from the first to the last, as PyTorch's iterator walks a tensor. So a transposed array gets its numbers transposed.
`out` may be empty, in which case the arguments are checked and nothing is drawn. All arguments are checked before the
first draw.

The source of the formulas is PyTorch 2.13: ATen/core/TransformationHelper.h, ATen/native/DistributionTemplates.h and
ATen/native/cpu/DistributionTemplates.h.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Collection

import ml_dtypes
import numpy as np

from .dtypes import ALL, FLOATS, LOW_PRECISION
from .random_engine import Mt19937
from .random_math import box_muller32, box_muller64, fma, libm

_UNSIGNED = frozenset(np.dtype(d) for d in (np.uint16, np.uint32, np.uint64))
_ANY = frozenset(d.numpy for d in ALL)
_NUMBERS = _ANY - _UNSIGNED - {np.dtype(np.bool_)}
_BLOCK = 16  # elements of one Box-Muller block; with fewer, or strided ones, PyTorch draws normal numbers one by one
_WIDE = frozenset(np.dtype(d) for d in (np.int64, np.float64, np.float32, ml_dtypes.bfloat16))  # hold -2**63
_INT64_MIN, _INT64_END = -(2**63), 2**63
_LOG_MAX = math.log(sys.float_info.max)


def uniform_(out: np.ndarray, low: float = 0.0, high: float = 1.0, *, generator: Mt19937) -> np.ndarray:
    """Fill the floating array `out` with numbers uniform in `[low, high)`.

    One word an element, two for float64. Raises RuntimeError unless `low <= high` and both, and their difference, are
    finite in the dtype; NotImplementedError for other dtypes.
    """
    _check("uniform_", out, FLOATS)
    largest = float(ml_dtypes.finfo(out.dtype).max)
    for name, bound in (("low", low), ("high", high)):
        if not -largest <= bound <= largest:
            raise RuntimeError(f"uniform_ expects finite bounds, but {name}={bound} is out of bounds for {out.dtype}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [low, high) range, but found low={low:g} > high={high:g}")
    if high - low > largest:
        raise RuntimeError(f"uniform_ expects high - low <= {largest:g} for {out.dtype}, but found {high - low:g}")
    wide = out.dtype == np.float64
    start, end = np.array((low, high), np.float64 if wide else np.float32)
    uniforms = generator.uniform64(out.size) if wide else generator.uniform32(out.size)
    values = fma(uniforms, end - start, start).astype(out.dtype, copy=False)
    kind = values.dtype.type
    values[values == kind(end)] = kind(start)  # rounding may have reached the end, which does not belong to the range
    return _store(out, values)


def normal_(out: np.ndarray, mean: float = 0.0, std: float = 1.0, *, generator: Mt19937) -> np.ndarray:
    """Fill the floating array `out` with normal numbers.

    A C-contiguous array of 16 elements or more takes one word an element (two for float64) and turns blocks of 16 into
    normal numbers; if the size is no multiple of 16, the last 16 elements are drawn once more. Any other array takes
    pairs of float64 numbers whose second half is kept for the next such draw. Raises RuntimeError unless `std >= 0`;
    NotImplementedError for other dtypes.
    """
    _check("normal_", out, FLOATS)
    if not std >= 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std={std:g}")
    in_blocks = out.size >= _BLOCK and out.flags.c_contiguous
    values = _normal_blocks(out, generator) if in_blocks else generator.normal64(out.size)
    return _store(out, fma(values, std, mean))


def _normal_blocks(out: np.ndarray, generator: Mt19937) -> np.ndarray:
    """`out.size` standard normal numbers, as float64 for float64 and as float32 for the other dtypes."""
    wide = out.dtype == np.float64
    draw, transform = (generator.uniform64, box_muller64) if wide else (generator.uniform32, box_muller32)
    ragged = out.size % _BLOCK
    whole = out.size - ragged
    # Half precision fills block by block and draws nothing for the ragged end; the others draw it and throw it away.
    values = draw(whole if out.dtype in LOW_PRECISION else out.size)
    values[:whole] = transform(values[:whole])
    if ragged:
        values = np.concatenate((values[: out.size - _BLOCK], transform(draw(_BLOCK))))
    return values


def log_normal_(out: np.ndarray, mean: float = 1.0, std: float = 2.0, *, generator: Mt19937) -> np.ndarray:
    """Fill the floating array `out` with `exp` of normal numbers, drawn in pairs at any size.

    Raises RuntimeError unless `std > 0`; NotImplementedError for other dtypes.
    """
    _check("log_normal_", out, FLOATS)
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    normals = fma(generator.normal64(out.size), std, mean)
    values = libm("exp", np.minimum(normals, _LOG_MAX), out.dtype)
    values[normals > _LOG_MAX] = np.inf
    return _store(out, values)


def exponential_(out: np.ndarray, lambd: float = 1.0, *, generator: Mt19937) -> np.ndarray:
    """Fill the floating array `out` with exponential numbers of rate `lambd`, two words each.

    Raises RuntimeError unless `lambd > 0`; NotImplementedError for other dtypes.
    """
    _check("exponential_", out, FLOATS)
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    return _store(out, -1.0 / lambd * libm("log1p", -generator.uniform64(out.size), out.dtype))


def cauchy_(out: np.ndarray, median: float = 0.0, sigma: float = 1.0, *, generator: Mt19937) -> np.ndarray:
    """Fill the floating array `out` with Cauchy numbers, two words each.

    Raises RuntimeError unless `sigma > 0`; NotImplementedError for other dtypes.
    """
    _check("cauchy_", out, FLOATS)
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    return _store(out, fma(libm("tan", np.pi * (generator.uniform64(out.size) - 0.5), out.dtype), sigma, median))


def geometric_(out: np.ndarray, p: float, *, generator: Mt19937) -> np.ndarray:
    """Fill `out` with the number of trials up to the first success of probability `p`, two words each.

    Raises RuntimeError unless `0 < p < 1`; NotImplementedError for bool and for unsigned integers but uint8.
    """
    _check("geometric_", out, _NUMBERS)
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    with np.errstate(divide="ignore"):  # a uniform number of exactly 0 takes infinitely many trials
        return _store(out, np.ceil(np.log(generator.uniform64(out.size)) / math.log1p(-p)))


def bernoulli_(out: np.ndarray, p: float | np.ndarray = 0.5, *, generator: Mt19937) -> np.ndarray:
    """Fill `out` with 1 where a uniform number is below `p`, else 0.

    `p` is a number or a floating array that broadcasts to the shape of `out`. Two words an element if `p` is a number
    or a float64 array, one word for narrower arrays. Raises RuntimeError for a `p` outside [0, 1] or of a shape that
    does not broadcast; NotImplementedError for an integer `p` array, and for an `out` of unsigned integers but uint8.
    """
    _check("bernoulli_", out, _ANY - _UNSIGNED)
    if not isinstance(p, np.ndarray):
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
        return _store(out, generator.uniform64(out.size) < p)
    if p.dtype not in FLOATS:
        raise NotImplementedError(f"bernoulli_ expects probabilities of a floating dtype, but got {p.dtype}")
    try:
        chances = np.broadcast_to(p, out.shape)
    except ValueError:
        raise RuntimeError(f"bernoulli_: p of shape {p.shape} does not broadcast to {out.shape}") from None
    outside = ~((p >= 0) & (p <= 1))
    if out.size and outside.any():
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={float(p[outside][0]):g}")
    flat = chances.transpose(_memory_order(out)).ravel()
    uniforms = generator.uniform64(out.size) if p.dtype == np.float64 else generator.uniform32(out.size)
    return _store(out, uniforms < flat)


def dropout_mask_(out: np.ndarray, p: float = 0.5, *, generator: Mt19937) -> np.ndarray:
    """Fill `out` with 1 where dropout keeps an element and 0 where it drops it, which it does with probability `p`.

    The draws of `F.dropout`, whose noise has the strides of its input (`numpy.empty_like` gives them): two words an
    element, and none if `p` is 0 or 1. Raises ValueError for a `p` outside [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if 0 < p < 1:
        return bernoulli_(out, 1 - p, generator=generator)
    _check("dropout_mask_", out, _ANY)
    out[...] = p == 0
    return out


def random_(out: np.ndarray, low: int | None = None, high: int | None = None, *, generator: Mt19937) -> np.ndarray:
    """Fill `out` with integers uniform in `[low, high)`; PyTorch's `randint` is this too.

    Without `high` the range ends with the largest number of the dtype (for floats with the last of the consecutive
    integers, such as 2**24 for float32); with `high` alone it starts at 0. Spans of 2**28 and more take two words an
    element, smaller ones one; with neither bound, 8-byte dtypes take two and the others one.

    Raises RuntimeError for an empty range or one that exceeds the dtype, ValueError for bounds that int64 cannot hold
    and NotImplementedError for unsigned integers but uint8 if neither bound is given. Warns (UserWarning) where a float
    dtype cannot hold every integer of the range.
    """
    _check("random_", out, _ANY)
    dtype = out.dtype
    if low is None and high is None:
        _check("random_ without bounds", out, _ANY - _UNSIGNED)
        draw = generator.words64 if dtype.itemsize == 8 else generator.words
        words = draw(out.size)
        return _store(out, (words % words.dtype.type(_largest(dtype) + 1)).astype(np.int64))
    low, span = integer_span(dtype, low, high)
    if span == 2**64:
        return _store(out, generator.words64(out.size).view(np.int64))
    words = generator.words64(out.size) if span >= 2**28 else generator.words(out.size)
    values = (words % words.dtype.type(span)).astype(np.uint64) + np.uint64(low % 2**64)
    return _store(out, values.view(np.int64))


def integer_span(dtype: np.dtype, low: int | None, high: int | None) -> tuple[int, int]:
    """The first integer that `random_` may draw, and how many there are. The errors and the warning are `random_`'s."""
    if low is None and high is None:
        return 0, _largest(dtype) + 1
    low = 0 if low is None else low
    for bound in (low, high):
        if bound is not None and not _INT64_MIN <= bound < _INT64_END:
            raise ValueError(f"random_ expects bounds in [-2**63, 2**63), but got {bound}")
    if low == _INT64_MIN and high is None and dtype in _WIDE:
        return low, 2**64
    low, high = _range(dtype, low, high)
    return low, high - low


def _range(dtype: np.dtype, low: int, high: int | None) -> tuple[int, int]:
    """The range that `random_` draws from: the bounds moved inward to numbers that a float dtype has, and checked."""
    floating = dtype in FLOATS
    given_low, given_high = low, high
    if high is None:
        high = _largest(dtype) + 1
    elif low >= high:
        raise RuntimeError(f"random_ expects low to be less than high, but got low={low} >= high={high}")
    if floating:
        low = _round_up(dtype, low)
        high = high if given_high is None else _round_down(dtype, high)
    if low >= high - (floating and given_high is None):
        raise RuntimeError(f"random_: no number of {dtype} lies between low={given_low} and high={given_high}")
    least, most = (float(ml_dtypes.finfo(dtype).min), float(ml_dtypes.finfo(dtype).max)) if floating else _limits(dtype)
    for name, value in (("low", low), ("high - 1", high - 1)):
        if not least <= value <= most:
            raise RuntimeError(f"random_: {name}={value} is out of bounds for {dtype}, which holds {least} to {most}")
        if floating and abs(value) > _largest(dtype):
            warnings.warn(
                f"random_: {name}={value} is beyond {_largest(dtype)}, up to which {dtype} has every integer",
                UserWarning,
                stacklevel=4,
            )
    return low, high


def _limits(dtype: np.dtype) -> tuple[int, int]:
    if dtype == np.bool_:
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), min(int(info.max), _INT64_END - 1)


def _largest(dtype: np.dtype) -> int:
    """The largest integer, or of a float dtype the end of the consecutive ones."""
    return 2 ** (ml_dtypes.finfo(dtype).nmant + 1) if dtype in FLOATS else _limits(dtype)[1]


def _round_up(dtype: np.dtype, low: int) -> int:
    nearest = _nearest(dtype, low + 1)
    return low if nearest >= low else nearest + _spacing(dtype, low + 1)


def _round_down(dtype: np.dtype, high: int) -> int:
    nearest = _nearest(dtype, high - 1)
    return high if nearest < high else nearest - _spacing(dtype, high - 1)


def _nearest(dtype: np.dtype, value: int) -> int:
    """`value` rounded to `dtype`; `value` itself where that overflows the dtype or int64."""
    with np.errstate(over="ignore"):
        rounded = float(np.array(value).astype(np.float64 if dtype == np.float64 else np.float32).astype(dtype))
    return int(rounded) if _INT64_MIN <= rounded < _INT64_END else value


def _spacing(dtype: np.dtype, value: int) -> int:
    return 2 ** (abs(value).bit_length() - ml_dtypes.finfo(dtype).nmant - 1)


def _check(name: str, out: np.ndarray, dtypes: Collection[np.dtype]) -> None:
    """Raise unless `out` is of one of the dtypes and can be written to."""
    if out.dtype not in dtypes:
        accepted = ", ".join(str(d.name) for d in ALL if d.numpy in dtypes)
        raise NotImplementedError(f"{name} is not implemented for {out.dtype}; use one of {accepted}")
    if not out.flags.writeable:
        raise RuntimeError(f"{name} cannot write to a read-only array, such as an expanded one; copy it first")


def _memory_order(out: np.ndarray) -> list[int]:
    """The dims of `out` from the slowest to the fastest in memory."""
    return sorted(range(out.ndim), key=lambda dim: -abs(out.strides[dim]))


def _store(out: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Write `values`, one for each element in the order of drawing, converted as PyTorch converts them."""
    if out.dtype in LOW_PRECISION and values.dtype != out.dtype:
        values = values.astype(np.float32)  # PyTorch's half types are made of float32, so float64 is rounded twice
    view = out.transpose(_memory_order(out))
    with np.errstate(over="ignore", invalid="ignore"):
        view[...] = values.reshape(view.shape)
    return out
