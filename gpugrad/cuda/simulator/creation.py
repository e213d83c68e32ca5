"""Making device arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import SPECIAL, laid_out, ndarray


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """An uninitialised array."""
    return ndarray(shape, dtype, order=order)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    """An array of one value."""
    made = ndarray(shape, np.asarray(fill_value).dtype if dtype is None else dtype, order=order)
    made.fill(fill_value)
    return made


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """An array of zeros."""
    return full(shape, 0, dtype, order)


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """An array of ones."""
    return full(shape, 1, dtype, order)


def _like(prototype: Any, dtype: Any, order: str, subok: Any, shape: Any) -> ndarray:
    if subok is not None:
        raise TypeError("subok is not supported yet")
    return laid_out(prototype._value if isinstance(prototype, ndarray) else prototype, dtype, order, shape)


def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None, **_: Any
) -> Any:
    """An uninitialised array like another."""
    return _like(prototype, dtype, order, subok, shape)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> Any:
    """A filled array like another."""
    made = _like(a, dtype, order, subok, shape)
    made.fill(fill_value)
    return made


def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None, **_: Any) -> Any:
    """Zeros like another array."""
    return full_like(a, 0, dtype, order, subok, shape)


def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None, **_: Any) -> Any:
    """Ones like another array."""
    return full_like(a, 1, dtype, order, subok, shape)


def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K", **ignored: Any) -> ndarray:
    """A device copy of an array, scalar or nested list of either kind."""
    if isinstance(obj, ndarray):
        return obj.astype(obj.dtype if dtype is None else dtype, order, copy=copy)
    value = np.array(obj, dtype=dtype, order="A" if order == "K" else order)  # type: ignore[call-overload]
    made = laid_out(value, order="A")
    if value.ndim or isinstance(obj, np.ndarray):
        made.set(value)
    else:
        made.fill(value)  # a scalar travels with the kernel that writes it
    return made


def asarray(a: Any, dtype: Any = None, order: str = "K", **ignored: Any) -> ndarray:
    """A device array; `a` itself if it is one of that dtype."""
    return array(a, dtype, copy=False, order=order)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """A device array in C order; itself if it is so already."""
    if not isinstance(a, ndarray):
        raise TypeError(f"Argument 'a' has incorrect type (expected ndarray, got {type(a).__name__})")
    return asarray(a, dtype, "C")


def arange(*args: Any, dtype: Any = None) -> ndarray:
    """NumPy's arange, made on the device."""
    value = np.arange(*args, dtype=dtype)
    made = ndarray(value.shape, value.dtype)
    made._assign(value)
    return made


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    """A NumPy copy of a device array; anything else as NumPy takes it."""
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a)


def get_array_module(*args: Any) -> Any:
    """The simulator if there is a device array among the arguments, else NumPy."""
    from gpugrad.cuda import simulator

    return simulator if any(isinstance(a, ndarray) for a in args) else np


SPECIAL.update({np.empty_like: empty_like, np.full_like: full_like, np.zeros_like: zeros_like, np.ones_like: ones_like})
__all__ = [
    *("arange", "array", "asarray", "ascontiguousarray", "asnumpy", "empty", "empty_like", "full", "full_like"),
    *("get_array_module", "ones", "ones_like", "zeros", "zeros_like"),
]
