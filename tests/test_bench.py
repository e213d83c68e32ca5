"""`gpugrad bench`: what it measures, prints and refuses. How long anything takes is not tested."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import gpugrad
from gpugrad.__main__ import main
from gpugrad.bench import job, worker
from gpugrad.bench.cases import CASES, Case
from gpugrad.bench.table import table

QUICK = ["--rounds", "2", "--seconds", "0.001", "--threads", "1"]


def test_gpugrad_alone_is_timed_without_a_peer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    assert main(["bench", "multiply", "import", "--against", "none", "--json", str(file), *QUICK]) == 0
    report = json.loads(file.read_text())
    assert set(report["versions"]) == {"gpugrad", "numpy"} and report["threads"] == 1
    assert [row["name"] for row in report["cases"]] == ["multiply", "import"]
    for row in report["cases"]:
        figures = row["seconds"]["gpugrad"]
        low, high = figures["quartiles"]
        assert 0 < low <= figures["median"] <= high and len(figures["rounds"]) == 2
        assert "ratio" not in row
    heading, _, _, columns, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith("gpugrad ") and columns.startswith("case ")
    assert [line.split()[0] for line in lines] == ["multiply", "import"]


def test_import_is_compared_with_numpy(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert main(["bench", "import", "--json", str(file), *QUICK]) == 0
    (row,) = json.loads(file.read_text())["cases"]
    assert row["peer"] == "numpy" and row["target"] == 1 / 1.6
    ours, theirs = (row["seconds"][name]["rounds"] for name in ("gpugrad", "numpy"))
    assert row["ratio"]["rounds"] == [b / a for a, b in zip(ours, theirs)]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.build])
def test_both_peers_compute_the_same_numbers(torch: ModuleType, name: str) -> None:
    case = CASES[name]
    ours, theirs = (worker.measure(case, peer, 0)["numbers"] for peer in ("gpugrad", "torch"))
    assert ours
    job.compare(case, ours, theirs)


def test_peers_are_timed_side_by_side(torch: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert main(["bench", "multiply", "--json", str(file), *QUICK]) == 0
    report = json.loads(file.read_text())
    assert torch.__version__.startswith(report["versions"]["torch"])
    assert set(report["cases"][0]["seconds"]) == {"gpugrad", "torch"} and report["cases"][0]["peer"] == "torch"


def test_a_case_is_named_by_its_beginning() -> None:
    assert [case.name for case in job.choose(["train-8-", "conv"])] == [
        "train-8-8-8-4-adam",
        "train-8-8-8-4-sgd",
        "conv2d",
    ]
    assert [case.name for case in job.choose([])] == list(CASES)


def test_a_step_that_never_ends_in_the_shortest_time_is_timed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(worker, "time", clock)

    def step() -> tuple[()]:
        clock.now += 0.25
        return ()

    assert worker._time_steps(step, 1.0) == [0.25] * 4


def test_short_steps_are_timed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(worker, "time", clock)
    steps = 0

    def step() -> tuple[()]:
        nonlocal steps
        steps += 1
        clock.now += 2.0**-14
        return ()

    times = worker._time_steps(step, 0.125)
    assert set(times) == {2.0**-14}
    assert len(times) < steps / 50


def test_numbers_that_differ_are_not_timed() -> None:
    case = CASES["multiply"]
    job.compare(case, [1.0, 2.0], [1.0, 2.000001])
    for theirs in ([1.0, 2.1], [1.0]):
        with pytest.raises(RuntimeError, match="multiply: gpugrad and torch do not compute the same"):
            job.compare(case, [1.0, 2.0], theirs)


def test_numbers_depend_on_values_and_on_their_order() -> None:
    def numbers(*values: float) -> list[float]:
        case = Case("values", 1.0, lambda torch: lambda: (torch.tensor(values),))
        return worker.measure(case, "gpugrad", 0)["numbers"]

    assert numbers(1.0, 2.0, 3.0) == numbers(1.0, 2.0, 3.0)
    assert numbers(1.0, 2.0, 3.0) != numbers(1.0, 2.0, 4.0)
    assert numbers(1.0, 2.0, 3.0) != numbers(3.0, 2.0, 1.0)


def test_a_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["bench", "multiply"]) == 1
    captured = capsys.readouterr()
    assert "torch is not installed" in captured.err and "--against none" in captured.err
    assert captured.out == ""


def test_an_unknown_case_is_named_and_the_known_ones_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "multiply", "nothing"]) == 1
    error = capsys.readouterr().err
    assert "'nothing'" in error and "train-8-8-8-4-adam" in error


def test_a_folder_that_is_missing_is_said_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "multiply", "--json", str(tmp_path / "none" / "report.json")]) == 1
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--seconds", "-1"], ["--threads", "x"], ["--against", "jax"]])
def test_wrong_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", *wrong])
    assert stopped.value.code == 2 and wrong[0] in capsys.readouterr().err


def test_a_worker_that_fails_shows_its_error() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)multiply failed with gpugrad\.none:.*No module named 'gpugrad.none'"):
        job.work(CASES["multiply"], "gpugrad.none", 0, 1)


def figures(*seconds: float) -> dict[str, Any]:
    return job.quartiles(seconds)


def test_the_table_says_which_targets_are_met() -> None:
    def row(name: str, ours: float, theirs: float) -> dict[str, Any]:
        seconds = {"gpugrad": figures(ours), "torch": figures(theirs)}
        return {"name": name, "seconds": seconds, "peer": "torch", "ratio": figures(theirs / ours), "target": 2.0}

    report = {"versions": {"gpugrad": gpugrad.__name__}, "python": "3.11", "threads": 2, "load": 0.25}
    text = table({**report, "cases": [row("fast", 0.00025, 0.0005), row("slow", 2.5, 0.25)]})
    assert "load before: 0.2" in text.splitlines()[0]
    fast, slow = text.splitlines()[-2:]
    assert fast.split("  ") == [
        "fast",
        "250.0 us [250.0 250.0]",
        "torch 500.0 us [500.0 500.0]",
        "2.00 [2.00 2.00]",
        ">= 2.00",
        "met",
    ]
    assert [part.strip() for part in slow.split("  ") if part] == [
        "slow",
        "2.5 s [2.5 2.5]",
        "torch 250.0 ms [250.0 250.0]",
        "0.10 [0.10 0.10]",
        ">= 2.00",
        "missed",
    ]
