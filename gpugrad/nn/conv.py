"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

from ..core import Tensor
from ..ops import empty
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


def _tuple(value: Any, count: int) -> tuple[int, ...]:
    """An int for every spatial dimension, or a tuple as it is."""
    return (value,) * count if isinstance(value, int) else tuple(value)


class _ConvNd(Module):
    """A convolution over `ndim` spatial dimensions."""

    ndim = 0
    transposed = False
    function: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
        if padding == "same" and any(s != 1 for s in _tuple(stride, self.ndim)):
            raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f"padding_mode must be one of zeros, reflect, replicate, circular, but got {padding_mode!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _tuple(kernel_size, self.ndim)
        self.stride = _tuple(stride, self.ndim)
        self.padding = padding if isinstance(padding, str) else _tuple(padding, self.ndim)
        self.dilation = _tuple(dilation, self.ndim)
        self.groups = groups
        self.padding_mode = padding_mode
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(fan_in), drawn as PyTorch draws it."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._fans(self.weight)
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        x, padding = input, self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(input, self._pad_widths(), mode=self.padding_mode), (0,) * self.ndim
        return type(self).function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _pad_widths(self) -> list[int]:
        """What `F.pad` takes: before and after each dimension, the last dimension first."""
        if self.padding == "valid":
            return [0] * (2 * self.ndim)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [w for total in reversed(totals) for w in (total // 2, total - total // 2)]
        return [w for p in reversed(_tuple(self.padding, self.ndim)) for w in (p, p)]

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * self.ndim:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.ndim:
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


class Conv1d(_ConvNd):
    """Convolution of (N, C, L)."""

    ndim = 1
    function = staticmethod(F.conv1d)


class Conv2d(_ConvNd):
    """Convolution of (N, C, H, W)."""

    ndim = 2
    function = staticmethod(F.conv2d)


class Conv3d(_ConvNd):
    """Convolution of (N, C, D, H, W)."""

    ndim = 3
    function = staticmethod(F.conv3d)


class _ConvTransposeNd(_ConvNd):
    """The adjoint of a convolution over `ndim` spatial dimensions."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        options = (stride, padding, dilation, groups, bias, padding_mode, device, dtype)
        super().__init__(in_channels, out_channels, kernel_size, *options)
        self.output_padding = _tuple(output_padding, self.ndim)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """`output_size`, if given, picks the output padding. ValueError if no padding gives that size."""
        extra = self.output_padding if output_size is None else self._output_padding(input, list(output_size))
        options = (self.stride, self.padding, extra, self.groups, self.dilation)
        return type(self).function(input, self.weight, self.bias, *options)

    def _output_padding(self, input: Tensor, output_size: list[int]) -> tuple[int, ...]:
        lead = 2 if input.ndim == self.ndim + 2 else 1
        wanted = output_size[lead:] if len(output_size) == lead + self.ndim else output_size
        if len(wanted) != self.ndim:
            raise ValueError(
                f"ConvTranspose{self.ndim}D: for {input.ndim}D input, output_size must have {self.ndim} or "
                f"{lead + self.ndim} elements (got {len(wanted)})"
            )
        axes = zip(input.shape[lead:], self.stride, _tuple(self.padding, self.ndim), self.dilation, self.kernel_size)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in axes]
        most = [n + s - 1 for n, s in zip(least, self.stride)]
        if not all(low <= n <= high for low, n, high in zip(least, wanted, most)):
            raise ValueError(
                f"requested an output size of {wanted}, but valid sizes range from {least} to {most} (for an input of "
                f"{input.shape[2:]})"
            )
        return tuple(n - low for n, low in zip(wanted, least))

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if self.output_padding == (0,) * self.ndim:
            return text
        before, comma, after = text.partition(", groups=") if ", groups=" in text else text.partition(", bias=")
        return f"{before}, output_padding={self.output_padding}{comma}{after}"


class ConvTranspose1d(_ConvTransposeNd):
    """The adjoint of a convolution: (N, C, L) to (N, O, L')."""

    ndim = 1
    function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTransposeNd):
    """The adjoint of a convolution: (N, C, H, W) to (N, O, H', W')."""

    ndim = 2
    function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTransposeNd):
    """The adjoint of a convolution: (N, C, D, H, W) to (N, O, D', H', W')."""

    ndim = 3
    function = staticmethod(F.conv_transpose3d)
