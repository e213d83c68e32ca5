"""Moving between devices. The gradient of a copy is copied back."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..device import ARRAY_TYPES, CPU, Device, array_device, arrays_on, same_device
from ..op import op

__all__: list[str] = []


@op(moves=True)
def transfer(x: Any, *, device: Device, source: Device) -> Any:
    """A copy of `x`, which is on `source`, on `device`. Between two CUDA devices it goes by way of the host."""
    return arrays_on(device).from_numpy(ARRAY_TYPES[type(x)].to_numpy(x))


transfer.defvjp(x=lambda g, *, device, source: transfer(g, device=source, source=device))


@op(moves=True)
def number(x: Any, *, device: Device, source: Device) -> Any:
    """The 0-d CPU array `x` on `device`: its value travels with a launch, and a captured graph keeps it as it is now."""
    return arrays_on(device).full((), x[()], x.dtype)


number.defvjp(x=lambda g, *, device, source: transfer(g, device=source, source=device))


def move(x: Tensor, device: Device) -> Tensor:
    """`x` on `device`: itself if it is there."""
    source = array_device(x._array)
    return x if same_device(source, device) else transfer(x, device=device, source=source)


def beside(x: Tensor, device: Device) -> Tensor:
    """`x`, an operand of what is done on `device`, there: a 0-d CPU tensor stands for its value, others are copied."""
    if x._array.ndim or device.type == "cpu" or array_device(x._array).type != "cpu":
        return move(x, device)
    return number(x, device=device, source=CPU)
