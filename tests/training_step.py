"""A training step of a 100-layer MLP, the same for gpugrad and PyTorch, and a program that tells its peak memory.

`python tests/training_step.py LIBRARY CASE OPTIMIZER` prints the bytes by which a step raises the resident memory of
the process at its peak.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

DEPTH = 100
CLASSES = 10


class Sizes(NamedTuple):
    """How wide the layers are, and how many rows go through them."""

    width: int
    batch: int


SIZES = {
    "activations": Sizes(width=128, batch=1024),  # 52 MB of activations, 7 MB of parameters
    "parameters": Sizes(width=384, batch=64),  # 10 MB of activations, 58 MB of parameters
}


def build(library: Any, sizes: Sizes, optimizer: str, loss: str = "cross_entropy") -> tuple[Callable[[], None], Any]:
    """A function that takes a step (forward, loss, backward, update), and the optimizer that it uses."""
    nn = library.nn
    layers = [layer for _ in range(DEPTH - 1) for layer in (nn.Linear(sizes.width, sizes.width), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(sizes.width, CLASSES))
    updates = getattr(library.optim, optimizer)(model.parameters(), lr=1e-3)
    inputs = library.ones(sizes.batch, sizes.width)
    targets = library.zeros(sizes.batch, dtype=library.int64)

    def step() -> None:
        scores = model(inputs)
        total = nn.functional.cross_entropy(scores, targets) if loss == "cross_entropy" else scores.sum()
        total.backward()
        updates.step()

    return step, updates


def resident(key: str) -> int:
    """Bytes of this process in memory: now ("VmRSS") or at most so far ("VmHWM", which starts anew with a program;
    `getrusage` starts with the peak of the parent).
    """
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key))


def measure(library: Any, sizes: Sizes, optimizer: str) -> int:
    """Bytes by which the second step raises resident memory at its peak.

    The first makes what stays: the optimizer's state, and what the libraries load or set aside when first used. Its
    own peak is no higher, so the peak of the process is that of the second.
    """
    step, updates = build(library, sizes, optimizer)
    step()
    updates.zero_grad()
    before = resident("VmRSS")
    step()
    return resident("VmHWM") - before


def main(name: str, case: str, optimizer: str) -> None:
    """Measure what the arguments say."""
    library = importlib.import_module(name)
    print(json.dumps(measure(library, SIZES[case], optimizer)))


if __name__ == "__main__":
    main(*sys.argv[1:])
