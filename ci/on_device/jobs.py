"""Processes that must have ended by a deadline, with everything that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GRACE = 2.0  # seconds from being asked to end to being killed


def seconds_left(deadline: float) -> float:
    """Until a time of `time.monotonic()`."""
    return deadline - time.monotonic()


def run(
    command: Sequence[str],
    deadline: float,
    log: Path,
    environment: Mapping[str, str] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> int | None:
    """The exit status of a command, whose output is added to `log`; None if it was ended at the deadline.

    `meanwhile` is called every second.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # a group of its own, which can be ended as a whole
        )
    try:
        while seconds_left(deadline) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(min(1.0, max(0.01, seconds_left(deadline))))
            meanwhile()
        return None
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process and of what it started."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may hold on to a process that was killed
            process.wait(GRACE)


def end_of(log: Path) -> str:
    """The last megabyte of a log."""
    return log.read_bytes()[-(1 << 20) :].decode(errors="replace") if log.exists() else ""


def last_line(log: Path) -> str:
    """What a log ends with, in a line."""
    lines = end_of(log).strip().splitlines()
    return lines[-1][:300] if lines else "nothing was printed"
