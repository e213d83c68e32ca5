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


def checked() -> bool:
    """GPUGRAD_SIMULATE_CHECK: whether kernels are compiled with checks of every access. On unless 0."""
    return os.environ.get("GPUGRAD_SIMULATE_CHECK", "1") != "0"


def memory() -> int:
    """GPUGRAD_SIMULATE_MEMORY: bytes of device memory, 4 GiB unless given."""
    return _integer("GPUGRAD_SIMULATE_MEMORY", 4 << 30)
