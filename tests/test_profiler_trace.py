"""A profile's trace is what the Chrome trace event format says, which Perfetto reads."""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import gpugrad
from gpugrad import nn, optim
from gpugrad.profiler import ProfilerActivity, profile, record_function

CPU = [ProfilerActivity.CPU]
REQUIRED = {  # by phase: the keys an event must have, and the types of their values
    "X": {"name": str, "cat": str, "pid": int, "tid": int, "ts": (int, float), "dur": (int, float), "args": dict},
    "M": {"name": str, "pid": int, "tid": int, "args": dict},
    "C": {"name": str, "pid": int, "ts": (int, float), "args": dict},
}
METADATA = {"process_name", "thread_name"}


def read_trace(path: Path) -> list[Any]:
    """The events of a trace. AssertionError unless they are as the format says and nest on each track."""
    content = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["displayTimeUnit"] in ("ms", "ns")
    tracks = defaultdict(list)
    for event in content["traceEvents"]:
        for key, kind in REQUIRED[event["ph"]].items():
            assert isinstance(event[key], kind), (key, event)
            assert key not in ("pid", "tid") or 0 <= event[key] < 2**32, event
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert event["ts"] >= 0
            tracks[event["pid"], event["tid"]].append(event)
        elif event["ph"] == "M":
            assert event["name"] in METADATA
            assert isinstance(event["args"]["name"], str)
        else:
            assert all(isinstance(value, (int, float)) for value in event["args"].values())
    for track in tracks.values():
        check_nesting(track)
    return content["traceEvents"]


def check_nesting(track: list[Any]) -> None:
    """Of two events on a track one is inside the other, or they do not touch: to the nanosecond, as Perfetto asks."""
    spans = [(round(1e3 * e["ts"]), round(1e3 * e["ts"]) + round(1e3 * e["dur"])) for e in track]
    open_until: list[int] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        while open_until and open_until[-1] <= start:
            open_until.pop()
        assert not open_until or end <= open_until[-1]
        open_until.append(end)


def training(steps: int = 3) -> Any:
    model = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 2))
    optimizer = optim.Adam(model.parameters())
    x = gpugrad.ones(4, 6)
    with profile(activities=CPU, record_shapes=True, profile_memory=True, with_modules=True, with_stack=True) as prof:
        for _ in range(steps):
            with record_function("forward"):
                loss = nn.functional.cross_entropy(model(x), gpugrad.tensor([0, 1, 1, 0]))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return prof


def test_a_trace_is_well_formed_and_nested(tmp_path: Path) -> None:
    prof = training()
    prof.add_metadata("run", "first")
    prof.add_metadata_json("sizes", "[1, 2]")
    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    events = read_trace(tmp_path / "trace.json")
    calls = [e for e in events if e["ph"] == "X"]
    assert len(calls) == len(prof.events())
    linear = next(e for e in calls if e["name"] == "linear")
    assert linear["args"]["Input Dims"] == [[4, 6], [5, 6], [5]]
    assert linear["args"]["Bytes moved"] == 4 * (24 + 30 + 5 + 20)
    assert "training" in linear["args"]["Call stack"]
    by_category = {e["cat"] for e in calls}
    assert by_category == {"cpu_op", "backward_op", "user_annotation", "python_function"}
    content = json.loads((tmp_path / "trace.json").read_text())
    assert (content["run"], content["sizes"], content["record_shapes"]) == ("first", [1, 2], 1)


def test_a_trace_says_what_surrounds_a_call(tmp_path: Path) -> None:
    training().export_chrome_trace(str(tmp_path / "trace.json"))
    calls = [e for e in read_trace(tmp_path / "trace.json") if e["ph"] == "X"]

    def inside(name: str) -> set[str]:
        around = next(e for e in calls if e["name"] == name)
        end = around["ts"] + around["dur"]
        return {e["name"] for e in calls if around["ts"] <= e["ts"] and e["ts"] + e["dur"] <= end} - {name}

    assert {"nn.Module: Sequential", "nn.Module: Linear", "linear", "gelu", "cross_entropy"} <= inside("forward")
    assert "LinearBackward0" not in inside("forward")
    assert "adam_update" in inside("Optimizer.step#Adam.step")


def test_threads_have_tracks_with_their_names(tmp_path: Path) -> None:
    done, may_end = threading.Event(), threading.Event()

    def work() -> None:
        gpugrad.ones(2) + 1
        done.set()
        may_end.wait()

    thread = threading.Thread(target=work, name="loader")
    with profile(activities=CPU) as prof:
        gpugrad.ones(2)
        thread.start()
        done.wait()
    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    may_end.set()
    thread.join()
    events = read_trace(tmp_path / "trace.json")
    named = {e["args"]["name"]: e["tid"] for e in events if e["name"] == "thread_name"}
    assert next(e["tid"] for e in events if e["name"] == "add") == named["loader"]
    assert {e["pid"] for e in events} == {os.getpid()}


def test_memory_is_a_counter(tmp_path: Path) -> None:
    with profile(activities=CPU, profile_memory=True) as prof:
        kept = gpugrad.ones(100_000)
    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    (counter,) = [e for e in read_trace(tmp_path / "trace.json") if e["ph"] == "C"]
    assert counter["args"]["bytes"] == pytest.approx(kept.numel() * 4, rel=0.01)


def test_sums_of_events_have_no_trace(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"export the trace of profile\.events"):
        training(1).key_averages().export_chrome_trace(str(tmp_path / "trace.json"))


def test_the_check_of_traces_finds_what_does_not_nest() -> None:
    with pytest.raises(AssertionError):
        check_nesting([{"ts": 0, "dur": 2}, {"ts": 1, "dur": 2}])
    check_nesting([{"ts": 0, "dur": 2}, {"ts": 1, "dur": 1}, {"ts": 2, "dur": 1}])
