"""One run of `gpugrad bench`: first the peers' numbers are compared in every case, then their times.

Each measurement is a process of its own, and the peers take turns, so that a machine that grows slower or faster
meanwhile is so for both. Round by round the peer's time is divided by gpugrad's.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import atomic_write
from .cases import CASES, Case
from .table import table

TOLERANCE = 1e-3  # relative: float32, and sums in another order, over a few steps of training
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """Measure as the options say (see `options.py`), print the table, write the JSON; returns what it holds."""
    cases = choose(options.cases)
    if options.json and not Path(options.json).parent.is_dir():
        raise FileNotFoundError(f"--json {options.json}: there is no folder {Path(options.json).parent}")
    with_peer = options.against != "none"
    peers = {case.peer for case in cases} if with_peer else set()
    require(peers)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # other work makes any figure doubtful
    for case in cases:
        check(case, with_peer, options)
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: importlib.metadata.version(name) for name in sorted({"gpugrad", "numpy", *peers})},
        "threads": options.threads,
        "load": load,
        "cases": [run_case(case, with_peer, options) for case in cases],
    }
    print(table(report))
    if options.json:
        with atomic_write(options.json) as file:
            file.write(json.dumps(report, indent=2).encode() + b"\n")
    return report


def choose(names: Sequence[str]) -> list[Case]:
    """The cases whose names begin with one of `names`, all without any. ValueError if there is none for a name."""
    for name in names:
        if not any(known.startswith(name) for known in CASES):
            raise ValueError(f"no case is called {name!r}; there are: {', '.join(CASES)}")
    return [case for case in CASES.values() if not names or case.name.startswith(tuple(names))]


def require(peers: Iterable[str]) -> None:
    """RuntimeError if a peer is not installed."""
    for peer in sorted(peers):
        if importlib.util.find_spec(peer) is None:
            raise RuntimeError(
                f"{peer} is not installed for {sys.executable}, so there is nothing to compare with: "
                f"install it (pip install {peer}), or time gpugrad alone (--against none)"
            )


def check(case: Case, with_peer: bool, options: argparse.Namespace) -> None:
    """RuntimeError unless the case runs and the peers' numbers are equal."""
    ours, *theirs = (work(case, module, 0.0, options.threads)["numbers"] for module in modules(case, with_peer))
    for numbers in theirs:
        compare(case, ours, numbers)


def run_case(case: Case, with_peer: bool, options: argparse.Namespace) -> dict[str, Any]:
    """Time one case: a row of the report."""
    names = modules(case, with_peer)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(options.rounds):
        print(f"{case.name}: round {number + 1} of {options.rounds}", file=sys.stderr)
        for name in names if number % 2 == 0 else names[::-1]:
            seconds = work(case, name, options.seconds, options.threads)["seconds"]
            times[name].append(float(np.median(seconds)))
    row: dict[str, Any] = {"name": case.name, "seconds": {name: quartiles(t) for name, t in times.items()}}
    if with_peer:
        ratios = [theirs / ours for ours, theirs in zip(times["gpugrad"], times[case.peer])]
        row |= {"peer": case.peer, "ratio": quartiles(ratios), "target": case.target}
    return row


def modules(case: Case, with_peer: bool) -> tuple[str, ...]:
    """The modules a case is measured with."""
    return ("gpugrad", case.peer) if with_peer else ("gpugrad",)


def work(case: Case, module: str, seconds: float, threads: int) -> dict[str, list[float]]:
    """What a worker prints, in a process with `threads` threads; RuntimeError with its error output if it fails."""
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # imports are timed as usual: from cached bytecode
    command = (sys.executable, "-m", "gpugrad.bench.worker", case.name, module, str(seconds))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"case {case.name} failed with {module}:\n{done.stderr.rstrip()}")
    return json.loads(done.stdout)


def compare(case: Case, ours: Sequence[float], theirs: Sequence[float]) -> None:
    """RuntimeError unless the numbers of both peers are equal."""
    same = len(ours) == len(theirs) and all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(ours, theirs))
    if not same:
        raise RuntimeError(
            f"case {case.name}: gpugrad and {case.peer} do not compute the same, so their times say nothing: "
            f"{list(ours)} and {list(theirs)}"
        )


def quartiles(values: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles of the rounds, and the rounds themselves."""
    low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
    return {"median": middle, "quartiles": [low, high], "rounds": list(values)}
