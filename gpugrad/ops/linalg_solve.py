"""Inverses, Cholesky factors and the solution of linear systems.

The rules are those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), unless said otherwise. A `mT` in the formulas is `adjoint`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..inplace import into
from ..op import op
from .linalg_types import array_dtype, attempt, check_matrix, column
from .matmul import adjoint, matmul

__all__ = ["cholesky", "cholesky_inverse", "cholesky_solve", "inverse"]

_SINGULAR = "The computation could not be completed because the input matrix is singular."


# ------------------------------------------------------------------------------------------ inverse and solutions


@op(name="linalg_inv")
def _inv(a: Any) -> Any:
    return attempt("linalg.inv", np.linalg.inv, a, problem=_SINGULAR)


_inv.defvjp(a=lambda g, out: -matmul(matmul(adjoint(out), g), adjoint(out)))


def inv(A: Any, *, out: Tensor | None = None) -> Any:
    """The inverse of square matrices. LinAlgError if one is singular."""
    check_matrix("linalg.inv", A, square=True)
    result = _inv(A)
    return result if out is None else into(out, result, "linalg_inv")


def inverse(input: Any, *, out: Tensor | None = None) -> Any:
    """The inverse of square matrices. LinAlgError if one is singular."""
    return inv(input, out=out)


@op(name="linalg_solve", broadcasts=True)
def _solve(a: Any, b: Any) -> Any:
    return _solved("linalg.solve", a, b)


def _solved(name: str, a: Any, b: Any) -> Any:
    """`np.linalg.solve` as NumPy has it: CuPy's does not broadcast stacks, and fails where nothing is to be solved for."""
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b))
    if not b.shape[-1]:
        attempt(name, np.linalg.inv, a, problem=_SINGULAR)
        return np.empty_like(b)
    return attempt(name, np.linalg.solve, a, b, problem=_SINGULAR)


def _solve_rule(g: Any, a: Any, out: Any, needs: tuple[bool, ...]) -> Any:
    gb = _solve(adjoint(a), g)
    return -matmul(gb, adjoint(out)) if needs[0] else None, gb


_solve.defvjp(_solve_rule)


def solve(A: Any, B: Any, *, left: bool = True, out: Tensor | None = None) -> Any:
    """X with `A @ X = B`, or `X @ A = B` if not `left`; `B` may be a vector for each matrix.

    RuntimeError if the shapes do not fit, LinAlgError if a matrix is singular.
    """
    check_matrix("linalg.solve", A, square=True)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1]))
    right = column(B) if vector else B
    _check_system("linalg.solve", A, right, left or vector)
    if left or vector:
        result = _solve(A, right)
        result = result.reshape(result.shape[:-1]) if vector else result
    else:
        result = adjoint(_solve(adjoint(A), adjoint(right)))
    return result if out is None else into(out, result, "linalg_solve")


def _check_system(name: str, a: Any, b: Any, left: bool) -> None:
    size = b.shape[-2] if left else b.shape[-1]
    if size != a.shape[-1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
        )
    if array_dtype(a) != array_dtype(b):
        raise RuntimeError(f"{name}: A and B must have the same dtype, got {array_dtype(a)} and {array_dtype(b)}")


# ---------------------------------------------------------------------------------------------------- triangles


@op
def triangle(x: Any, *, upper: bool, diagonal: float) -> Any:
    """One triangle of matrices, the diagonal multiplied by `diagonal`, and zeros."""
    out = np.triu(x) if upper else np.tril(x)
    if diagonal != 1:
        i = np.arange(min(x.shape[-2:]), like=x)
        out[..., i, i] *= diagonal
    return out


triangle.defvjp(x=lambda g, *, upper, diagonal: triangle(g, upper=upper, diagonal=diagonal))


@op(name="linalg_solve_triangular", broadcasts=True)
def _solve_triangular(a: Any, b: Any, *, upper: bool, unit: bool) -> Any:
    a = np.triu(a) if upper else np.tril(a)
    if unit:
        i = np.arange(a.shape[-1], like=a)
        a[..., i, i] = 1
    return _solved("linalg.solve_triangular", a, b)


def _solve_triangular_rule(g: Any, a: Any, out: Any, needs: tuple[bool, ...], *, upper: bool, unit: bool) -> Any:
    gb = _solve_triangular(adjoint(a), g, upper=not upper, unit=unit)
    if not needs[0]:
        return None, gb
    return -triangle(matmul(gb, adjoint(out)), upper=upper, diagonal=0.0 if unit else 1.0), gb


_solve_triangular.defvjp(_solve_triangular_rule)


def solve_triangular(
    A: Any,
    B: Any,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Any:
    """X with `A @ X = B`, or `X @ A = B` if not `left`, where of `A` only one triangle is read.

    With `unitriangular` the diagonal counts as ones. RuntimeError if the shapes do not fit, LinAlgError if a matrix is
    singular.
    """
    check_matrix("linalg.solve_triangular", A, square=True)
    check_matrix("linalg.solve_triangular", B)
    _check_system("linalg.solve_triangular", A, B, left)
    if left:
        result = _solve_triangular(A, B, upper=upper, unit=unitriangular)
    else:
        result = adjoint(_solve_triangular(adjoint(A), adjoint(B), upper=not upper, unit=unitriangular))
    return result if out is None else into(out, result, "linalg_solve_triangular")


# ----------------------------------------------------------------------------------------------------- Cholesky


@op(name="linalg_cholesky")
def _cholesky(a: Any) -> Any:
    problem = "The factorization could not be completed because the input is not positive-definite."
    return attempt("linalg.cholesky", np.linalg.cholesky, a, problem=problem)


def _cholesky_rule(g: Any, out: Any) -> Any:
    """I. Murray, "Differentiation of the Cholesky decomposition" (2016), eq. 10."""
    inner = triangle(matmul(adjoint(out), g), upper=False, diagonal=0.5)
    half = _solve_triangular(adjoint(out), inner, upper=True, unit=False)
    whole = _solve_triangular(adjoint(out), adjoint(half), upper=True, unit=False)
    return (whole + adjoint(whole)) * 0.5


_cholesky.defvjp(a=_cholesky_rule)


def linalg_cholesky(A: Any, *, upper: bool = False, out: Tensor | None = None) -> Any:
    """L, lower triangular, with `A = L @ L.mT`; its transpose if `upper`. Only that triangle of `A` is read.

    LinAlgError if a matrix is not positive-definite.
    """
    check_matrix("linalg.cholesky", A, square=True)
    result = adjoint(_cholesky(adjoint(A))) if upper else _cholesky(A)
    return result if out is None else into(out, result, "linalg_cholesky")


def cholesky(input: Any, upper: bool = False, *, out: Tensor | None = None) -> Any:
    """The Cholesky factor of symmetric positive-definite matrices: see `linalg.cholesky`."""
    return linalg_cholesky(input, upper=upper, out=out)


def cholesky_solve(input: Any, input2: Any, upper: bool = False, *, out: Tensor | None = None) -> Any:
    """X with `A @ X = input`, given the Cholesky factor `input2` of A (or its transpose, if `upper`)."""
    lower = adjoint(input2) if upper else input2
    result = solve_triangular(adjoint(lower), solve_triangular(lower, input, upper=False), upper=True)
    return result if out is None else into(out, result, "cholesky_solve")


def cholesky_inverse(input: Any, upper: bool = False, *, out: Tensor | None = None) -> Any:
    """The inverse of A, given its Cholesky factor `input` (or the transpose of it, if `upper`)."""
    check_matrix("cholesky_inverse", input, square=True)
    lower = triangle(adjoint(input) if upper else input, upper=False, diagonal=1.0)
    root = _inv(lower)
    result = matmul(adjoint(root), root)
    return result if out is None else into(out, result, "cholesky_inverse")
