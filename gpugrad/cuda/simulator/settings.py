"""The simulator's settings, read from the environment at each use so that a test can change them."""

from __future__ import annotations

import os


def _integer(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise ValueError(f"{name} is to be an integer, and is {text!r}") from None


def seed() -> int:
    """GPUGRAD_SIMULATE_SEED: draws the order of blocks and threads."""
    return _integer("GPUGRAD_SIMULATE_SEED", 0)


def sanitizers() -> tuple[str, ...]:
    """GPUGRAD_SIMULATE_SANITIZE: sanitizers of the C++ compiler, instead of the simulator's own checks."""
    named = tuple(filter(None, os.environ.get("GPUGRAD_SIMULATE_SANITIZE", "").replace(" ", "").split(",")))
    unknown = [name for name in named if name not in ("address", "undefined")]
    if unknown:
        raise ValueError(f"GPUGRAD_SIMULATE_SANITIZE takes address and undefined, and is given {', '.join(unknown)}")
    return named


def checked() -> bool:
    """GPUGRAD_SIMULATE_CHECK: whether kernels are compiled with checks of every access. On unless 0."""
    if os.environ.get("GPUGRAD_SIMULATE_SANITIZE") or fused():
        return False
    return os.environ.get("GPUGRAD_SIMULATE_CHECK", "1") != "0"


def fused() -> bool:
    """GPUGRAD_SIMULATE_FMA: whether a product and a sum are rounded once, as on a GPU; checks are off then. Off unless 1."""
    return os.environ.get("GPUGRAD_SIMULATE_FMA", "0") not in ("", "0")


def mode() -> str:
    """How kernels are compiled: "check", "plain", "fused", or with sanitizers, by name."""
    return ",".join(sanitizers()) or ("fused" if fused() else "check" if checked() else "plain")


def devices() -> int:
    """GPUGRAD_SIMULATE_DEVICES: how many devices there are, 1 unless given."""
    return _integer("GPUGRAD_SIMULATE_DEVICES", 1)


def memory() -> int:
    """GPUGRAD_SIMULATE_MEMORY: bytes of device memory, 4 GiB unless given."""
    return _integer("GPUGRAD_SIMULATE_MEMORY", 4 << 30)
