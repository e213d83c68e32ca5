"""What ci/gpu runs on a machine with a GPU: the tests of the CUDA device, kernels timed, kernels under compute-sanitizer.

Each test file, each bench and each sanitizer is a process of its own, so that a fault of one kernel hides no other; what
fails is printed, and the rest goes on. It ends within 8 minutes: what finds no time left has failed. Results are written
to ci/results/<name of the GPU>/results.json and results.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGAN = time.monotonic()
LIMIT = 470  # seconds in all
TESTS_END, BENCH_END = 330, 400  # by when the tests and the bench must have ended
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
BENCH = ["-W", "ignore", "-m", "gpugrad.bench.device"]


def run(command: Sequence[str], ends: float) -> tuple[int, str]:
    """Exit status and output of a command that must have ended by then; 124 if it had not."""
    left = ends - (time.monotonic() - BEGAN)
    if left < 5:
        return 124, "no time was left for it"
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=left)
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
        return 124, f"{said}\nended after {left:.0f} s, when its time was over"
    return done.returncode, done.stdout


def python(*arguments: str) -> list[str]:
    """The command that runs this interpreter."""
    return [sys.executable, *arguments]


# ---- tests ----


def test_files() -> list[str]:
    """The files with tests of the CUDA device, those that take longest first."""
    mark = re.compile(
        r"mark\.cuda|each_device|default_device"
    )  # the last two: of the fixture that runs tests there too
    marked = [path for path in sorted(ROOT.glob("tests/test_*.py")) if mark.search(path.read_text())]
    return [str(path.relative_to(ROOT)) for path in sorted(marked, key=lambda path: -path.stat().st_size)]


def test(file: str) -> dict[str, Any]:
    """Run the `cuda` tests of a file: how many passed, and what did not, with the last line of why."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-m", "cuda", "--tb=short", "-p", "no:cacheprovider", f"--junit-xml={report}"]
        status, said = run(python("-m", "pytest", file, *options), TESTS_END)
        found = read_report(report) if report.exists() else {"passed": 0, "skipped": 0, "failed": {}}
    if status and not found["failed"]:
        found["failed"][file] = said.strip().splitlines()[-1][:300] if said.strip() else f"exit status {status}"
    found |= {"seconds": round(time.monotonic() - began, 1), "status": status}
    failures = "".join(f"\n  {name}: {why}" for name, why in found["failed"].items())
    print(
        f"{file}: {found['passed']} passed, {found['skipped']} skipped, {len(found['failed'])} failed{failures}",
        flush=True,
    )
    return found


def read_report(path: Path) -> dict[str, Any]:
    """The counts of pytest's report, and of each failure the first line of why."""
    counts: dict[str, Any] = {"passed": 0, "skipped": 0, "failed": {}}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        bad = [part for part in case if part.tag in ("failure", "error")]
        if bad:
            why = re.findall(r"^E\s+(.*)", bad[0].text or "", re.MULTILINE) or [bad[0].get("message") or "no message"]
            counts["failed"][case.get("name")] = why[0][:300]
        else:
            counts["skipped" if case.find("skipped") is not None else "passed"] += 1
    return counts


# ---- kernels ----


def bench(folder: Path, simulated: bool) -> dict[str, Any]:
    """The bench's figures; {"error": ...} if there are none."""
    status, said = run(python(*BENCH, "--out", str(folder), *(["--small"] if simulated else [])), BENCH_END)
    print(said, flush=True)
    file = folder / "kernels.json"
    if not file.exists():
        return {"error": said.strip().splitlines()[-1][:300] if said.strip() else f"exit status {status}", "cases": []}
    return json.loads(file.read_text())


def sanitize() -> dict[str, str]:
    """What each tool of compute-sanitizer says in the end of every kernel of the bench; nothing where there is none."""
    if shutil.which("compute-sanitizer") is None:
        return {}
    found = {}
    for k, tool in enumerate(SANITIZERS):
        now = time.monotonic() - BEGAN
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *python(*BENCH, "--small", "--worker")]
        status, said = run(command, now + (LIMIT - now) / (len(SANITIZERS) - k))
        summary = [line for line in said.splitlines() if "SUMMARY" in line]
        found[tool] = f"exit status {status}: {(summary or said.strip().splitlines() or [''])[-1][:200]}"
        print(f"{tool}: {found[tool]}", flush=True)
        if status:
            print("\n".join(said.splitlines()[:40]), flush=True)
    return found


# ---- results ----


def table(found: dict[str, Any], kernels: str) -> str:
    """All results as Markdown; `kernels` is the bench's own table."""
    lines = [kernels or f"# {found['device']}\n\nThe bench gave no figures: {found['kernels'].get('error')}\n"]
    lines += ["| tests | passed | skipped | failed | seconds |", "|---|---|---|---|---|"]
    for file, row in found["tests"].items():
        lines.append(f"| {file} | {row['passed']} | {row['skipped']} | {len(row['failed'])} | {row['seconds']} |")
    lines += [f"\n{tool}: {said}" for tool, said in found["sanitizer"].items()]
    lines += [f"\nFAILED {name}: {why}" for name, why in failures(found).items()]
    return "\n".join([*lines, ""])


def failures(found: dict[str, Any]) -> dict[str, str]:
    """Everything that failed, and why."""
    failed = {f"{file}::{name}": why for file, row in found["tests"].items() for name, why in row["failed"].items()}
    if "error" in found["kernels"]:
        failed["the bench"] = found["kernels"]["error"]
    for row in found["kernels"]["cases"]:
        if "error" in row["gpugrad"]:
            failed[f"the bench of {row['case']}"] = row["gpugrad"]["error"].strip().splitlines()[-1][:300]
    failed |= {tool: said for tool, said in found["sanitizer"].items() if not said.startswith("exit status 0")}
    return failed


def main(files: Iterable[str]) -> int:
    """Run everything, write the results; 0 if nothing failed, 2 without a device."""
    import gpugrad
    from gpugrad.cuda import backend

    if not gpugrad.cuda.is_available():
        print(
            f"No CUDA device that CuPy can use was found by {sys.executable}. GPUGRAD_SIMULATE=1 ci/gpu tries this without one.",
            file=sys.stderr,
        )
        return 2
    device = gpugrad.cuda.get_device_name()
    folder = ROOT / "ci" / "results" / device.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    chosen = list(files) or test_files()
    print(f"== {len(chosen)} files of tests on {device}", flush=True)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        tests = dict(zip(chosen, pool.map(test, chosen)))
    print("== kernels against the bandwidth of a copy", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        kernels = bench(Path(scratch), backend.simulated())
        written = Path(scratch) / "kernels.md"
        text = written.read_text() if written.exists() else ""
    found: dict[str, Any] = {"device": device, "tests": tests, "kernels": kernels, "sanitizer": sanitize()}
    found["failed"], found["seconds"] = failures(found), round(time.monotonic() - BEGAN, 1)
    (folder / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "results.md").write_text(table(found, text))
    print(
        f"== {len(found['failed'])} failed; ended after {found['seconds']} s; {folder.relative_to(ROOT)}/results.json and .md"
    )
    for name, why in found["failed"].items():
        print(f"FAILED {name}: {why}")
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
