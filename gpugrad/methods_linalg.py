"""Tensor methods: matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ops

if TYPE_CHECKING:
    from .core import Tensor


class LinalgMethods:
    """Products with vectors and matrices."""

    __slots__ = ()

    def matmul(self, other: Tensor) -> Tensor:
        return ops.matmul(self, other)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def mm(self, mat2: Tensor) -> Tensor:
        return ops.mm(self, mat2)

    def bmm(self, batch2: Tensor) -> Tensor:
        return ops.bmm(self, batch2)

    def mv(self, vec: Tensor) -> Tensor:
        return ops.mv(self, vec)

    def dot(self, other: Tensor) -> Tensor:
        return ops.dot(self, other)

    def inner(self, other: Tensor) -> Tensor:
        return ops.inner(self, other)

    def outer(self, vec2: Tensor) -> Tensor:
        return ops.outer(self, vec2)

    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return ops.addmm(self, mat1, mat2, beta=beta, alpha=alpha)

    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return ops.baddbmm(self, batch1, batch2, beta=beta, alpha=alpha)
