"""Views: other shapes, orders and parts of the same memory, and the copies that are made where a view cannot be.

Each view op's gradient is its adjoint: shapes are restored, orders inverted, repeated elements summed, and parts put
back among zeros.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import as_dtype
from ..op import op
from ..size import Size
from .arithmetic import accumulate
from .dims import as_size, normalize_dim, normalize_dims
from .reduce import sum_to

__all__ = [
    "adjoint",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "flatten",
    "moveaxis",
    "movedim",
    "narrow",
    "permute",
    "ravel",
    "reshape",
    "select",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unflatten",
    "unsqueeze",
    "view_as",
]

# ---- the same elements in another shape ----

_NOT_VIEWABLE = (
    "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
    "contiguous subspaces). Use .reshape(...) instead."
)


@op(view=True, name="view")
def _view(x: Any, *, shape: tuple[int, ...]) -> Any:
    if not can_view(x, shape):
        raise RuntimeError(_NOT_VIEWABLE)
    return x.reshape(shape)


@op(name="reshape")
def _reshaped_copy(x: Any, *, shape: tuple[int, ...]) -> Any:
    return x.copy().reshape(shape)


_view.defvjp(x=lambda g, x_shape: reshape(g, x_shape))
_reshaped_copy.defvjp(x=lambda g, x_shape: reshape(g, x_shape))


def can_view(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether `array` can be seen in `shape`, of as many elements, without a copy.

    Dimensions that follow each other in memory make up a run; each run must be the product of some of the new sizes.
    """
    if array.flags.c_contiguous or array.size == 0:
        return True
    runs = _contiguous_runs(array)
    sizes = iter(shape)
    for run in runs:
        while run > 1:
            size = next(sizes)
            if run % size:
                return False
            run //= size
    return True


def _contiguous_runs(array: Any) -> list[int]:
    """The numbers of elements that lie at one distance from each other, over the dimensions from first to last."""
    runs: list[int] = []
    end = 0  # the stride with which the dimension before would go on in the last run
    for size, stride in zip(reversed(array.shape), reversed(array.strides)):
        if size == 1:
            continue
        if runs and stride == end:
            runs[-1] *= size
        else:
            runs.append(size)
        end = size * stride
    return runs[::-1]


def infer_shape(shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """`shape` with its -1, if any, replaced by the size that makes `numel` elements; RuntimeError if there is none."""
    known = math.prod(shape)
    least = min(shape, default=0)
    if least >= 0 and known == numel:
        return shape
    if least == -1 and known < 0 and shape.count(-1) == 1 and numel % known == 0:
        return tuple([numel // -known if size == -1 else size for size in shape])
    raise RuntimeError(_why_not(shape, numel, least))


def _why_not(shape: tuple[int, ...], numel: int, least: int) -> str:
    if shape.count(-1) > 1:
        return "only one dimension can be inferred"
    if least < -1:
        return f"invalid shape dimension {least}"
    if least == -1 and numel == 0:
        return (
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can "
            "be any value and is ambiguous"
        )
    return f"shape '{list(shape)}' is invalid for input of size {numel}"


def reshape(input: Any, shape: Sequence[int]) -> Tensor:
    """`input` in `shape`, one size of which may be -1: a view where memory allows, else a copy.

    RuntimeError if the number of elements differs.
    """
    array = input._array if isinstance(input, Tensor) else input
    if array is input and array.flags.c_contiguous:
        return input.reshape(shape)
    shape = infer_shape(as_size((shape,)), array.size)
    return (_view if can_view(array, shape) else _reshaped_copy)(input, shape=shape)


def view(input: Tensor, *shape: Any) -> Tensor:
    """`input` in another shape, or its bytes as another dtype, without a copy.

    RuntimeError if the number of elements differs, or memory does not allow it.
    """
    if len(shape) == 1 and not isinstance(shape[0], (int, tuple, list)) and not hasattr(shape[0], "__index__"):
        return _view_as_dtype(input, shape[0])
    return _view(input, shape=infer_shape(as_size(shape), input._array.size))


@op(view=True, name="view_dtype")
def _view_dtype(x: Any, *, dtype: Any) -> Any:
    return x.view(dtype)


def _view_as_dtype(input: Tensor, dtype: Any) -> Tensor:
    """The bytes of `input` read as another dtype; the last dimension takes up the difference in item size."""
    new, array = as_dtype(dtype).numpy, input._array
    old = array.dtype
    if new.itemsize != old.itemsize:
        if array.ndim == 0:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {as_dtype(old)} as {as_dtype(new)} (different element sizes)"
            )
        if array.strides[-1] != old.itemsize and array.shape[-1] != 1:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {as_dtype(old)} as {as_dtype(new)} (different element sizes), but "
                f"got {array.strides[-1] // old.itemsize}"
            )
        if array.shape[-1] * old.itemsize % new.itemsize:
            raise RuntimeError(
                f"self.size(-1) must be divisible by {new.itemsize // old.itemsize} to view {as_dtype(old)} as "
                f"{as_dtype(new)} (different element sizes), but got {array.shape[-1]}"
            )
    return _view_dtype(input, dtype=new)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.view(other.shape)`."""
    return view(input, other.shape)


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """`input` with the dimensions from `start_dim` to `end_dim` made one. RuntimeError if they are in wrong order."""
    shape = tuple(input.shape)
    start, end = normalize_dim(start_dim, len(shape)), normalize_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end and shape:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def ravel(input: Any) -> Tensor:
    """`input` as one dimension."""
    return reshape(input, (input._array.size,))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """`input` with dimension `dim` made into several of the given `sizes`, one of which may be -1."""
    shape = tuple(input.shape)
    dim = normalize_dim(dim, len(shape))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        parts = infer_shape(as_size((sizes,)), shape[dim])
    except RuntimeError as error:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) in the "
            "input tensor"
        ) from error
    return view(input, (*shape[:dim], *parts, *shape[dim + 1 :]))


@op(view=True, name="squeeze")
def _squeeze(x: Any, *, dim: tuple[int, ...]) -> Any:
    return x.squeeze(dim)


@op(view=True, name="unsqueeze")
def _unsqueeze(x: Any, *, dim: int) -> Any:
    return x.reshape((*x.shape[:dim], 1, *x.shape[dim:]))


_squeeze.defvjp(x=lambda g, x_shape: reshape(g, x_shape))
_unsqueeze.defvjp(x=lambda g, x_shape: reshape(g, x_shape))


def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Tensor:
    """`input` without its dimensions of size 1: all of them, or those among `dim`."""
    shape = input.shape
    if dim is None:
        wanted: Iterable[int] = range(len(shape))
    else:
        wanted = () if dim == () or dim == [] else normalize_dims(dim, len(shape)) or ()
    return _squeeze(input, dim=tuple([d for d in wanted if shape[d] == 1]))


def unsqueeze(input: Any, dim: int) -> Tensor:
    """`input` with a dimension of size 1 put in before `dim`."""
    return _unsqueeze(input, dim=normalize_dim(dim, len(input.shape) + 1))


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with at least one dimension; one tensor gives one, several or a sequence give a tuple."""
    return _each(tensors, lambda x: x if x.ndim >= 1 else reshape(x, (1,)))


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with at least two dimensions: vectors become rows."""
    return _each(tensors, lambda x: x if x.ndim >= 2 else reshape(x, (1, x.numel())))


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with at least three dimensions: vectors become (1, n, 1), matrices (m, n, 1)."""
    return _each(
        tensors, lambda x: x if x.ndim >= 3 else unsqueeze(x, 2) if x.ndim == 2 else reshape(x, (1, x.numel(), 1))
    )


def _each(tensors: Any, function: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return function(tensors[0])
    return tuple(map(function, tensors[0] if len(tensors) == 1 else tensors))


# ---- the same elements in another order ----


@op(view=True, name="transpose")
def _transpose(x: Any, *, dim0: int, dim1: int) -> Any:
    return x.swapaxes(dim0, dim1)


_transpose.defvjp(x=lambda g, *, dim0, dim1: _transpose(g, dim0=dim0, dim1=dim1))


@op(view=True, name="permute")
def _permute(x: Any, *, dims: tuple[int, ...]) -> Any:
    return x.transpose(dims)


_permute.defvjp(x=lambda g, *, dims: _permute(g, dims=_inverse(dims)))


def _inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(dims)), key=dims.__getitem__))


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """`input` with two dimensions exchanged."""
    ndim = len(input.shape)
    dim0, dim1 = normalize_dim(dim0, ndim), normalize_dim(dim1, ndim)
    return _transpose(input, dim0=dim0, dim1=dim1) if ndim else _permute(input, dims=())


def swapaxes(input: Any, axis0: int, axis1: int) -> Tensor:
    """`input` with two dimensions exchanged."""
    return transpose(input, axis0, axis1)


swapdims = transpose


def t(input: Any) -> Tensor:
    """A matrix transposed; vectors and 0-d tensors as they are. RuntimeError for more than two dimensions."""
    ndim = len(input.shape)
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return transpose(input, 0, 1) if ndim == 2 else _permute(input, dims=tuple(range(ndim)))


def adjoint(input: Any) -> Tensor:
    """`input` with its last two dimensions exchanged. RuntimeError for fewer than two."""
    if len(input.shape) < 2:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {len(input.shape)}-D tensor."
        )
    return transpose(input, -2, -1)


def permute(input: Any, dims: Sequence[int]) -> Tensor:
    """`input` with its dimensions in the order `dims`. RuntimeError unless `dims` names each dimension once."""
    ndim = len(input.shape)
    dims = as_size((dims,))
    if len(dims) != ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}"
        )
    order = tuple([normalize_dim(d, ndim) for d in dims])
    if len(set(order)) != ndim:
        raise RuntimeError(f"permute(dims): duplicate dims are not allowed, got {list(dims)}")
    return _permute(input, dims=order)


def movedim(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """`input` with the dimensions `source` at the places `destination`, the others in their order."""
    ndim = len(input.shape)
    from_dims, to_dims = _dim_list(source, ndim), _dim_list(destination, ndim)
    if len(from_dims) != len(to_dims):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({source} dims) should contain the same number of dims "
            f"as destination ({destination} dims)"
        )
    for what, dims in (("source", from_dims), ("destination", to_dims)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({dims})")
    order = [d for d in range(ndim) if d not in from_dims]
    for to, source_dim in sorted(zip(to_dims, from_dims)):
        order.insert(to, source_dim)
    return _permute(input, dims=tuple(order))


def _dim_list(dims: int | Sequence[int], ndim: int) -> list[int]:
    return [normalize_dim(d, ndim) for d in (dims if isinstance(dims, Iterable) else (dims,))]


moveaxis = movedim


# ---- repeated elements ----


@op(view=True, name="expand")
def _expand(x: Any, *, shape: tuple[int, ...]) -> Any:
    return x[...] if x.shape == shape else np.broadcast_to(x, shape)


_expand.defvjp(x=lambda g, x_shape: sum_to(g, shape=x_shape))


def expand(input: Any, *sizes: Any) -> Tensor:
    """`input` repeated along dimensions of size 1, and along new ones in front; -1 keeps a size. Read-only.

    RuntimeError if a size other than 1 would change.
    """
    shape, have = as_size(sizes), tuple(input.shape)
    lead = len(shape) - len(have)
    if lead < 0:
        raise RuntimeError(
            f"expand(Tensor{{{list(have)}}}, size={list(shape)}): the number of sizes provided ({len(shape)}) must be "
            f"greater or equal to the number of dimensions in the tensor ({len(have)})"
        )
    if -1 in shape:
        if -1 in shape[:lead]:
            raise RuntimeError(
                f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension "
                f"{shape.index(-1)}"
            )
        shape = tuple([have[i - lead] if size == -1 else size for i, size in enumerate(shape)])
    for i, size in enumerate(have, start=lead):
        if size not in (1, shape[i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[i]}) must match the existing size ({size}) at non-singleton "
                f"dimension {i}.  Target sizes: {list(shape)}.  Tensor sizes: {list(have)}"
            )
    if shape and min(shape) < 0:
        raise RuntimeError(f"expand: sizes must be non-negative or -1, got {list(shape)}")
    return _expand(input, shape=shape)


def broadcast_to(input: Any, size: Sequence[int]) -> Tensor:
    """`input.expand(size)`."""
    return expand(input, size)


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes (tuples or ints) broadcast to. RuntimeError if they do not."""
    given = [as_size((s,)) for s in shapes]
    try:
        return Size(np.broadcast_shapes(*given))
    except ValueError as error:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape: "
            + " and ".join(str(list(s)) for s in given)
        ) from error


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    shape = broadcast_shapes(*[x.shape for x in tensors])
    return tuple([expand(x, shape) for x in tensors])


# ---- parts ----


@op(view=True, name="slice")
def _part(x: Any, *, index: tuple[Any, ...]) -> Any:
    return x[(*index, ...)] if ... not in index else x[index]


@op
def put_among_zeros(g: Any, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    """Zeros of `shape` with `g` at the basic index `index`."""
    out = np.zeros_like(g, shape=shape)
    out[index] = g
    return out


_part.defvjp(x=lambda g, x_shape, *, index: put_among_zeros(g, shape=x_shape, index=index))
_part.defadd(lambda total, g, *, index: accumulate(_part.op.body(total, index=index), g))
put_among_zeros.defvjp(g=lambda g, *, index: _part(g, index=index))


def part(input: Any, index: tuple[Any, ...]) -> Tensor:
    """The view `input[index]` for an index of ints, slices, None and Ellipsis, in range."""
    return _part(input, index=index)


def narrow(input: Any, dim: int, start: Any, length: int) -> Tensor:
    """The elements from `start` to `start + length` along `dim`. RuntimeError if they are not all there."""
    if not input.shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, len(input.shape))
    size, begin = input.shape[dim], operator.index(start)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= begin <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {begin})")
    begin = begin + size if begin < 0 else begin
    if begin + length > size:
        raise RuntimeError(f"start ({begin}) + length ({length}) exceeds dimension size ({size}).")
    return _part(input, index=(*(slice(None),) * dim, slice(begin, begin + length)))


def select(input: Any, dim: int, index: Any) -> Tensor:
    """The slice at `index` along `dim`, without that dimension. IndexError if it is out of range."""
    if not input.shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim, index = normalize_dim(dim, len(input.shape)), operator.index(index)
    size = input.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return _part(input, index=(*(slice(None),) * dim, index))
