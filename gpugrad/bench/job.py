"""One run of `gpugrad bench`: for each case and size, results are compared, then the peers are timed in turn.

Each peer is a process of its own. They make ready at the same time, and are timed one at a time: they take turns, forwards and backwards, so that a machine that grows slower or
faster meanwhile is so for all; round by round a peer's time is divided by gpugrad's. Rounds go on until the median of
every peer is known well enough, or there have been many.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import atomic_write
from ..cuda import backend
from . import ceilings, machine, table
from .case import Case
from .cases import choose
from .digest import TOLERANCES, Digest, difference
from .figures import half_width, summary
from .peer import ALIASES, missing, warm_up
from .plan import Plan, make_plan
from .workers import PeerError, WorkerProcess

FORMAT = 1  # of results.json
FEWEST, MOST = 6, 15  # rounds; 6 are the fewest that make 95% sure of a median
CEILING_ROUNDS = 5
WITHIN = 0.05  # of the median: how narrow its interval is to be
CURVE_STEPS = 60
ITEM_SIZES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


class Workers(dict[str, WorkerProcess]):
    """A process for each peer, made when first asked for."""

    def __init__(self, dtype: str, threads: int, patience: float | None) -> None:
        self.dtype, self.threads, self.patience = dtype, threads, patience
        self.exact: WorkerProcess | None = None

    def __missing__(self, peer: str) -> WorkerProcess:
        self[peer] = worker = WorkerProcess(peer, self.dtype, self.threads, patience=self.patience)
        return worker

    def start(self, peers: Sequence[str]) -> None:
        """Start gpugrad and those peers that can be run."""
        for peer in ("gpugrad", *(ALIASES.get(peer, peer) for peer in peers)):
            if missing(peer) is None:
                self[peer].start()

    def reference(self, library: str) -> WorkerProcess:
        """The process that computes in float64 what others are compared with."""
        if self.exact is None:
            self.exact = WorkerProcess(library, "float64", machine.cores(), patience=self.patience)
        return self.exact

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in (*self.values(), *([self.exact] if self.exact else [])):
            worker.close()


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """Measure as the options say (see `options.py`), print the table as it grows, write `results.json`; returns what it holds."""
    cases = choose(options.cases)
    if options.sizes and len({case.unit for case in cases if case.sizes is not None}) > 1:
        raise ValueError(
            "--sizes are elements for ops, layers and transfer, but rows of a batch for train: give one of them"
        )
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with Workers(options.dtype, options.threads, options.patience) as workers:
        workers.start(options.against)
        plan = make_plan(cases, options.devices, options.against, workers, backend.simulated())
        workers.reference(plan.reference).start()
        results = _heading(options, plan)
        run = Run(options, plan, workers, results)
        run.measure_ceilings(cases)
        print(table.heading(results), flush=True)
        for case in cases:
            run.measure(case)
            _write(out, results)
    results["load"].append(machine.load())
    _write(out, results)
    print(table.ending(results))
    return results


def _heading(options: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "simulated": plan.simulated,
        "machine": machine.describe(),
        "devices": {device: plan.facts["gpugrad"]["devices"][device] for device in plan.peers},
        "versions": {library: facts["version"] for library, facts in plan.facts.items()} | {"numpy": np.__version__},
        "threads": options.threads,
        "dtype": options.dtype,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "load": [machine.load()],  # other work makes any figure doubtful
        "left_out": plan.left_out,
        "reference": plan.reference,
        "ceilings": {},
        "rows": [],
        "curves": [],
    }


def _write(out: Path, results: dict[str, Any]) -> None:
    with atomic_write(out / "results.json") as file:
        file.write(json.dumps(results, indent=1).encode() + b"\n")


class Run:
    """The measuring itself; rows are added to `results`."""

    def __init__(self, options: argparse.Namespace, plan: Plan, workers: Workers, results: dict[str, Any]) -> None:
        self.options, self.plan, self.workers, self.results = options, plan, workers, results
        self.progress = table.Progress()
        cache = plan.facts["gpugrad"].get("cuda", {}).get("cache")
        self.past = {
            "cpu": 2 * min(results["machine"]["cache"] or machine.MOST_CACHE, machine.MOST_CACHE),
            "cuda": 0 if plan.simulated else 2 * min(cache or machine.MOST_CACHE, machine.MOST_CACHE),
        }

    def measure_ceilings(self, cases: Sequence[Case]) -> None:
        """Copy bandwidth and rate of a large product on each device: the best of what the peers reach."""
        asked = not self.options.no_ceilings and any(case.arrays or case.flops for case in cases)
        if self.results["simulated"] or not asked:
            return
        for device in self.plan.peers:
            found = self.results["ceilings"][device] = {}
            for what, case, n in ceilings.probes(device, self.options.dtype):
                self.progress.say(f"ceiling of {device}: {what}")
                rows = self._time_all(case, n, self.plan.runners(case, {device: [n]}, n), CEILING_ROUNDS, check=False)
                times = [(min(row["seconds"]["rounds"]), row["peer"]) for row in rows if row["status"] == "ok"]
                if times:
                    work = dict(zip(("bytes", "flops"), case.work(n, self._item)))[ceilings.UNITS[what]]
                    found[what] = {"rate": work / min(times)[0], "peer": min(times)[1], "n": n}

    @property
    def _item(self) -> int:
        return ITEM_SIZES[self.options.dtype]

    def measure(self, case: Case) -> None:
        """A case at all its sizes, on all devices, by all peers."""
        simulated = self.plan.simulated
        sizes = {device: case.sizes_on(device, self.options.sizes, simulated) for device in self.plan.peers}
        for n in sorted({n for device, ns in sizes.items() if device in case.devices for n in ns}):
            rows = self._time_all(case, n, self.plan.runners(case, sizes, n), self.options.rounds)
            self._relate(case, n, rows)
            self.results["rows"] += rows
            for row in rows:
                print(table.line(row), flush=True)
        if case.group == "train":
            self._curves(case, sizes)

    def _time_all(
        self, case: Case, n: int, runners: list[tuple[str, str]], rounds: int | None, check: bool = True
    ) -> list[dict[str, Any]]:
        """Check, then time: a row for each of the runners, with status ok, wrong or failed."""
        self.progress.say(f"{case.name} {n:,}: checking")
        rows = self._prepare_all(case, n, runners, check)
        live = [row for row in rows if row["status"] == "ok"]
        for number in range(rounds or MOST):
            self.progress.say(f"{case.name} {n:,}: round {number + 1}" + (f" of {rounds}" if rounds else ""))
            for row in list(live if number % 2 == 0 else live[::-1]):
                self._time_once(row, live)
            if rounds is None and number + 1 >= FEWEST and all(half_width(summary(r["times"])) <= WITHIN for r in live):
                break
        for row in rows:
            if row["status"] == "ok":
                row["seconds"], row["host"] = summary(row.pop("times")), summary(row.pop("hosts"))
            with contextlib.suppress(PeerError):  # a peer that is gone holds nothing
                self.workers[row["peer"]].ask("drop", device=row["device"])
        self.progress.clear()
        return rows

    def _prepare_all(self, case: Case, n: int, runners: list[tuple[str, str]], check: bool) -> list[dict[str, Any]]:
        """The rows of all runners, which make ready at the same time: some compile for long."""
        ahead = {
            peer: warm_up(peer) if case.group == "train" else 0 for _, peer in runners
        }  # a graph has trained already
        with ThreadPoolExecutor(2 * len(runners) or 1) as pool:
            skips = {*ahead.values()} if check else ()
            references = {skip: pool.submit(self._reference, case, n, skip) for skip in skips}
            rows = list(pool.map(lambda runner: self._prepare(case, n, *runner), runners))
        for row in rows:
            if row["status"] == "ok":
                of_peer = references.get(ahead[row["peer"]])
                self._compare(row, "a ceiling" if of_peer is None else of_peer.result())
        return rows

    def _reference(self, case: Case, n: int, skip: int) -> Digest | str:
        """What results should be, from the run after `skip` others on; a string that says why there is none."""
        if case.peer is not None and self.plan.reference == "gpugrad":
            return "no other library to compare with"
        try:
            worker = self.workers.reference(self.plan.reference)
            found: Digest = worker.ask("prepare", case=case.same_as or case.name, n=n, device="cpu", past=0, skip=skip)[
                "digest"
            ]
            worker.ask("drop", device="cpu")
        except PeerError as error:
            return f"the reference failed: {error}"
        return found

    def _prepare(self, case: Case, n: int, device: str, peer: str) -> dict[str, Any]:
        row: dict[str, Any] = {"case": case.name, "group": case.group, "n": n, "unit": case.unit}
        row |= {"device": device, "peer": peer, "simulated": self.plan.simulated, "status": "ok"}
        try:
            answer = self.workers[peer].ask("prepare", case=case.name, n=n, device=device, past=self.past[device])
        except PeerError as error:
            kind, _, reason = str(error).partition(": ")
            if kind == "NotImplementedError":
                return row | {"status": "left out", "error": reason}
            return row | {"status": "failed", "error": str(error)}
        row |= {"sets": answer["sets"], "input_bytes": answer["bytes"], "times": [], "hosts": []}
        row["past_cache"] = bool(self.past[device]) and answer["bytes"] >= self.past[device]
        return row | {"digest": answer["digest"]}

    def _compare(self, row: dict[str, Any], reference: Digest | str) -> None:
        found = row.pop("digest")
        if isinstance(reference, str):
            row["unchecked"] = reference
            return
        row["difference"] = difference(found, reference)
        if row["difference"] > TOLERANCES[self.options.dtype]:
            row["status"] = "wrong"

    def _time_once(self, row: dict[str, Any], live: list[dict[str, Any]]) -> None:
        try:
            answer = self.workers[row["peer"]].ask("time", device=row["device"], seconds=self.options.seconds)
        except PeerError as error:
            row |= {"status": "failed", "error": str(error)}
            live.remove(row)
            return
        row["times"].append(float(np.median(answer["times"])))
        row["hosts"].append(float(np.median(answer["host"])))

    def _relate(self, case: Case, n: int, rows: list[dict[str, Any]]) -> None:
        """Rates, fractions of the ceilings, and times divided by gpugrad's and by those of the GPU."""
        timed = {(row["device"], row["peer"]): row for row in rows if row["status"] == "ok"}
        for (device, peer), row in timed.items():
            row |= ceilings.rates(
                *case.work(n, self._item), row["seconds"]["median"], self.results["ceilings"].get(device)
            )
            ours, there = timed.get((device, "gpugrad")), timed.get(("cuda", peer))
            if ours is not None and peer != "gpugrad":
                row["ratio"] = _ratios(row, ours)
                if case.target is not None:
                    row["target"] = case.target
            if there is not None and device == "cpu":
                there["device_ratio"] = _ratios(row, there)

    def _curves(self, case: Case, sizes: dict[str, list[int]]) -> None:
        """The losses of the same training from the same seed, on every device, by gpugrad and beside it eager PyTorch."""
        n = min(min(ns) for ns in sizes.values())
        for device, peer in [("cpu", "gpugrad")] * self.plan.simulated + self.plan.runners(case, sizes, n):
            if peer not in ("gpugrad", "torch"):
                continue
            self.progress.say(f"{case.name}: losses of {peer} on {device}")
            try:
                losses = self.workers[peer].ask("curve", case=case.name, n=n, device=device, steps=CURVE_STEPS)[
                    "losses"
                ]
            except PeerError:
                continue  # its row says why
            found = {"case": case.name, "n": n, "device": device, "peer": peer, "losses": losses}
            self.results["curves"].append(found)
        self.progress.clear()


def _ratios(row: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """How many times as long the first takes as the second, round by round."""
    return summary([a / b for a, b in zip(row["seconds"]["rounds"], other["seconds"]["rounds"])])
