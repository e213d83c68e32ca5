"""The phase `timings`: kernels against the bandwidth of a copy, and steps of training beside PyTorch and JAX."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jobs

FOR_KERNELS = 0.65  # of the time
STEPS = ["mlp-medium", "mlp-small", "embedding-layernorm", "cnn", "mlp-large"]  # the most looked at first
PEERS = ["torch", "torch.graph", "jax.jit"]


class Part:
    """One program, and the file that it writes what it finds to as it goes. `needs` is a key of all that is of use."""

    def __init__(self, name: str, needs: str, arguments: Sequence[str], folder: Path, file: str) -> None:
        self.needs, self.file, self.log, self.error = needs, folder / name / file, folder / f"{name}.log", ""
        self.command = [sys.executable, "-W", "ignore", "-m", *arguments, "--out", str(folder / name)]

    def run(self, deadline: float, meanwhile: Callable[[], None]) -> bool:
        """Run it; whether it came to its end."""
        status = jobs.run(self.command, deadline, self.log, meanwhile=meanwhile)
        if status is None:
            self.error = "the time was over"
        elif not self.found().get(self.needs):
            self.error = f"exit status {status}: {jobs.last_line(self.log)}"
        return status is not None

    def found(self) -> dict[str, Any]:
        """What it has found so far."""
        found = json.loads(self.file.read_text()) if self.file.is_file() else {}
        return found | ({"error": self.error} if self.error else {})


def run(simulated: bool, graphs: bool, deadline: float, scratch: Path, save: Callable[[Any], None]) -> dict[str, Any]:
    """Time kernels, then steps, as CUDA graphs too if `graphs`; `save` is given what is known every second."""
    small = ["--small"] if simulated else []
    much = ["--sizes", "16", "--rounds", "1"] if simulated else ["--sizes", "128", "--rounds", "7"]
    bench = ["gpugrad", "bench", *(STEPS[1:2] if simulated else STEPS), "--devices", "cuda"]
    bench += ["--against", ",".join([*(["gpugrad.graph"] if graphs else []), *PEERS])]
    parts = {
        "kernels": Part("kernels", "cases", ["gpugrad.bench.device", *small], scratch, "kernels.json"),
        "steps": Part("steps", "rows", [*bench, *much, "--seconds", "0.05", "--no-ceilings"], scratch, "results.json"),
    }

    def known(complete: bool = False) -> dict[str, Any]:
        return {"complete": complete} | {name: part.found() for name, part in parts.items()}

    until = time.monotonic() + FOR_KERNELS * jobs.seconds_left(deadline)
    ended = [parts["kernels"].run(until, lambda: save(known())), parts["steps"].run(deadline, lambda: save(known()))]
    return known(all(ended))
