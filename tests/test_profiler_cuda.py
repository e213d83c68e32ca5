"""The profiler on the CUDA device: times between events, the pool's memory, copies, graphs, NVTX ranges."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from test_profiler_trace import read_trace

import gpugrad
from gpugrad import nn, optim
from gpugrad.cuda import backend, nvtx
from gpugrad.profiler import ProfilerActivity, profile, record_function, supported_activities

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def on_device(device: str) -> None:
    """Every test runs on the device."""


def program() -> Any:
    x = gpugrad.ones(64, 100).to("cuda").requires_grad_()
    y = gpugrad.softmax(x * 2, 1)
    (y * y).sum().backward()
    return x.grad


def test_ops_carry_their_time_on_the_device(tmp_path: Path) -> None:
    program()
    assert supported_activities() == {ProfilerActivity.CPU, ProfilerActivity.CUDA}
    with profile(record_shapes=True) as prof:
        with record_function("all"):
            program().cpu()
        gpugrad.ones(3) - 1
    rows = {row.key: row for row in prof.key_averages()}
    for name in ("mul", "softmax", "MulBackward0", "SoftmaxBackward0", "sum", "Memcpy HtoD", "Memcpy DtoH"):
        assert rows[name].device_time_total > 0, name
    assert rows["sub"].device_time_total == 0
    assert rows["all"].self_device_time_total == 0
    inside = [e for e in prof.events() if e.cpu_parent is not None and e.cpu_parent.name == "all"]
    assert rows["all"].device_time_total == pytest.approx(sum(e.device_time_total for e in inside))
    assert rows["Memcpy HtoD"].bytes_moved == rows["Memcpy DtoH"].bytes_moved == 64 * 100 * 4

    table = prof.key_averages().table(sort_by="self_cuda_time_total")
    label = "CUDA(SIM)" if backend.simulated() else "CUDA"
    assert f"Self {label} time total: " in table
    assert ("The CUDA device is simulated: its times say nothing of a GPU's." in table) == backend.simulated()

    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    events = read_trace(tmp_path / "trace.json")
    there = [e for e in events if e.get("cat") == "gpu_op"]
    assert {"mul", "softmax", "Memcpy DtoH"} <= {e["name"] for e in there}
    (pid,) = {e["pid"] for e in there}
    assert {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "ts": 0, "args": {"name": f"{label} 0"}} in events
    assert bool(json.loads((tmp_path / "trace.json").read_text())["notes"]) == backend.simulated()


def test_streams_and_threads_have_tracks_of_their_own(tmp_path: Path) -> None:
    x = gpugrad.ones(50).to("cuda")
    x * 2

    def work() -> None:
        for _ in range(30):
            x * 2

    with profile() as prof:
        threads = [threading.Thread(target=work, name=name) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with gpugrad.cuda.stream(gpugrad.cuda.Stream()):
            x * 3
    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    events = read_trace(tmp_path / "trace.json")
    there = [e for e in events if e.get("cat") == "gpu_op"]
    assert len(there) == 61
    named = {e["args"]["name"] for e in events if e["name"] == "thread_name" and e["pid"] == there[0]["pid"]}
    assert len({e["tid"] for e in there}) == len(named) == 3
    assert sum("given work by" in name for name in named) == 2


def test_without_its_activity_the_device_is_not_timed() -> None:
    with profile(activities=[ProfilerActivity.CPU]) as prof:
        program()
    assert {"mul", "MulBackward0"} <= {e.name for e in prof.events()}
    assert all(e.device_time_total == 0 for e in prof.events())
    assert "CUDA" not in prof.key_averages().table()


def test_memory_is_what_the_pool_says() -> None:
    program()
    pool = backend.cupy().get_default_memory_pool()
    before = pool.used_bytes()
    with profile(profile_memory=True) as prof:
        with record_function("kept"):
            kept = gpugrad.ones(1000, 1000).to("cuda")
        held = pool.used_bytes()
        with record_function("dropped"):
            kept * 2
    rows = {row.key: row for row in prof.key_averages()}
    assert rows["kept"].device_memory_usage == held - before >= 4_000_000
    assert rows["dropped"].device_memory_usage == 0
    assert rows["mul"].device_memory_usage == pytest.approx(4_000_000, rel=0.01)
    assert prof.memory_peak["cuda"] == pytest.approx(before + 8_000_000, rel=0.01)
    assert "CUDA memory: " in prof.key_averages().table()


def test_the_peak_is_the_devices_own_and_leaves_the_users_alone() -> None:
    program()
    gpugrad.cuda.reset_peak_memory_stats()
    with profile(profile_memory=True) as prof:
        program()
    assert prof.memory_peak["cuda"] == gpugrad.cuda.max_memory_allocated()
    big = gpugrad.ones(500_000).to("cuda")
    peak = gpugrad.cuda.max_memory_allocated()
    assert peak >= prof.memory_peak["cuda"]
    del big
    with profile(profile_memory=True) as prof:
        program()
    assert prof.memory_peak["cuda"] < peak == gpugrad.cuda.max_memory_allocated()


def test_a_graph_is_captured_and_replayed_inside_a_profile() -> None:
    x = gpugrad.ones(32).to("cuda")
    y = x * 3
    graph = gpugrad.cuda.CUDAGraph()
    with profile() as prof:
        with gpugrad.cuda.graph(graph):
            y = x * 3
        x.fill_(2)
        graph.replay()
    assert y.tolist() == [6] * 32
    replay = next(e for e in prof.events() if e.name == "cudaGraphLaunch")
    assert replay.device_time_total > 0
    captured = next(e for e in prof.events() if e.name == "mul")
    assert captured.device_time_total == 0  # it was written down, not done


def test_a_training_step_of_modules() -> None:
    model = nn.Sequential(nn.Linear(8, 4), nn.GELU()).to("cuda")
    optimizer = optim.Adam(model.parameters())
    x = gpugrad.ones(2, 8).to("cuda")
    with profile(with_modules=True) as prof:
        model(x).sum().backward()
        optimizer.step()
    rows = {row.key: row for row in prof.key_averages()}
    assert rows["nn.Module: GELU"].device_time_total == pytest.approx(rows["gelu"].device_time_total)
    assert rows["Optimizer.step#Adam.step"].device_time_total > 0
    assert rows["GeluBackward0"].self_device_time_total > 0


class Recorded:
    """CuPy's binding of NVTX, as far as what it is called with."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def RangePush(self, message: str) -> None:
        self.calls.append(message)

    def RangePop(self) -> None:
        self.calls.append(None)

    def Mark(self, message: str) -> None:
        self.calls.append(f"mark {message}")

    def RangeStart(self, message: str, color: Any) -> int:
        self.calls.append(f"start {message}")
        return 7

    def RangeEnd(self, handle: int) -> None:
        self.calls.append(f"end {handle}")


def test_calls_are_nvtx_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded()
    monkeypatch.setattr(nvtx, "_library", lambda: recorded)
    x = gpugrad.ones(4).to("cuda")
    recorded.calls.clear()
    with profile(), record_function("step"):
        x * 2
    assert recorded.calls == ["step", "mul", None, None]
    recorded.calls.clear()
    with pytest.raises(ZeroDivisionError), profile():
        record_function("left open").__enter__()
        raise ZeroDivisionError
    assert recorded.calls == ["left open", None]


def test_ranges_of_the_users() -> None:
    nvtx_ = gpugrad.cuda.nvtx
    assert nvtx_.range_push("outer") == 0
    with nvtx_.range("step {}", 3):
        assert nvtx_.range_push("inner") == 2
        assert nvtx_.range_pop() == 2
    assert nvtx_.range_pop() == 0
    nvtx_.mark("here")
    nvtx_.range_end(nvtx_.range_start("from here"))


def test_ranges_of_the_users_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded()
    monkeypatch.setattr(nvtx, "_library", lambda: recorded)

    @nvtx.range("call {name}", name="f")
    def f() -> None:
        nvtx.mark("inside")

    f()
    nvtx.range_end(nvtx.range_start("over threads"))
    assert recorded.calls == ["call f", "mark inside", None, "start over threads", "end 7"]


@pytest.mark.parametrize("library", ["gpugrad", "torch"])
def test_without_a_device_ranges_are_an_error(
    library: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(backend, "device_count", lambda: 0)
    found = gpugrad if library == "gpugrad" else request.getfixturevalue("torch")
    if library == "torch" and found.cuda.is_available():
        pytest.skip("needs a PyTorch without a device")
    for call in (lambda x: x.range_push("a"), lambda x: x.range_pop(), lambda x: x.mark("a")):
        with pytest.raises(RuntimeError, match="NVTX functions not installed"):
            call(found.cuda.nvtx)
