"""What Python's operators do to Tensors. Each is the op itself wherever it can be: nothing in between costs time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Tensor
from ..dtypes import FLOATS
from ..inplace import update
from .arithmetic import abs, floor_divide, mul, neg, positive, raw_add, raw_div, raw_sub, remainder
from .compare import (
    bitwise_and,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    eq,
    ge,
    gt,
    le,
    lt,
    ne,
)
from .power import pow

__all__ = ["OPERATORS"]


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y: function(y, x)


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y: update(x, function, y)


def _or_foreign(function: Callable[..., Any]) -> Callable[..., Any]:
    """`==` and `!=` leave types that are no numbers to Python, which compares identities."""

    def compare(x: Tensor, y: Any) -> Any:
        if y is None:
            return NotImplemented
        try:
            return function(x, y)
        except TypeError:
            return NotImplemented

    return compare


def _invert(x: Tensor) -> Tensor:
    if x._array.dtype in FLOATS:
        raise TypeError(f"~ (operator.invert) is only implemented on integer and Boolean-type tensors, got {x.dtype}")
    return bitwise_not(x)


_ARITHMETIC = {
    "add": raw_add,
    "sub": raw_sub,
    "mul": mul,
    "truediv": raw_div,
    "floordiv": floor_divide,
    "mod": remainder,
    "pow": pow,
    "and": bitwise_and,
    "or": bitwise_or,
    "xor": bitwise_xor,
    "lshift": bitwise_left_shift,
    "rshift": bitwise_right_shift,
}

OPERATORS: dict[str, Callable[..., Any]] = {
    **{f"__{name}__": function for name, function in _ARITHMETIC.items()},
    **{f"__r{name}__": _reflected(function) for name, function in _ARITHMETIC.items()},
    "__radd__": raw_add,
    "__rmul__": mul,
    **{f"__i{name}__": _in_place(function) for name, function in _ARITHMETIC.items()},
    "__neg__": neg,
    "__pos__": positive,
    "__abs__": abs,
    "__invert__": _invert,
    "__eq__": _or_foreign(eq),
    "__ne__": _or_foreign(ne),
    "__lt__": lt,
    "__le__": le,
    "__gt__": gt,
    "__ge__": ge,
}
