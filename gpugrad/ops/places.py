"""Reading and writing slices (`index_*`), masked elements (`masked_*`) and elements of the flattened tensor.

All but `masked_fill` come down to the ops on places of `index.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor, wrap
from ..dtypes import FLOATING, INTEGER, as_dtype, scalar_dtype
from ..errors import no_tensor
from ..inplace import into
from .cast import cast
from .dims import normalize_dim
from .index import add_at_places, in_range, read_places, scalar_beside, within, write_places
from .mask import filled_where, nonzero_places, read_mask
from .shape import broadcast_shapes, expand, part, reshape

__all__ = [
    "index_add",
    "index_copy",
    "index_fill",
    "index_select",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "put",
    "take",
]

# ---- an index for every slice ----


def _slice_places(
    index: Tensor, dim: int, size: int, error: type[Exception], message: str, negative: bool = False
) -> Tensor:
    """The vector `index` as `places` along one dimension, (1, n); `error` if one is out of range."""
    low, message = -size if negative else 0, message.format("{0}", dim, size)
    places = within(reshape(index, (index._array.size,))._array, low=low, size=size, error=error, message=message)
    return wrap((in_range(places, dim=dim, size=size) if negative else cast(places, np.dtype(np.int64)))[None])


def _as_vectors(input: Tensor, dim: int, index: Tensor, name: str) -> tuple[Tensor, int]:
    """`input` with at least one dimension, and `dim`; errors if `index` is no vector of ints."""
    if not isinstance(index, Tensor):
        raise no_tensor(name, "index", 3, index)
    if index._array.dtype not in (np.int64, np.int32):
        got = as_dtype(index._array.dtype)
        error = IndexError if name == "index_fill_" else RuntimeError  # as in PyTorch
        raise error(f"{name}(): Expected dtype int32/int64 for index but got: {got}; convert it with .long()")
    if index._array.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got shape {list(index._array.shape)}")
    dim = normalize_dim(dim, input._array.ndim)
    return (input if input._array.ndim else reshape(input, (1,))), dim


_BOUNDS = "index {0} is out of bounds for dimension {1} with size {2}"


def index_select(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The slices of `input` that the vector `index` names along `dim`, as a copy. IndexError if out of range."""
    x, dim = _as_vectors(input, dim, index, "index_select")
    size = x._array.shape[dim]
    message = f"index out of range in self: {_BOUNDS}"
    result = read_places(x, _slice_places(index, dim, size, IndexError, message), dims=(dim,))
    result = result if input._array.ndim else reshape(result, ())
    return result if out is None else into(out, result, "index_select")


def _check_dtype(x: Tensor, source: Tensor, name: str) -> None:
    if source._array.dtype is not x._array.dtype:
        raise RuntimeError(
            f"{name}(): self ({as_dtype(x._array.dtype)}) and source ({as_dtype(source._array.dtype)}) must have the same "
            "scalar type"
        )


def _check_count(source: Tensor, dim: int, index: Tensor, name: str, error: type[Exception]) -> None:
    count, size = index._array.size, (source._array.shape or (1,))[dim]
    if size != count:
        raise error(
            f"{name}(): Number of indices ({count}) should be equal to source.size(dim): ({size}), for dim: {dim}"
        )


def _without(shape: tuple[int, ...], dim: int) -> tuple[int, ...]:
    return shape[:dim] + shape[dim + 1 :]


def index_add(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    *,
    alpha: float = 1,
    out: Tensor | None = None,
    _inplace: bool = False,
) -> Tensor:
    """A copy of `input` with `alpha * source` added to the slices `index` along `dim`, as often as each is named."""
    x, dim = _as_vectors(input, dim, index, "index_add_")
    have, want = source._array.shape, input._array.shape
    if len(have) != len(want) or _without(have, dim) != _without(want, dim):
        raise RuntimeError(
            "index_add_(): source tensor shape must match self tensor shape, excluding the specified dimension. Got "
            f"self.shape = {list(want)} source.shape = {list(have)}"
        )
    _check_count(source, dim, index, "index_add_", RuntimeError)
    _check_dtype(x, source, "index_add_")
    source = source if have else reshape(source, (1,))
    wrong = IndexError if input._array.ndim < 2 else RuntimeError  # as in PyTorch
    places = _slice_places(index, dim, x._array.shape[dim], wrong, f"index_add_(): {_BOUNDS}")
    added = source if alpha == 1 else source * alpha
    result = add_at_places(x, added, places, dims=(dim,), inplace=_inplace)
    result = result if input._array.ndim else reshape(result, ())
    return result if out is None else into(out, result, "index_add")


def index_copy(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, out: Tensor | None = None, _inplace: bool = False
) -> Tensor:
    """A copy of `input` with the slices `index` along `dim` replaced by those of `source`."""
    x, dim = _as_vectors(input, dim, index, "index_copy_")
    have, want = source._array.shape, input._array.shape
    if have and want and len(have) != len(want):
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({len(have)}), destination dimensionality ({len(want)})"
        )
    if _without(have, dim) != _without(want, dim):
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Got "
            f"self.shape = {list(want)} source.shape = {list(have)}, which differ outside dimension {dim}"
        )
    _check_count(source, dim, index, "index_copy_", IndexError)
    _check_dtype(x, source, "index_copy_")
    source = source if have else reshape(source, (1,))
    places = _slice_places(index, dim, x._array.shape[dim], IndexError, f"index_copy_(): {_BOUNDS}")
    result = write_places(x, source, places, dims=(dim,), inplace=_inplace)
    result = result if input._array.ndim else reshape(result, ())
    return result if out is None else into(out, result, "index_copy")


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any, *, _inplace: bool = False) -> Tensor:
    """A copy of `input` with the slices `index` along `dim` filled with `value`, a number or a 0-d tensor."""
    x, dim = _as_vectors(input, dim, index, "index_fill_")
    places = _slice_places(index, dim, x._array.shape[dim], IndexError, _BOUNDS, negative=True)
    result = write_places(x, _scalar_tensor(x, value, "index_fill_"), places, dims=(dim,), inplace=_inplace)
    return result if input._array.ndim else reshape(result, ())


def _scalar_tensor(x: Tensor, value: Any, name: str) -> Tensor:
    """`value`, a number or a 0-d tensor, as a 0-d tensor of the dtype of `x`."""
    dtype = x._array.dtype
    if isinstance(value, Tensor):
        if value._array.ndim:
            raise RuntimeError(
                f"{name} only supports a 0-dimensional value tensor, but got tensor with {value._array.ndim} "
                "dimension(s)."
            )
        return cast(value, dtype)
    if scalar_dtype(value).category == FLOATING and as_dtype(dtype).category <= INTEGER and not np.isfinite(value):
        raise RuntimeError(f"value cannot be converted to type {as_dtype(dtype)} without overflow")
    return scalar_beside(x._array, value)


# ---- masks ----


def _check_mask(mask: Tensor, message: str) -> None:
    if not isinstance(mask, Tensor):
        raise no_tensor("masked_fill" if "fill" in message else "masked_scatter", "mask", 2, mask)
    if mask._array.dtype != np.bool_:
        raise RuntimeError(
            f"{message}, but got mask with dtype {as_dtype(mask._array.dtype)}; compare it with something"
        )


def masked_fill(input: Tensor, mask: Tensor, value: Any, *, _inplace: bool = False) -> Tensor:
    """`input` with `value`, a number or a 0-d tensor, where `mask` is True; broadcast. RuntimeError unless it is bool."""
    _check_mask(mask, "masked_fill_ only supports boolean masks")
    return filled_where(input, _scalar_tensor(input, value, "masked_fill_"), mask, _inplace)


def _common_shape(name: str, *tensors: Tensor) -> tuple[int, ...]:
    """What the shapes broadcast to; RuntimeError of the op `name` if they do not."""
    try:
        return broadcast_shapes(*(x.shape for x in tensors))
    except RuntimeError as error:
        raise RuntimeError(f"{name}(): {error}") from None


def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements of `input` where `mask` is True, in order, as a vector; broadcast."""
    _check_mask(mask, "masked_select: expected BoolTensor for mask")
    shape = _common_shape("masked_select", input, mask)
    result = reshape(read_mask(expand(input, shape), expand(mask, shape)), (-1,))
    return result if out is None else into(out, result, "masked_select")


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor, *, _inplace: bool = False) -> Tensor:
    """`input` with the first elements of `source` written, in order, where `mask` is True; broadcast."""
    _check_mask(mask, "masked_scatter_ only supports boolean masks")
    if source._array.dtype is not input._array.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {as_dtype(input._array.dtype)} and "
            f"{as_dtype(source._array.dtype)}"
        )
    shape = _common_shape("masked_scatter", input, mask)
    places = nonzero_places(reshape(expand(mask, shape), (-1,))._array)
    if source._array.size < places.size:
        raise RuntimeError(
            f"Number of elements of source < number of ones in mask ({source._array.size} < {places.size})"
        )
    flat = reshape(expand(input, shape), (-1,))
    chosen = part(reshape(source, (-1,)), (slice(0, places.size),))
    inplace = _inplace and shape == input.shape
    return reshape(write_places(flat, chosen, wrap(places), dims=(0,), inplace=inplace), shape)


# ---- the flattened tensor ----


def _flat_index(input: Tensor, index: Tensor, name: str) -> Tensor:
    """`index` into the flattened `input` as `places`; IndexError if one is out of range."""
    if index._array.dtype != np.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {as_dtype(index._array.dtype)}")
    size = input._array.size
    message = f"out of range: tried to access index {{0}} on a tensor of {size} elements."
    places = within(index._array, low=-size, size=size, error=IndexError, message=message)
    return wrap(in_range(places, dim=0, size=size)[None])


def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements that `index` names in the flattened `input`, in the shape of `index`. IndexError if out of range."""
    result = read_places(reshape(input, (input._array.size,)), _flat_index(input, index, "take"), dims=(0,))
    return result if out is None else into(out, result, "take")


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False, *, _inplace: bool = False) -> Tensor:
    """A copy of `input` with `source` written (or added) where `index` says in the flattened tensor."""
    if index._array.size != source._array.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source._array.size}, index.numel() = {index._array.size}"
        )
    places = wrap(_flat_index(input, index, "put_")._array.reshape(1, -1))
    write = add_at_places if accumulate else write_places
    flat, given = (reshape(x, (x._array.size,)) for x in (input, source))
    return reshape(write(flat, given, places, dims=(0,), inplace=_inplace), input.shape)
