"""Recurrent layers on the device: a matrix product and a launch of `kernels/recurrent.cu` for each step.

The layout of packed sequences, and what is computed, is that of `ops/recurrent_numpy.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..dtypes import FLOATS, LOW_PRECISION
from ..ops.cast import cast
from ..ops.join import _cat
from ..ops.matmul import _matmul
from ..ops.recurrent import (
    gru_layer,
    gru_layer_backward,
    lstm_layer,
    lstm_layer_backward,
    rnn_layer,
    rnn_layer_backward,
)
from ..ops.recurrent_numpy import Sizes, _steps
from ..ops.reduce import sum_over
from ..ops.unary import tanh
from .array import empty
from .copy import contiguous, copied, write, zeros
from .module import Kernel, blocks_for, cuda_name, kernels

_THREADS = 256  # kRecurrentThreads
_FLOAT32 = np.dtype(np.float32)


@functools.cache
def _kernel(name: str, dtype: Any) -> Kernel:
    return kernels("recurrent.cu", f"gpugrad::{name}<{cuda_name(dtype)}>")[0]


def _launch(name: str, like: Any, *given: Any) -> None:
    """A kernel over the elements of `like`, (rows, H)."""
    if like.size:
        _kernel(name, like.dtype)(blocks_for(like.size, _THREADS), (_THREADS,), (np.int64(like.size), *given))


def _widened(layer: Callable[..., Any]) -> Callable[..., Any]:
    """`layer` of contiguous arrays of float32 or float64; half precision is rounded once."""

    @functools.wraps(layer)
    def run(*arrays: Any, **params: Any) -> Any:
        dtype = next(a.dtype for a in arrays if a is not None)
        if dtype not in FLOATS:
            return NotImplemented
        wide = _FLOAT32 if dtype in LOW_PRECISION else dtype
        outs = layer(*[None if a is None else contiguous(cast(a, wide)) for a in arrays], **params)
        return tuple([None if out is None else cast(out, dtype) for out in outs])

    return run


def _previous(out: Any, first: Any, sizes: Sizes, reverse: bool) -> Any:
    """The state that each row of `out` was computed from; `first` is the initial state."""
    if sizes[0] == sizes[-1]:  # they never grow: sequences of one length
        one = sizes[0]
        return _cat(out[one:], first, dim=0) if reverse else _cat(first, out[: len(out) - one], dim=0)
    previous, state = empty(out.shape, out.dtype), copied(first)
    for rows, n in _steps(sizes, reverse):
        write(previous[rows], state[:n])
        write(state[:n], out[rows])
    return previous


def _backward(sizes: Sizes, reverse: bool, g: Any) -> Iterator[tuple[slice, int, Any]]:
    """Each step from the last to the first, with the gradient of its output; None if there is none."""
    for rows, n in reversed(_steps(sizes, reverse)):
        yield rows, n, None if g is None else g[rows]


def _gradient_of(state: Any, last: Any) -> Any:
    """The gradient of the last state, as an array of our own."""
    return zeros(state.shape, state.dtype) if last is None else copied(last)


# ---- plain ----


@rnn_layer.kernel
@_widened
def _(x: Any, h: Any, w: Any, b: Any = None, *, sizes: Sizes, reverse: bool, relu: bool) -> Any:
    out, state = empty(x.shape, x.dtype), copied(h)
    for rows, n in _steps(sizes, reverse):
        product = contiguous(_matmul(state[:n], w.T))
        _launch("rnn_step", out[rows], np.int64(h.shape[1]), product, x[rows], b, state, out[rows], np.bool_(relu))
    return out, state


@rnn_layer_backward.kernel
@_widened
def _(out: Any, g: Any, last: Any, h: Any, w: Any, *, sizes: Sizes, reverse: bool, relu: bool) -> Any:
    dx, dh = empty(out.shape, out.dtype), _gradient_of(h, last)
    for rows, n, given in _backward(sizes, reverse, g):
        _launch("rnn_step_backward", dx[rows], dh, given, out[rows], dx[rows], np.bool_(relu))
        write(dh[:n], _matmul(dx[rows], w))
    dw = _matmul(dx.T, _previous(out, h, sizes, reverse))
    return dx, dh, dw, sum_over(dx, dim=(0,), keepdim=False)


# ---- LSTM ----


@lstm_layer.kernel
@_widened
def _(x: Any, h: Any, c: Any, w: Any, b: Any = None, p: Any = None, *, sizes: Sizes, reverse: bool) -> Any:
    size = c.shape[1]
    gates, cells = empty(x.shape, x.dtype), empty((len(x), size), x.dtype)
    out, state, cell = empty((len(x), h.shape[1]), x.dtype), copied(h), copied(c)
    for rows, n in _steps(sizes, reverse):
        product = contiguous(_matmul(state[:n], w.T))
        made = out[rows] if p is None else empty((n, size), x.dtype)
        own = state if p is None else None
        _launch("lstm_step", made, np.int64(size), product, x[rows], b, own, cell, gates[rows], cells[rows], made)
        if p is not None:
            write(out[rows], _matmul(made, p.T))
            write(state[:n], out[rows])
    return out, state, cell, gates, cells


@lstm_layer_backward.kernel
@_widened
def _(
    gates: Any,
    cells: Any,
    out: Any,
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
    size = c.shape[1]
    before = _previous(cells, c, sizes, reverse)
    dgates, dh, dc = empty(gates.shape, gates.dtype), _gradient_of(h, last), _gradient_of(c, last_cell)
    dout = None if p is None else empty(out.shape, out.dtype)
    for rows, n, given in _backward(sizes, reverse, g):
        d = dh
        if dout is not None:
            write(dout[rows], dh[:n] if given is None else dh[:n] + given)
            d, given = contiguous(_matmul(dout[rows], p)), None
        arrays = (d, given, dc, gates[rows], cells[rows], before[rows], dgates[rows])
        _launch("lstm_step_backward", cells[rows], np.int64(size), *arrays)
        write(dh[:n], _matmul(dgates[rows], w))
    dw = _matmul(dgates.T, _previous(out, h, sizes, reverse))
    dp = None if dout is None else _matmul(dout.T, gates[:, 3 * size :] * tanh(cells))
    return dgates, dh, dc, dw, sum_over(dgates, dim=(0,), keepdim=False), dp


# ---- GRU ----


@gru_layer.kernel
@_widened
def _(x: Any, h: Any, w: Any, b: Any = None, *, sizes: Sizes, reverse: bool) -> Any:
    size = h.shape[1]
    out, kept, state = empty((len(x), size), x.dtype), empty((len(x), 4 * size), x.dtype), copied(h)
    for rows, n in _steps(sizes, reverse):
        product = contiguous(_matmul(state[:n], w.T))
        _launch("gru_step", out[rows], np.int64(size), product, x[rows], b, state, kept[rows], out[rows])
    return out, state, kept


@gru_layer_backward.kernel
@_widened
def _(kept: Any, out: Any, g: Any, last: Any, h: Any, w: Any, *, sizes: Sizes, reverse: bool) -> Any:
    size = h.shape[1]
    before = _previous(out, h, sizes, reverse)
    dx, dproduct, dh = (*[empty((len(out), 3 * size), out.dtype) for _ in range(2)], _gradient_of(h, last))
    for rows, n, given in _backward(sizes, reverse, g):
        arrays = (dh, given, kept[rows], before[rows], dx[rows], dproduct[rows])
        _launch("gru_step_backward", out[rows], np.int64(size), *arrays)
        write(dh[:n], dh[:n] + _matmul(dproduct[rows], w))
    return dx, dh, _matmul(dproduct.T, before), sum_over(dproduct, dim=(0,), keepdim=False)


__all__: list[str] = []
