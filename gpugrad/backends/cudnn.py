"""`gpugrad.backends.cudnn`: the flags that programs set. gpugrad has its own kernels and does not call cuDNN.

The flags are remembered and change nothing: there is no search for algorithms that `benchmark` could turn on, and no
choice of cuDNN's that `deterministic` could narrow (`gpugrad.use_deterministic_algorithms` is for gpugrad's own).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

enabled = True
deterministic = False
benchmark = False
benchmark_limit: int | None = 10
allow_tf32 = True


def is_available() -> bool:
    """Whether cuDNN is used: no."""
    return False


def version() -> int | None:
    """The version of cuDNN, which there is none of."""
    return None


@contextlib.contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int | None = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
) -> Iterator[None]:
    """Set the flags within a block."""
    here = globals()
    names = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
    before = {name: here[name] for name in names}
    here.update(zip(names, (enabled, benchmark, benchmark_limit, deterministic, allow_tf32)))
    try:
        yield
    finally:
        here.update(before)


__all__ = ["allow_tf32", "benchmark", "benchmark_limit", "deterministic", "enabled", "flags", "is_available", "version"]
