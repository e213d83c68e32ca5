"""Tensor methods that few programs use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ops

if TYPE_CHECKING:
    from .core import Tensor


class MoreMethods:
    """Questions, parts replaced, sums of products in place, and what means something for complex numbers only."""

    __slots__ = ()

    # ---- questions ----

    @property
    def is_cpu(self) -> bool:
        return self.get_device() < 0

    def get_device(self) -> int:
        from .toplevel import get_device

        return get_device(self)  # type: ignore[arg-type]

    def is_nonzero(self) -> bool:
        from .toplevel import is_nonzero

        return is_nonzero(self)  # type: ignore[arg-type]

    def is_same_size(self, other: Tensor) -> bool:
        return self.shape == other.shape  # type: ignore[attr-defined]

    # ---- real numbers are their own conjugates ----

    @property
    def real(self) -> Tensor:
        return self  # type: ignore[return-value]

    def conj(self) -> Tensor:
        return self  # type: ignore[return-value]

    def resolve_conj(self) -> Tensor:
        return self  # type: ignore[return-value]

    def resolve_neg(self) -> Tensor:
        return self  # type: ignore[return-value]

    def is_conj(self) -> bool:
        return False

    def is_neg(self) -> bool:
        return False

    # ---- parts replaced ----

    def select_scatter(self, src: Tensor, dim: int, index: int) -> Tensor:
        return ops.select_scatter(self, src, dim, index)

    def slice_scatter(
        self, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
    ) -> Tensor:
        return ops.slice_scatter(self, src, dim, start, end, step)

    def diagonal_scatter(self, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        return ops.diagonal_scatter(self, src, offset, dim1, dim2)

    # ---- linear algebra ----

    def matrix_exp(self) -> Tensor:
        return ops.matrix_exp(self)

    def addmm_(self, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return _update(self, ops.addmm, mat1, mat2, beta, alpha)

    def addmv_(self, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return _update(self, ops.addmv, mat, vec, beta, alpha)

    def addr_(self, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return _update(self, ops.addr, vec1, vec2, beta, alpha)

    def addbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return _update(self, ops.addbmm, batch1, batch2, beta, alpha)

    def baddbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        return _update(self, ops.baddbmm, batch1, batch2, beta, alpha)


def _update(tensor: MoreMethods, function: object, x: Tensor, y: Tensor, beta: float, alpha: float) -> Tensor:
    from .inplace import update

    return update(tensor, function, x, y, beta=beta, alpha=alpha)  # type: ignore[arg-type]
