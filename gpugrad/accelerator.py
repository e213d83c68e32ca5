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


class device_index:
    """`with device_index(1): ...` makes an accelerator the current one inside; None does nothing."""

    def __init__(self, device: int | None, /) -> None:
        self._inside = cuda.device(device)

    def __enter__(self) -> None:
        self._inside.__enter__()

    def __exit__(self, *exc: object) -> None:
        self._inside.__exit__(*exc)


def current_stream(device: Any = None, /) -> cuda.Stream:
    """The stream that work of an accelerator is submitted to; RuntimeError without one."""
    _check()
    return cuda.current_stream(device)


def set_stream(stream: cuda.Stream) -> None:
    """Submit work to `stream`, and make its device the current one, from here on; RuntimeError without an accelerator."""
    _check()
    cuda.set_stream(stream)


# ---- memory: what `gpugrad.cuda` says of it ----


def empty_cache() -> None:
    """Give memory that no tensor holds back to the driver."""
    _check()
    cuda.empty_cache()


def memory_allocated(device_index: Any = None, /) -> int:
    """Bytes that arrays hold."""
    _check()
    return cuda.memory_allocated(device_index)


def max_memory_allocated(device_index: Any = None, /) -> int:
    """The most bytes that arrays held; see `cuda.max_memory_allocated`."""
    _check()
    return cuda.max_memory_allocated(device_index)


def memory_reserved(device_index: Any = None, /) -> int:
    """Bytes the pool has taken from the driver."""
    _check()
    return cuda.memory_reserved(device_index)


def max_memory_reserved(device_index: Any = None, /) -> int:
    """The most bytes the pool held; see `cuda.max_memory_reserved`."""
    _check()
    return cuda.max_memory_reserved(device_index)


def memory_stats(device_index: Any = None, /) -> dict[str, int]:
    """The figures above by PyTorch's keys."""
    _check()
    return cuda.memory_stats(device_index)


def get_memory_info(device_index: Any = None, /) -> tuple[int, int]:
    """Free and total bytes, as the driver sees it."""
    _check()
    return cuda.mem_get_info(device_index)


def reset_peak_memory_stats(device_index: Any = None, /) -> None:
    """Follow peaks from here on."""
    _check()
    cuda.reset_peak_memory_stats(device_index)


current_device_idx, set_device_idx = current_device_index, set_device_index

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "get_memory_info",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_peak_memory_stats",
    "set_device_idx",
    "set_device_index",
    "set_stream",
    "synchronize",
]
