"""The phase `sanitizer`: kernels under each tool of compute-sanitizer, where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jobs
import plugin

import tests

TOOLS = {
    # What a test provokes of the driver on purpose is no fault. Without a pool an array ends where its memory does.
    "memcheck": (["--report-api-errors", "no"], {"GPUGRAD_TEST_NO_POOL": "1"}),
    "racecheck": ([], {}),
    "initcheck": ([], {"GPUGRAD_TEST_NO_POOL": "1"}),
    "synccheck": ([], {}),
}
# Every family of kernels at every size; then what there is time for.
SELECTION = ["tests/test_cuda_sizes.py", "tests/test_kernel_softmax.py", "tests/test_cuda_optim.py"]
LIMIT = 45  # seconds for a test
FAULTS = (
    "Invalid",
    "Misaligned",
    "Out-of-range",
    "Uninitialized",
    "Barrier error",
    "Divergent",
    r"(?:Error|Warning): (?:Potential )?Race",
    "Internal Sanitizer Error",
    "Device not supported",
)
FOUND = re.compile(rf"=========\s+((?:{'|'.join(FAULTS)})\b.*)")
PLACE = re.compile(r"=========\s+at (.*?)(?:\+0x.*)?$")  # the line after the first
SUMMED = re.compile(r"=========\s+(?:ERROR|RACECHECK) SUMMARY: (.*)")


def available() -> bool:
    """Whether the machine has it."""
    return shutil.which("compute-sanitizer") is not None


def run(selection: Sequence[str], deadline: float, scratch: Path, save: Callable[[Any], None]) -> dict[str, Any]:
    """By tool: tests that ran and failed, faults by the test that they were found in."""
    shards = max(1, (os.cpu_count() or 1) // len(TOOLS))
    parts = [(tool, k) for k in range(shards) for tool in TOOLS]
    folder = {part: scratch / f"{part[0]}-{part[1]}" for part in parts}

    def known() -> dict[str, Any]:
        return {tool: summary([folder[tool, k] for k in range(shards)]) for tool in TOOLS}

    def one(part: tuple[str, int]) -> bool:
        return run_shard(part, shards, list(selection or SELECTION), deadline, folder[part])

    for made in folder.values():
        made.mkdir()
    with ThreadPoolExecutor(len(parts)) as pool:
        complete = all(pool.map(one, parts))
    found = {"complete": complete, "tools": known()}
    save(found)
    return found


def run_shard(part: tuple[str, int], shards: int, selection: list[str], deadline: float, folder: Path) -> bool:
    """Run a part of the tests under a tool, in a new process after each fault that ends one; whether all were run."""
    tool, k = part
    options, settings = TOOLS[tool]
    report = folder / "tests.jsonl"
    settings = settings | {"GPUGRAD_TEST_SHARD": f"{k}/{shards}", "GPUGRAD_TEST_LIMIT": str(LIMIT)}
    settings["GPUGRAD_TEST_DONE"] = str(report)
    sanitizer = ["compute-sanitizer", "--tool", tool, *options, "--print-limit", "20"]
    while jobs.seconds_left(deadline) > 5:
        before = len(plugin.finished(report))
        status = jobs.run(
            [*sanitizer, *tests.command(selection, plugins=tests.IN_ONE_PROCESS)],
            deadline,
            folder / "log",
            tests.environment(report, **settings),
        )
        if status in (0, 1, 5):  # 1: tests failed; 5: none are left
            return True
        if status is None:
            return False
        ended = running(folder / "log")
        if ended and ended not in plugin.finished(report):
            why = f"it hung, or ended its process: status {status}"
            row = {"test": ended, "outcome": "failed", "why": why, "seconds": 0}
            with report.open("a") as file:
                file.write(json.dumps(row) + "\n")
        if len(plugin.finished(report)) == before:
            return False
    return False


def running(log: Path) -> str:
    """The test that ran last, by a log."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("@ ")]
    return lines[-1][2:] if lines else ""


def summary(folders: Sequence[Path]) -> dict[str, Any]:
    """Of a tool's parts together: tests passed, tests failed and why, and faults by test, each kind with its number."""
    found: dict[str, Any] = {"passed": 0, "failed": {}, "faults": {}, "said": []}
    for folder in folders:
        rows = tests.read(folder / "tests.jsonl")
        for test, row in tests.outcomes(rows).items():
            if row["outcome"] == "failed":
                found["failed"][test] = row["why"]
            elif row["outcome"] == "passed":
                found["passed"] += 1
        faults, said = faults_in(folder / "log")
        found["faults"] |= faults
        found["said"] += said
    if not found["passed"] and not found["failed"]:
        found["error"] = f"no test ran: {jobs.last_line(folders[0] / 'log')}"
    found["said"] = [f"{count} x {text}" for text, count in Counter(found["said"]).items()]
    return found


def faults_in(log: Path) -> tuple[dict[str, dict[str, int]], list[str]]:
    """What a tool wrote down, by the test that ran, each kind with its place and number; and its summaries."""
    test, faults, said = "before any test", dict[str, Counter[str]](), list[str]()
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    for line, following in zip(lines, [*lines[1:], ""]):
        if line.startswith("@ "):
            test = line[2:]
        elif found := FOUND.search(line):
            place = PLACE.match(following)
            text = re.sub(r"0x[0-9a-f]+", "0x...", found[1]) + (f" at {place[1]}" if place else "")
            faults.setdefault(test, Counter())[text[:300]] += 1
        elif summed := SUMMED.search(line):
            said.append(summed[1])
    return {test: dict(kinds) for test, kinds in faults.items()}, said
