"""Covariances and counts by value; reductions under NumPy's argument names."""

from __future__ import annotations

from op_table import Row, arr

COUNTS = arr(4, dtype="int64", values=(1, 2, 3, 1))
VALUES = (arr(9, values=(0.0, 1.0, 2.0, 3.0, 4.0, 2.5, 2.5, 1.0, 0.25)),)

ROWS = [
    Row("cov", lambda t, x: t.cov(x), [(arr(3, 5),), (arr(5),), (arr(1, 4),)], more_dtypes=("int64",)),
    Row("cov_correction", lambda t, x: x.cov(correction=0), [(arr(3, 5),)]),
    Row("cov_weights", lambda t, x, f: t.cov(x, fweights=f), [(arr(3, 4), COUNTS)]),
    Row(
        "cov_both_weights",
        lambda t, x, f, a: t.cov(x, fweights=f, aweights=a),
        [(arr(3, 4), COUNTS, arr(4, low=0.5))],
    ),
    Row("cov_aweights", lambda t, x, a: t.cov(x, aweights=a), [(arr(3, 4), arr(4, low=0.5))]),
    Row("corrcoef", lambda t, x: t.corrcoef(x), [(arr(3, 5),)], tolerance={"float32": 1e-4}, smooth=False),
    Row("corrcoef_1d", lambda t, x: x.corrcoef(), [(arr(5),)]),
    Row(
        "bincount",
        lambda t, x: (t.bincount(x), x.bincount(minlength=7)),
        [(arr(6, dtype="int64", low=0, high=5),), (arr(0, dtype="int64"),)],
        grad=False,
    ),
    Row(
        "bincount_weights",
        lambda t, x, w: t.bincount(x, w),
        [(arr(6, dtype="int64", low=0, high=5), arr(6)), (arr(3, dtype="uint8", high=3), arr(3, dtype="int64"))],
        grad=False,
    ),
    Row("histc", lambda t, x: (t.histc(x, 4), x.histc(3, 0, 3)), [VALUES, (arr(3, values=(1.0,)),)], grad=False),
    Row(
        "histogram",
        lambda t, x: (*t.histogram(x, 4), *x.histogram(3, range=(0.0, 3.0), density=True)),
        [VALUES],
        grad=False,
    ),
    Row(
        "histogram_edges",
        lambda t, x, w: tuple(t.histogram(x, t.tensor([0.0, 0.5, 2.0, 4.0], dtype=x.dtype), weight=w)),
        [(*VALUES, arr(9, low=0.1))],
        grad=False,
    ),
    Row("sum_axis", lambda t, x: (t.sum(x, axis=1), x.sum(axis=0, keepdims=True)), [(arr(2, 3),)]),
    Row("max_axis", lambda t, x: (x.max(axis=1).values, x.argmax(axis=0)), [(arr(2, 3, distinct=True),)]),
    Row("std_axis", lambda t, x: (x.std(axis=1), t.var(x, axis=0, keepdims=True)), [(arr(2, 3),)]),
    Row("prod_many", lambda t, x: t.prod(x, 0), [(arr(9, 2, values=(1.5, 0.0, 2.0, -1.0, 0.5)),)]),
    Row("logsumexp_of_integers", lambda t, x: t.logsumexp(x, (0, 2)), [(arr(2, 3, 4),)], more_dtypes=("int64",)),
]
