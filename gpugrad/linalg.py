"""Linear algebra under the names of `torch.linalg`."""

from __future__ import annotations

from typing import Any

from .core import Tensor
from .ops.linalg_decompose import eig, eigh, eigvals, eigvalsh, lstsq, matrix_rank, pinv, svdvals
from .ops.linalg_decompose import linalg_qr as qr
from .ops.linalg_decompose import linalg_svd as svd
from .ops.linalg_determinant import linalg_det as det
from .ops.linalg_determinant import linalg_slogdet as slogdet
from .ops.linalg_more import linalg_vander as vander
from .ops.linalg_more import matrix_exp, tensorinv, tensorsolve
from .ops.linalg_norm import linalg_norm as norm
from .ops.linalg_norm import matrix_norm, vector_norm
from .ops.linalg_products import cond, matrix_power, multi_dot, vecdot
from .ops.linalg_products import linalg_cross as cross
from .ops.linalg_solve import inv, solve, solve_triangular
from .ops.linalg_solve import linalg_cholesky as cholesky
from .ops.linalg_types import LinAlgError
from .ops.matmul import matmul
from .ops.strided import diagonal as _diagonal


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as a view."""
    return _diagonal(A, offset, dim1, dim2)


__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
