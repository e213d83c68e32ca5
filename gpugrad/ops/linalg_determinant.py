"""Determinants, their logarithms, and the gradient of either.

The rules are those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..inplace import into, into_each
from ..op import op
from .arithmetic import mul
from .compare import choose
from .linalg_decompose import _svd
from .linalg_solve import _inv
from .linalg_types import SlogdetResult, check_matrix, row
from .matmul import adjoint, matmul
from .reduce import sum_over
from .scan import cumprod_along
from .unary import log

__all__ = ["det", "logdet", "slogdet"]


@op(name="linalg_det")
def _det(a: Any) -> Any:
    return np.linalg.det(a)[...]  # an array, where NumPy has made a scalar


@op
def cofactor(a: Any) -> Any:
    """`det(a) * inv(a).mT`, the gradient of the determinant; defined for singular matrices too."""
    u, s, vh = _svd(a, full_matrices=True)
    last = a.ndim - 2
    others = s.copy()  # the product of all singular values but one
    others[..., :1] = 1
    others[..., 1:] = cumprod_along(s[..., :-1], dim=last, reverse=False)
    others[..., :-1] *= cumprod_along(s[..., 1:], dim=last, reverse=True)
    return matmul(u * row(others), vh) * _per_matrix(_det(u) * _det(vh))


def _cofactor_rule(g: Any, a: Any) -> Any:
    """Of `det(a) * inv(a).mT`, so only where `a` is invertible."""
    inverse_t = adjoint(_inv(a))
    total = sum_over(g * inverse_t, dim=(a.ndim - 2, a.ndim - 1), keepdim=True)
    return _per_matrix(_det(a)) * (inverse_t * total - matmul(matmul(inverse_t, adjoint(g)), inverse_t))


def _per_matrix(x: Any) -> Any:
    """One number for each matrix, as a stack of 1 by 1 matrices."""
    return x.reshape((*x.shape, 1, 1))


_det.defvjp(a=lambda g, a: mul(_per_matrix(g), cofactor(a)))
cofactor.defvjp(a=_cofactor_rule)


def det(input: Any) -> Any:
    """The determinant of square matrices."""
    check_matrix("linalg.det", input, square=True)
    return _det(input)


@op(name="linalg_slogdet", outputs=2)
def _slogdet(a: Any) -> Any:
    sign, logabsdet = np.linalg.slogdet(a)
    return sign[...], logabsdet[...]


def _slogdet_rule(g: Any, a: Any) -> Any:
    return (None if g[1] is None else _per_matrix(g[1]) * adjoint(_inv(a)),)


_slogdet.defvjp(_slogdet_rule)


def slogdet(input: Any) -> SlogdetResult:
    """The sign and the logarithm of the absolute value of the determinant of square matrices."""
    check_matrix("linalg.slogdet", input, square=True)
    return SlogdetResult(*_slogdet(input))


def linalg_det(A: Any, *, out: Tensor | None = None) -> Any:
    """The determinant of square matrices."""
    return det(A) if out is None else into(out, det(A), "linalg_det")


def linalg_slogdet(A: Any, *, out: tuple[Tensor, Tensor] | None = None) -> SlogdetResult:
    """The sign and the logarithm of the absolute value of the determinant of square matrices."""
    result = slogdet(A)
    return result if out is None else SlogdetResult(*into_each(out, result, "linalg_slogdet"))


def logdet(input: Any) -> Any:
    """The logarithm of the determinant of square matrices: NaN if negative, -inf if zero."""
    check_matrix("logdet", input, square=True)
    sign, logabsdet = _slogdet(input)
    return choose(sign < 0, log(sign), logabsdet)
