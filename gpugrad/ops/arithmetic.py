"""Arithmetic: the ops behind `+ - * / // %`, `abs` and `sign`, and the write that accumulates gradients.

Each elementwise op is the NumPy ufunc that is its meaning, the CUDA expression it prints as, and its rules, which are
formulas themselves. Inputs broadcast; the walk sums gradients back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..op import op
from .compare import choose
from .elementwise import INTEGRAL, binary, dtype_of, is_integral, not_implemented, refusing, ternary, unary, zero

__all__ = [
    "abs",
    "absolute",
    "add",
    "addcdiv",
    "addcmul",
    "div",
    "divide",
    "floor_divide",
    "fmod",
    "lerp",
    "mul",
    "multiply",
    "neg",
    "negative",
    "positive",
    "reciprocal",
    "remainder",
    "rsub",
    "sgn",
    "sign",
    "sub",
    "subtract",
    "true_divide",
]


@op(writes="target")
def accumulate(target: Any, g: Any) -> None:
    """Add `g` to the array `target` in place."""
    np.add(target, g, out=target)


# ---- sum and difference ----

raw_add = binary("add", np.add, "add({0}, {1})")
raw_add.defvjp(x=lambda g: g, y=lambda g: g)


_NO_BOOL = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the "
    "`~` or `logical_not()` operator instead."
)


def _check_no_bool(*inputs: Any) -> None:
    if any(isinstance(x, bool) or (isinstance(x, Tensor) and x._array.dtype == np.bool_) for x in inputs):
        raise RuntimeError(_NO_BOOL)


raw_sub = binary("sub", np.subtract, "subtract({0}, {1})", check=_check_no_bool)
raw_sub.defvjp(x=lambda g: g, y=lambda g: -g)


def _scaled(input: Any, other: Any, alpha: float) -> Any:
    """`alpha * other`; RuntimeError for a floating `alpha` that integers would lose."""
    if alpha == 1:
        return other
    if isinstance(alpha, float) and all(is_integral(getattr(x, "_array", x)) for x in (input, other)):
        raise RuntimeError(
            f"For integral input tensors, argument alpha must not be a floating point number, got {alpha}"
        )
    return other * alpha


def add(input: Any, other: Any, *, alpha: float = 1, out: Tensor | None = None) -> Tensor:
    """`input + alpha * other`, broadcast. RuntimeError if the shapes do not broadcast."""
    return raw_add(input, _scaled(input, other, alpha), out=out)


def sub(input: Any, other: Any, *, alpha: float = 1, out: Tensor | None = None) -> Tensor:
    """`input - alpha * other`, broadcast. RuntimeError if the shapes do not broadcast, or for bools."""
    return raw_sub(input, _scaled(input, other, alpha), out=out)


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """`other - alpha * input`, broadcast. RuntimeError if the shapes do not broadcast, or for bools."""
    return raw_sub(other, _scaled(other, input, alpha))


subtract = sub


def _check_not_bool(x: Any) -> None:
    if dtype_of(getattr(x, "_array", x)) == np.bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead."
        )


neg = negative = unary("neg", np.negative, "negate({0})", check=_check_not_bool)
neg.defvjp(x=lambda g: -g)


# ---- product and quotient ----

mul = multiply = binary("mul", np.multiply, "multiply({0}, {1})")
mul.defvjp(x=lambda g, y: g * y, y=lambda g, x: g * x)

raw_div = binary("div", np.true_divide, "{0} / {1}", to_float=True)
raw_div.defvjp(x=lambda g, y: g / y, y=lambda g, x, y: -g * (x / y) / y)  # not by `out`: users write quotients

reciprocal = unary("reciprocal", np.reciprocal, "1 / {0}", to_float=True)
reciprocal.defvjp(x=lambda g, out: -g * out * out)


def _check_divisor(x: Any, y: Any) -> bool:
    """Whether this is integer division; RuntimeError if it divides by zero."""
    if not is_integral(x, y):
        return False
    if not np.all(y):
        raise RuntimeError("ZeroDivisionError: integer division by zero; convert to a floating dtype to get inf or nan")
    return True


def _truncate_quotient(x: Any, y: Any) -> Any:
    if not _check_divisor(x, y):
        return np.trunc(np.true_divide(x, y))
    quotient = np.floor_divide(x, y)
    return quotient + ((quotient < 0) & (quotient * y != x))


def _floor_quotient(x: Any, y: Any) -> Any:
    _check_divisor(x, y)
    return np.floor_divide(x, y)


_div_trunc = binary("div_trunc", refusing("div_trunc", _truncate_quotient, "bool"), "truncate_divide({0}, {1})")
_div_trunc.defvjp(x=lambda g: zero(g), y=lambda g: zero(g))

floor_divide = binary("floor_divide", refusing("div_floor", _floor_quotient, "bool"), "floor_divide({0}, {1})")
floor_divide.defvjp(x=lambda g: zero(g), y=lambda g: zero(g))

_DIVISIONS = {None: raw_div, "trunc": _div_trunc, "floor": floor_divide}


def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None) -> Tensor:
    """`input / other`, broadcast; with `rounding_mode` "trunc" or "floor" rounded so, and integers stay integers.

    RuntimeError if the shapes do not broadcast, for another rounding_mode, or if integers are divided by zero on the CPU:
    nobody looks on a device, as in PyTorch, and the quotient is -1 there.
    """
    if rounding_mode not in _DIVISIONS:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}"
        )
    return _DIVISIONS[rounding_mode](input, other, out=out)


divide = div


def true_divide(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """`input / other`, broadcast: `div` without rounding."""
    return div(input, other, out=out)


def _fmod(x: Any, y: Any) -> Any:
    _check_divisor(x, y)
    return np.fmod(x, y)


def _remainder(x: Any, y: Any) -> Any:
    if _check_divisor(x, y):
        return np.remainder(x, y)
    rest = np.fmod(x, y)  # np.remainder gives a zero the sign of y; PyTorch leaves it that of x
    return np.where((rest != 0) & ((y < 0) != (rest < 0)), rest + y, rest)


fmod = binary("fmod", refusing("fmod", _fmod, "bool"), "fmod_of({0}, {1})")
fmod.defvjp(x=lambda g: g, y=lambda g, x, y: -g * _div_trunc(x, y))

remainder = binary("remainder", refusing("remainder", _remainder, "bool"), "remainder_of({0}, {1})")
remainder.defvjp(x=lambda g: g, y=lambda g, x, y: -g * floor_divide(x, y))


# ---- sign ----


def _sign(x: Any) -> Any:
    if dtype_of(x) == np.bool_:
        return np.array(x)
    return np.where(x != x, np.zeros_like(x), np.sign(x))  # PyTorch's sign of NaN is 0


sign = sgn = unary("sign", _sign, "({0} > 0) - ({0} < 0)")
sign.defvjp(x=lambda g: zero(g))

abs = absolute = unary("abs", refusing("abs", np.absolute, "bool"), "absolute({0})")
abs.defvjp(x=lambda g, x: g * sign(x))


def positive(input: Tensor) -> Tensor:
    """`input` itself. RuntimeError for bools."""
    if dtype_of(getattr(input, "_array", input)) == np.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


# ---- combined ----


def _lerp_formula(x: Any, end: Any, weight: Any) -> Any:
    step = end - x
    return choose((weight > -0.5) & (weight < 0.5), x + weight * step, end - step * (1 - weight))


def _check_lerp(input: Any, end: Any, weight: Any) -> None:
    """PyTorch does not promote here."""
    if isinstance(input, Tensor) and is_integral(input._array):
        raise not_implemented("lerp", input._array.dtype)
    for name, x in (("end", end), ("weight", weight)):
        if isinstance(x, Tensor) and x.dtype is not input.dtype:
            raise RuntimeError(
                f"lerp(): expected dtype {input.dtype} for `{name}` but got dtype {x.dtype}; convert it with .to()"
            )


lerp = ternary("lerp", _lerp_formula, ("input", "end", "weight"), refused=INTEGRAL, check=_check_lerp)
lerp.defvjp(
    x=lambda g, weight: g * (1 - weight),
    end=lambda g, weight: g * weight,
    weight=lambda g, x, end: g * (end - x),
)


def _addcmul_formula(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    return x + value * tensor1 * tensor2


addcmul = ternary("addcmul", _addcmul_formula, ("input", "tensor1", "tensor2"), refused=("bool",))
addcmul.defvjp(
    x=lambda g: g,
    tensor1=lambda g, tensor2, *, value: g * tensor2 * value,
    tensor2=lambda g, tensor1, *, value: g * tensor1 * value,
)


def _addcdiv_formula(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    if is_integral(x, tensor1, tensor2):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported; convert the tensors to a floating dtype, or round "
            "with div(..., rounding_mode='trunc') first"
        )
    return x + value * (tensor1 / tensor2)


addcdiv = ternary("addcdiv", _addcdiv_formula, ("input", "tensor1", "tensor2"))
addcdiv.defvjp(
    x=lambda g: g,
    tensor1=lambda g, tensor2, *, value: g * value / tensor2,
    tensor2=lambda g, tensor1, tensor2, *, value: -g * value * tensor1 / (tensor2 * tensor2),
)
