"""What can be profiled, and what a profile does at a step."""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import profile


class ProfilerActivity(Enum):
    """Where time is taken: in Python and NumPy, or between events on the CUDA device."""

    CPU = 0
    CUDA = 2


class ProfilerAction(Enum):
    """What a profile does during one step of its schedule."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set[ProfilerActivity]:
    """CPU, and CUDA where there is a device or its simulator."""
    from ..cuda import is_available

    return {ProfilerActivity.CPU} | ({ProfilerActivity.CUDA} if is_available() else set())


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """For `profile(schedule=...)`: cycles of `wait` steps off, `warmup` steps recorded and thrown away, `active` kept.

    `skip_first` steps come before the first cycle, whose `wait` is left out if `skip_first_wait` is not 0. There are
    `repeat` cycles, or as many as there are steps if it is 0. AssertionError for negative counts and for `active` < 1.
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} (need >= 0), "
            f"active={active} (need > 0), repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
        )
    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        cycle, place = divmod(step + wait if skip_first_wait else step, wait + warmup + active)
        if (repeat and cycle >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < wait + warmup + active - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """For `profile(on_trace_ready=...)`: writes `<worker>.<nanoseconds>.pt.trace.json` into a folder, made if missing.

    `worker_name` is `<host>_<process id>` unless given. RuntimeError if the folder cannot be made.
    """

    def write(prof: profile) -> None:
        try:
            os.makedirs(dir_name, exist_ok=True)
        except OSError as error:
            raise RuntimeError(f"Can't create directory: {dir_name}") from error
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json{'.gz' if use_gzip else ''}"
        prof.export_chrome_trace(os.path.join(dir_name, name))

    return write
