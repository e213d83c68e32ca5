"""Moving between devices. The gradient of a copy is copied back."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..device import ARRAY_TYPES, Device, array_device, arrays_on, same_device
from ..op import op

__all__: list[str] = []


@op(moves=True)
def transfer(x: Any, *, device: Device, source: Device) -> Any:
    """A copy of `x`, which is on `source`, on `device`. Between two CUDA devices it goes by way of the host."""
    return arrays_on(device).from_numpy(ARRAY_TYPES[type(x)].to_numpy(x))


transfer.defvjp(x=lambda g, *, device, source: transfer(g, device=source, source=device))


def move(x: Tensor, device: Device) -> Tensor:
    """`x` on `device`: itself if it is there."""
    source = array_device(x._array)
    return x if same_device(source, device) else transfer(x, device=device, source=source)
