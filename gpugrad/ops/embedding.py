"""Rows of a table by index, and indices as rows of zeros with a one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor, wrap
from ..device import arrays_beside
from ..dtypes import as_dtype
from ..errors import no_tensor
from ..op import op
from .gather import _scatter_value
from .index import add_rows, within
from .shape import unsqueeze

__all__ = ["embedding", "one_hot"]


@op(name="embedding")
def _embedding(weight: Any, index: Any, *, padding_idx: int) -> Any:
    if index.size:
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= len(weight):
            bad = low if low < 0 else high
            raise IndexError(f"index out of range in self: index {bad}, weight has {len(weight)} rows")
    return weight.take(index, 0)


@op
def add_embedding_rows(g: Any, index: Any, *, shape: tuple[int, ...], padding_idx: int) -> Any:
    """Zeros of `shape` (rows, width) with the rows of `g` added at `index`, but for those of `padding_idx`."""
    out = np.zeros_like(g, shape=shape, order="C")
    _add_rows(out, g, index, padding_idx)
    return out


@op(writes="total")
def add_rows_to_table(total: Any, g: Any, index: Any, *, padding_idx: int) -> None:
    """The same in place, added to what `total` (rows, width), contiguous, holds."""
    _add_rows(total, g, index, padding_idx)


def _add_rows(out: Any, g: Any, index: Any, padding_idx: int) -> None:
    rows, values = index.reshape(-1), g.reshape(-1, out.shape[1])
    if padding_idx >= 0:
        kept = rows != padding_idx
        rows, values = rows[kept], values[kept]
    add_rows(out, rows, values)


@op
def read_embedding_rows(g: Any, index: Any, *, padding_idx: int) -> Any:
    """The rows `index` of `g`, zeros for `padding_idx`: the adjoint of `add_embedding_rows`."""
    out = g.take(index, 0)
    if padding_idx >= 0:
        out[index == padding_idx] = 0
    return out


_embedding.defvjp(
    weight=lambda g, weight_shape, index, *, padding_idx: add_embedding_rows(
        g, index, shape=weight_shape, padding_idx=padding_idx
    )
)
_embedding.defadd(lambda total, g, index, *, padding_idx: add_rows_to_table(total, g, index, padding_idx=padding_idx))
add_embedding_rows.defvjp(g=lambda g, index, *, padding_idx: read_embedding_rows(g, index, padding_idx=padding_idx))
read_embedding_rows.defvjp(
    g=lambda g, g_shape, index, *, padding_idx: add_embedding_rows(g, index, shape=g_shape, padding_idx=padding_idx)
)


def embedding(weight: Tensor, index: Tensor, *, padding_idx: int | None = None) -> Tensor:
    """The rows of `weight` (n, width) that `index` (...), int64 or int32, names: (..., width).

    The row `padding_idx` gets no gradient. IndexError if an index is out of range, RuntimeError if it is no integer.
    """
    places, count = index._array, weight._array.shape[0]
    if weight._array.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, but got shape {list(weight._array.shape)}")
    if places.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{as_dtype(places.dtype)} instead (while checking arguments for embedding)"
        )
    skipped = -1 if padding_idx is None else padding_idx + count if padding_idx < 0 else padding_idx
    return _embedding(weight, index, padding_idx=skipped)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Zeros (..., num_classes), int64, with a one where `tensor` (...), int64, says.

    Without `num_classes` there are as many classes as the largest value needs. RuntimeError for values out of range.
    """
    if not isinstance(tensor, Tensor):
        raise no_tensor("one_hot", "tensor", 1, tensor)
    values = tensor._array
    if values.dtype != np.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got {as_dtype(values.dtype)}."
        )
    if not values.size and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    message = "Class values must be non-negative, got {0}."
    within(values, low=0, size=np.iinfo(np.int64).max, error=RuntimeError, message=message)
    if num_classes == -1:
        num_classes = int(tensor.max()) + 1
    message = f"Class values must be smaller than num_classes, got {{0}} of {num_classes} classes."
    within(values, low=0, size=num_classes, error=RuntimeError, message=message)
    zeros = wrap(arrays_beside(values).full((*values.shape, num_classes), 0, values.dtype))
    return _scatter_value(zeros, unsqueeze(tensor, values.ndim), dim=values.ndim, value=1)
