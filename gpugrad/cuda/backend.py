"""The CuPy that the CUDA device is made of: CuPy itself or, with GPUGRAD_SIMULATE=1, the simulator.

Nothing here imports either before a device is asked for.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import os
import sys
from typing import Any

_asked = False  # whether CUDA has been initialised, as it is when the devices are counted
_ready = False
_forked = False  # whether that was in a process from which this one was forked


def simulated() -> bool:
    """Whether GPUGRAD_SIMULATE asks for the simulator."""
    return os.environ.get("GPUGRAD_SIMULATE", "0") not in ("", "0")


@functools.cache
def cupy() -> Any:
    """The module. RuntimeError, saying what to install, without it."""
    if simulated():
        return importlib.import_module("gpugrad.cuda.simulator")
    if importlib.util.find_spec("cupy") is None:
        raise RuntimeError(
            "gpugrad's CUDA device is not available: CuPy is not installed. Install gpugrad[cuda13] (or [cuda12], by the "
            'driver), use device="cpu", or set GPUGRAD_SIMULATE=1 to run the kernels on the CPU.'
        )
    return importlib.import_module("cupy")


@functools.cache
def cupyx() -> Any:
    """CuPy's module of what NumPy has not."""
    return importlib.import_module("gpugrad.cuda.simulator.cupyx" if simulated() else "cupyx")


@functools.cache
def device_count() -> int:
    """How many devices there are: 0 without CuPy, without a driver, without a device."""
    global _asked
    if simulated():
        _asked = True
        return int(cupy().cuda.runtime.getDeviceCount())
    if importlib.util.find_spec("cupy") is None or not _has_driver():
        return 0
    module = cupy()
    _asked = True
    try:
        return int(module.cuda.runtime.getDeviceCount())
    except module.cuda.runtime.CUDARuntimeError:
        return 0


def _has_driver() -> bool:
    """Whether CUDA's driver can be loaded. Without one there is no device, and CuPy need not be imported to say so."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def require(index: int | None = None) -> None:
    """Make the CUDA device ready for use, once.

    RuntimeError if there is none, or none of this index, or in a process forked after CUDA was initialised.
    """
    global _ready
    if not device_count():
        if importlib.util.find_spec("cupy") is None:
            cupy()  # says so
        raise RuntimeError(
            'gpugrad\'s CUDA device is not available: no NVIDIA GPU with its driver was found. Use device="cpu", set '
            "GPUGRAD_SIMULATE=1 to run the kernels on the CPU, or ask gpugrad.cuda.is_available() first."
        )
    if index is not None and index >= device_count():
        raise RuntimeError(
            f"CUDA error: invalid device ordinal: cuda:{index} was asked for, and there are {device_count()} device(s)"
        )
    if not _ready:
        if _forked:
            raise RuntimeError(
                "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the 'spawn' "
                "start method"
            )
        importlib.import_module("gpugrad.cuda.launchers")
        _ready = True


def is_ready() -> bool:
    """Whether `require` has made the device ready."""
    return _ready


def is_in_bad_fork() -> bool:
    """Whether this process was forked after CUDA was initialised, and so cannot use it."""
    return _forked


def _after_fork() -> None:
    """In the child: CUDA's state has not come with it. What asks whether the device is ready asks no more for it."""
    global _forked, _ready
    _forked, _ready = _forked or _asked or _ready, False


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)


__all__ = ["cupy", "cupyx", "device_count", "is_in_bad_fork", "is_ready", "require", "simulated"]
