"""The exponential of matrices, tensors as matrices, Vandermonde's matrices; tensors with a part replaced."""

from __future__ import annotations

from op_table import Row, arr

ROWS = [
    Row(
        "matrix_exp",
        lambda t, a: t.matrix_exp(a),
        [(arr(3, 3),), (arr(2, 2, 2, high=9),), (arr(1, 1),), (arr(0, 2, 2),), (arr(4, 4, low=-30, high=2),)],
        tolerance={"float32": 3e-4, "float64": 1e-8},
        second=False,
    ),
    Row(
        "matrix_exp to second order",
        lambda t, a: t.linalg.matrix_exp(a),
        [(arr(2, 2, low=-1, high=1),)],
        tolerance={"float32": 1e-4},
    ),
    Row("tensorinv", lambda t, a: t.linalg.tensorinv(a, 1), [(arr(4, 2, 2),)], tolerance={"float32": 2e-3}),
    Row(
        "tensorsolve",
        lambda t, a, b: t.linalg.tensorsolve(a, b),
        [(arr(2, 2, 4), arr(2, 2))],
        tolerance={"float32": 2e-3},
    ),
    Row(
        "tensorsolve with dims",
        lambda t, a, b: t.linalg.tensorsolve(a, b, dims=(0,)),
        [(arr(4, 2, 2), arr(2, 2))],
        tolerance={"float32": 2e-3},
    ),
    Row(
        "vander",
        lambda t, x: (t.vander(x), t.vander(x, 2), t.vander(x, N=5, increasing=True), t.vander(x, 1), t.vander(x, 0)),
        [(arr(3),), (arr(3, values=(0.0, 1.0, -2.0)),)],
        grad=False,
    ),
    Row(
        "gradients of vander",
        lambda t, x: (t.vander(x), t.vander(x, 2), t.vander(x, 5, increasing=True)),
        [(arr(3),), (arr(3, values=(0.0, 1.0, -2.0)),)],
        like_torch=False,
        why="PyTorch writes the powers in place and refuses to differentiate them",
    ),
    Row("linalg.vander", lambda t, x: t.linalg.vander(x, N=4), [(arr(2, 3),), (arr(5),)]),
    Row("linalg.diagonal", lambda t, a: t.linalg.diagonal(a, offset=1), [(arr(2, 3, 3),)], view=True),
    Row("select_scatter", lambda t, x, y: t.select_scatter(x, y, 1, -1), [(arr(3, 4), arr(3))]),
    Row(
        "slice_scatter",
        lambda t, x, y: t.slice_scatter(x, y, 0, 1, None, 2),
        [(arr(5, 2), arr(2, 2))],
    ),
    Row("diagonal_scatter", lambda t, x, y: t.diagonal_scatter(x, y, 1), [(arr(3, 3), arr(2))]),
    Row(
        "methods of parts and of products in place",
        lambda t, x, v, b: (
            x.select_scatter(v, 0, 1),
            x.slice_scatter(b[0], end=2),
            x.diagonal_scatter(v),
            x.matrix_exp(),
            (x * 1).addmm_(x, x, beta=0.5),
            (v * 1).addmv_(x, v, alpha=2),
            (x * 1).addr_(v, v),
            (b[0] * 1).addbmm_(b, x.expand(2, 3, 3)),
            (b * 1).baddbmm_(b, x.expand(2, 3, 3), beta=2),
        ),
        [(arr(3, 3), arr(3), arr(2, 2, 3))],
        tolerance={"float32": 1e-4},
    ),
    Row(
        "isin",
        lambda t, x, y: (t.isin(x, y), t.isin(x, y, invert=True), t.isin(x, 2), t.isin(2, y)),
        [(arr(2, 3, dtype="int64", low=0, high=4), arr(2, dtype="int64", low=0, high=4))],
        grad=False,
    ),
    Row(
        "unravel_index",
        lambda t, i: (*t.unravel_index(i, (2, 3, 4)), *t.unravel_index(i, 24)),
        [(arr(2, 5, dtype="int64", low=0, high=24),)],
        grad=False,
    ),
]
