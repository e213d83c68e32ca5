"""What `gpugrad.bench.training`, which `ci/gpu` runs, finds of training on a device, and that it finds what is planted."""

from __future__ import annotations

import copy
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad.bench import curves, training
from gpugrad.cuda import backend


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps of few rows."""
    if not backend.simulated():
        pytest.skip("a profiler has the device to itself in the timings of ci/gpu")
    monkeypatch.setattr(training, "ROWS", 4)
    monkeypatch.setattr(training, "STEPS", 3)


@pytest.mark.cuda
@pytest.mark.parametrize("how", ["eager", "captured"])
def test_nothing_but_the_batch_moves_in_a_step(how: str, device: str, few: None) -> None:
    found = training.transfers(how)
    batches = training.STEPS * (training.ROWS * 784 * 4 + training.ROWS * 8)
    assert found["batches"] == {"copies": 2 * training.STEPS, "bytes": batches}
    moved = dict(found["found"])
    assert moved.pop("kernels") > 0
    assert moved == {
        "copies to device": 2 * training.STEPS,
        "bytes to device": batches,
        "copies to host": 0,
        "bytes to host": 0,
    }


@pytest.mark.cuda
def test_a_value_that_a_step_reads_back_is_found(device: str, few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    step = training.Steps.one

    def reads_back(steps: training.Steps) -> None:
        step(steps)
        steps.inputs[1].sum().item()

    monkeypatch.setattr(training.Steps, "one", reads_back)
    assert training.transfers("eager")["found"]["copies to host"] >= training.STEPS  # what kernels report comes too


@pytest.mark.cuda
def test_each_part_is_written_when_it_is_known(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ValueError("no luck\nat all")

    measure = training.curves
    monkeypatch.setattr(training, "transfers", fail)
    monkeypatch.setattr(training, "curves", lambda model, *how: (measure if model == "mlp" else fail)(model, *how))
    assert training.main(["--small", "--out", str(tmp_path)]) == 3
    found = json.loads((tmp_path / "training.json").read_text())
    assert found["transfers eager"] == found["transfers captured"] == {"error": "ValueError: no luck"}
    mlp = found["curve mlp"]
    assert mlp["apart"] == [mlp["difference"]] and mlp["difference"] < 1e-4 and len(mlp["losses"]["cuda"]) == 1
    assert mlp["runs rounded"] == 2 and 0 < mlp["rounded"][0] < 1e-4
    assert found["curve cnn"] == {"error": "ValueError: no luck"}


def test_weights_a_rounding_away_are_the_next_numbers() -> None:
    model = gpugrad.nn.Linear(30, 20)
    before = [weights.detach().numpy().copy() for weights in model.parameters()]
    for seed in (0, 1):
        made = curves.change_by_a_rounding(copy.deepcopy(model), seed)
        after = [weights.detach().numpy() for weights in made.parameters()]
        for old, new in zip(before, after):
            up, down = (np.nextafter(old, np.float32(way)) for way in (np.inf, -np.inf))
            assert ((new == up) | (new == down)).all() and (new == up).any() and (new == down).any()


@pytest.mark.cuda
@pytest.mark.parametrize("reads", [False, True])
def test_a_profile_of_steps_has_what_they_read_and_nothing_else(
    device: str, few: None, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    """Kernels that may meet a bad index have run, so that gpugrad's own wait would read a copy of whether one did."""
    activity = SimpleNamespace(CUDA="cuda")
    profiler = SimpleNamespace(ProfilerActivity=activity, supported_activities=lambda: {"cuda"})
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(profiler=profiler, cuda=SimpleNamespace(init=lambda: None))
    )
    seen: list[Any] = []
    monkeypatch.setattr(training, "traced", lambda torch, activity, work: seen.append(simulated(work)))
    monkeypatch.setattr(training, "counted", lambda events: seen[-1])
    simulated = training._simulated_traffic
    steps = training.Steps()
    work = lambda: steps.each(lambda: (steps.one(), steps.inputs[1].sum().item()) if reads else steps.one())  # noqa: E731
    work()
    found = training.profiled_traffic(work)
    assert found["kernels"] > 0 and found["copies to device"] == 2 * training.STEPS
    assert found["copies to host"] >= training.STEPS if reads else found["copies to host"] == 0
    bounds = importlib.import_module("gpugrad.cuda.bounds")
    assert bounds._used or reads  # so that there was something to read


EVENTS = [  # as PyTorch's profiler writes them
    {"ph": "X", "cat": "kernel", "name": "gpugrad::softmax<float>"},
    {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy HtoD (Pageable -> Device)", "args": {"bytes": 1024}},
    {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy HtoD (Pinned -> Device)", "args": {"bytes": 8}},
    {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy DtoH (Device -> Pageable)", "args": {"bytes": 4}},
    {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy DtoD (Device -> Device)", "args": {"bytes": 64}},
    {"ph": "X", "cat": "gpu_memset", "name": "Memset (Device)", "args": {"bytes": 64}},
    {"ph": "X", "cat": "cuda_runtime", "name": "cudaMemcpyAsync"},
    {"ph": "M", "name": "process_name"},
]


def test_copies_in_a_profile_are_counted() -> None:
    assert training.counted(EVENTS) == {
        "copies to device": 2,
        "bytes to device": 1032,
        "copies to host": 1,
        "bytes to host": 4,
        "kernels": 1,
    }


def test_pytorch_s_profiler_is_asked_as_it_wants_to_be(torch: ModuleType) -> None:
    x = torch.ones(4)
    events = training.traced(torch, torch.profiler.ProfilerActivity.CPU, lambda: x + x)
    assert any(event.get("name") == "aten::add" for event in events) and training.counted(events)["kernels"] == 0


def test_a_profiler_that_sees_no_gpu_says_so(torch: ModuleType) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="sees no GPU"):
        training.profiled_traffic(gpugrad.cuda.synchronize)
