"""The phase `timings`: steps of training beside PyTorch and JAX, products and kernels, and what training comes to.

What is looked at most comes first. Each part is a program of its own, which writes what it finds as it goes, and has a
share of the time that is left when it begins: one that hangs costs no other.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jobs

MLP = "mlp-medium"  # 784-512-512-10
MORE = ["mlp-small", "embedding-layernorm", "cnn", "mlp-large"]
BATCH = 128
# Compiling takes torch.compile a minute: a part of its own, in which gpugrad runs once more to compare with.
PEERS = {
    "steps": "gpugrad.graph,torch,torch.graph,jax.jit",
    "compiled steps": "gpugrad.graph,torch.compile,torch.reduce-overhead",
}
PATIENCE = 120  # seconds that a peer has to compile a step and run it once
OPS = ["add", "gelu", "sum", "softmax", "matmul", "matmul-backward", "Linear", "LayerNorm"]
FEW = 4096  # elements of an op that takes the host longer than the device
# By part its share of the time left when it begins, and a key of what it finds.
SHARES = {
    "steps": 0.35,
    "products": 0.35,
    "kernels": 0.5,
    "training": 0.35,
    "compiled steps": 0.7,
    "small ops": 0.3,
    "more steps": 1.0,
}
NEEDS = dict.fromkeys(SHARES, "rows") | {"products": "cases", "kernels": "cases", "training": "curve mlp"}
FILES = {"rows": "results.json", "cases": "kernels.json", "curve mlp": "training.json"}


def commands(simulated: bool) -> dict[str, list[str]]:
    """By part the module to run, and its arguments."""
    small = ["--small"] if simulated else []
    rows, rounds = ("8", "1") if simulated else (str(BATCH), "9")
    how = ["--rounds", rounds, "--seconds", "0.1", "--patience", str(PATIENCE), "--devices", "cuda"]
    how += ["--no-ceilings", "--no-report"]
    much = ["--sizes", rows, *how]
    return {
        "steps": ["gpugrad", "bench", MLP, *much, "--against", PEERS["steps"]],
        "products": ["gpugrad.bench.device", *small, "--only", "products"],
        "kernels": ["gpugrad.bench.device", *small, "--only", "kernels"],
        "training": ["gpugrad.bench.training", *small],
        "small ops": ["gpugrad", "bench", *OPS, "--sizes", "64" if simulated else str(FEW), *how, "--against", "torch"],
        "compiled steps": ["gpugrad", "bench", MLP, *much, "--against", PEERS["compiled steps"]],
        "more steps": ["gpugrad", "bench", *(MORE[:1] if simulated else MORE), *much, "--against", PEERS["steps"]],
    }


class Part:
    """One program, and the file that it writes what it finds to as it goes. `needs` is a key of all that is of use."""

    def __init__(self, name: str, needs: str, arguments: Sequence[str], folder: Path, file: str) -> None:
        self.needs, self.file, self.log, self.error = needs, folder / name / file, folder / f"{name}.log", ""
        self.command = [sys.executable, "-W", "ignore", "-m", *arguments, "--out", str(folder / name)]
        self.seconds = 0.0

    def run(self, deadline: float, meanwhile: Callable[[], None]) -> bool:
        """Run it; whether it came to its end."""
        began = time.monotonic()
        status = jobs.run(self.command, deadline, self.log, meanwhile=meanwhile)
        self.seconds = time.monotonic() - began
        if status is None:
            self.error = f"its time was over after {self.seconds:.0f} s"
        elif not self.found().get(self.needs):
            self.error = f"exit status {status}: {jobs.last_line(self.log)}"
        return status is not None

    def found(self) -> dict[str, Any]:
        """What it has found so far."""
        found = json.loads(self.file.read_text()) if self.file.is_file() else {}
        return found | {"seconds taken": round(self.seconds, 1)} | ({"error": self.error} if self.error else {})


def run(simulated: bool, deadline: float, scratch: Path, save: Callable[[Any], None]) -> dict[str, Any]:
    """Run every part; `save` is given what is known every second."""
    parts = {
        name: Part(name, NEEDS[name], arguments, scratch, FILES[NEEDS[name]])
        for name, arguments in commands(simulated).items()
    }

    def known(complete: bool = False) -> dict[str, Any]:
        return {"complete": complete} | {name: part.found() for name, part in parts.items()}

    ended = []
    for name, part in parts.items():
        until = time.monotonic() + SHARES[name] * jobs.seconds_left(deadline)
        ended.append(part.run(until, lambda: save(known())))
    return known(all(ended))
