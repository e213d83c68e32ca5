"""What ci/gpu runs on a machine with a GPU: tests of the CUDA device, timings, kernels under compute-sanitizer.

Each phase has a part of the time, so that each comes to its turn; what one leaves goes to the next. Results are written to
ci/results/<name of the GPU>/results.json and results.md while they come: if all of it is killed, what was known is there.
What each phase's programs printed is in tests.log, timings.log, sanitizer.log beside them.
A phase that is run alone joins what the others left there, if the code is the same. What fails is printed, and the rest
goes on. The exit status is 0 if nothing failed and there was time for everything, 2 without a device, else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jobs
import report
import sanitizer
import timings
import verdict

import tests

ROOT = tests.ROOT
LIMIT = 420.0  # seconds in all
RESERVED = {"timings": 0.43, "sanitizer": 0.25}  # of the limit, for those that come later
SIMULATED = {"timings": 0.3}
SAVE_EVERY = 5.0  # seconds


class Results:
    """What is known, and the files that it is written to."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder, self.saved = folder, 0.0
        self.found: dict[str, Any] = {"about": about, "code": digest()}
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "results.json"
        before = json.loads(file.read_text()) if file.is_file() else {}
        if before.get("code") == self.found["code"]:
            self.found |= {phase: before[phase] for phase in report.PHASES if phase in before}

    def set(self, phase: str, found: dict[str, Any], seconds: float, now: bool = False) -> None:
        """Enter what a phase found so far."""
        self.found[phase] = found | {"seconds": round(seconds, 1)}
        if now or time.monotonic() - self.saved >= SAVE_EVERY:
            self.write()

    def write(self) -> None:
        """Write both files, each in one piece."""
        self.found["failed"], self.found["not done"] = report.failures(self.found), report.unfinished(self.found)
        self.found["wanted"] = [line._asdict() for line in verdict.lines(self.found)]
        self._put("results.json", json.dumps(self.found, indent=1) + "\n")
        self._put("results.md", report.markdown(self.found))
        self.saved = time.monotonic()

    def _put(self, name: str, text: str) -> None:
        new = self.folder / f".{name}"
        new.write_text(text)
        os.replace(new, self.folder / name)


def digest() -> str:
    """A name for the code that is tested."""
    found = hashlib.blake2b(digest_size=8)
    for path in sorted([*ROOT.glob("gpugrad/**/*.py"), *ROOT.glob("kernels/*.cu*"), *ROOT.glob("tests/*.py")]):
        found.update(path.read_bytes())
    return found.hexdigest()


def describe(deadline: float) -> dict[str, Any] | None:
    """What `gpugrad info` says of this machine; None, having said why, without a device that works."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "info"
        jobs.run([sys.executable, "-W", "ignore", "-m", "gpugrad", "info", "--json"], deadline, log)
        text = log.read_text(errors="replace")
    start = text.find("{\n")
    about = json.loads(text[start:]) if start >= 0 else {}
    if about.get("CUDA", {}).get("available"):
        return without_places(about)
    why = about.get("CUDA", {}).get("why") or text[-2000:]
    print(
        f"No CUDA device that CuPy can use was found by {sys.executable}: {why}\nGPUGRAD_SIMULATE=1 ci/gpu tries this without one.",
        file=sys.stderr,
    )
    return None


def without_places(about: dict[str, Any]) -> dict[str, Any]:
    """What others may read of it: not where things lie on this machine, nor its environment."""
    kept = {name: part for name, part in about.items() if name not in ("caches", "compilers", "environment")}
    for name, part in kept.items():
        if isinstance(part, dict):
            kept[name] = {k: v for k, v in part.items() if not (isinstance(v, str) and os.path.isabs(v))}
    for name, part in kept.get("CUDA libraries", {}).items():
        if isinstance(part, dict) and part.get("file"):
            kept["CUDA libraries"][name] = part | {"file": os.path.basename(part["file"])}
    return kept


def plan(phases: Sequence[str], began: float, limit: float, simulated: bool) -> dict[str, float]:
    """By phase the time at which it must have ended: each leaves those after it their part."""
    parts = SIMULATED if simulated else dict(RESERVED)
    if not sanitizer.available():
        parts = {phase: part for phase, part in parts.items() if phase != "sanitizer"}
    return {
        phase: began + limit * (1 - sum(parts.get(later, 0) for later in phases[k + 1 :]))
        for k, phase in enumerate(phases)
    }


@contextlib.contextmanager
def keeping_logs(scratch: Path, file: Path) -> Iterator[None]:
    """Put the ends of all logs in `scratch` into one file, whatever happens."""
    try:
        yield
    finally:
        parts = [f"==== {path.relative_to(scratch)}\n{jobs.end_of(path)}\n" for path in sorted(scratch.rglob("*.log"))]
        if parts:
            file.write_text("".join(parts))


def run_phase(phase: str, deadline: float, selection: Sequence[str], results: Results) -> None:
    """Run a phase, entering what it finds."""
    began = time.monotonic()
    print(f"== {phase}: {jobs.seconds_left(deadline):.0f} s at most", flush=True)

    def save(found: dict[str, Any], now: bool = False) -> None:
        results.set(phase, found, time.monotonic() - began, now)

    about = results.found["about"]
    simulated = about["CUDA"]["simulated"]
    with tempfile.TemporaryDirectory() as folder, keeping_logs(Path(folder), results.folder / f"{phase}.log"):
        scratch = Path(folder)
        if phase == "tests":
            found = tests.run(selection, deadline, scratch, save)
        elif phase == "timings":
            found = timings.run(simulated, deadline, scratch, save)
        elif simulated or not sanitizer.available():
            found = {
                "complete": True,
                "missing": "compute-sanitizer was not run: "
                + ("there is none for a simulated device." if simulated else "it is not on the PATH."),
            }
        else:
            found = sanitizer.run(selection, deadline, scratch, save)
    save(found, now=True)


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for, and write the results."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="ci/gpu", description=__doc__.partition("\n\n")[0])
    parser.add_argument("what", nargs="*", help=f"of {', '.join(report.PHASES)} (default: all); files or ids of tests")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds in all (default: {LIMIT:.0f})")
    parser.add_argument("--results", type=Path, default=ROOT / "ci" / "results", help="folder (default: ci/results)")
    options = parser.parse_args(arguments)
    phases = [phase for phase in report.PHASES if phase in options.what] or list(report.PHASES)
    selection = [word for word in options.what if word not in report.PHASES]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that processes are ended and results written
    about = describe(began + min(90.0, options.limit))
    if about is None:
        return 2
    results = Results(options.results / about["CUDA"]["devices"][0]["name"].replace(" ", "-"), about)
    with tempfile.TemporaryDirectory() as bytecode:
        os.environ["PYTHONPYCACHEPREFIX"] = bytecode  # compiled once for all processes, and not into the checkout
        try:
            for phase, deadline in plan(phases, began, options.limit, about["CUDA"]["simulated"]).items():
                run_phase(phase, deadline, selection, results)
        finally:
            results.write()
    failed, left = results.found["failed"], results.found["not done"]
    print(
        f"== {len(failed)} failed; ended after {time.monotonic() - began:.0f} s; {results.folder}/results.json and .md"
    )
    for name, why in failed.items():
        print(f"FAILED {name}: {why}")
    for text in left:
        print(f"NOT DONE {text}")
    return int(bool(failed or left))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
