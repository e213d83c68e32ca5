"""Floating-point arithmetic to the last bit as PyTorch's compiled kernels do it, for the random numbers of the CPU.

PyTorch's x86-64 kernels (AVX2 and later) fuse each multiply with the add that follows, and compute float32 normal
numbers with the polynomials of the Cephes library. Here both are spelled out in operations that IEEE 754 fixes, so that
the numbers are the same on every machine.
"""

from __future__ import annotations

import math

import numpy as np

_PAIRS_AT_A_TIME = 2**15  # so that the temporaries of `box_muller32` stay in cache

# Cephes logf, sinf and cosf (S. L. Moshier): minimax polynomials on [sqrt(1/2) - 1, sqrt(2) - 1] and [0, pi/4], highest
# power first.
_LOG: list[float] = np.array(
    [
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    ],
    np.float32,
).tolist()
_SIN: list[float] = np.array([-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1], np.float32).tolist()
_COS: list[float] = np.array([2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2], np.float32).tolist()
_SQRT_HALF = np.float32(math.sqrt(0.5))
_LOG2_HIGH, _LOG2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # log(2) in two parts
_QUARTER_PI: list[float] = np.array([0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8], np.float32).tolist()
_HALF, _ONE = np.float32(0.5), np.float32(1.0)


def libm(name: str, x: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """The function `name` of each element of the float64 array `x` (n,), for results that end as `dtype`.

    NumPy's vectorised functions may differ from the C library's in the last bit. A float64 result shows that bit, so it
    takes the C library's, element by element; rounding to a narrower dtype hides it in all but about one of 10**8
    elements.
    """
    if dtype == np.float64:
        return np.fromiter(map(getattr(math, name), x.tolist()), np.float64, len(x))
    return getattr(np, name)(x)


def fma(x: np.ndarray, scale: float | np.floating, shift: float | np.floating) -> np.ndarray:
    """`x * scale + shift` rounded once, for `x` (n,) of float32 or float64 and scalars rounded to its dtype first.

    `x` may be overwritten. About one float32 in 2**30 is rounded the other way, as float64 has rounded it first.
    """
    kind = x.dtype.type
    with np.errstate(over="ignore", invalid="ignore"):
        scale, shift = kind(scale), kind(shift)
        if scale != 1 and shift != 0:
            fused = _fma64 if kind is np.float64 else _fma32
            return fused(x, float(scale), float(shift))
        if scale != 1:
            x *= scale
        x += shift  # of zero too: in the fused operation -0.0 becomes 0.0
        return x


def _fma32(x: np.ndarray, scale: float, shift: float) -> np.ndarray:
    product = x.astype(np.float64) * scale  # exact
    return (product + shift).astype(np.float32)


def _fma64(x: np.ndarray, scale: float, shift: float) -> np.ndarray:
    """Dekker's product with its error, Knuth's sum with its error (T. J. Dekker, Numer. Math. 18, 1971)."""
    if not (math.isfinite(scale) and math.isfinite(shift)):
        return x * scale + shift
    scale, exponent = math.frexp(scale)  # so that splitting it cannot overflow
    x_high, scale_high = _high_half(x), _high_half(scale)
    x_low, scale_low = x - x_high, scale - scale_high
    product = x * scale
    error = ((x_high * scale_high - product) + x_high * scale_low + x_low * scale_high) + x_low * scale_low
    product, error = np.ldexp(product, exponent), np.ldexp(error, exponent)
    total = product + shift
    moved = total - product
    return total + (((product - (total - moved)) + (shift - moved)) + error)


def _high_half(x: np.ndarray | float) -> np.ndarray | float:
    shifted = (2.0**27 + 1.0) * x
    return shifted - (shifted - x)


def box_muller64(uniforms: np.ndarray) -> np.ndarray:
    """Standard normal numbers from float64 uniforms (16 k,), in blocks of 16 as `box_muller32`."""
    first, second = _halves(uniforms)
    radius = np.sqrt(-2.0 * libm("log", (1.0 - first).ravel(), np.float64))
    angle = (2.0 * np.pi * second).ravel()
    normals = np.empty(uniforms.shape)
    cosines, sines = _halves(normals)
    cosines[...] = (radius * libm("cos", angle, np.float64)).reshape(-1, 8)
    sines[...] = (radius * libm("sin", angle, np.float64)).reshape(-1, 8)
    return normals


def box_muller32(uniforms: np.ndarray) -> np.ndarray:
    """Standard normal numbers from float32 uniforms (16 k,), overwritten and returned.

    Of each block of 16, the first 8 give the radius and the last 8 the angle; the cosines come first, then the sines.
    """
    for start in range(0, len(uniforms), 2 * _PAIRS_AT_A_TIME):
        first, second = _halves(uniforms[start : start + 2 * _PAIRS_AT_A_TIME])
        radius = np.sqrt(np.float32(-2.0) * _log(_ONE - first))
        sines, cosines = _sin_cos(np.float32(2.0 * np.pi) * second)
        np.multiply(radius, cosines, out=first)
        np.multiply(radius, sines, out=second)
    return uniforms


def _halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    blocks = values.reshape(-1, 2, 8)
    return blocks[:, 0], blocks[:, 1]


def _log(x: np.ndarray) -> np.ndarray:
    """Cephes logf of float32 in (0, 1]."""
    mantissa, exponent = np.frexp(x)
    below = mantissa < _SQRT_HALF
    exponent = (exponent - below).astype(np.float32)
    x = np.where(below, mantissa + mantissa, mantissa) - _ONE
    square = x * x
    tail = _polynomial(x.astype(np.float64), _LOG) * x
    tail = (tail * square.astype(np.float64) + exponent * _LOG2_LOW).astype(np.float32)
    return x + (tail - square * _HALF) + exponent * _LOG2_HIGH


def _sin_cos(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cephes sinf and cosf of float32 in [0, 2 pi]."""
    octant = ((x * np.float32(4.0 / np.pi)).astype(np.int32) + 1) & ~1
    for part in _QUARTER_PI:
        x = (x - octant * part).astype(np.float32)
    square = x * x
    wide = square.astype(np.float64)
    cosine = (_polynomial(wide, _COS) * square * wide - square * _HALF).astype(np.float32) + _ONE
    sine = (_polynomial(wide, _SIN) * square * x.astype(np.float64) + x).astype(np.float32)
    swap = (octant & 2) != 0
    sine, cosine = np.where(swap, cosine, sine), np.where(swap, sine, cosine)
    return np.where(octant & 4, -sine, sine), np.where((octant + 2) & 4, -cosine, cosine)


def _polynomial(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    """Horner's rule in fused float32 steps: `x` holds float32 numbers as float64, in which their products are exact."""
    value = np.multiply(x, coefficients[0])
    value += coefficients[1]
    for coefficient in coefficients[2:]:
        value = value.astype(np.float32) * x
        value += coefficient
    return value.astype(np.float32)
