"""Norms, decompositions, solutions, and products made of products."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from op_table import Arr, Row, arr

INF = math.inf
NORM_TOLERANCE = {"float32": 2e-4, "float64": 1e-8}


def square(*shape: int) -> Arr:
    """Matrices that are far from singular, with well separated eigenvalues."""

    def make(rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-0.4, 0.4, shape) + np.diag(np.arange(1.0, shape[-1] + 1))

    return arr(*shape, make=make)


def positive(t: Any, a: Any) -> Any:
    """A symmetric positive-definite matrix made of `a`."""
    return t.matmul(a, t.einsum("...ij->...ji", a))


def symmetric(t: Any, a: Any) -> Any:
    return a + t.einsum("...ij->...ji", a)


def singular(*shape: int) -> Arr:
    """Matrices whose last row is the sum of the others."""

    def make(rng: np.random.Generator) -> np.ndarray:
        a = rng.uniform(-1, 1, shape)
        a[..., -1, :] = a[..., :-1, :].sum(-2)
        return a

    return arr(*shape, make=make)


def deprecated(function: Callable[..., Any], *args: Any) -> Any:
    """A call of what PyTorch warns about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return function(*args)


def factor(t: Any, a: Any) -> Any:
    """A Cholesky factor made of `a`."""
    return t.linalg.cholesky(positive(t, a))


def product(t: Any, first: Any, *others: Any) -> Any:
    """The parts of a decomposition, multiplied together again."""
    for other in others:
        first = t.matmul(first, other)
    return first


NORMS = (
    [
        Row(
            f"linalg.vector_norm {ord}",
            lambda t, x, p=ord: (
                t.linalg.vector_norm(x, p),
                t.linalg.vector_norm(x, p, dim=-1),
                t.linalg.vector_norm(x, p, dim=(0, -1), keepdim=True),
            ),
            [(arr(2, 3, low=0.5, distinct=True),), (arr(4, 2, 3, low=-1.9, high=2.1, distinct=True),)],
            tolerance=NORM_TOLERANCE,
        )
        for ord in (2, 1, 0, INF, -INF, 3, 0.5, -1)
    ]
    + [
        Row(
            f"linalg.matrix_norm {ord}",
            lambda t, x, p=ord: (
                t.linalg.matrix_norm(x, p),
                t.linalg.matrix_norm(x, p, dim=(0, -1), keepdim=True),
                t.linalg.matrix_norm(x, p, dim=(-1, 1)),
            ),
            [(arr(2, 3, 4),)],
            tolerance=NORM_TOLERANCE,
        )
        for ord in ("fro", "nuc", 2, -2, 1, -1, INF, -INF)
    ]
    + [
        Row(
            f"linalg.cond {ord}",
            lambda t, a, p=ord: t.linalg.cond(a, p),
            [(square(3, 3),)],
            tolerance={"float32": 1e-3, "float64": 1e-8},
        )
        for ord in (None, 2, -2, "nuc")
    ]
)

ROWS = [
    *NORMS,
    Row(
        "norm",
        lambda t, x: (t.norm(x), t.norm(x, 1), t.norm(x, dim=0), t.norm(x, 3, dim=(0, 1)), t.norm(x, INF, -1, True)),
        [(arr(2, 3),)],
    ),
    Row("norm of nothing and of one", lambda t, x: t.norm(x), [(arr(0),), (arr(),), (arr(1),)]),
    Row(
        "norm of zeros",
        lambda t, x: (t.norm(x), t.norm(x, 1), t.norm(x, 3)),
        [(arr(3, values=(0,)),)],
        second=False,
        like_torch=True,
    ),
    Row(
        "linalg.norm",
        lambda t, x: (
            t.linalg.norm(x),
            t.linalg.norm(x, 2),
            t.linalg.norm(x, "nuc"),
            t.linalg.norm(x, 1, dim=1),
            t.linalg.norm(x, INF, dim=(0, 1)),
        ),
        [(arr(3, 2),)],
        tolerance=NORM_TOLERANCE,
    ),
    Row("dist", lambda t, x, y: (t.dist(x, y), t.dist(x, y, 1)), [(arr(2, 3), arr(2, 3)), (arr(2, 3), arr(3))]),
    Row(
        "cdist",
        lambda t, x, y: (t.cdist(x, y), t.cdist(x, y, 1), t.cdist(x, y, 3.0), t.cdist(x, y, INF)),
        [(arr(4, 3), arr(2, 3)), (arr(5, 4, 3), arr(5, 2, 3))],
        tolerance=NORM_TOLERANCE,
    ),
    Row(
        "linalg.cond by the inverse",
        lambda t, a: tuple(t.linalg.cond(a, p) for p in ("fro", 1, -1, INF, -INF)),
        [(square(3, 3),), (square(2, 3, 3),)],
        grad=False,
    ),
    Row(
        "linalg.cond by the inverse, gradients",
        lambda t, a: tuple(t.linalg.cond(a, p) for p in ("fro", 1, -1, INF, -INF)),
        [(square(3, 3),)],
        like_torch=False,
        why="PyTorch's backward fails: it wrote over what it had saved",
    ),
    # ---- products ----
    Row("cross", lambda t, x, y: t.cross(x, y, dim=1), [(arr(2, 3), arr(2, 3)), (arr(2, 3, 4), arr(2, 3, 4))]),
    Row(
        "linalg.cross",
        lambda t, x, y: t.linalg.cross(x, y),
        [(arr(2, 3), arr(2, 3)), (arr(1, 3), arr(5, 3))],
        more_dtypes=("int64", "float16"),
    ),
    Row("kron", lambda t, x, y: t.kron(x, y), [(arr(2, 3), arr(4, 5)), (arr(2), arr(3, 4)), (arr(2, 1, 3), arr(2, 2))]),
    Row(
        "linalg.vecdot", lambda t, x, y: t.linalg.vecdot(x, y, dim=0), [(arr(3, 2), arr(3, 2)), (arr(3, 1), arr(3, 4))]
    ),
    Row(
        "linalg.multi_dot",
        lambda t, *xs: t.linalg.multi_dot(xs),
        [
            (arr(2, 3), arr(3, 4)),
            (arr(2, 9), arr(9, 4), arr(4, 7), arr(7, 1)),
            (arr(3), arr(3, 4), arr(4)),
            (arr(3), arr(3)),
        ],
    ),
    Row("chain_matmul", lambda t, *xs: deprecated(t.chain_matmul, *xs), [(arr(2, 3), arr(3, 4), arr(4, 2))]),
    Row(
        "matrix_power",
        lambda t, a: tuple(t.matrix_power(a, n) for n in (0, 1, 2, 3, 6, -1, -2)),
        [(square(3, 3),), (square(2, 3, 3),)],
        tolerance=NORM_TOLERANCE,
    ),
    # ---- systems ----
    Row(
        "linalg.inv", lambda t, a: (t.linalg.inv(a), t.inverse(a)), [(square(3, 3),), (square(2, 2, 2),), (arr(0, 0),)]
    ),
    Row(
        "linalg.solve",
        lambda t, a, b: t.linalg.solve(a, b),
        [(square(3, 3), arr(3, 2)), (square(3, 3), arr(3)), (square(2, 3, 3), arr(3, 1)), (square(2, 3, 3), arr(2, 3))],
    ),
    Row("linalg.solve from the right", lambda t, a, b: t.linalg.solve(a, b, left=False), [(square(3, 3), arr(2, 3))]),
    Row(
        "linalg.solve_triangular",
        lambda t, a, b: (
            t.linalg.solve_triangular(a, b, upper=True),
            t.linalg.solve_triangular(a, b, upper=False, unitriangular=True),
        ),
        [(square(3, 3), arr(3, 2)), (square(2, 3, 3), arr(2, 3, 1))],
    ),
    Row(
        "linalg.solve_triangular from the right",
        lambda t, a, b: t.linalg.solve_triangular(a, b, upper=False, left=False),
        [(square(3, 3), arr(2, 3))],
    ),
    Row(
        "linalg.cholesky",
        lambda t, a: (t.linalg.cholesky(positive(t, a)), deprecated(t.cholesky, positive(t, a), True)),
        [(square(3, 3),), (square(2, 3, 3),)],
    ),
    Row(
        "cholesky_solve",
        lambda t, b, a: (
            t.cholesky_solve(b, factor(t, a)),
            t.cholesky_solve(b, t.einsum("ij->ji", factor(t, a)), upper=True),
        ),
        [(arr(3, 2), square(3, 3))],
        tolerance=NORM_TOLERANCE,
    ),
    Row(
        "cholesky_inverse",
        lambda t, a: (
            t.cholesky_inverse(factor(t, a)),
            t.cholesky_inverse(t.einsum("ij->ji", factor(t, a)), upper=True),
        ),
        [(square(3, 3),)],
        tolerance=NORM_TOLERANCE,
    ),
    Row("det", lambda t, a: t.det(a), [(square(3, 3),), (square(2, 2, 2),), (arr(1, 1),), (arr(0, 0),)]),
    Row(
        "det of a singular matrix",
        lambda t, a: t.det(a),
        [(singular(3, 3),), (singular(2, 4, 4),)],
        second=False,
        like_torch=False,
        why="PyTorch's gradient is zero where elimination finds an exact zero; the cofactors are not",
    ),
    Row("slogdet", lambda t, a: tuple(t.slogdet(a)), [(square(3, 3),), (square(2, 2, 2),)]),
    Row("logdet", lambda t, a: t.logdet(a), [(square(3, 3),)]),
    Row("logdet of a negative determinant", lambda t, a: t.logdet(a), [(arr(2, 2, values=(0, 1, 1, 0)),)], grad=False),
    # ---- decompositions; the signs of vectors are arbitrary, so they are compared where signs do not matter ----
    Row(
        "linalg.qr",
        lambda t, a: (abs(t.linalg.qr(a)[0]), abs(t.linalg.qr(a)[1]), product(t, *t.linalg.qr(a))),
        [(arr(4, 3),), (square(3, 3),), (arr(2, 4),), (arr(2, 4, 3),)],
        tolerance=NORM_TOLERANCE,
    ),
    Row("linalg.qr complete", lambda t, a: abs(t.linalg.qr(a, "complete")[1]), [(arr(4, 3),)], grad=False),
    Row("linalg.qr r", lambda t, a: abs(t.linalg.qr(a, mode="r")[1]), [(arr(4, 3),)], grad=False),
    Row("qr", lambda t, a: abs(deprecated(t.qr, a)[1]), [(arr(4, 3),)], tolerance=NORM_TOLERANCE),
    Row(
        "linalg.eigh",
        lambda t, a: (t.linalg.eigh(symmetric(t, a))[0], abs(t.linalg.eigh(symmetric(t, a), UPLO="U")[1])),
        [(square(3, 3),), (square(2, 3, 3),)],
        tolerance=NORM_TOLERANCE,
    ),
    Row("linalg.eigvalsh", lambda t, a: t.linalg.eigvalsh(symmetric(t, a)), [(square(3, 3),)]),
    Row(
        "linalg.svd",
        lambda t, a: tuple(abs(part) for part in t.linalg.svd(a, full_matrices=False)),
        [(arr(4, 3),), (arr(3, 4),), (square(3, 3),), (arr(2, 4, 3),)],
        tolerance={"float32": 1e-3, "float64": 1e-8},
    ),
    Row("linalg.svd values", lambda t, a: t.linalg.svd(a)[1], [(arr(4, 2),), (arr(2, 4),)], second=False),
    Row("linalg.svdvals", lambda t, a: t.linalg.svdvals(a), [(arr(4, 3),)], tolerance=NORM_TOLERANCE),
    Row("svd", lambda t, a: abs(t.svd(a)[2]), [(arr(4, 3),)], tolerance={"float32": 1e-3, "float64": 1e-8}),
    Row("svd without vectors", lambda t, a: tuple(t.svd(a, compute_uv=False)), [(arr(4, 3),)]),
    Row(
        "linalg.pinv",
        lambda t, a: (t.linalg.pinv(a), t.pinverse(a), t.linalg.pinv(a, rtol=1e-3)),
        [(arr(4, 3),), (arr(3, 4),), (arr(2, 4, 3),)],
        tolerance=NORM_TOLERANCE,
    ),
    Row(
        "linalg.matrix_rank",
        lambda t, a: (t.linalg.matrix_rank(a), t.linalg.matrix_rank(a, atol=100.0)),
        [(arr(4, 3),), (singular(2, 3, 3),)],
        grad=False,
    ),
    Row(
        "linalg.lstsq",
        lambda t, a, b: tuple(t.linalg.lstsq(a, b))[:1],
        [(arr(5, 3), arr(5, 2)), (arr(2, 4), arr(2, 1)), (arr(2, 5, 3), arr(2, 5, 2))],
        tolerance=NORM_TOLERANCE,
    ),
    Row(
        "linalg.lstsq residuals and rank",
        lambda t, a, b: (*tuple(t.linalg.lstsq(a, b))[1:], *tuple(t.linalg.lstsq(a, b, driver="gelsd"))[1:]),
        [(arr(5, 3), arr(5, 2)), (arr(3, 3), arr(3, 2))],
        grad=False,
        tolerance=NORM_TOLERANCE,
    ),
    Row(
        "methods of linear algebra",
        lambda t, a, b: (
            a.norm(),
            a.norm(1, dim=0, keepdim=True),
            a.dist(b),
            a.det(),
            a.logdet(),
            *a.slogdet(),
            a.inverse(),
            a.pinverse(),
            positive(t, a).cholesky_inverse(),
            b.cholesky_solve(factor(t, a)),
        ),
        [(square(3, 3), arr(3, 3))],
        tolerance={"float32": 1e-3, "float64": 1e-8},
        second=False,
        grad=False,
    ),
    Row(
        "deprecated methods of linear algebra",
        lambda t, a: (
            deprecated(lambda: positive(t, a).cholesky()),
            deprecated(lambda: a.qr()[1].abs()),
            deprecated(lambda: a.svd()[1]),
        ),
        [(square(3, 3),)],
        tolerance=NORM_TOLERANCE,
    ),
]
