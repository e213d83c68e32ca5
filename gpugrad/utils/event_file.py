"""One file of events for TensorBoard, in tensorboardX's protocol buffers.

Events are written by the thread that adds them, into a file that no other writer has, so that what was flushed can be
read and what is opened again in the same second overwrites nothing.
"""

from __future__ import annotations

import importlib
import itertools
import os
import time
from typing import Any

_number = itertools.count()  # a part of file names: several files may be opened within a second


def library(module: str) -> Any:
    """A module of tensorboardX. ImportError, naming the extra that has it, if it cannot be imported."""
    try:
        return importlib.import_module(f"tensorboardX.{module}")
    except ImportError as error:
        raise ImportError(
            'gpugrad writes for TensorBoard through tensorboardX, which cannot be imported here: pip install "gpugrad[tensorboard]"'
        ) from error


class EventFile:
    """A new file in `folder`, which is made if it is missing. It is flushed when `max_queue` events wait, or have waited
    for `flush_secs` seconds when another comes.
    """

    def __init__(self, folder: str, max_queue: int, flush_secs: float, suffix: str) -> None:
        os.makedirs(folder, exist_ok=True)
        name = f".{os.getpid()}.{next(_number)}{suffix}"
        self._file = library("event_file_writer").EventsWriter(os.path.join(folder, "events"), name)
        self._protocol = library("proto.event_pb2")
        self._max_queue, self._flush_secs = max_queue, flush_secs
        self._waiting, self._flushed = 0, time.time()

    def add(self, summary: Any, step: Any = None, walltime: float | None = None) -> None:
        """Write a summary, at a step of the program and a time in seconds since 1970, by default now."""
        event = self._protocol.Event(summary=summary, wall_time=time.time() if walltime is None else walltime)
        if step is not None:
            event.step = int(step)
        self._write(event)

    def begin_again(self, step: int) -> None:
        """Hide what earlier files say of this step and later ones."""
        begin = self._protocol.SessionLog(status=self._protocol.SessionLog.START)
        self._write(self._protocol.Event(step=step, file_version="brain.Event:2"))
        self._write(self._protocol.Event(step=step, session_log=begin))

    def _write(self, event: Any) -> None:
        self._file.write_event(event)
        self._waiting += 1
        if self._waiting >= self._max_queue or time.time() - self._flushed >= self._flush_secs:
            self.flush()

    def flush(self) -> None:
        """Bring what waits to the disk."""
        self._file.flush()
        self._waiting, self._flushed = 0, time.time()

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()
