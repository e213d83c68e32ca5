"""Functions of two numbers beyond arithmetic: angles, lengths, sums of exponentials, signs, common divisors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..inplace import into
from ..op import op
from .arithmetic import mul
from .compare import choose
from .elementwise import binary, dtype_of, refusing, zero
from .power import pow
from .unary import sigmoid

__all__ = [
    "arctan2",
    "atan2",
    "copysign",
    "gcd",
    "heaviside",
    "hypot",
    "lcm",
    "ldexp",
    "logaddexp",
    "logaddexp2",
    "nextafter",
]

atan2 = arctan2 = binary("atan2", np.arctan2, "atan2({0}, {1})", to_float=True)
atan2.defvjp(
    x=lambda g, x, y: _over_square(g * y, x, y),
    y=lambda g, x, y: _over_square(-g * x, x, y),
)


def _over_square(numerator: Any, x: Any, y: Any) -> Any:
    square = x * x + y * y
    return choose(square == 0, 0, numerator / choose(square == 0, 1, square))


hypot = binary("hypot", refusing("hypot", np.hypot, "bool", "int"), "hypot({0}, {1})")
hypot.defvjp(x=lambda g, out, x: g * (x / out), y=lambda g, out, y: g * (y / out))

logaddexp = binary("logaddexp", refusing("logaddexp", np.logaddexp, "bool", "int"), "logaddexp({0}, {1})")
logaddexp.defvjp(x=lambda g, x, y: g * sigmoid(x - y), y=lambda g, x, y: g * sigmoid(y - x))

logaddexp2 = binary("logaddexp2", refusing("logaddexp2", np.logaddexp2, "bool", "int"), "logaddexp2({0}, {1})")
logaddexp2.defvjp(
    x=lambda g, x, y: g * sigmoid((x - y) * math.log(2)), y=lambda g, x, y: g * sigmoid((y - x) * math.log(2))
)

copysign = binary("copysign", np.copysign, "copysign({0}, {1})", to_float=True)
copysign.defvjp(x=lambda g, out, x: choose(x == 0, 0, g * (out / x)), y=lambda g: zero(g))

# Not `binary`: in float32 there would be numbers between those of half precision.
nextafter = op(
    refusing("nextafter", np.nextafter, "bool", "int"),
    name="nextafter",
    names=("input", "other"),
    broadcasts=True,
    promotes=True,
    cuda="next_after<{storage}>({0}, {1})",
)
gcd = binary("gcd", refusing("gcd", np.gcd, "bool", "float"), "gcd({0}, {1})")
lcm = binary("lcm", refusing("lcm", lambda x, y: np.absolute(np.lcm(x, y)), "bool", "float"), "lcm({0}, {1})")


def _step(x: Any, values: Any) -> Any:
    return np.where(x == 0, values, (x > 0).astype(dtype_of(x)))


def _check_one_dtype(*inputs: Any) -> None:
    dtypes = {x._array.dtype for x in inputs if isinstance(x, Tensor)}
    if len(dtypes) > 1:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes; convert one of them")


heaviside = binary(
    "heaviside",
    _step,
    "{0} == 0 ? {1} : {0} > 0",
    names=("input", "values"),
    check=_check_one_dtype,
)


def ldexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Any:
    """`input * 2 ** other`."""
    result = mul(input, pow(2.0, other))
    return result if out is None else into(out, result, "ldexp")
