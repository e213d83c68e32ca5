"""What the functions of linear algebra have in common: named results, their error, checks of what they are given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from ..core import Tensor
from ..dtypes import FLOATS, LOW_PRECISION, as_dtype


class LinAlgError(RuntimeError):
    """A matrix that a computation cannot deal with: singular, or not positive-definite, or without convergence."""


class SlogdetResult(NamedTuple):
    """`det(A) = sign * exp(logabsdet)`."""

    sign: Any
    logabsdet: Any


class QRResult(NamedTuple):
    """`A = Q @ R`."""

    Q: Any
    R: Any


class EighResult(NamedTuple):
    """`A = eigenvectors @ diag(eigenvalues) @ eigenvectors.mT`."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """`A = U @ diag(S) @ Vh`."""

    U: Any
    S: Any
    Vh: Any


class LegacySVDResult(NamedTuple):
    """`A = U @ diag(S) @ V.mT`."""

    U: Any
    S: Any
    V: Any


class LstsqResult(NamedTuple):
    """Least squares: `solution` minimises `norm(A @ X - B)`."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


failures_told: Callable[[], Any] = nullcontext  # a context in which a device raises NumPy's LinAlgError, as NumPy does


def attempt(name: str, function: Callable[..., Any], *arrays: Any, problem: str) -> Any:
    """`function(*arrays)`, with NumPy's LinAlgError said as `problem`."""
    try:
        with failures_told():
            return function(*arrays)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{name}: {problem}") from error


def check_matrix(name: str, x: Any, *, square: bool = False) -> None:
    """RuntimeError unless `x` is a matrix, or a stack of them, of a dtype that linear algebra is done in."""
    check_floating(name, x)
    if x.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if square and x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices"
        )
    dtype = array_dtype(x)
    if dtype in LOW_PRECISION:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {as_dtype(dtype)}; use .float() first")


def check_floating(name: str, x: Any) -> None:
    """RuntimeError unless the elements of `x` are floating-point numbers."""
    dtype = array_dtype(x)
    if dtype not in FLOATS:
        raise RuntimeError(f"{name}: Expected a floating point tensor as input. Got {as_dtype(dtype)}; use .float()")


def array_dtype(x: Any) -> Any:
    """The NumPy dtype of a Tensor or an array."""
    return x._array.dtype if isinstance(x, Tensor) else x.dtype


def row(x: Any) -> Any:
    """Vectors as rows: (..., n) to (..., 1, n)."""
    return x.reshape((*x.shape[:-1], 1, x.shape[-1]))


def column(x: Any) -> Any:
    """Vectors as columns: (..., n) to (..., n, 1)."""
    return x.reshape((*x.shape, 1))
