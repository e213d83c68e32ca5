"""Permutations, categories and numbers found by rejection, as PyTorch draws them on the CPU from the same seed.

Arrays in, new arrays out. All arguments are checked before the first draw, so that an error leaves the generator as it
was. The source of the algorithms is PyTorch 2.13: ATen/native/Distributions.cpp, Distributions.h, TensorFactories.cpp
and cpu/MultinomialKernel.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import ALL, FLOATS, LOW_PRECISION
from .random_cpu import exponential_, normal_
from .random_engine import Mt19937

_LONG_PERMUTATION = (2**32 - 1) // 20  # from here on the remainder of a 32-bit word would be too uneven
_CHUNK = 2**20  # words drawn at a time for a permutation
_MOST_CATEGORIES = 2**24
_ARITHMETIC = frozenset(d.numpy for d in ALL) - {np.dtype(d) for d in (np.bool_, np.uint16, np.uint32, np.uint64)}


def normal(mean: np.ndarray | float, std: np.ndarray | float, *, generator: Mt19937) -> np.ndarray:
    """Normal numbers whose mean, standard deviation or both are given by element; the two broadcast against each other.

    The dtype is that of `mean` if it is an array, else that of `std`; the draws are those of `normal_` on a contiguous
    array. Raises RuntimeError for a negative or NaN `std` and for shapes that do not broadcast; NotImplementedError
    unless the dtype is floating; TypeError if neither is an array.
    """
    try:
        shape = np.broadcast_shapes(np.shape(mean), np.shape(std))
    except ValueError:
        raise RuntimeError(f"normal: mean of {np.shape(mean)} and std of {np.shape(std)} do not broadcast") from None
    if not isinstance(std, np.ndarray):
        if not isinstance(mean, np.ndarray):
            raise TypeError(f"normal expects mean or std to be an array, but got {mean} and {std}; numbers: normal_")
        out = normal_(np.empty(shape, mean.dtype), 0.0, std, generator=generator)
        out += mean
        return out
    if not (std >= 0).all():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    out = np.empty(shape, mean.dtype if isinstance(mean, np.ndarray) else std.dtype)
    normal_(out, generator=generator)
    if std.dtype not in FLOATS or (std.ndim == 0 and out.ndim):
        std = std.astype(out.dtype)  # integers and scalar arrays do not widen the arithmetic
    np.multiply(out, std, out=out, casting="same_kind")
    out += mean if isinstance(mean, np.ndarray) else out.dtype.type(mean)
    return out


def randperm(n: int, dtype: np.dtype | type = np.int64, *, generator: Mt19937) -> np.ndarray:
    """A random permutation of `range(n)`: an array of shape (n,).

    `n - 1` words; from 214,748,364 elements on another shuffle of `2 n` words, as in PyTorch. Raises RuntimeError if
    `n` is negative or the dtype cannot hold every number; NotImplementedError for bool and for unsigned integers but
    uint8.
    """
    dtype = np.dtype(dtype)
    check_randperm(n, dtype)
    order = np.arange(n)
    numbers = memoryview(order.data)  # Python reads and writes its elements three times as fast as the array's
    if n < _LONG_PERMUTATION:
        steps = np.arange(n - 1)
        partners = steps + generator.words(max(n - 1, 0)) % np.arange(n, 1, -1)
        for i, j in enumerate(partners.tolist()):
            numbers[i], numbers[j] = numbers[j], numbers[i]
    else:
        for start in range(0, n, _CHUNK):
            places = np.arange(start, min(start + _CHUNK, n), dtype=np.uint64)
            partners = generator.words64(len(places)) % (places + np.uint64(1))
            for i, j in enumerate(partners.tolist(), start):
                numbers[i] = numbers[j]
                numbers[j] = i
    return order.astype(dtype, copy=False)


def check_randperm(n: int, dtype: np.dtype) -> None:
    """The errors of `randperm`."""
    if n < 0:
        raise RuntimeError(f"randperm expects n to be non-negative, but got {n}")
    if dtype not in _ARITHMETIC:
        raise NotImplementedError(
            f"randperm is not implemented for {dtype}; use int64 or another signed or floating dtype"
        )
    if n and int(np.array(n - 1).astype(dtype)) != n - 1:
        raise RuntimeError(f"randperm expects a dtype that holds all integers below n={n}, but got {dtype}")


def multinomial(probs: np.ndarray, num_samples: int, replacement: bool = False, *, generator: Mt19937) -> np.ndarray:
    """Indices drawn with probabilities proportional to `probs`, (categories,) or (rows, categories).

    Returns int64 of shape (num_samples,) or (rows, num_samples). One sample, or any number without replacement, takes
    an exponential number (two words) a category; more samples with replacement take two words a sample. Without
    replacement, categories that tie, as those of probability 0 do, come in ascending order; PyTorch leaves theirs open.

    Raises RuntimeError if `probs` is not floating or not 1-d or 2-d, holds negative or non-finite numbers or a row that
    sums to 0, or if `num_samples` is below 1 or, without replacement, above the number of categories.
    """
    check_multinomial(probs, num_samples, replacement)
    if len(probs) == 0 and probs.ndim == 2:
        return np.empty((0, num_samples), np.int64)
    _check_probabilities(probs)
    if replacement and num_samples > 1:
        return _with_replacement(probs, num_samples, generator)
    waits = exponential_(np.empty_like(probs), generator=generator)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        scores = (probs / waits).astype(np.float64)
    if num_samples == 1:
        return scores.argmax(axis=-1, keepdims=True)
    return np.argsort(-scores, axis=-1, kind="stable")[..., :num_samples].copy()


def check_multinomial(probs: Any, num_samples: int, replacement: bool) -> None:
    """The errors of `multinomial` that do not depend on the values of `probs`."""
    if probs.ndim not in (1, 2):
        raise RuntimeError(f"multinomial expects probabilities of 1 or 2 dims, but got shape {probs.shape}")
    if probs.dtype not in FLOATS:
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {probs.dtype}")
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples: num_samples is {num_samples}")
    if not replacement and num_samples > probs.shape[-1]:
        raise RuntimeError(
            f"cannot sample {num_samples} samples of {probs.shape[-1]} categories without replacement: "
            "n_sample > prob_dist.size(-1); pass replacement=True or ask for fewer"
        )
    if probs.shape[-1] > _MOST_CATEGORIES:
        raise RuntimeError(f"number of categories cannot exceed 2^24, but is {probs.shape[-1]}")


def _check_probabilities(probs: np.ndarray) -> None:
    bad = ~((probs >= 0) & (probs < np.inf))
    if bad.any():
        found = float(probs[bad][0])
        raise RuntimeError(f"probability tensor contains either `inf`, `nan` or element < 0: it contains {found:g}")
    if not (probs > 0).any(axis=-1).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0): all of a row are 0")


def _with_replacement(probs: np.ndarray, num_samples: int, generator: Mt19937) -> np.ndarray:
    rows = np.atleast_2d(probs)
    if rows.dtype in LOW_PRECISION:
        rows = rows.astype(np.float32)
    cumulative = np.add.accumulate(rows, axis=-1)
    cumulative /= cumulative[:, -1:]
    cumulative[:, -1] = 1
    uniforms = generator.uniform64(len(rows) * num_samples).reshape(len(rows), num_samples)
    drawn = [np.searchsorted(row, uniform) for row, uniform in zip(cumulative, uniforms)]
    return np.stack(drawn).reshape(*probs.shape[:-1], num_samples)


def poisson(rate: np.ndarray, *, generator: Mt19937) -> np.ndarray:
    """Poisson numbers of the rates given by element, in the shape and dtype of `rate`.

    Raises RuntimeError for a negative or NaN rate and NotImplementedError unless the dtype is floating.
    """
    check_poisson(rate)
    if not (rate >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return _each(rate, lambda lam: _poisson_many(lam, generator) if lam >= 10 else _poisson_few(lam, generator))


def check_poisson(rate: Any) -> None:
    """The error of `poisson` that does not depend on the values of `rate`."""
    if rate.dtype not in FLOATS:
        raise NotImplementedError(f"poisson is not implemented for {rate.dtype}; use a floating dtype")


def _poisson_few(rate: float, generator: Mt19937) -> int:
    """Count the arrivals of a unit of time."""
    if rate == 0:
        return 0
    end, product, count = math.exp(-rate), _uniform(generator), 0
    while product > end:
        product *= _uniform(generator)
        count += 1
    return count


def _poisson_many(rate: float, generator: Mt19937) -> int:
    """Hoermann's transformed rejection, PTRS (Insurance: Mathematics and Economics 12, 1993)."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    while True:
        u = _uniform(generator) - 0.5
        v = _uniform(generator)
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1
        if us >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2):
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        accepted = math.log(v) if v else -math.inf
        accepted += math.log(inverse_alpha) - math.log(a / (us * us) + b)
        if accepted <= -rate + k * math.log(rate) - math.lgamma(k + 1):
            return k


def standard_gamma(alpha: np.ndarray, *, generator: Mt19937) -> np.ndarray:
    """Gamma numbers of scale 1, their shape parameters `alpha` given by element, in its shape and dtype.

    None is below the smallest normal number of the dtype. Raises RuntimeError for a negative or NaN `alpha` and
    NotImplementedError unless it is float32 or float64.
    """
    _check_concentration("standard_gamma", alpha)
    tiny = np.finfo(alpha.dtype).tiny
    return np.maximum(_each(alpha, lambda a: _gamma(alpha.dtype.type(a), generator)), tiny)


def dirichlet(alpha: np.ndarray, *, generator: Mt19937) -> np.ndarray:
    """Dirichlet numbers of concentrations `alpha` (..., categories), in its shape and dtype; the last dim sums to 1.

    In float64 an element may be an ulp from PyTorch's, whose sums go another way.
    Raises RuntimeError for a negative or NaN `alpha` and NotImplementedError unless it is float32 or float64.
    """
    _check_concentration("dirichlet", alpha)
    gammas = standard_gamma(alpha.astype(np.float64), generator=generator)
    shares = (gammas / gammas.sum(axis=-1, keepdims=True)).astype(alpha.dtype)
    return np.clip(shares, np.finfo(alpha.dtype).tiny, np.nextafter(alpha.dtype.type(1), alpha.dtype.type(0)))


def _check_concentration(name: str, alpha: np.ndarray) -> None:
    if alpha.dtype not in (np.float32, np.float64):
        raise NotImplementedError(f"{name} is not implemented for {alpha.dtype}; use float32 or float64")
    if not (alpha >= 0).all():
        raise RuntimeError(f"{name} expects all elements of alpha >= 0.0")


def _gamma(alpha: np.floating, generator: Mt19937) -> float:
    """Marsaglia and Tsang's rejection (ACM TOMS 26, 2000), with PyTorch's float32 constants."""
    one = type(alpha)(1)
    scale = 1.0
    if alpha < 1:
        if alpha == 0:
            return 0.0
        with np.errstate(over="ignore"):
            scale = math.pow(1 - _uniform(generator), float(one / alpha))
        alpha = alpha + one
    d = float(alpha - type(alpha)(np.float32(1) / np.float32(3)))
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x, y = 0.0, 0.0
        while y <= 0:
            x = float(generator.normal64(1)[0])
            y = 1.0 + c * x
        v = y * y * y
        u = 1 - _uniform(generator)
        square = x * x
        if u < 1.0 - float(np.float32(0.0331)) * square * square:
            return scale * d * v
        if math.log(u) < 0.5 * square + d * (1.0 - v + math.log(v)):
            return scale * d * v


def _uniform(generator: Mt19937) -> float:
    """One number of `generator.uniform64`, without an array's overhead."""
    high, low = generator.words(2).tolist()
    return ((high << 32 | low) % 2**53) * 2.0**-53


def _each(values: np.ndarray, sample: Callable[[float], float]) -> np.ndarray:
    """One sample for each value, in logical order, as an array of the same shape and dtype."""
    samples = np.fromiter(map(sample, values.astype(np.float64).ravel().tolist()), np.float64, values.size)
    if values.dtype in LOW_PRECISION:
        samples = samples.astype(np.float32)  # as PyTorch, by way of float32
    with np.errstate(over="ignore"):
        return samples.astype(values.dtype).reshape(values.shape)
