"""Gather, scatter, `index_*`, `masked_*`, `take`, embedding."""

from __future__ import annotations

from typing import Any

from op_table import Row, arr

SOME = ("float16", "int64")


def index(*shape: int, high: int) -> Any:
    return arr(*shape, dtype="int64", low=0, high=high)


def embed(m: Any, w: Any, i: Any, padding_idx: int | None = None) -> Any:
    if m.__name__ == "gpugrad":
        from gpugrad.ops.embedding import embedding

        return embedding(w, i, padding_idx=padding_idx)
    return m.nn.functional.embedding(i, w, padding_idx=padding_idx)


def one_hot(m: Any, i: Any, *classes: int) -> Any:
    if m.__name__ == "gpugrad":
        from gpugrad.ops.embedding import one_hot

        return one_hot(i, *classes)
    return m.nn.functional.one_hot(i, *classes)


ROWS = [
    Row(
        "gather",
        lambda m, x, i: [m.gather(x, 0, i), x.gather(-2, i)],
        [(arr(3, 4), index(2, 4, high=3)), (arr(3, 4), index(5, 2, high=3))],
        more_dtypes=SOME,
    ),
    Row(
        "gather_last",
        lambda m, x, i: m.gather(x, 1, i),
        [(arr(3, 4), index(3, 1, high=4)), (arr(2, 4, 2), index(2, 6, 2, high=4)), (arr(3, 4), index(0, 2, high=4))],
    ),
    Row(
        "gather_0d",
        lambda m, x, i: m.gather(x, 0, i),
        [(arr(), index(high=1)), (arr(), index(3, high=1)), (arr(3), index(high=3))],
    ),
    Row(
        "scatter",
        lambda m, x, v: [
            m.scatter(x, 0, m.tensor([[0, 1, 2], [2, 0, 1]]), v),
            x.scatter(1, m.tensor([[0, 3, 1], [1, 2, 0]]), v),
        ],
        [(arr(3, 4), arr(2, 3))],
        more_dtypes=SOME,
    ),
    Row(
        "scatter_value",
        lambda m, x, i: [m.scatter(x, -1, i, 2.5), x.scatter(-1, i, value=1)],
        [(arr(3, 4), index(3, 2, high=4)), (arr(4), index(3, high=4))],
    ),
    Row(
        "scatter_reduced",
        lambda m, x, i: [m.scatter(x, 1, i, 2.0, reduce="add"), x.scatter(1, i, 3.0, reduce="multiply")],
        [(arr(3, 4), index(3, 6, high=4))],
        grad=False,
    ),
    Row(
        "scatter_add",
        lambda m, x, i, v: [m.scatter_add(x, -1, i, v), x.scatter_add(-1, i, v)],
        [
            (arr(3, 4), index(3, 6, high=4), arr(3, 6)),
            (arr(3), index(5, high=3), arr(5)),
            (arr(), index(1, high=1), arr(1)),
        ],
        more_dtypes=SOME,
    ),
    *[
        Row(
            f"scatter_reduce_{how}",
            lambda m, x, i, v, how=how: [
                m.scatter_reduce(x, 1, i, v, how),
                x.scatter_reduce(1, i, v, how, include_self=False),
            ],
            [
                (arr(3, 4, low=0.5), index(3, 6, high=4), arr(3, 6, low=0.5)),
                (arr(2, 3, distinct=True), index(2, 4, high=3), arr(2, 4, low=-2.1, high=2.1, distinct=True)),
            ],
            more_dtypes=("int64",) if how in ("sum", "prod", "amax", "amin") else (),
        )
        for how in ("sum", "mean", "amax", "amin", "prod")
    ],
    Row(
        "scatter_reduce_zeros",
        lambda m, x, v: m.scatter_reduce(x, 0, m.tensor([0, 0, 1, 1, 2, 3]), v, "prod"),
        [(arr(4, values=(2.0, 3.0, 0.0, 0.0)), arr(6, values=(0.0, 2.0, 0.0, 0.0, 3.0, 0.0)))],
        second=False,
        why="PyTorch refuses second derivatives here",
    ),
    Row(
        "scatter_reduce_ties",
        lambda m, x, v: [m.scatter_reduce(x, 0, m.tensor([0, 0, 1, 1]), v, h) for h in ("amax", "amin")],
        [(arr(3, values=(1.0, 2.0, 3.0)), arr(4, values=(1.0, 1.0, 2.0, 0.0)))],
        grad=False,
    ),
    Row(
        "index_select",
        lambda m, x, i: [m.index_select(x, 0, i), x.index_select(-1, i)],
        [(arr(3, 4), index(5, high=3)), (arr(3, 3), index(0, high=3))],
        more_dtypes=(*SOME, "bfloat16", "bool"),
    ),
    Row(
        "index_select_0d", lambda m, x, i: m.index_select(x, 0, i), [(arr(), index(1, high=1)), (arr(3), index(high=3))]
    ),
    Row(
        "index_add",
        lambda m, x, i, v: [m.index_add(x, 0, i, v), x.index_add(0, i, v, alpha=2)],
        [(arr(3, 4), index(5, high=3), arr(5, 4)), (arr(4), index(6, high=4), arr(6))],
        more_dtypes=SOME,
    ),
    Row(
        "index_add_inner",
        lambda m, x, i, v: m.index_add(x, 1, i, v),
        [(arr(2, 3, 2), index(5, high=3), arr(2, 5, 2)), (arr(2, 3), index(4, high=3), arr(2, 4))],
    ),
    Row(
        "index_copy",
        lambda m, x, v: [m.index_copy(x, 0, m.tensor([2, 0]), v), x.index_copy(0, m.tensor([1, 0]), v)],
        [(arr(3, 4), arr(2, 4))],
    ),
    Row("index_copy_inner", lambda m, x, v: x.index_copy(1, m.tensor([2, 0]), v), [(arr(2, 3), arr(2, 2))]),
    Row(
        "index_fill",
        lambda m, x: [m.index_fill(x, 0, m.tensor([0, -1]), 3.0), x.index_fill(1, m.tensor([1]), 0)],
        [(arr(3, 4),)],
    ),
    Row("index_fill_tensor", lambda m, x, v: m.index_fill(x, 0, m.tensor([0, 2]), v), [(arr(3, 4), arr())]),
    Row(
        "masked_fill",
        lambda m, x, b: [m.masked_fill(x, b, -1.0), x.masked_fill(b, 2)],
        [
            (arr(3, 4), arr(3, 4, dtype="bool")),
            (arr(3, 4), arr(4, dtype="bool")),
            (arr(4), arr(3, 4, dtype="bool")),
            (arr(), arr(dtype="bool")),
        ],
        more_dtypes=("float16", "bfloat16", "int64"),
    ),
    Row(
        "masked_fill_infinite",
        lambda m, x, b: x.masked_fill(b, float("-inf")),
        [(arr(3, 4), arr(3, 4, dtype="bool"))],
        more_dtypes=("float16", "bfloat16"),
        grad=False,
    ),
    Row("masked_fill_tensor", lambda m, x, b, v: m.masked_fill(x, b, v), [(arr(3, 4), arr(4, dtype="bool"), arr())]),
    Row(
        "masked_select",
        lambda m, x, b: [m.masked_select(x, b), x.masked_select(b)],
        [(arr(3, 4), arr(3, 4, dtype="bool")), (arr(3, 1), arr(4, dtype="bool")), (arr(), arr(dtype="bool"))],
    ),
    Row(
        "masked_scatter",
        lambda m, x, b, v: m.masked_scatter(x, b, v),
        [(arr(3, 4), arr(3, 4, dtype="bool"), arr(12)), (arr(3, 4), arr(4, dtype="bool"), arr(4, 3))],
    ),
    Row("take", lambda m, x: [m.take(x, m.tensor([[0, 5], [-1, 0]])), x.take(m.tensor(1))], [(arr(2, 3),)]),
    Row(
        "take_along_dim",
        lambda m, x, i: [m.take_along_dim(x, i, 1), x.take_along_dim(i)],
        [(arr(3, 4), index(3, 2, high=4)), (arr(3, 4), index(1, 2, high=4)), (arr(1, 4), index(3, 2, high=4))],
    ),
    Row(
        "put", lambda m, x, v: [m.put(x, m.tensor([0, -1]), v), x.put(m.tensor([1, 1]), v, True)], [(arr(2, 3), arr(2))]
    ),
    Row(
        "embedding_rows",
        lambda m, w, i: embed(m, w, i),
        [(arr(5, 3), index(2, 4, high=5)), (arr(5, 3), index(high=5)), (arr(5, 3), index(0, 2, high=5))],
    ),
    Row(
        "embedding_padding",
        lambda m, w, i: [embed(m, w, i, 1), embed(m, w, i, -1)],
        [(arr(4, 3), index(2, 6, high=4))],
        smooth=False,
        why="the row of the padding is used, but has no gradient",
    ),
    Row(
        "one_hot_values",
        lambda m, i: [one_hot(m, i), one_hot(m, i, 7)],
        [(index(2, 3, high=5),), (index(high=3),)],
        grad=False,
    ),
]
