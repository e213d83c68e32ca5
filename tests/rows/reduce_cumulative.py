"""Running sums, products and extremes, differences, integrals."""

from __future__ import annotations

from op_table import Row, arr

INTEGERS = ("int64", "int32", "uint8", "bool")
HALF = ("float16", "bfloat16")
INF = float("inf")
LINES = [(arr(2, 3, 4),), (arr(7),), (arr(),), (arr(2, 0),), (arr(1, 33),)]
ZEROS = [
    (arr(5, values=(2.0, 0.0, 3.0, 0.0, 4.0)),),
    (arr(2, 3, values=(1.5, 0.0, 3.0, 2.0, -1.0)),),
    (arr(4, values=(0.0,)),),
]
PEAKS = (arr(2, 5, values=(1.0, 3.0, 2.0, 3.0, 5.0)),)
TWO_LINES = (arr(3, 4), arr(3, 4))

ROWS = [
    Row("cumsum", lambda t, x: t.cumsum(x, -1), LINES, more_dtypes=(*INTEGERS, *HALF)),
    Row("cumsum_dim", lambda t, x: x.cumsum(0), [(arr(3, 4),)]),
    Row("cumsum_dtype", lambda t, x: t.cumsum(x, 0, dtype=t.float64), [(arr(3, 4),)], more_dtypes=("int32",)),
    Row("cumprod", lambda t, x: t.cumprod(x, -1), [*LINES, *ZEROS], more_dtypes=("int64", "int32")),
    Row("cumprod_dim", lambda t, x: t.cumprod(x, 0), [(arr(4, 3),), (arr(3, 2, values=(2.0, 0.0, 0.0, 3.0)),)]),
    Row("cummax", lambda t, x: tuple(t.cummax(x, -1)), [(arr(3, 7, distinct=True),), (arr(),)], more_dtypes=HALF),
    Row("cummax_ties", lambda t, x: tuple(t.cummax(x, 1)), [PEAKS], smooth=False, more_dtypes=("int64",)),
    Row("cummax_nan", lambda t, x: tuple(t.cummax(x, 0)), [(arr(4, values=(1.0, float("nan"), 3.0, 4.0)),)]),
    Row("cummin", lambda t, x: tuple(x.cummin(0)), [(arr(7, 2, distinct=True),), (arr(),)]),
    Row("cummin_ties", lambda t, x: tuple(t.cummin(x, 1)), [PEAKS], smooth=False),
    Row("logcumsumexp", lambda t, x: t.logcumsumexp(x, -1), [(arr(2, 3, 4),), (arr(9),), (arr(),)]),
    Row("logcumsumexp_dim", lambda t, x: x.logcumsumexp(0), [(arr(4, 3, low=-300, high=300),)]),
    Row("logcumsumexp_inf", lambda t, x: t.logcumsumexp(x, 0), [(arr(4, values=(-INF, -INF, 1.0, 2.0)),)], grad=False),
    Row("diff", lambda t, x: t.diff(x), [(arr(2, 5),), (arr(1),), (arr(0, 3),)], more_dtypes=INTEGERS),
    Row("diff_n", lambda t, x: t.diff(x, 2, 0), [(arr(5, 2),), (arr(1, 2),)]),
    Row("diff_n_0", lambda t, x: t.diff(x, 0), [(arr(5, 2),)]),
    Row("diff_joined", lambda t, x, y: t.diff(x, prepend=y, append=y), [(arr(2, 3), arr(2, 1))]),
    Row("trapezoid", lambda t, y: t.trapezoid(y), [(arr(2, 5),), (arr(5),), (arr(2, 1),)]),
    Row("trapezoid_dx", lambda t, y: t.trapezoid(y, dx=0.5, dim=0), [(arr(4, 3),)]),
    Row("trapezoid_x", lambda t, y, x: t.trapezoid(y, x), [(arr(2, 5), arr(5)), TWO_LINES]),
    Row("trapezoid_x_dim", lambda t, y, x: t.trapz(y, x, dim=0), [(arr(4, 3), arr(4)), TWO_LINES]),
    Row("cumulative_trapezoid", lambda t, y: t.cumulative_trapezoid(y, dx=2.0), [(arr(2, 5),)]),
    Row(
        "cumulative_trapezoid_x", lambda t, y, x: t.cumulative_trapezoid(y, x, dim=1), [TWO_LINES, (arr(3, 4), arr(4))]
    ),
]
