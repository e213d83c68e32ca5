"""Results of `gpugrad bench` that no machine measured, and peers within the process of the test."""

from __future__ import annotations

import threading
from typing import Any

from gpugrad.bench import machine
from gpugrad.bench.figures import summary
from gpugrad.bench.job import FORMAT
from gpugrad.bench.worker import Worker, answer
from gpugrad.bench.workers import PeerError

QUICK = ["--rounds", "2", "--seconds", "0.001", "--threads", "1"]


class InProcess:
    """Stands for a `WorkerProcess`, so that a test can plant what its peers do."""

    asking = threading.Lock()

    def __init__(self, peer: str, dtype: str, threads: int, patience: float | None = None) -> None:
        self.worker = Worker(peer, dtype)

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        with InProcess.asking:  # a process holds one library, with one seed
            found = answer(self.worker, do, **request)
        if "error" in found:
            raise PeerError(found["error"])
        return found

    def start(self) -> None: ...

    def close(self) -> None: ...


def row(case: str, n: int, device: str, peer: str, seconds: float, **more: Any) -> dict[str, Any]:
    """A row with this median."""
    times = summary([seconds * factor for factor in (0.97, 0.98, 0.99, 1.01, 1.02, 1.03)])
    found = {"case": case, "group": "ops", "n": n, "unit": "elements", "device": device, "peer": peer}
    found |= {
        "simulated": False,
        "status": "ok",
        "seconds": times,
        "host": times,
        "difference": 0.0,
        "past_cache": False,
    }
    found |= {"moved": 8.0 * n, "flops": 2.0 * n, "bound": "copy", "of_ceiling": 0.5}
    return found | more


def made_up(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A whole result with these rows."""
    found = {
        "format": FORMAT,
        "simulated": False,
        "machine": machine.describe(),
        "devices": {"cpu": "CPU", "cuda": "NVIDIA Imaginary"},
        "versions": {"gpugrad": "0", "torch": "0"},
        "threads": 2,
        "dtype": "float32",
        "rounds": None,
        "seconds": 0.1,
        "load": [0.1, 0.2],
        "left_out": [],
        "reference": "torch",
        "ceilings": {
            device: {"copy": {"rate": 1e10, "peer": "torch", "n": 1}, "matmul": {"rate": 1e12, "peer": "torch", "n": 1}}
            for device in ("cpu", "cuda")
        },
        "rows": rows,
        "curves": [],
    }
    return found | more
