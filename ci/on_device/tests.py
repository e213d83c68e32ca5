"""The phase `tests`: every test marked `cuda`, in many processes on one device."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jobs

ROOT = Path(__file__).resolve().parents[2]
# A file with one of these has tests of the device; the last two are of the fixture that runs tests there too.
MARK = re.compile(r"mark\.cuda|each_device|default_device")
FIRST = ("test_cuda_sizes", "test_kernel_softmax", "test_cuda_", "")  # beginnings of file names, in order of importance
AFTER = "test_cuda_op_table"  # of the files of kernels the last, since it is the longest
MOST_PROCESSES = 15
# Warnings are errors, as in CI, but for those that say what a later version of somebody's library will not do any more:
# which versions there are is not ours to choose here.
WARNINGS = "\n".join(
    [
        "error",
        *(f"default::{w}Warning" for w in ("Deprecation", "PendingDeprecation", "Future")),
        "ignore:Unknown config option:pytest.PytestConfigWarning",  # of a plugin that is missing
    ]
)
# Of what is installed, all that is loaded: others have options, warnings and fixtures of their own.
IN_ONE_PROCESS = ("timeout", "hypothesispytest")
PLUGINS = ("xdist", *IN_ONE_PROCESS)


def files(folder: Path = ROOT / "tests") -> list[str]:
    """The files with tests of the device, the most important first."""

    def rank(path: Path) -> tuple[int, bool, int]:
        place = next(k for k, start in enumerate(FIRST) if path.name.startswith(start))
        return place, path.stem == AFTER, -path.stat().st_size

    marked = [path for path in folder.glob("test_*.py") if MARK.search(path.read_text())]
    return [os.path.relpath(path, ROOT) for path in sorted(marked, key=rank)]


def available(*plugins: str) -> list[str]:
    """Which of these plugins of pytest are installed."""
    found = {entry.name for entry in importlib.metadata.entry_points(group="pytest11")}
    return [name for name in plugins if name in found]


def command(selection: Sequence[str], *options: str, plugins: Sequence[str] = PLUGINS) -> list[str]:
    """Run the tests of the device among these with our plugin, and with those of `plugins` that are installed."""
    fixed = ["-q", "-m", "cuda", "--tb=short", "--continue-on-collection-errors", "-p", "no:cacheprovider"]
    for name in (*available(*plugins), "plugin"):
        fixed += ["-p", name]
    # --strict-config would refuse the settings of a plugin that is missing here
    settings = ["addopts=-rfExX --strict-markers", f"filterwarnings={WARNINGS}", "timeout=0"]
    for setting in settings:
        fixed += ["-o", setting]
    return [sys.executable, "-m", "pytest", *fixed, *options, *selection]


def environment(report: Path, **settings: str) -> dict[str, str]:
    """What the plugin reads, and what lets many processes share a machine; plugins that happen to be there are not loaded."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    fixed = {
        "PYTHONPATH": path,
        "MPLBACKEND": "Agg",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "",
        "PYTEST_ADDOPTS": "",
    }
    return fixed | {"GPUGRAD_TEST_REPORT": str(report)} | threads | settings


def run(selection: Sequence[str], deadline: float, scratch: Path, save: Callable[[Any], None]) -> dict[str, Any]:
    """Run the tests; `save` is given what is known every second. What it returns is what `summary` does."""
    found = _run(min(MOST_PROCESSES, max(2, (os.cpu_count() or 1) - 1)), selection, deadline, scratch / "many", save)
    if "error" in found and not any(row["passed"] for row in found["files"].values()):
        why = found["error"]  # a device may be one process's alone
        found = _run(1, selection, deadline, scratch / "one", save) | {"in one process because": why}
    return found


def _run(
    processes: int, selection: Sequence[str], deadline: float, scratch: Path, save: Callable[[Any], None]
) -> dict[str, Any]:
    scratch.mkdir()
    report, log = scratch / "tests.jsonl", scratch / "tests.log"
    together = ["-n", str(processes), "--dist", "load", "--maxschedchunk", "4", "--max-worker-restart", "1000"]
    if not available("xdist"):
        together = []
    limit = {"CUPY_GPU_MEMORY_LIMIT": f"{max(12, 80 // processes)}%"}  # few tests need much, and none all of it
    status = jobs.run(
        command(selection or files(), *together),
        deadline,
        log,
        environment(report, **limit),
        meanwhile=lambda: save(summary(report, None)),
    )
    found = summary(report, status)
    if status not in (0, 1, None) or not found["files"]:  # 1: tests failed
        found["error"] = f"pytest ended with status {status}: {jobs.last_line(log)}"
    return found


def summary(report: Path, status: int | None) -> dict[str, Any]:
    """By file what passed, was skipped, failed and why, and how many were not run; whether all were."""
    rows = read(report)
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        for file, count in row.get("collected", {}).items():
            found[file] = {"passed": 0, "skipped": 0, "failed": {}, "not run": count, "seconds": 0.0}
    for test, row in outcomes(rows).items():
        file, _, name = test.partition("::")
        of_file = found.setdefault(file, {"passed": 0, "skipped": 0, "failed": {}, "not run": 0, "seconds": 0.0})
        if row["outcome"] == "failed":
            of_file["failed"][name or file] = row["why"]
        else:
            of_file[row["outcome"]] += 1
        of_file["not run"] = max(0, of_file["not run"] - 1)
        of_file["seconds"] = round(of_file["seconds"] + row["seconds"], 2)
    skipped = skip_reasons(rows)
    complete = status in (0, 1) and not any(row["not run"] for row in found.values())
    return {"complete": complete, "files": found, "skipped because": skipped}


def read(report: Path) -> list[dict[str, Any]]:
    """The lines of a report file; the last may be half written."""
    rows = []
    for line in report.read_text().splitlines() if report.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def outcomes(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By test what came of it: failed with the first reason if any part of it did; the seconds of its parts together."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if "test" not in row:
            continue
        known = found.setdefault(row["test"], {**row, "seconds": 0.0})
        if row["outcome"] == "failed" != known["outcome"]:
            known.update(outcome="failed", why=row["why"])
        known["seconds"] += row["seconds"]
    return found


def skip_reasons(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Why tests were skipped, and how many."""
    counts: dict[str, int] = {}
    for row in rows:
        if row.get("outcome") == "skipped":
            why = row["why"].removeprefix("Skipped: ")
            counts[why] = counts.get(why, 0) + 1
    return counts
