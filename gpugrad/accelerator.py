"""`gpugrad.accelerator`: the device beside the CPU, whichever it is. That is CUDA, where there is one."""

from __future__ import annotations

from typing import Any

from . import cuda
from .device import Device


def is_available() -> bool:
    """Whether tensors can be put on an accelerator."""
    return cuda.is_available()


def device_count() -> int:
    """How many accelerators there are."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> Device | None:
    """The accelerator as a device without an index, or None."""
    return Device("cuda") if cuda.is_available() else None


def _check() -> None:
    if not cuda.is_available():
        raise RuntimeError(
            "Cannot access accelerator device when none is available; ask gpugrad.accelerator.is_available() first."
        )


def current_device_index() -> int:
    """The index of the current accelerator; RuntimeError without one."""
    _check()
    return cuda.current_device()


def set_device_index(device: Any, /) -> None:
    """Make an accelerator the current one: a device or an index; RuntimeError without one."""
    _check()
    cuda.set_device(device)


def synchronize(device: Any = None, /) -> None:
    """Wait for an accelerator; RuntimeError without one."""
    _check()
    cuda.synchronize(device)


current_device_idx, set_device_idx = current_device_index, set_device_index

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "device_count",
    "is_available",
    "set_device_idx",
    "set_device_index",
    "synchronize",
]
