"""The work of a kernel measured on the device: compared first, then timed, by gpugrad and PyTorch in turn."""

from __future__ import annotations

import functools
import importlib
import math
import statistics
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .clock import SHORTEST, Clock, between_events, on_the_cpu
from .kernel_cases import BYTES, ITEM, TILE, TOLERANCES, Case, Place, Work

FEW = 2**16  # elements to be compared with the CPU
AHEAD = 4  # pieces that are timed for each that comes before them: see `between_events`
ROUNDS, MOST = 7, 1000  # rounds of pieces of work, and how many pieces are timed together at most

Works = dict[str, tuple[Any, Work]]  # by peer its module and its work


def copy_bandwidth(peers: Sequence[str], small: bool) -> dict[str, float]:
    """By peer the bytes a second, read and written, of a copy from device memory to device memory.

    RuntimeError, with what went wrong, if one fails.
    """
    n = 2**12 if small else BYTES // 4
    works: Works = {}
    for peer in peers:
        torch = importlib.import_module(peer)
        source, target = (Place(torch, "cuda").random(n) for _ in range(2))
        works[peer] = (torch, functools.partial(target.copy_, source))
    times, failed = _timed(works, small, "cuda")
    if failed:
        raise RuntimeError("\n".join(of["error"] for of in failed.values()))
    return {peer: 8 * n / statistics.median(times[peer]) for peer in times}


def measure(case: Case, peers: Sequence[str], small: bool, device: str = "cuda") -> dict[str, Any]:
    """A case's row: by peer seconds and rate, or "error"; how far results are from the CPU's and each other's.

    "ratio" is how many times as long PyTorch takes as gpugrad. (On the CPU it runs to be tested.)
    """
    n = case.size(small)
    row: dict[str, Any] = {"family": case.family, "case": case.name, "elements": n}
    works: Works = {}
    samples = []
    for peer in peers:
        torch = importlib.import_module(peer)
        try:
            work = case.build_for(Place(torch, device), n)
            samples.append(_values(case, work(), TILE))
            if peer == "gpugrad":
                row |= _compared(case, torch, device, work, n)
        except Exception:  # one failing kernel hides no other
            row[peer] = {"error": traceback.format_exc(limit=-4)}
            continue
        works[peer] = (torch, work)
    if len(samples) == 2:
        row["difference"] = _distance(*samples)
    row |= _wrong(case, row)
    times, failed = _timed(works, small, device)
    row |= failed
    for peer in times:
        row[peer] = _rates(case, n, times[peer])
    if len(times) == 2:
        row["ratio"] = statistics.median(b / a for a, b in zip(*times.values()))
    return row


def _rates(case: Case, n: int, times: list[float]) -> dict[str, Any]:
    seconds = statistics.median(times)
    found: dict[str, Any] = {"seconds": seconds, "rounds": times}
    if case.arrays:
        found["GB/s"] = ITEM.get(case.dtype, 4) * n * case.arrays / seconds / 1e9
    if case.flops is not None:
        found["TFLOP/s"] = case.flops(n) / seconds / 1e12
    return found


# ---- compared ----


def _compared(case: Case, torch: Any, device: str, work: Work, n: int) -> dict[str, Any]:
    """How far gpugrad's results are from float64: on few elements the CPU's, and where the case can say so, on all."""
    few = min(n, FEW)
    places = Place(torch, device), Place(torch, "cpu", exact=True)
    found: dict[str, Any] = {"error": _distance(*(_values(case, case.build_for(p, few)(), few) for p in places))}
    if case.check is not None:
        found["error here"] = case.check(work)
    if case.path is not None:
        found["path"] = case.path(work)
    return found


def _values(case: Case, out: Any, most: int) -> list[np.ndarray]:
    """Of each result values evenly spread, or what is comparable of all of them."""
    found = []
    for part in out if isinstance(out, tuple) else (out,):
        flat = part.detach().reshape(-1)
        if case.outcome is not None:
            found.append(case.outcome(flat[: 4 * TILE].double().cpu().numpy()))
        else:
            apart = flat.shape[0] // most | 1  # odd, to meet every column of a matrix
            found.append(flat[::apart].double().cpu().numpy())
    return found


def _distance(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest difference, relative to the largest value of the result concerned; NaN if either has one."""
    apart = [abs(a - b).max() / (abs(b).max() or 1.0) if a.size else 0.0 for a, b in zip(found, expected)]
    return float(np.max(apart))


def _wrong(case: Case, row: dict[str, Any]) -> dict[str, str]:
    limits = {"error": "the CPU's result in float64", "error here": "float64", "difference": "PyTorch's result"}
    for what, other in limits.items():
        if not row.get(what, 0) <= TOLERANCES[case.dtype]:  # NaN is wrong too
            return {"wrong": f"{row[what]:.1e} of the largest value from {other}"}
    return {}


# ---- timed ----


def _timed(works: Works, small: bool, device: str) -> tuple[dict[str, list[float]], dict[str, dict[str, str]]]:
    """By peer the times of a piece of work, between events around several pieces; and the errors of those that failed."""
    times: dict[str, list[float]] = {}
    failed: dict[str, dict[str, str]] = {}
    each = dict.fromkeys(works, 1)
    for peer, repeats in _turns(list(works), small):
        if peer in failed:
            continue
        torch, work = works[peer]
        try:
            clock: Clock = between_events(torch, ahead=AHEAD) if device == "cuda" else on_the_cpu
            taken, by_host = clock(work, repeats or each[peer])
        except Exception:
            failed[peer] = {"error": traceback.format_exc(limit=-4)}
            times.pop(peer, None)
            continue
        if repeats:
            each[peer] = min(MOST, max(1, math.ceil(SHORTEST * repeats / by_host)))
        else:
            times.setdefault(peer, []).append(taken / each[peer])
    return times, failed


def _turns(peers: Sequence[str], small: bool) -> Iterator[tuple[str, int]]:
    """Whose turn it is, and how often the work is done: 0 where it is timed, as often as SHORTEST takes."""
    for warming in () if small else (2, 2):
        yield from ((peer, warming) for peer in peers)
    for number in range(1 if small else ROUNDS):
        yield from ((peer, 0) for peer in (peers if number % 2 == 0 else peers[::-1]))
