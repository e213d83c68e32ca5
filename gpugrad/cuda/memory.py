"""How much device memory is in use. Sizes are bytes, of CuPy's memory pool on a device: the current one if none is given."""

from __future__ import annotations

from typing import Any

from . import array, backend, index_of, module

cp = backend.cupy()


class Peak:
    """The most bytes that arrays held of a device, and that the pool held, while it was followed."""

    def __init__(self, device: Any = None) -> None:
        self.device = index_of(device, "memory")
        self.start()

    def start(self) -> None:
        """Begin anew from what is held now."""
        self.allocated, self.reserved = memory_allocated(self.device), memory_reserved(self.device)


_followed: list[Peak] = []
_peaks: dict[int, Peak] = {}  # what `max_memory_allocated` tells of, by device


def follow(peak: Peak) -> None:
    """Keep `peak` up to date from here on: each allocation then looks at the pool."""
    _followed.append(peak)
    array.add_watcher(_watch)


def unfollow(peak: Peak) -> None:
    """Leave `peak` as it is from here on."""
    _followed.remove(peak)
    if not _followed:
        array.remove_watcher(_watch)


def _watch() -> None:
    """Called after each allocation, which is on the current device, while peaks are followed."""
    device, pool = module.current_device(), cp.get_default_memory_pool()
    allocated, reserved = int(pool.used_bytes()), int(pool.total_bytes())
    for peak in _followed:
        if peak.device == device:
            peak.allocated = max(peak.allocated, allocated)
            peak.reserved = max(peak.reserved, reserved)


def _peak(device: Any) -> Peak | None:
    """What is followed of a device, up to now; None before `reset_peak_memory_stats`."""
    index = index_of(device, "memory")
    if index in _peaks:
        with cp.cuda.Device(index):
            _watch()
    return _peaks.get(index)


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays hold."""
    with cp.cuda.Device(index_of(device, "memory_allocated")):
        return int(cp.get_default_memory_pool().used_bytes())


def memory_reserved(device: Any = None) -> int:
    """Bytes the pool has taken from the driver, held by arrays or waiting to be used again."""
    with cp.cuda.Device(index_of(device, "memory_reserved")):
        return int(cp.get_default_memory_pool().total_bytes())


def max_memory_allocated(device: Any = None) -> int:
    """The most that arrays held since `reset_peak_memory_stats`, from whose first call on peaks are followed.

    Before that call it is what the pool has reserved, which is at least as much.
    """
    peak = _peak(device)
    return memory_reserved(device) if peak is None else peak.allocated


def max_memory_reserved(device: Any = None) -> int:
    """The most the pool held since `reset_peak_memory_stats`; see `max_memory_allocated`."""
    peak = _peak(device)
    return memory_reserved(device) if peak is None else peak.reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """Follow peaks from here on: each allocation then looks at the pool."""
    index = index_of(device, "reset_peak_memory_stats")
    if index not in _peaks:
        _peaks[index] = Peak(index)
        follow(_peaks[index])
    _peaks[index].start()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of a device, as the driver sees it."""
    with cp.cuda.Device(index_of(device, "mem_get_info")):
        free, total = cp.cuda.runtime.memGetInfo()
    return int(free), int(total)


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Let the pool take at most this part of the device's memory. ValueError outside [0, 1]."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0.0-1.0")
    with cp.cuda.Device(index_of(device, "set_per_process_memory_fraction")):
        cp.get_default_memory_pool().set_limit(fraction=fraction)


def memory_stats(device: Any = None) -> dict[str, int]:
    """The figures above by PyTorch's keys."""
    return {
        "allocated_bytes.all.current": memory_allocated(device),
        "allocated_bytes.all.peak": max_memory_allocated(device),
        "reserved_bytes.all.current": memory_reserved(device),
        "reserved_bytes.all.peak": max_memory_reserved(device),
    }


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The figures above as a table to print."""
    free, total = mem_get_info(device)
    rows = [
        ("held by arrays", memory_allocated(device), max_memory_allocated(device)),
        ("reserved by the pool", memory_reserved(device), max_memory_reserved(device)),
        ("free on the device", free, None),
        ("in all", total, None),
    ]
    lines = [f"{'CUDA memory (MiB)':24}{'now':>12}{'peak':>12}"]
    lines += [
        f"{name:24}{now / 2**20:12.1f}" + ("" if peak is None else f"{peak / 2**20:12.1f}") for name, now, peak in rows
    ]
    return "\n".join(lines)
