"""`gpugrad.backends.cuda`: switches of the matrix products on CUDA devices."""

from __future__ import annotations

from .. import settings


def is_built() -> bool:
    """Whether tensors can be put on a CUDA device."""
    from ..cuda import is_available

    return is_available()


class _Matmul:
    """`backends.cuda.matmul`: the precision of float32 matrix products, by its older name."""

    @property
    def allow_tf32(self) -> bool:
        """Whether float32 products may be computed in TF32: the same switch as `set_float32_matmul_precision`."""
        return settings.get_float32_matmul_precision() != "highest"

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        settings.set_float32_matmul_precision("high" if value else "highest")


matmul = _Matmul()

__all__ = ["is_built", "matmul"]
