"""Tensor methods that few programs use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

    def fill_diagonal_(self, fill_value: Any, wrap: bool = False) -> Tensor:
        """Write `fill_value` on the main diagonal; `wrap` starts it anew, a row further, in a matrix that is taller.

        RuntimeError for fewer than 2 dimensions, or for more of different sizes.
        """
        shape = self.shape  # type: ignore[attr-defined]
        if len(shape) < 2:
            raise RuntimeError(f"fill_diagonal_(): dimensions must larger than 1, got {len(shape)}")
        if len(shape) > 2:
            if len({*shape}) > 1:
                raise RuntimeError(
                    f"fill_diagonal_(): all dimensions of input must be of equal length, got {list(shape)}"
                )
            self[(ops.arange(shape[0], device=self.device),) * len(shape)] = fill_value  # type: ignore[attr-defined, index]
            return self  # type: ignore[return-value]
        height, width = shape
        for row in range(0, height if wrap else 1, width + 1):
            self[row:].diagonal().fill_(fill_value)  # type: ignore[index]
        return self  # type: ignore[return-value]

    # ---- made from this one ----

    def new(self, *args: Any, device: Any = None) -> Tensor:
        """PyTorch's old `new(2, 3)`, uninitialised, and `new([1, 2])`: of the dtype and on the device of this one."""
        from .core import Tensor as cls

        device = self.device if device is None else device  # type: ignore[attr-defined]
        return ops.create.legacy_tensor(cls, *args, dtype=self.dtype, device=device)  # type: ignore[attr-defined]

    def sum_to_size(self, *size: Any) -> Tensor:
        """Summed over the dimensions in which `size` is 1 or shorter: the inverse of `expand`. RuntimeError otherwise."""
        given = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        shape, wanted = tuple(self.shape), tuple(given)  # type: ignore[attr-defined]
        if len(wanted) > len(shape) or any(w not in (1, s) for s, w in zip(shape[::-1], wanted[::-1])):
            raise RuntimeError(f"sum_to_size(): size {list(wanted)} is not expandable to size {list(shape)}.")
        return ops.reduce.sum_to(self, shape=wanted)

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
