"""`Tensor.record_stream`: memory that another stream works with is not handed out again before that work is done.

The pool gives memory that was freed to the next array made on the same stream: work submitted there comes later by
itself. What other streams were given is not waited for. So of memory with such work a reference is kept when the last
array over it goes; events recorded at that moment tell when it may be dropped. They are asked after each allocation,
and waited for when there is no room otherwise.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any

from . import array, backend
from .streams import Event, Stream

cp = backend.cupy()

_streams: dict[int, set[Stream]] = {}  # those that work with an array, by its id
_waiting: deque[Kept] = deque()


class Kept:
    """The memory of an array that is gone, and the streams that may still work with it."""

    def __init__(self, memory: Any, streams: set[Stream]) -> None:
        self.memory, self.streams = memory, streams
        self.events: list[Event] = []

    def record(self) -> None:
        """Note what each stream has been given so far."""
        self.events = [stream.record_event() for stream in self.streams]

    def done(self) -> bool:
        """Whether all that is done."""
        return bool(self.events) and all(event.query() for event in self.events)


def record_stream(root: Any, stream: Stream) -> None:
    """Keep the memory of the array `root`, which is no view, until what `stream` is given in its lifetime is done."""
    root = root if root.base is None else root.base
    if id(root) not in _streams:
        _streams[id(root)] = set()
        weakref.finalize(root, _keep, id(root), root.data.mem).atexit = False
    _streams[id(root)].add(stream)


def _keep(key: int, memory: Any) -> None:
    kept = Kept(memory, _streams.pop(key))
    if not array.capturing:  # events recorded in a capture belong to it
        kept.record()
    _waiting.append(kept)
    array.add_watcher(release)
    array.reclaim = reclaim


def release() -> None:
    """Drop memory that no stream works with any more."""
    if array.capturing:
        return
    for _ in range(len(_waiting)):  # piece by piece: another may come in while an event is asked
        kept = _waiting.popleft()
        if not kept.events:
            kept.record()
        if not kept.done():
            _waiting.append(kept)
    if not _waiting:
        array.remove_watcher(release)
        array.reclaim = None


def reclaim() -> bool:
    """Wait for the streams and drop what they worked with; whether there was any."""
    if array.capturing or not _waiting:
        return False
    while _waiting:
        kept = _waiting.popleft()
        if not kept.events:
            kept.record()
        for event in kept.events:
            event.made.synchronize()
    return True
