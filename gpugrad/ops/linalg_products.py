"""Products of matrices and of vectors beyond `matmul`, and functions made of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..inplace import into
from ..op import op
from .dims import normalize_dim
from .elementwise import zero
from .linalg_decompose import plus_identity, svdvals
from .linalg_norm import matrix_norm, vector_norm
from .linalg_solve import inv
from .linalg_types import check_matrix
from .matmul import matmul
from .reduce import sum_over

__all__ = ["chain_matmul", "cross", "kron", "matrix_power"]


@op(name="linalg_cross", names=("input", "other"), broadcasts=True, promotes=True)
def _cross(x: Any, y: Any, *, dim: int) -> Any:
    x, y = np.broadcast_arrays(x, y)
    before = (slice(None),) * dim
    out = np.empty_like(x)
    for i in range(3):
        j, k = (*before, (i + 1) % 3), (*before, (i + 2) % 3)
        out[(*before, i)] = x[j] * y[k] - x[k] * y[j]
    return out


_cross.defvjp(x=lambda g, y, *, dim: _cross(y, g, dim=dim), y=lambda g, x, *, dim: _cross(g, x, dim=dim))


def linalg_cross(input: Any, other: Any, *, dim: int = -1, out: Tensor | None = None) -> Any:
    """The vector products of three-dimensional vectors along `dim`; the other dimensions broadcast.

    RuntimeError unless both have the same number of dimensions and size 3 in `dim`.
    """
    if input.ndim != other.ndim:
        raise RuntimeError(
            f"linalg.cross: inputs must have the same number of dimensions, got {input.ndim} and {other.ndim}"
        )
    dim = normalize_dim(dim, input.ndim)
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[dim]} and {other.shape[dim]}"
        )
    result = _cross(input, other, dim=dim)
    return result if out is None else into(out, result, "linalg_cross")


def cross(input: Any, other: Any, dim: int | None = None, *, out: Tensor | None = None) -> Any:
    """`linalg.cross` along `dim`; without it along the first dimension of size 3."""
    if dim is None:
        if 3 not in input.shape:
            raise RuntimeError(f"no dimension of size 3 in input of shape {list(input.shape)}")
        dim = tuple(input.shape).index(3)
    return linalg_cross(input, other, dim=dim, out=out)


def kron(input: Any, other: Any, *, out: Tensor | None = None) -> Any:
    """The Kronecker product: every element of `input` times the whole of `other`, as blocks."""
    ndim = max(input.ndim, other.ndim)
    a, b = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (input, other))
    left = input.reshape([size for d in a for size in (d, 1)])
    right = other.reshape([size for d in b for size in (1, d)])
    result = (left * right).reshape([m * n for m, n in zip(a, b)])
    return result if out is None else into(out, result, "kron")


def multi_dot(tensors: Sequence[Any], *, out: Tensor | None = None) -> Any:
    """The product of matrices in the order of multiplications that costs least; the ends may be vectors.

    The order is found by dynamic programming: T. Cormen et al., "Introduction to Algorithms", 15.2. RuntimeError
    for fewer than two, or shapes that do not fit.
    """
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for k, x in enumerate(tensors):
        if x.ndim != 2 and not (x.ndim == 1 and k in (0, len(tensors) - 1)):
            raise RuntimeError(f"multi_dot(): tensor {k} must be 2D{' or 1D' if k == 0 else ''} but got {x.ndim}D")
    for x, y in itertools.pairwise(tensors):
        if x.shape[-1] != y.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors of shapes {list(x.shape)} and {list(y.shape)} cannot be multiplied: "
                f"{x.shape[-1]} is not {y.shape[0]}"
            )
    first, last = tensors[0], tensors[-1]
    sizes = [1 if first.ndim == 1 else first.shape[0], *(x.shape[0] for x in tensors[1:])]
    sizes += [last.shape[0]] if len(sizes) < len(tensors) else []
    sizes += [1 if last.ndim == 1 else last.shape[1]]
    result = _multiplied(tensors, _cheapest_splits(sizes), 0, len(tensors) - 1)
    return result if out is None else into(out, result, "multi_dot")


def _multiplied(tensors: Sequence[Any], splits: dict[tuple[int, int], int], first: int, last: int) -> Any:
    """The product of tensors `first` to `last`, split as `splits` say."""
    if first == last:
        return tensors[first]
    k = splits[first, last]
    return matmul(_multiplied(tensors, splits, first, k), _multiplied(tensors, splits, k + 1, last))


def _cheapest_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """After which matrix to split each product i..j, where matrix i is `sizes[i]` by `sizes[i + 1]`."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    splits = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j] = min(costs)
            splits[i, j] = i + costs.index(cost[i, j])
    return splits


def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Any:
    """The product of matrices in the order of multiplications that costs least."""
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices, out=out)


def matrix_power(input: Any, n: int, *, out: Tensor | None = None) -> Any:
    """The `n`-th power of square matrices by repeated squaring; a negative one of the inverse, 0 the identity.

    LinAlgError if `n` is negative and a matrix singular.
    """
    check_matrix("linalg.matrix_power", input, square=True)
    base = input if n >= 0 else inv(input)
    result: Any = plus_identity(zero(input)) if n == 0 else None
    n = abs(n)
    while n:
        if n % 2:
            result = base if result is None else matmul(result, base)
        n //= 2
        base = matmul(base, base) if n else base
    return result if out is None else into(out, result, "matrix_power")


def vecdot(x: Any, y: Any, *, dim: int = -1, out: Tensor | None = None) -> Any:
    """Sums of products of `x` and `y`, broadcast, along `dim`."""
    products = x * y
    result = sum_over(products, dim=(normalize_dim(dim, products.ndim),), keepdim=False)
    return result if out is None else into(out, result, "linalg_vecdot")


def cond(A: Any, p: Any = None, *, out: Tensor | None = None) -> Any:
    """The condition number of matrices: `norm(A, p) * norm(inv(A), p)`; for None, 2 and -2 by singular values."""
    check_matrix("linalg.cond", A, square=p not in (None, 2, -2))
    if p in (None, 2, -2):
        values = svdvals(A)
        largest, least = (vector_norm(values, ord, -1) for ord in (float("inf"), float("-inf")))
        result = least / largest if p == -2 else largest / least
    else:
        result = matrix_norm(A, p) * matrix_norm(inv(A), p)
    return result if out is None else into(out, result, "linalg_cond")
