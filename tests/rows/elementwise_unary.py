"""Functions of one number: exponentials, logarithms, roots, trigonometry, rounding."""

from __future__ import annotations

from functools import partial
from typing import Any

from op_table import Row, Sample, arr

LOW = ("float16", "bfloat16")
COUNTED = ("int64", "int32", "uint8", "bool")
INF, NAN = float("inf"), float("nan")


def call_by_name(name: str, m: Any, *inputs: Any) -> Any:
    return getattr(m, name)(*inputs)


def samples(low: float, high: float, *special: float) -> list[Sample]:
    """A matrix, a 0-d tensor, an empty one, and the arguments where the function has its limits."""
    made: list[Sample] = [(arr(2, 3, low=low, high=high),), (arr(low=low, high=high),), (arr(0, 2),)]
    return [*made, (arr(len(special), values=special),)] if special else made


def row(name: str, low: float = -2.0, high: float = 2.0, *special: float, **options: Any) -> Row:
    options.setdefault("more_dtypes", LOW)
    return Row(name, partial(call_by_name, name), samples(low, high, *special), **options)


def counted(name: str, *dtypes: str) -> Row:
    """The same function of integers and bools."""
    made: list[Sample] = [(arr(2, 3, low=0, high=4),), (arr(low=1, high=4),), (arr(0, 2),)]
    return Row(f"{name}_counted", partial(call_by_name, name), made, dtypes=dtypes, grad=False)


LIMITS = (0.0, -0.0, INF, -INF, NAN)

FLOATING = (
    *(
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "rsqrt",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
    ),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sigmoid", "deg2rad", "rad2deg", "reciprocal"),
)
KEEPING = ("neg", "abs", "floor", "ceil", "trunc", "round")

ROWS = [
    *(counted(name, *COUNTED) for name in (*FLOATING, "square", "sign", "sgn", "nan_to_num")),
    *(counted(name, "int64", "int32", "uint8") for name in KEEPING),
    row("exp", -2, 2, *LIMITS),
    row("exp2", -2, 2, *LIMITS),
    row("expm1", -2, 2, *LIMITS),
    row("log", 0.2, 3, *LIMITS),
    row("log2", 0.2, 3, *LIMITS),
    row("log10", 0.2, 3, *LIMITS),
    row("log1p", -0.7, 3, *LIMITS, -1.0),
    row("sqrt", 0.2, 3, *LIMITS),
    row("rsqrt", 0.2, 3, *LIMITS),
    row("sin", -2, 2, *LIMITS),
    row("cos", -2, 2, *LIMITS),
    row("tan", -1, 1, *LIMITS),
    row("asin", -0.9, 0.9, *LIMITS, 1.0, -1.0),
    row("acos", -0.9, 0.9, *LIMITS, 1.0, -1.0),
    row("atan", -2, 2, *LIMITS),
    row("sinh", -2, 2, *LIMITS),
    row("cosh", -2, 2, *LIMITS),
    row("tanh", -2, 2, *LIMITS),
    row("asinh", -2, 2, *LIMITS),
    row("acosh", 1.2, 3, *LIMITS, 1.0),
    row("atanh", -0.9, 0.9, *LIMITS, 1.0, -1.0),
    row("sigmoid", -3, 3, *LIMITS, 90.0, -90.0, 20.0, -20.0),
    row("deg2rad", -200, 200, *LIMITS),
    row("rad2deg", -3, 3, *LIMITS),
    row("reciprocal", 0.3, 2, *LIMITS),
    row("square", -2, 2, *LIMITS),
    row("neg", -2, 2, *LIMITS),
    row("abs", -2, 2, *LIMITS),
    row("sign", -2, 2, *LIMITS),
    row("sgn", -2, 2, *LIMITS, grad=False),
    row("floor", 0.1, 0.9, *LIMITS, -1.5),
    row("ceil", 0.1, 0.9, *LIMITS, -1.5),
    row("trunc", 0.1, 0.9, *LIMITS, -1.5),
    row("fix", 0.1, 0.9, *LIMITS, -1.5),
    row("round", 0.6, 0.9, *LIMITS, 0.5, 1.5, -0.5),
    row("frac", 0.1, 0.9, *LIMITS, -1.5),
    Row("round_decimals", lambda m, x: m.round(x, decimals=2), [(arr(2, 3),), (arr(2, values=(INF, NAN)),)]),
    Row("round_tens", lambda m, x: m.round(x, decimals=-1), [(arr(2, 3, low=-90, high=90),)]),
    Row(
        "nan_to_num",
        lambda m, x: m.nan_to_num(x),
        [(arr(6, values=(1.0, NAN, INF, -INF, 0.0, -2.0)),), (arr(),), (arr(0),)],
        more_dtypes=LOW,
    ),
    Row(
        "nan_to_num_given",
        lambda m, x: m.nan_to_num(x, 1.5, 7.0, -7.0),
        [(arr(6, values=(1.0, NAN, INF, -INF, 0.0, -2.0)),)],
    ),
    Row("positive", lambda m, x: m.positive(x), [(arr(2, 3),)], view=True),
    *(
        row(alias, 1.1 if alias == "arccosh" else -0.9, 2 if alias == "arccosh" else 0.9, more_dtypes=())
        for alias in ("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "absolute", "negative")
    ),
]
