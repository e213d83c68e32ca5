"""The part of `torch.fft` that needs no complex numbers: frequencies, and shifts of the zero frequency.

Transforms raise NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .core import Tensor
from .dtypes import complex_not_supported, get_default_dtype
from .ops import arange, roll
from .ops.dims import normalize_dims

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None
) -> Tensor:
    """The frequencies of the `n` outputs of a transform of samples `d` apart: 0, 1, ..., -2, -1 over `n * d`."""
    half = (n + 1) // 2
    dtype = get_default_dtype() if dtype is None else dtype
    steps = roll(arange(half - n, half, dtype=dtype, device=device), half)
    return (steps / (n * d)).requires_grad_(requires_grad)


def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None
) -> Tensor:
    """The frequencies 0, 1, ..., n // 2 over `n * d`, of the outputs of a transform of real samples `d` apart."""
    dtype = get_default_dtype() if dtype is None else dtype
    return (arange(n // 2 + 1, dtype=dtype, device=device) / (n * d)).requires_grad_(requires_grad)


def fftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """`input` with the zero frequency moved from the front to the middle of the dimensions `dim` (all if None)."""
    dims = normalize_dims(dim, input.ndim) or tuple(range(input.ndim))
    return roll(input, tuple(input.shape[d] // 2 for d in dims), dims)


def ifftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """The reverse of `fftshift`."""
    dims = normalize_dims(dim, input.ndim) or tuple(range(input.ndim))
    return roll(input, tuple((input.shape[d] + 1) // 2 for d in dims), dims)


_TRANSFORMS = frozenset(
    f"{prefix}fft{suffix}" for prefix in ("", "i", "r", "ir", "h", "ih") for suffix in ("", "2", "n")
)


def __getattr__(name: str) -> Callable[..., Any]:
    """The transforms themselves: functions that raise NotImplementedError."""
    if name not in _TRANSFORMS:
        raise AttributeError(f"module 'gpugrad.fft' has no attribute {name!r}")

    def transform(*args: Any, **kwargs: Any) -> Any:
        raise complex_not_supported(f"fft.{name}")

    return transform
