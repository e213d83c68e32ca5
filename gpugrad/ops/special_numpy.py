"""Error functions, the normal distribution and their kin on NumPy arrays, with NumPy alone.

`special_numpy_gamma.py` holds the gamma, zeta and Bessel functions. What follows is true of both.

Every function takes float16, bfloat16, float32 or float64 arrays of any shape and strides (0-d and empty included) and
returns a new array of the same shape and dtype; two inputs broadcast and promote as in NumPy, Python scalars weakly.
Any other dtype raises TypeError. Values at poles, infinities and NaN are PyTorch's, except where a docstring says
otherwise. Nothing warns.

float64 results are good to a few units in the last place. Narrower dtypes are computed in float64 and rounded once,
except by the functions whose decorator says float32.

Sources: DLMF is the NIST Digital Library of Mathematical Functions (dlmf.nist.gov); A&S is Abramowitz & Stegun,
Handbook of Mathematical Functions (1964).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..fp_errors import SILENT, quiet, restore
from .dims import memory_order

__all__ = [
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "log_ndtr",
    "logit",
    "ndtr",
    "ndtri",
    "sinc",
    "xlog1py",
    "xlogy",
]

_BLOCK = 8192  # elements: a block and its temporaries stay in the cache
_SQRT_HALF = math.sqrt(0.5)
_SQRT_2 = math.sqrt(2.0)
_HALF_SQRT_PI = math.sqrt(math.pi) / 2

Kernel = Callable[..., np.ndarray]


# ---- how a kernel is run and what kernels are written with ----


def run(name: str, kernel: Kernel, *inputs: np.ndarray | float, work: type = np.float64) -> np.ndarray:
    """Apply `kernel` to broadcast inputs, in 1-d blocks of float64 (of `work` if the inputs are narrower).

    `name` is the function that an error message names. TypeError unless the inputs' common dtype is a float dtype.
    """
    # np.result_type knows weak scalars too, but not beside bfloat16.
    dtype = np.result_type(*([value for value in inputs if not isinstance(value, (int, float))] or inputs))
    if dtype not in FLOATS:
        raise TypeError(
            f"{name} expects float16, bfloat16, float32 or float64 input, got {dtype}; convert it to one of these first"
        )
    arrays = [np.asarray(value, dtype) for value in inputs]
    shape = arrays[0].shape if len(arrays) == 1 else np.broadcast_shapes(*(array.shape for array in arrays))
    out = np.empty_like(arrays[0], shape=shape, order=memory_order(arrays[0]), subok=False)
    compute = dtype if dtype == np.float64 else np.dtype(work)
    op_flags: Any = [["readonly"]] * len(arrays) + [["writeonly"]]
    token = quiet(SILENT)
    try:
        with np.nditer(
            [*arrays, out],
            flags=["external_loop", "buffered", "zerosize_ok"],
            op_flags=op_flags,
            op_dtypes=[compute] * (len(arrays) + 1),
            casting="unsafe",  # only ever between the four dtypes above
            buffersize=_BLOCK,
        ) as blocks:
            for *values, result in blocks:
                result[...] = kernel(*values)
    finally:
        restore(token)
    return out


def blockwise(work: type = np.float64) -> Callable[[Kernel], Kernel]:
    """Decorator: turn a kernel on blocks into a function on arrays (see `run`)."""

    def decorate(kernel: Kernel) -> Kernel:
        @functools.wraps(kernel)
        def function(*inputs: np.ndarray | float) -> np.ndarray:
            return run(kernel.__name__, kernel, *inputs, work=work)

        return function

    return decorate


def by_interval(x: np.ndarray, edges: Sequence[float], kernels: Sequence[Kernel]) -> np.ndarray:
    """kernels[i](x) where edges[i - 1] <= x < edges[i]; NaN belongs to the last interval."""
    index = np.searchsorted(edges, x, side="right")
    return np.piecewise(x, [index == i for i in range(len(edges))], kernels)


def polynomial(x: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """sum of coefficients[k] * x**k, by Horner's rule."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total


def _chebyshev(t: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """sum of coefficients[k] * T_k(t), by Clenshaw's recurrence (DLMF 3.11(ii))."""
    later, last = np.zeros_like(t), np.zeros_like(t)
    for coefficient in coefficients[:0:-1]:
        later, last = 2.0 * t * later - last + coefficient, later
    return t * later - last + coefficients[0]


def sinpi(x: np.ndarray) -> np.ndarray:
    """sin(pi x), exactly zero at the integers."""
    nearest = np.rint(x)
    sine = np.sin(np.pi * (x - nearest))
    return np.where(nearest % 2 == 0, sine, -sine)


# ---- the error function and the normal distribution ----

# erf(x) = tanh(x P(x^2) / Q(x^2)): a fit of artanh(erf(x)) / x that makes the largest relative error of erf least,
# 3.4e-9 in exact arithmetic. All coefficients are positive, so that nothing cancels.
_ERF_P = (1.12837917, 0.279806804, 0.0426465403, 0.00217828015)
_ERF_Q = (1.0, 0.156892556, 0.0236899138, 0.000324924011)

# DLMF 7.6.1, 2 / sqrt(pi) * (-1)^k / (k! (2k + 1)): enough terms for |x| < 1.
_ERF_SERIES = [(-1) ** k / (_HALF_SQRT_PI * math.factorial(k) * (2 * k + 1)) for k in range(19)]

# (1 + 2x) erfcx(x) for all x >= 0 in Chebyshev polynomials of (x - 3.75) / (x + 3.75): the expansion of Shepherd and
# Laframboise, Math. Comp. 36 (1981) 249-253.
_ERFCX = (
    *(1.1775789345674017541, -4.5900545806464773309e-3, -8.4249133366517915584e-2, 5.9209939998191890498e-2),
    *(-2.6658668435305752277e-2, 9.0749976707052650939e-3, -2.4131635404176081909e-3, 4.9077583652580863229e-4),
    *(-6.9169733025012063053e-5, 4.1390279860730101675e-6, 7.7403830661984906686e-7, -2.1886401049234395661e-7),
    *(1.0764999465670910377e-8, 4.5219598112182868979e-9, -7.7544002088313511065e-10, -6.3180883408866844944e-11),
    *(2.8687950109306698981e-11, 1.945586854577734723e-13, -9.6546967484334389059e-13, 3.2525481481487398415e-14),
    *(3.3478119482868053878e-14, -1.8645628804193131015e-15, -1.2507950530688647085e-15, 7.418235256624043463e-17),
    *(5.0681489047961113168e-17, -2.2370566594359995974e-18),
)

# Giles, "Approximating the erfinv function", GPU Computing Gems Jade (2011), table 1, central branch.
_ERFINV_CENTRAL = (
    *(1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087),
    *(-4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08),
)


def _erf_float32(x: np.ndarray) -> np.ndarray:
    x = np.minimum(np.maximum(x, -6.0), 6.0)  # erf(6) is 1 in float32; beyond, powers of x would overflow
    square = x * x
    x *= polynomial(square, _ERF_P)
    x /= polynomial(square, _ERF_Q)
    return np.tanh(x, out=x)


def _erf_series(x: np.ndarray) -> np.ndarray:
    return x * polynomial(x * x, _ERF_SERIES)


def _erfcx_positive(x: np.ndarray) -> np.ndarray:
    return _chebyshev(1.0 - 7.5 / (x + 3.75), _ERFCX) / (1.0 + 2.0 * x)


def _exp_square(factor: float, x: np.ndarray) -> np.ndarray:
    """exp(factor * x^2) for factor 1, -1 or -1/2: x^2 rounded to float64 would cost up to three digits.

    The square of the leading bits of x is exact, and the rest is a small correction.
    """
    x = np.minimum(np.abs(x), 40.0)  # all these factors have over- or underflowed there
    head = np.rint(x * 16.0) / 16.0
    return np.exp(factor * head * head) * np.exp(factor * (x - head) * (x + head))


def _erfc_tail(x: np.ndarray) -> np.ndarray:
    return _exp_square(-1.0, x) * _erfcx_positive(x)


def _erfc(x: np.ndarray) -> np.ndarray:
    return by_interval(x, (-0.5, 0.5), (lambda x: 2.0 - _erfc_tail(-x), lambda x: 1.0 - _erf_series(x), _erfc_tail))


def _ndtr_outer(x: np.ndarray) -> np.ndarray:
    tail = 0.5 * _exp_square(-0.5, x) * _erfcx_positive(np.abs(x) * _SQRT_HALF)
    return np.where(x > 0.0, 1.0 - tail, tail)


def _ndtr(x: np.ndarray) -> np.ndarray:
    return by_interval(x, (-0.7, 0.7), (_ndtr_outer, lambda x: 0.5 + 0.5 * _erf_series(x * _SQRT_HALF), _ndtr_outer))


def _erfinv_central(y: np.ndarray) -> np.ndarray:
    """x with erf(x) = y for |y| <= 1/2: Giles' start, then one step of Halley's method."""
    x = y * polynomial(-np.log1p(-y * y) - 2.5, _ERFINV_CENTRAL)
    newton = (_erf_series(x) - y) * _HALF_SQRT_PI * np.exp(x * x)
    return x - newton / (1.0 + x * newton)


def _erfc_inverse(q: np.ndarray) -> np.ndarray:
    """x with erfc(x) = q for 0 < q <= 1/2: A&S 26.2.23, then Halley's method on log erfc, nearly a parabola."""
    log_q = np.log(q)
    t = np.sqrt(2.0 * (math.log(2.0) - log_q))
    numerator = polynomial(t, (2.515517, 0.802853, 0.010328))
    x = (t - numerator / polynomial(t, (1.0, 1.432788, 0.189269, 0.001308))) * _SQRT_HALF
    for _ in range(2):
        scaled = _erfcx_positive(x)
        half_slope = -0.5 / (_HALF_SQRT_PI * scaled)
        newton = (np.log(scaled) - x * x - log_q) / (2.0 * half_slope)
        x = x - newton / (1.0 + newton * (x + half_slope))
    return x


@blockwise(work=np.float32)
def erf(x: np.ndarray) -> np.ndarray:
    """Error function (DLMF 7.2.1); narrower dtypes than float64 in float32 arithmetic, to 2e-7.

    float64: DLMF 7.6.1 for |x| < 1, else 1 - erfc. float32: tanh of a rational function, fitted for this module.
    """
    if x.dtype == np.float32:
        return _erf_float32(x)
    return by_interval(x, (-1.0, 1.0), (lambda x: _erfc_tail(-x) - 1.0, _erf_series, lambda x: 1.0 - _erfc_tail(x)))


@blockwise()
def erfc(x: np.ndarray) -> np.ndarray:
    """Complementary error function 1 - erf(x) (DLMF 7.2.2), with full relative accuracy for large x."""
    return _erfc(x)


@blockwise()
def erfcx(x: np.ndarray) -> np.ndarray:
    """Scaled complementary error function exp(x^2) erfc(x), by Shepherd and Laframboise's expansion (1981)."""
    positive = _erfcx_positive(np.abs(x))
    return np.where(x < 0.0, 2.0 * _exp_square(1.0, x) - positive, positive)


@blockwise()
def erfinv(y: np.ndarray) -> np.ndarray:
    """Inverse of erf: infinite at -1 and 1, NaN outside. Giles' approximation or A&S 26.2.23, then Halley's method."""

    def outer(y: np.ndarray) -> np.ndarray:
        magnitude = np.abs(y)
        x = np.copysign(_erfc_inverse(1.0 - magnitude), y)
        return np.select([magnitude < 1.0, magnitude == 1.0], [x, np.copysign(np.inf, y)], np.nan)

    return by_interval(y, (-0.5, 0.5), (outer, _erfinv_central, outer))


@blockwise()
def ndtr(x: np.ndarray) -> np.ndarray:
    """Standard normal distribution function erfc(-x / sqrt(2)) / 2 (A&S 26.2.29)."""
    return _ndtr(x)


@blockwise()
def log_ndtr(x: np.ndarray) -> np.ndarray:
    """Logarithm of `ndtr` (A&S 26.2.29), through erfcx so that it neither underflows nor cancels for negative x."""
    return by_interval(
        x,
        (-1.0,),
        (lambda x: np.log(0.5 * _erfcx_positive(-x * _SQRT_HALF)) - 0.5 * x * x, lambda x: np.log1p(-_ndtr(-x))),
    )


@blockwise()
def ndtri(p: np.ndarray) -> np.ndarray:
    """Inverse of `ndtr` (A&S 26.2.23, then Halley's method): infinite at 0 and 1, NaN outside."""

    def outer(p: np.ndarray) -> np.ndarray:
        nearest = np.minimum(p, 1.0 - p)
        x = np.copysign(_SQRT_2 * _erfc_inverse(2.0 * nearest), p - 0.5)
        return np.select([nearest > 0.0, nearest == 0.0], [x, np.copysign(np.inf, p - 0.5)], np.nan)

    return by_interval(p, (0.25, 0.75), (outer, lambda p: _SQRT_2 * _erfinv_central(2.0 * p - 1.0), outer))


# ---- logarithms with their limits, sinc ----


@blockwise(work=np.float32)
def xlogy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x log(y), with 0 log(y) = 0 for every y but NaN: the limit x log(x) -> 0 (A&S 4.1.31)."""
    return np.where((x == 0.0) & ~np.isnan(y), 0.0, x * np.log(y))


@blockwise(work=np.float32)
def xlog1py(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x log(1 + y), with 0 log(1 + y) = 0 for every y but NaN (A&S 4.1.31)."""
    return np.where((x == 0.0) & ~np.isnan(y), 0.0, x * np.log1p(y))


@blockwise(work=np.float32)
def entr(x: np.ndarray) -> np.ndarray:
    """-x log(x), the term of Shannon's entropy (1948): 0 at 0 and -inf below."""
    return np.select([x == 0.0, x < 0.0], [0.0, -np.inf], -x * np.log(x))


def _logit_outer(x: np.ndarray) -> np.ndarray:
    return np.log(x / (1.0 - x))


def _logit(x: np.ndarray) -> np.ndarray:
    return by_interval(x, (0.25, 0.75), (_logit_outer, lambda x: 2.0 * np.arctanh(2.0 * x - 1.0), _logit_outer))


def logit(x: np.ndarray, eps: float | None = None) -> np.ndarray:
    """log(x / (1 - x)), near 1/2 as 2 artanh(2x - 1) (A&S 4.6.22); NaN outside [0, 1].

    With `eps`, x is first clamped to [eps, 1 - eps], both rounded to the dtype of x.
    """
    if eps is None:
        return run("logit", _logit, x)
    low, high = np.array([eps, 1.0 - eps]).astype(x.dtype).astype(np.float64)
    return run("logit", lambda x: _logit(np.where(x < low, low, np.minimum(x, high))), x)


@blockwise()
def sinc(x: np.ndarray) -> np.ndarray:
    """sin(pi x) / (pi x), 1 at 0 (Whittaker's cardinal function); exactly 0 at the other integers, unlike PyTorch's."""
    return np.where(x == 0.0, 1.0, sinpi(x) / (np.pi * x))
