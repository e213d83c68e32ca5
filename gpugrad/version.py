"""The version of gpugrad, and of what its CUDA device is made of: PyTorch's `torch.version`.

`cuda` is the version of the CUDA runtime, as in "13.0", or None without a CUDA device; there is no `hip` device.
"""

from __future__ import annotations

__version__ = "0.1.0"  # pyproject.toml reads it here
hip = None


def __getattr__(name: str) -> str | None:
    if name != "cuda":
        raise AttributeError(f"module 'gpugrad.version' has no attribute {name!r}")
    from . import cuda

    if not cuda.is_available():
        return None
    number = int(cuda.backend.cupy().cuda.runtime.runtimeGetVersion())
    return f"{number // 1000}.{number % 1000 // 10}"


__all__ = ["__version__", "hip"]
