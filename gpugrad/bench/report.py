"""`report.html`: a result as one page that needs nothing else, and its pictures beside it as PNG."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from ..atomic import atomic_write
from . import table
from .figures import half_width

WITHOUT_PLOTS = 'No plots, in the report and as PNG: they need matplotlib (pip install "gpugrad[train]").'

Row = dict[str, Any]


def write_report(results: dict[str, Any], folder: str | Path) -> None:
    """Write `report.html` and `plots/*.png`; without matplotlib the page has the tables, and says what to install."""
    folder = Path(folder)
    plots: dict[str, str] = {}
    try:
        from .plots import draw, png, svg
    except ImportError:
        print(WITHOUT_PLOTS)
    else:
        pictures = folder / "plots"
        pictures.mkdir(exist_ok=True)
        for old in pictures.glob("*.png"):  # of a run with other cases
            old.unlink()
        for name, figure in draw(results).items():
            plots[name] = svg(name, figure)
            with atomic_write(pictures / f"{name}.png") as file:
                file.write(png(figure))
    with atomic_write(folder / "report.html") as file:
        file.write(page(results, plots).encode())
    print(f"results.json, report.html{' and plots/' if plots else ''} are in {folder}")


def page(results: dict[str, Any], plots: dict[str, str]) -> str:
    """The page; `plots` are SVG elements by name."""
    style = Path(__file__).with_name("report.css").read_text()
    parts = [*_introduction(results), *([] if plots else [f'<p class="warn">{escape(WITHOUT_PLOTS)}</p>'])]
    parts += _glance(results, plots)
    for group in dict.fromkeys(row["group"] for row in results["rows"]):
        parts += [f"<h2>{escape(group)}</h2>", '<div class="cards">']
        rows = [row for row in results["rows"] if row["group"] == group]
        parts += [_card(case, rows, plots) for case in dict.fromkeys(row["case"] for row in rows)]
        parts.append("</div>")
    parts += _curves(plots)
    parts += _method(results)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>gpugrad bench</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">\n'
        f"<style>\n{style}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _introduction(results: dict[str, Any]) -> Iterable[str]:
    yield "<h1>gpugrad bench</h1>"
    if results["simulated"]:
        yield '<p class="banner warn">Simulated: the kernels ran on the CPU. These times say nothing of a GPU.</p>'
    yield f"<p>{escape(table.about(results))}</p>"
    for device, text in table.ceilings(results):
        yield f"<p>Ceiling of {escape(device)}: {escape(text)}.</p>"
    if results["left_out"]:
        yield f"<p>Left out:</p><ul>{''.join(f'<li>{escape(what)}</li>' for what in results['left_out'])}</ul>"
    if busy := table.busy(results):
        yield f'<p class="warn">{escape(busy)}</p>'


def _glance(results: dict[str, Any], plots: dict[str, str]) -> Iterable[str]:
    bad = [row for row in results["rows"] if row["status"] in ("wrong", "failed")]
    names = [name for name in plots if name.startswith(("speed-", "roofline-")) or name == "devices"]
    crossed = table.crossings(results)
    if not (bad or names or crossed):
        return
    yield '<h2>At a glance</h2><div class="columns">'
    titles = {"speed": "Right of 1: gpugrad is faster", "roofline": "Roofline", "devices": "GPU against CPU"}
    for name in names:
        yield f'<div class="card"><h3>{titles[name.partition("-")[0]]}</h3>{plots[name]}</div>'
    if crossed:
        yield f'<div class="card"><h3>Where the GPU overtakes</h3>{_overtaking(crossed)}</div>'
    if bad:
        items = "".join(f"<li>{escape(table.complaint(row))}</li>" for row in bad)
        yield f'<div class="card"><h3 class="warn">Wrong or failed</h3><ul>{items}</ul></div>'
    yield "</div>"


def _overtaking(crossed: dict[tuple[str, str], float | None]) -> str:
    """A line for each case: the size from which cuda is faster than cpu, for each peer."""
    peers = list(dict.fromkeys(peer for _, peer in crossed))
    head = "".join(f"<th class=n>{_breakable(peer)}</th>" for peer in peers)
    lines = []
    for case in dict.fromkeys(case for case, _ in crossed):
        cells = []
        for peer in peers:
            n = crossed.get((case, peer), -1.0)
            cells.append("never" if n is None else "" if n < 0 else "always" if n == 0 else _short(n))
        lines.append(f"<tr><td>{escape(case)}</td>{''.join(f'<td class=n>{cell}</td>' for cell in cells)}</tr>")
    text = "Size from which cuda is faster than cpu, of those measured."
    return f"<p class=quiet>{text}</p><table><tr><th>case</th>{head}</tr>{''.join(lines)}</table>"


def _card(case: str, rows: list[Row], plots: dict[str, str]) -> str:
    rows = [row for row in rows if row["case"] == case]
    head = "<tr><th>peer</th><th class=n>median</th><th class=n>rate</th><th class=n>/&nbsp;gpugrad</th></tr>"
    lines = []
    for n in dict.fromkeys(row["n"] for row in rows):
        lines += [f"<tr class=size><td colspan=4>{n:,} {escape(rows[0]['unit'])}</td></tr>"] * bool(rows[0]["unit"])
        lines += [_line(row) for row in rows if row["n"] == n]
    plot = plots.get(f"times-{case}", "")
    return f'<div class="card"><h3>{escape(case)}</h3>{plot}<table>{head}{"".join(lines)}</table></div>'


def _line(row: Row) -> str:
    start = (
        f"<tr><td>{_breakable(row['peer'])}<small>{escape(row['device'])}{' simulated' * row['simulated']}</small></td>"
    )
    if row["status"] != "ok":
        style = "quiet" if row["status"] == "left out" else "warn"
        return f'{start}<td colspan="3" class="text {style}">{escape(table.explanation(row))}</td></tr>'
    seconds = row["seconds"]
    sure = f" &plusmn;{half_width(seconds):.0%}" if len(seconds["rounds"]) > 1 else ""
    rate = escape(table.achieved(row)) + (
        f"<small>{row['of_ceiling']:.0%} of ceiling</small>" if "of_ceiling" in row else ""
    )
    ratios = f"{row['ratio']['median']:.2f}" if "ratio" in row else ""
    if "device_ratio" in row:
        ratios += f"<small>cpu/cuda {row['device_ratio']['median']:.3g}</small>"
    ratios += "".join(
        f"<small>{escape(note)}</small>" for note in table.notes(row) if note.startswith(("target", "unchecked"))
    )
    median = f"{table.duration(seconds['median'])}{sure}<small>{table.span(*seconds['quartiles'])}</small>"
    return f"{start}<td class=n>{median}</td><td class=n>{rate}</td><td class=n>{ratios}</td></tr>"


def _breakable(peer: str) -> str:
    return escape(peer).replace(".", ".<wbr>")


def _short(n: float) -> str:
    """A size in a few letters."""
    scale, letter = next(((s, u) for s, u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if n >= s), (1, ""))
    return f"{n / scale:.3g}{letter}"


def _curves(plots: dict[str, str]) -> Iterable[str]:
    names = [name for name in plots if name.startswith("curves-")]
    if names:
        yield "<h2>The same training from the same seed</h2>"
        yield '<p class="quiet">Losses of the first steps, at the smallest batch. Lines that agree lie on each other.</p>'
        cards = (f'<div class="card"><h3>{escape(n.partition("-")[2])}</h3>{plots[n]}</div>' for n in names)
        yield f'<div class="cards">{"".join(cards)}</div>'


def _method(results: dict[str, Any]) -> Iterable[str]:
    clock = results["machine"]["clock"]
    yield "<h2>How it was measured</h2><ul>"
    for text in (
        table.method(results),
        f"Results were first compared with those of {results['reference']} in float64 on the CPU; what differs is not timed.",
        "Each peer is a process of its own; they take turns. Its time is divided by gpugrad's round by round. Small print "
        "under a median: its quartiles.",
        "On the CPU time is perf_counter's. On a GPU it is the time between two CUDA events around work submitted in one "
        "go: waiting for its end is not in it, but where the device waits for Python that is. results.json has the host's "
        "time too. Transfers are timed until the values are there. float32 is float32: TF32 is off.",
        "Inputs take turns, so that together they exceed the cache where 64 sets of them do; those of training stay.",
        "The ceiling is the best of the peers at a copy in memory and at a large matrix product. The fraction is the time "
        "these would take for the bytes and operations that the case needs at least, divided by the time it took; more than "
        "100% of a copy's bandwidth comes from a cache.",
        f"The clock's steps are {clock['step'] * 1e9:.0f} ns; what is shorter than 5 ms is repeated until it is not. "
        f"Load before and after: {', '.join('unknown' if x is None else f'{x:.1f}' for x in results['load'])}.",
    ):
        yield f"<li>{escape(text)}</li>"
    yield "</ul>"
