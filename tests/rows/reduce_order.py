"""Sorting, the first few, distinct values, statistics of order."""

from __future__ import annotations

from typing import Any

from op_table import Row, arr

INTEGERS = ("int64", "int32", "uint8")
HALF = ("float16", "bfloat16")
NAN = float("nan")
LINES = [(arr(3, 5, distinct=True),), (arr(2, 3, 4, distinct=True),), (arr(33, distinct=True),), (arr(),)]
REPEATED = (arr(3, 4, values=(3.0, 1.0, 3.0, 2.0, 1.0)),)
WITH_NAN = (arr(2, 4, values=(1.0, NAN, 0.0, 2.0, 5.0, -1.0, 4.0)),)


def plain(t: Any, result: Any) -> Any:
    """Indices of 0-d and other results, as a plain tuple."""
    return tuple(result)


def quantiles(name: str, samples: Any, smooth: bool = True, **arguments: Any) -> Row:
    function = name.partition("_")[0]
    return Row(name, lambda t, x, q: getattr(t, function)(x, q, **arguments), samples, smooth=smooth)


Q = arr(3, values=(0.1, 0.5, 0.9))
ONE_Q = arr(values=(0.3,))

ROWS = [
    Row("sort", lambda t, x: plain(t, t.sort(x)), LINES, more_dtypes=HALF),
    Row("sort_dim", lambda t, x: plain(t, t.sort(x, 0, True)), LINES),
    Row("sort_empty", lambda t, x: plain(t, t.sort(x, 1)), [(arr(2, 0),), (arr(0, 2),)]),
    Row(
        "sort_stable",
        lambda t, x: plain(t, t.sort(x, stable=True, dim=-1)),
        [REPEATED],
        more_dtypes=INTEGERS,
        smooth=False,
    ),
    Row(
        "sort_descending_stable",
        lambda t, x: plain(t, t.sort(x, stable=True, dim=-1, descending=True)),
        [REPEATED],
        more_dtypes=INTEGERS,
        smooth=False,
    ),
    Row("sort_nan", lambda t, x: (*t.sort(x), *t.sort(x, descending=True)), [WITH_NAN], grad=False),
    Row("sort_method", lambda t, x: x.sort(descending=True).values, [(arr(3, 5, distinct=True),)]),
    Row("argsort", lambda t, x: t.argsort(x, dim=0, stable=True), [*LINES, REPEATED], grad=False, more_dtypes=INTEGERS),
    Row("argsort_descending", lambda t, x: x.argsort(descending=True), LINES, grad=False),
    Row("msort", lambda t, x: t.msort(x), [(arr(5, 2, distinct=True),)]),
    Row("topk", lambda t, x: plain(t, t.topk(x, 1)), LINES, more_dtypes=HALF),
    Row("topk_3", lambda t, x: plain(t, x.topk(3, dim=0)), [(arr(5, 2, distinct=True),), (arr(3, 4, distinct=True),)]),
    Row("topk_smallest", lambda t, x: plain(t, t.topk(x, 2, largest=False)), [(arr(3, 7, distinct=True),)]),
    Row("topk_of_nan", lambda t, x: plain(t, t.topk(x, 2)), [WITH_NAN], grad=False),
    Row("topk_0", lambda t, x: plain(t, t.topk(x, 0)), [(arr(3, 2),)]),
    Row("kthvalue", lambda t, x: plain(t, t.kthvalue(x, 1)), LINES),
    Row("kthvalue_dim", lambda t, x: plain(t, t.kthvalue(x, 2, 0, True)), [(arr(3, 4, distinct=True),)]),
    Row(
        "unique", lambda t, x: t.unique(x), [REPEATED, (arr(0),), (arr(),)], grad=False, more_dtypes=(*INTEGERS, "bool")
    ),
    Row("unique_all", lambda t, x: t.unique(x, return_inverse=True, return_counts=True), [REPEATED], grad=False),
    Row(
        "unique_dim",
        lambda t, x: t.unique(x, return_inverse=True, return_counts=True, dim=0),
        [(arr(4, 2, values=(2.0, 1.0, 1.0, 1.0)),)],
        grad=False,
        more_dtypes=("int64",),
    ),
    Row("unique_counts", lambda t, x: t.unique(x, return_counts=True), [REPEATED, WITH_NAN], grad=False),
    Row("unique_consecutive", lambda t, x: t.unique_consecutive(x), [REPEATED, (arr(0),)], grad=False),
    Row(
        "unique_consecutive_all",
        lambda t, x: t.unique_consecutive(x, return_inverse=True, return_counts=True),
        [(arr(7, values=(1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 3.0)),), REPEATED],
        grad=False,
        more_dtypes=("int64",),
    ),
    Row(
        "unique_consecutive_dim",
        lambda t, x: t.unique_consecutive(x, True, True, dim=1),
        [(arr(2, 4, values=(1.0, 1.0, 2.0, 1.0)),), (arr(2, 0),)],
        grad=False,
    ),
    Row(
        "searchsorted",
        lambda t, s, x: t.searchsorted(s, x),
        [
            (arr(4, values=(1.0, 3.0, 3.0, 5.0)), arr(2, 5, values=(0.0, 1.0, 3.0, 4.0, 9.0))),
            (arr(2, 3, values=(1.0, 2.0, 3.0)), arr(2, 4, values=(0.0, 1.0, 2.5, 7.0))),
        ],
        grad=False,
        more_dtypes=("int64",),
    ),
    Row(
        "searchsorted_right",
        lambda t, s, x: (t.searchsorted(s, x, right=True), t.searchsorted(s, x, side="right", out_int32=True)),
        [(arr(4, values=(1.0, 3.0, 3.0, 5.0)), arr(5, values=(0.0, 1.0, 3.0, 4.0, 9.0)))],
        grad=False,
    ),
    Row(
        "searchsorted_sorter",
        lambda t, s, x: t.searchsorted(s, x, sorter=t.argsort(s)),
        [(arr(4, values=(3.0, 1.0, 5.0, 2.0)), arr(2, values=(2.5, 3.0)))],
        grad=False,
    ),
    Row(
        "bucketize",
        lambda t, x, b: (t.bucketize(x, b), t.bucketize(x, b, right=True), t.bucketize(2.0, b)),
        [(arr(2, 3, values=(1.0, 2.0, 3.5)), arr(3, values=(1.0, 2.0, 3.0)))],
        grad=False,
    ),
    Row("median", lambda t, x: t.median(x), [*LINES, (arr(4, distinct=True),)], more_dtypes=(*INTEGERS, *HALF)),
    Row("median_ties", lambda t, x: t.median(x), [REPEATED], smooth=False),
    Row("median_of_nan", lambda t, x: (t.median(x), t.median(x, 1).values, t.nanmedian(x)), [WITH_NAN], grad=False),
    Row("median_dim", lambda t, x: plain(t, t.median(x, -1)), LINES),
    Row("median_keepdim", lambda t, x: plain(t, x.median(0, keepdim=True)), [(arr(4, 3, distinct=True),)]),
    Row("nanmedian", lambda t, x: t.nanmedian(x), LINES),
    Row("nanmedian_dim", lambda t, x: plain(t, t.nanmedian(x, 1, True)), [(arr(2, 4, distinct=True),), WITH_NAN]),
    Row("mode", lambda t, x: plain(t, t.mode(x)), [REPEATED], smooth=False, more_dtypes=INTEGERS),
    Row("mode_dim", lambda t, x: plain(t, t.mode(x, 0, True)), [REPEATED, (arr(),)], smooth=False),
    quantiles("quantile", [(arr(3, 4, distinct=True), Q), (arr(5, distinct=True), ONE_Q), (arr(), Q)]),
    quantiles("quantile_dim", [(arr(3, 4, distinct=True), Q), (arr(2, 3, 4, distinct=True), ONE_Q)], dim=1),
    quantiles("quantile_keepdim", [(arr(2, 3, 4, distinct=True), Q)], dim=-1, keepdim=True),
    quantiles("quantile_keepdim_all", [(arr(2, 3, distinct=True), Q), (arr(2, 3, distinct=True), ONE_Q)], keepdim=True),
    *[
        quantiles(f"quantile_{how}", [(arr(3, 6, distinct=True), Q)], how != "nearest", dim=1, interpolation=how)
        for how in ("lower", "higher", "midpoint", "nearest")
    ],
    Row("quantile_of_nan", lambda t, x: t.quantile(x, 0.4, 1), [WITH_NAN], grad=False),
    Row("nanquantile", lambda t, x: t.nanquantile(x, 0.4, dim=1), [WITH_NAN, (arr(2, 3, values=(NAN,)),)], grad=False),
    Row("nanquantile_smooth", lambda t, x: t.nanquantile(x, 0.4), [(arr(7, distinct=True),)]),
]
