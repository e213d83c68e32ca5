"""`gpugrad bench ops`: formulas, reductions, rows, products, indexing. A size is the elements of the main input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .case import Case, Op, multiple_of, square

_COLUMNS = 1024
_TABLE = 8192  # rows of the table that is indexed
_WIDTH = 256  # and its columns


def _flat(inputs: int) -> Callable[[Any, int], tuple[Any, ...]]:
    return lambda peer, n: tuple(peer.normal(n) for _ in range(inputs))


def _rows(peer: Any, n: int) -> tuple[Any, ...]:
    return (peer.normal(n // _COLUMNS, _COLUMNS),)


def _matrices(peer: Any, n: int) -> tuple[Any, ...]:
    side = math.isqrt(n)
    return peer.normal(side, side), peer.normal(side, side)


def _batch(peer: Any, n: int) -> tuple[Any, ...]:
    return peer.normal(n // 4096, 64, 64), peer.normal(n // 4096, 64, 64)


def _gelu_by_hand(torch: Any, x: Any) -> Any:
    return 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def _op(name: str, arrays: float, function: Callable[..., Any], inputs: Any = 1, **more: Any) -> Op:
    if isinstance(inputs, int):
        inputs = _flat(inputs)
    return Op(name=name, group="ops", arrays=arrays, inputs=inputs, function=function, **more)


def _op_on_rows(name: str, arrays: float, function: Callable[..., Any], inputs: Any = _rows, **more: Any) -> Op:
    return _op(name, arrays, function, inputs, fit=multiple_of(_COLUMNS), **more)


_MATRIX: dict[str, Any] = {"fit": square, "flops": lambda n: 2 * n**1.5, "more_sizes": (2**24,)}
_BATCH: dict[str, Any] = {"fit": multiple_of(4096), "flops": lambda n: 2 * 64 * n}

OPS: tuple[Case, ...] = (
    _op("copy", 2, lambda torch, x: torch.clone(x)),
    _op("add", 3, lambda torch, x, y: x + y, 2, flops=float),
    _op_on_rows(
        "add-bias", 2, lambda torch, x, b: x + b, lambda peer, n: (*_rows(peer, n), peer.normal(_COLUMNS)), flops=float
    ),
    _op("where", 3, lambda torch, x, y: torch.where(x > 0, x, y), 2),
    _op("gelu", 2, lambda torch, x: torch.nn.functional.gelu(x)),
    _op("formula", 2, _gelu_by_hand, formula=True, flops=lambda n: 9.0 * n),
    _op("formula-backward", 5, _gelu_by_hand, formula=True, backward=True, flops=lambda n: 27.0 * n),
    _op("sum", 1, lambda torch, x: x.sum(), flops=float),
    _op_on_rows("sum-rows", 1, lambda torch, x: x.sum(1), flops=float),
    _op_on_rows("sum-columns", 1, lambda torch, x: x.sum(0), flops=float),
    _op_on_rows("max-rows", 1, lambda torch, x: x.amax(1)),
    _op_on_rows("cumsum", 2, lambda torch, x: torch.cumsum(x, 1), flops=float),
    _op_on_rows("softmax", 2, lambda torch, x: torch.softmax(x, 1)),
    _op_on_rows("sort", 2, lambda torch, x: torch.sort(x, 1)[0]),
    _op("transpose", 2, lambda torch, x: x.t().contiguous(), lambda peer, n: _matrices(peer, n)[:1], fit=square),
    _op("concatenate", 4, lambda torch, x, y: torch.cat((x, y)), 2),
    _op("matmul", 3, lambda torch, x, y: x @ y, _matrices, **_MATRIX),
    _op(
        "matmul-backward",
        9,
        lambda torch, x, y: x @ y,
        _matrices,
        backward=True,
        **_MATRIX | {"flops": lambda n: 6 * n**1.5},
    ),
    _op("matmul-batched", 3, lambda torch, x, y: x @ y, _batch, **_BATCH),
    _op(
        "index-rows",
        2,
        lambda torch, table, index: table[index],
        lambda peer, n: (peer.normal(_TABLE, _WIDTH), peer.integers(_TABLE, n // _WIDTH)),
        fit=multiple_of(_WIDTH),
    ),
    _op(
        "index-add",
        1,
        lambda torch, table, index, x: torch.index_add(table, 0, index, x),
        lambda peer, n: (
            peer.normal(_TABLE, _WIDTH),
            peer.integers(_TABLE, n // _WIDTH),
            peer.normal(n // _WIDTH, _WIDTH),
        ),
        fit=multiple_of(_WIDTH),
        fixed=2 * _TABLE * _WIDTH,
    ),
)
