"""The peers' processes, seen from the one that measures."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class PeerError(RuntimeError):
    """A request failed in a peer; the message is the peer's."""


class WorkerProcess:
    """One peer. It is started when first asked, and again after a crash.

    One that lets `patience` seconds go by without an answer is ended, and not asked again: it would cost that once more.
    """

    def __init__(
        self,
        peer: str,
        dtype: str,
        threads: int,
        environment: Mapping[str, str] = os.environ,
        patience: float | None = None,
    ) -> None:
        self.command = [sys.executable, "-W", "ignore", "-m", "gpugrad.bench.worker", peer, dtype]
        self.environment = dict(environment) | dict.fromkeys(THREAD_VARIABLES, str(threads))
        if peer == "jax.jit":
            self.environment["NPROC"] = str(threads)  # how XLA sizes its pool
            self.environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # it would take most of the device's memory
        self.patience, self.given_up = patience, ""
        self.asking = threading.Lock()  # one request at a time
        self.process: subprocess.Popen[str] | None = None
        self.errors = Path()  # what the process writes there is shown if it dies

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request (see `worker.py`). PeerError if it failed, took too long, or the process ended."""
        with self.asking:
            line = self._answer(json.dumps({"do": do, **request}))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"].partition("\n")[0])
        return answer

    def _answer(self, request: str) -> str:
        if self.given_up:
            raise PeerError(self.given_up)
        process = self.process or self._start()
        assert process.stdin is not None and process.stdout is not None
        with self._watched(process):
            try:
                process.stdin.write(request + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
        if not line:
            ended = self._ended()
            raise PeerError(self.given_up or ended)
        return line

    @contextlib.contextmanager
    def _watched(self, process: subprocess.Popen[str]) -> Iterator[None]:
        if self.patience is None:
            yield
            return

        def end() -> None:
            self.given_up = f"no answer came in {self.patience:.0f} s"
            process.kill()

        timer = threading.Timer(self.patience, end)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def start(self) -> None:
        """Begin to load the library, so that peers do so at the same time; `ask` would else."""
        if self.process is None and not self.given_up:
            self._start()

    def _start(self) -> subprocess.Popen[str]:
        handle, name = tempfile.mkstemp(suffix=".txt")
        self.errors = Path(name)
        pipe = subprocess.PIPE
        with os.fdopen(handle, "w") as errors:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=pipe, stdout=pipe, stderr=errors, text=True
            )
        return self.process

    def _ended(self) -> str:
        status = self._wait()
        last = self.errors.read_text().strip().splitlines()[-1:]
        self.errors.unlink()
        return f"the process ended with status {status}" + "".join(f": {line}" for line in last)

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self._wait()
            self.errors.unlink()

    def _wait(self) -> int:
        process, self.process = self.process, None
        assert process is not None and process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return process.wait()
