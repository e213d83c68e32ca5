"""Joining tensors and taking them apart. The parts are views; their gradients are put back among zeros."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..inplace import into
from ..op import op
from .dims import as_size, normalize_dim
from .shape import atleast_1d, atleast_2d, atleast_3d, part, reshape, select

__all__ = [
    "cat",
    "chunk",
    "column_stack",
    "concat",
    "concatenate",
    "dsplit",
    "dstack",
    "hsplit",
    "hstack",
    "row_stack",
    "split",
    "split_with_sizes",
    "stack",
    "tensor_split",
    "unbind",
    "vsplit",
    "vstack",
]

# ---- joining ----


@op(name="cat", promotes=True)
def _cat(*tensors: Any, dim: int) -> Any:
    return np.concatenate(tensors, dim)


@op(name="stack", promotes=True)
def _stack(*tensors: Any, dim: int) -> Any:
    return np.stack(tensors, dim)


def _cat_vjp(g: Any, tensors_shape: Any, needs: tuple[bool, ...], *, dim: int) -> tuple[Any, ...]:
    grads, start, before = [], 0, (slice(None),) * dim
    for shape, needed in zip(tensors_shape, needs, strict=True):
        end = start + shape[dim]
        grads.append(part(g, (*before, slice(start, end))) if needed else None)
        start = end
    return tuple(grads)


def _stack_vjp(g: Any, needs: tuple[bool, ...], *, dim: int) -> tuple[Any, ...]:
    before = (slice(None),) * dim
    return tuple([part(g, (*before, i)) if needed else None for i, needed in enumerate(needs)])


_cat.defvjp(_cat_vjp)
_stack.defvjp(_stack_vjp)


def _listed(tensors: Any, name: str) -> list[Any]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0 of {name}(), but got {type(x).__name__}")
    return list(tensors)


def cat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None, axis: int | None = None) -> Tensor:
    """The tensors one after another along `dim` (or `axis`), in their common dtype; empty vectors are left out.

    ValueError if there are none, RuntimeError if they differ in another dimension.
    """
    dim = dim if axis is None else axis
    given = _listed(tensors, "cat")
    if not given:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    shapes = [x._array.shape for x in given]
    kept = [i for i, shape in enumerate(shapes) if shape != (0,)]
    first = shapes[kept[0]] if kept else (0,)
    if not first:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated; use stack() or reshape(1)")
    dim = normalize_dim(dim, len(first))
    for i in kept:
        _check_joinable(first, shapes[i], i, dim)
    if len(first) > 1 and len(kept) < len(given):
        given = [x if i in kept else reshape(x, (*first[:dim], 0, *first[dim + 1 :])) for i, x in enumerate(given)]
    result = _cat(*given, dim=dim)
    return result if out is None else into(out, result, "cat")


def _check_joinable(first: tuple[int, ...], shape: tuple[int, ...], which: int, dim: int) -> None:
    if shape == first:
        return
    if len(shape) != len(first):
        raise RuntimeError(
            f"cat(): Tensors must have same number of dimensions: got {len(first)} and {len(shape)} (shapes {list(first)} and "
            f"{list(shape)})"
        )
    for d, (want, have) in enumerate(zip(first, shape)):
        if d != dim and want != have:
            raise RuntimeError(
                f"cat(): Sizes of tensors must match except in dimension {dim}. Expected size {want} but got size {have} for "
                f"tensor number {which} in the list (dimension {d})."
            )


def concat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None, axis: int | None = None) -> Tensor:
    """`cat`."""
    return cat(tensors, dim, out=out, axis=axis)


def concatenate(
    tensors: Sequence[Tensor], axis: int = 0, out: Tensor | None = None, *, dim: int | None = None
) -> Tensor:
    """`cat`."""
    return cat(tensors, axis if dim is None else dim, out=out)


def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None, axis: int | None = None) -> Tensor:
    """The tensors, all of one shape, along a new dimension `dim` (or `axis`), in their common dtype."""
    dim = dim if axis is None else axis
    given = _listed(tensors, "stack")
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = given[0]._array.shape
    for i, x in enumerate(given):
        if x._array.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                f"{list(x._array.shape)} at entry {i}"
            )
    result = _stack(*given, dim=normalize_dim(dim, len(first) + 1))
    return result if out is None else into(out, result, "stack")


def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined along dimension 1, vectors along dimension 0."""
    parts = [atleast_1d(x) for x in _listed(tensors, "hstack")]
    if not parts:
        raise RuntimeError("hstack expects a non-empty TensorList")
    return cat(parts, 0 if parts[0].ndim == 1 else 1, out=out)


def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined along dimension 0, vectors as rows."""
    return cat([atleast_2d(x) for x in _listed(tensors, "vstack")], 0, out=out)


row_stack = vstack


def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined along dimension 2, after `atleast_3d`."""
    return cat([atleast_3d(x) for x in _listed(tensors, "dstack")], 2, out=out)


def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined along dimension 1, vectors as columns."""
    parts = _listed(tensors, "column_stack")
    return cat([reshape(x, (x._array.size, 1)) if x.ndim < 2 else x for x in parts], 1, out=out)


# ---- taking apart ----


def _parts(input: Tensor, bounds: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """The views between successive `bounds` along `dim`."""
    before = (slice(None),) * dim
    return tuple([part(input, (*before, slice(a, b))) for a, b in itertools.pairwise(bounds)])


def _splittable_dim(input: Tensor, dim: int, name: str) -> int:
    if not input._array.ndim:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")
    return normalize_dim(dim, input._array.ndim)


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of `tensor` along `dim`: each of the given size (the last may be smaller), or one per size in a list."""
    if not hasattr(split_size_or_sections, "__index__"):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    dim = _splittable_dim(tensor, dim, "split")
    step, size = operator.index(split_size_or_sections), tensor._array.shape[dim]
    if step < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={step}")
    if step == 0 and size:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {size}")
    bounds = [*range(0, size, step), size] if size else [0, 0]
    return _parts(tensor, bounds, dim)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of `input` of the given sizes along `dim`. RuntimeError unless they sum to its size."""
    dim = _splittable_dim(input, dim, "split_with_sizes")
    sizes, size = as_size((split_sizes,)), input._array.shape[dim]
    if (sizes and min(sizes) < 0) or sum(sizes) != size:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's size at dimension {dim}), "
            f"but got split_sizes={list(sizes)}"
        )
    bounds = [0]
    for n in sizes:
        bounds.append(bounds[-1] + n)
    return _parts(input, bounds, dim)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size along `dim`; the last may be smaller."""
    dim = _splittable_dim(input, dim, "chunk")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = input._array.shape[dim]
    if size == 0:
        return _parts(input, [0] * (chunks + 1), dim)
    return split(input, -(-size // chunks), dim)


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views along `dim`: that many, sizes differing by at most one, or cut before each of the given indices."""
    dim = _splittable_dim(input, dim, "tensor_split")
    size = input._array.shape[dim]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, (list, tuple)):
        cuts = [slice(i).indices(size)[1] for i in indices_or_sections]
        starts, ends = [0, *cuts], [*cuts, size]
        before = (slice(None),) * dim
        return tuple([part(input, (*before, slice(a, max(a, b)))) for a, b in zip(starts, ends)])
    sections = operator.index(indices_or_sections)
    if sections <= 0:
        raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
    small, larger = divmod(size, sections)
    return _parts(input, [i * small + min(i, larger) for i in range(sections + 1)], dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices of `input` along `dim`, without that dimension, as views."""
    if not input._array.ndim:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    dim = normalize_dim(dim, input._array.ndim)
    return tuple([select(input, dim, i) for i in range(input._array.shape[dim])])


def _even_split(input: Tensor, how: Any, dim: int, name: str) -> tuple[Tensor, ...]:
    if isinstance(how, int) and (how <= 0 or input._array.shape[dim] % how):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{input._array.shape[dim]} is not divisible by the split_size {how}!"
        )
    return tensor_split(input, how, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 1 (0 for vectors), into equal parts if a number is given."""
    if not input._array.ndim:
        raise RuntimeError(
            "torch.hsplit requires a tensor with at least 1 dimension, but got a tensor with 0 dimensions!"
        )
    return _even_split(input, indices_or_sections, min(1, input._array.ndim - 1), "hsplit")


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 0, into equal parts if a number is given."""
    _check_ndim(input, 2, "vsplit")
    return _even_split(input, indices_or_sections, 0, "vsplit")


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 2, into equal parts if a number is given."""
    _check_ndim(input, 3, "dsplit")
    return _even_split(input, indices_or_sections, 2, "dsplit")


def _check_ndim(input: Tensor, least: int, name: str) -> None:
    if input._array.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with "
            f"{input._array.ndim} dimensions!"
        )
