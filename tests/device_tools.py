"""What tests of kernels need of the machine: a device, or a C++ compiler for the simulator."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpugrad.device import CPU

KERNELS = Path(__file__).parents[1] / "kernels"
each_device = pytest.mark.usefixtures("default_device")  # also on the CUDA device: see conftest.py
cpu_only = pytest.mark.parametrize(
    "default_device", ["cpu"], indirect=True
)  # where the whole file is marked each_device


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


def need_captured_products() -> None:
    """Skip the test where matrix products cannot be captured in a CUDA graph."""
    from gpugrad.cuda import backend

    backend.require()
    from gpugrad.cuda import cublaslt

    if not backend.simulated() and cublaslt.library() is None:
        pytest.skip("needs nvmath-python: CuPy's products cannot be captured")


def draw_on_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have random numbers on the device drawn by the CPU's default generator, which draws PyTorch's."""
    from gpugrad.cuda.array import DeviceArray, from_numpy
    from gpugrad.ops.dropout import channel_mask, drop
    from gpugrad.ops.random import dropout_mask, random_fill
    from gpugrad.random import engine_of

    def like(x: Any) -> np.ndarray:  # in the same order in memory
        order = sorted(range(x.ndim), key=lambda d: -x.strides[d])
        return np.empty([x.shape[d] for d in order], x.dtype).transpose([order.index(d) for d in range(x.ndim)])

    def mask(op: Any) -> Any:
        def run(x: Any, *, p: float, generator: Any) -> Any:
            return from_numpy(op.body(like(x), p=p, generator=engine_of(None, CPU)))

        return run

    def fill(target: Any, *, generator: Any, **draw: Any) -> None:
        host = np.empty(target.shape, target.dtype)
        random_fill.op.body(host, generator=engine_of(None, CPU), **draw)
        target[...] = from_numpy(host)

    for function in (dropout_mask, channel_mask):
        monkeypatch.setitem(function.op.impls, DeviceArray, mask(function.op))
    monkeypatch.setitem(drop.op.impls, DeviceArray, drop.op.body)  # which asks for a mask
    monkeypatch.setitem(random_fill.op.impls, DeviceArray, fill)


def kernel_source(name: str) -> str:
    """The text of a kernel file, which errors call by its name."""
    return f'#line 1 "kernels/{name}"\n{(KERNELS / name).read_text()}'


def on_host(tensor: Any) -> Any:
    """The values of a tensor as a NumPy array, in float32 where NumPy has no such dtype."""
    array = tensor.detach().cpu().numpy()
    return array.astype("float32") if array.dtype.kind == "V" else array
