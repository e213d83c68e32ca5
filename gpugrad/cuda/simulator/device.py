"""The simulated devices: work happens at once, unless a graph is being captured; what a host would wait for is counted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import settings
from .memory import device_memory, thread


@dataclass
class Counters:
    """Copies between host and device, waits for the device, and work on it, since `reset`.

    `launches` is all that was submitted; `functions` those of CuPy's own functions that make or write an array.
    """

    host_to_device: int = 0
    host_to_device_bytes: int = 0
    device_to_host: int = 0
    device_to_host_bytes: int = 0
    synchronizations: int = 0
    launches: int = 0
    functions: int = 0

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]


counters = Counters()


class CUDARuntimeError(RuntimeError):
    """An error of the CUDA runtime."""


def _refuse(*_: Any) -> Any:
    raise CUDARuntimeError("cudaErrorInitializationError: initialization error")


def _after_fork() -> None:
    """In the child: CUDA does not work in a process forked after it was initialised.

    There every call asks for the current device, and is refused.
    """
    type(thread).device = property(_refuse, _refuse)  # type: ignore[assignment]


os.register_at_fork(after_in_child=_after_fork)


class Stream:
    """A queue of work of one device: here each piece is done before the call returns."""

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: int = 0) -> None:
        self.ptr = 0 if null else id(self)
        self.device_id = -1 if null else thread.device
        self.recording: list[Callable[[], None]] | None = None
        self._outer: list[tuple[int, Stream]] = []  # by device

    def __enter__(self) -> Stream:
        self._outer.append((thread.device, get_current_stream()))
        self.use()
        return self

    def __exit__(self, *exc: object) -> None:
        device, stream = self._outer.pop()
        _current[device] = stream

    def use(self) -> Stream:
        """Make this the current stream of its device, which must be the current one."""
        if self.device_id not in (-1, thread.device):
            raise RuntimeError(
                f"The device that the stream is created on ({self.device_id}) does not match with the current device "
                f"({thread.device})"
            )
        _current[thread.device] = self
        return self

    @property
    def done(self) -> bool:
        return True

    def synchronize(self) -> None:
        wait("Stream.synchronize")

    def record(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Nothing to wait for: work is done in the order of the calls."""

    def begin_capture(self, mode: Any = None) -> None:
        """Write down the work submitted from here on instead of doing it."""
        if self.ptr == 0:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted on the null stream")
        if self.recording is not None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is being captured already")
        self.recording = []

    def end_capture(self) -> Graph:
        if self.recording is None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is not being captured")
        graph, self.recording = Graph(self.recording), None
        return graph

    def is_capturing(self) -> bool:
        return self.recording is not None


Stream.null = Stream(null=True)
_current: dict[int, Stream] = {}  # by device


def get_current_stream(device_id: int = -1) -> Stream:
    """The stream that work of a device goes to, -1: of the current one."""
    return _current.get(thread.device if device_id == -1 else device_id, Stream.null)


class Graph:
    """Captured work, repeated by each launch."""

    def __init__(self, work: list[Callable[[], None]]) -> None:
        self._work = work

    def upload(self, stream: Stream | None = None) -> None:
        """Nothing to prepare."""

    def launch(self, stream: Stream | None = None) -> None:
        for piece in self._work:
            piece()


def submit(work: Callable[[], None]) -> None:
    """Do a piece of device work, or write it down during a capture."""
    counters.launches += 1
    recording = get_current_stream().recording
    if recording is None:
        work()
    else:
        recording.append(work)


def wait(what: str) -> None:
    """Count a wait of the host; CUDARuntimeError during a capture."""
    if get_current_stream().recording is not None:
        raise CUDARuntimeError(
            f"cudaErrorStreamCaptureUnsupported: {what} waits for the device, which is not permitted when stream is capturing"
        )
    counters.synchronizations += 1


class Event:
    """A moment of the device's work."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.time = 0.0
        self.done = True

    def record(self, stream: Stream | None = None) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        wait("Event.synchronize")


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds between two events: the simulator's own, which say nothing of a GPU's."""
    return 1e3 * (end_event.time - start_event.time)


class Device:
    """A device, by number; the current one if none is given. The current one inside `with Device(1):`."""

    def __init__(self, device: int | None = None) -> None:
        self.id = thread.device if device is None else int(device)
        if not 0 <= self.id < settings.devices():
            raise CUDARuntimeError(
                f"cudaErrorInvalidDevice: invalid device ordinal: {device} of {settings.devices()} (GPUGRAD_SIMULATE_DEVICES)"
            )
        self._outer: list[int] = []

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    __hash__ = None  # type: ignore[assignment]  # as CuPy's

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def __enter__(self) -> Device:
        self._outer.append(thread.device)
        thread.device = self.id
        return self

    def __exit__(self, *exc: object) -> None:
        thread.device = self._outer.pop()

    def use(self) -> None:
        """Make it the current one."""
        thread.device = self.id

    def synchronize(self) -> None:
        wait("Device.synchronize")

    @property
    def compute_capability(self) -> str:
        return "90"

    @property
    def mem_info(self) -> tuple[int, int]:
        """Free and total bytes."""
        with self:
            mine = device_memory().account
        return settings.memory() - mine.used - mine.cached, settings.memory()


class runtime:
    """`cupy.cuda.runtime`: the few of its functions that gpugrad calls."""

    CUDARuntimeError = CUDARuntimeError

    @staticmethod
    def getDevice() -> int:
        return thread.device

    @staticmethod
    def setDevice(device: int) -> None:
        Device(device).use()

    @staticmethod
    def getDeviceCount() -> int:
        _ = thread.device  # refused in a forked process
        return settings.devices()

    @staticmethod
    def deviceSynchronize() -> None:
        wait("deviceSynchronize")

    @staticmethod
    def streamSynchronize(stream: int) -> None:
        wait("streamSynchronize")

    @staticmethod
    def memGetInfo() -> tuple[int, int]:
        return Device().mem_info

    @staticmethod
    def runtimeGetVersion() -> int:
        return 13000

    @staticmethod
    def driverGetVersion() -> int:
        return 13000

    @staticmethod
    def getDeviceProperties(device: int) -> dict[str, Any]:
        """What an H100 would say of itself, as far as kernels are launched by it."""
        _ = thread.device  # refused in a forked process
        return {
            "name": b"gpugrad CUDA simulator",
            "totalGlobalMem": settings.memory(),
            "major": 9,
            "minor": 0,
            "multiProcessorCount": 4,
            "warpSize": 32,
            "maxThreadsPerBlock": 1024,
            "maxThreadsPerMultiProcessor": 2048,
            "sharedMemPerBlock": 48 << 10,
            "sharedMemPerBlockOptin": 227 << 10,
            "regsPerBlock": 65536,
            "l2CacheSize": 50 << 20,
        }
