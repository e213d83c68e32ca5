"""Cross-entropy, the negative log-likelihood and their gradients, by `kernels/cross_entropy.cu`.

A target that is no class is an IndexError at the next wait for the device; until then its loss and gradient are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..ops.cross_entropy import _cross_entropy, _nll_loss, _nll_loss_grad, gradient_dtype
from . import bounds
from .copy import set_all
from .launches import Once, repeated
from .module import cuda_name, multiprocessors
from .rows import (
    LONG_THREADS,
    MOST_COLUMNS,
    SHAPES,
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
_MOST_SMOOTH = {2: 1024, 4: 1024, 8: 128}  # classes in registers beside what smoothing needs, by itemsize
_THREADS, _MOST_COUNTS = 256, 32  # kTargetThreads, blocks of target_counts
_ONE_BLOCK = 1024  # threads that do all the work together


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
    """Where a forward writes: the losses themselves or, to be reduced, what each block sums up; one block reduces too."""

    def __init__(self, do: Once, x: Any, target: Any, blocks: int, reduction: str, alone: bool = False) -> None:
        each = reduction == "none"
        self.do, self.reduction, self.dtype, self.blocks = do, reduction, x.dtype, blocks
        self.losses = do.empty(target.shape, x.dtype) if each else None
        self.out = do.empty((), x.dtype) if alone else None
        self.parts = None if each or alone else do.empty((blocks, 2), compute(x.dtype))

    def reduced(self) -> Any:
        if self.parts is None:
            return self.out if self.losses is None else self.losses
        out = self.do.empty((), self.dtype)
        mean = "true" if self.reduction == "mean" else "false"
        run = kernel(_FILE, f"add_up<{cuda_name(self.dtype)}, {mean}>")
        self.do(run, (1,), (LONG_THREADS,), (self.parts, np.int64(self.blocks), out))
        return out


@_cross_entropy.kernel
@repeated
def _cross_entropy_kernel(
    do: Once,
    x: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
    recorded: bool,
) -> Any:
    if not _fits(x, target, weight):
        return NotImplemented
    x, target, weight = ready(x), ready(target), _weights(weight)
    outer, n, inner = split(x.shape, 1)
    dx = do.empty(x.shape, gradient_dtype(x.dtype)) if recorded else None
    choices = _choices(ignore_index, label_smoothing, n)
    smooth, mean = label_smoothing != 0, reduction == "mean"
    shape = fitting(SHAPES[x.itemsize][:-1], n, x.itemsize)  # the last would be one block to a multiprocessor
    if smooth and n > _MOST_SMOOTH[x.itemsize]:
        shape = None
    types, alone = _types(x, weight), False
    grid: Any
    block: Any
    sizes: Any
    if inner > 1:
        grid, block = column_launch(outer * inner, n)
        name, sizes = f"cross_entropy_columns<{types}>", (np.uint32(outer * inner), np.int64(n), np.uint32(inner))
    elif shape is None:
        grid, block = (outer,), (LONG_THREADS,)
        name, sizes = f"cross_entropy_long<{types}>", (np.int64(n),)
    else:
        grid, block = row_launch(outer, shape[0])
        if shape[1] <= 8 and 128 < outer * shape[0] <= _ONE_BLOCK and not smooth:
            grid, block = (1,), (shape[0], _ONE_BLOCK // shape[0])
        alone = grid == (1,) and not smooth and reduction != "none"
        name = f"cross_entropy<{types}, {'true' if smooth else 'false'}, {shape[0]}, {shape[1]}, {block[1]}>"
        sizes = (np.int64(outer), np.int32(n))
    losses = _Losses(do, x, target, grid[0], reduction, alone)
    written = (losses.losses, losses.parts) if inner > 1 or shape is None else (losses.losses, losses.parts, losses.out)
    counts = _counts(do, target, weight, n, compute(x.dtype), choices, recorded and (smooth or (mean and not alone)))
    last = (np.int32(mean), choices, do.words(), np.int32(bounds.number("cross_entropy")))
    do(kernel(_FILE, name), grid, block, (x, target, weight, dx, *written, *sizes, *counts, *last))
    return losses.reduced(), [dx]


@_nll_loss.kernel
@repeated
def _nll_loss_kernel(do: Once, x: Any, target: Any, weight: Any = None, *, ignore_index: int, reduction: str) -> Any:
    if not _fits(x, target, weight):
        return NotImplemented
    x, target, weight = ready(x), ready(target), _weights(weight)
    outer, n, inner = split(x.shape, 1)
    blocks = _blocks(target)
    losses = _Losses(do, x, target, blocks, reduction)
    sizes = (np.uint32(outer * inner), np.int64(n), np.uint32(inner))
    last = (_choices(ignore_index, 0.0, n), do.words(), np.int32(bounds.number("nll_loss")))
    given = (x, target, weight, losses.losses, losses.parts, *sizes, *last)
    do(kernel(_FILE, f"nll_forward<{_types(x, weight)}>"), (blocks,), (_THREADS,), given)
    return losses.reduced()


def _blocks(target: Any) -> int:
    """How many blocks a kernel takes that gives each target a thread."""
    return max(1, min(-(-target.size // _THREADS), 4 * multiprocessors()))


def _counts(do: Once, target: Any, weight: Any, n: int, kind: Any, choices: Any, wanted: bool) -> tuple[Any, np.int32]:
    """The sums of the weights of all classes and of all targets: what soft targets and the mean need, in parts."""
    if not wanted:
        return None, np.int32(0)
    blocks = min(_blocks(target), _MOST_COUNTS)
    parts = do.empty((blocks, 2), kind)
    types = f"{cuda_name(kind)}, {cuda_name(kind if weight is None else weight.dtype)}"
    given = (target, weight, parts, np.int64(target.size), np.int64(n), choices)
    do(kernel(_FILE, f"target_counts<{types}>"), (blocks,), (_THREADS,), given)
    return parts, np.int32(blocks)


@_nll_loss_grad.kernel
@repeated
def _nll_loss_grad_kernel(
    do: Once, dy: Any, target: Any, weight: Any = None, *, shape: tuple[int, ...], ignore_index: int, reduction: str
) -> Any:
    if not _fits(dy, target, weight) or not target.size or not shape[1]:
        return NotImplemented
    dy, target, weight = ready(dy), ready(target), _weights(weight)
    outer, n, inner = split(shape, 1)
    choices, mean = _choices(ignore_index, 0.0, n), reduction == "mean"
    counts = _counts(do, target, weight, n, compute(dy.dtype), choices, wanted=mean)
    dx = do.empty(shape, dy.dtype)
    set_all(dx, 0, do)
    sizes = (np.uint32(outer * inner), np.int64(n), np.uint32(inner))
    last = (np.int32(reduction == "none"), np.int32(mean), choices)
    run = kernel(_FILE, f"nll_backward<{_types(dy, weight)}>")
    do(run, (_blocks(target),), (_THREADS,), (dy, target, weight, dx, *sizes, *counts, *last))
    return dx
