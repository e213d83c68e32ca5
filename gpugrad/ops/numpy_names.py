"""NumPy's names for arguments of reductions, which PyTorch takes as well: `x.sum(axis=0, keepdims=True)`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def numpy_names(function: Function) -> Function:
    """`function`, to which `axis` means `dim` and `keepdims` means `keepdim`."""

    @functools.wraps(function)
    def accepting(*args: Any, **kwargs: Any) -> Any:
        if "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        if "keepdims" in kwargs:
            kwargs["keepdim"] = kwargs.pop("keepdims")
        return function(*args, **kwargs)

    return accepting  # type: ignore[return-value]
