"""Less usual functions of linear algebra: the exponential of matrices, tensors as matrices, Vandermonde's matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..inplace import into
from ..op import op
from .create import ones_like
from .cumulative import cumprod
from .elementwise import zero
from .join import cat
from .linalg_solve import inv, solve
from .linalg_types import check_matrix
from .matmul import adjoint
from .rearrange import fliplr
from .shape import expand, permute, reshape

__all__ = ["matrix_exp", "vander"]

# N. Higham, "The scaling and squaring method for the matrix exponential revisited" (2005): the coefficients of the
# [13/13] Pade approximant, and up to which 1-norm it is exact to double precision.
_COEFFICIENTS = [
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
]  # fmt: skip
_PADE = [c / _COEFFICIENTS[0] for c in _COEFFICIENTS]  # the first is 1: the exponential of 0 is the identity exactly
_LARGEST_NORM = 5.37


def _pade(a: Any) -> Any:
    """The exponential of matrices of small norm, in float64."""
    one = np.identity(a.shape[-1], like=a)  # `eye` passes on a `device`, which CuPy's has not
    even, odd, power = one * _PADE[0], one * _PADE[1], one
    square = a @ a
    for k in range(2, 14, 2):
        power = power @ square
        even = even + _PADE[k] * power
        odd = odd + _PADE[k + 1] * power
    odd = a @ odd
    return np.linalg.solve(even - odd, even + odd)


@op(name="linalg_matrix_exp")
def _matrix_exp(a: Any) -> Any:
    wide = a.astype(np.float64)
    norms = np.abs(wide).sum(-2).max(-1)
    if not np.all(np.isfinite(norms)):
        return np.full_like(a, np.nan)
    halvings = np.maximum(np.ceil(np.log2(np.maximum(norms, 1e-300) / _LARGEST_NORM)), 0)[..., None, None]
    out = _pade(wide / 2**halvings)
    for k in range(int(halvings.max())):
        out = np.where(halvings > k, out @ out, out)
    return out.astype(a.dtype)


@op
def _blocks(a: Any, corner: Any) -> Any:
    """[[a, corner], [0, a]]"""
    size = a.shape[-1]
    out = np.zeros_like(a, shape=(*a.shape[:-2], 2 * size, 2 * size))
    out[..., :size, :size] = out[..., size:, size:] = a
    out[..., :size, size:] = corner
    return out


@op
def _corner(x: Any) -> Any:
    """The upper right quarter of matrices."""
    size = x.shape[-1] // 2
    return x[..., :size, size:].copy()


@op
def _both(x: Any) -> Any:
    """The upper left quarter of matrices plus the lower right."""
    size = x.shape[-1] // 2
    return x[..., :size, :size] + x[..., size:, size:]


_blocks.defvjp(a=lambda g: _both(g), corner=lambda g: _corner(g))
_corner.defvjp(x=lambda g: _blocks(zero(g), g))
_both.defvjp(x=lambda g: _blocks(g, zero(g)))

# The upper right block of the exponential of [[a', g], [0, a']]: R. Mathias (1996).
_matrix_exp.defvjp(a=lambda g, a: _corner(_matrix_exp(_blocks(adjoint(a), g))))


def matrix_exp(input: Any) -> Any:
    """The exponential of square matrices."""
    check_matrix("linalg.matrix_exp", input, square=True)
    return _matrix_exp(input) if math.prod(input.shape) else input.clone()


def tensorinv(A: Any, ind: int = 2, *, out: Tensor | None = None) -> Any:
    """The inverse for `tensordot` with `ind` dimensions, of which the first of `A` have as many elements as the others.

    RuntimeError if they have not, or if `ind` is not positive.
    """
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    first, rest = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(first) != math.prod(rest):
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{math.prod(rest)} != {math.prod(first)}"
        )
    result = reshape(inv(reshape(A, (math.prod(first), math.prod(rest)))), (*rest, *first))
    return result if out is None else into(out, result, "linalg_tensorinv")


def tensorsolve(A: Any, B: Any, dims: Sequence[int] | None = None, *, out: Tensor | None = None) -> Any:
    """X with `tensordot(A, X, X.ndim) == B`; `dims` of A are moved to its end first.

    RuntimeError if the rest of the dimensions of `A` has another number of elements than `B`.
    """
    if dims is not None:
        moved = [d % A.ndim for d in dims]
        A = permute(A, (*[d for d in range(A.ndim) if d not in moved], *moved))
    shape = tuple(A.shape[B.ndim :])
    if math.prod(shape) != math.prod(B.shape):
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {math.prod(shape)} != {math.prod(B.shape)}"
        )
    result = reshape(solve(reshape(A, (math.prod(shape), math.prod(shape))), reshape(B, (-1,))), shape)
    return result if out is None else into(out, result, "linalg_tensorsolve")


def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """The powers 0 to `N - 1` (by default as many as `x` has elements) of `x` (*, n): (*, n, N).

    RuntimeError if `N` is less than 2.
    """
    count = x.shape[-1] if N is None else N
    if count < 2:
        raise RuntimeError(f"N must be greater than 1; got {count}")
    column = reshape(x, (*x.shape, 1))
    return cumprod(cat([ones_like(column), expand(column, (*x.shape, count - 1))], -1), -1)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of the vector `x` as columns, the highest first unless `increasing`."""
    count = x.shape[0] if N is None else N
    if x.ndim != 1 or count < 0:
        raise RuntimeError(f"vander(): x must be 1-D and N non-negative, got {x.ndim}-D and N={N}")
    if count < 2:
        return ones_like(x).unsqueeze(-1)[:, :count]
    powers = linalg_vander(x, N=count)
    return powers if increasing else fliplr(powers)
