"""Time on CUDA devices, between events that are recorded in the stream an op submits its work to.

On a device that waits for the host, the time between two events includes the time it takes to launch what is between
them. On the simulator it is the time the simulator takes, which says nothing of a GPU's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .events import FunctionEvent, Interval

_FAR = 1000.0  # milliseconds: events are timed in float32, so the anchor moves on before it loses microseconds


@dataclass
class Mark:
    """A CUDA event, where it was recorded and, once known, when it was: microseconds since the profile began."""

    device: int
    stream: int
    event: Any
    at: float = 0.0


class DeviceClock:
    """Marks moments in the work of devices, and later says when they were, on the CPU's clock."""

    def __init__(self, begin_ns: int) -> None:
        from ..cuda import array, backend, module

        self.simulated = backend.simulated()
        self._array, self._module, self._cp = array, module, backend.cupy()
        self._begin_ns = begin_ns
        self._marks: list[Mark] = []
        self._anchors: dict[int, tuple[Any, float]] = {}  # by device: an event, and when it was, in microseconds

    def mark(self) -> Mark | None:
        """The moment at which the current stream is done with what it was given; None while a graph is captured."""
        if self._array.capturing:
            return None
        device = self._module.current_device()
        if device not in self._anchors:
            self._cp.cuda.runtime.deviceSynchronize()
            event = self._event()
            event.synchronize()
            self._anchors[device] = event, (time.perf_counter_ns() - self._begin_ns) / 1e3
        made = Mark(device, int(self._cp.cuda.get_current_stream().ptr), self._event())
        self._marks.append(made)
        return made

    def _event(self) -> Any:
        event = self._cp.cuda.Event()
        event.record(self._cp.cuda.get_current_stream())
        return event

    def resolve(self, events: Iterable[FunctionEvent]) -> None:
        """Fill in when events were on the device. Waits for the device."""
        for device in self._anchors:
            with self._cp.cuda.Device(device):
                self._cp.cuda.runtime.deviceSynchronize()
        latest: dict[tuple[int, int], float] = {}
        for mark in self._marks:
            self._find(mark)
            stream = mark.device, mark.stream
            latest[stream] = mark.at = max(
                mark.at, latest.get(stream, 0.0)
            )  # a stream keeps the order; rounding may not
        for event in events:
            first, last = event.first_mark, event.last_mark
            event.first_mark = event.last_mark = None
            if first is not None and last is not None:
                event.device_range = _within(event.cpu_parent, first.stream, Interval(first.at, max(first.at, last.at)))
                event.device_index, event.stream = first.device, first.stream

    def _find(self, mark: Mark) -> None:
        anchor, when = self._anchors[mark.device]
        passed = self._cp.cuda.get_elapsed_time(anchor, mark.event)
        mark.at = when + 1e3 * passed
        if passed > _FAR:
            self._anchors[mark.device] = mark.event, mark.at


def _within(parent: FunctionEvent | None, stream: int, found: Interval) -> Interval:
    """`found` inside the range of the call around it, which rounding may have put it out of."""
    around = parent.device_range if parent is not None and parent.stream == stream else None
    if around is None:
        return found
    start, end = (min(max(x, around.start), around.end) for x in found)
    return Interval(start, end)
