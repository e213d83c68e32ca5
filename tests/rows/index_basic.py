"""Reading and writing by key."""

from __future__ import annotations

from typing import Any

from op_table import Row, arr

ANY = ("float16", "bfloat16", "int64", "uint8", "bool")


def write(m: Any, x: Any, key: Any, value: Any) -> Any:
    """A copy of `x` written at `key`."""
    y = x.clone()
    y[key(m)] = value
    return y


def index(*values: int) -> Any:
    return arr(len(values), dtype="int64", values=values)


ROWS = [
    Row(
        "getitem_basic",
        lambda m, x: [x[0], x[-1, 1], x[1:], x[:, ::2], x[..., 0], x[:, None, 1:2], x[0, ..., None], x[...], x[1, -1:]],
        [(arr(3, 4),), (arr(2, 3, 2),)],
        more_dtypes=ANY,
        view=True,
    ),
    Row("getitem_0d", lambda m, x: [x[...], x[None], x[()]], [(arr(),)], view=True),
    Row("getitem_empty", lambda m, x: [x[2:1], x[5:], x[:, 0]], [(arr(3, 2),)], view=True),
    Row(
        "getitem_list",
        lambda m, x: [x[[0, 2]], x[:, [1, 1, 0]], x[[0, 1], [1, 0]], x[[-1]], x[[]]],
        [(arr(3, 2),)],
        more_dtypes=ANY,
    ),
    Row(
        "getitem_int_tensor",
        lambda m, x, i: [x[i], x[:, i], x[i, i], x[i[:, None], i], x[i, None], x[None, i]],
        [(arr(3, 3, 2), index(0, 2, -1, 0))],
    ),
    Row(
        "getitem_separated",
        lambda m, x, i: [x[i, :, i], x[0, :, i], x[i, :, 0], x[:, i, 0], x[i, None, :, i], x[..., i, i]],
        [(arr(3, 3, 3), index(0, 2, -1))],
    ),
    Row(
        "getitem_matrix_index", lambda m, x, i: [x[i], x[:, i]], [(arr(3, 4), arr(2, 2, dtype="int64", low=-3, high=3))]
    ),
    Row("getitem_0d_index", lambda m, x, i: [x[i], x[:, i]], [(arr(3, 4), arr(dtype="int64", values=(1,)))], view=True),
    Row(
        "getitem_mask",
        lambda m, x, b: [x[b], x[~b]],
        [(arr(3, 4), arr(3, 4, dtype="bool")), (arr(3, 4), arr(3, dtype="bool"))],
        more_dtypes=ANY,
    ),
    Row(
        "getitem_mask_mixed",
        lambda m, x, b: [x[:, b], x[1:, b], x[0, b], x[[0], b]],
        [(arr(2, 4), arr(4, dtype="bool", values=(True, False, True, False)))],
    ),
    Row("getitem_bools", lambda m, x: [x[True], x[False], x[True, 0], x[m.tensor(True)]], [(arr(2, 3),)]),
    Row(
        "setitem_basic",
        lambda m, x, v: [
            write(m, x, lambda m: 0, v),
            write(m, x, lambda m: slice(1, 3), v),
            write(m, x, lambda m: (..., slice(None)), v),
        ],
        [(arr(3, 4), arr(4)), (arr(3, 4), arr(1)), (arr(3, 4), arr()), (arr(3, 4), arr(1, 1, 4))],
    ),
    Row(
        "setitem_scalar",
        lambda m, x: [write(m, x, lambda m: (0, 1), 5), write(m, x, lambda m: slice(None), 0.5)],
        [(arr(3, 4),)],
    ),
    Row(
        "setitem_advanced",
        lambda m, x, v: [
            write(m, x, lambda m: m.tensor([0, 2]), v),
            write(m, x, lambda m: (slice(1, None), m.tensor([0, -1])), v[:2]),
            write(m, x, lambda m: ([0, 1], [1, 2]), v[:2]),
            write(m, x, lambda m: ([0, 1], None, [1, 2]), 2.5),
        ],
        [(arr(3, 4), arr(4))],
    ),
    Row(
        "setitem_mask",
        lambda m, x: [
            write(m, x, lambda m: x > 0, 7.0),
            write(m, x, lambda m: x > 0, x[x > 0] * 3),
            write(m, x, lambda m: (slice(None), m.tensor([True, False])), 1),
        ],
        [(arr(3, 2),)],
    ),
    Row(
        "index_put",
        lambda m, x, v: [
            m.index_put(x, (m.tensor([0, 2]),), v),
            x.index_put((m.tensor([0, 0]), m.tensor([1, 1])), v[0], True),
            x.index_put((m.tensor([0, 2, 0]),), v, accumulate=True),
        ],
        [(arr(3, 2), arr(2))],
    ),
    Row(
        "nonzero",
        lambda m, x: [m.nonzero(x), x.nonzero(), *m.nonzero(x, as_tuple=True), m.argwhere(x)],
        [(arr(3, 4, dtype="int64", low=-1, high=2),), (arr(dtype="int64", values=(3,)),), (arr(3, dtype="bool"),)],
        grad=False,
    ),
    Row("where_places", lambda m, b: m.where(b), [(arr(3, 4, dtype="bool"),)], grad=False),
]
