"""Sums of products by labelled dimensions."""

from __future__ import annotations

from typing import Any

from op_table import Row, arr


def einsum(equation: str, *shapes: tuple[int, ...], more: Any = (), **options: Any) -> Row:
    """A row for one equation, with operands of `shapes`; `more` has further tuples of shapes."""
    samples = [tuple(arr(*shape) for shape in sample) for sample in (shapes, *more)]
    return Row(f"einsum {equation}", lambda t, *xs: t.einsum(equation, *xs), samples, **options)


ROWS = [
    einsum("ij,jk->ik", (2, 3), (3, 4), more_dtypes=("float16", "bfloat16", "int64")),
    einsum("ij,jk", (2, 3), (3, 4)),
    einsum("ij,jk->ki", (2, 3), (3, 4)),
    einsum("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    einsum("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    einsum("bhqk,bhkd->bqhd", (2, 3, 4, 5), (2, 3, 5, 2)),
    einsum("ij->ji", (2, 3)),
    einsum("ba", (2, 3)),
    einsum("ij->", (2, 3), more_dtypes=("float16", "bfloat16")),
    einsum("i->i", (3,)),
    einsum("ii->", (3, 3)),
    einsum("ii->i", (3, 3)),
    einsum("iji->j", (3, 2, 3)),
    einsum("ii,ij->j", (3, 3), (3, 2)),
    einsum("i,j->ij", (3,), (2,)),
    einsum("i,i->", (3,), (3,)),
    einsum("i,i->i", (3,), (3,)),
    einsum(",i->i", (), (3,)),
    einsum(",", (), ()),
    einsum("ij,kl->jl", (2, 3), (4, 5)),
    einsum("...ij,...jk->...ik", (2, 3), (3, 4), more=[((5, 2, 3), (3, 4)), ((4, 1, 2, 3), (5, 3, 2))]),
    einsum("...i,...i", (2, 3), (5, 2, 3)),
    einsum("i...->...", (2, 3, 4)),
    einsum("...ii->...i", (2, 3, 3)),
    einsum("bn,anm,bm->ba", (2, 3), (4, 3, 5), (2, 5)),
    einsum("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    einsum("i,i,i->", (3,), (3,), (3,)),
    einsum("ab,b->a", (2, 3), (1,), more=[((2, 1), (3,)), ((2, 0), (0,)), ((0, 3), (3,))]),
    einsum(" i j , j k -> i k ", (2, 3), (3, 4)),
    Row(
        "einsum of sublists",
        lambda t, x, y: (t.einsum(x, [0, 1], y, [1, 2], [2, 0]), t.einsum(x, [..., 0], y, [0, 30])),
        [(arr(2, 3), arr(3, 4))],
    ),
    Row("einsum of a list", lambda t, x, y: t.einsum("ij,jk", [x, y]), [(arr(2, 3), arr(3, 4))]),
    Row(
        "tensordot",
        lambda t, x, y: (
            t.tensordot(x, y, dims=2),
            t.tensordot(x, y, dims=([1, -1], [0, 1])),
            t.tensordot(x, y, dims=0),
        ),
        [(arr(2, 3, 4), arr(3, 4, 2))],
    ),
    Row("tensordot swapped", lambda t, x, y: t.tensordot(x, y, dims=([0, 1], [2, 0])), [(arr(2, 3, 4), arr(3, 5, 2))]),
    Row(
        "bilinear",
        lambda t, x, y, w, b: (t.nn.functional.bilinear if t.__name__ == "torch" else t.bilinear)(x, y, w, b),
        [(arr(5, 2), arr(5, 3), arr(4, 2, 3), arr(4)), (arr(2), arr(3), arr(4, 2, 3), arr(4))],
    ),
    Row(
        "trace",
        lambda t, x: t.trace(x),
        [(arr(3, 3),), (arr(2, 3),), (arr(4, 1),), (arr(0, 0),)],
        more_dtypes=("int32",),
    ),
]
