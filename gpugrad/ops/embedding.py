"""Rows of a table by index, and indices as rows of zeros with a single one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor, mark_written
from ..device import ARRAY_TYPES
from ..dtypes import as_dtype
from ..op import op

__all__ = ["embedding", "one_hot"]


@op(names=("weight", "input"))
def _lookup(weight: Any, indices: Any, *, padding_idx: int | None, by_frequency: bool) -> Any:
    """The rows of `weight` at `indices`. `padding_idx` gets no gradient; `by_frequency` divides it by the counts."""
    rows = weight.shape[0]
    if indices.size and not 0 <= indices.min() <= indices.max() < rows:
        bad = indices[(indices < 0) | (indices >= rows)][0]
        raise IndexError(f"index out of range in self: index {int(bad)} in an embedding of {rows} rows")
    return np.take(weight, indices, axis=0)


@op
def _collect(y: Any, indices: Any, *, rows: int, padding_idx: int | None, by_frequency: bool) -> Any:
    """The adjoint of `_lookup`: the rows of `y` added up at their indices."""
    wide = np.result_type(y.dtype, np.float32)
    table = np.zeros_like(y, shape=(rows, y.shape[-1]), dtype=wide)
    order = np.argsort(indices.reshape(-1), kind="stable")
    if order.size:
        places, starts, counts = np.unique(indices.reshape(-1)[order], return_index=True, return_counts=True)
        sums = np.add.reduceat(y.reshape(-1, y.shape[-1])[order].astype(wide, copy=False), starts, axis=0)
        table[places] = sums / counts[:, None].astype(wide) if by_frequency else sums
    if padding_idx is not None:
        table[padding_idx] = 0
    return table.astype(y.dtype, copy=False)


@op
def _lookup_gradient(table: Any, indices: Any, *, padding_idx: int | None, by_frequency: bool) -> Any:
    """The adjoint of `_collect`."""
    out = np.take(table, indices, axis=0)
    if by_frequency:
        _, inverse, counts = np.unique(indices, return_inverse=True, return_counts=True)
        out /= counts[inverse].reshape(indices.shape)[..., None].astype(out.dtype)
    if padding_idx is not None:
        out[indices == padding_idx] = 0
    return out


_lookup.defvjp(
    weight=lambda g, weight_shape, indices, *, padding_idx, by_frequency: _collect(
        g, indices, rows=weight_shape[0], padding_idx=padding_idx, by_frequency=by_frequency
    )
)
_collect.defvjp(
    y=lambda g, indices, *, padding_idx, by_frequency: _lookup_gradient(
        g, indices, padding_idx=padding_idx, by_frequency=by_frequency
    )
)
_lookup_gradient.defvjp(
    table=lambda g, table_shape, indices, *, padding_idx, by_frequency: _collect(
        g, indices, rows=table_shape[0], padding_idx=padding_idx, by_frequency=by_frequency
    )
)


@op(writes="weight")
def _limit_rows(weight: Any, indices: Any, *, max_norm: float, norm_type: float) -> None:
    """Scale down the rows at `indices` whose norm is above `max_norm`."""
    places = np.unique(indices)
    rows = weight[places]
    norms = np.linalg.norm(rows, ord=norm_type, axis=1, keepdims=True)
    weight[places] = np.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (rows, D) at the indices `input`: (*input.shape, D).

    Gradients are dense, with `sparse` too. `padding_idx` gets none; `max_norm` first scales down, in place, the rows
    that are used. IndexError for an index out of range, RuntimeError for indices that are no integers or a `weight`
    that is no matrix.
    """
    if input._array.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{as_dtype(input._array.dtype)} instead (while checking arguments for embedding)"
        )
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, but got {weight.ndim}-D")
    rows = weight.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"Padding_idx must be within num_embeddings: {padding_idx} of {rows} rows")
        padding_idx %= rows
    if max_norm is not None:
        _limit_rows(weight._array, input._array, max_norm=max_norm, norm_type=norm_type)
        mark_written(weight)
    return _lookup(weight, input, padding_idx=padding_idx, by_frequency=scale_grad_by_freq)


@op
def _one_hot(x: Any, *, classes: int) -> Any:
    out = np.zeros_like(x, shape=(*x.shape, classes))
    np.put_along_axis(out, x[..., None], 1, axis=-1)
    return out


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Integers as rows of `num_classes` (the largest plus one) zeros with a one: (*shape, num_classes), int64.

    RuntimeError for another dtype, negative values, or values that are not below `num_classes`.
    """
    array = tensor if type(tensor) in ARRAY_TYPES else tensor._array
    if array.dtype != np.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got {as_dtype(array.dtype)}"
        )
    if not array.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return _one_hot(tensor, classes=num_classes)
    if array.min() < 0:
        raise RuntimeError(f"Class values must be non-negative, got {int(array.min())}.")
    if num_classes == -1:
        num_classes = int(array.max()) + 1
    elif array.max() >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes, got {int(array.max())} of {num_classes}.")
    return _one_hot(tensor, classes=num_classes)
