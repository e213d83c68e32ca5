"""The pictures of a result, drawn by matplotlib: each as SVG for the report and as PNG.

Text and axes of the SVG take the colour of the page's text, so that they are read on a dark page too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter

from .table import crossings

INK = "#010203"  # stands for the colour of the page's text
COLORS = {
    "gpugrad": "#2f7de1",
    "gpugrad.graph": "#7b5cd6",
    "torch": "#e8702a",
    "torch.compile": "#c99700",
    "torch.graph": "#c2487f",
    "jax.jit": "#1f9d74",
    "numpy": "#888888",
}
STYLES = {"cpu": {"linestyle": "--", "marker": "o"}, "cuda": {"linestyle": "-", "marker": "s"}}
WIDTH = 4.2  # inches: at this width its text is read on a phone
SETTINGS: Any = {
    "font.size": 9,
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.markersize": 3.5,
    "svg.fonttype": "none",
}

Row = dict[str, Any]
Drawn = dict[str, Figure]


def draw(results: dict[str, Any]) -> Drawn:
    """All pictures by name: `times-CASE`, `speed-DEVICE`, `devices`, `roofline-DEVICE`, `curves-CASE`."""
    rows = [row for row in results["rows"] if row["status"] == "ok"]
    found: dict[str, Figure | None] = {}
    with matplotlib.rc_context(SETTINGS):
        for device in results["devices"]:
            found[f"speed-{device}"] = _speed(device, rows)
            found[f"roofline-{device}"] = _roofline(device, rows, results["ceilings"].get(device, {}))
        found["devices"] = _devices(rows)
        crossed = crossings(results)
        for case in dict.fromkeys(row["case"] for row in rows if row["unit"]):
            found[f"times-{case}"] = _times(
                [row for row in rows if row["case"] == case], crossed.get((case, "gpugrad"))
            )
        for case in dict.fromkeys(curve["case"] for curve in results["curves"]):
            found[f"curves-{case}"] = _curves([curve for curve in results["curves"] if curve["case"] == case])
    return {name: figure for name, figure in found.items() if figure is not None}


def png(figure: Figure) -> bytes:
    """A picture as a PNG file."""
    file = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(file, format="png", dpi=160)
    return file.getvalue()


def svg(name: str, figure: Figure) -> str:
    """A picture as an element of a page."""
    file = io.StringIO()
    with matplotlib.rc_context(SETTINGS | {"svg.hashsalt": name}):  # names inside are the page's: no two alike
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = re.sub(r"(?s)<metadata>.*?</metadata>", "", file.getvalue())
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg class="plot" role="img" aria-label="{name}" \1>', text, count=1
    )


def _figure(height: float = 2.8) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.25, linewidth=0.5)
    return figure, axes


def _label(row: Row) -> str:
    return f"{row['peer']}, {row['device']}" + (" (simulated)" if row.get("simulated") else "")


def _groups(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["device"], row["peer"]), []).append(row)
    return found


def _times(rows: Sequence[Row], overtakes: float | None) -> Figure:
    """Time against size, with the interval of each median, and where the GPU overtakes."""
    figure, axes = _figure()
    for (device, peer), points in _groups(rows).items():
        sizes = [row["n"] for row in points]
        color = COLORS.get(peer)
        axes.plot(
            sizes, [r["seconds"]["median"] for r in points], color=color, label=_label(points[0]), **STYLES[device]
        )
        low, high = zip(*(row["seconds"]["interval"] for row in points))
        axes.fill_between(sizes, low, high, color=color, alpha=0.2, linewidth=0)
    if overtakes:
        axes.axvline(overtakes, color=INK, linewidth=0.8, linestyle=":")
        axes.text(
            overtakes, 0.02, f" GPU faster from {overtakes:,.0f}", transform=axes.get_xaxis_transform(), fontsize=7
        )
    axes.set(xscale="log", yscale="log", xlabel=rows[0]["unit"], ylabel="time")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_formatter(EngFormatter(unit="s"))
    axes.minorticks_off()
    _legend(axes)
    return figure


def _legend(axes: Any) -> None:
    """Under the axes, where it covers nothing."""
    axes.figure.legend(loc="outside lower center", ncols=2, handlelength=3)


def _largest(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """For each case the rows at its largest size."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        there = found.setdefault(row["case"], [])
        if there and row["n"] > there[0]["n"]:
            there.clear()
        if not there or row["n"] == there[0]["n"]:
            there.append(row)
    return found


def _speed(device: str, rows: Sequence[Row]) -> Figure | None:
    """How many times as long a peer takes as gpugrad, at the largest size of each case."""
    bars = _largest(row for row in rows if row["device"] == device and "ratio" in row)
    label = "time / gpugrad's"
    return _bars(bars, "ratio", f"{device}, at the largest size", label, lambda row: row["peer"]) if bars else None


def _devices(rows: Sequence[Row]) -> Figure | None:
    """How many times as long the CPU takes as the GPU, at the largest size both ran."""
    bars = _largest(row for row in rows if "device_ratio" in row)
    label = "time on the CPU / on the GPU"
    return _bars(bars, "device_ratio", "largest size timed on both", label, lambda row: row["peer"]) if bars else None


def _bars(cases: dict[str, list[Row]], key: str, title: str, label: str, name: Any) -> Figure:
    count = sum(map(len, cases.values())) + 0.6 * len(cases)
    figure, axes = _figure(1.1 + 0.13 * count)
    place, ticks, seen = 0.0, [], set()
    for case, rows in cases.items():
        ticks.append((place + (len(rows) - 1) / 2, case))
        for row in rows:
            ratio, peer = row[key], name(row)
            low, high = ratio["interval"]
            middle = ratio["median"]
            axes.barh(
                place,
                middle - 1,
                left=1,
                height=0.9,
                color=COLORS.get(peer),
                label=None if peer in seen else peer,
                xerr=[[middle - low], [high - middle]],
                error_kw={"elinewidth": 0.7, "ecolor": INK},
            )
            seen.add(peer)
            place += 1
        place += 0.6
    axes.set_xscale("log")
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_yticks([at for at, _ in ticks], [case for _, case in ticks])
    axes.set_ylim(place, -1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()
    axes.set(title=title, xlabel=label)
    _legend(axes)
    return figure


def _roofline(device: str, rows: Sequence[Row], ceiling: dict[str, Any]) -> Figure | None:
    """Operations a second against operations a byte, at the largest size of each case, under the measured ceilings."""
    rows = [r for r in rows if r["device"] == device and r["peer"] == "gpugrad" and r["flops"] and r["moved"]]
    if len(ceiling) < 2 or not rows:
        return None
    figure, axes = _figure(3.2)
    bandwidth, peak = ceiling["copy"]["rate"], ceiling["matmul"]["rate"]
    points = [
        (r["flops"] / r["moved"], r["flops"] / r["seconds"]["median"], r["case"]) for (r,) in _largest(rows).values()
    ]
    ends = sorted([min(p[0] for p in points) / 3, peak / bandwidth, max(*(p[0] for p in points), peak / bandwidth) * 3])
    axes.plot(ends, [min(peak, bandwidth * x) for x in ends], color=INK, linewidth=1.2)
    for number, (x, y, case) in enumerate(sorted(points), 1):
        axes.plot(x, y, color=COLORS["gpugrad"], marker="o", linestyle="", label=f"{number} {case}")
        axes.annotate(str(number), (x, y), xytext=(3, 2), textcoords="offset points", fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="operations a second")
    axes.set_title(f"gpugrad on {device}, under its ceilings")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.minorticks_off()
    axes.figure.legend(loc="outside lower center", ncols=3, handlelength=0, handletextpad=0.2)
    return figure


def _curves(curves: Sequence[dict[str, Any]]) -> Figure:
    """Losses over the steps, one line over the other where they agree."""
    figure, axes = _figure()
    for number, curve in enumerate(curves):
        style = STYLES[curve["device"]]["linestyle"]
        width = 3.5 - 1.2 * min(number, 2)  # the first is seen beneath the others
        axes.plot(curve["losses"], color=COLORS[curve["peer"]], linestyle=style, linewidth=width, label=_label(curve))
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    _legend(axes)
    return figure
