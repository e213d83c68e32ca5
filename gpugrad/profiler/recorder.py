"""Writing down the calls of one profile: when each began and ended, inside which other, on which thread."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cuda import nvtx
from .device_clock import DeviceClock
from .events import FunctionEvent, Kind
from .flops import flops_of
from .memory import DeviceMemory, HostMemory
from .sizes import bytes_of, shapes_of

_PACKAGE = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class Options:
    """What a profile writes down of each call beside its time."""

    device: bool = False  # times and memory on the CUDA device
    record_shapes: bool = False
    profile_memory: bool = False
    with_stack: bool = False
    with_flops: bool = False
    with_modules: bool = False


class Recorder:
    """The events of one profile, of all threads, in the order they began."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.events: list[FunctionEvent] = []
        self.begin_ns = time.perf_counter_ns()
        self.over = False
        self._open = threading.local()
        self.clock = DeviceClock(self.begin_ns) if options.device else None
        self.simulated = self.clock is not None and self.clock.simulated
        self.use_device = None if self.clock is None else "cuda(sim)" if self.simulated else "cuda"
        self._ranges = options.device and nvtx.is_available()
        self.host_memory = HostMemory() if options.profile_memory else None
        self.device_memory = DeviceMemory() if options.profile_memory and options.device else None

    def begin(self) -> None:
        """What the preparations have allocated is not the program's."""
        if self.host_memory is not None:
            self.host_memory.disown(self.host_memory.at_start)

    def _stack(self) -> list[FunctionEvent]:
        try:
            return self._open.stack
        except AttributeError:
            self._open.stack, self._open.thread = [], threading.get_native_id()
            return self._open.stack

    def enter(self, name: str, kind: Kind, inputs: Any = (), on_device: bool = False) -> FunctionEvent:
        """A call begins; `inputs` are what it is called with."""
        before = 0 if self.host_memory is None else self.host_memory.allocated()
        stack = self._stack()
        while stack and stack[-1].end_ns:  # ended by another thread
            self._pop(stack)
        parent = stack[-1] if stack else None
        event = FunctionEvent(name, kind, self._open.thread, parent, self.use_device)
        if self.options.record_shapes:
            event.input_shapes = shapes_of(inputs)
        if self.options.with_stack:
            event.stack = _python_stack()
        if parent is not None:
            parent.cpu_children.append(event)
        stack.append(event)
        self.events.append(event)
        if self._ranges:
            nvtx.range_push(name)
        if on_device and self.clock is not None:
            event.first_mark = self.clock.mark()
        event.start_ns = time.perf_counter_ns() - self.begin_ns
        if self.device_memory is not None:
            event.device_allocated = self.device_memory.allocated()
        if self.host_memory is not None:
            event.cpu_allocated = before
            self.host_memory.disown(before)
        return event

    def exit(self, event: FunctionEvent, op: Any = None, inputs: Any = (), outputs: Any = ()) -> None:
        """A call is over, and with it whatever began inside and was left open. `op` was given inputs and made outputs."""
        if self.over or event.end_ns:
            return
        allocated = 0 if self.host_memory is None else self.host_memory.allocated()
        now = time.perf_counter_ns() - self.begin_ns
        if event.first_mark is not None and self.clock is not None:
            event.last_mark = self.clock.mark()
        stack = self._stack()
        while event in stack:
            inner = self._pop(stack)
            if inner is not event and not inner.end_ns:
                self._end(inner, now, allocated)
        self._end(event, now, allocated)
        if op is not None:
            event.bytes_moved = 0 if op.view else bytes_of(inputs) + bytes_of(outputs)
            event.flops = flops_of(op.name, inputs, outputs) if self.options.with_flops else 0
        if self.host_memory is not None:
            self.host_memory.disown(allocated)

    def _end(self, event: FunctionEvent, now: int, allocated: int) -> None:
        """`event` is over; what was allocated when it began is still noted in it."""
        event.end_ns = now
        if self.host_memory is not None:
            event.cpu_memory_usage, event.cpu_allocated = allocated - event.cpu_allocated, allocated
        if self.device_memory is not None:
            there = self.device_memory.allocated()
            event.device_memory_usage, event.device_allocated = there - event.device_allocated, there

    def _pop(self, stack: list[FunctionEvent]) -> FunctionEvent:
        if self._ranges:
            nvtx.range_pop()
        return stack.pop()

    def end(self) -> None:
        """The profile is over: calls that are still open end here."""
        now = time.perf_counter_ns() - self.begin_ns
        allocated = 0 if self.host_memory is None else self.host_memory.allocated()
        self.over = True
        stack = self._stack()
        while stack:
            self._pop(stack)
        for event in self.events:
            if not event.end_ns:
                self._end(event, now, allocated)
        for event in reversed(self.events):  # another thread may have ended a call before what it had begun
            parent = event.cpu_parent
            if parent is not None and parent.end_ns < event.end_ns:
                parent.end_ns = event.end_ns
        for memory in (self.host_memory, self.device_memory):
            if memory is not None:
                memory.close()

    def read_clock(self) -> None:
        """Fill in times on the device, which is waited for."""
        if self.clock is not None:
            self.clock.resolve(self.events)


def _python_stack() -> list[str]:
    """The lines that led to a call, the innermost first, without gpugrad's own."""
    frame, lines = sys._getframe(2), []
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<gpugrad")):
            lines.append(f"{file}({frame.f_lineno}): {frame.f_code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    return lines


current: Recorder | None = None  # what ranges are written to: that of the profile that is on
