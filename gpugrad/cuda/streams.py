"""Streams and events, with PyTorch's names, over CuPy's."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ..device import Device
from . import array, backend, bounds, index_of

cp = backend.cupy()


class Stream:
    """A queue of work on a device, the current one if none is given: `with gpugrad.cuda.stream(Stream()): ...`."""

    def __init__(self, device: Any = None, priority: int = 0, *, made: Any = None) -> None:
        index = index_of(device, "Stream")
        if made is None:
            with cp.cuda.Device(index):
                made = cp.cuda.Stream(non_blocking=True, priority=priority)
        self.made, self.device = made, Device("cuda", index)
        self._inside: list[ExitStack] = []

    @property
    def cuda_stream(self) -> int:
        """The stream's handle."""
        return int(self.made.ptr)

    def synchronize(self) -> None:
        """Wait until all work in this stream is done. IndexError if a kernel met a bad index."""
        array.refuse_in_capture("waited for")
        self.made.synchronize()
        bounds.check()

    def query(self) -> bool:
        """Whether all work in this stream is done."""
        return bool(self.made.done)

    def record_event(self, event: Event | None = None) -> Event:
        """Record an event here, a new one if none is given."""
        with cp.cuda.Device(self.device.index):
            event = Event() if event is None else event
            event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Work submitted from here on waits for the event."""
        self.made.wait_event(event.made)

    def wait_stream(self, stream: Stream) -> None:
        """Work submitted from here on waits for what `stream` has been given so far."""
        self.wait_event(stream.record_event())

    def __enter__(self) -> Stream:
        """Make its device the current one as well."""
        with ExitStack() as stack:
            stack.enter_context(cp.cuda.Device(self.device.index))
            stack.enter_context(self.made)
            self._inside.append(stack.pop_all())
        return self

    def __exit__(self, *exc: object) -> None:
        self._inside.pop().close()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.device, self.cuda_stream) == (other.device, other.cuda_stream)

    def __hash__(self) -> int:
        return hash((self.device, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<gpugrad.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class Event:
    """A moment of a stream's work. Times are taken only with `enable_timing=True`, as in PyTorch."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.enable_timing = enable_timing
        self.made = cp.cuda.Event(block=blocking, disable_timing=not enable_timing)

    def record(self, stream: Stream | None = None) -> None:
        """Record it in a stream, the current one if none is given. CUDA's error for a stream of another device."""
        self.made.record(cp.cuda.get_current_stream() if stream is None else stream.made)

    def wait(self, stream: Stream | None = None) -> None:
        """Work submitted to the stream from here on waits for this event."""
        (cp.cuda.get_current_stream() if stream is None else stream.made).wait_event(self.made)

    def query(self) -> bool:
        """Whether the work before it is done."""
        return bool(self.made.done)

    def synchronize(self) -> None:
        """Wait for the work before it. IndexError if a kernel met a bad index."""
        array.refuse_in_capture("waited for")
        self.made.synchronize()
        bounds.check()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another. RuntimeError if either was made without `enable_timing=True`."""
        if not (self.enable_timing and end_event.enable_timing):
            raise RuntimeError("Both events must be created with argument 'enable_timing=True'.")
        return float(cp.cuda.get_elapsed_time(self.made, end_event.made))


def current_stream(device: Any = None) -> Stream:
    """The stream that work of a device is submitted to."""
    index = index_of(device, "current_stream")
    return Stream(index, made=cp.cuda.get_current_stream(index))


def default_stream(device: Any = None) -> Stream:
    """The stream that work of a device is submitted to unless another is chosen."""
    return Stream(device, made=cp.cuda.Stream.null)


def set_stream(stream: Stream) -> None:
    """Submit work to `stream`, and make its device the current one, from here on."""
    cp.cuda.runtime.setDevice(stream.device.index)
    stream.made.use()


class StreamContext:
    """Work inside goes to the stream; None does nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            self.stream.__enter__()

    def __exit__(self, *exc: object) -> None:
        if self.stream is not None:
            self.stream.__exit__(*exc)


stream = StreamContext
