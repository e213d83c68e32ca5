"""Functions of one number: exponentials, logarithms, roots, trigonometry, rounding.

Each is the NumPy ufunc that is its meaning, the CUDA expression it prints as and its rule. Integers and bools become
the default floating dtype first, except for rounding, which leaves integers as they are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import finfo
from ..inplace import into
from .compare import choose
from .dims import memory_order
from .elementwise import Body, is_integral, refusing, unary, zero

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg2rad",
    "exp",
    "exp2",
    "expm1",
    "fix",
    "floor",
    "frac",
    "log",
    "log1p",
    "log2",
    "log10",
    "nan_to_num",
    "rad2deg",
    "round",
    "rsqrt",
    "sigmoid",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
]


def _float(name: str, body: Body, cuda: str) -> Any:
    return unary(name, body, cuda, to_float=True)


# ---- exponentials, logarithms, roots ----

exp = _float("exp", np.exp, "exp({0})")
exp2 = _float("exp2", np.exp2, "exp2({0})")
expm1 = _float("expm1", np.expm1, "expm1({0})")
log = _float("log", np.log, "log({0})")
log2 = _float("log2", np.log2, "log2({0})")
log10 = _float("log10", np.log10, "log10({0})")
log1p = _float("log1p", np.log1p, "log1p({0})")
sqrt = _float("sqrt", np.sqrt, "sqrt({0})")
rsqrt = _float("rsqrt", lambda x: np.reciprocal(np.sqrt(x)), "rsqrt({0})")

exp.defvjp(x=lambda g, out: g * out)
exp2.defvjp(x=lambda g, out: g * out * math.log(2))
expm1.defvjp(x=lambda g, out: g * (out + 1))
log.defvjp(x=lambda g, x: g / x)
log2.defvjp(x=lambda g, x: g / (x * math.log(2)))
log10.defvjp(x=lambda g, x: g / (x * math.log(10)))
log1p.defvjp(x=lambda g, x: g / (x + 1))
sqrt.defvjp(x=lambda g, out: g / (2 * out))
rsqrt.defvjp(x=lambda g, out: -0.5 * g * (out * out * out))


# ---- trigonometric and hyperbolic functions ----

sin = _float("sin", np.sin, "sin({0})")
cos = _float("cos", np.cos, "cos({0})")
tan = _float("tan", np.tan, "tan({0})")
asin = arcsin = _float("asin", np.arcsin, "asin({0})")
acos = arccos = _float("acos", np.arccos, "acos({0})")
atan = arctan = _float("atan", np.arctan, "atan({0})")
sinh = _float("sinh", np.sinh, "sinh({0})")
cosh = _float("cosh", np.cosh, "cosh({0})")
tanh = _float("tanh", np.tanh, "tanh({0})")
asinh = arcsinh = _float("asinh", np.arcsinh, "asinh({0})")
acosh = arccosh = _float("acosh", np.arccosh, "acosh({0})")
atanh = arctanh = _float("atanh", np.arctanh, "atanh({0})")

sin.defvjp(x=lambda g, x: g * cos(x))
cos.defvjp(x=lambda g, x: -g * sin(x))
tan.defvjp(x=lambda g, out: g * (out * out + 1))
asin.defvjp(x=lambda g, x: g * rsqrt(1 - x * x))
acos.defvjp(x=lambda g, x: -g * rsqrt(1 - x * x))
atan.defvjp(x=lambda g, x: g / (x * x + 1))
sinh.defvjp(x=lambda g, x: g * cosh(x))
cosh.defvjp(x=lambda g, x: g * sinh(x))
tanh.defvjp(x=lambda g, out: g * (1 - out * out))
asinh.defvjp(x=lambda g, x: g * rsqrt(x * x + 1))
acosh.defvjp(x=lambda g, x: g * rsqrt(x * x - 1))
atanh.defvjp(x=lambda g, x: g / (1 - x * x))

deg2rad = _float("deg2rad", np.deg2rad, f"{{0}} * {{C}}({math.pi / 180!r})")
deg2rad.defvjp(x=lambda g: g * (math.pi / 180))
rad2deg = _float("rad2deg", np.rad2deg, f"{{0}} * {{C}}({180 / math.pi!r})")
rad2deg.defvjp(x=lambda g: g * (180 / math.pi))


def _sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)): where exp overflows, the result has underflowed to 0 as well."""
    out = np.negative(x, out=np.empty_like(x, order=memory_order(x)))
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


sigmoid = _float("sigmoid", _sigmoid, "1 / (1 + exp(-{0}))")
sigmoid.defvjp(x=lambda g, out: g * out * (1 - out))


# ---- rounding ----


def _rounding(name: str, ufunc: Any, cuda: str) -> Any:
    def body(x: Any) -> Any:
        return np.array(x) if is_integral(x) else ufunc(x)

    function = unary(name, refusing(name, body, "bool"), cuda)
    function.defvjp(x=lambda g: zero(g))
    return function


floor = _rounding("floor", np.floor, "floor_of({0})")
ceil = _rounding("ceil", np.ceil, "ceil_of({0})")
trunc = fix = _rounding("trunc", np.trunc, "trunc_of({0})")
_round = _rounding("round", np.rint, "round_of({0})")

frac = unary("frac", refusing("frac", lambda x: x - np.trunc(x), "bool", "int"), "{0} - trunc({0})")
frac.defvjp(x=lambda g: g)


def round(input: Any, *, decimals: int = 0, out: Tensor | None = None) -> Any:
    """`input` rounded to the nearest number with `decimals` digits after the point, halves to even.

    RuntimeError for integers with `decimals` other than 0.
    """
    if decimals == 0:
        result = _round(input)
    elif is_integral(getattr(input, "_array", input)):
        raise NotImplementedError(
            f"round(): decimals={decimals} is not implemented for integers; convert to float first"
        )
    else:
        scale = 10.0 ** abs(decimals)
        result = _round(input * scale) / scale if decimals > 0 else _round(input / scale) * scale
    return result if out is None else into(out, result, "round")


# ---- not-a-number ----


def _nan_to_num_formula(x: Any, *, nan: float, posinf: float, neginf: float) -> Any:
    return choose(x != x, nan, choose(x == math.inf, posinf, choose(x == -math.inf, neginf, x)))


_nan_to_num = unary("nan_to_num", _nan_to_num_formula)
_nan_to_num.defvjp(x=lambda g, x: choose((x != x) | (x == math.inf) | (x == -math.inf), 0, g))


def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`input` with NaN replaced by `nan` (0), and infinities by `posinf` and `neginf` (the dtype's largest numbers)."""
    dtype = input.dtype
    if dtype.is_floating_point:
        limits = finfo(dtype)
        nan = 0.0 if nan is None else nan
        posinf = limits.max if posinf is None else posinf
        neginf = limits.min if neginf is None else neginf
    else:  # there is nothing to replace, and False changes no dtype
        nan = posinf = neginf = False
    return _nan_to_num(input, nan=nan, posinf=posinf, neginf=neginf, out=out)
