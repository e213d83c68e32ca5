"""What a device is: its name, capability and figures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from . import backend, index_of


def get_device_properties(device: Any = None) -> SimpleNamespace:
    """`name`, `major`, `minor`, `total_memory` (bytes), `multi_processor_count`, `warp_size` and others of a device."""
    found = backend.cupy().cuda.runtime.getDeviceProperties(index_of(device, "get_device_properties"))
    return SimpleNamespace(
        name=found["name"].decode(),
        major=int(found["major"]),
        minor=int(found["minor"]),
        total_memory=int(found["totalGlobalMem"]),
        multi_processor_count=int(found["multiProcessorCount"]),
        warp_size=int(found["warpSize"]),
        max_threads_per_multi_processor=int(found["maxThreadsPerMultiProcessor"]),
        shared_memory_per_block=int(found["sharedMemPerBlock"]),
        regs_per_multiprocessor=int(found.get("regsPerMultiprocessor", found["regsPerBlock"])),
        L2_cache_size=int(found["l2CacheSize"]),
    )


def get_device_name(device: Any = None) -> str:
    """The name of a device."""
    return str(get_device_properties(device).name)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Its compute capability, as in (9, 0)."""
    found = get_device_properties(device)
    return found.major, found.minor
