"""Sums, means, products, extrema, variances."""

from __future__ import annotations

from typing import Any

from op_table import Row, arr

INTEGERS = ("int64", "int32", "uint8", "bool")
HALF = ("float16", "bfloat16")
SHAPES = [(arr(2, 3, 4),), (arr(),), (arr(5),), (arr(1, 4, 1),)]
EMPTY = [(arr(0),), (arr(2, 0, 3),)]


def dims(name: str, **options: Any) -> list[Row]:
    """The rows of a reduction that takes any dims: of everything, of one, of several, kept."""

    def row(suffix: str, samples: Any, **arguments: Any) -> Row:
        return Row(f"{name}{suffix}", lambda t, x: getattr(t, name)(x, **arguments), samples, **options)

    return [
        row("", [*SHAPES, *options.pop("empty", [])])
        if name not in ("amax", "amin", "logsumexp")
        else row("", SHAPES[:0] or [(arr(3),)], dim=0),
        row("_dim", [(arr(2, 3, 4, distinct=True),), (arr(3, 33, distinct=True),)], dim=-1),
        row("_dims", [(arr(2, 3, 4),)], dim=(0, -1)),
        row("_keepdim", [(arr(2, 3, 4),)], dim=(1,), keepdim=True),
        row("_0d", [(arr(),)], dim=-1),
    ]


ROWS = [
    *dims("sum", more_dtypes=(*INTEGERS, *HALF), empty=EMPTY),
    *dims("nansum", more_dtypes=("int64",)),
    *dims("mean", more_dtypes=HALF),
    Row("mean_of_nothing", lambda t, x: t.mean(x), EMPTY, smooth=False),
    *dims("nanmean"),
    *dims("amax", more_dtypes=INTEGERS),
    *dims("amin", more_dtypes=INTEGERS),
    *dims("logsumexp"),
    Row("sum_dtype", lambda t, x: t.sum(x, dtype=t.float64), [(arr(2, 3),)], more_dtypes=("int32",)),
    Row("sum_method", lambda t, x: x.sum(1, True), [(arr(2, 3),)]),
    Row(
        "nansum_of_nan",
        lambda t, x: t.nansum(x, 0),
        [(arr(4, values=(1.0, float("nan"), 3.0, float("inf"))),)],
    ),
    Row(
        "prod",
        lambda t, x: t.prod(x),
        [*SHAPES, (arr(0),), (arr(4, values=(2.0, 0.0, 3.0, 4.0)),), (arr(4, values=(2.0, 0.0, 0.0, 4.0)),)],
        more_dtypes=INTEGERS,
    ),
    Row(
        "prod_dim",
        lambda t, x: t.prod(x, 1),
        [(arr(2, 3, 4),), (arr(2, 3, values=(1.0, 0.0, 3.0, 0.0, 0.0, 2.0)),), (arr(2, 0, 3),)],
    ),
    Row("prod_keepdim", lambda t, x: t.prod(x, -1, True), [(arr(2, 3),), (arr(),)]),
    Row("max", lambda t, x: t.max(x), [(arr(2, 3, distinct=True),), (arr(),)], more_dtypes=INTEGERS),
    Row("min", lambda t, x: t.min(x), [(arr(2, 3, distinct=True),), (arr(),)], more_dtypes=INTEGERS),
    Row("max_ties", lambda t, x: t.max(x), [(arr(3, values=(1.0, 2.0, 2.0)),)], smooth=False),
    Row("max_dim_ties", lambda t, x: tuple(t.max(x, 1)), [(arr(2, 3, values=(1.0, 2.0, 2.0)),)], smooth=False),
    Row("amin_ties", lambda t, x: t.amin(x, 0), [(arr(3, values=(1.0, 1.0, 2.0)),)], smooth=False),
    Row("max_nan", lambda t, x: t.max(x, 0), [(arr(3, values=(1.0, float("nan"), 5.0)),)], grad=False),
    Row(
        "max_dim",
        lambda t, x: tuple(t.max(x, 1)),
        [(arr(2, 3, 4, distinct=True),), (arr(0, 3),)],
        more_dtypes=("int64", "bool"),
    ),
    Row("max_keepdim", lambda t, x: tuple(t.max(x, dim=-1, keepdim=True)), [(arr(2, 3, distinct=True),), (arr(),)]),
    Row("min_dim", lambda t, x: tuple(t.min(x, 0)), [(arr(2, 3, distinct=True),)], more_dtypes=("int64",)),
    Row("max_other", lambda t, x, y: t.max(x, y), [(arr(2, 3), arr(3))]),
    Row("aminmax", lambda t, x: tuple(t.aminmax(x, dim=1)), [(arr(2, 3, distinct=True),)]),
    Row("argmax", lambda t, x: t.argmax(x), [*SHAPES], grad=False, more_dtypes=("int64",)),
    Row("argmax_dim", lambda t, x: t.argmax(x, -1, True), [*SHAPES], grad=False),
    Row("argmin_dim", lambda t, x: t.argmin(x, dim=0), [*SHAPES], grad=False, more_dtypes=("float16",)),
    Row("all", lambda t, x: t.all(x), [*SHAPES, *EMPTY], grad=False, more_dtypes=INTEGERS),
    Row("any_dim", lambda t, x: t.any(x, 0), [(arr(2, 3),), (arr(),), (arr(0, 3),)], grad=False, more_dtypes=INTEGERS),
    Row("count_nonzero", lambda t, x: t.count_nonzero(x, 0), [(arr(4, 3, values=(0.0, 1.0)),)], grad=False),
    *dims("var", more_dtypes=HALF)[1:4],
    *dims("std")[2:4],
    Row("var_all", lambda t, x: t.var(x), [(arr(2, 3, 4),), (arr(5),)]),
    Row("var_biased", lambda t, x: t.var(x, 1, unbiased=False), [(arr(2, 3, 4),)]),
    Row("var_correction", lambda t, x: t.var(x, dim=(0, 1), correction=2, keepdim=True), [(arr(2, 3, 4),)]),
    Row("std_all", lambda t, x: t.std(x), [(arr(2, 3, 4),)]),
    Row("std_constant", lambda t, x: t.std(x), [(arr(3, values=(2.0,)),)], second=False, grad=False),
    Row("var_mean", lambda t, x: t.var_mean(x, 1), [(arr(2, 3),)]),
    Row("std_mean", lambda t, x: t.std_mean(x, dim=-1, keepdim=True), [(arr(2, 3),)]),
    Row(
        "logsumexp_extreme",
        lambda t, x: t.logsumexp(x, 1),
        [(arr(2, 3, values=(1000.0, 999.0, -1000.0)),), (arr(1, 2, values=(float("inf"), 1.0)),)],
    ),
    Row("logsumexp_of_nothing", lambda t, x: t.logsumexp(x, 1), [(arr(2, 2, values=(float("-inf"),)),)], grad=False),
]
