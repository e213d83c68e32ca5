"""The peak memory of a training step: to the byte where arrays alone are counted, and beside PyTorch's as the operating
system sees it.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import ModuleType

import pytest
from training_step import CLASSES, DEPTH, SIZES, Sizes, build

import gpugrad

PROGRAM = Path(__file__).with_name("training_step.py")
TAPE = 2048 * 2 * DEPTH  # bytes that Python objects of a layer and its activation may take

# Whether the C library keeps a freed array or hands its pages back depends on what was freed before. With the threshold
# fixed, every array above it is mapped, and unmapped when it is freed: resident memory is then what the arrays take, and
# runs agree to a thousandth. One thread, since each has buffers of its own for matrix products.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536"} | dict.fromkeys(
    ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)


def peak_resident(library: str, case: str, optimizer: str) -> int:
    """Bytes by which a step raises the resident memory of a fresh process."""
    command = (sys.executable, str(PROGRAM), library, case, optimizer)
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def peak_traced(sizes: Sizes, optimizer: str, loss: str) -> int:
    """Bytes by which a step raises what Python and NumPy have allocated: every array, to the byte."""
    tracemalloc.start()
    try:
        step, updates = build(gpugrad, sizes, optimizer, loss)
        step()  # makes the optimizer's state
        updates.zero_grad()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux: /proc tells the peak of a process")
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("case", SIZES)
def test_a_step_takes_at_most_a_tenth_more_than_in_pytorch(case: str, optimizer: str, torch: ModuleType) -> None:
    ours, theirs = (peak_resident(library, case, optimizer) for library in ("gpugrad", torch.__name__))
    floor = max(sizes_in_bytes(SIZES[case]))
    assert min(ours, theirs) > 0.9 * floor, "the measurement misses arrays that must be there"
    assert ours <= 1.1 * theirs, f"gpugrad {ours / 1e6:.1f} MB, PyTorch {theirs / 1e6:.1f} MB"


@pytest.mark.parametrize(("optimizer", "loss"), [("SGD", "sum"), ("Adam", "cross_entropy")])
@pytest.mark.parametrize("case", SIZES)
def test_a_step_keeps_activations_until_they_are_used_and_gradients_once(case: str, optimizer: str, loss: str) -> None:
    """The walk frees an activation for every gradient that it makes: a step never holds all of both. On top there are
    the cotangent that a run of layers was given, the one between two of them, its successor and a layer's gradient.
    """
    sizes = SIZES[case]
    activations, gradients = sizes_in_bytes(sizes)
    layer = activations // (DEPTH - 1)
    peak = peak_traced(sizes, optimizer, loss)
    assert peak > max(activations, gradients)
    assert peak <= max(activations, gradients) + 3 * layer + gradients // (DEPTH - 1) + TAPE


def sizes_in_bytes(sizes: Sizes) -> tuple[int, int]:
    """Of the activations that the layers after them need, and of the gradients of all parameters; both float32."""
    width, batch = sizes
    return 4 * (DEPTH - 1) * width * batch, 4 * ((DEPTH - 1) * width * (width + 1) + CLASSES * (width + 1))


def test_scratch_memory_of_small_parameters_is_shared() -> None:
    params = [gpugrad.ones(64, 64).requires_grad_() for _ in range(400)]
    for p in params:
        p.grad = gpugrad.ones(64, 64)
    optimizer = gpugrad.optim.SGD(params, lr=0.1)
    gc.collect()
    tracemalloc.start()
    optimizer.step()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 3e6  # six blocks of 256 KB and small change; the parameters are 6.6 MB
