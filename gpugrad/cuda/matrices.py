"""Parts of matrices on the device: triangles, diagonals, blocks, vector products. Copies and formulas do the work."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..ops import linalg_types
from ..ops.arithmetic import addcmul
from ..ops.attention import _allowed_before
from ..ops.linalg_decompose import plus_identity
from ..ops.linalg_more import _blocks, _corner
from ..ops.linalg_products import _cross
from ..ops.linalg_solve import triangle
from ..ops.rearrange import _tril, _triu
from . import backend
from .array import empty
from .copy import copied, filled, write, zeros
from .strided import main_diagonal

# CuPy does not ask cuSOLVER whether it failed unless told to: the host waits for the answer, as in PyTorch.
linalg_types.failures_told = functools.partial(backend.cupyx().errstate, linalg="raise")


@plus_identity.kernel
def _(x: Any) -> Any:
    out = copied(x)
    return out if write(main_diagonal(out), main_diagonal(x) + 1) else NotImplemented


@triangle.kernel
def _(x: Any, *, upper: bool, diagonal: float) -> Any:
    out = (_triu if upper else _tril)(x, diagonal=0)
    if diagonal == 1:
        return out
    return out if write(main_diagonal(out), main_diagonal(x) * diagonal) else NotImplemented


@_allowed_before.kernel
def _(scores: Any) -> Any:
    return _tril(filled(scores.shape[-2:], True, np.dtype(np.bool_)), diagonal=0)


@_blocks.kernel
def _(a: Any, corner: Any) -> Any:
    size = a.shape[-1]
    out = zeros((*a.shape[:-2], 2 * size, 2 * size), a.dtype)
    parts = ((out[..., :size, :size], a), (out[..., size:, size:], a), (out[..., :size, size:], corner))
    return out if all([write(part, source) for part, source in parts]) else NotImplemented


@_corner.kernel
def _(x: Any) -> Any:
    size = x.shape[-1] // 2
    return copied(x[..., :size, size:])


@_cross.kernel
def _(x: Any, y: Any, *, dim: int) -> Any:
    if x.dtype == np.bool_:
        return NotImplemented  # the body says what is wrong
    out = empty(np.broadcast_shapes(x.shape, y.shape), x.dtype)
    before = (slice(None),) * dim
    for i in range(3):
        j, k = (*before, (i + 1) % 3), (*before, (i + 2) % 3)
        if not write(out[(*before, i)], addcmul(x[j] * y[k], x[k], y[j], value=-1)):
            return NotImplemented
    return out


__all__: list[str] = []
