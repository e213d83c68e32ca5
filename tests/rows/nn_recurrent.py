"""Recurrent layers, of one layer and of two in both directions."""

from __future__ import annotations

from typing import Any

from op_table import Arr, Row, arr


def lstm(m: Any, x: Any, h: Any, c: Any, *weights: Any) -> Any:
    return m.lstm(x, (h, c), list(weights), len(weights) in (4, 8), 1, 0.0, False, len(weights) == 8, False)


def gru(m: Any, x: Any, h: Any, *weights: Any) -> Any:
    return m.gru(x, h, list(weights), len(weights) in (4, 8), 1, 0.0, False, len(weights) == 8, False)


def rnn(name: str) -> Any:
    def call(m: Any, x: Any, h: Any, *weights: Any) -> Any:
        return getattr(m, name)(x, h, list(weights), len(weights) == 4, 1, 0.0, False, False, True)

    return call


def weights(gates: int, biases: bool = True) -> tuple[Arr, ...]:
    both = (arr(2 * gates), arr(2 * gates)) if biases else ()
    return arr(2 * gates, 3), arr(2 * gates, 2), *both


def packed(m: Any, x: Any, h: Any, c: Any, *weights: Any) -> Any:
    return m.lstm(x, m.tensor([3, 2, 2]), (h, c), list(weights), True, 1, 0.0, False, False)


X, H, BOTH = arr(4, 2, 3), arr(1, 2, 2), arr(2, 2, 2)

ROWS = [
    Row("lstm", lstm, [(X, H, H, *weights(4)), (X, H, H, *weights(4, False)), (X, BOTH, BOTH, *weights(4) * 2)]),
    Row("lstm_packed", packed, [(arr(7, 3), arr(1, 3, 2), arr(1, 3, 2), *weights(4))]),
    Row("gru", gru, [(X, H, *weights(3)), (X, H, *weights(3, False)), (X, BOTH, *weights(3) * 2)]),
    Row("rnn_tanh", rnn("rnn_tanh"), [(arr(2, 4, 3), H, *weights(1)), (arr(2, 1, 3), H, *weights(1, False))]),
    Row("rnn_relu", rnn("rnn_relu"), [(arr(2, 4, 3), H, *weights(1))]),
    Row(
        "lstm_cell", lambda m, x, h, c, *w: m.lstm_cell(x, (h, c), *w), [(arr(4, 3), arr(4, 2), arr(4, 2), *weights(4))]
    ),
    Row("gru_cell", lambda m, x, h, *w: m.gru_cell(x, h, *w), [(arr(4, 3), arr(4, 2), *weights(3))]),
    Row("rnn_tanh_cell", lambda m, x, h, *w: m.rnn_tanh_cell(x, h, *w), [(arr(4, 3), arr(4, 2), *weights(1))]),
    Row("rnn_relu_cell", lambda m, x, h, *w: m.rnn_relu_cell(x, h, *w), [(arr(4, 3), arr(4, 2), *weights(1))]),
    Row(
        "local_response_norm",
        lambda m, x: m.nn.functional.local_response_norm(x, 3, alpha=0.5, k=2.0),
        [(arr(2, 4, 3),), (arr(2, 5, 2, 3),)],
    ),
]
