"""Padding layers."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from . import functional as F
from .module import Module


class _Pad(Module):
    """Pads the last `dims` dimensions, by one width on every side or by one for each: (left, right, top, ...)."""

    dims = 0
    mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        widths = (padding,) * (2 * self.dims) if isinstance(padding, int) else tuple(padding)
        if len(widths) != 2 * self.dims:
            raise RuntimeError(
                f"{type(self).__name__}: padding must be an int or {2 * self.dims} of them, got {len(widths)}"
            )
        self.padding = widths

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Pads with one value."""

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    """Pads with zeros."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_ConstantPad):
    """Pads the last dimension with one value."""

    dims = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last two dimensions with one value."""

    dims = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three dimensions with one value."""

    dims = 3


class ZeroPad1d(_ZeroPad):
    """Pads the last dimension with zeros."""

    dims = 1


class ZeroPad2d(_ZeroPad):
    """Pads the last two dimensions with zeros."""

    dims = 2


class ZeroPad3d(_ZeroPad):
    """Pads the last three dimensions with zeros."""

    dims = 3


class ReflectionPad1d(_Pad):
    """Pads (N, C, L) with its mirror image."""

    dims, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Pads (N, C, H, W) with its mirror image."""

    dims, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Pads (N, C, D, H, W) with its mirror image."""

    dims, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Pads (N, C, L) with its border."""

    dims, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Pads (N, C, H, W) with its border."""

    dims, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Pads (N, C, D, H, W) with its border."""

    dims, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Pads (N, C, L) with what is at its other end."""

    dims, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Pads (N, C, H, W) with what is at its other ends."""

    dims, mode = 2, "circular"


class CircularPad3d(_Pad):
    """Pads (N, C, D, H, W) with what is at its other ends."""

    dims, mode = 3, "circular"
