"""Cross-entropy, the negative log-likelihood and their gradients, by `kernels/cross_entropy.cu`.

A target that is no class is an IndexError at the next wait for the device; until then its loss and gradient are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.cross_entropy import _cross_entropy, _cross_entropy_grad, _nll_loss, _nll_loss_grad
from . import bounds
from .array import empty
from .module import cuda_name, multiprocessors
from .rows import (
    LONG_THREADS,
    MOST_COLUMNS,
    chunks,
    column_launch,
    compute,
    fitting,
    kernel,
    ready,
    row_launch,
    split,
    struct,
)

_FILE = "cross_entropy.cu"
_SHAPES = ((8, 8), (16, 8), (32, 32), (32, 96), (128, 48), (256, 64))  # threads a row, elements a thread
_SHAPES_DOUBLE = ((8, 8), (16, 8), (32, 32), (128, 32), (256, 32))
_SMOOTH, _SMOOTH_DOUBLE = _SHAPES[:3], _SHAPES_DOUBLE[:2]
_THREADS = 256  # kTargetThreads


def _fits(x: Any, target: Any, weight: Any, *more: Any) -> bool:
    """Whether there is a kernel for these dtypes, and work for it."""
    weights = (x.dtype, compute(x.dtype))
    return (
        x.dtype in FLOATS
        and x.size > 0
        and target.dtype == np.int64
        and target.size <= MOST_COLUMNS
        and (weight is None or weight.dtype in weights)
        and all(a.dtype is x.dtype for a in more)
    )


def _types(x: Any, weight: Any) -> str:
    return f"{cuda_name(x.dtype)}, {cuda_name(x.dtype if weight is None else weight.dtype)}"


def _choices(ignore_index: int, label_smoothing: float, n: int) -> Any:
    return struct(int(ignore_index), float(label_smoothing), label_smoothing / n)


def _weights(weight: Any) -> Any:
    return None if weight is None else ready(weight)


class _Losses:
    """Where a forward writes: the losses themselves or, to be reduced, what each block sums up."""

    def __init__(self, x: Any, target: Any, blocks: int, reduction: str) -> None:
        each = reduction == "none"
        self.reduction, self.dtype, self.blocks = reduction, x.dtype, blocks
        self.losses = empty(target.shape, x.dtype) if each else None
        self.parts = None if each else empty((blocks, 2), compute(x.dtype))

    def reduced(self) -> Any:
        if self.losses is not None:
            return self.losses
        out = empty((), self.dtype)
        mean = "true" if self.reduction == "mean" else "false"
        run = kernel(_FILE, f"add_up<{cuda_name(self.dtype)}, {mean}>")
        run((1,), (LONG_THREADS,), (self.parts, np.int64(self.blocks), out))
        return out


@_cross_entropy.kernel
def _cross_entropy_kernel(
    x: Any, target: Any, weight: Any = None, *, ignore_index: int, label_smoothing: float, reduction: str
) -> Any:
    if not _fits(x, target, weight):
        return NotImplemented
    x, target, weight = ready(x), ready(target), _weights(weight)
    outer, n, inner = split(x.shape, 1)
    p = empty(x.shape, x.dtype)
    last = (_choices(ignore_index, label_smoothing, n), bounds.words(), np.int32(bounds.number("cross_entropy")))
    smooth, double = label_smoothing != 0, x.itemsize == 8
    shape = fitting((_SMOOTH_DOUBLE if double else _SMOOTH) if smooth else _SHAPES_DOUBLE if double else _SHAPES, n)
    grid: Any
    block: Any
    sizes: Any
    if inner > 1:
        grid, block = column_launch(outer * inner, n)
        name = f"cross_entropy_forward_columns<{_types(x, weight)}>"
        sizes = (np.uint32(outer * inner), np.int64(n), np.uint32(inner))
    elif shape is None:
        grid, block, sizes = (outer,), (LONG_THREADS,), (np.int64(n),)
        name = f"cross_entropy_forward_long<{_types(x, weight)}>"
    else:
        grid, block = row_launch(outer, shape[0])
        sizes = (np.int64(outer), np.int32(n))
        name = f"cross_entropy_forward<{_types(x, weight)}, {'true' if smooth else 'false'}, {shape[0]}, {shape[1]}>"
    losses = _Losses(x, target, grid[0], reduction)
    kernel(_FILE, name)(grid, block, (x, target, weight, p, losses.losses, losses.parts, *sizes, *last))
    return losses.reduced(), [p]


@_nll_loss.kernel
def _nll_loss_kernel(x: Any, target: Any, weight: Any = None, *, ignore_index: int, reduction: str) -> Any:
    if not _fits(x, target, weight):
        return NotImplemented
    x, target, weight = ready(x), ready(target), _weights(weight)
    outer, n, inner = split(x.shape, 1)
    blocks = _blocks(target)
    losses = _Losses(x, target, blocks, reduction)
    sizes = (np.uint32(outer * inner), np.int64(n), np.uint32(inner))
    last = (_choices(ignore_index, 0.0, n), bounds.words(), np.int32(bounds.number("nll_loss")))
    given = (x, target, weight, losses.losses, losses.parts, *sizes, *last)
    kernel(_FILE, f"nll_forward<{_types(x, weight)}>")((blocks,), (_THREADS,), given)
    return losses.reduced()


def _blocks(target: Any) -> int:
    """How many blocks a kernel takes that gives each target a thread."""
    return max(1, min(-(-target.size // _THREADS), 4 * multiprocessors()))


def _totals(target: Any, weight: Any, n: int, kind: Any, choices: Any) -> Any:
    """The sums of the weights of all classes and of all targets: what soft targets and the mean need."""
    blocks = _blocks(target)
    parts = empty((blocks, 2), kind)
    types = f"{cuda_name(kind)}, {cuda_name(kind if weight is None else weight.dtype)}"
    given = (target, weight, parts, np.int64(target.size), np.int64(n), choices)
    kernel(_FILE, f"target_counts<{types}>")((blocks,), (_THREADS,), given)
    if blocks == 1:
        return parts
    totals = empty((1, 2), kind)
    kernel(_FILE, f"add_parts<{cuda_name(kind)}>")((1,), (LONG_THREADS,), (parts, np.int64(blocks), totals))
    return totals


@_cross_entropy_grad.kernel
def _cross_entropy_grad_kernel(
    dy: Any, p: Any, target: Any, weight: Any = None, *, ignore_index: int, label_smoothing: float, reduction: str
) -> Any:
    if not _fits(p, target, weight, dy):
        return NotImplemented
    dy, p, target, weight = ready(dy), ready(p), ready(target), _weights(weight)
    outer, n, inner = split(p.shape, 1)
    choices, mean = _choices(ignore_index, label_smoothing, n), reduction == "mean"
    totals = _totals(target, weight, n, compute(p.dtype), choices) if mean or label_smoothing else None
    dx = empty(p.shape, p.dtype)
    last = (np.int32(reduction == "none"), np.int32(mean), choices)
    if inner > 1:
        grid, block = column_launch(outer * inner, n)
        sizes = (np.uint32(outer * inner), np.int64(n), np.uint32(inner))
        run = kernel(_FILE, f"cross_entropy_backward_columns<{_types(p, weight)}>")
        run(grid, block, (dy, p, target, weight, totals, dx, *sizes, *last))
    else:
        threads, pieces, block, rows = chunks(outer, n)
        run = kernel(_FILE, f"cross_entropy_backward<{_types(p, weight)}, {threads}>")
        run(pieces, block, (dy, p, target, weight, totals, dx, rows, *last))
    return dx


@_nll_loss_grad.kernel
def _nll_loss_grad_kernel(
    dy: Any, target: Any, weight: Any = None, *, shape: tuple[int, ...], ignore_index: int, reduction: str
) -> Any:
    if not _fits(dy, target, weight) or not target.size or not shape[1]:
        return NotImplemented
    dy, target, weight = ready(dy), ready(target), _weights(weight)
    outer, n, inner = split(shape, 1)
    choices, mean = _choices(ignore_index, 0.0, n), reduction == "mean"
    totals = _totals(target, weight, n, compute(dy.dtype), choices) if mean else None
    dx = empty(shape, dy.dtype)
    dx.fill(0)
    sizes = (np.uint32(outer * inner), np.int64(n), np.uint32(inner))
    last = (np.int32(reduction == "none"), np.int32(mean), choices)
    run = kernel(_FILE, f"nll_backward<{_types(dy, weight)}>")
    run((_blocks(target),), (_THREADS,), (dy, target, weight, totals, dx, *sizes, *last))
    return dx
