"""Tensors of more than 2^31 elements: kernels count in 64 bits where 32 do not hold every place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from device_tools import need

from gpugrad.cuda import backend

pytestmark = pytest.mark.cuda

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    simulated = {}
    if not backend.device_count():
        need("g++", "clang++")
        simulated = {"GPUGRAD_SIMULATE": "1"}
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT), str(ROOT / "tests")]))
    environment = {**os.environ, **simulated, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_every_family_of_kernels_in_64_bits() -> None:
    """On small tensors, with the limit drawn down: the kernels that large ones take."""
    if backend.device_count() and not backend.simulated():
        pytest.skip("on a GPU every kernel would be compiled a second time")
    options = ["-q", "-p", "narrow_limits", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = run("-m", "pytest", *options, "tests/test_cuda_sizes.py", "-k", "misaligned")
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr


PLACES = """
import gpugrad

x = gpugrad.empty(2**31 + 2**20, dtype=gpugrad.uint8, device="cuda")
rows = x.view(-1, 2**20)  # a column of it is far apart
column = rows[:, 5]
column.copy_(gpugrad.arange(2049, device="cuda") % 250)
want = [k % 250 for k in range(2049)]
here = gpugrad.tensor(want, dtype=gpugrad.uint8)
at = gpugrad.tensor([5, 2**31 + 5], device="cuda")
results = {
    "copy": column.contiguous(),
    "transpose": rows.t()[5:6].contiguous()[0],
    "conversion": column.float().byte(),
    "formula": (column + 1) - 1,
    "running sum": column.cumsum(0).diff(prepend=column.new_zeros(1).long()).byte(),
    "index": rows[:, gpugrad.tensor([5], device="cuda")][:, 0],
    "gather": rows.gather(1, gpugrad.full((2049, 1), 5, device="cuda"))[:, 0],
    "cat": gpugrad.cat([rows[:, 5:6], rows[:, 5:6]], 1)[:, 1],
    "reversed": column.flip(0).flip(0),
}
for name, found in results.items():
    assert found.cpu().equal(here), name
assert x[at].tolist() == [want[0], want[2048]] and x.take(at).tolist() == [want[0], want[2048]]
assert column.sum().item() == sum(want) and column.max().item() == 249 and column.argmax().item() == 249
x[at] = gpugrad.tensor([9, 8], dtype=gpugrad.uint8, device="cuda")
x[2**31 + 7 :: 2**18] = 3
assert column[::2048].tolist() == [9, 8] and rows[-1, 7 :: 2**18].tolist() == [3] * 4
"""


@pytest.mark.skipif(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") < 12 << 30, reason="takes 4 GB")
def test_places_beyond_32_bits() -> None:
    done = run("-c", PLACES)
    assert done.returncode == 0, done.stderr
