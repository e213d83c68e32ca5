"""`gpugrad bench diff`: what changed between two results, and what is not to be compared."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from bench_tools import InProcess, made_up, row

from gpugrad.__main__ import main
from gpugrad.bench import diff, job
from gpugrad.bench.case import Op
from gpugrad.bench.cases import CASES


def saved(path: Path, results: dict[str, Any]) -> str:
    path.write_text(json.dumps(results))
    return str(path)


def test_a_planted_slow_down_of_two_shows_as_two(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Measured, not made up: the same op, which sleeps, and then sleeps twice as long."""
    monkeypatch.setattr(job, "WorkerProcess", InProcess)
    pause = 0.01

    def nap(torch: Any, x: Any) -> Any:
        time.sleep(pause)
        return x

    case = Op(
        name="nap", group="core", inputs=lambda peer, n: (peer.normal(4),), function=nap, sizes=None, rotates=False
    )
    monkeypatch.setitem(CASES, "nap", case)
    run = ["bench", "nap", "--against", "none", "--devices", "cpu", "--rounds", "6", "--seconds", "0.05", "--out"]
    assert main([*run, str(tmp_path / "a")]) == 0
    pause = 0.02
    assert main([*run, str(tmp_path / "b")]) == 0
    files = [str(tmp_path / name / "results.json") for name in "ab"]
    change = diff.changes(*map(diff.load, files))["nap", 1, "cpu", "gpugrad"]
    assert change[0] == pytest.approx(2, rel=0.1) and change[1] <= change[0] <= change[2]
    capsys.readouterr()
    assert main(["bench", "diff", *files]) == 0
    printed = capsys.readouterr().out
    assert " slower" in printed and "1 slower, 0 faster, 0 the same or not known" in printed
    assert main(["bench", "diff", *files[::-1]]) == 0
    assert " faster" in capsys.readouterr().out


def test_what_is_within_the_interval_or_too_little_is_no_change() -> None:
    assert diff.verdict(1.5, 0.9, 2.5) == ""  # not sure
    assert diff.verdict(1.04, 1.03, 1.05) == ""  # sure, but not worth a word
    assert (diff.verdict(1.5, 1.2, 1.8), diff.verdict(0.5, 0.4, 0.6)) == ("slower", "faster")


def test_rows_of_one_only_and_rows_without_a_time_are_not_compared(tmp_path: Path) -> None:
    both = row("add", 10, "cpu", "gpugrad", 1e-3)
    a = made_up([both, row("old", 10, "cpu", "gpugrad", 1e-3), row("sum", 10, "cpu", "gpugrad", 1e-3)])
    b = made_up([both, row("sum", 10, "cpu", "gpugrad", 1e-3, status="wrong")], threads=1)
    text = diff.diff(saved(tmp_path / "a", a), saved(tmp_path / "b", b))
    assert "timed in A only: old 10 cpu gpugrad, sum 10 cpu gpugrad" in text
    assert "Not the same threads: 2 and 1" in text
    assert "0 slower, 0 faster, 1 the same or not known" in text


def test_a_simulated_result_is_not_compared_with_a_real_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("add", 10, "cuda", "gpugrad", 1e-3)]
    real = saved(tmp_path / "real.json", made_up(rows))
    simulated = saved(tmp_path / "simulated.json", made_up(rows, simulated=True))
    for files in ((real, simulated), (simulated, real)):
        assert main(["bench", "diff", *files]) == 1
        captured = capsys.readouterr()
        assert captured.out == "" and "simulated.json was measured on the simulator" in captured.err
    assert main(["bench", "diff", simulated, simulated]) == 0
    assert capsys.readouterr().out.startswith("SIMULATED")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 0}'])
def test_other_files_are_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text(text)
    assert main(["bench", "diff", str(tmp_path / "x"), str(tmp_path / "x")]) == 1
    assert "is no results.json" in capsys.readouterr().err


def test_diff_takes_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "diff", "one"]) == 1
    assert "diff takes two files" in capsys.readouterr().err
