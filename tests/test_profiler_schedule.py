"""The profiler's schedule of steps, and what happens when a recording is complete."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import gpugrad
from gpugrad.profiler import ProfilerAction, ProfilerActivity, profile, schedule, tensorboard_trace_handler

CPU = [ProfilerActivity.CPU]


def test_a_schedule_is_pytorchs(torch: Any) -> None:
    values = {"wait": (0, 2), "warmup": (1, 2), "active": (1, 3), "repeat": (0, 2), "skip_first": (0, 3)}
    for chosen in itertools.product(*values.values(), (0, 1)):
        given = dict(zip((*values, "skip_first_wait"), chosen, strict=True))
        ours, theirs = schedule(**given), torch.profiler.schedule(**given)
        assert [ours(i).name for i in range(30)] == [theirs(i).name for i in range(30)], given


@pytest.mark.parametrize("library", ["gpugrad", "torch"])
def test_a_schedule_that_cannot_be_is_refused(library: str, request: pytest.FixtureRequest) -> None:
    p = (gpugrad if library == "gpugrad" else request.getfixturevalue("torch")).profiler
    with pytest.raises(AssertionError, match=r"active=0 \(need > 0\)"):
        p.schedule(wait=0, warmup=1, active=0)
    with pytest.raises(AssertionError, match="Step must be non-negative"):
        p.schedule(wait=0, warmup=1, active=1)(-1)
    with pytest.warns(UserWarning, match="won't be using warmup"):
        p.schedule(wait=0, warmup=0, active=1)


def steps_that_arrive(library: Any, steps: int, **given: Any) -> list[Any]:
    """At each end of a recording: the step, and the names of its events that both libraries have."""
    arrived = []

    def ready(prof: Any) -> None:
        found = [e.name.removeprefix("aten::") for e in prof.events()]
        arrived.append((prof.step_num, [n for n in found if n in ("ProfilerStep*", "add", "mul")]))

    p = library.profiler
    with p.profile(activities=[p.ProfilerActivity.CPU], on_trace_ready=ready, **given) as prof:
        for _ in range(steps):
            library.ones(3) + 1
            prof.step()
        library.ones(3) * 2
    return arrived


@pytest.mark.filterwarnings("ignore:.*Profiler clears events")  # theirs says so once
@pytest.mark.parametrize("steps", [1, 3, 4, 7, 9])
def test_recordings_arrive_as_in_pytorch(torch: Any, steps: int) -> None:
    ours, theirs = (
        steps_that_arrive(lib, steps, schedule=lib.profiler.schedule(wait=1, warmup=1, active=2, repeat=2))
        for lib in (gpugrad, torch)
    )
    assert ours == theirs
    ours, theirs = (steps_that_arrive(library, steps) for library in (gpugrad, torch))
    assert ours == theirs == [(steps, ["add"] * steps + ["mul"])]


def test_events_of_earlier_cycles_can_be_kept() -> None:
    kept = []
    plan = schedule(wait=0, warmup=1, active=1)
    with profile(
        activities=CPU, schedule=plan, on_trace_ready=lambda p: kept.append(len(p.events())), acc_events=True
    ) as p:
        for _ in range(6):
            gpugrad.ones(1)
            p.step()
    assert kept == [2, 4, 6]


def test_a_schedule_of_ones_own() -> None:
    actions = [ProfilerAction.NONE, ProfilerAction.RECORD_AND_SAVE, ProfilerAction.RECORD_AND_SAVE]
    counts = []
    with profile(
        activities=CPU, schedule=lambda step: actions[step % 3], on_trace_ready=lambda p: counts.append(len(p.events()))
    ) as prof:
        for n in range(3):
            for _ in range(n):
                gpugrad.ones(1)
            prof.step()
    assert counts == [1 + 1, 2 + 1]


def test_a_profile_can_be_used_again() -> None:
    prof = profile(activities=CPU)
    for count in (1, 2):
        with prof:
            for _ in range(count):
                gpugrad.ones(1)
        assert len(prof.events()) == count
    prof.step()  # between two uses there is no step to end
    assert len(prof.events()) == 2


def test_a_handler_that_fails_leaves_no_profile_on() -> None:
    def fail(prof: Any) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), profile(activities=CPU, on_trace_ready=fail):
        pass
    with profile(activities=CPU):
        pass


@pytest.mark.parametrize("compressed", [False, True])
def test_traces_are_left_for_tensorboard(tmp_path: Path, compressed: bool) -> None:
    handler = tensorboard_trace_handler(str(tmp_path / "a" / "b"), "worker", use_gzip=compressed)
    with profile(activities=CPU, on_trace_ready=handler):
        gpugrad.ones(3) + 1
    (file,) = (tmp_path / "a" / "b").iterdir()
    assert file.name.startswith("worker.")
    assert file.name.endswith(".pt.trace.json.gz" if compressed else ".pt.trace.json")
    text = gzip.decompress(file.read_bytes()) if compressed else file.read_bytes()
    assert {e["name"] for e in json.loads(text)["traceEvents"] if e["ph"] == "X"} == {"ones", "add"}
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="Can't create directory"):
        tensorboard_trace_handler(str(tmp_path / "file" / "x"))(profile(activities=CPU))
