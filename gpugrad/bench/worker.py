"""One measurement in a process of its own: `python -m gpugrad.bench.worker CASE PEER [SECONDS]` prints it as JSON.

Keys: `numbers`, values that are equal for peers that do the same; `seconds`, the time of one step, several times over.
With SECONDS 0, the default, nothing is timed.
"""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .cases import CASES, Case, Step

CHECKED_STEPS = 3
SHORTEST = 0.005  # seconds: shorter steps are timed together, for the clock and the loop to weigh little
IMPORT = "import sys, time; began = time.perf_counter(); __import__(sys.argv[1]); print(time.perf_counter() - began)"


def measure(case: Case, peer: str, seconds: float) -> dict[str, list[float]]:
    """Check and time `case` with the module named `peer` for about `seconds`."""
    if case.build is None:
        return {"numbers": [], "seconds": _time_imports(peer, seconds)}
    step = case.build(importlib.import_module(peer))
    numbers = [number for _ in range(CHECKED_STEPS) for tensor in step() for number in _summary(tensor)]
    return {"numbers": numbers, "seconds": _time_steps(step, seconds) if seconds else []}


def _summary(tensor: Any) -> tuple[float, float]:
    """Two numbers that tell apart other values and another order: root mean squares, of the values and along a ramp."""
    values = tensor.detach().numpy().astype(np.float64).ravel()
    ramp = np.linspace(0.5, 1, values.size)
    return math.sqrt(np.mean(values**2)), math.sqrt(np.mean((values * ramp) ** 2))


def _time_steps(step: Step, seconds: float) -> list[float]:
    """Times of one step, for about `seconds` altogether; they begin when as much as a fifth of that has gone by."""
    ready = time.perf_counter() + seconds / 5
    repeats = 1
    while (elapsed := _time(step, repeats)) < SHORTEST:
        repeats = math.ceil(repeats * min(10, 1.2 * SHORTEST / elapsed))
    while time.perf_counter() < ready:
        _time(step, repeats)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        times.append(_time(step, repeats) / repeats)
    return times


def _time(step: Step, repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        step()
    return time.perf_counter() - began


def _time_imports(module: str, seconds: float) -> list[float]:
    """Times of `import module`, each in a fresh process; the first fills the caches and does not count."""
    times: list[float] = []
    command = (sys.executable, "-c", IMPORT, module)
    end = time.perf_counter() + seconds
    while len(times) < 4 or time.perf_counter() < end:
        times.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return times[1:]


def main(arguments: Sequence[str]) -> None:
    """Measure what the arguments say; see the module's docstring."""
    name, peer, seconds = (*arguments, "0")[:3]
    print(json.dumps(measure(CASES[name], peer, float(seconds))))


if __name__ == "__main__":
    main(sys.argv[1:])
