"""Tests of the device on CuPy itself, above stand-ins for CUDA's libraries: see stand_in/attach.py, which runs them all."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from device_tools import need

from gpugrad.cuda import cache

TESTS = Path(__file__).parent

# What the simulator, which is CuPy's other stand-in, says least of: streams, graphs, memory, libraries, exchange
PARTS = {
    "graphs": ["test_cuda_graphs.py"],
    "devices and memory": ["test_cuda_device.py", "test_exchange.py"],
    "products": ["test_cuda_products.py", "-k", "float32"],
    "training": ["test_train.py", "test_nn_containers.py", "test_lr_scheduler.py"],
}

NUMBERS = """
import gpugrad
x = gpugrad.tensor([1e-40, 3.0], device="cuda")
assert (x * 2).tolist() == (x.cpu() * 2).tolist()
assert gpugrad.cuda.get_device_name() == "Stand-in"
"""

REFUSED = """
import cupy as cp

stream = cp.cuda.Stream(non_blocking=True)
with stream:
    x = cp.zeros(4)
    stream.begin_capture()
    try:
        stream.synchronize()
    except cp.cuda.runtime.CUDARuntimeError as error:
        print(error)
    try:
        stream.end_capture()
    except cp.cuda.runtime.CUDARuntimeError as error:
        print(error)
try:
    cp.cuda.runtime.memcpy(x.data.ptr, x.data.ptr + 8, 1 << 30, cp.cuda.runtime.memcpyDeviceToDevice)
except cp.cuda.runtime.CUDARuntimeError as error:
    print(error)
cp.random.rand(3)
"""


@pytest.fixture(scope="module", autouse=True)
def attachable() -> None:
    """Skip the tests where CuPy cannot be attached; with GPUGRAD_REQUIRE_PEERS=1 that is a failure instead."""
    need("g++", "clang++")
    missing = [name for name in ("cupy", "nvmath") if importlib.util.find_spec(name) is None]
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        missing.append("Linux on x86-64")
    if missing and os.environ.get("GPUGRAD_REQUIRE_PEERS") == "1":
        pytest.fail(f"needs {missing}")
    if missing:
        pytest.skip(f"needs {missing}: ci/test --peers installs them")


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run Python with CuPy attached."""
    path = os.pathsep.join([str(TESTS / "stand_in"), str(TESTS.parent)])
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GPUGRAD_SIMULATE", "PYTEST"))}
    environment |= {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"} | settings
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=TESTS.parent
    )


@pytest.mark.parametrize("part", PARTS)
def test_tests_of_the_device_pass_on_cupy_itself(part: str) -> None:
    files = [f"tests/{name}" if name.endswith(".py") else name for name in PARTS[part]]
    done = run("-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider", "--tb=short", *files)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_kernels_are_compiled_to_compute_with_subnormal_numbers(tmp_path: Path) -> None:
    kept = tmp_path / "cache"  # of kernels that were compiled before, none; but what stands in for CUDA is there
    kept.mkdir()
    for name in ("simulator", "stand-in"):
        (cache.folder() / name).mkdir(parents=True, exist_ok=True)
        (kept / name).symlink_to(cache.folder().resolve() / name)
    done = run("-c", NUMBERS, GPUGRAD_STAND_IN_SOURCES=str(tmp_path), GPUGRAD_CACHE=str(kept))
    assert done.returncode == 0, done.stderr
    given = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    ours = [one["options"] for one in given if any("gpugrad::" in name for name in one["names"] or ())]
    assert ours and not any("ftz" in option for options in ours for option in options)


def test_what_a_device_refuses_is_refused() -> None:
    done = run("-c", REFUSED)
    said = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in said[:2]] == [
        "cudaErrorStreamCaptureUnsupported",
        "cudaErrorStreamCaptureInvalidated",
    ]
    assert said[2].startswith("cudaErrorInvalidValue")
    assert done.returncode and "curandCreateGenerator was called, and is not there" in done.stderr
