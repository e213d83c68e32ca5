"""Errors of the CUDA device."""

from __future__ import annotations

import re

# What CuPy asks for of CUDA, by the name of the library: what it is for, and the package that brings it
_LIBRARIES = {
    "nvrtc": ("CUDA's kernel compiler", "nvidia-cuda-nvrtc"),
    "cublas": ("CUDA's matrix products", "nvidia-cublas"),
    "cudart": ("CUDA's runtime", "nvidia-cuda-runtime"),
}


def missing(what: str, package: str) -> str:
    """What to do without a part of CUDA."""
    return (
        f"gpugrad's CUDA device needs {what}, which was not found: pip install gpugrad[cuda13] (or [cuda12], by the driver) "
        f"brings it, as part of {package}"
    )


def explain_missing_library(error: Exception) -> None:
    """RuntimeError that says what to install, if `error` is CuPy's of a library of CUDA that cannot be loaded."""
    found = re.search(r"lib(nvrtc|cublas|cudart)\w*\.so", str(error))
    if found:
        what, package = _LIBRARIES[found[1]]
        raise RuntimeError(missing(f"{what} (lib{found[1]})", package)) from error


class OutOfMemoryError(RuntimeError):
    """The device has no room for an array; the next operation may succeed."""
