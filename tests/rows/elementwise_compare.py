"""Comparison, classification, logic, choice and bounds."""

from __future__ import annotations

from functools import partial
from typing import Any

from op_table import Row, Sample, arr

from rows.elementwise_unary import COUNTED, INF, LOW, NAN, call_by_name

TIES = (1.0, 2.0, NAN, 3.0, INF, -INF, 0.0, NAN)
TIED = (1.0, NAN, 2.0, 1.0, INF, 2.0, -0.0, NAN)


def pairs() -> list[Sample]:
    return [
        (arr(8, values=TIES), arr(8, values=TIED)),
        (arr(2, 1), arr(3)),
        (arr(), arr(4)),
        (arr(0, 2), arr(2)),
    ]


def compared(name: str, **options: Any) -> Row:
    options.setdefault("dtypes", ("float32", "float64", *LOW))
    return Row(name, partial(call_by_name, name), pairs(), grad=False, **options)


def counted(name: str, *dtypes: str) -> Row:
    made = [(arr(2, 4, low=-3, high=4), arr(4, low=-3, high=4)), (arr(), arr(3)), (arr(0, 2), arr(2))]
    return Row(f"{name}_counted", partial(call_by_name, name), made, dtypes=dtypes, grad=False)


COUNTABLE: list[Sample] = [(arr(2, 3),), (arr(),), (arr(0, 2),)]


def classified(name: str) -> Row:
    floats = (arr(6, values=(0.0, -0.0, 1.5, -1.5, INF, -INF)),)
    nan = () if name == "signbit" else ((arr(1, values=(NAN,)),),)  # the sign of NaN depends on where it comes from
    return Row(
        name, partial(call_by_name, name), [floats, *nan, *COUNTABLE], dtypes=("float32", "float64", *LOW), grad=False
    )


def chosen(name: str) -> Row:
    """Values that do not tie for the derivatives, ties and NaN for the comparison."""
    made = [(arr(2, 3), arr(3)), (arr(), arr(4)), (arr(0, 2), arr(2)), (arr(8, values=TIES), arr(8, values=TIED))]
    return Row(name, partial(call_by_name, name), made, more_dtypes=LOW)


COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
LONG_NAMES = ("not_equal", "less", "less_equal", "greater", "greater_equal")
LOGIC = ("logical_and", "logical_or", "logical_xor")
CLASSES = ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "logical_not")
BITS = ("bitwise_and", "bitwise_or", "bitwise_xor")
BOUNDED = [(arr(2, 3),), (arr(),), (arr(0, 2),), (arr(6, values=(-1.0, 1.5, NAN, INF, -INF, 0.0)),)]

ROWS = [
    *(compared(name) for name in (*COMPARISONS, *LONG_NAMES, *LOGIC)),
    *(counted(name, *COUNTED) for name in (*COMPARISONS, *LOGIC, *BITS)),
    *(classified(name) for name in CLASSES),
    *(
        Row(f"{name}_counted", partial(call_by_name, name), COUNTABLE, dtypes=COUNTED, grad=False)
        for name in (*CLASSES, "bitwise_not")
    ),
    *(chosen(name) for name in ("maximum", "minimum", "fmax", "fmin")),
    *(counted(name, *COUNTED) for name in ("maximum", "minimum", "fmax", "fmin")),
    Row(
        "compare_scalar",
        lambda m, x: (x == 1, x != 0.5, x < 1, x <= 1, x > 0.5),
        [(arr(2, 3),), (arr(),)],
        dtypes=("float32", "int64", "bfloat16"),
        grad=False,
    ),
    Row(
        "isclose",
        partial(call_by_name, "isclose"),
        [*pairs(), (arr(3, values=(1.0, 1.0, 100.0)), arr(3, values=(1.000001, 1.1, 100.0005)))],
        grad=False,
    ),
    Row("isclose_nan", lambda m, x, y: m.isclose(x, y, equal_nan=True, rtol=0.5), pairs(), grad=False),
    Row(
        "isclose_integers",
        lambda m, x, y: m.isclose(x, y, atol=1),
        [(arr(9, low=0, high=3), arr(9, low=0, high=3))],
        dtypes=("int64", "bool", "uint8"),
        grad=False,
    ),
    Row(
        "allclose",
        lambda m, x, y: (m.allclose(x, y), m.allclose(x, x), m.allclose(x, x, equal_nan=True)),
        pairs(),
        grad=False,
    ),
    Row("equal", lambda m, x, y: (m.equal(x, y), m.equal(x, x)), pairs(), grad=False),
    Row(
        "where",
        lambda m, c, x, y: m.where(c, x, y),
        [
            (arr(2, 3, dtype="bool"), arr(2, 3), arr(2, 3)),
            (arr(3, dtype="bool"), arr(2, 1), arr()),
            (arr(dtype="bool"), arr(2), arr(2)),
            (arr(0, 2, dtype="bool"), arr(2), arr(2)),
            (arr(2, values=(True, False), dtype="bool"), arr(2, values=(INF, NAN)), arr(2, values=(NAN, 1.0))),
        ],
        more_dtypes=LOW,
    ),
    Row(
        "where_counted",
        lambda m, c, x, y: m.where(c, x, y),
        [(arr(2, 3, dtype="bool"), arr(3), arr(2, 1))],
        dtypes=COUNTED,
        grad=False,
    ),
    Row(
        "where_scalar",
        lambda m, c, x: (m.where(c, x, 0), m.where(c, -1.5, x)),
        [(arr(2, 3, dtype="bool"), arr(3))],
        more_dtypes=(*LOW, "int64"),
    ),
    Row(
        "where_scalars",
        lambda m, c: (m.where(c, 1.0, 0), m.where(c, 1, 0), m.where(c, True, False)),
        [(arr(3, dtype="bool"),)],
        grad=False,
    ),
    Row(
        "where_mixed",
        lambda m, c, x, y: m.where(c, x, y),
        [(arr(3, dtype="bool"), arr(3), arr(3, dtype="int64", high=5))],
    ),
    Row("clamp", lambda m, x: m.clamp(x, -0.5, 0.5), BOUNDED, more_dtypes=LOW),
    Row(
        "clamp_counted",
        lambda m, x: (m.clamp(x, 0, 1), m.clamp(x, 0.5, 1), m.clamp_max(x, 1)),
        COUNTABLE,
        dtypes=COUNTED,
        grad=False,
    ),
    Row("clamp_at_bounds", lambda m, x: m.clamp(x, -1, 1.5), BOUNDED[3:]),
    Row("clamp_lower", lambda m, x: (m.clamp(x, min=0.25), m.clamp_min(x, 0.25)), BOUNDED),
    Row("clamp_upper", lambda m, x: (m.clip(x, max=0.25), m.clamp_max(x, 0.25)), BOUNDED),
    Row("clamp_crossed", lambda m, x: m.clamp(x, 1, -1), BOUNDED),
    Row(
        "clamp_tensors",
        lambda m, x, lo, hi: m.clamp(x, lo, hi),
        [(arr(2, 3), arr(3, low=-1, high=-0.5), arr(2, 1, low=0.2)), (arr(), arr(3), arr(3)), (arr(4), arr(4), arr(4))],
    ),
    Row("clamp_tensor_min", lambda m, x, lo: m.clamp(x, min=lo), [(arr(2, 3), arr(3))]),
    Row("clamp_tensor_max", lambda m, x, hi: m.clamp(x, max=hi), [(arr(2, 3), arr(3))]),
]
