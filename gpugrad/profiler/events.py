"""What was recorded: one `FunctionEvent` per call, `FunctionEventAvg` for all calls of one name, lists of either.

Names and units are PyTorch's: times in microseconds, memory in bytes. An event's total includes what was called inside
it; its self figures do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple


class DeviceType(Enum):
    """Where an event was recorded: ops are submitted by the CPU, and carry their time on the device with them."""

    CPU = 0
    CUDA = 1


class Kind(Enum):
    """What an event is of; the value is its category in a trace."""

    OP = "cpu_op"
    BACKWARD = "backward_op"
    COPY = "memcpy"
    RANGE = "user_annotation"
    MODULE = "python_function"


class Interval(NamedTuple):
    """From when to when, in microseconds since the profile began."""

    start: float
    end: float

    def elapsed_us(self) -> float:
        """How long it took."""
        return self.end - self.start


class _CudaNames:
    """The names that `device_` figures had before PyTorch 2.4."""

    __slots__ = ()
    cuda_time = property(lambda self: self.device_time)
    cuda_time_total = property(lambda self: self.device_time_total)
    self_cuda_time_total = property(lambda self: self.self_device_time_total)
    cuda_memory_usage = property(lambda self: self.device_memory_usage)
    self_cuda_memory_usage = property(lambda self: self.self_device_memory_usage)


class FunctionEvent(_CudaNames):
    """One call of an op, of an op's rules, of a module, or one range of the user's."""

    __slots__ = (
        *("bytes_moved", "flops", "trace_name", "kind", "thread", "use_device", "input_shapes", "stack"),
        *("cpu_parent", "cpu_children"),
        *("start_ns", "end_ns"),  # since the profile began; an end of 0: it is not over
        *("cpu_memory_usage", "device_memory_usage"),  # allocated less freed
        *("cpu_allocated", "device_allocated"),  # in all, when it ended; until then, when it began
        *("first_mark", "last_mark"),  # the CUDA events before and after it, until the profile ends
        *("device_range", "device_index", "stream"),  # where it was on the device; times are on the CPU's clock
    )
    count = 1
    node_id = -1
    is_async = is_remote = is_legacy = False
    device_type = DeviceType.CPU

    def __init__(
        self, name: str, kind: Kind, thread: int, parent: FunctionEvent | None, use_device: str | None
    ) -> None:
        self.trace_name = name
        self.kind = kind
        self.thread = thread
        self.use_device = use_device
        self.cpu_parent = parent
        self.cpu_children: list[FunctionEvent] = []
        self.input_shapes: list[Any] = []
        self.stack: list[str] = []
        self.start_ns = self.end_ns = self.bytes_moved = self.flops = 0
        self.cpu_memory_usage = self.device_memory_usage = self.cpu_allocated = self.device_allocated = 0
        self.first_mark: Any = None
        self.last_mark: Any = None
        self.device_range: Interval | None = None
        self.device_index = self.stream = 0

    @property
    def name(self) -> str:
        return "ProfilerStep*" if self.trace_name.startswith("ProfilerStep#") else self.trace_name

    @property
    def key(self) -> str:
        return self.name

    @property
    def id(self) -> int:
        return id(self)

    @property
    def is_user_annotation(self) -> bool:
        return self.kind is Kind.RANGE

    @property
    def scope(self) -> int:
        """PyTorch's number of the kind: 0 a function, 1 a backward function, 7 a range of the user's."""
        return {Kind.BACKWARD: 1, Kind.RANGE: 7}.get(self.kind, 0)

    @property
    def time_range(self) -> Interval:
        return Interval(self.start_ns / 1e3, self.end_ns / 1e3)

    @property
    def cpu_time_total(self) -> float:
        return (self.end_ns - self.start_ns) / 1e3

    cpu_time = cpu_time_total

    @property
    def self_cpu_time_total(self) -> float:
        return (self.end_ns - self.start_ns - sum(c.end_ns - c.start_ns for c in self.cpu_children)) / 1e3

    @property
    def device_time_total(self) -> float:
        if self.device_range is not None:
            return self.device_range.elapsed_us()
        return sum(c.device_time_total for c in self.cpu_children)

    device_time = device_time_total

    @property
    def self_device_time_total(self) -> float:
        inside = sum(c.device_time_total for c in self.cpu_children)
        return max(0.0, self.device_time_total - inside)  # rounding of the device's clock apart, never negative

    @property
    def self_cpu_memory_usage(self) -> int:
        return self.cpu_memory_usage - sum(c.cpu_memory_usage for c in self.cpu_children)

    @property
    def self_device_memory_usage(self) -> int:
        return self.device_memory_usage - sum(c.device_memory_usage for c in self.cpu_children)

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent name={self.name} cpu_time={self.cpu_time_total:.3f}us start_us={self.time_range.start:.3f} "
            f"end_us={self.time_range.end:.3f} cpu_children={[c.name for c in self.cpu_children]} "
            f"device_time={self.device_time_total:.3f}us thread={self.thread} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage} device_memory_usage={self.device_memory_usage}>"
        )


_SUMMED = (
    *("count", "cpu_time_total", "self_cpu_time_total", "device_time_total", "self_device_time_total"),
    *("cpu_memory_usage", "self_cpu_memory_usage", "device_memory_usage", "self_device_memory_usage"),
    *("bytes_moved", "flops"),
)


class FunctionEventAvg(_CudaNames):
    """The events of one key: sums of times, memory, bytes and calls. `cpu_time`, `device_time` are means per call."""

    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total: float
    self_device_time_total: float
    cpu_memory_usage: int
    self_cpu_memory_usage: int
    device_memory_usage: int
    self_device_memory_usage: int
    bytes_moved: int
    flops: int

    def __init__(self, first: FunctionEvent) -> None:
        self.key = first.key
        self.kind = first.kind
        self.node_id = first.node_id
        self.use_device = first.use_device
        self.device_type = first.device_type
        self.is_async, self.is_remote, self.is_legacy = first.is_async, first.is_remote, first.is_legacy
        self.is_user_annotation = first.is_user_annotation
        self.scope = first.scope
        self.input_shapes: list[Any] = first.input_shapes
        self.stack = first.stack
        self.cpu_parent = first.cpu_parent
        self.cpu_children = first.cpu_children
        for name in _SUMMED:
            setattr(self, name, 0)

    def add(self, other: FunctionEvent | FunctionEventAvg) -> FunctionEventAvg:
        """Count one more event in."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    __iadd__ = add

    @property
    def cpu_time(self) -> float:
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self) -> float:
        return self.device_time_total / self.count if self.count else 0.0

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} count={self.count} self_cpu_time={self.self_cpu_time_total:.3f}us "
            f"cpu_time={self.cpu_time:.3f}us self_device_time={self.self_device_time_total:.3f}us "
            f"device_time={self.device_time:.3f}us input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage} device_memory_usage={self.device_memory_usage}>"
        )


class EventList(list[Any]):
    """Events, or sums of them, with a table and a trace."""

    def __init__(
        self, events: Iterable[Any] = (), *, use_device: str | None = None, notes: Iterable[str] = (), **flags: bool
    ) -> None:
        """`notes` stand under the table; `flags`: profile_memory and with_flops, which have columns of their own."""
        super().__init__(events)
        self.use_device = use_device
        self.notes = tuple(notes)
        self.flags = flags

    def _like(self, events: Iterable[Any]) -> EventList:
        return EventList(events, use_device=self.use_device, notes=self.notes, **self.flags)

    @property
    def self_cpu_time_total(self) -> float:
        return sum(e.self_cpu_time_total for e in self)

    def key_averages(self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0) -> EventList:
        """The events summed by name; with their input shapes, or the first lines of their stacks, as part of the key."""
        sums: dict[Any, FunctionEventAvg] = {}
        for event in self:
            shapes = str(event.input_shapes) if group_by_input_shapes else ""
            key = (event.key, event.kind, shapes, tuple(event.stack[:group_by_stack_n]))
            if key not in sums:
                sums[key] = made = FunctionEventAvg(event)
                made.stack = made.stack[:group_by_stack_n]
                made.input_shapes = made.input_shapes if group_by_input_shapes else []
            sums[key].add(event)
        return self._like(sums.values())

    def total_average(self) -> FunctionEventAvg:
        """Everything in one sum, called `Total`. ValueError if there is nothing."""
        if not self:
            raise ValueError("total_average(): no events were recorded")
        total = FunctionEventAvg(self[0])
        for event in self:
            total.add(event)
        total.key, total.input_shapes, total.stack = "Total", [], []
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int | None = 75,
        max_name_column_width: int | None = 55,
        max_shapes_column_width: int | None = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """A table to print: a row for each event, the largest `sort_by` first, `row_limit` rows (-1: all).

        `sort_by`: an attribute, such as `self_cpu_time_total`, `cuda_time_total` or `bytes_moved`; AttributeError if it
        is none. `time_unit`: "s", "ms" or "us" for all times.
        """
        from .table import build_table

        widths = (max_name_column_width, max_shapes_column_width, max_src_column_width)
        return build_table(self, sort_by, row_limit, widths, header, top_level_events_only, time_unit)

    def export_chrome_trace(self, path: str) -> None:
        """Write the events as a trace for Perfetto or chrome://tracing; compressed if the name ends in `.gz`."""
        from .trace import write_trace

        write_trace(path, self)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write `outer;inner <microseconds>` lines, which flame graphs are drawn from; needs `with_stack=True`.

        ValueError for a metric other than the self and total times on the CPU or the device.
        """
        metric = metric.replace("cuda", "device")
        known = ("self_cpu_time_total", "cpu_time_total", "self_device_time_total", "device_time_total")
        if metric not in known:
            raise ValueError(f"metric should be one of: {', '.join(known)}")
        with open(path, "w") as file:
            for event in self:
                value = int(getattr(event, metric))
                if event.stack and value > 0:
                    lines = [line.replace(" ", "_").replace(";", "_") for line in reversed(event.stack)]
                    file.write(f"{';'.join(lines)} {value}\n")

    def __str__(self) -> str:
        return self.table()
