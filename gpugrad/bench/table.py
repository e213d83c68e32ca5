"""What `gpugrad bench` prints: a heading, a line for each case, size, device and peer as it is known, and an ending."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from .figures import CONFIDENCE, half_width, interval, overtakes

_WIDTHS = (23, 11, 5, 13, 10, 20, 6, 13, 8, 19, 10)
_COLUMNS = (
    "case",
    "size",
    "on",
    "peer",
    "median",
    "[quartiles]",
    "+-",
    "rate",
    "ceiling",
    "/ gpugrad",
    "cpu / cuda",
    "",
)


class Progress:
    """What is being done, in one line of the terminal that is written over; nothing where output goes to a file."""

    def __init__(self) -> None:
        self.there = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Show it."""
        if self.there:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Make room for a line of the table."""
        if self.there:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def heading(results: dict[str, Any]) -> str:
    """What is measured on what, what is left out, what the columns mean, and their names."""
    lines = [about(results), *(f"left out: {what}" for what in results["left_out"]), method(results)]
    lines += [f"ceiling of {device}: {text}" for device, text in ceilings(results)]
    return "\n".join([*lines, "", _columns(_COLUMNS)])


def about(results: dict[str, Any]) -> str:
    """Versions, processor, devices, threads and load in a line."""
    found = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    devices = ", ".join(f"{d}: {found['processor'] if d == 'cpu' else name}" for d, name in results["devices"].items())
    load = "unknown" if results["load"][0] is None else f"{results['load'][0]:.1f}"
    start = "SIMULATED: these times say nothing of a GPU. " if results["simulated"] else ""
    text = f"{versions}, Python {found['python']}; {devices}; {found['cores']} cores, threads: {results['threads']}"
    return f"{start}{text}; {results['dtype']}; load before: {load}"


def method(results: dict[str, Any]) -> str:
    """How sure the figures are, in a sentence."""
    rounds = results["rounds"]
    if rounds == 1:
        return "A single round: nothing is known of how sure the figures are."
    sure = interval([0.0] * rounds)[2] if rounds else CONFIDENCE
    how = f"{rounds} rounds" if rounds else "6 to 15 rounds, until it is within 5%"
    return f"Medians over {how}; +- is half the interval that holds the true median with a probability of {sure:.0%}."


def ceilings(results: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """For each device what a copy and a large product reach."""
    for device, found in results["ceilings"].items():
        texts = []
        if "copy" in found:
            texts.append(f"a copy moves {rate(found['copy']['rate'], 'B/s')} ({found['copy']['peer']})")
        if "matmul" in found:
            texts.append(f"a matrix product does {rate(found['matmul']['rate'], 'FLOP/s')} ({found['matmul']['peer']})")
        yield device, ", ".join(texts)


def line(row: dict[str, Any]) -> str:
    """One line of the table."""
    size = f"{row['n']:,}" if row["unit"] else ""
    start = (row["case"], size, row["device"], row["peer"])
    if row["status"] != "ok":
        return _columns((*start, explanation(row)))
    seconds = row["seconds"]
    low, high = seconds["quartiles"]
    scale, unit = _unit(seconds["median"])
    ratio = row.get("ratio")
    cells = (
        *start,
        f"{seconds['median'] * scale:.2f} {unit}",
        f"[{low * scale:.2f} {high * scale:.2f}]",
        f"{half_width(seconds):.1%}" if len(seconds["rounds"]) > 1 else "",
        achieved(row),
        f"{row['of_ceiling']:.0%}" if "of_ceiling" in row else "",
        f"{ratio['median']:.2f} [{ratio['quartiles'][0]:.2f} {ratio['quartiles'][1]:.2f}]" if ratio else "",
        f"{row['device_ratio']['median']:.2f}" if "device_ratio" in row else "",
        "; ".join(notes(row)),
    )
    return _columns(cells)


def explanation(row: dict[str, Any]) -> str:
    """Why a row has no time."""
    if row["status"] == "wrong":
        return f"WRONG: differs from the reference by {row['difference']:.1e} of its largest value; not timed"
    return f"{row['status']}: {row['error']}"


def notes(row: dict[str, Any]) -> list[str]:
    """What there is to say beside the figures."""
    found = []
    if row["simulated"]:
        found.append("simulated")
    if row.get("of_ceiling", 0) > 1:
        found.append("from cache" if row["bound"] == "copy" else "above the ceiling")
    if "target" in row:
        verdict = "met" if row["ratio"]["median"] >= row["target"] else "missed"
        found.append(f"target >= {row['target']:.2f} {verdict}")
    if "unchecked" in row:
        found.append(f"unchecked: {row['unchecked']}")
    return found


def ending(results: dict[str, Any]) -> str:
    """Where the GPU overtakes, what was wrong or failed, and whether the machine was busy."""
    crossed = crossings(results).items()
    lines = [f"{case}, {peer}: cuda is faster than cpu {where_it_overtakes(n)}" for (case, peer), n in crossed]
    lines += [complaint(row) for row in results["rows"] if row["status"] in ("wrong", "failed")]
    return "\n".join(["", *lines, *([text] if (text := busy(results)) else [])])


def where_it_overtakes(n: float | None) -> str:
    """What `crossings` found, in words."""
    return "at no size measured" if n is None else "at every size measured" if n == 0 else f"from about {n:,.0f} on"


def complaint(row: dict[str, Any]) -> str:
    """What went wrong, where."""
    return f"{row['case']} {row['n']:,}, {row['peer']} on {row['device']}: {explanation(row)}"


def busy(results: dict[str, Any]) -> str:
    """A warning if other work wanted the cores."""
    before, after = results["load"][0], results["load"][-1]
    cores = results["machine"]["cores"]
    if before is None or before <= 0.5 * cores:
        return ""
    return (
        f"The machine was busy: load {before:.1f} before and {after:.1f} after on {cores} cores. Figures are doubtful."
    )


def crossings(results: dict[str, Any]) -> dict[tuple[str, str], float | None]:
    """For each case and peer timed on both devices, from which size on the GPU is faster (see `figures.overtakes`)."""
    times: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
    for row in results["rows"]:
        if row["status"] == "ok" and row["unit"]:
            found = times.setdefault((row["case"], row["peer"]), {"cpu": [], "cuda": []})
            found[row["device"]].append((row["n"], row["seconds"]["median"]))
    return {
        key: overtakes(found["cuda"], found["cpu"]) for key, found in times.items() if found["cpu"] and found["cuda"]
    }


def achieved(row: dict[str, Any]) -> str:
    """Operations a second where they decide, else bytes a second; empty where neither is known."""
    seconds = row["seconds"]["median"]
    if row.get("bound") == "matmul" or (row["flops"] and not row["moved"]):
        return rate(row["flops"] / seconds, "FLOP/s")
    return rate(row["moved"] / seconds, "B/s") if row["moved"] else ""


def rate(value: float, unit: str) -> str:
    """A rate with the prefix that suits it."""
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value / 1e3:.3g} k{unit}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    scale, unit = _unit(seconds)
    return f"{seconds * scale:.3g} {unit}"


def span(low: float, high: float) -> str:
    """Two times in the unit that suits the larger."""
    scale, unit = _unit(high)
    return f"{low * scale:.3g}-{high * scale:.3g} {unit}"


def _unit(seconds: float) -> tuple[float, str]:
    return next(((s, u) for s, u in ((1, "s"), (1e3, "ms")) if seconds * s >= 1), (1e6, "us"))


def _columns(cells: Sequence[str]) -> str:
    return " ".join([*(cell.ljust(width) for cell, width in zip(cells, _WIDTHS)), *cells[len(_WIDTHS) :]]).rstrip()
