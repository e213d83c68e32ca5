"""The phase `timings`: steps of training beside PyTorch and JAX, products and kernels, and what training comes to.

What is looked at most comes first. Each part is a program of its own, which writes what it finds as it goes, and has a
share of the time that is left when it begins: one that hangs costs no other, and what it leaves goes to the next. Lines
of the verdict need the first four; these and compiled steps take an H200 two minutes, and the rest gets what is left.
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
BATCH = 128
# Compiling takes torch.compile long: a part of its own, in which gpugrad runs once more to compare with.
PEERS = {
    "steps": "gpugrad.graph,torch,torch.graph,jax.jit",
    "compiled steps": "gpugrad.graph,torch.compile,torch.reduce-overhead",
    "small ops": "torch",
}
MODELS = ("mlp-small", "embedding-layernorm", "cnn", "mlp-large")
OPS = ("add", "gelu", "sum", "softmax", "matmul", "matmul-backward", "Linear", "LayerNorm")
FEW = 4096  # elements of an op that takes the host longer than the device
PATIENCE = 0.8  # of a part's time: what a peer has to compile a step and run it; all do so at the same time
# By part its share of the time left when it begins, and a key of what it finds.
SHARES = {
    "steps": 0.5,
    "products": 0.35,
    "kernels": 0.5,
    "training": 0.6,
    "compiled steps": 0.95,
    "more kernels": 0.4,
    "small ops": 0.5,
    "more steps": 1.0,
}
LEAST = 12.0  # seconds: what a program needs to start and find something
NEEDS = {part: "cases" if part in ("products", "kernels", "more kernels") else "rows" for part in SHARES}
NEEDS["training"] = "curve mlp"
FILES = {"rows": "results.json", "cases": "kernels.json", "curve mlp": "training.json"}


def command(part: str, seconds: float, simulated: bool) -> list[str]:
    """The module to run for a part that has so much time, and its arguments."""
    if NEEDS[part] == "cases":
        return ["gpugrad.bench.device", *["--small"] * simulated, "--only", part.replace(" ", "-")]
    if part == "training":
        return ["gpugrad.bench.training", *["--small"] * simulated]
    rounds = "1" if simulated else "9" if part in ("steps", "compiled steps") else "5"
    how = ["--devices", "cuda", "--rounds", rounds, "--patience", f"{PATIENCE * seconds:.0f}"]
    how += ["--no-ceilings", "--no-report", "--against", PEERS.get(part, PEERS["steps"])]
    if part == "small ops":
        return ["gpugrad", "bench", *(OPS[:1] if simulated else OPS), "--sizes", str(FEW), "--seconds", "0.03", *how]
    cases = MODELS[:1] if simulated else MODELS if part == "more steps" else (MLP,)
    return ["gpugrad", "bench", *cases, "--sizes", "8" if simulated else str(BATCH), "--seconds", "0.1", *how]


class Part:
    """One program, and the file that it writes what it finds to as it goes. `needs` is a key of all that is of use."""

    def __init__(self, name: str, needs: str, folder: Path) -> None:
        self.needs, self.folder, self.seconds = needs, folder / name, 0.0
        self.error = self.not_begun = ""  # why
        self.file, self.log = self.folder / FILES[needs], folder / f"{name}.log"

    def run(self, arguments: Sequence[str], deadline: float, meanwhile: Callable[[], None]) -> bool:
        """Run it; whether it came to its end."""
        began = time.monotonic()
        whole = [sys.executable, "-W", "ignore", "-m", *arguments, "--out", str(self.folder)]
        status = jobs.run(whole, deadline, self.log, meanwhile=meanwhile)
        self.seconds = time.monotonic() - began
        if status is None:
            self.error = f"its time was over after {self.seconds:.0f} s"
        elif not self.found().get(self.needs):
            self.error = f"exit status {status}: {jobs.last_line(self.log)}"
        return status is not None

    def found(self) -> dict[str, Any]:
        """What it has found so far."""
        found = json.loads(self.file.read_text()) if self.file.is_file() else {}
        why = {"error": self.error, "not begun": self.not_begun}
        return found | {"seconds taken": round(self.seconds, 1)} | {key: text for key, text in why.items() if text}


def run(simulated: bool, deadline: float, scratch: Path, save: Callable[[Any], None]) -> dict[str, Any]:
    """Run every part; `save` is given what is known every second."""
    parts = {name: Part(name, needs, scratch) for name, needs in NEEDS.items()}

    def known(complete: bool = False) -> dict[str, Any]:
        return {"complete": complete} | {name: part.found() for name, part in parts.items()}

    ended = []
    for name, part in parts.items():
        left = jobs.seconds_left(deadline)
        seconds = min(left, max(LEAST, SHARES[name] * left))
        if seconds < LEAST / 2:
            part.not_begun = f"there was no time for it: {max(0.0, left):.0f} s"
            ended.append(False)
            continue
        arguments = command(name, seconds, simulated)
        ended.append(part.run(arguments, time.monotonic() + seconds, lambda: save(known())))
    return known(all(ended))
