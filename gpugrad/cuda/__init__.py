"""`gpugrad.cuda`: what programs ask before they use a GPU.

There is no CUDA device yet: the answers are those of PyTorch on a machine without one.
"""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """Whether tensors can be put on a CUDA device."""
    return False


def device_count() -> int:
    """How many CUDA devices there are."""
    return 0


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current device computes in bfloat16."""
    return False


def manual_seed(seed: int) -> None:
    """Seed the current device's generator: nothing to do without one, as in PyTorch."""


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices: nothing to do without one, as in PyTorch."""


def empty_cache() -> None:
    """Give cached memory back: nothing to do without a device, as in PyTorch."""


def _no_device(name: str) -> RuntimeError:
    return RuntimeError(f"gpugrad.cuda.{name}(): no CUDA device is available; ask gpugrad.cuda.is_available() first")


def current_device() -> int:
    """The index of the current device; RuntimeError without one."""
    raise _no_device("current_device")


def set_device(device: Any) -> None:
    """Make a device the current one; RuntimeError without one."""
    raise _no_device("set_device")


def synchronize(device: Any = None) -> None:
    """Wait for the device; RuntimeError without one."""
    raise _no_device("synchronize")


def get_device_name(device: Any = None) -> str:
    """The name of a device; RuntimeError without one."""
    raise _no_device("get_device_name")


def __getattr__(name: str) -> Any:
    """`cuda.FloatTensor` and the others, made when one is first asked for."""
    if name.endswith("Tensor"):
        from ..legacy_types import CUDA_TYPES

        if name in CUDA_TYPES:
            return CUDA_TYPES[name]
    raise AttributeError(f"module 'gpugrad.cuda' has no attribute {name!r}")
