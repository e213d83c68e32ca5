"""What every test file shares."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from types import ModuleType

import pytest
from hypothesis import settings

settings.load_profile("ci")  # the same examples in every run, and no deadline on a busy machine


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """PyTorch, the peer that results are compared with. Without it a test that asks for it is skipped.

    With GPUGRAD_REQUIRE_PEERS=1 (`ci/test --peers`) a missing PyTorch is an error instead.
    """
    if os.environ.get("GPUGRAD_REQUIRE_PEERS") == "1":
        peer = importlib.import_module("torch")
    else:
        peer = pytest.importorskip("torch", reason="needs PyTorch: ci/test --peers installs it")
    peer.set_num_threads(1)  # its sums, and so its last bits, depend on the number of threads
    return peer


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> str:
    """The device "cuda": the GPU if there is one, else the simulator. For tests marked `cuda`."""
    from device_tools import need

    from gpugrad.cuda import backend

    if not backend.device_count():
        need("g++", "clang++")
        monkeypatch.setenv("GPUGRAD_SIMULATE", "1")
        monkeypatch.setattr(backend, "device_count", lambda: 1)
        backend.cupy.cache_clear()
    return "cuda"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped with one line for each reason, not one for each test."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")
