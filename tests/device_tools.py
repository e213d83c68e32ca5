"""What tests of kernels need of the machine: a device, or a C++ compiler for the simulator."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

KERNELS = Path(__file__).parents[1] / "kernels"


def need(*tools: str) -> None:
    """Skip the test without any of `tools`; with GPUGRAD_REQUIRE_PEERS=1 that is a failure instead."""
    if any(shutil.which(tool) for tool in tools):
        return
    missing = f"needs {' or '.join(tools)}"
    if os.environ.get("GPUGRAD_REQUIRE_PEERS") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


def device_module() -> Any:
    """CuPy where there is a GPU and GPUGRAD_SIMULATE is not 1, else the simulator; without either the test is skipped."""
    if os.environ.get("GPUGRAD_SIMULATE") != "1" and importlib.util.find_spec("cupy") is not None:
        cupy = importlib.import_module("cupy")
        if cupy.cuda.is_available():
            return cupy
    need("g++", "clang++")
    return importlib.import_module("gpugrad.cuda.simulator")


def kernel_source(name: str) -> str:
    """The text of a kernel file, which errors call by its name."""
    return f'#line 1 "kernels/{name}"\n{(KERNELS / name).read_text()}'


def on_host(tensor: Any) -> Any:
    """The values of a tensor as a NumPy array, in float32 where NumPy has no such dtype."""
    array = tensor.detach().cpu().numpy()
    return array.astype("float32") if array.dtype.kind == "V" else array
