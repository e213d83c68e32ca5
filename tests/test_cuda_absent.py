"""`gpugrad.cuda` without a GPU: everything can be named and asked, as in PyTorch, and CuPy is not imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import gpugrad
from gpugrad.cuda import backend

QUESTIONS = (
    "is_available device_count is_initialized memory_allocated max_memory_allocated memory_reserved max_memory_reserved "
    "memory_stats empty_cache get_rng_state_all is_bf16_supported seed seed_all"
)
NEEDS_A_DEVICE = (
    "init current_device current_stream default_stream get_device_name get_device_properties get_device_capability "
    "synchronize mem_get_info memory_summary reset_peak_memory_stats get_rng_state initial_seed graph_pool_handle Stream "
    "Event CUDAGraph"
)


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No device, whatever this machine has."""
    monkeypatch.setattr(backend, "device_count", lambda: 0)
    monkeypatch.setattr(backend, "is_ready", lambda: False)


@pytest.mark.parametrize("name", QUESTIONS.split())
def test_a_question_has_pytorch_s_answer(name: str, torch: ModuleType, nothing: None) -> None:
    if torch.cuda.is_available():
        pytest.skip("PyTorch has a device")
    assert getattr(gpugrad.cuda, name)() == getattr(torch.cuda, name)()


@pytest.mark.parametrize("name", NEEDS_A_DEVICE.split())
def test_what_needs_a_device_says_so_when_it_is_called(name: str, nothing: None) -> None:
    function = getattr(gpugrad.cuda, name)
    with pytest.raises(RuntimeError, match=r"no CUDA device is available|CUDA device is not available"):
        function()


def test_names_can_be_used_without_a_device(nothing: None) -> None:
    def run(stream: gpugrad.cuda.Stream | None = None, end: gpugrad.cuda.Event | None = None) -> bool:
        with gpugrad.cuda.stream(stream), gpugrad.cuda.device(None), gpugrad.cuda.device(-1):
            return isinstance(stream, gpugrad.cuda.Stream) or isinstance(end, gpugrad.cuda.Event)

    assert not run()
    assert not isinstance(gpugrad.ones(1), gpugrad.cuda.FloatTensor)
    assert gpugrad.cuda.default_generators == ()
    assert all(hasattr(gpugrad.cuda, name) for name in dir(gpugrad.cuda))
    gpugrad.cuda.manual_seed(0)
    gpugrad.cuda.manual_seed_all(0)
    gpugrad.cuda.set_device(-1)
    with pytest.raises(AttributeError):
        _ = gpugrad.cuda.teleport


SCRIPT = """
import sys
import gpugrad
import gpugrad.cuda as cuda

assert not cuda.is_available() and cuda.device_count() == 0 and cuda.memory_allocated() == 0
for ask in (lambda: gpugrad.ones(1).cuda(), lambda: gpugrad.nn.Linear(2, 2).to("cuda"), cuda.synchronize, cuda.Stream):
    try:
        ask()
    except RuntimeError as error:
        assert "is available" in str(error) or "is not available" in str(error), error
    else:
        raise SystemExit("there is a device")
loader = gpugrad.utils.data.DataLoader(gpugrad.utils.data.TensorDataset(gpugrad.ones(4)), pin_memory=True)
assert len(list(loader)) == 4
for line in cuda.__all__ + dir(cuda):
    getattr(cuda, line)
print([name for name in sys.modules if name.startswith("cupy") or name == "gpugrad.cuda.array"])
"""


@pytest.mark.parametrize("installed", [True, False])
def test_cupy_is_not_imported(installed: bool, tmp_path: Path) -> None:
    """With a CuPy that cannot be imported, and without any."""
    if installed:
        (tmp_path / "cupy").mkdir()
        (tmp_path / "cupy" / "__init__.py").write_text("raise SystemExit('CuPy was imported')")
    elif backend._has_driver():
        pytest.skip("this machine has a CUDA driver")
    environment: dict[str, Any] = {k: v for k, v in os.environ.items() if k != "GPUGRAD_SIMULATE"}
    paths = [str(tmp_path), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", ("" if not installed else NO_DRIVER) + SCRIPT],
        env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr


NO_DRIVER = """
import ctypes

def refuse(name, *rest):
    raise OSError(f"{name}: cannot open shared object file")

ctypes.CDLL = refuse
"""
