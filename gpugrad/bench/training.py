"""Training on the device held to training on the CPU, and what a step moves between them: `python -m gpugrad.bench.training`.

The losses of `gpugrad train` on both devices from one seed (`curves.py`); and the copies between host and device in steps that are given
a batch of the host's, op by op and captured as a CUDA graph. On a GPU PyTorch's profiler counts them, which sees all that
the process does there, on the simulated device the simulator.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gpugrad

from ..atomic import atomic_write
from ..cuda import backend
from .cases_train import mlp_medium
from .curves import ROUNDED, curves, processes
from .peer import WARM_UP

ROWS, STEPS = 128, 10

Traffic = dict[str, int]
"""Copies and bytes "to device" and "to host", and kernels."""


class Steps:
    """Steps of training an MLP 784-512-512-10 by Adam, each of a batch that comes from the host."""

    def __init__(self, device: str = "cuda") -> None:
        draw = np.random.default_rng(0)
        self.batches = [
            (
                gpugrad.from_numpy(draw.standard_normal((ROWS, 784), dtype=np.float32)),
                gpugrad.from_numpy(draw.integers(0, 10, ROWS)),
            )
            for _ in range(STEPS)
        ]
        gpugrad.manual_seed(0)
        self.model = mlp_medium(gpugrad.nn).to(device)
        self.optimizer = gpugrad.optim.Adam(self.model.parameters(), lr=1e-3, capturable=True)
        self.inputs = [part.to(device) for part in self.batches[0]]

    def one(self) -> None:
        """A step with the inputs that are there."""
        self.optimizer.zero_grad()
        gpugrad.nn.functional.cross_entropy(self.model(self.inputs[0]), self.inputs[1]).backward()
        self.optimizer.step()

    def each(self, step: Callable[[], Any]) -> None:
        """Give every batch to the device, and a step after each."""
        for batch in self.batches:
            for there, here in zip(self.inputs, batch):
                there.copy_(here)
            step()

    def captured(self) -> Callable[[], None]:
        """The step as a CUDA graph."""
        aside = gpugrad.cuda.Stream()
        with gpugrad.cuda.stream(aside):
            for _ in range(WARM_UP):
                self.one()
        aside.synchronize()
        graph = gpugrad.cuda.CUDAGraph()
        with gpugrad.cuda.graph(graph, stream=aside):
            self.one()
        return graph.replay


def transfers(how: str) -> dict[str, Any]:
    """What moves in STEPS steps, `how` being "eager" or "captured", and what of it is the batches."""
    steps = Steps()
    step = steps.captured() if how == "captured" else steps.one
    steps.each(step)  # what is made once is there
    count = _simulated_traffic if backend.simulated() else profiled_traffic
    found = count(lambda: steps.each(step))
    nbytes = sum(part.numel() * part.element_size() for batch in steps.batches for part in batch)
    return {"steps": STEPS, "found": found, "batches": {"copies": 2 * STEPS, "bytes": nbytes}}


def _simulated_traffic(work: Callable[[], Any]) -> Traffic:
    counters = importlib.import_module("gpugrad.cuda.simulator.device").counters
    counters.reset()
    work()
    return {
        "copies to device": counters.host_to_device,
        "bytes to device": counters.host_to_device_bytes,
        "copies to host": counters.device_to_host,
        "bytes to host": counters.device_to_host_bytes,
        "kernels": counters.launches,
    }


def profiled_traffic(work: Callable[[], Any]) -> Traffic:
    """What the process does on the GPU, by PyTorch's profiler. RuntimeError where it sees no GPU, or nothing on it."""
    torch = importlib.import_module("torch")
    activity = torch.profiler.ProfilerActivity.CUDA
    if activity not in torch.profiler.supported_activities():
        raise RuntimeError("PyTorch's profiler, which counts copies, sees no GPU here")
    torch.cuda.init()

    def whole() -> None:
        work()
        backend.cupy().cuda.runtime.deviceSynchronize()  # gpugrad's reads back whether an index was bad: no part of steps

    traced(torch, activity, gpugrad.cuda.synchronize)  # what the profiler loads is loaded
    found = counted(traced(torch, activity, whole))
    if not found["kernels"]:
        raise RuntimeError("PyTorch's profiler saw no kernel run, so what it says of copies is worth nothing")
    return found


def traced(torch: Any, activity: Any, work: Callable[[], Any]) -> list[dict[str, Any]]:
    """The events of the trace that PyTorch's profiler makes of `work`."""
    with torch.profiler.profile(activities=[activity]) as profile:
        work()
    with tempfile.TemporaryDirectory() as folder:
        profile.export_chrome_trace(f"{folder}/trace.json")
        found: list[dict[str, Any]] = json.loads(Path(folder, "trace.json").read_text())["traceEvents"]
    return found


def counted(events: Sequence[Mapping[str, Any]]) -> Traffic:
    """Of the events of a trace."""
    found = dict.fromkeys(("copies to device", "bytes to device", "copies to host", "bytes to host", "kernels"), 0)
    ways = {"HtoD": "device", "DtoH": "host"}
    for event in events:
        kind, name = str(event.get("cat", "")).lower(), event.get("name", "")
        if kind == "kernel":
            found["kernels"] += 1
        way = next((to for word, to in ways.items() if name.startswith(f"Memcpy {word}")), None)
        if kind in ("gpu_memcpy", "memcpy") and way is not None:
            found[f"copies to {way}"] += 1
            found[f"bytes to {way}"] += int(event.get("args", {}).get("bytes", 0))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write `training.json` as it grows. The number of parts that failed."""
    parser = argparse.ArgumentParser(prog="python -m gpugrad.bench.training", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for training.json")
    parser.add_argument("--small", action="store_true", help="one epoch: to see that it runs")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    epochs, rounded = (1, 2) if options.small else (5, ROUNDED)
    found: dict[str, Any] = {}
    with processes() as pool:
        parts: dict[str, Callable[[], Any]] = {
            "transfers eager": lambda: transfers("eager"),
            "curve mlp": lambda: curves("mlp", epochs, pool, rounded),
            "transfers captured": lambda: transfers("captured"),
            "curve cnn": lambda: curves("cnn", epochs, pool, rounded),
        }
        for name, measure in parts.items():
            try:
                found[name] = measure()
            except Exception as error:  # one that fails hides no other
                found[name] = {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}
                traceback.print_exc()
            with atomic_write(options.out / "training.json") as file:
                file.write(json.dumps(found, indent=1).encode() + b"\n")
    return sum("error" in part for part in found.values())


if __name__ == "__main__":
    raise SystemExit(main())
