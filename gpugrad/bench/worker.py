"""The process of one peer: `python -m gpugrad.bench.worker PEER DTYPE`. Requests and answers are lines of JSON.

It holds one piece of work for each device at a time, so that the peers can take turns in being timed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import time
from typing import Any, TextIO

from .case import Case
from .cases import CASES
from .clock import in_turn, time_steps
from .digest import digest
from .peer import Peer, forget_numbers, make_peer

MOST_SETS = 64
IMPORT = "import sys, time; began = time.perf_counter(); __import__(sys.argv[1]); print(time.perf_counter() - began)"


class Worker:
    """Answers requests: a method for each, which takes its keys and returns what is to be said."""

    def __init__(self, peer: str, dtype: str) -> None:
        self.peer, self.dtype = peer, dtype
        importlib.import_module(peer.partition(".")[0])
        self.steps: dict[str, Any] = {}  # device -> what is timed there, and its clock

    def facts(self) -> dict[str, Any]:
        """Version and devices of the library."""
        return Peer(self.peer.partition(".")[0]).facts() if self.peer != "jax.jit" else self._peer("cpu").facts()

    def _peer(self, device: str) -> Peer:
        return make_peer(self.peer, device, self.dtype)

    def prepare(self, case: str, n: int, device: str, past: int, skip: int = 0) -> dict[str, Any]:
        """Build a case, run it, after `skip` runs that nobody looks at, and say what came out.

        As many sets of inputs are made as it takes to exceed `past` bytes together, so that one is no longer in the
        cache when its turn comes again.
        """
        self.drop(device)
        what = CASES[case]
        if what.imports:
            self.steps[device] = what
            return {"digest": [], "sets": 1, "bytes": 0}
        peer = self._peer(device)
        steps = [peer.build(what, n)]
        for _ in range(skip):
            steps[0]()
        found = self._results(peer, what, steps[0])
        of_one = peer.bytes
        while what.rotates and peer.bytes < past and len(steps) < MOST_SETS:
            peer.begin_set()
            steps.append(peer.build(what, n))
            steps[-1]()
        forget_numbers()
        self.steps[device] = (peer.clock(what), in_turn(steps))
        return {"digest": digest(found), "sets": len(steps), "bytes": of_one * len(steps)}

    def _results(self, peer: Peer, case: Case, step: Any) -> list[Any]:
        found = [peer.to_numpy(tensor) for _ in range(case.checked_steps) for tensor in step()]
        return found if case.outcome is None else case.outcome(found)

    def time(self, device: str, seconds: float) -> dict[str, Any]:
        """Time what is prepared for about so many seconds."""
        held = self.steps[device]
        if isinstance(held, Case):
            times = _time_imports(self.peer, seconds)
            return {"times": times, "host": times}
        clock, step = held
        times, host = time_steps(clock, step, seconds)
        return {"times": times, "host": host}

    def curve(self, case: str, n: int, device: str, steps: int) -> dict[str, Any]:
        """The losses of so many steps of training from the start."""
        peer = self._peer(device)
        step = peer.build(CASES[case], n)
        return {"losses": [float(peer.to_numpy(step()[0])) for _ in range(steps)]}

    def drop(self, device: str) -> dict[str, Any]:
        """Forget what is prepared, and its memory."""
        if self.steps.pop(device, None) is not None:
            gc.collect()
        return {}


def _time_imports(module: str, seconds: float) -> list[float]:
    """Times of `import module`, each in a fresh process; the first fills the caches and does not count."""
    times: list[float] = []
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # imports are timed as usual: from cached bytecode
    command = (sys.executable, "-c", IMPORT, module)
    end = time.perf_counter() + seconds
    while len(times) < 4 or time.perf_counter() < end:
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        times.append(float(done.stdout))
    return times[1:]


def serve(worker: Worker, requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests. An error is an answer too, and what was prepared is then gone."""
    for line in requests:
        answers.write(json.dumps(answer(worker, **json.loads(line))) + "\n")
        answers.flush()


def answer(worker: Worker, do: str, **request: Any) -> dict[str, Any]:
    """What the worker says to one request."""
    try:
        found: dict[str, Any] = getattr(worker, do)(**request)
    except Exception as error:  # one case that fails hides no other
        worker.steps.pop(request.get("device", ""), None)
        return {"error": f"{type(error).__name__}: {error}"}
    return found


if __name__ == "__main__":
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    serve(Worker(*sys.argv[1:]), sys.stdin, pipe)
