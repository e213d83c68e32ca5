"""Kernels under the C++ compiler's own sanitizers: a planted fault is found, and a good kernel passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from device_tools import need
from test_kernels_compile import DTYPES

need("g++")

HERE = Path(__file__).parent
PLANTED = """
import numpy as np
import gpugrad.cuda.simulator as cupy

code = '''#line 1 "planted.cu"
extern "C" __global__ void store(float* x, int at) {
    float local[4] = {};
    x[at] = local[at % 5];
}'''
x = cupy.zeros(100, np.float32)
cupy.RawModule(code=code).get_function("store")((1,), (1,), (x, np.int32(AT)))
print(x.get()[:4])
"""


def sanitized(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    library = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not Path(library).is_absolute():
        pytest.skip("g++ comes without libasan")
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
        "GPUGRAD_SIMULATE_SANITIZE": "address,undefined",
        "GPUGRAD_SIMULATE": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=HERE.parent
    )


@pytest.mark.parametrize(("at", "message"), [(100, "AddressSanitizer"), (4, "planted.cu:3:25: runtime error: index 4")])
def test_a_planted_fault(at: int, message: str) -> None:
    done = sanitized(["-c", PLANTED.replace("AT", str(at))])
    assert done.returncode != 0
    assert message in done.stderr
    assert "planted.cu:3" in done.stderr


def test_a_good_kernel() -> None:
    done = sanitized(["-c", PLANTED.replace("AT", "3")])
    assert done.stdout == "[0. 0. 0. 0.]\n", done.stderr


def test_softmax() -> None:
    tests = [str(HERE / "test_kernel_softmax.py"), "-k", "boundary or infinities or every_size and -3]"]
    done = sanitized(["-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *tests])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 passed" in done.stdout


@pytest.mark.timeout(300)  # to compile them
@pytest.mark.parametrize("dtypes", [d for d in DTYPES if d != "float16"])  # bfloat16 is like it
def test_every_kernel(dtypes: str) -> None:
    """All that kernels/ holds, as ops, layers and optimizers launch it: in bounds, and nothing undefined."""
    done = sanitized([str(HERE / "kernels_sanitized.py"), *dtypes.split()])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_the_library_must_be_there_from_the_start() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | {"GPUGRAD_SIMULATE_SANITIZE": "address"}
    code = "import gpugrad.cuda.simulator as cupy; cupy.zeros(3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "LD_PRELOAD=$(" in done.stderr
