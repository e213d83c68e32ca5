"""Matrix products."""

from __future__ import annotations

from op_table import Row, arr

HALF = ("float16", "bfloat16")

ROWS = [
    Row(
        "matmul",
        lambda t, x, y: t.matmul(x, y),
        [
            (arr(2, 3), arr(3, 4)),
            (arr(3), arr(3)),
            (arr(3), arr(3, 4)),
            (arr(2, 3), arr(3)),
            (arr(5, 2, 3), arr(3, 4)),
            (arr(2, 3), arr(5, 3, 4)),
            (arr(4, 1, 2, 3), arr(5, 3, 2)),
            (arr(3), arr(5, 3, 4)),
            (arr(5, 2, 3), arr(3)),
            (arr(2, 0), arr(0, 4)),
            (arr(0, 3), arr(3, 4)),
        ],
        more_dtypes=(*HALF, "int64"),
    ),
    Row("operator_matmul", lambda t, x, y: x @ y, [(arr(2, 3), arr(3, 4))]),
    Row("mm", lambda t, x, y: t.mm(x, y), [(arr(31, 33), arr(33, 2))]),
    Row("bmm", lambda t, x, y: t.bmm(x, y), [(arr(4, 2, 3), arr(4, 3, 5))]),
    Row("mv", lambda t, x, y: t.mv(x, y), [(arr(2, 3), arr(3))]),
    Row("dot", lambda t, x, y: t.dot(x, y), [(arr(7), arr(7)), (arr(0), arr(0))]),
    Row("inner", lambda t, x, y: t.inner(x, y), [(arr(2, 3), arr(4, 3)), (arr(3), arr(3)), (arr(), arr(3))]),
    Row("outer", lambda t, x, y: t.outer(x, y), [(arr(2), arr(3)), (arr(0), arr(3))]),
    Row(
        "addmm",
        lambda t, b, x, y: t.addmm(b, x, y, beta=0.5, alpha=2),
        [(arr(2, 4), arr(2, 3), arr(3, 4)), (arr(4), arr(2, 3), arr(3, 4))],
    ),
    Row("addmv", lambda t, b, x, y: t.addmv(b, x, y), [(arr(2), arr(2, 3), arr(3))]),
    Row("baddbmm", lambda t, b, x, y: t.baddbmm(b, x, y, alpha=0.5), [(arr(5, 2, 4), arr(5, 2, 3), arr(5, 3, 4))]),
    Row(
        "addbmm",
        lambda t, b, x, y: t.addbmm(b, x, y, beta=0.5, alpha=2),
        [(arr(2, 4), arr(5, 2, 3), arr(5, 3, 4)), (arr(1, 4), arr(5, 2, 3), arr(5, 3, 4))],
    ),
    Row("addr", lambda t, b, x, y: t.addr(b, x, y, beta=0.5, alpha=2), [(arr(2, 4), arr(2), arr(4))]),
    Row(
        "methods of matrix products",
        lambda t, x, y, v: (
            x.matmul(y),
            x.mm(y),
            x.mv(v),
            v.dot(v),
            v.vdot(v),
            v.inner(v),
            v.outer(v),
            v.ger(v),
            y.addmm(y, y, beta=0.5),
            v.addmv(y, v, alpha=2),
            y.addr(v, v),
            x.kron(y),
            y.trace(),
            y.matrix_power(2),
        ),
        [(arr(2, 3), arr(3, 3), arr(3))],
    ),
    Row(
        "methods of products of stacks",
        lambda t, a, x, y: (x.bmm(y), a.addbmm(x, y), a.baddbmm(x, y), x.cross(x, dim=2)),
        [(arr(2, 2), arr(4, 2, 3), arr(4, 3, 2))],
    ),
    Row(
        "linear",
        lambda t, x, w, b: t.nn.functional.linear(x, w, b),
        [(arr(2, 3), arr(4, 3), arr(4)), (arr(3), arr(4, 3), arr(4)), (arr(2, 5, 3), arr(4, 3), arr(4))],
        more_dtypes=HALF,
    ),
    Row(
        "linear, its bias broadcast",
        lambda t, x, w, b: t.nn.functional.linear(x, w, b),
        [
            *[(arr(2, 3), arr(4, 3), arr(*shape)) for shape in ((1,), (), (1, 4), (2, 4), (2, 1))],
            *[(arr(2, 5, 3), arr(4, 3), arr(*shape)) for shape in ((1,), (5, 4), (2, 5, 4))],
            *[(arr(3), arr(4, 3), arr(*shape)) for shape in ((1,), (1, 4))],
            (arr(2, 3), arr(1, 3), arr(2, 1)),
        ],
    ),
]
