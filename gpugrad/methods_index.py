"""Tensor methods: indexing, gathering and scattering, masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import ops

if TYPE_CHECKING:
    from .core import Tensor


def _update(tensor: Any, function: Any, *args: Any, **params: Any) -> Tensor:
    from .inplace import write

    return write(tensor, function, *args, **params)


class IndexMethods:
    """`x[key]`, and what reads or writes places named by index tensors and masks."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Tensor:
        return ops.index.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        ops.index.setitem(self, key, value)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.unbind(self, 0))

    def __contains__(self, element: Any) -> bool:
        if not hasattr(element, "_array") and not isinstance(element, (bool, int, float)):
            raise RuntimeError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element).__name__}."
            )
        return bool(ops.any(ops.eq(self, element)))

    # ------------------------------------------------------------------------------------------- reading

    def gather(self, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
        return ops.gather(self, dim, index, sparse_grad=sparse_grad)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        return ops.index_select(self, dim, index)

    def masked_select(self, mask: Tensor) -> Tensor:
        return ops.masked_select(self, mask)

    def take(self, index: Tensor) -> Tensor:
        return ops.take(self, index)

    def take_along_dim(self, indices: Tensor, dim: int | None = None) -> Tensor:
        return ops.take_along_dim(self, indices, dim)

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        return ops.nonzero(self, as_tuple=as_tuple)

    def argwhere(self) -> Tensor:
        return ops.argwhere(self)

    # ------------------------------------------------------------------------------------ copies with writes

    def scatter(self, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: Any = None) -> Tensor:
        return ops.scatter(self, dim, index, src, value=value, reduce=reduce)

    def scatter_add(self, dim: int, index: Tensor, src: Tensor) -> Tensor:
        return ops.scatter_add(self, dim, index, src)

    def scatter_reduce(self, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
        return ops.scatter_reduce(self, dim, index, src, reduce, include_self=include_self)

    def index_add(self, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
        return ops.index_add(self, dim, index, source, alpha=alpha)

    def index_copy(self, dim: int, index: Tensor, source: Tensor) -> Tensor:
        return ops.index_copy(self, dim, index, source)

    def index_fill(self, dim: int, index: Tensor, value: Any) -> Tensor:
        return ops.index_fill(self, dim, index, value)

    def index_put(self, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
        return ops.index_put(self, indices, values, accumulate)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        return ops.masked_fill(self, mask, value)

    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        return ops.masked_scatter(self, mask, source)

    def put(self, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
        return ops.put(self, index, source, accumulate)

    # ------------------------------------------------------------------------------------------- in place

    def scatter_(self, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: Any = None) -> Tensor:
        return _update(self, ops.scatter, dim, index, src, value=value, reduce=reduce)

    def scatter_add_(self, dim: int, index: Tensor, src: Tensor) -> Tensor:
        return _update(self, ops.scatter_add, dim, index, src)

    def scatter_reduce_(
        self, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
    ) -> Tensor:
        return _update(self, ops.scatter_reduce, dim, index, src, reduce, include_self=include_self)

    def index_add_(self, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
        return _update(self, ops.index_add, dim, index, source, alpha=alpha)

    def index_copy_(self, dim: int, index: Tensor, source: Tensor) -> Tensor:
        return _update(self, ops.index_copy, dim, index, source)

    def index_fill_(self, dim: int, index: Tensor, value: Any) -> Tensor:
        return _update(self, ops.index_fill, dim, index, value)

    def index_put_(self, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
        return _update(self, ops.index_put, indices, values, accumulate)

    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        return _update(self, ops.masked_fill, mask, value)

    def masked_scatter_(self, mask: Tensor, source: Tensor) -> Tensor:
        return _update(self, ops.masked_scatter, mask, source)

    def put_(self, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
        return _update(self, ops.put, index, source, accumulate)
