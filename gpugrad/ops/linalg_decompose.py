"""Decompositions (QR, symmetric eigenvalues, singular values), what is made of them, and least squares.

The rules of the decompositions follow M. Giles (2008) and, for factors that are not square, J. Townsend,
"Differentiating the singular value decomposition" (2016). They divide by differences of eigenvalues or of squared
singular values: where two are equal, gradients that come through the vectors are infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import complex_not_supported
from ..inplace import into, into_each
from ..op import op
from .compare import _all_true
from .linalg_solve import _solve_triangular, triangle
from .linalg_types import (
    EighResult,
    LegacySVDResult,
    LinAlgError,
    LstsqResult,
    QRResult,
    SVDResult,
    array_dtype,
    attempt,
    check_matrix,
    column,
    row,
)
from .matmul import adjoint, matmul
from .reduce import sum_over
from .shape import narrow

__all__ = ["pinverse", "qr", "svd"]

_NO_CONVERGENCE = "The algorithm failed to converge, because the input holds NaN or infinity, or is ill-conditioned."


def _decompose(name: str, values: int | None, function: Callable[[Any], Any], a: Any) -> Any:
    """`function(a)`. LinAlgError if it fails, or if the values, its result or one of its results, are NaN.

    NumPy says so itself; what cuSOLVER reports of NaN in its input is not documented.
    """
    made = attempt(name, function, a, problem=_NO_CONVERGENCE)
    if bool(np.isnan(made if values is None else made[values]).any()):
        raise LinAlgError(f"{name}: {_NO_CONVERGENCE}")
    return made


# ----------------------------------------------------------------------------------------------------------- QR


@op(name="linalg_qr", outputs=2)
def _qr(a: Any, *, mode: Any) -> Any:
    if mode == "r":
        return np.zeros_like(a, shape=(0,)), np.linalg.qr(a, mode="r")
    return tuple(np.linalg.qr(a, mode=mode))


def _qr_rule(g: Any, out: Any, *, mode: str) -> Any:
    """S. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions" (2010), for tall matrices."""
    gq, gr = g
    q, r = out
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'; use 'reduced'"
        )
    if q.shape[-1] > r.shape[-1]:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols")
    m = None if gr is None else matmul(r, adjoint(gr))
    if gq is not None:
        m = -matmul(adjoint(gq), q) if m is None else m - matmul(adjoint(gq), q)
    lower = triangle(m, upper=False, diagonal=0.5)
    inner = matmul(q, lower + adjoint(lower))
    inner = inner if gq is None else gq + inner
    return (adjoint(_solve_triangular(r, adjoint(inner), upper=True, unit=False)),)


_qr.defvjp(_qr_rule)


def linalg_qr(A: Any, mode: str = "reduced", *, out: tuple[Tensor, Tensor] | None = None) -> QRResult:
    """Q with orthonormal columns and R, upper triangular, with `A = Q @ R`.

    `mode` is "reduced", "complete" (Q is square) or "r" (Q is empty). RuntimeError for another, or, in the backward
    pass, where there is no derivative.
    """
    check_matrix("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced', 'r', or 'complete'")
    rows, columns = A.shape[-2:]
    if mode == "r" or rows >= columns:
        result = QRResult(*_qr(A, mode=mode))
    else:
        q = _qr(narrow(A, -1, 0, rows), mode=mode)[0]  # the first columns alone say what Q is
        result = QRResult(q, triangle(matmul(adjoint(q), A), upper=True, diagonal=1.0))
    return result if out is None else QRResult(*into_each(out, result, "linalg_qr"))


def qr(input: Any, some: bool = True) -> QRResult:
    """Q and R with `input = Q @ R`; Q is square unless `some`."""
    return linalg_qr(input, "reduced" if some else "complete")


# ------------------------------------------------------------------------------------------- symmetric matrices


@op
def plus_identity(x: Any) -> Any:
    """Square matrices with 1 added to the diagonal."""
    return x + np.identity(x.shape[-1], dtype=x.dtype, like=x)


plus_identity.defvjp(x=lambda g: g)


@op
def off_diagonal(x: Any) -> Any:
    """Square matrices with zeros on the diagonal."""
    out = x.copy()
    i = np.arange(x.shape[-1], like=x)
    out[..., i, i] = 0
    return out


off_diagonal.defvjp(x=lambda g: off_diagonal(g))


def _gaps(values: Any) -> Any:
    """`values[j] - values[i]` at (i, j); 1 on the diagonal, where nothing is to be divided."""
    return plus_identity(row(values) - column(values))


@op(name="linalg_eigh", outputs=2)
def _eigh(a: Any, *, UPLO: Any) -> Any:
    return tuple(_decompose("linalg.eigh", 0, lambda x: np.linalg.eigh(x, UPLO), a))


def _eigh_rule(g: Any, out: Any) -> Any:
    gw, gv = g
    w, v = out
    inner = None if gw is None else v * row(gw)
    if gv is not None:
        turned = matmul(v, off_diagonal(matmul(adjoint(v), gv) / _gaps(w)))
        inner = turned if inner is None else inner + turned
    return (matmul(inner, adjoint(v)),)


_eigh.defvjp(_eigh_rule)


def eigh(A: Any, UPLO: str = "L", *, out: tuple[Tensor, Tensor] | None = None) -> EighResult:
    """Eigenvalues in ascending order and eigenvectors (columns) of symmetric matrices; one triangle is read.

    LinAlgError if the algorithm does not converge.
    """
    check_matrix("linalg.eigh", A, square=True)
    _check_uplo(UPLO)
    result = EighResult(*_eigh(A, UPLO=UPLO.upper()))
    return result if out is None else EighResult(*into_each(out, result, "linalg_eigh"))


def _check_uplo(uplo: str) -> None:
    if uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")


@op(name="linalg_eigvalsh")
def _eigvalsh(a: Any, *, UPLO: Any) -> Any:
    return _decompose("linalg.eigvalsh", None, lambda x: np.linalg.eigvalsh(x, UPLO), a)


def _eigvalsh_rule(g: Any, a: Any, *, UPLO: Any) -> Any:
    """The vectors are computed here, so that values alone cost less."""
    v = _eigh(a, UPLO=UPLO)[1]
    return matmul(v * row(g), adjoint(v))


_eigvalsh.defvjp(a=_eigvalsh_rule)


def eigvalsh(A: Any, UPLO: str = "L", *, out: Tensor | None = None) -> Any:
    """The eigenvalues of symmetric matrices in ascending order."""
    check_matrix("linalg.eigvalsh", A, square=True)
    _check_uplo(UPLO)
    result = _eigvalsh(A, UPLO=UPLO.upper())
    return result if out is None else into(out, result, "linalg_eigvalsh")


def eig(A: Any) -> Any:
    """NotImplementedError: eigenvalues of general matrices are complex. See `eigh` for symmetric matrices."""
    raise complex_not_supported("linalg.eig (eigh is for symmetric matrices)")


def eigvals(A: Any) -> Any:
    """NotImplementedError: eigenvalues of general matrices are complex. See `eigvalsh` for symmetric matrices."""
    raise complex_not_supported("linalg.eigvals (eigvalsh is for symmetric matrices)")


# --------------------------------------------------------------------------------------------- singular values


@op(name="linalg_svd", outputs=3)
def _svd(a: Any, *, full_matrices: bool) -> Any:
    return tuple(_decompose("linalg.svd", 1, lambda x: np.linalg.svd(x, full_matrices), a))


def _svd_rule(g: Any, out: Any) -> Any:
    gu, gs, gvh = g
    u, s, vh = out
    rows, columns, rank = u.shape[-2], vh.shape[-1], s.shape[-1]
    if u.shape[-1] > rank or vh.shape[-2] > rank:
        if gu is not None or gvh is not None:
            raise RuntimeError("linalg.svd: the vectors are not differentiable with full_matrices=True; pass False")
        u, vh = narrow(u, -1, 0, rank), narrow(vh, -2, 0, rank)
    inner = None
    outside = None
    if gu is not None or gvh is not None:
        gaps = _gaps(s * s)
    if gs is not None:
        inner = u * row(gs)
    if gu is not None:
        inner = _plus(inner, matmul(u, _skew(matmul(adjoint(u), gu)) / gaps * row(s)))
        if rows > rank:
            scaled = gu / row(s)
            outside = matmul(scaled - matmul(u, matmul(adjoint(u), scaled)), vh)
    if gvh is not None:
        inner = _plus(inner, matmul(u, column(s) * (_skew(matmul(vh, adjoint(gvh))) / gaps)))
        if columns > rank:
            scaled = matmul(u / row(s), gvh)
            outside = _plus(outside, scaled - matmul(matmul(scaled, adjoint(vh)), vh))
    return (_plus(outside, matmul(inner, vh)),)


def _plus(x: Any, y: Any) -> Any:
    return y if x is None else x + y


def _skew(x: Any) -> Any:
    return x - adjoint(x)


_svd.defvjp(_svd_rule)


def linalg_svd(
    A: Any,
    full_matrices: bool = True,
    *,
    driver: str | None = None,
    out: tuple[Tensor, Tensor, Tensor] | None = None,
) -> SVDResult:
    """U, S in descending order, and Vh with `A = U @ diag(S) @ Vh`; U and Vh are square if `full_matrices`.

    `driver` makes no difference. LinAlgError if the algorithm does not converge.
    """
    check_matrix("linalg.svd", A)
    result = SVDResult(*_svd(A, full_matrices=full_matrices))
    return result if out is None else SVDResult(*into_each(out, result, "linalg_svd"))


def svd(input: Any, some: bool = True, compute_uv: bool = True) -> LegacySVDResult:
    """U, S and V (not its transpose) with `input = U @ diag(S) @ V.mT`; U and V are zeros without `compute_uv`."""
    u, s, vh = linalg_svd(input, not some)
    if compute_uv:
        return LegacySVDResult(u, s, adjoint(vh))
    *stack, rows, columns = input.shape
    return LegacySVDResult(input.new_zeros(*stack, rows, rows), s, input.new_zeros(*stack, columns, columns))


@op(name="linalg_svdvals")
def _svdvals(a: Any) -> Any:
    return _decompose("linalg.svdvals", None, lambda x: np.linalg.svd(x, compute_uv=False), a)


def _svdvals_rule(g: Any, a: Any) -> Any:
    """The vectors are computed here, so that values alone cost less."""
    u, _, vh = _svd(a, full_matrices=False)
    return matmul(u * row(g), vh)


_svdvals.defvjp(a=_svdvals_rule)


def svdvals(A: Any, *, driver: str | None = None, out: Tensor | None = None) -> Any:
    """The singular values of matrices in descending order. LinAlgError if the algorithm does not converge."""
    check_matrix("linalg.svdvals", A)
    result = _svdvals(A)
    return result if out is None else into(out, result, "linalg_svdvals")


# ------------------------------------------------------------------------------------------ pseudo-inverse, rank


def _cutoff(s: Any, atol: float | None, rtol: float | None, shape: tuple[int, ...]) -> Any:
    """Singular values up to this count as zero: the larger of `atol` and `rtol` times the largest."""
    if rtol is None:
        rtol = max(shape[-2:]) * float(np.finfo(s.dtype).eps) if atol is None else 0.0
    return np.maximum(atol or 0.0, rtol * s[..., :1])  # they come in descending order


@op(name="linalg_pinv")
def _pinv(a: Any, *, atol: float | None, rtol: float | None) -> Any:
    u, s, vh = _decompose("linalg.pinv", 1, lambda x: np.linalg.svd(x, False), a)
    kept = s > _cutoff(s, atol, rtol, a.shape)
    reciprocal = np.where(kept, 1 / np.where(kept, s, 1), 0).astype(a.dtype, copy=False)
    return np.matmul(vh.swapaxes(-1, -2) * reciprocal[..., None, :], u.swapaxes(-1, -2))


def _pinv_rule(g: Any, a: Any, out: Any) -> Any:
    """G. Golub, V. Pereyra, "The differentiation of pseudo-inverses" (1973), eq. 4.12, transposed."""
    gt, pt = adjoint(g), adjoint(out)
    left = matmul(gt - matmul(a, matmul(out, gt)), matmul(out, pt))
    right = matmul(matmul(pt, out), gt - matmul(matmul(gt, out), a))
    return left + right - matmul(matmul(pt, g), pt)


_pinv.defvjp(a=_pinv_rule)


def pinv(
    A: Any,
    rcond: float | None = None,
    *,
    atol: float | None = None,
    rtol: float | None = None,
    hermitian: bool = False,
    out: Tensor | None = None,
) -> Any:
    """The Moore-Penrose inverse of matrices. Singular values up to `max(atol, rtol * largest)` count as zero.

    `rtol` is by default the larger size times the dtype's eps, or 0 if `atol` is given; `rcond` is its older name.
    `hermitian` makes no difference. LinAlgError if the algorithm does not converge.
    """
    check_matrix("linalg.pinv", A)
    result = _pinv(A, atol=atol, rtol=rcond if rtol is None else rtol)
    return result if out is None else into(out, result, "linalg_pinv")


def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """The Moore-Penrose inverse of matrices: see `linalg.pinv`."""
    return pinv(input, rtol=rcond)


@op(name="linalg_matrix_rank")
def _matrix_rank(a: Any, *, atol: float | None, rtol: float | None) -> Any:
    s = _decompose("linalg.matrix_rank", None, lambda x: np.linalg.svd(x, compute_uv=False), a)
    return np.add.reduce(s > _cutoff(s, atol, rtol, a.shape), axis=-1, dtype=np.int64)[...]


def matrix_rank(
    A: Any,
    tol: float | None = None,
    hermitian: bool = False,
    *,
    atol: float | None = None,
    rtol: float | None = None,
    out: Tensor | None = None,
) -> Any:
    """How many singular values of matrices exceed `max(atol, rtol * largest)`, as int64; `tol` is an older `atol`."""
    check_matrix("linalg.matrix_rank", A)
    result = _matrix_rank(A, atol=tol if atol is None else atol, rtol=rtol)
    return result if out is None else into(out, result, "linalg_matrix_rank")


@op
def _residuals(a: Any, b: Any, x: Any) -> Any:
    """Sums of squares of what least squares leaves over; empty unless the systems are overdetermined, of full rank."""
    if a.shape[-2] <= a.shape[-1] or not bool(_all_true(_matrix_rank(a, atol=None, rtol=None) == a.shape[-1])):
        return x[:0].reshape(-1)
    left = matmul(a, x) - b
    return sum_over(left * left, dim=(a.ndim - 2,), keepdim=False)


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> LstsqResult:
    """The X of least norm that minimises `norm(A @ X - B)`, with residuals, rank and singular values of A.

    Residuals come with a `driver` other than "gelsy" (which None means) for overdetermined systems of full rank,
    singular values with "gelsd" and "gelss"; both are empty otherwise. Only the solution has a gradient. RuntimeError
    if the shapes do not fit, or for an unknown driver.
    """
    check_matrix("linalg.lstsq", A)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            f"linalg.lstsq: parameter `driver` should be one of gels, gelsy, gelsd, gelss, got {driver!r}"
        )
    vector = B.ndim == A.ndim - 1
    right = column(B) if vector else B
    if right.ndim != A.ndim or right.shape[-2] != A.shape[-2]:
        raise RuntimeError(
            f"linalg.lstsq: input.size(-2) should match other.size(-2), got shapes {list(A.shape)} and {list(B.shape)}"
        )
    if array_dtype(A) != array_dtype(B):
        raise RuntimeError(f"linalg.lstsq: A and B must have the same dtype, got {array_dtype(A)} and {array_dtype(B)}")
    x = matmul(pinv(A, rcond), right)
    empty = A.new_empty(0)
    residuals = _residuals(A.detach(), right.detach(), x.detach()) if driver not in (None, "gelsy") else empty
    values = svdvals(A.detach()) if driver in ("gelsd", "gelss") else empty
    solution = x.reshape(x.shape[:-1]) if vector else x
    return LstsqResult(solution, residuals, matrix_rank(A, rtol=rcond), values)
