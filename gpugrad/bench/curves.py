"""Training on the device held to training on the CPU, and to what a rounding makes of training on the CPU.

`gpugrad train` decides between values: a ReLU which are positive, a pooling which is the largest. Where two are all but
equal a rounding decides, and from there on losses differ by far more than roundings do. (Of 25 runs of the CNN on the CPU
whose first weights were each changed by a rounding, 15 stayed within 1e-6 of the run with the weights as they are, and 10
came to 1e-3.) So the CPU runs several times more, with first weights that are each the next number up or down, and the
farthest of these is what a device, which rounds otherwise everywhere, is held to.
"""

from __future__ import annotations

import contextlib
import csv
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import gpugrad

from ..__main__ import main as gpugrad_command
from ..train import models

ROUNDED = 12  # runs with other roundings: that none of them meets such a decision is a matter of 1 in 400
LOSSES = ("train_loss", "test_loss")
MODELS = {"mlp": "adam", "cnn": "sgd"}  # a bias before a batch norm has rounding errors for a gradient: not by Adam


@contextlib.contextmanager
def processes() -> Iterator[ProcessPoolExecutor]:
    """Processes for runs on the CPU, of one thread each, at most as many as there are cores."""
    count = min(os.cpu_count() or 1, 1 + ROUNDED)
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with (
        mock.patch.dict(os.environ, one_thread),
        ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool,
    ):
        yield pool


def curves(model: str, epochs: int, pool: ProcessPoolExecutor, rounded: int = ROUNDED) -> dict[str, Any]:
    """Losses by device and epoch, and by epoch how far they are from the CPU's, relative to these.

    "apart" is the device's distance, "rounded" the farthest of the `rounded` runs on the CPU with other roundings, and
    "difference" the largest distance of the device's.
    """
    right, *others = [pool.submit(losses, model, "cpu", epochs, seed) for seed in (None, *range(rounded))]
    found = {"cuda": losses(model, "cuda", epochs), "cpu": right.result()}
    apart = _apart(found["cuda"], found["cpu"])
    return {
        "optimizer": MODELS[model],
        "epochs": epochs,
        "losses": found,
        "apart": apart.tolist(),
        "runs rounded": rounded,
        "rounded": np.max([_apart(other.result(), found["cpu"]) for other in others], axis=0).tolist(),
        "difference": float(apart.max()),
    }


def _apart(found: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> np.ndarray:
    """By epoch the largest difference, relative to what is right."""
    distance: np.ndarray = np.max(np.abs(np.array(found) - right) / np.abs(right), axis=1)
    return distance


def losses(model: str, device: str, epochs: int, seed: int | None = None) -> list[list[float]]:
    """By epoch the LOSSES of `gpugrad train`; with a seed its first weights are changed by a rounding."""
    build = models.build

    def built(*arguments: Any) -> Any:
        made = build(*arguments)
        return made if seed is None else change_by_a_rounding(made, seed)

    with tempfile.TemporaryDirectory() as out, open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        options = ["--model", model, "--optimizer", MODELS[model], "--epochs", str(epochs), "--out", out]
        with mock.patch.object(models, "build", built):
            if gpugrad_command(["train", "--device", device, *options]):
                raise RuntimeError(f"gpugrad train --device {device} failed")
        with (Path(out) / "metrics.csv").open(newline="") as file:
            return [[float(row[name]) for name in LOSSES] for row in csv.DictReader(file)]


def change_by_a_rounding(model: Any, seed: int) -> Any:
    """The model, each of whose weights is now the next number up or down, as the seed draws."""
    draw = np.random.default_rng(seed)
    with gpugrad.no_grad():
        for weights in model.parameters():
            values = weights.detach().numpy()
            way = draw.choice([-np.inf, np.inf], values.shape).astype(np.float32)
            weights.copy_(gpugrad.from_numpy(np.nextafter(values, way)))
    return model
