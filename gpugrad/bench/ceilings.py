"""The ceilings of a device, measured first: a copy in its memory, and a large matrix product. Rates are held against both."""

from __future__ import annotations

from typing import Any

from .case import Case
from .cases import CASES

UNITS = {"copy": "bytes", "matmul": "flops"}
# Large enough for the device to be busy, small enough not to be noticed.
COPY = {"cpu": 2**23, "cuda": 2**28}
SIDE = {"cpu": 1024, "cuda": 8192}
_SLOW_SIDE = 256  # of half precision on a CPU, which has no BLAS for it


def probes(device: str, dtype: str) -> list[tuple[str, Case, int]]:
    """What is measured: name, case and size."""
    slow = device == "cpu" and dtype in ("float16", "bfloat16")
    side = _SLOW_SIDE if slow else SIDE[device]
    return [("copy", CASES["within-memory"], COPY[device]), ("matmul", CASES["matmul"], side * side)]


def rates(moved: float, done: float, seconds: float, ceiling: dict[str, Any] | None) -> dict[str, Any]:
    """Bytes and operations a second, and the fraction of the ceiling that is nearer.

    The time that work takes at least is that of its bytes at the copy's bandwidth, or that of its operations at the
    product's rate, whichever is more; the fraction is that time divided by the time taken.
    """
    found: dict[str, Any] = {"moved": moved, "flops": done}
    if not ceiling or len(ceiling) < 2 or not (moved or done):
        return found
    least = {"copy": moved / ceiling["copy"]["rate"], "matmul": done / ceiling["matmul"]["rate"]}
    bound = max(least, key=lambda what: least[what])
    return found | {"bound": bound, "of_ceiling": least[bound] / seconds}
