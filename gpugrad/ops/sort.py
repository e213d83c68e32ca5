"""Order: `sort`, `topk`, `kthvalue`, `unique`, and places in sorted sequences.

NaN counts as the largest value. Sorting is stable in both directions, whatever `stable` says.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import return_types
from ..core import Tensor
from ..dtypes import as_dtype, int32, int64
from ..inplace import into
from ..op import op
from .along import chosen, given, pick_along
from .cast import cast
from .dims import normalize_dim
from .elementwise import not_implemented
from .reduce import narrow, numpy_dtype, wide

__all__ = [
    "argsort",
    "bucketize",
    "kthvalue",
    "msort",
    "searchsorted",
    "sort",
    "topk",
    "unique",
    "unique_consecutive",
]

# ---- sorting ----


def stable_order(x: Any, dim: int, descending: bool = False) -> Any:
    """The indices that sort the array `x` along `dim`; of equal elements the first comes first."""
    keys = wide(x)
    if not descending:
        return np.argsort(keys, axis=dim, kind="stable")
    backward = np.argsort(np.flip(keys, dim), axis=dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(backward, dim)


@op(name="argsort")
def _argsort(x: Any, *, dim: int, descending: bool) -> Any:
    return stable_order(x, dim, descending)


def _lined(input: Any, dim: int) -> tuple[Any, int]:
    """`input` with at least one dimension, and `dim` counted from the front."""
    dim = normalize_dim(dim, input.ndim)
    return (input if input.ndim else input.reshape((1,))), dim


def _in_shape(x: Any, shape: Any) -> Any:
    return x if x.shape == shape else x.reshape(shape)


def sort(
    input: Any,
    dim: int = -1,
    descending: bool = False,
    stable: bool = False,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> Any:
    """`(values, indices)` of `input` sorted along `dim`. IndexError if `dim` is out of range."""
    x, dim = _lined(input, dim)
    order = _argsort(x, dim=dim, descending=bool(descending))
    values = pick_along(x, order, dim=dim)
    return given(return_types.sort(*(_in_shape(part, input.shape) for part in (values, order))), out)


def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The indices (int64) that sort `input` along `dim`. IndexError if `dim` is out of range."""
    x, dim = _lined(input, dim)
    return _in_shape(_argsort(x, dim=dim, descending=bool(descending)), input.shape)


def msort(input: Any, *, out: Tensor | None = None) -> Any:
    """`input` sorted along its first dimension."""
    values = sort(input, 0).values
    return values if out is None else into(out, values, "msort")


# ---- the first few ----


@op(name="topk_indices")
def _topk_indices(x: Any, *, k: int, dim: int, largest: bool) -> Any:
    """Partition, then sort the k that were found; of equal elements the first comes first."""
    size = x.shape[dim]
    lead = (slice(None),) * dim
    if 0 < k < size:
        split = np.argpartition(wide(x), size - k if largest else k - 1, axis=dim)
        found = np.sort(split[(*lead, slice(size - k, None) if largest else slice(None, k))], axis=dim)
    else:
        found = np.sort(stable_order(x, dim)[(*lead, slice(None, k))], axis=dim)
    best = stable_order(np.take_along_axis(x, found, axis=dim), dim, largest)
    return np.take_along_axis(found, best, axis=dim)


def topk(
    input: Any,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> Any:
    """`(values, indices)` of the `k` largest (or smallest) elements along `dim`, in order whatever `sorted` says.

    RuntimeError if there are fewer than `k`, IndexError if `dim` is out of range.
    """
    x, dim = _lined(input, dim)
    if numpy_dtype(input) == np.bool_:
        raise RuntimeError("topk(): not implemented for bool; convert the input to another dtype first")
    if not 0 <= k <= x.shape[dim]:
        raise RuntimeError(f"topk(): selected index k out of range: k is {k}, dimension {dim} has size {x.shape[dim]}")
    indices = _topk_indices(x, k=int(k), dim=dim, largest=bool(largest))
    values = pick_along(x, indices, dim=dim)
    if not input.ndim and k:
        values, indices = values.reshape(()), indices.reshape(())
    return given(return_types.topk(values, indices), out)


@op(name="kthvalue_index")
def _kth_index(x: Any, *, k: int, dim: int, keepdim: bool) -> Any:
    order = np.take(stable_order(x, dim), (k - 1,), axis=dim)
    return order if keepdim else order.reshape([n for d, n in enumerate(x.shape) if d != dim])


def kthvalue(
    input: Any, k: int, dim: int = -1, keepdim: bool = False, *, out: tuple[Tensor, Tensor] | None = None
) -> Any:
    """`(values, indices)` of the `k`-th smallest element along `dim`, counted from 1.

    RuntimeError if there is none, IndexError if `dim` is out of range or has size 0.
    """
    at = normalize_dim(dim, input.ndim)
    if numpy_dtype(input) == np.bool_:
        raise not_implemented("kthvalue", np.bool_)
    size = input.shape[at] if input.ndim else 1
    if size and not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {at}: k is {k}, the size {size}")
    return chosen(return_types.kthvalue, input, _kth_index, dim, keepdim, out, k=int(k))


# ---- distinct values ----


@op(name="unique", outputs=3)
def _unique(x: Any, *, dim: int | None) -> Any:
    line = wide(x)  # among elements of bfloat16 NumPy's sort does not know where to put a NaN
    values, inverse, counts = np.unique(line, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    return narrow(values, x.dtype), inverse.reshape(x.shape if dim is None else -1), counts


@op(name="unique_consecutive", outputs=3)
def _unique_consecutive(x: Any, *, dim: int | None) -> Any:
    width = 1 if dim is None else math.prod(x.shape[:dim] + x.shape[dim + 1 :])
    lines = (x if dim is None else np.moveaxis(x, dim, 0)).reshape(x.size if dim is None else x.shape[dim], width)
    first = np.ones(len(lines), bool)
    first[1:] = np.logical_or.reduce(lines[1:] != lines[:-1], axis=1)
    starts = np.flatnonzero(first)
    values = x.reshape(-1)[starts] if dim is None else np.take(x, starts, axis=dim)
    inverse = np.cumsum(first) - 1
    counts = np.diff(starts, append=len(lines))
    return values, inverse.reshape(x.shape) if dim is None else inverse, counts


def _wanted(results: Any, inverse: bool, counts: bool) -> Any:
    chosen = (results[0], *([results[1]] if inverse else []), *([results[2]] if counts else []))
    return chosen if len(chosen) > 1 else chosen[0]


def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements (slices along `dim`), in order whatever `sorted` says; every NaN is distinct.

    With `return_inverse` also where each element of `input` is among them, with `return_counts` how often each occurs.
    """
    dim = None if dim is None else normalize_dim(dim, input.ndim)
    return _wanted(_unique(input, dim=dim), return_inverse, return_counts)


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements (slices along `dim`) that differ from the one before; results as of `unique`."""
    dim = None if dim is None else normalize_dim(dim, input.ndim)
    return _wanted(_unique_consecutive(input, dim=dim), return_inverse, return_counts)


# ---- places in sorted sequences ----


@op(name="searchsorted")
def _searchsorted(sequence: Any, values: Any, *, right: bool) -> Any:
    side: Any = "right" if right else "left"
    if sequence.ndim == 1:
        return np.searchsorted(sequence, values, side)[...]
    rows = sequence.reshape(-1, sequence.shape[-1])
    wanted = values.reshape(len(rows), values.shape[-1])
    found = np.zeros_like(wanted, np.int64)
    for row, value, place in zip(rows, wanted, found):
        place[...] = np.searchsorted(row, value, side)
    return found.reshape(values.shape)


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Where in the last dimension of `sorted_sequence` the elements of `input` would go, before equal ones.

    `right` (or `side="right"`) says after them. One sequence serves all of `input`; several have the shape of `input`
    but for the last dimension. `sorter` holds the indices that sort the sequence. RuntimeError for other shapes.
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"searchsorted(): side can only be 'left' or 'right' but got {side!r}")
    if side == "left" and right:
        raise RuntimeError(
            "searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    if sorter is not None:
        sorted_sequence = pick_along(sorted_sequence, sorter, dim=sorted_sequence.ndim - 1)
    if not isinstance(input, Tensor):
        from .create import scalar_tensor

        input = scalar_tensor(input, dtype=as_dtype(type(input)), device=sorted_sequence.device)
    if sorted_sequence.ndim != 1 and tuple(sorted_sequence.shape[:-1]) != tuple(input.shape[:-1]):
        raise RuntimeError(
            "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and "
            f"input value tensor must match, but we got boundaries tensor {list(sorted_sequence.shape)} and input value "
            f"tensor {list(input.shape)}"
        )
    result = cast(
        _searchsorted(sorted_sequence, input, right=right or side == "right"), (int32 if out_int32 else int64).numpy
    )
    return result if out is None else into(out, result, "searchsorted")


def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Tensor | None = None
) -> Tensor:
    """The index of the bucket each element is in, between increasing `boundaries` of one dimension.

    With i the result, boundaries[i-1] < x <= boundaries[i], or with `right` boundaries[i-1] <= x < boundaries[i].
    RuntimeError if `boundaries` has another number of dimensions.
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)
