"""Tensor methods: shape, layout, views, joining and taking apart."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from . import ops
from .size import Size

if TYPE_CHECKING:
    from .core import Tensor

_make_size = tuple.__new__


def _update(tensor: Any, function: Any, *args: Any, **params: Any) -> Tensor:
    from .inplace import update

    return update(tensor, function, *args, **params)


def _become(tensor: Any, function: Any, *args: Any) -> Tensor:
    from .inplace import become

    return become(tensor, function, *args)


class ShapeMethods:
    """What a tensor's shape is, and views of it in other shapes."""

    __slots__ = ()

    # ------------------------------------------------------------------------------------------- what it is

    @property
    def shape(self) -> Size:
        return _make_size(Size, self._array.shape)

    @property
    def ndim(self) -> int:
        return self._array.ndim

    def dim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    ndimension = dim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension. IndexError if there is no such dimension."""
        if dim is None:
            return _make_size(Size, self._array.shape)
        shape = self._array.shape
        return shape[ops.dims.normalize_dim(dim, len(shape))]

    def numel(self) -> int:
        """The number of elements."""
        return self._array.size

    nelement = numel

    def stride(self, dim: int | None = None) -> Any:
        """How many elements apart neighbours lie in memory, per dimension or along `dim`."""
        array = self._array
        if array.size:
            strides = tuple([s // array.itemsize for s in array.strides])
        else:  # NumPy says 0 for all of them; PyTorch's are those of sizes of at least 1
            strides = tuple([prod(max(n, 1) for n in array.shape[d + 1 :]) for d in range(array.ndim)])
        return strides if dim is None else strides[ops.dims.normalize_dim(dim, array.ndim)]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the elements lie in memory in order."""
        return bool(self._array.flags.c_contiguous)

    def storage_offset(self) -> int:
        """How many elements into its memory the tensor begins."""
        return ops.strided.offset_in_memory(self._array)

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._array.shape[0]

    # --------------------------------------------------------------------------------------- another shape

    def view(self, *shape: Any, dtype: Any = None, size: Any = None) -> Tensor:
        given = shape if shape else (dtype,) if dtype is not None else (size,)
        return ops.shape.view(self, *given)

    def view_as(self, other: Tensor) -> Tensor:
        return ops.shape.view(self, other.shape)

    def reshape(self, *sizes: Any, shape: Any = None) -> Tensor:
        if shape is not None:
            return ops.reshape(self, shape)
        return ops.reshape(self, sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes)

    def reshape_as(self, other: Tensor) -> Tensor:
        return ops.reshape(self, other.shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return ops.flatten(self, start_dim, end_dim)

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Tensor:
        return ops.unflatten(self, dim, sizes)

    def ravel(self) -> Tensor:
        return ops.ravel(self)

    def squeeze(self, dim: Any = None) -> Tensor:
        return ops.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return ops.unsqueeze(self, dim)

    def expand(self, *sizes: Any, size: Any = None) -> Tensor:
        return ops.shape.expand(self, *(sizes if size is None else (size,)))

    def expand_as(self, other: Tensor) -> Tensor:
        return ops.shape.expand(self, other.shape)

    def broadcast_to(self, size: Sequence[int]) -> Tensor:
        return ops.broadcast_to(self, size)

    # --------------------------------------------------------------------------------------- another order

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return ops.transpose(self, dim0, dim1)

    swapdims = transpose

    def swapaxes(self, axis0: int, axis1: int) -> Tensor:
        return ops.transpose(self, axis0, axis1)

    def t(self) -> Tensor:
        return ops.t(self)

    def permute(self, *order: Any, dims: Any = None) -> Tensor:
        if dims is not None:
            return ops.permute(self, dims)
        return ops.permute(self, order[0] if len(order) == 1 and not isinstance(order[0], int) else order)

    def movedim(self, source: Any, destination: Any) -> Tensor:
        return ops.movedim(self, source, destination)

    moveaxis = movedim

    def adjoint(self) -> Tensor:
        return ops.adjoint(self)

    @property
    def T(self) -> Tensor:
        if self._array.ndim not in (0, 2):
            warnings.warn(
                "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated. Consider "
                "`x.mT` to transpose batches of matrices or `x.permute(*range(x.ndim - 1, -1, -1))`.",
                UserWarning,
                stacklevel=2,
            )
        return ops.permute(self, tuple(range(self._array.ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        if self._array.ndim < 2:
            raise RuntimeError(
                f"tensor.mT is only supported on matrices or batches of matrices. Got {self._array.ndim}-D tensor."
            )
        return ops.transpose(self, -2, -1)

    @property
    def H(self) -> Tensor:
        if self._array.ndim not in (0, 2):
            raise RuntimeError(
                "tensor.H is only supported on matrices (2-D tensors). Got "
                f"{self._array.ndim}-D tensor. For batches of matrices, consider using tensor.mH"
            )
        return ops.t(self)

    mH = mT

    # ---------------------------------------------------------------------------------------------- parts

    def narrow(self, dim: int, start: Any, length: int) -> Tensor:
        return ops.narrow(self, dim, start, length)

    def select(self, dim: int, index: int) -> Tensor:
        return ops.select(self, dim, index)

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        return ops.diagonal(self, offset, dim1, dim2)

    def unfold(self, dimension: int, size: int, step: int) -> Tensor:
        return ops.strided.unfold(self, dimension, size, step)

    def as_strided(self, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
        return ops.as_strided(self, size, stride, storage_offset)

    def split(self, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.split(self, split_size, dim)

    def split_with_sizes(self, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        return ops.split_with_sizes(self, split_sizes, dim)

    def tensor_split(self, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.tensor_split(self, indices_or_sections, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.chunk(self, chunks, dim)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.unbind(self, dim)

    def hsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        return ops.hsplit(self, indices_or_sections)

    def vsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        return ops.vsplit(self, indices_or_sections)

    def dsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        return ops.dsplit(self, indices_or_sections)

    # --------------------------------------------------------------------------------------------- copies

    def clone(self, *, memory_format: Any = None) -> Tensor:
        return ops.clone(self, memory_format=memory_format)

    def contiguous(self, memory_format: Any = None) -> Tensor:
        return ops.rearrange.contiguous(self, memory_format)

    def flip(self, *dims: Any) -> Tensor:
        return ops.flip(self, ops.dims.as_size(dims))

    def fliplr(self) -> Tensor:
        return ops.fliplr(self)

    def flipud(self) -> Tensor:
        return ops.flipud(self)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
        return ops.rot90(self, k, dims)

    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        return ops.roll(self, shifts, dims)

    def repeat(self, *times: Any, repeats: Any = None) -> Tensor:
        return ops.rearrange.repeat(self, *(times if repeats is None else (repeats,)))

    def tile(self, *dims: Any) -> Tensor:
        return ops.tile(self, ops.dims.as_size(dims))

    def repeat_interleave(self, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
        return ops.repeat_interleave(self, repeats, dim, output_size=output_size)

    def diag(self, diagonal: int = 0) -> Tensor:
        return ops.diag(self, diagonal)

    def diag_embed(self, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
        return ops.diag_embed(self, offset, dim1, dim2)

    def diagflat(self, offset: int = 0) -> Tensor:
        return ops.diagflat(self, offset)

    def tril(self, diagonal: int = 0) -> Tensor:
        return ops.tril(self, diagonal)

    def triu(self, diagonal: int = 0) -> Tensor:
        return ops.triu(self, diagonal)

    # ------------------------------------------------------------------------------------------- in place

    def tril_(self, diagonal: int = 0) -> Tensor:
        return _update(self, ops.tril, diagonal)

    def triu_(self, diagonal: int = 0) -> Tensor:
        return _update(self, ops.triu, diagonal)

    def squeeze_(self, dim: Any = None) -> Tensor:
        return _become(self, ops.squeeze, dim)

    def unsqueeze_(self, dim: int) -> Tensor:
        return _become(self, ops.unsqueeze, dim)

    def transpose_(self, dim0: int, dim1: int) -> Tensor:
        return _become(self, ops.transpose, dim0, dim1)

    swapdims_ = transpose_

    def swapaxes_(self, axis0: int, axis1: int) -> Tensor:
        return self.transpose_(axis0, axis1)

    def t_(self) -> Tensor:
        return _become(self, ops.t)
