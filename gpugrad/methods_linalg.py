"""Tensor methods: matrix products and linear algebra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ops

if TYPE_CHECKING:
    from .core import Tensor
    from .ops.linalg_types import LegacySVDResult, QRResult, SlogdetResult


class LinalgMethods:
    """Products with vectors and matrices, norms, inverses and decompositions."""

    __slots__ = ()

    def matmul(self, other: Tensor) -> Tensor:
        return ops.matmul(self, other)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def mm(self, mat2: Tensor) -> Tensor:
        return ops.mm(self, mat2)

    def bmm(self, mat2: Tensor) -> Tensor:
        return ops.bmm(self, mat2)

    def mv(self, vec: Tensor) -> Tensor:
        return ops.mv(self, vec)

    def dot(self, tensor: Tensor) -> Tensor:
        return ops.dot(self, tensor)

    def inner(self, other: Tensor) -> Tensor:
        return ops.inner(self, other)

    def outer(self, vec2: Tensor) -> Tensor:
        return ops.outer(self, vec2)

    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return ops.addmm(self, mat1, mat2, beta=beta, alpha=alpha)

    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return ops.baddbmm(self, batch1, batch2, beta=beta, alpha=alpha)

    def addmv(self, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return ops.addmv(self, mat, vec, beta=beta, alpha=alpha)

    def addr(self, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return ops.addr(self, vec1, vec2, beta=beta, alpha=alpha)

    def addbmm(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return ops.addbmm(self, batch1, batch2, beta=beta, alpha=alpha)

    def vdot(self, other: Tensor) -> Tensor:
        return ops.vdot(self, other)

    def ger(self, vec2: Tensor) -> Tensor:
        return ops.ger(self, vec2)

    def cross(self, other: Tensor, dim: int | None = None) -> Tensor:
        return ops.cross(self, other, dim)

    def kron(self, other: Tensor) -> Tensor:
        return ops.kron(self, other)

    def trace(self) -> Tensor:
        return ops.trace(self)

    def matrix_power(self, n: int) -> Tensor:
        return ops.matrix_power(self, n)

    def norm(self, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
        return ops.norm(self, p, dim, keepdim, dtype=dtype)

    def dist(self, other: Any, p: float = 2) -> Tensor:
        return ops.dist(self, other, p)

    def det(self) -> Tensor:
        return ops.det(self)

    def slogdet(self) -> SlogdetResult:
        return ops.slogdet(self)

    def logdet(self) -> Tensor:
        return ops.logdet(self)

    def inverse(self) -> Tensor:
        return ops.inverse(self)

    def pinverse(self, rcond: float = 1e-15) -> Tensor:
        return ops.pinverse(self, rcond)

    def cholesky(self, upper: bool = False) -> Tensor:
        return ops.cholesky(self, upper)

    def cholesky_solve(self, input2: Tensor, upper: bool = False) -> Tensor:
        return ops.cholesky_solve(self, input2, upper)

    def cholesky_inverse(self, upper: bool = False) -> Tensor:
        return ops.cholesky_inverse(self, upper)

    def qr(self, some: bool = True) -> QRResult:
        return ops.qr(self, some)

    def svd(self, some: bool = True, compute_uv: bool = True) -> LegacySVDResult:
        return ops.svd(self, some, compute_uv)
