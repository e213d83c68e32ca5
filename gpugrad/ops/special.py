"""Special functions as ops: error functions, gamma and its relatives, Bessel functions, logarithms with their limits.

The values come from `special_numpy.py` and `special_numpy_gamma.py`, which name their sources; here are the rules.
"""

from __future__ import annotations

import math
from typing import Any

from ..core import Tensor
from ..inplace import into
from . import special_numpy, special_numpy_gamma
from .arithmetic import sign
from .compare import choose
from .elementwise import binary, unary
from .unary import cos, exp, log, sin

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "lgamma",
    "log_ndtr",
    "logit",
    "multigammaln",
    "mvlgamma",
    "ndtr",
    "ndtri",
    "polygamma",
    "sinc",
    "xlog1py",
    "xlogy",
    "zeta",
]


def _unary(name: str, module: Any = special_numpy, **options: Any) -> Any:
    return unary(name, getattr(module, name), f"{name}({{0}})", to_float=True, **options)


def _binary(name: str, module: Any = special_numpy) -> Any:
    return binary(name, getattr(module, name), f"{name}({{0}}, {{1}})", to_float=True)


# ---- error functions and the normal distribution ----

erf = _unary("erf")
erfc = _unary("erfc")
erfcx = _unary("erfcx")
erfinv = _unary("erfinv")
ndtr = _unary("ndtr")
log_ndtr = _unary("log_ndtr")
ndtri = _unary("ndtri")

_TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)
_SQRT_2PI = math.sqrt(2 * math.pi)

erf.defvjp(x=lambda g, x: g * exp(-x * x) * _TWO_OVER_SQRT_PI)
erfc.defvjp(x=lambda g, x: g * exp(-x * x) * -_TWO_OVER_SQRT_PI)
erfcx.defvjp(x=lambda g, out, x: g * (2 * x * out - _TWO_OVER_SQRT_PI))
erfinv.defvjp(y=lambda g, out: g * exp(out * out) * (1 / _TWO_OVER_SQRT_PI))
ndtr.defvjp(x=lambda g, x: g * exp(x * x * -0.5) * (1 / _SQRT_2PI))
log_ndtr.defvjp(x=lambda g, x: g / erfcx(x * -math.sqrt(0.5)) * math.sqrt(2 / math.pi))
ndtri.defvjp(p=lambda g, out: g * exp(out * out * 0.5) * _SQRT_2PI)


# ---- gamma, zeta ----

lgamma = _unary("lgamma", special_numpy_gamma)
digamma = _unary("digamma", special_numpy_gamma)
zeta = _binary("zeta", special_numpy_gamma)

lgamma.defvjp(x=lambda g, x: g * digamma(x))
digamma.defvjp(x=lambda g, x: g * polygamma(1, x))
zeta.defvjp(q=lambda g, s, q: g * -s * zeta(s + 1, q))


def _polygamma_body(x: Any, *, n: int) -> Any:
    return special_numpy_gamma.polygamma(n, x)


_polygamma = unary("polygamma", _polygamma_body, "polygamma({n}, {0})", to_float=True)
_polygamma.defvjp(x=lambda g, x, *, n: g * _polygamma(x, n=n + 1))


def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Any:
    """The `n`-th derivative of `digamma`. RuntimeError for negative `n`."""
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, got {n}")
    result = digamma(input) if n == 0 else _polygamma(input, n=n)
    return result if out is None else into(out, result, "polygamma")


def multigammaln(input: Tensor, p: int, *, out: Tensor | None = None) -> Any:
    """The logarithm of the multivariate gamma function of dimension `p` (DLMF 35.3.4).

    RuntimeError if `p` is less than 1.
    """
    if p < 1:
        raise RuntimeError(f"p has to be greater than or equal to 1, got {p}")
    result = lgamma(input)
    for k in range(1, p):
        result = result + lgamma(input - k / 2)
    result = result + p * (p - 1) / 4 * math.log(math.pi)
    return result if out is None else into(out, result, "multigammaln")


mvlgamma = multigammaln


# ---- Bessel functions ----

i0 = _unary("i0", special_numpy_gamma)
i0e = _unary("i0e", special_numpy_gamma)
i1 = _unary("i1", special_numpy_gamma)
i1e = _unary("i1e", special_numpy_gamma)


def _ratio(out: Any, x: Any) -> Any:
    """i1(x) / x (scaled alike), 1/2 at 0."""
    return choose(x == 0, 0.5, out / choose(x == 0, 1, x))


i0.defvjp(x=lambda g, x: g * i1(x))
i0e.defvjp(x=lambda g, out, x: g * (i1e(x) - sign(x) * out))
i1.defvjp(x=lambda g, out, x: g * (i0(x) - _ratio(out, x)))
i1e.defvjp(x=lambda g, out, x: g * (i0e(x) - _ratio(out, x) - sign(x) * out))


# ---- logarithms with their limits, sinc ----

entr = _unary("entr")
xlogy = _binary("xlogy")
xlog1py = _binary("xlog1py")
sinc = _unary("sinc")

entr.defvjp(x=lambda g, x: g * (-log(x) - 1))
xlogy.defvjp(x=lambda g, x, y: choose((x == 0) & (y <= 0), 0, xlogy(g, y)), y=lambda g, x, y: g * x / y)
xlog1py.defvjp(x=lambda g, x, y: choose((x == 0) & (y <= -1), 0, xlog1py(g, y)), y=lambda g, x, y: g * x / (y + 1))
sinc.defvjp(x=lambda g, x: g * _sinc_slope(x))


def _sinc_slope(x: Any) -> Any:
    angle = choose(x == 0, 1, x) * math.pi
    return choose(x == 0, 0, math.pi * (angle * cos(angle) - sin(angle)) / (angle * angle))


def _logit_body(x: Any, *, eps: float | None) -> Any:
    return special_numpy.logit(x, eps)


_logit = unary("logit", _logit_body, "logit({0}, {eps})", to_float=True)
_logit.defvjp(x=lambda g, x, *, eps: _logit_rule(g, x, 0.0 if eps is None else eps))


def _logit_rule(g: Any, x: Any, eps: float) -> Any:
    inside = (x >= eps) & (x <= 1 - eps)
    safe = x if eps == 0 else choose(inside, x, 0.5)  # so that no derivative of what is not chosen is infinite
    return choose(inside, g / (safe * (1 - safe)), math.nan if eps == 0 else 0)


def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Any:
    """`log(input / (1 - input))`, NaN outside [0, 1]; with `eps`, `input` is first clamped to [`eps`, 1 - `eps`]."""
    return _logit(input, eps=eps, out=out)
