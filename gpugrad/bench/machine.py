"""What a measurement was made on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

MOST_CACHE = 128 * 2**20  # bytes: what is asked of inputs at most, on machines that show a cache shared by many others


def describe() -> dict[str, Any]:
    """The machine: system, processor, cores, caches, memory, and the clock."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": cores(),
        "cache": last_cache(),
        "memory": _memory(),
        "clock": clock(),
    }


def version(library: str) -> str:
    """The version of an installed library; gpugrad may be a checkout that is not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "of this checkout"


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float | None:
    """Processes that wanted a core in the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def clock() -> dict[str, float]:
    """The clock's resolution as stated, and the shortest time seen between two readings, in seconds."""
    steps = []
    for _ in range(1000):
        first = time.perf_counter()
        while (second := time.perf_counter()) == first:
            pass
        steps.append(second - first)
    return {"resolution": time.get_clock_info("perf_counter").resolution, "step": min(steps)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def last_cache() -> int | None:
    """Bytes of the largest cache that a core has a part in; None where the system does not say."""
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return max((int(size[:-1]) * units[size[-1]] for size in sizes if size and size[-1] in units), default=None)


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
