"""Recurrent layers: Elman's, LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014).

One layer in one direction over a whole batch of sequences is one op: see `recurrent_numpy.py` for the layout of
packed sequences. For second derivatives the same layer is computed step by step, from ops that are recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import LOW_PRECISION
from ..op import op
from . import recurrent_numpy
from .activation import relu
from .dropout import dropout as drop
from .index import part
from .join import cat, stack
from .matmul import linear, matmul
from .shape import reshape, transpose
from .unary import sigmoid, tanh

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"]

Sizes = tuple[int, ...]


# ------------------------------------------------------------------------------------------- a layer in a direction


def _wide(function: Callable[..., Any], *arrays: Any, **params: Any) -> Any:
    """`function` of the arrays; half precision in float32, rounded once."""
    like = next(a for a in arrays if a is not None)
    if like.dtype not in LOW_PRECISION:
        return function(*arrays, **params)

    def widened(x: Any) -> Any:
        return tuple(map(widened, x)) if isinstance(x, tuple) else None if x is None else x.astype(np.float32)

    outs = function(*map(widened, arrays), **params)
    return tuple(None if out is None else out.astype(like.dtype) for out in outs)


@op(outputs=2)
def rnn_layer(x: Any, h: Any, w: Any, b: Any = None, *, sizes: Sizes, reverse: bool, relu: bool) -> Any:
    """All states and the last of a plain recurrent layer."""
    return _wide(recurrent_numpy.rnn, x, h, w, b, sizes=sizes, reverse=reverse, relu=relu)


@op(outputs=4)
def rnn_layer_backward(
    states: Any, g: Any, last: Any, h: Any, w: Any, *, sizes: Sizes, reverse: bool, relu: bool
) -> Any:
    """The gradients of x, h, w and b."""

    def gradients(states: Any, g: Any, last: Any, h: Any, w: Any, **params: Any) -> Any:
        return recurrent_numpy.rnn_gradients((g, last), h, w, states, **params)

    return _wide(gradients, states, g, last, h, w, sizes=sizes, reverse=reverse, relu=relu)


@op(outputs=5)
def lstm_layer(x: Any, h: Any, c: Any, w: Any, b: Any = None, p: Any = None, *, sizes: Sizes, reverse: bool) -> Any:
    """All outputs, the last ones and the last cells of an LSTM layer; then all gates and cells, for the gradients."""
    return _wide(recurrent_numpy.lstm, x, h, c, w, b, p, sizes=sizes, reverse=reverse)


@op(outputs=6)
def lstm_layer_backward(
    gates: Any,
    cells: Any,
    outputs: Any,
    g: Any,
    last: Any,
    last_cell: Any,
    h: Any,
    c: Any,
    w: Any,
    p: Any = None,
    *,
    sizes: Sizes,
    reverse: bool,
) -> Any:
    """The gradients of x, h, c, w, b and p."""

    def gradients(
        gates: Any, cells: Any, out: Any, g: Any, last: Any, cell: Any, h: Any, c: Any, w: Any, p: Any, **params: Any
    ) -> Any:
        outs = (out, None, None, gates, cells)
        return recurrent_numpy.lstm_gradients((g, last, cell), h, c, w, p, outs, **params)

    arrays = (gates, cells, outputs, g, last, last_cell, h, c, w, p)
    return _wide(gradients, *arrays, sizes=sizes, reverse=reverse)


@op(outputs=3)
def gru_layer(x: Any, h: Any, w: Any, b: Any = None, *, sizes: Sizes, reverse: bool) -> Any:
    """All states and the last of a GRU layer; then what the gradients need."""
    return _wide(recurrent_numpy.gru, x, h, w, b, sizes=sizes, reverse=reverse)


@op(outputs=4)
def gru_layer_backward(
    kept: Any, states: Any, g: Any, last: Any, h: Any, w: Any, *, sizes: Sizes, reverse: bool
) -> Any:
    """The gradients of x, h, w and b."""

    def gradients(kept: Any, states: Any, g: Any, last: Any, h: Any, w: Any, **params: Any) -> Any:
        return recurrent_numpy.gru_gradients((g, last), h, w, (states, None, kept), **params)

    return _wide(gradients, kept, states, g, last, h, w, sizes=sizes, reverse=reverse)


# --------------------------------------------------------------------------------------------- their steps, as ops


def _slices(x: Any, count: int) -> list[Any]:
    """`count` equal parts along the last dimension."""
    size = x.shape[-1] // count
    return [part(x, (..., slice(k * size, (k + 1) * size))) for k in range(count)]


def _plus(x: Any, y: Any) -> Any:
    return x if y is None else x + y


def _product(h: Any, w: Any, b: Any) -> Any:
    return _plus(matmul(h, transpose(w, -2, -1)), b)


def _rnn_step(x: Any, state: Any, w: Any, b: Any, p: Any, *, nonlinearity: Any = tanh) -> Any:
    return (nonlinearity(x + _product(state[0], w, b)),)


def _relu_step(x: Any, state: Any, w: Any, b: Any, p: Any) -> Any:
    return _rnn_step(x, state, w, b, p, nonlinearity=relu)


def _lstm_step(x: Any, state: Any, w: Any, b: Any, p: Any) -> Any:
    h, c = state
    i, f, a, o = _slices(x + _product(h, w, b), 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(a)
    h = sigmoid(o) * tanh(c)
    return (h if p is None else matmul(h, transpose(p, -2, -1))), c


def _gru_step(x: Any, state: Any, w: Any, b: Any, p: Any) -> Any:
    (h,) = state
    xr, xz, xn = _slices(x, 3)
    hr, hz, hn = _slices(_product(h, w, b), 3)
    new = tanh(xn + sigmoid(xr + hr) * hn)
    return (new + sigmoid(xz + hz) * (h - new),)


def _stepwise(
    step: Callable[..., Any], x: Any, state: tuple[Any, ...], w: Any, b: Any, p: Any, sizes: Sizes, reverse: bool
) -> tuple[Any, ...]:
    """What the layer's op computes, from ops that are recorded: all outputs, then the last state."""
    outs: list[Any] = [None] * len(sizes)
    start = 0
    spans = []
    for t, n in enumerate(sizes):
        spans.append((t, slice(start, start + n), n))
        start += n
    for t, rows, n in reversed(spans) if reverse else spans:
        new = step(part(x, (rows,)), tuple(part(s, (slice(0, n),)) for s in state), w, b, p)
        outs[t] = new[0]
        rest = [part(s, (slice(n, s.shape[0]),)) for s in state]
        state = tuple(cat([a, r]) if r.shape[0] else a for a, r in zip(new, rest))
    return cat(outs), *state


def _recorded_gradients(
    step: Callable[..., Any],
    g: Any,
    x: Any,
    state: tuple[Any, ...],
    w: Any,
    b: Any,
    p: Any,
    needs: Sequence[bool],
    sizes: Sizes,
    reverse: bool,
) -> tuple[Any, ...]:
    """The gradients of x, the state, w, b, p as functions that can be differentiated again."""
    from ..engine import grad  # at call time: it is above the ops

    inputs = (x, *state, w, b, p)[: len(needs)]
    # Tensors of their own, so that the gradient with respect to one is not that by way of another.
    own = [t.view_as(t) if t is not None and t.requires_grad else t for t in inputs]
    given = [*own, *[None] * (4 + len(state) - len(own))]
    first, *held, weight, bias, projection = given
    outs = _stepwise(step, first, tuple(held), weight, bias, projection, sizes, reverse)
    pairs = [(out, gi) for out, gi in zip(outs, g) if gi is not None]
    wanted = [t for t, n in zip(own, needs) if n and t is not None]
    found = iter(grad([o for o, _ in pairs], wanted, [gi for _, gi in pairs], create_graph=True, allow_unused=True))
    return tuple(next(found) if n and t is not None else None for t, n in zip(own, needs))


def _rnn_rule(
    g: Any, x: Any, h: Any, w: Any, b: Any, out: Any, needs: Any, *, sizes: Sizes, reverse: bool, relu: bool
) -> tuple[Any, ...]:
    if isinstance(x, Tensor):
        step = _relu_step if relu else _rnn_step
        return _recorded_gradients(step, g, x, (h,), w, b, None, needs, sizes, reverse)
    return rnn_layer_backward(out[0], *g, h, w, sizes=sizes, reverse=reverse, relu=relu)


def _lstm_rule(
    g: Any, x: Any, h: Any, c: Any, w: Any, b: Any, p: Any, out: Any, needs: Any, *, sizes: Sizes, reverse: bool
) -> tuple[Any, ...]:
    if isinstance(x, Tensor):
        return _recorded_gradients(_lstm_step, g, x, (h, c), w, b, p, needs, sizes, reverse)
    return lstm_layer_backward(out[3], out[4], out[0], *g[:3], h, c, w, p, sizes=sizes, reverse=reverse)


def _gru_rule(
    g: Any, x: Any, h: Any, w: Any, b: Any, out: Any, needs: Any, *, sizes: Sizes, reverse: bool
) -> tuple[Any, ...]:
    if isinstance(x, Tensor):
        return _recorded_gradients(_gru_step, g, x, (h,), w, b, None, needs, sizes, reverse)
    return gru_layer_backward(out[2], out[0], *g[:2], h, w, sizes=sizes, reverse=reverse)


rnn_layer.defvjp(_rnn_rule)
lstm_layer.defvjp(_lstm_rule)
gru_layer.defvjp(_gru_rule)


# ------------------------------------------------------------------------------------------------------- all layers

Layer = Callable[..., tuple[Any, tuple[Any, ...]]]  # (x, state, w_hh, b_hh, w_hr, sizes, reverse) -> outputs, state


def _lstm_layer(x: Any, state: Any, w: Any, b: Any, p: Any, sizes: Sizes, reverse: bool) -> Any:
    out, h, c, _, _ = lstm_layer(x, *state, w, b, p, sizes=sizes, reverse=reverse)
    return out, (h, c)


def _gru_layer(x: Any, state: Any, w: Any, b: Any, p: Any, sizes: Sizes, reverse: bool) -> Any:
    out, h, _ = gru_layer(x, *state, w, b, sizes=sizes, reverse=reverse)
    return out, (h,)


def _tanh_layer(x: Any, state: Any, w: Any, b: Any, p: Any, sizes: Sizes, reverse: bool) -> Any:
    out, h = rnn_layer(x, *state, w, b, sizes=sizes, reverse=reverse, relu=False)
    return out, (h,)


def _relu_layer(x: Any, state: Any, w: Any, b: Any, p: Any, sizes: Sizes, reverse: bool) -> Any:
    out, h = rnn_layer(x, *state, w, b, sizes=sizes, reverse=reverse, relu=True)
    return out, (h,)


def _weights(params: Sequence[Any], has_biases: bool, projected: bool, cells: int) -> list[tuple[Any, ...]]:
    """For each layer and direction its w_ih, w_hh, b_ih, b_hh, w_hr, None where it has none. RuntimeError for others."""
    each = 2 + 2 * has_biases + projected
    if len(params) != each * cells:
        raise RuntimeError(f"expected {each} weights for each of {cells} layers and directions, got {len(params)}")
    groups = []
    for start in range(0, len(params), each):
        w_ih, w_hh, *rest = params[start : start + each]
        b_ih, b_hh = rest[:2] if has_biases else (None, None)
        groups.append((w_ih, w_hh, b_ih, b_hh, rest[-1] if projected else None))
    return groups


def _run(
    layer: Layer,
    data: Any,
    sizes: Sizes,
    states: tuple[Any, ...],
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> tuple[Any, list[Any]]:
    """All layers over packed rows. `states`: (layers * directions, N, size) each; returns outputs and last states."""
    directions = 2 if bidirectional else 1
    projected = len(states) == 2 and states[0].shape[2] != states[1].shape[2]
    weights = _weights(params, has_biases, projected, num_layers * directions)
    last: list[tuple[Any, ...]] = []
    for k in range(num_layers):
        outs = []
        for d in range(directions):
            w_ih, w_hh, b_ih, b_hh, w_hr = weights[k * directions + d]
            state = tuple(part(s, (k * directions + d,)) for s in states)
            out, state = layer(linear(data, w_ih, b_ih), state, w_hh, b_hh, w_hr, sizes, d == 1)
            outs.append(out)
            last.append(state)
        data = cat(outs, -1) if bidirectional else outs[0]
        if dropout and train and k < num_layers - 1:
            data = drop(data, dropout)
    return data, [stack(column) for column in zip(*last)]


def _over_batch(layer: Layer, input: Any, states: tuple[Any, ...], batch_first: bool, *options: Any) -> tuple[Any, ...]:
    """`_run` for sequences of one length: (T, N, size), or (N, T, size) if `batch_first`."""
    time_first = transpose(input, 0, 1) if batch_first else input
    length, batch, size = time_first.shape
    if not length:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    out, last = _run(layer, reshape(time_first, (length * batch, size)), (batch,) * length, states, *options)
    out = reshape(out, (length, batch, -1 if batch else out.shape[-1]))
    return transpose(out, 0, 1) if batch_first else out, *last


def _over_packed(layer: Layer, data: Any, batch_sizes: Any, states: tuple[Any, ...], *options: Any) -> tuple[Any, ...]:
    """`_run` for packed sequences."""
    out, last = _run(layer, data, tuple(batch_sizes.tolist()), states, *options)
    return out, *last


def _public(name: str, layer: Layer, states: int) -> Callable[..., Any]:
    """PyTorch's function `name`, which is called in two ways:

    f(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or for packed sequences
    f(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional).
    """

    def run(input: Any, *args: Any) -> tuple[Any, ...]:
        if isinstance(args[2], (tuple, list)):
            batch_sizes, hx, *options = args
            return _over_packed(layer, input, batch_sizes, tuple(hx) if states == 2 else (hx,), *options)
        hx, *options, batch_first = args
        return _over_batch(layer, input, tuple(hx) if states == 2 else (hx,), batch_first, *options)

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"PyTorch's `{name}`: the outputs and the last state of all layers. `nn` has a module for it."
    return run


rnn_tanh = _public("rnn_tanh", _tanh_layer, 1)
rnn_relu = _public("rnn_relu", _relu_layer, 1)
lstm = _public("lstm", _lstm_layer, 2)
gru = _public("gru", _gru_layer, 1)


# ------------------------------------------------------------------------------------------------------ single steps


def rnn_tanh_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """`tanh(input w_ih' + b_ih + hx w_hh' + b_hh)`: (N, input), (N, H) to (N, H)."""
    return _rnn_step(linear(input, w_ih, b_ih), (hx,), w_hh, b_hh, None)[0]


def rnn_relu_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """`rnn_tanh_cell` with the positive part in the place of tanh."""
    return _relu_step(linear(input, w_ih, b_ih), (hx,), w_hh, b_hh, None)[0]


def lstm_cell(
    input: Any, hx: Sequence[Any], w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Any, Any]:
    """One step of an LSTM: (N, input) and the state h, c (N, H) each; returns the new state."""
    h, c = hx
    _, h, c, _, _ = lstm_layer(linear(input, w_ih, b_ih), h, c, w_hh, b_hh, sizes=(input.shape[0],), reverse=False)
    return h, c


def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step of a GRU: (N, input) and the state (N, H); returns the new state."""
    return gru_layer(linear(input, w_ih, b_ih), hx, w_hh, b_hh, sizes=(input.shape[0],), reverse=False)[1]
