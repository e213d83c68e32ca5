"""Norms of vectors and of matrices, distances between points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import LOW_PRECISION, as_dtype
from ..inplace import into
from ..op import op
from .arithmetic import abs, sign, sub
from .cast import cast
from .compare import choose
from .dims import normalize_dim, normalize_dims
from .einsum import align
from .linalg_decompose import svdvals
from .linalg_types import check_floating
from .reduce import spread, sum_over

__all__ = ["cdist", "dist", "norm"]


@op(name="linalg_vector_norm")
def _vector_norm(x: Any, *, ord: float, dim: tuple[int, ...] | None, keepdim: bool) -> Any:
    wide = x.astype(np.float32) if x.dtype in LOW_PRECISION else x
    if math.isinf(ord):
        made = (np.max if ord > 0 else np.min)(np.abs(wide), axis=dim, keepdims=keepdim)
    elif ord == 0:
        made = np.sum(wide != 0, axis=dim, keepdims=keepdim, dtype=wide.dtype)
    elif ord == 1:
        made = np.sum(np.abs(wide), axis=dim, keepdims=keepdim)
    elif ord == 2:
        made = np.sqrt(np.sum(wide * wide, axis=dim, keepdims=keepdim))
    else:
        made = np.sum(np.abs(wide) ** ord, axis=dim, keepdims=keepdim) ** (1 / ord)
    return np.asarray(made).astype(x.dtype, copy=False)


def _vector_norm_rule(g: Any, x: Any, out: Any, *, ord: float, dim: Any, keepdim: bool) -> Any:
    """sign(x) |x|^(p-1) / norm^(p-1), and 0 where the norm is 0; for p = inf shared among the largest."""
    if ord == 0:
        return None
    g = spread(g, shape=x.shape, dim=dim, keepdim=keepdim)
    if ord == 1:
        return g * sign(x)
    out = spread(out, shape=x.shape, dim=dim, keepdim=keepdim)
    if math.isinf(ord):
        largest = abs(x) == out
        count = spread(sum_over(largest, dim=dim, keepdim=keepdim), shape=x.shape, dim=dim, keepdim=keepdim)
        return choose(largest, g * sign(x), 0) / count
    safe = choose(out == 0, 1, out)
    if ord == 2:
        return g * (x / safe)
    return g * sign(x) * (choose(x == 0, 1, abs(x)) / safe) ** (ord - 1)


_vector_norm.defvjp(x=_vector_norm_rule)


def vector_norm(
    x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Any:
    """`sum(abs(x) ** ord) ** (1 / ord)` over `dim` (all if None); the largest (least) size for inf (-inf).

    `ord=0` counts what is not zero. RuntimeError for integers, or if a negative or infinite norm of nothing is asked.
    """
    x = _in_dtype("linalg.vector_norm", x, dtype)
    dims = normalize_dims(dim, x.ndim)
    over = range(x.ndim) if dims is None else dims
    if (ord < 0 or math.isinf(ord)) and any(x.shape[d] == 0 for d in over):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty dimension (shape {list(x.shape)}): the "
            "operation does not have an identity"
        )
    result = _vector_norm(x, ord=float(ord), dim=dims, keepdim=keepdim)
    return result if out is None else into(out, result, "linalg_vector_norm")


def _in_dtype(name: str, x: Any, dtype: Any) -> Any:
    x = x if dtype is None else cast(x, as_dtype(dtype).numpy)
    check_floating(name, x)
    return x


def matrix_norm(
    input: Any,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Any:
    """The norm of matrices whose rows and columns are the two dimensions `dim`.

    "fro": square root of the sum of squares; "nuc": sum of the singular values; 2 (-2): the largest (least) singular
    value; 1 (-1): the largest (least) column sum of absolute values; inf (-inf): the same of rows. RuntimeError for
    any other `ord`, or integers.
    """
    x = _in_dtype("linalg.matrix_norm", input, dtype)
    if x.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions, got {x.ndim}.")
    dims = tuple(normalize_dim(d, x.ndim) for d in dim)
    if len(dims) != 2 or dims[0] == dims[1]:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple of different dims. Got {tuple(dim)}")
    both = tuple(sorted(dims))
    if ord == "fro":
        result = _vector_norm(x, ord=2.0, dim=both, keepdim=keepdim)
    elif ord in (1, -1, math.inf, -math.inf):
        summed = dims[1] if math.isinf(ord) else dims[0]
        sums = _vector_norm(x, ord=1.0, dim=(summed,), keepdim=True)
        result = _vector_norm(sums, ord=math.copysign(math.inf, ord), dim=both, keepdim=keepdim)
    elif ord in ("nuc", 2, -2):
        result = _spectral_norm(x, ord, dims, keepdim)
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported; use 'fro', 'nuc', inf, -inf, 1, -1, 2, -2.")
    return result if out is None else into(out, result, "linalg_matrix_norm")


def _spectral_norm(x: Any, ord: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    """Norms that are made of singular values."""
    rest = tuple(d for d in range(x.ndim) if d not in dims)
    values = svdvals(align(x, labels=tuple(range(x.ndim)), wanted=(*rest, *dims)))
    p = 1.0 if ord == "nuc" else math.copysign(math.inf, ord)
    result = _vector_norm(values, ord=p, dim=(values.ndim - 1,), keepdim=False)
    return result.reshape([1 if d in dims else size for d, size in enumerate(x.shape)]) if keepdim else result


def linalg_norm(
    input: Any,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Any:
    """`vector_norm` over one dim, `matrix_norm` over two; without `dim` whichever `input` is; 2-norm of all without `ord`.

    RuntimeError for `ord` without `dim` unless `input` has one or two dimensions.
    """
    if dim is not None and not isinstance(dim, int) and len(dim) == 1:
        dim = dim[0]
    if ord is not None and dim is None and input.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If ord is given and dim is not, the input must be 1D or 2D. Got {input.ndim}D."
        )
    if ord is not None and (input.ndim == 2 if dim is None else not isinstance(dim, int)):
        return matrix_norm(input, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype, out=out)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: the order {ord!r} is for matrices: give dim two dimensions")
    return vector_norm(input, 2 if ord is None else ord, dim, keepdim, dtype=dtype, out=out)


def norm(
    input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Tensor | None = None, dtype: Any = None
) -> Any:
    """The `p`-norm of the elements along `dim` (all if None); "nuc" is the nuclear norm of matrices."""
    if p == "nuc":
        return matrix_norm(input, p, (-2, -1) if dim is None else dim, keepdim, dtype=dtype, out=out)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm(): p must be a number, 'fro' or 'nuc', got {p!r}")
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype, out=out)


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The `p`-norm of `input - other`."""
    return vector_norm(sub(input, other), p)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Any:
    """The `p`-norm distance between each row of `x1` (..., m, d) and each of `x2` (..., n, d): (..., m, n).

    Distances are always taken of differences, whatever `compute_mode`. RuntimeError if the last sizes differ.
    """
    if x1.ndim < 2 or x2.ndim < 2:
        raise RuntimeError(f"cdist only supports at least 2D tensors, got {x1.ndim}D and {x2.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    left = x1.reshape((*x1.shape[:-1], 1, x1.shape[-1]))
    right = x2.reshape((*x2.shape[:-2], 1, *x2.shape[-2:]))
    return vector_norm(left - right, p, -1)
