"""The factorizations of `cupy.linalg` where they are not NumPy's: in what they refuse, and where there is no answer.

CuPy asks cuSOLVER whether a factorization succeeded only inside `cupyx.errstate(linalg="raise")`. Elsewhere it returns
what is left in memory; here that is an error of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .array import SPECIAL, _run, ndarray
from .cupy_api import full_name
from .cupyx import linalg_errors
from .device import wait
from .faults import UncheckedFailure

_FACTORIZATIONS = ("cholesky", "eigh", "eigvalsh", "inv", "lstsq", "pinv", "qr", "solve", "svd")


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    name = full_name(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        if name == "linalg.solve":
            _refuse_system(*args)
        told = linalg_errors() == "raise"
        if told:
            wait(name)
        try:
            return _run(function, args, kwargs, name)
        except np.linalg.LinAlgError as error:
            if told:
                raise
            raise UncheckedFailure(
                f"{name}: {error}. A device says so inside cupyx.errstate(linalg='raise') alone; elsewhere it returns "
                "arbitrary numbers"
            ) from None

    return call


def _refuse_system(a: ndarray, b: ndarray) -> None:
    """The error that CuPy raises for right-hand sides that NumPy takes."""
    if b.ndim > 1 and a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    if a.ndim > 2 and a.size and not b.size:
        raise ZeroDivisionError("division by zero")


for _name in _FACTORIZATIONS:
    SPECIAL[getattr(np.linalg, _name)] = _checked(getattr(np.linalg, _name))
