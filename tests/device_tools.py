"""What tests of kernels need of the machine: a C++ compiler for the simulator, nvcc to compile for real devices."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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


def kernel_source(name: str) -> str:
    """The text of a kernel file, which errors call by its name."""
    return f'#line 1 "kernels/{name}"\n{(KERNELS / name).read_text()}'
