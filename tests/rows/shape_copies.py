"""Copies in another order, repeats, triangles, grids."""

from __future__ import annotations

from op_table import Row, arr

ANY = ("float16", "bfloat16", "int64", "uint8", "bool")

ROWS = [
    Row("clone", lambda m, x: [m.clone(x), x.clone()], [(arr(2, 3),), (arr(),), (arr(0, 2),)], more_dtypes=ANY),
    Row("contiguous", lambda m, x: x.transpose(0, 1).contiguous(), [(arr(2, 3),)], more_dtypes=ANY),
    Row(
        "flip",
        lambda m, x: [m.flip(x, (0,)), x.flip(0, -1), x.flip([1]), m.flip(x, dims=(0, 1))],
        [(arr(2, 3),), (arr(2, 3, 2),)],
        more_dtypes=ANY,
    ),
    Row("fliplr_flipud", lambda m, x: [m.fliplr(x), x.flipud()], [(arr(2, 3),)]),
    Row(
        "rot90",
        lambda m, x: [m.rot90(x, k) for k in range(-1, 5)] + [x.rot90(1, (1, 0))],
        [(arr(2, 3),), (arr(2, 3, 2),)],
    ),
    Row(
        "roll",
        lambda m, x: [m.roll(x, 1), x.roll(-2, 0), x.roll((1, 2), (0, 1)), x.roll(5, -1)],
        [(arr(3, 4),)],
        more_dtypes=ANY,
    ),
    Row(
        "repeat",
        lambda m, x: [x.repeat(2, 3), x.repeat((2, 1, 3))],
        [(arr(2, 3),), (arr(3),), (arr(),)],
        more_dtypes=ANY,
    ),
    Row("repeat_none", lambda m, x: x.repeat(0, 2), [(arr(2, 3),)]),
    Row("tile", lambda m, x: [m.tile(x, (2,)), x.tile(3, 2), x.tile((1, 2, 2))], [(arr(2, 3),)]),
    Row(
        "repeat_interleave",
        lambda m, x: [m.repeat_interleave(x, 2), x.repeat_interleave(3, 0), x.repeat_interleave(2, dim=-1)],
        [(arr(2, 3),)],
    ),
    Row(
        "repeat_interleave_each",
        lambda m, x: [m.repeat_interleave(x, m.tensor([2, 0, 1]), 0), x.repeat_interleave(m.tensor([2]), 1)],
        [(arr(3, 2),)],
    ),
    Row(
        "repeat_interleave_counts",
        lambda m, n: m.repeat_interleave(n),
        [(arr(4, dtype="int64", low=0, high=4),)],
        grad=False,
    ),
    Row("diag", lambda m, x: [m.diag(x), x.diag(1), m.diag(x, -1)], [(arr(3),), (arr(3, 4),)], more_dtypes=ANY),
    Row(
        "diag_embed", lambda m, x: [m.diag_embed(x), x.diag_embed(1, 0, 1), m.diag_embed(x, -2, 0, -1)], [(arr(2, 3),)]
    ),
    Row("diagflat", lambda m, x: [m.diagflat(x), x.diagflat(1)], [(arr(2, 2),), (arr(3),)]),
    Row(
        "tril_triu",
        lambda m, x: [m.tril(x), x.triu(), x.tril(1), m.triu(x, diagonal=-1)],
        [(arr(3, 4),), (arr(2, 3, 3),)],
        more_dtypes=ANY,
    ),
    Row(
        "tril_indices",
        lambda m, x: [m.tril_indices(3, 4), m.triu_indices(3, 2, 1), m.tril_indices(3, 3, -1, dtype=m.int32)],
        [(arr(1),)],
        grad=False,
    ),
    Row(
        "meshgrid",
        lambda m, x, y, z: [*m.meshgrid(x, y, z, indexing="ij"), *m.meshgrid([x, y, z], indexing="xy")],
        [(arr(2), arr(3), arr(4)), (arr(2), arr(), arr(1))],
        view=True,
    ),
    Row("cartesian_prod", lambda m, x, y: [m.cartesian_prod(x, y, x), m.cartesian_prod(x * 1)], [(arr(2), arr(3))]),
    Row(
        "combinations",
        lambda m, x: [m.combinations(x), m.combinations(x, 3), m.combinations(x, with_replacement=True)],
        [(arr(4),)],
    ),
    Row("block_diag", lambda m, x, y, z: m.block_diag(x, y, z), [(arr(2, 3), arr(2), arr())]),
]
