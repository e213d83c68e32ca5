"""Streams and events, with PyTorch's names, over CuPy's."""

from __future__ import annotations

from typing import Any

from . import backend, bounds

cp = backend.cupy()


class Stream:
    """A queue of work on the current device: `with gpugrad.cuda.stream(Stream()): ...`."""

    def __init__(self, device: Any = None, priority: int = 0, *, made: Any = None) -> None:
        self.made = cp.cuda.Stream(non_blocking=True) if made is None else made

    @property
    def cuda_stream(self) -> int:
        """The stream's handle."""
        return int(self.made.ptr)

    def synchronize(self) -> None:
        """Wait until all work in this stream is done. IndexError if a kernel met a bad index."""
        self.made.synchronize()
        bounds.check()

    def query(self) -> bool:
        """Whether all work in this stream is done."""
        return bool(self.made.done)

    def record_event(self, event: Event | None = None) -> Event:
        """Record an event here, a new one if none is given."""
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
        self.made.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.made.__exit__(*exc)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.cuda_stream == other.cuda_stream

    def __hash__(self) -> int:
        return hash(self.cuda_stream)

    def __repr__(self) -> str:
        return f"<gpugrad.cuda.Stream device=cuda:{int(cp.cuda.runtime.getDevice())} cuda_stream={self.cuda_stream:#x}>"


class Event:
    """A moment of a stream's work. Times are taken only with `enable_timing=True`, as in PyTorch."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.enable_timing = enable_timing
        self.made = cp.cuda.Event(block=blocking, disable_timing=not enable_timing)

    def record(self, stream: Stream | None = None) -> None:
        """Record it in a stream, the current one if none is given."""
        self.made.record(cp.cuda.get_current_stream() if stream is None else stream.made)

    def wait(self, stream: Stream | None = None) -> None:
        """Work submitted to the stream from here on waits for this event."""
        (cp.cuda.get_current_stream() if stream is None else stream.made).wait_event(self.made)

    def query(self) -> bool:
        """Whether the work before it is done."""
        return bool(self.made.done)

    def synchronize(self) -> None:
        """Wait for the work before it. IndexError if a kernel met a bad index."""
        self.made.synchronize()
        bounds.check()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another. RuntimeError if either was made without `enable_timing=True`."""
        if not (self.enable_timing and end_event.enable_timing):
            raise RuntimeError("Both events must be created with argument 'enable_timing=True'.")
        return float(cp.cuda.get_elapsed_time(self.made, end_event.made))


def current_stream(device: Any = None) -> Stream:
    """The stream that work is submitted to."""
    return Stream(made=cp.cuda.get_current_stream())


def default_stream(device: Any = None) -> Stream:
    """The stream that work is submitted to unless another is chosen."""
    return Stream(made=cp.cuda.Stream.null)


def set_stream(stream: Stream) -> None:
    """Submit work to `stream` from here on."""
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
