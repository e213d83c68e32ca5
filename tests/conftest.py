"""What every test file shares."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

import gpugrad

settings.load_profile("ci")  # the same examples in every run, and no deadline on a busy machine


def pytest_collection_finish() -> None:
    keep_for_good()


def keep_for_good() -> None:
    """Leave all that is there by now out of later garbage collections: tests and libraries are a million objects, and
    every test that captures a graph or looks for garbage begins with a collection of its own.
    """
    gc.collect()
    gc.freeze()


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
    keep_for_good()
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


@pytest.fixture
def fallen(device: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the ops that were computed on the host so far in this test."""
    from gpugrad.cuda import backend

    backend.require()
    from gpugrad.cuda import array

    names: set[str] = set()
    monkeypatch.setattr(array, "_on_host", names)
    warnings.simplefilter("ignore", array.HostFallbackWarning)
    return names


@pytest.fixture
def on_cupy(fallen: set[str], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the ops whose bodies called functions of CuPy that do work so far in this test.

    Only the simulator tells. What a body's own ops do is theirs, and matrix products are cuBLAS's.
    """
    from gpugrad.cuda import array, backend, gemm

    names: set[str] = set()
    if not backend.simulated():
        return names
    counters, run_body, multiply = backend.cupy().counters, array._run_body, gemm._by_cupy

    def watched(op: Any, *rest: Any) -> Any:
        before, counters.functions = counters.functions, 0
        try:
            return run_body(op, *rest)
        finally:
            if counters.functions:
                names.add(op.name)
            counters.functions = before

    def uncounted(*args: Any) -> Any:
        before = counters.functions
        made = multiply(*args)
        counters.functions = before
        return made

    monkeypatch.setattr(array, "_run_body", watched)
    monkeypatch.setattr(gemm, "_by_cupy", uncounted)
    return names


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def default_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """For `usefixtures`: the test runs on the CPU and, marked `cuda`, with "cuda" as the default device.

    Nothing may fall back to the host there. Random numbers are the CPU's, which are PyTorch's: those that the device
    draws have tests of their own.
    """
    if request.param == "cpu":
        yield "cpu"
        return
    fallen = request.getfixturevalue("fallen")
    from device_tools import draw_on_host

    draw_on_host(monkeypatch)
    with gpugrad.device("cuda"):
        yield "cuda"
    assert not fallen, sorted(fallen)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped with one line for each reason, not one for each test."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")


@pytest.fixture
def ci_code(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of ci/on_device."""
    folder = Path(__file__).parents[1] / "ci" / "on_device"
    monkeypatch.syspath_prepend(folder)
    names = [path.stem for path in folder.glob("*.py")]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)
