"""The gamma function's logarithm and derivatives, the zeta function and Bessel functions on NumPy arrays.

Inputs, results and sources are described at the head of `special_numpy.py`.
"""

from __future__ import annotations

import math

import numpy as np

from .special_numpy import blockwise, by_interval, polynomial, run, sinpi

__all__ = ["digamma", "i0", "i0e", "i1", "i1e", "lgamma", "polygamma", "trigamma", "zeta"]

_EPS = float(np.finfo(np.float64).eps)
_EULER = 0.57721566490153286061  # DLMF 5.2.3
_SQRT_2PI = math.sqrt(2.0 * math.pi)
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)

# The Bernoulli numbers B_2, B_4, ... B_16 (DLMF table 24.2.1), for the asymptotic series below.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_SHIFT = 10  # arguments are raised by this before an asymptotic series takes over


# ---- zeta ----

_EULER_MACLAURIN = [b / math.factorial(2 * j) for j, b in enumerate(_BERNOULLI, start=1)]


def _hurwitz(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """sum over k >= 0 of (q + k)^-s for s > 1 and q > 0, by Euler-Maclaurin summation (DLMF 25.11.4, 25.11.28)."""
    head = np.zeros_like(q)
    for k in range(_SHIFT - 1, -1, -1):
        head += (q + k) ** -s
    start = q + _SHIFT
    power = start**-s
    tail = 0.5 + start / (s - 1.0)
    factor = s / start
    for j, coefficient in enumerate(_EULER_MACLAURIN, start=1):
        tail = tail + coefficient * factor
        factor = factor * ((s + (2 * j - 1)) / start) * ((s + 2 * j) / start)
    # For large s the series diverges where it no longer matters.
    return np.where(power < _EPS * head, head, head + power * tail)


def _hurwitz_reflected(s: np.ndarray, q: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """The same for an integer s > 1 and q < 0 no integer; `mirrored` is the sum for 1 - q.

    The sum over all integers k of (q + k)^-s depends only on the distance r of q from the nearest integer. Taken at r
    it splits into three parts; taken at q, into the sum wanted and (-1)^s times the mirrored one.
    """
    r = q - np.rint(q)
    sign = np.where(s % 2 == 0, 1.0, -1.0)
    nearest = r**-s
    total = nearest + _hurwitz(s, 1.0 + r) + sign * (_hurwitz(s, 1.0 - r) - mirrored)
    return np.where(np.isinf(nearest), nearest, total)


def _zeta(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    negative = q < 0
    total = _hurwitz(s, np.where(negative, 1.0 - q, q))
    if negative.any():
        total[negative] = _hurwitz_reflected(s[negative], q[negative], total[negative])
    limits = [
        (s == 1.0, np.inf),
        (s < 1.0, np.nan),
        ((q <= 0.0) & (q == np.floor(q)), np.inf),
        (negative & (s != np.floor(s)), np.nan),
    ]
    return np.select([where for where, _ in limits], [value for _, value in limits], total)


@blockwise()
def zeta(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hurwitz's zeta function, the sum over k >= 0 of (q + k)^-s (DLMF 25.11.1), by 25.11.4 and 25.11.28.

    Infinite at s = 1 and at the poles q = 0, -1, ...; NaN for s < 1 and, where q < 0, for a fractional s.
    Near its zeros at q < 0, which odd s have, the error is absolute.
    """
    return _zeta(s, q)


# ---- the logarithm of the gamma function ----

# DLMF 5.7.3 divided by z, for log gamma(2 + z): 1 - gamma, then (-1)^k (zeta(k) - 1) / k. Enough terms for |z| <= 1/2.
_ORDERS = np.arange(2.0, 28.0)
_LGAMMA_SERIES = [1.0 - _EULER, *((-1.0) ** _ORDERS * _hurwitz(_ORDERS, np.full(26, 2.0)) / _ORDERS).tolist()]
_STIRLING = [b / (2 * j * (2 * j - 1)) for j, b in enumerate(_BERNOULLI, start=1)]  # DLMF 5.11.1


def _lgamma_from_2(z: np.ndarray) -> np.ndarray:
    """log gamma(2 + z) for |z| <= 1/2."""
    return z * polynomial(z, _LGAMMA_SERIES)


def _lgamma_near_0(x: np.ndarray) -> np.ndarray:
    """log |gamma(x)| for |x| <= 1/2: gamma(x) = gamma(2 + x) / (x (1 + x)) (DLMF 5.5.1)."""
    return _lgamma_from_2(x) - np.log1p(x) - np.log(np.abs(x))


def _lgamma_near_1(x: np.ndarray) -> np.ndarray:
    return _lgamma_from_2(x - 1.0) - np.log1p(x - 1.0)


def _lgamma_middle(x: np.ndarray) -> np.ndarray:
    """For 2.5 <= x < 8: gamma(x) = (x - 1)(x - 2)...(x - m) gamma(x - m) with x - m near 2 (DLMF 5.5.1)."""
    product = np.ones_like(x)
    for _ in range(6):
        above = x >= 2.5
        x = np.where(above, x - 1.0, x)
        product = np.where(above, product * x, product)
    return _lgamma_from_2(x - 2.0) + np.log(product)


def _lgamma_large(x: np.ndarray) -> np.ndarray:
    """Stirling's series for x >= 8 (DLMF 5.11.1)."""
    series = polynomial(1.0 / (x * x), _STIRLING) / x
    return (x - 0.5) * (np.log(x) - 1.0) + (_HALF_LOG_2PI - 0.5) + series


def _lgamma_reflected(x: np.ndarray) -> np.ndarray:
    """For x < -1/2 (DLMF 5.5.3); the poles and -inf give +inf."""
    sine = np.abs(sinpi(x))
    value = math.log(math.pi) - np.log(sine) - _lgamma(1.0 - x)
    return np.where((sine == 0.0) | np.isinf(x), np.inf, value)


_LGAMMA_EDGES = (-0.5, 0.5, 1.5, 2.5, 8.0)
_LGAMMA_KERNELS = (
    _lgamma_reflected,
    _lgamma_near_0,
    _lgamma_near_1,
    lambda x: _lgamma_from_2(x - 2.0),
    _lgamma_middle,
    _lgamma_large,
)


def _lgamma(x: np.ndarray) -> np.ndarray:
    return by_interval(x, _LGAMMA_EDGES, _LGAMMA_KERNELS)


@blockwise()
def lgamma(x: np.ndarray) -> np.ndarray:
    """log |gamma(x)| (DLMF 5.2.1): Taylor's series at 2 (5.7.3), Stirling's (5.11.1), reflection (5.5.3).

    For x < 0 the error is absolute, of the size of the terms that cancel near the zeros there.
    """
    return _lgamma(x)


# ---- its derivatives ----

_DIGAMMA_SERIES = [b / (2 * j) for j, b in enumerate(_BERNOULLI, start=1)]


def _digamma_large(x: np.ndarray) -> np.ndarray:
    """DLMF 5.11.2."""
    inverse = 1.0 / (x * x)
    return np.log(x) - 0.5 / x - inverse * polynomial(inverse, _DIGAMMA_SERIES)


def _digamma_small(x: np.ndarray) -> np.ndarray:
    """For 0 <= x < 10: psi(x) = psi(x + 10) - 1/x - ... - 1/(x + 9) (DLMF 5.5.2); at -0 it is +inf."""
    total = np.zeros_like(x)
    for k in range(_SHIFT - 1, 0, -1):
        total += 1.0 / (x + k)
    return _digamma_large(x + _SHIFT) - (total + 1.0 / x)


def _digamma_positive(x: np.ndarray) -> np.ndarray:
    return by_interval(x, (float(_SHIFT),), (_digamma_small, _digamma_large))


def _digamma_reflected(x: np.ndarray) -> np.ndarray:
    """DLMF 5.5.4; NaN at the poles, where the sign of infinity would be arbitrary."""
    r = x - np.rint(x)
    return np.where(r == 0.0, np.nan, _digamma_positive(1.0 - x) - np.pi / np.tan(np.pi * r))


@blockwise()
def digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of log gamma (DLMF 5.2.2): -inf at 0, +inf at -0, NaN at the negative integers.

    By recurrence (5.5.2), asymptotic series (5.11.2) and reflection (5.5.4). Near its zeros the error is absolute.
    """
    return by_interval(x, (0.0,), (_digamma_reflected, _digamma_positive))


def _trigamma_large(x: np.ndarray) -> np.ndarray:
    """DLMF 5.15.8."""
    inverse = 1.0 / (x * x)
    return 1.0 / x + 0.5 * inverse + inverse * polynomial(inverse, _BERNOULLI) / x


def _trigamma_small(x: np.ndarray) -> np.ndarray:
    """For 0 <= x < 10, by recurrence (DLMF 5.15.5)."""
    total = _trigamma_large(x + _SHIFT)
    for k in range(_SHIFT - 1, -1, -1):
        total += 1.0 / (x + k) ** 2
    return total


def _trigamma_positive(x: np.ndarray) -> np.ndarray:
    return by_interval(x, (float(_SHIFT),), (_trigamma_small, _trigamma_large))


def _trigamma_reflected(x: np.ndarray) -> np.ndarray:
    """DLMF 5.15.6."""
    return (np.pi / sinpi(x)) ** 2 - _trigamma_positive(1.0 - x)


@blockwise()
def trigamma(x: np.ndarray) -> np.ndarray:
    """The derivative of `digamma`, by DLMF 5.15.5, 5.15.6 and 5.15.8.

    Infinite at 0 and the negative integers; PyTorch gives large finite numbers at the latter.
    """
    return by_interval(x, (0.0,), (_trigamma_reflected, _trigamma_positive))


def polygamma(n: int, x: np.ndarray) -> np.ndarray:
    """The n-th derivative of `digamma`: from n = 2 on (-1)^(n + 1) n! zeta(n + 1, x) (DLMF 5.15.1, 25.11.12).

    RuntimeError if n is negative.
    """
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, got n = {n}")
    if n == 0:
        return digamma(x)
    if n == 1:
        return trigamma(x)
    factorial = float(math.factorial(n)) if n <= 170 else math.inf  # 171! is beyond float64
    scale = factorial if n % 2 else -factorial
    return run("polygamma", lambda x: scale * _zeta(np.full_like(x, n + 1.0), x), x)


# ---- modified Bessel functions of the first kind ----

_ASYMPTOTIC_FROM = 22.0  # exp(-2x), the relative error of the asymptotic series, is below 1e-19 there


def _power_series(order: int) -> list[float]:
    """Coefficients in (x/2)^2 of I_order(x) / (x/2)^order (DLMF 10.25.2), enough for x < 22."""
    return [1.0 / (math.factorial(k) * math.factorial(k + order)) for k in range(42)]


def _asymptotic_series(order: int) -> list[float]:
    """Coefficients in 1/x of sqrt(2 pi x) exp(-x) I_order(x) (DLMF 10.40.1), enough for x >= 22."""
    coefficients = [1.0]
    for k in range(1, 28):
        coefficients.append(coefficients[-1] * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k))
    return coefficients


_SMALL = (_power_series(0), _power_series(1))
_LARGE = (_asymptotic_series(0), _asymptotic_series(1))


def _scaled_bessel(order: int, x: np.ndarray) -> np.ndarray:
    """exp(-|x|) I_order(|x|) for order 0 or 1."""

    def small(x: np.ndarray) -> np.ndarray:
        half = 0.5 * x
        return np.exp(-x) * half**order * polynomial(half * half, _SMALL[order])

    def large(x: np.ndarray) -> np.ndarray:
        return polynomial(1.0 / x, _LARGE[order]) / (_SQRT_2PI * np.sqrt(x))

    return by_interval(np.abs(x), (_ASYMPTOTIC_FROM,), (small, large))


@blockwise()
def i0(x: np.ndarray) -> np.ndarray:
    """Modified Bessel function I_0 (DLMF 10.25.2, 10.40.1); NaN at the infinities, as in PyTorch."""
    return np.exp(np.abs(x)) * _scaled_bessel(0, x)


@blockwise()
def i0e(x: np.ndarray) -> np.ndarray:
    """exp(-|x|) I_0(x) (DLMF 10.25.2, 10.40.1)."""
    return _scaled_bessel(0, x)


@blockwise()
def i1(x: np.ndarray) -> np.ndarray:
    """Modified Bessel function I_1 (DLMF 10.25.2, 10.40.1); NaN at the infinities, as in PyTorch."""
    magnitude = np.exp(np.abs(x)) * _scaled_bessel(1, x)
    return np.where(x < 0.0, -magnitude, magnitude)


@blockwise()
def i1e(x: np.ndarray) -> np.ndarray:
    """exp(-|x|) I_1(x) (DLMF 10.25.2, 10.40.1)."""
    magnitude = _scaled_bessel(1, x)
    return np.where(x < 0.0, -magnitude, magnitude)
