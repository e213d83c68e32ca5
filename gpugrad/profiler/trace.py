"""A profile as a Chrome trace: JSON that Perfetto (ui.perfetto.dev) and chrome://tracing open.

Complete events (`ph` X, with `ts` and `dur` in microseconds) for calls, one track for each thread; the same for ops on
a CUDA device, a process of its own with a track for each stream; counters (C) for allocated memory.
"""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .events import FunctionEvent

if TYPE_CHECKING:
    from .events import EventList

_DEVICE_PID = 1 << 30  # above every process id: devices are drawn as processes


def write_trace(path: str, events: EventList, metadata: dict[str, Any] | None = None) -> None:
    """Write the trace of `events`, which must be those of calls, not sums of them."""
    if not all(isinstance(e, FunctionEvent) for e in events):
        raise TypeError("export_chrome_trace(): these are sums of events; export the trace of profile.events()")
    content = {
        "schemaVersion": 1,
        "displayTimeUnit": "ms",
        **(metadata or {}),
        "notes": list(events.notes),
        "traceEvents": [*_names(events), *_calls(events), *_counters(events)],
    }
    opened: Any = gzip.open(path, "wt") if os.fspath(path).endswith(".gz") else open(path, "w")  # noqa: SIM115
    with opened as file:
        json.dump(content, file)


def _names(events: EventList) -> Iterator[dict[str, Any]]:
    """What processes and threads are called."""

    def name(what: str, pid: int, tid: int, text: str) -> dict[str, Any]:
        return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": {"name": text}}

    pid, known = os.getpid(), {t.native_id: t.name for t in threading.enumerate()}
    yield name("process_name", pid, 0, "python")
    for thread in sorted({e.thread for e in events}):
        yield name("thread_name", pid, thread, known.get(thread, f"thread {thread}"))
    label = (events.use_device or "").upper()
    tracks = _device_tracks(events)
    for device in sorted({device for device, _, _ in tracks}):
        yield name("process_name", _DEVICE_PID + device, 0, f"{label} {device}")
    for (device, stream, thread), tid in tracks.items():
        of_thread = f", given work by {known.get(thread, f'thread {thread}')}"
        shared = sum(track[:2] == (device, stream) for track in tracks) > 1
        yield name("thread_name", _DEVICE_PID + device, tid, f"stream {stream:#x}{of_thread if shared else ''}")


def _device_tracks(events: EventList) -> dict[tuple[int, int, int], int]:
    """(device, stream, thread) -> number: two threads may give one stream work by turns, which then does not nest."""
    found = sorted({(e.device_index, e.stream, e.thread) for e in events if e.device_range is not None})
    return {track: number for number, track in enumerate(found)}


def _calls(events: EventList) -> Iterator[dict[str, Any]]:
    pid, tracks = os.getpid(), _device_tracks(events)
    for number, event in enumerate(events):
        args: dict[str, Any] = {"External id": number}
        args |= {"Input Dims": event.input_shapes} if event.input_shapes else {}
        args |= {"Bytes moved": event.bytes_moved} if event.bytes_moved else {}
        args |= {"Call stack": ";".join(event.stack)} if event.stack else {}
        call = {"ph": "X", "cat": event.kind.value, "name": event.trace_name, "args": args}
        yield {**call, "pid": pid, "tid": event.thread, **_span(event.start_ns, event.end_ns)}
        if event.device_range is not None:
            track = tracks[event.device_index, event.stream, event.thread]
            span = _span(*(round(1e3 * us) for us in event.device_range))
            yield {**call, "cat": "gpu_op", "pid": _DEVICE_PID + event.device_index, "tid": track, **span}


def _span(start_ns: int, end_ns: int) -> dict[str, float]:
    """Whole nanoseconds, in microseconds: Perfetto drops a call that ends one later than the call around it."""
    return {"ts": start_ns / 1e3, "dur": (end_ns - start_ns) / 1e3}


def _counters(events: EventList) -> Iterator[dict[str, Any]]:
    """Memory in use at the end of each call."""
    if not events.flags.get("profile_memory"):
        return
    for event in events:
        for name, allocated in (("CPU memory", event.cpu_allocated), ("CUDA memory", event.device_allocated)):
            if allocated or name == "CPU memory":
                where = {"ph": "C", "name": name, "pid": os.getpid(), "tid": 0, "ts": event.time_range.end}
                yield {**where, "args": {"bytes": allocated}}
