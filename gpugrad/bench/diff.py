"""`gpugrad bench diff A.json B.json`: what takes longer or shorter in the second result than in the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .job import FORMAT
from .table import duration

SAME = 0.05  # changes of less are not worth a word, however sure

Key = tuple[str, int, str, str]


def diff(first: str, second: str) -> str:
    """The table of times of `second` divided by those of `first`.

    ValueError for files that are no results, or if one is of the simulator and the other is not.
    """
    a, b = load(first), load(second)
    if a["simulated"] != b["simulated"]:
        simulated, real = (first, second) if a["simulated"] else (second, first)
        raise ValueError(f"{simulated} was measured on the simulator, {real} was not: their times cannot be compared")
    return "\n".join([*_heading(a, b), *_lines(a, b)])


def load(path: str) -> dict[str, Any]:
    """A `results.json`; ValueError for another file."""
    try:
        found: dict[str, Any] = json.loads(Path(path).read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no results.json of `gpugrad bench`: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"{path} is no results.json of this version of `gpugrad bench` (format {FORMAT})")
    return found


def changes(a: dict[str, Any], b: dict[str, Any]) -> dict[Key, tuple[float, float, float]]:
    """For each case, size, device and peer timed in both: how many times as long it takes in b, at least and at most.

    "At least" and "at most" divide the ends of the intervals that hold the medians.
    """
    before, after = _timed(a), _timed(b)
    found = {}
    for key in before.keys() & after.keys():
        x, y = before[key]["seconds"], after[key]["seconds"]
        (low, high), (lowest, highest) = x["interval"], y["interval"]
        found[key] = (y["median"] / x["median"], lowest / high, highest / low)
    return found


def verdict(ratio: float, low: float, high: float) -> str:
    """`slower` or `faster` where the interval says so and the change is worth a word."""
    if low <= 1 <= high or abs(ratio - 1) < SAME:
        return ""
    return "slower" if ratio > 1 else "faster"


def _timed(results: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    rows = (row for row in results["rows"] if row["status"] == "ok")
    return {(row["case"], row["n"], row["device"], row["peer"]): row for row in rows}


def _heading(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    lines = ["SIMULATED, both: these times say nothing of a GPU."] if a["simulated"] else []
    for what in ("machine", "devices", "versions", "threads", "dtype"):
        x, y = a[what], b[what]
        if what == "machine":
            x, y = ({k: v for k, v in m.items() if k != "clock"} for m in (x, y))
        if x != y:
            lines.append(f"Not the same {what}: {x} and {y}")
    return lines


def _lines(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    before, after, found = _timed(a), _timed(b), changes(a, b)
    form = "{:<23} {:>11} {:<5} {:<13} {:>9} {:>9}  {:<19} {}".format
    lines = ["", form("case", "size", "on", "peer", "A", "B", "B / A [interval]", "")]
    for key in before:
        if key in found:
            ratio, low, high = found[key]
            times = (duration(rows[key]["seconds"]["median"]) for rows in (before, after))
            text = f"{ratio:.2f} [{low:.2f} {high:.2f}]"
            lines.append(form(key[0], f"{key[1]:,}", *key[2:], *times, text, verdict(ratio, low, high)).rstrip())
    for rows, others, name in ((before, after, "A"), (after, before, "B")):
        missing = [" ".join(map(str, key)) for key in rows if key not in others]
        lines += [f"timed in {name} only: {', '.join(missing)}"] * bool(missing)
    words = [verdict(*change) for change in found.values()]
    lines.append(
        f"{words.count('slower')} slower, {words.count('faster')} faster, {words.count('')} the same or not known"
    )
    return lines
