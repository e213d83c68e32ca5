"""`profile`: recording between its beginning and its end, or by a schedule of steps."""

from __future__ import annotations

import importlib
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from . import recorder as recording
from .activity import ProfilerAction, ProfilerActivity, supported_activities
from .doors import open_doors
from .events import EventList
from .ranges import record_function
from .recorder import Options, Recorder
from .table import format_bytes
from .trace import write_trace

_SIMULATED = "The CUDA device is simulated: its times say nothing of a GPU's."
_RECORDS = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
_one_at_a_time = threading.Lock()  # held from a profile's start to its stop


class profile:
    """`with profile() as prof: ...` writes down every call of an op: when, inside which other, on which thread.

    `activities`: what to time, by default the CPU and, where there is one, the CUDA device. `record_shapes`: input shapes
    of each call. `profile_memory`: memory allocated, as `tracemalloc` and the device's pool count it; the former slows
    Python down. `with_stack`: the lines of code that led to each call. `with_modules`: calls of `nn.Module`s too.
    `with_flops`: operations of products. `schedule`: step number -> `ProfilerAction`, see `schedule()`; `step()` then
    ends a step. `on_trace_ready` is called with the profile when a recording is complete. `acc_events`: keep the events
    of earlier cycles.

    All threads are recorded, and the profile is for the process: RuntimeError when another is on. AssertionError if
    `activities` is empty. Beside PyTorch's names there is `memory_peak`, the most bytes allocated, by device.
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        acc_events: bool = False,
    ) -> None:
        self.activities = supported_activities() if activities is None else set(activities)
        wrong = [a for a in self.activities if not isinstance(a, ProfilerActivity)]
        if wrong:
            raise TypeError(f"activities: expected ProfilerActivity.CPU or .CUDA, got {wrong[0]!r}")
        if not self.activities:
            raise AssertionError("No valid profiler activities found")
        if not self.activities <= supported_activities():
            warnings.warn("CUDA is not available, disabling CUDA profiling", stacklevel=2)
        self.record_shapes, self.profile_memory, self.with_stack = record_shapes, profile_memory, with_stack
        self.with_flops, self.with_modules, self.acc_events = with_flops, with_modules, acc_events
        self.schedule = schedule
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = self._action()
        self.memory_peak: dict[str, int] = {}
        self._metadata: dict[str, Any] = {}
        self._events: EventList | None = None
        self._recorder: Recorder | None = None
        self._doors = ExitStack()
        self._running = False
        self._range: record_function | None = None

    # ---- its course ----

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin. RuntimeError if a profile is on already."""
        if not _one_at_a_time.acquire(blocking=False):
            raise RuntimeError("Profiler is already enabled: another profile is on, and profiles do not nest")
        self._running = True
        try:
            if self.current_action is not ProfilerAction.NONE:
                self._begin()
            self._begin_step()
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """End, and hand what was recorded to `on_trace_ready`. AssertionError if it has not been started."""
        if not self._running:
            raise AssertionError("Profiler must be initialized before stopping trace")
        try:
            self._end_step()
            self._finish(self.current_action)
        finally:
            self._end()
        if self.current_action in _RECORDS:
            self._ready()

    def step(self) -> None:
        """A step is over, and the next one begins: start or stop recording as the schedule says."""
        if not self._running:
            return
        self._end_step()
        before, self.step_num = self.current_action, self.step_num + 1
        self.current_action = now = self._action()
        goes_on = before is now is ProfilerAction.WARMUP or (before is ProfilerAction.RECORD and now in _RECORDS)
        if not goes_on:
            self._finish(before)
            if before is ProfilerAction.RECORD_AND_SAVE:
                self._ready()
            if now is not ProfilerAction.NONE:
                self._begin()
        self._begin_step()

    def _action(self) -> ProfilerAction:
        return ProfilerAction.RECORD if self.schedule is None else self.schedule(self.step_num)

    def _begin_step(self) -> None:
        if self.schedule is not None:
            self._range = record_function(f"ProfilerStep#{self.step_num}")
            self._range.__enter__()

    def _end_step(self) -> None:
        if self._range is not None:
            self._range.__exit__()
            self._range = None

    def _ready(self) -> None:
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    # ---- recording ----

    def _begin(self) -> None:
        """Open the doors to a new recorder."""
        device = self._uses_device()
        flags = {name: getattr(self, name) for name in ("record_shapes", "profile_memory", "with_stack", "with_flops")}
        self._recorder = Recorder(Options(device=device, with_modules=self.with_modules, **flags))
        self._doors = open_doors(self._recorder)
        recording.current = self._recorder
        self._recorder.begin()

    def _uses_device(self) -> bool:
        """Whether the CUDA device's time is taken; makes it ready if so."""
        if ProfilerActivity.CUDA not in self.activities & supported_activities():
            return False
        from ..cuda import backend

        backend.require()
        importlib.import_module("gpugrad.cuda.graphs")  # now, and not when memory is being counted
        return True

    def _finish(self, action: ProfilerAction) -> None:
        """Close the doors, and keep what was recorded unless it was to warm up."""
        found, self._recorder = self._recorder, None
        recording.current = None
        if found is None:
            return
        try:
            found.end()
        finally:
            self._doors.close()
        if action not in _RECORDS:
            return
        found.read_clock()
        memories = {"cpu": found.host_memory, "cuda": found.device_memory}
        self.memory_peak = {name: m.peak for name, m in memories.items() if m is not None}
        kept = self._events if self.acc_events and self._events is not None else []
        flags = {"profile_memory": self.profile_memory, "with_flops": self.with_flops}
        self._events = EventList([*kept, *found.events], use_device=found.use_device, notes=self._notes(found), **flags)

    def _end(self) -> None:
        """Whatever has happened, no door stays open and another profile may begin."""
        found, self._recorder = self._recorder, None
        recording.current = None
        self._doors.close()
        if found is not None:  # an error came in between
            found.end()
        self._running = False
        _one_at_a_time.release()

    def _notes(self, found: Recorder) -> list[str]:
        notes = [f"Peak {name.upper()} memory: {format_bytes(peak)}" for name, peak in self.memory_peak.items()]
        return [*notes, _SIMULATED] if found.simulated else notes

    # ---- results ----

    def events(self) -> EventList:
        """Every call, in the order they began. AssertionError before a recording is complete."""
        if self._events is None:
            raise AssertionError("Profiler must be initialized before accessing events: nothing has been recorded yet")
        return self._events

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """The calls summed by name; `group_by_input_shape` takes `record_shapes`, `group_by_stack_n` `with_stack`."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path: str) -> None:
        """Write a trace for Perfetto; compressed if the name ends in `.gz`."""
        about = {
            "host_name": socket.gethostname(),
            "baseTimeNanoseconds": time.time_ns(),
            **{name: int(getattr(self, name)) for name in ("record_shapes", "profile_memory", "with_stack")},
        }
        write_trace(path, self.events(), {**about, **self._metadata})

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write stacks for a flame graph; see `EventList.export_stacks`."""
        self.events().export_stacks(path, metric)

    def add_metadata(self, key: str, value: str) -> None:
        """Add a string to the trace."""
        self._metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """Add a value, given as JSON, to the trace."""
        import json

        self._metadata[key] = json.loads(value)
