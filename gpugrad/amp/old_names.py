"""PyTorch's old functions of the state of autocast, one for each device. Each warns when it is called."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from . import autocast_mode


def _old(name: str, function: Callable[..., Any], device: str) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        warnings.warn(
            f"gpugrad.{name}() is deprecated. Please use gpugrad.{function.__name__}('{device}') instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        return function(device, *args)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`{function.__name__}` for {device!r}."
    return call


get_autocast_cpu_dtype = _old("get_autocast_cpu_dtype", autocast_mode.get_autocast_dtype, "cpu")
get_autocast_gpu_dtype = _old("get_autocast_gpu_dtype", autocast_mode.get_autocast_dtype, "cuda")
is_autocast_cpu_enabled = _old("is_autocast_cpu_enabled", autocast_mode.is_autocast_enabled, "cpu")
set_autocast_cpu_dtype = _old("set_autocast_cpu_dtype", autocast_mode.set_autocast_dtype, "cpu")
set_autocast_cpu_enabled = _old("set_autocast_cpu_enabled", autocast_mode.set_autocast_enabled, "cpu")
set_autocast_gpu_dtype = _old("set_autocast_gpu_dtype", autocast_mode.set_autocast_dtype, "cuda")

__all__ = [
    "get_autocast_cpu_dtype",
    "get_autocast_gpu_dtype",
    "is_autocast_cpu_enabled",
    "set_autocast_cpu_dtype",
    "set_autocast_cpu_enabled",
    "set_autocast_gpu_dtype",
]
