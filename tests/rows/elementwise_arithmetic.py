"""Arithmetic, powers, and the other functions of two or three numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

from op_table import Row, Sample, arr

from rows.elementwise_unary import INF, LOW, NAN, call_by_name

INTEGERS = ("int64", "int32", "int8")

ODD = (4.0, -4.0, 5.0, -5.0, INF, -INF, NAN, 0.0, -0.0, 1.0, -7.5, 3.0)
DIVISORS = (2.0, 2.0, INF, INF, 2.0, -3.0, 1.0, -2.0, 3.0, NAN, -INF, 0.0)


def pairs(low: float = -2.0, high: float = 2.0, other_low: float = 0.5, other_high: float = 2.0) -> list[Sample]:
    """Equal shapes, broadcasts both ways, 0-d with a vector, empty."""

    def pair(shape: tuple[int, ...], other: tuple[int, ...]) -> Sample:
        return arr(*shape, low=low, high=high), arr(*other, low=other_low, high=other_high)

    return [pair((2, 3), (2, 3)), pair((2, 1), (3,)), pair((), (3,)), pair((2, 2), ()), pair((0, 2), (2,))]


def row(name: str, *bounds: float, odd: bool = False, **options: Any) -> Row:
    options.setdefault("more_dtypes", LOW)
    extra = [(arr(len(ODD), values=ODD), arr(len(ODD), values=DIVISORS))] if odd else []
    return Row(name, partial(call_by_name, name), [*pairs(*bounds), *extra], **options)


def counted(name: str, **options: Any) -> Row:
    """Integer inputs, divisors without zero."""
    shapes = [((2, 3), (2, 3)), ((4, 1), (3,)), ((), (3,))]
    made = [(arr(*a, low=-9, high=9), arr(*b, low=1, high=5)) for a, b in shapes]
    negative = (arr(6, values=(7, -7, 8, -8, 0, 1)), arr(6, values=(-2, -2, 3, 3, -5, -1)))
    call = options.pop("call", partial(call_by_name, name))
    options.setdefault("dtypes", INTEGERS)
    return Row(f"{options.pop('label', name)}_integers", call, [*made, negative], grad=False, **options)


def with_scalar(name: str, call: Any, **options: Any) -> Row:
    options.setdefault("more_dtypes", LOW)
    return Row(name, call, [(arr(2, 3),), (arr(),), (arr(0, 2),)], **options)


ROWS = [
    row("add", odd=True),
    row("sub", odd=True),
    row("mul", odd=True),
    row("div", odd=True, tolerance={"float16": 1e-2}),
    row("subtract"),
    row("multiply"),
    row("divide"),
    row("true_divide"),
    row("remainder", 0.6, 0.9, 1.1, 1.4, odd=True),
    row("fmod", 0.6, 0.9, 1.1, 1.4, odd=True),
    Row(
        "floor_divide",
        partial(call_by_name, "floor_divide"),
        [(arr(12, values=ODD), arr(12, values=DIVISORS))],
        grad=False,
    ),
    counted("add"),
    counted("add", label="add_bools", dtypes=("bool", "uint8")),
    counted("mul", dtypes=("bool", "uint8", *INTEGERS)),
    counted("atan2"),
    counted("copysign"),
    counted("sub"),
    counted("floor_divide"),
    counted("remainder"),
    counted("fmod"),
    counted("div"),
    counted("div", label="div_floor", call=lambda m, x, y: m.div(x, y, rounding_mode="floor")),
    counted("div", label="div_trunc", call=lambda m, x, y: m.div(x, y, rounding_mode="trunc")),
    counted("pow"),
    counted("gcd"),
    counted("lcm"),
    counted("bitwise_left_shift"),
    counted("bitwise_right_shift"),
    Row("div_floor", lambda m, x, y: m.div(x, y, rounding_mode="floor"), pairs(0.6, 0.9, 1.1, 1.4)),
    Row("div_trunc", lambda m, x, y: m.div(x, y, rounding_mode="trunc"), pairs(0.6, 0.9, 1.1, 1.4)),
    Row("add_alpha", lambda m, x, y: m.add(x, y, alpha=2.5), pairs()),
    Row("sub_alpha", lambda m, x, y: m.sub(x, y, alpha=3), pairs()),
    Row("rsub", lambda m, x, y: m.rsub(x, y, alpha=2), pairs()),
    Row(
        "pow_scalar_low",
        lambda m, x: (x**2, x**3, x**0.5, x**-1, 2**x),
        [(arr(2, 3, low=0.3),)],
        dtypes=LOW,
        grad=False,
    ),
    with_scalar(
        "operators", lambda m, x: (x + 1, 2 - x, x * 0.5, x / 4, 3 / (x + 3), -x, abs(x)), more_dtypes=(*LOW, "int64")
    ),
    with_scalar("operators_rounding", lambda m, x: (x // 0.75, x % 0.75, 5 // (x + 9), 5 % (x + 9)), grad=False),
    with_scalar(
        "operators_integer",
        lambda m, x: (x + True, x // 2, x % 3, 7 // (x * x + 1), x * 1.5, x / 2),
        dtypes=("int64",),
        more_dtypes=(),
        grad=False,
    ),
    Row("pow", partial(call_by_name, "pow"), pairs(0.3, 2.0, -2.0, 2.0), more_dtypes=LOW, tolerance={"float16": 1e-2}),
    Row(
        "pow_at_limits",
        partial(call_by_name, "pow"),
        [
            (
                arr(9, values=(0.0, 0.0, 0.0, -2.0, -2.0, INF, NAN, 1.0, 4.0)),
                arr(9, values=(0.0, 2.0, -1.0, 2.0, 3.0, 0.0, 0.0, NAN, 0.5)),
            )
        ],
    ),
    *(
        Row(
            f"pow_{label}",
            lambda m, x, e=e: x**e,
            [(arr(2, 3, low=0.3),), (arr(low=0.3),), (arr(6, values=(0.0, -0.0, INF, -INF, NAN, 2.0)),)],
        )
        for label, e in (
            ("0", 0),
            ("1", 1),
            ("2", 2),
            ("3", 3),
            ("2.0", 2.0),
            ("half", 0.5),
            ("minus_half", -0.5),
            ("minus_1", -1),
            ("minus_2", -2),
            ("2.7", 2.7),
        )
    ),
    *(
        Row(f"pow_from_{label}", lambda m, x, b=b: b**x, made)
        for label, b, made in (
            ("2", 2, [(arr(2, 3),), (arr(),), (arr(0, 2),)]),
            ("half", 0.5, [(arr(2, 3),)]),
            ("0", 0, [(arr(5, values=(0.0, 1.0, -1.0, 2.0, INF)),)]),
            ("minus_2", -2, [(arr(5, values=(0.0, 1.0, -1.0, 2.0, INF)),)]),
        )
    ),
    Row(
        "pow_integer_scalar",
        lambda m, x: (x**2, x**3, x**2.0, 2**x, x**0),
        [(arr(2, 3, low=0, high=4),)],
        dtypes=("int64", "bool", "uint8"),
        grad=False,
    ),
    Row("float_power", lambda m, x: m.float_power(x, 3), [(arr(2, 3),)], more_dtypes=("int64", "float16")),
    row("atan2", odd=True),
    row("arctan2"),
    row("hypot", odd=True),
    row("logaddexp", odd=True),
    row("logaddexp2", odd=True),
    row("copysign", odd=True, more_dtypes=()),
    row("ldexp", -2, 2, -2, 2),
    Row(
        "nextafter",
        partial(call_by_name, "nextafter"),
        [(arr(4, values=(1.0, 1.0, 0.0, INF)), arr(4, values=(2.0, -2.0, 1.0, 0.0)))],
        more_dtypes=("float16", "bfloat16"),
        grad=False,
    ),
    Row(
        "heaviside",
        partial(call_by_name, "heaviside"),
        [(arr(5, values=(-1.0, 0.0, -0.0, 2.0, NAN)), arr(5)), (arr(2, 3), arr())],
        grad=False,
    ),
    counted("heaviside"),
    Row("lerp", lambda m, x, y: m.lerp(x, y, 0.3), pairs()),
    Row("lerp_far", lambda m, x, y: m.lerp(x, y, 0.8), pairs()),
    Row("lerp_tensor", lambda m, x, y, w: m.lerp(x, y, w), [(arr(2, 3), arr(3), arr(2, 1)), (arr(), arr(), arr())]),
    Row(
        "addcmul",
        lambda m, x, y, z: m.addcmul(x, y, z, value=0.5),
        [(arr(2, 3), arr(3), arr(2, 1)), (arr(), arr(3), arr())],
        more_dtypes=LOW,
    ),
    Row(
        "addcdiv",
        lambda m, x, y, z: m.addcdiv(x, y, z, value=0.5),
        [(arr(2, 3), arr(3), arr(2, 1, low=0.5)), (arr(), arr(3), arr(low=0.5))],
    ),
]
