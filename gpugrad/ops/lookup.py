"""`nn.functional.embedding`: the lookup of `embedding.py`, with limits on the rows and on their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor, mark_written
from ..errors import no_tensor
from ..op import op
from .embedding import embedding as look_up

__all__ = ["embedding"]


@op(writes="weight")
def _limit_rows(weight: Any, indices: Any, *, max_norm: float, norm_type: float) -> None:
    """Scale down the rows at `indices` whose norm is above `max_norm`."""
    places = np.unique(indices)
    rows = weight[places]
    norms = np.linalg.norm(rows, ord=norm_type, axis=1, keepdims=True)
    weight[places] = np.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)


@op
def _divide_gradient(x: Any, counts: Any) -> Any:
    """`x`, whose gradient is divided by `counts`."""
    return x.copy()


_divide_gradient.defvjp(x=lambda g, counts: g / counts)


@op
def _occurrences(indices: Any, weight: Any) -> Any:
    """How often each index occurs: (*indices.shape, 1), in the dtype of `weight`."""
    _, inverse, counts = np.unique(indices, return_inverse=True, return_counts=True)
    return counts[inverse].reshape((*indices.shape, 1)).astype(weight.dtype)


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
    that are used. AssertionError for a `padding_idx` out of range, IndexError for an index out of range, RuntimeError
    for indices that are no integers or a `weight` that is no matrix.
    """
    if not isinstance(input, Tensor):
        raise no_tensor("embedding", "input", 1, input)
    rows = weight.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise AssertionError(f"Padding_idx must be within num_embeddings: {padding_idx} of {rows} rows")
    if max_norm is not None:
        look_up(weight.detach(), input)  # refuses bad indices before anything is written
        _limit_rows(weight._array, input._array, max_norm=max_norm, norm_type=norm_type)
        mark_written(weight)
    found = look_up(weight, input, padding_idx=padding_idx)
    return _divide_gradient(found, _occurrences(input, weight.detach())) if scale_grad_by_freq else found
