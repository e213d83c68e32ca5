"""Recurrent layers over whole sequences of NumPy arrays, and their gradients: one layer in one direction.

Sequences are packed: the rows of `x` are those of step 0, then of step 1, and so on; step t has `sizes[t]` rows, the
first of which belong to the same sequences in every step (`sizes` never grows). Sequences of one length are the case
where all sizes are equal. The state has a row for each sequence; what has ended keeps its last state, and backwards
in time a sequence begins, with its initial state, at its own last step.

`x` holds the products with the input weights already, so that what is left for each step is one product with the
state, and the gradients of the weights are one product for all steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Sizes = tuple[int, ...]


def _steps(sizes: Sizes, reverse: bool) -> list[tuple[slice, int]]:
    """The rows of each step and their number, in the order of computation."""
    ends = np.cumsum(sizes).tolist()
    steps = [(slice(end - n, end), n) for end, n in zip(ends, sizes)]
    return steps[::-1] if reverse else steps


def _previous(out: np.ndarray, first: np.ndarray, sizes: Sizes, reverse: bool) -> np.ndarray:
    """The state that each row of `out` was computed from; `first` is the initial state."""
    previous, state = np.empty_like(out), first.copy()
    for rows, n in _steps(sizes, reverse):
        previous[rows] = state[:n]
        state[:n] = out[rows]
    return previous


def _backward(sizes: Sizes, reverse: bool, dh: np.ndarray, g: np.ndarray | None) -> Iterator[tuple[slice, int, Any]]:
    """Each step from the last to the first, with the gradient of the state it produced; `dh` is updated outside."""
    for rows, n in reversed(_steps(sizes, reverse)):
        yield rows, n, dh[:n] if g is None else dh[:n] + g[rows]


# ------------------------------------------------------------------------------------------------------------ plain


def rnn(
    x: np.ndarray, h: np.ndarray, w: np.ndarray, b: np.ndarray | None, *, sizes: Sizes, reverse: bool, relu: bool
) -> tuple[np.ndarray, np.ndarray]:
    """All states (rows, H) and the last (N, H) of h = tanh(x + h w' + b), or of its positive part."""
    out, state, wt = np.empty_like(x), h.copy(), w.T
    for rows, n in _steps(sizes, reverse):
        new = out[rows]
        np.matmul(state[:n], wt, out=new)
        new += x[rows]
        if b is not None:
            new += b
        if relu:
            np.maximum(new, 0, out=new)
        else:
            np.tanh(new, out=new)
        state[:n] = new
    return out, state


def rnn_gradients(
    g: Any, h: np.ndarray, w: np.ndarray, out: np.ndarray, *, sizes: Sizes, reverse: bool, relu: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of x, h, w, b, where `g` is that of the states and of the last one."""
    slope = (out > 0).astype(out.dtype) if relu else 1 - out * out
    dx, dh = np.empty_like(out), np.zeros_like(h) if g[1] is None else g[1].copy()
    for rows, n, d in _backward(sizes, reverse, dh, g[0]):
        np.multiply(d, slope[rows], out=dx[rows])
        dh[:n] = dx[rows] @ w
    return dx, dh, dx.T @ _previous(out, h, sizes, reverse), dx.sum(0)


# ------------------------------------------------------------------------------------------------------------- LSTM


def _gate_scales(size: int, like: Any) -> tuple[np.ndarray, np.ndarray]:
    """Vectors s, t so that s * tanh(s * gates) + t is sigmoid, sigmoid, tanh, sigmoid of the four gates."""
    scale = np.full_like(like, 0.5, shape=(4 * size,))
    scale[2 * size : 3 * size] = 1
    return scale, 1 - scale


def lstm(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    p: np.ndarray | None,
    *,
    sizes: Sizes,
    reverse: bool,
) -> tuple[np.ndarray, ...]:
    """All outputs (rows, P), the last ones (N, P), the last cells (N, H), all gates (rows, 4H), all cells (rows, H).

    i, f, a, o = sigmoid, sigmoid, tanh, sigmoid of x + h w' + b;  c = f c + i a;  h = o tanh(c), times p' if given
    """
    size = c.shape[1]
    gates, cells = np.empty_like(x), np.empty_like(x, shape=(len(x), size))
    out = np.empty_like(x, shape=(len(x), h.shape[1]))
    state, cell, wt = h.copy(), c.copy(), w.T
    scale, shift = _gate_scales(size, x)
    for rows, n in _steps(sizes, reverse):
        gate, now = gates[rows], cells[rows]
        np.matmul(state[:n], wt, out=gate)
        gate += x[rows]
        if b is not None:
            gate += b
        gate *= scale
        np.tanh(gate, out=gate)
        gate *= scale
        gate += shift
        i, f, a, o = (gate[:, k * size : (k + 1) * size] for k in range(4))
        np.multiply(f, cell[:n], out=now)
        now += i * a
        cell[:n] = now
        raw = np.tanh(now)
        raw *= o
        out[rows] = raw if p is None else raw @ p.T
        state[:n] = out[rows]
    return out, state, cell, gates, cells


def lstm_gradients(
    g: Any,
    h: np.ndarray,
    c: np.ndarray,
    w: np.ndarray,
    p: np.ndarray | None,
    outs: Any,
    *,
    sizes: Sizes,
    reverse: bool,
) -> tuple[Any, ...]:
    """The gradients of x, h, c, w, b, p, where `g` is that of the outputs, the last ones and the last cells."""
    out, _, _, gates, cells = outs
    size = c.shape[1]
    before = _previous(cells, c, sizes, reverse)
    tanh_c = np.tanh(cells)
    i, f, a, o = (gates[:, k * size : (k + 1) * size] for k in range(4))
    dgates = np.empty_like(gates)
    dh = np.zeros_like(h) if g[1] is None else g[1].copy()
    dc = np.zeros_like(c) if g[2] is None else g[2].copy()
    dout = None if p is None else np.empty_like(out)
    for rows, n, d in _backward(sizes, reverse, dh, g[0]):
        if p is not None and dout is not None:
            dout[rows] = d
            d = d @ p
        t, step = tanh_c[rows], dgates[rows]
        dcell = dc[:n] + d * o[rows] * (1 - t * t)
        step[:, :size] = dcell * a[rows]
        step[:, size : 2 * size] = dcell * before[rows]
        step[:, 2 * size : 3 * size] = dcell * i[rows]
        step[:, 3 * size :] = d * t
        gate = gates[rows]
        step[:, : 2 * size] *= gate[:, : 2 * size] * (1 - gate[:, : 2 * size])
        step[:, 2 * size : 3 * size] *= 1 - a[rows] * a[rows]
        step[:, 3 * size :] *= o[rows] * (1 - o[rows])
        dc[:n] = dcell * f[rows]
        dh[:n] = step @ w
    dw = dgates.T @ _previous(out, h, sizes, reverse)
    dp = None if dout is None else dout.T @ (o * tanh_c)
    return dgates, dh, dc, dw, dgates.sum(0), dp


# -------------------------------------------------------------------------------------------------------------- GRU


def gru(
    x: np.ndarray, h: np.ndarray, w: np.ndarray, b: np.ndarray | None, *, sizes: Sizes, reverse: bool
) -> tuple[np.ndarray, ...]:
    """All states (rows, H), the last (N, H), and what the gradients need (rows, 4H): r, z, n and their h w' + b.

    r, z = sigmoid(x + h w' + b);  n = tanh(x + r (h w' + b));  h = (1 - z) n + z h
    """
    size = h.shape[1]
    out, kept = np.empty_like(x, shape=(len(x), size)), np.empty_like(x, shape=(len(x), 4 * size))
    state, wt = h.copy(), w.T
    for rows, n in _steps(sizes, reverse):
        product = state[:n] @ wt
        if b is not None:
            product += b
        gates, now, inner = kept[rows, : 2 * size], kept[rows, 2 * size : 3 * size], kept[rows, 3 * size :]
        np.add(product[:, : 2 * size], x[rows, : 2 * size], out=gates)
        gates *= 0.5
        np.tanh(gates, out=gates)
        gates *= 0.5
        gates += 0.5
        inner[...] = product[:, 2 * size :]
        np.multiply(inner, gates[:, :size], out=now)
        now += x[rows, 2 * size :]
        np.tanh(now, out=now)
        new = out[rows]
        np.subtract(state[:n], now, out=new)
        new *= gates[:, size:]
        new += now
        state[:n] = new
    return out, state, kept


def gru_gradients(
    g: Any, h: np.ndarray, w: np.ndarray, outs: Any, *, sizes: Sizes, reverse: bool
) -> tuple[np.ndarray, ...]:
    """The gradients of x, h, w, b, where `g` is that of the states and of the last one."""
    out, _, kept = outs
    size = h.shape[1]
    before = _previous(out, h, sizes, reverse)
    r, z, new, inner = (kept[:, k * size : (k + 1) * size] for k in range(4))
    dx, dproduct = np.empty_like(kept, shape=(len(out), 3 * size)), np.empty_like(kept, shape=(len(out), 3 * size))
    dh = np.zeros_like(h) if g[1] is None else g[1].copy()
    for rows, n, d in _backward(sizes, reverse, dh, g[0]):
        step, product = dx[rows], dproduct[rows]
        rt, zt, nt = r[rows], z[rows], new[rows]
        dn = d * (1 - zt) * (1 - nt * nt)
        step[:, :size] = dn * inner[rows] * rt * (1 - rt)
        step[:, size : 2 * size] = d * (before[rows] - nt) * zt * (1 - zt)
        step[:, 2 * size :] = dn
        product[:, : 2 * size] = step[:, : 2 * size]
        np.multiply(dn, rt, out=product[:, 2 * size :])
        dh[:n] = d * zt + product @ w
    return dx, dh, dproduct.T @ before, dproduct.sum(0)
