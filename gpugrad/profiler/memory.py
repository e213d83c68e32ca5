"""How much memory is allocated: on the host as `tracemalloc` counts it, on the CUDA device as its pool does."""

from __future__ import annotations

import tracemalloc
from typing import Any


class HostMemory:
    """What `tracemalloc` counts, less what the profiler itself holds: NumPy reports its arrays to it.

    It is started for the profile if it is not on already; then only what is allocated from there on is counted. The
    peak is looked at, and reset, at the beginning and the end of each call.
    """

    def __init__(self) -> None:
        self._started = not tracemalloc.is_tracing()
        if self._started:
            tracemalloc.start()
        tracemalloc.reset_peak()
        self._own = 0
        self.at_start, self.peak = tracemalloc.get_traced_memory()

    def allocated(self) -> int:
        """Bytes that are allocated."""
        current, peak = tracemalloc.get_traced_memory()
        self.peak = max(self.peak, peak - self._own)
        tracemalloc.reset_peak()
        return current - self._own

    def disown(self, before: int) -> None:
        """Count what has been allocated since `allocated()` returned `before` as the profiler's own."""
        current, _ = tracemalloc.get_traced_memory()
        self._own = current - before
        tracemalloc.reset_peak()

    def close(self) -> None:
        """Take the last peak; stop `tracemalloc` if it was started here."""
        self.allocated()
        if self._started:
            tracemalloc.stop()


class DeviceMemory:
    """What the pool of the CUDA device counts as used by arrays."""

    def __init__(self) -> None:
        from ..cuda import backend, memory

        self._pool: Any = backend.cupy().get_default_memory_pool()
        self._memory = memory
        self._peak = memory.Peak()
        memory.follow(self._peak)

    @property
    def peak(self) -> int:
        return self._peak.allocated

    def allocated(self) -> int:
        """Bytes that arrays hold."""
        return int(self._pool.used_bytes())

    def close(self) -> None:
        """Follow the peak no longer."""
        self._memory.unfollow(self._peak)
