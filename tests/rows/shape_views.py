"""Views, joining and taking apart."""

from __future__ import annotations

from op_table import Row, arr

ANY = ("float16", "bfloat16", "int64", "uint8", "bool")

STRIDED = (((2, 2), (1, 2), None), ((3, 3), (2, 1), 1), ((2,), (0,), 3))

ROWS = [
    Row("view", lambda m, x: x.contiguous().view(3, -1), [(arr(2, 3, 2),), (arr(6),)], more_dtypes=ANY, view=True),
    Row("reshape", lambda m, x: m.reshape(x, (-1, 2)), [(arr(2, 3, 2),), (arr(6),), (arr(0, 2),)], view=True),
    Row(
        "reshape_copy",
        lambda m, x: m.reshape(x.transpose(0, 1), (-1,)),
        [(arr(2, 3),), (arr(2, 3, 2),)],
        more_dtypes=ANY,
    ),
    Row("reshape_method", lambda m, x: [x.reshape(-1), x.reshape((3, 2)), x.reshape(3, 2)], [(arr(2, 3),)], view=True),
    Row(
        "reshape_0d",
        lambda m, x: [x.reshape(()), x.contiguous().view(1, 1), x.reshape(-1)],
        [(arr(),), (arr(1),)],
        view=True,
    ),
    Row("view_as", lambda m, x, y: [x.contiguous().view_as(y), x.reshape_as(y)], [(arr(2, 3), arr(3, 2))], view=True),
    Row(
        "flatten",
        lambda m, x: [m.flatten(x), x.flatten(1), x.flatten(0, -2), x.ravel()],
        [(arr(2, 3, 4),), (arr(2, 1, 3, 2),)],
        view=True,
    ),
    Row("flatten_0d", lambda m, x: m.flatten(x), [(arr(),)], view=True),
    Row("unflatten", lambda m, x: [m.unflatten(x, 1, (2, -1)), x.unflatten(-1, (3, 2))], [(arr(2, 6),)], view=True),
    Row(
        "squeeze",
        lambda m, x: [m.squeeze(x), x.squeeze(0), x.squeeze((0, -1))],
        [(arr(1, 3, 1),), (arr(2, 1),)],
        view=True,
    ),
    Row("squeeze_0d", lambda m, x: m.squeeze(x), [(arr(),)], view=True),
    Row(
        "unsqueeze",
        lambda m, x: [m.unsqueeze(x, 0), x.unsqueeze(-1)],
        [(arr(2, 3),), (arr(),)],
        more_dtypes=ANY,
        view=True,
    ),
    Row(
        "atleast",
        lambda m, x: [m.atleast_1d(x), m.atleast_2d(x), m.atleast_3d(x), *m.atleast_2d([x, x])],
        [(arr(),), (arr(3),), (arr(2, 3),), (arr(2, 1, 2),)],
        view=True,
    ),
    Row(
        "transpose",
        lambda m, x: [m.transpose(x, 0, -1), x.swapaxes(0, 1), m.swapdims(x, 0, 1)],
        [(arr(2, 3),), (arr(2, 3, 4),)],
        view=True,
    ),
    Row("transpose_0d", lambda m, x: [m.transpose(x, 0, -1), m.t(x)], [(arr(),)], view=True),
    Row("t", lambda m, x: m.t(x), [(arr(2, 3),), (arr(3),)], view=True),
    Row("T", lambda m, x: [x.T, x.mT, x.H, x.adjoint(), m.adjoint(x)], [(arr(2, 3),)], view=True),
    Row("mT", lambda m, x: [x.mT, x.mH], [(arr(2, 3, 4),)], view=True),
    Row(
        "permute",
        lambda m, x: [m.permute(x, (2, 0, 1)), x.permute(-1, 1, 0)],
        [(arr(2, 3, 4),)],
        more_dtypes=ANY,
        view=True,
    ),
    Row(
        "movedim",
        lambda m, x: [m.movedim(x, 0, -1), x.moveaxis((0, 1), (1, 0)), x.movedim([2, 0], [0, 1])],
        [(arr(2, 3, 4),)],
        view=True,
    ),
    Row("expand", lambda m, x: [x.expand(4, 2, 3), x.expand((2, -1)), x.expand(2, 3)], [(arr(2, 3),)], view=True),
    Row(
        "expand_ones",
        lambda m, x: [x.expand(2, 3), x.expand(4, 2, 3), x.broadcast_to((2, 3))],
        [(arr(1, 3),), (arr(2, 1),), (arr(),)],
        view=True,
    ),
    Row("expand_as", lambda m, x, y: x.expand_as(y), [(arr(3, 1), arr(2, 3, 4))], view=True),
    Row(
        "broadcast_tensors",
        lambda m, x, y: m.broadcast_tensors(x, y),
        [(arr(3, 1), arr(2, 1, 4)), (arr(), arr(2))],
        view=True,
    ),
    Row("narrow", lambda m, x: [m.narrow(x, 0, 1, 2), x.narrow(-1, -2, 1)], [(arr(4, 3),)], view=True),
    Row("select", lambda m, x: [m.select(x, 0, 1), x.select(-1, -1)], [(arr(4, 3),), (arr(2, 2, 2),)], view=True),
    Row(
        "diagonal",
        lambda m, x: [m.diagonal(x), x.diagonal(1), x.diagonal(-1, 1, 0), m.diagonal(x, 0, -1, -2)],
        [(arr(3, 4),), (arr(3, 2, 3),)],
        view=True,
    ),
    Row("unfold", lambda m, x: [x.unfold(0, 2, 1), x.unfold(-1, 2, 2), x.unfold(1, 3, 3)], [(arr(4, 5),)], view=True),
    Row("unfold_0d", lambda m, x: x.unfold(0, 1, 1), [(arr(),)], view=True),
    Row(
        "as_strided",
        lambda m, x: [m.as_strided(x.contiguous(), size, stride, start) for size, stride, start in STRIDED],
        [(arr(3, 4),)],
        view=True,
    ),
    Row("as_strided_of_view", lambda m, x: x.contiguous()[1:].as_strided((2, 2), (1, 2)), [(arr(3, 4),)], view=True),
    Row(
        "cat",
        lambda m, x, y: [m.cat([x, y], 1), m.concat((x, y), dim=-1), m.concatenate([x, y], 1)],
        [(arr(2, 3), arr(2, 1)), (arr(2, 0), arr(2, 2))],
        more_dtypes=ANY,
    ),
    Row("cat_empty", lambda m, x, y: m.cat([y, x, y]), [(arr(2, 3), arr(0)), (arr(2), arr(0))]),
    Row("cat_same", lambda m, x: m.cat([x, x * 2, x]), [(arr(3),), (arr(2, 2),)]),
    Row(
        "cat_promotes",
        lambda m, x, y: m.cat([x, y]),
        [(arr(2), arr(3, dtype="int64", high=9)), (arr(2), arr(2, dtype="bool"))],
    ),
    Row(
        "stack",
        lambda m, x, y: [m.stack([x, y]), m.stack((x, y), -1), m.stack([x, y], dim=1)],
        [(arr(2, 3), arr(2, 3))],
        more_dtypes=ANY,
    ),
    Row("stack_0d", lambda m, x, y: m.stack([x, y]), [(arr(), arr())]),
    Row("hstack", lambda m, x, y: m.hstack([x, y]), [(arr(2), arr(3)), (arr(2, 1), arr(2, 2)), (arr(), arr())]),
    Row("vstack", lambda m, x, y: [m.vstack([x, y]), m.row_stack([x, y])], [(arr(3), arr(3)), (arr(1, 3), arr(2, 3))]),
    Row("dstack", lambda m, x, y: m.dstack([x, y]), [(arr(3), arr(3)), (arr(2, 3), arr(2, 3)), (arr(), arr())]),
    Row(
        "column_stack", lambda m, x, y: m.column_stack([x, y]), [(arr(3), arr(3, 2)), (arr(3), arr(3)), (arr(), arr())]
    ),
    Row(
        "split",
        lambda m, x: [*m.split(x, 2), *x.split(3, 1), *x.split([1, 4], 0), *m.split_with_sizes(x, [5])],
        [(arr(5, 3),)],
        view=True,
    ),
    Row("chunk", lambda m, x: [*m.chunk(x, 2), *x.chunk(4, -1), *x.chunk(9)], [(arr(5, 3),), (arr(0, 2),)], view=True),
    Row(
        "tensor_split",
        lambda m, x: [
            *m.tensor_split(x, 3),
            *x.tensor_split((1, 3)),
            *x.tensor_split([4, 2, 9]),
            *x.tensor_split(2, 1),
        ],
        [(arr(5, 3),)],
        view=True,
    ),
    Row("unbind", lambda m, x: [*m.unbind(x), *x.unbind(-1)], [(arr(2, 3),), (arr(2, 1, 2),)], view=True),
    Row("hvdsplit", lambda m, x: [*m.hsplit(x, 2), *x.vsplit([1]), *m.dsplit(x, 3)], [(arr(2, 4, 3),)], view=True),
    Row("hsplit_1d", lambda m, x: m.hsplit(x, 2), [(arr(4),)], view=True),
]
