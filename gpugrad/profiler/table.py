"""The table of a profile: PyTorch's columns, and the bytes that ops move."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .events import EventList

_WIDTH = 12
_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0}


class Column(NamedTuple):
    """A heading, what stands under it for an event, and how wide it may get; `<` or `>` says where it is aligned."""

    heading: str
    cell: Callable[[Any], str]
    width: int | None = None
    align: str = ">"


def format_time(us: float, unit: str | None = None) -> str:
    """Microseconds as text, in a unit that suits them unless one is given."""
    unit = unit or ("s" if us >= 1e6 else "ms" if us >= 1e3 else "us")
    return f"{us / _UNITS[unit]:.3f}{unit}"


def format_bytes(count: float) -> str:
    """Bytes as text, in a unit that suits them."""
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if abs(count) >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count:.0f} B"


def format_share(part: float, whole: float) -> str:
    """`part` in percent of `whole`."""
    return f"{100 * part / whole:.2f}%" if whole else "NaN"


def build_table(
    events: EventList,
    sort_by: str | None,
    row_limit: int,
    widths: tuple[int | None, int | None, int | None],
    header: str | None,
    top_level_only: bool,
    unit: str | None,
) -> str:
    """See `EventList.table`. `widths`: the most for names, shapes and source lines."""
    if unit is not None and unit not in _UNITS:
        raise ValueError(f"time_unit must be one of {', '.join(_UNITS)}, got {unit!r}")
    if not events:
        return ""
    rows = list(events)
    if sort_by is not None:
        attribute = sort_by.replace("cuda", "device")
        rows.sort(key=lambda e: getattr(e, attribute), reverse=True)
    totals = tuple(sum(getattr(e, f"self_{where}_time_total") for e in rows) for where in ("cpu", "device"))
    if top_level_only:
        rows = [e for e in rows if e.cpu_parent is None]
    shown = rows if row_limit < 0 else rows[:row_limit]
    columns = _columns(events, totals, widths, unit)
    lines = _lay_out(columns, shown)
    if top_level_only:
        lines.insert(0, "This report only display top-level ops statistics")
    if header is not None:
        lines[:0] = ["=" * len(lines[-1]), header]
    lines.append(f"Self CPU time total: {format_time(totals[0], unit)}")
    if _timed_on_device(events):
        lines.append(f"Self {_device(events)} time total: {format_time(totals[1], unit)}")
    return "\n".join([*lines, *events.notes, ""])


def _timed_on_device(events: EventList) -> bool:
    return any(e.device_time_total > 0 for e in events)


def _device(events: EventList) -> str:
    return (events.use_device or "device").upper()


def _columns(
    events: EventList, totals: tuple[float, ...], widths: tuple[int | None, ...], unit: str | None
) -> list[Any]:
    columns = [Column("Name", lambda e: e.key, widths[0]), *_time_columns("CPU", "cpu", totals[0], unit)]
    if _timed_on_device(events):
        columns += _time_columns(_device(events), "device", totals[1], unit)
    if events.flags.get("profile_memory"):
        columns += _memory_columns("CPU", "cpu")
        if any(e.device_memory_usage for e in events):
            columns += _memory_columns(_device(events), "device")
    if any(e.bytes_moved for e in events):
        columns.append(Column("Bytes moved", lambda e: format_bytes(e.bytes_moved) if e.bytes_moved else "--"))
    columns.append(Column("# of Calls", lambda e: str(e.count)))
    if any(e.flops for e in events):
        columns.append(Column("MFLOPs", lambda e: f"{e.flops / 1e6:.3f}" if e.flops else "--"))
    if any(e.input_shapes for e in events):
        columns.append(Column("Input Shapes", lambda e: str(e.input_shapes), widths[1]))
    if any(e.stack for e in events):
        columns.append(Column("Source Location", lambda e: e.stack[0] if e.stack else "", widths[2], "<"))
    return columns


def _time_columns(device: str, name: str, whole: float, unit: str | None) -> list[Column]:
    return [
        Column(f"Self {device} %", lambda e: format_share(getattr(e, f"self_{name}_time_total"), whole)),
        Column(f"Self {device}", lambda e: format_time(getattr(e, f"self_{name}_time_total"), unit)),
        Column(f"{device} total %", lambda e: format_share(getattr(e, f"{name}_time_total"), whole)),
        Column(f"{device} total", lambda e: format_time(getattr(e, f"{name}_time_total"), unit)),
        Column(f"{device} time avg", lambda e: format_time(getattr(e, f"{name}_time"), unit)),
    ]


def _memory_columns(device: str, name: str) -> list[Column]:
    return [
        Column(f"{device} Mem", lambda e: format_bytes(getattr(e, f"{name}_memory_usage"))),
        Column(f"Self {device} Mem", lambda e: format_bytes(getattr(e, f"self_{name}_memory_usage"))),
    ]


def _lay_out(columns: list[Column], rows: list[Any]) -> list[str]:
    """Heading and rows between rules, each column as wide as what stands in it."""
    headings = [c.heading for c in columns]
    cells = [[_cut(c.cell(row), c) for c in columns] for row in rows]
    widths = [max(_WIDTH, *map(len, column)) for column in zip(headings, *cells)]
    rule = "  ".join("-" * width for width in widths)
    lines = [
        "  ".join(f"{text:{c.align}{w}}" for text, c, w in zip(row, columns, widths)) for row in (headings, *cells)
    ]
    return [rule, lines[0], rule, *lines[1:], rule]


def _cut(text: str, column: Column) -> str:
    """`text` in the width of its column: names lose their end, source lines their beginning."""
    if column.width is None or len(text) <= column.width:
        return text
    return "..." + text[len(text) - column.width + 3 :] if column.align == "<" else text[: column.width - 3] + "..."
