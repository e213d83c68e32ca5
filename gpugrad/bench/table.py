"""The table that `gpugrad bench` prints."""

from __future__ import annotations

from typing import Any


def table(report: dict[str, Any]) -> str:
    """The measurements of a report (see `job.bench`) as text: a heading, then a line for each case."""
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    load = "unknown" if report["load"] is None else f"{report['load']:.1f}"
    heading = f"{versions}; Python {report['python']}; {report['threads']} threads; load before: {load}"
    columns = ("case", "gpugrad", "peer", "peer / gpugrad", "target", "")
    lines = [columns, *(_line(row) for row in report["cases"])]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rows = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([heading, "median [quartiles] of the rounds", "", *rows])


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    ours = _time(row["seconds"]["gpugrad"])
    if "peer" not in row:
        return row["name"], ours, "", "", "", ""
    theirs = f"{row['peer']} {_time(row['seconds'][row['peer']])}"
    low, high = row["ratio"]["quartiles"]
    ratio = f"{row['ratio']['median']:.2f} [{low:.2f} {high:.2f}]"
    verdict = "met" if row["ratio"]["median"] >= row["target"] else "missed"
    return row["name"], ours, theirs, ratio, f">= {row['target']:.2f}", verdict


def _time(figure: dict[str, Any]) -> str:
    """A median and its quartiles in the unit that suits the median."""
    middle, (low, high) = figure["median"], figure["quartiles"]
    scale, unit = next(((s, u) for s, u in ((1, "s"), (1e3, "ms")) if middle * s >= 1), (1e6, "us"))
    return f"{middle * scale:.1f} {unit} [{low * scale:.1f} {high * scale:.1f}]"
