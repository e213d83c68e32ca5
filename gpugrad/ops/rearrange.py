"""Copies in another order: clones, flips, rolls, repeats, triangles, and grids of indices."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, wrap
from ..device import ARRAY_TYPES
from ..dtypes import as_dtype
from ..op import op
from .dims import as_size, memory_order, normalize_dim, normalize_dims
from .reduce import sum_over
from .shape import expand, reshape, transpose, unsqueeze

__all__ = [
    "block_diag",
    "cartesian_prod",
    "clone",
    "combinations",
    "flip",
    "fliplr",
    "flipud",
    "meshgrid",
    "repeat_interleave",
    "roll",
    "rot90",
    "tile",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
]


@op(name="clone", ordered=False)
def _clone(x: Any, *, order: str) -> Any:
    return x.copy(memory_order(x) if order == "K" else order)


_clone.defvjp(x=lambda g: g)


def clone(input: Any, *, memory_format: Any = None) -> Tensor:
    """A copy of `input`, in its memory layout; `memory_format` "contiguous" asks for the standard one."""
    return _clone(input, order="K" if memory_format is None or "preserve" in str(memory_format) else "C")


def contiguous(input: Any, memory_format: Any = None) -> Tensor:
    """`input` itself if its elements lie in memory in order, else a copy in which they do."""
    return input if input._array.flags.c_contiguous else _clone(input, order="C")


# ---- reversed and rotated ----


@op(name="flip")
def _flip(x: Any, *, dims: tuple[int, ...]) -> Any:
    return x[tuple([slice(None, None, -1) if d in dims else slice(None) for d in range(x.ndim)])].copy()


_flip.defvjp(x=lambda g, *, dims: _flip(g, dims=dims))


def flip(input: Any, dims: Sequence[int], *more: int) -> Tensor:
    """A copy of `input` with the order along `dims` reversed."""
    given = as_size((dims, *more)) if more or not isinstance(dims, Iterable) else tuple(dims)
    return _flip(input, dims=normalize_dims(given, len(input.shape)) or ())


def fliplr(input: Any) -> Tensor:
    """`input` reversed along dimension 1."""
    if len(input.shape) < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, (1,))


def flipud(input: Any) -> Tensor:
    """`input` reversed along dimension 0."""
    if len(input.shape) < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, (0,))


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy of `input` turned `k` times by 90 degrees, from `dims[0]` towards `dims[1]`."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if len(input.shape) < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {len(input.shape)}")
    first, second = (normalize_dim(d, len(input.shape)) for d in dims)
    if first == second:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    turns = k % 4
    if turns == 0:
        return clone(input, memory_format="contiguous")
    if turns == 2:
        return flip(input, (first, second))
    flipped = flip(input, (second if turns == 1 else first,))
    return clone(transpose(flipped, first, second), memory_format="contiguous")


@op(name="roll")
def _roll(x: Any, *, shifts: tuple[int, ...], dims: tuple[int, ...] | None) -> Any:
    return np.roll(x, shifts, dims) if dims is not None else np.roll(x, shifts[0])


_roll.defvjp(x=lambda g, *, shifts, dims: _roll(g, shifts=tuple([-s for s in shifts]), dims=dims))


def roll(input: Any, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """A copy of `input` with elements moved by `shifts` along `dims`, those that leave coming in again.

    Without `dims` the flattened tensor is rolled. RuntimeError unless there is one shift per dimension.
    """
    given = as_size((shifts,))
    chosen = () if dims is None else as_size((dims,))
    if not chosen:
        if len(given) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(given)}, dims:0")
        return _roll(input, shifts=given, dims=None)
    if len(given) != len(chosen):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(given)}, dims:{len(chosen)}")
    return _roll(input, shifts=given, dims=tuple([normalize_dim(d, len(input.shape)) for d in chosen]))


# ---- repeated ----


@op(name="repeat")
def _repeat(x: Any, *, times: tuple[int, ...]) -> Any:
    return np.tile(x, times)


def _sum_repeats(g: Any, x_shape: tuple[int, ...], *, times: tuple[int, ...]) -> Any:
    lead = len(times) - len(x_shape)
    shape = (1,) * lead + tuple(x_shape)
    split = reshape(g, tuple(itertools.chain.from_iterable(zip(times, shape))))
    return reshape(sum_over(split, dim=tuple(range(0, 2 * len(times), 2)), keepdim=False), tuple(x_shape))


_repeat.defvjp(x=_sum_repeats)


def repeat(input: Any, *repeats: Any) -> Tensor:
    """`input` laid `repeats` times along each dimension, new ones coming in front."""
    times = as_size(repeats)
    if len(times) < len(input.shape):
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: got "
            f"{len(times)} repeats for {len(input.shape)} dimensions"
        )
    if times and min(times) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(times)}: {list(times)}")
    return _repeat(input, times=times)


def tile(input: Any, dims: Any, *more: int) -> Tensor:
    """`repeat` with ones put in front of `dims` as needed."""
    times = as_size((dims, *more))
    return repeat(input, (1,) * (len(input.shape) - len(times)) + times)


def repeat_interleave(
    input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element of `input` along `dim` (of the flattened tensor, without) repeated: one number for all, or one each.

    `repeat_interleave(repeats)` alone gives the indices. RuntimeError if numbers and elements do not match.
    """
    if repeats is None:
        return _repeated_places(_counts(input))
    if dim is None:
        input, dim = reshape(input, (-1,)) if input._array.size else reshape(input, (0,)), 0
    dim = normalize_dim(dim, len(input.shape))
    size = input.shape[dim]
    if isinstance(repeats, int) and repeats >= 0:
        return _interleave_evenly(input, int(repeats), dim)
    counts = _counts(repeats, input.device)
    if counts.numel() not in (1, size):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.numel()} and "
            f"input.size({dim}) = {size}"
        )
    if counts.numel() == 1:
        return _interleave_evenly(input, int(counts.item()), dim)
    from .places import index_select

    return index_select(input, dim, _repeated_places(counts))


def _counts(repeats: Any, device: Any = None) -> Tensor:
    """How often to repeat, as a tensor of integers; a number or a list becomes one on `device`. RuntimeError for others."""
    from .create import tensor

    counts = repeats if isinstance(repeats, Tensor) else tensor(repeats, device=device)
    if counts._array.dtype.kind not in "iu":
        raise RuntimeError(f"repeats has to be Long or Int tensor, got {counts.dtype}")
    if counts.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if counts.numel() and int(counts.min().item()) < 0:
        raise RuntimeError("repeats can not be negative")
    return counts


@op(name="repeat_interleave")
def _repeated_places(counts: Any) -> Any:
    """Each index of the vector `counts`, as often as it says, in order."""
    return np.repeat(np.arange(counts.size), counts)


def _interleave_evenly(input: Any, times: int, dim: int) -> Tensor:
    shape = tuple(input.shape)
    spread = expand(unsqueeze(input, dim + 1), (*shape[: dim + 1], times, *shape[dim + 1 :]))
    return reshape(clone(spread, memory_format="contiguous"), (*shape[:dim], shape[dim] * times, *shape[dim + 1 :]))


# ---- triangles ----


@op(name="tril")
def _tril(x: Any, *, diagonal: int) -> Any:
    return np.tril(x, diagonal)


@op(name="triu")
def _triu(x: Any, *, diagonal: int) -> Any:
    return np.triu(x, diagonal)


_tril.defvjp(x=lambda g, *, diagonal: _tril(g, diagonal=diagonal))
_triu.defvjp(x=lambda g, *, diagonal: _triu(g, diagonal=diagonal))


def _check_matrix(input: Any, name: str) -> None:
    if len(input.shape) < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


def tril(input: Any, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """`input` (..., m, n) with zeros above the diagonal numbered `diagonal`."""
    from ..inplace import into

    _check_matrix(input, "tril")
    result = _tril(input, diagonal=operator.index(diagonal))
    return result if out is None else into(out, result, "tril")


def triu(input: Any, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """`input` (..., m, n) with zeros below the diagonal numbered `diagonal`."""
    from ..inplace import into

    _check_matrix(input, "triu")
    result = _triu(input, diagonal=operator.index(diagonal))
    return result if out is None else into(out, result, "triu")


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The (2, n) row and column indices of the lower triangle of a (row, col) matrix, row by row; int64 by default."""
    _check_sizes(row, col)
    return _triangle(np.tril_indices(row, offset, col), dtype, device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The (2, n) row and column indices of the upper triangle of a (row, col) matrix, row by row; int64 by default."""
    _check_sizes(row, col)
    return _triangle(np.triu_indices(row, offset, col), dtype, device)


def _check_sizes(row: int, col: int) -> None:
    for name, size in (("row", row), ("col", col)):
        if size < 0:
            raise RuntimeError(f"{name} must be non-negative, got {size}")


def _triangle(indices: Any, dtype: Any, device: Any) -> Tensor:
    from .create import make

    return make(np.stack(indices).astype(np.int64 if dtype is None else as_dtype(dtype).numpy), device)


# ---- grids and blocks ----


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Each 0-d or 1-d tensor expanded to the grid of all: by rows first ("ij", the default) or columns first ("xy")."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'meshgrid(): indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in tensors:
        if len(x.shape) > 1:
            raise RuntimeError(f"meshgrid(): Expected 0D or 1D tensor in the tensor list but got: {list(x.shape)}")
    swap = indexing == "xy" and len(tensors) > 1
    ordered = [tensors[1], tensors[0], *tensors[2:]] if swap else list(tensors)
    shape = tuple([x._array.size for x in ordered])
    grids = [expand(reshape(x, (1,) * i + (-1,) + (1,) * (len(ordered) - i - 1)), shape) for i, x in enumerate(ordered)]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of one element from each 1-d tensor, as rows; of a single tensor, itself."""
    from .join import stack

    for x in tensors:
        if len(x.shape) != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, (grid._array.size,)) for grid in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All combinations of `r` elements of the vector `input`, as rows, in the order of `itertools.combinations`."""
    from .create import make
    from .places import index_select

    if len(input.shape) != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = list(choose(range(input.shape[0]), r))
    places = np.array(chosen, np.int64).reshape(-1)
    return reshape(index_select(input, 0, make(places, input.device)), (len(chosen) if r else 0, r))


def block_diag(*tensors: Any) -> Tensor:
    """The matrix with the tensors (of at most two dimensions) as blocks along its diagonal, zeros elsewhere."""
    from .join import cat

    blocks = []
    for x in tensors:
        if len(x.shape) > 2:
            raise RuntimeError(f"block_diag(): Input tensors must have 2 or fewer dimensions. Got {list(x.shape)}")
        blocks.append(x if len(x.shape) == 2 else reshape(x, (1, x._array.size)))
    if not blocks:
        return wrap(np.zeros((1, 0), np.float32))
    width = sum(b.shape[1] for b in blocks)
    rows, left = [], 0
    for block in blocks:
        height, own = block.shape
        full, dtype = ARRAY_TYPES[type(block._array)].full, block._array.dtype
        before, after = (wrap(full((height, n), 0, dtype)) for n in (left, width - left - own))
        rows.append(cat([before, block, after], 1))
        left += own
    return cat(rows, 0)
