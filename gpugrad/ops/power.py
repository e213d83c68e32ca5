"""Powers: `x ** y` for tensors and scalars, with the cheap ones done cheaply."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import as_dtype, float64, result_type_of, scalar_dtype
from .arithmetic import reciprocal
from .cast import cast
from .compare import choose
from .elementwise import binary, is_integral, refusing, unary, zero
from .unary import log, rsqrt, sqrt

__all__ = ["float_power", "pow", "square"]


def _power_body(x: Any, y: Any) -> Any:
    if is_integral(x, y) and np.any(np.less(y, 0)):  # NumPy refuses; PyTorch rounds 1 / x to an integer
        odd = np.where(np.bitwise_and(y, 1), x, 1)
        made = np.where(np.less(y, 0), np.where(np.absolute(x) == 1, odd, 0), np.power(x, np.maximum(y, 0)))
        return made.astype(np.result_type(x, y), copy=False)
    return np.power(x, y)


power = binary("pow", refusing("pow", _power_body, "bool"), "power({0}, {1})", names=("input", "exponent"))
power.defvjp(
    x=lambda g, x, y: choose(y == 0, 0, g * (y * power(x, y - 1))),
    y=lambda g, out, x, y: g * choose((x == 0) & (y >= 0), 0, out * log(x)),
)


def _power_of_body(x: Any, *, exponent: float) -> Any:
    cheap = _CHEAP.get(exponent)
    return cheap(x) if cheap is not None else power(x, exponent)


_CHEAP: dict[float, Any] = {
    0: lambda x: zero(x) + 1,
    1: lambda x: x * 1,
    2: lambda x: x * x,
    3: lambda x: x * x * x,
    0.5: lambda x: sqrt(x),
    -0.5: lambda x: rsqrt(x),
    -1: lambda x: reciprocal(x),
    -2: lambda x: reciprocal(x * x),
}

power_of = unary("pow_scalar", _power_of_body)  # the exponent is a number
power_of.defvjp(x=lambda g, x, *, exponent: _power_of_rule(g, x, exponent))


def _power_of_rule(g: Any, x: Any, exponent: float) -> Any:
    if exponent == 0:
        return zero(g)
    if exponent == 1:
        return g
    if exponent == 2:
        return 2 * g * x
    return g * (exponent * power_of(x, exponent=exponent - 1))


power_from = unary("pow_base", lambda y, *, base: power(base, y))  # the base is a number
power_from.defvjp(y=lambda g, out, y, *, base: _power_from_rule(g, out, y, base))


def _power_from_rule(g: Any, out: Any, y: Any, base: float) -> Any:
    if base == 0:
        return g * choose(y >= 0, 0, out * -math.inf)
    return g * out * (math.log(base) if base > 0 else math.nan)


def _with_number(x: Any, number: float) -> Any:
    """`x`, a Tensor or an array, in the dtype that it and the number have in common; symbols as they are."""
    array = getattr(x, "_array", x)
    if not hasattr(array, "dtype"):
        return x
    return cast(x, result_type_of([(as_dtype(array.dtype), 2), (scalar_dtype(number), 0)]).numpy)


def _to_number(x: Any, exponent: float, out: Any = None) -> Any:
    x = _with_number(x, exponent)
    if exponent < 0 and is_integral(getattr(x, "_array", x)):
        raise RuntimeError(
            f"Integers to negative integer powers are not allowed, and the exponent is {exponent}; use "
            f"{float(exponent)}, or convert the tensor to a floating dtype."
        )
    return power_of(x, exponent=exponent, out=out)


def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Any:
    """`input ** exponent`, broadcast; one of the two may be a number.

    RuntimeError if integers are raised to a negative number (a tensor of negative exponents gives 0, 1 and -1).
    """
    if isinstance(exponent, (int, float)):
        return _to_number(input, exponent, out)
    if isinstance(input, (int, float)):
        return power_from(_with_number(exponent, input), base=input, out=out)
    return power(input, exponent, out=out)


def float_power(input: Any, exponent: Any, *, out: Tensor | None = None) -> Any:
    """`input ** exponent` in float64."""
    input, exponent = (float(x) if isinstance(x, (int, float)) else cast(x, float64.numpy) for x in (input, exponent))
    return pow(input, exponent, out=out)


def square(input: Any, *, out: Tensor | None = None) -> Any:
    """`input * input`."""
    return pow(input, 2, out=out)
