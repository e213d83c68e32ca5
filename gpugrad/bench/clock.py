"""How long a step takes. A clock runs a step some times and says for how long, and how long the host saw it take.

On the CPU both are `perf_counter`'s. On a GPU the first is the time between two events on the stream, which leaves out
what the host waits for at the end; transfers and JAX, which are timed until everything is there, have one figure.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

Clock = Callable[[Callable[[], Any], int], tuple[float, float]]  # step, repeats -> seconds, seconds of the host

SHORTEST = 0.005  # seconds: shorter steps are timed together, for the clock and the loop to weigh little
LONG = 0.1  # steps longer than this are timed once or twice in a round


def on_the_cpu(step: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Steps that have done their work when they return."""
    began = time.perf_counter()
    for _ in range(repeats):
        step()
    seconds = time.perf_counter() - began
    return seconds, seconds


def until_done(wait: Callable[[Any], Any], *, each: bool = True) -> Clock:
    """Steps that may return before their work is done: `wait(what it returned)` follows each, or the last."""

    def clock(step: Callable[[], Any], repeats: int) -> tuple[float, float]:
        began = time.perf_counter()
        for _ in range(repeats):
            results = step()
            if each:
                wait(results)
        wait(results)
        seconds = time.perf_counter() - began
        return seconds, seconds

    return clock


def between_events(torch: Any, ahead: int = 0) -> Clock:
    """Work on a CUDA stream, submitted in one go: between an event before it and one after it.

    With `ahead`, one step more for every `ahead` that are timed comes before the first event. The device has then begun
    when it meets the event, and the host, whose caches the steps have filled, is ahead of it if it takes less time for
    one: what it takes to begin does not count.
    """

    def clock(step: Callable[[], Any], repeats: int) -> tuple[float, float]:
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        for _ in range(repeats // ahead if ahead else 0):
            step()
        began = time.perf_counter()
        first.record()
        for _ in range(repeats):
            step()
        last.record()
        last.synchronize()
        host = time.perf_counter() - began
        return max(first.elapsed_time(last) / 1e3, 1e-9), host

    return clock


def in_turn(steps: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
    """One function that does the next of the steps each time, round and round."""
    if len(steps) == 1:
        return steps[0]
    endless = itertools.cycle(steps)
    return lambda: next(endless)()


def time_steps(clock: Clock, step: Callable[[], Any], seconds: float) -> tuple[list[float], list[float]]:
    """Times of one step by the clock, and as the host saw them, for about `seconds` altogether.

    They begin when as much as a fifth of that has gone by in warming up. The first step does not count at all: others
    had the caches meanwhile.
    """
    ready = time.perf_counter() + seconds / 5
    clock(step, 1)
    repeats = 1
    while (elapsed := clock(step, repeats)[1]) < SHORTEST:
        repeats = math.ceil(repeats * min(10, 1.2 * SHORTEST / elapsed))
    while time.perf_counter() < ready:
        clock(step, repeats)
    enough = 3 if elapsed < LONG else 1
    times: list[float] = []
    host: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < enough or time.perf_counter() < end:
        by_clock, by_host = clock(step, repeats)
        times.append(by_clock / repeats)
        host.append(by_host / repeats)
    return times, host
