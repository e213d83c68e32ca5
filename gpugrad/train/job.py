"""One training run: data, epochs, checkpoints, results.

A checkpoint is written after every epoch, whole or not at all, with everything the next epoch depends on: weights,
optimizer, scaler, the generator's state and the metrics so far. So a run killed at any moment and resumed ends as one
that was never killed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import gpugrad

from .. import nn, optim
from ..amp import GradScaler, autocast
from ..data import load_digits, load_image_folder
from ..nn import functional as F
from . import models
from .report import Progress, write_metrics, write_picture

OPTIMIZERS: dict[str, Any] = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}
PRECISIONS: dict[str | None, Any] = {None: None, "bf16": gpugrad.bfloat16, "fp16": gpugrad.float16}
# What must be the same for a run to be resumed.
IDENTITY = ("model", "data", "batch_size", "lr", "optimizer", "amp", "seed")
STATE = {"options", "model", "optimizer", "random", "metrics"}  # and "scaler", where there is one


class Images:
    """Training and test images on the device, as floats between 0 and 1."""

    def __init__(self, folder: str | None, device: Any) -> None:
        arrays = load_digits() if folder is None else load_image_folder(folder)
        scale = 16 if folder is None else 255
        train_x, train_y, test_x, test_y = arrays
        self.classes = int(max(train_y.max(), test_y.max())) + 1
        self.shape = (1, train_x.shape[1], train_x.shape[2])
        self.train = (_scaled(train_x, scale, device), _labels(train_y, device))
        self.test = (_scaled(test_x, scale, device), _labels(test_y, device))


def _scaled(images: np.ndarray, scale: int, device: Any) -> Any:
    return gpugrad.from_numpy(images[:, None].astype(np.float32) / np.float32(scale)).to(device)


def _labels(labels: np.ndarray, device: Any) -> Any:
    return gpugrad.from_numpy(labels.astype(np.int64)).to(device)


def choose_device(name: str) -> str:
    """The device of `--device`; RuntimeError if it is not there."""
    if name == "auto":
        return "cuda" if gpugrad.cuda.is_available() else "cpu"
    gpugrad.zeros(0, device=name)
    return name


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Train as the options say; returns the last row of the metrics. See `options.py`."""
    device = choose_device(options.device)
    out = Path(options.out)
    images = Images(options.data, device)
    gpugrad.manual_seed(options.seed)
    model = models.build(options.model, images.shape, images.classes).to(device)
    optimizer = OPTIMIZERS[options.optimizer](model.parameters(), lr=options.lr)
    scaler = GradScaler(device, enabled=options.amp == "fp16")
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    rows: list[dict[str, Any]] = []
    if options.resume:
        rows = _resume(checkpoint, options, model, optimizer, scaler)
    with Progress(options.epochs, len(images.train[1])) as progress:
        for epoch in range(len(rows) + 1, options.epochs + 1):
            rows.append(_epoch(epoch, options, images, model, optimizer, scaler, progress))
            _save(checkpoint, options, model, optimizer, scaler, rows)
            write_metrics(out / "metrics.csv", rows)
    write_picture(out / "curves.png", rows)
    last = rows[-1]
    print(f"test accuracy {last['test_accuracy']:.2%} after {last['epoch']} epochs on {device}; results in {out}")
    return last


def _epoch(
    epoch: int,
    options: argparse.Namespace,
    images: Images,
    model: nn.Module,
    optimizer: Any,
    scaler: GradScaler,
    progress: Any,
) -> dict[str, Any]:
    """Go through the training images once, in an order the generator draws, then measure on the test images."""
    began = time.perf_counter()
    x, y = images.train
    order = gpugrad.randperm(len(y)).to(y.device)
    # Of losses and of right answers, beside the images: nobody waits for them
    sums = gpugrad.zeros(2, dtype=gpugrad.float64, device=y.device)
    half = autocast(y.device.type, dtype=PRECISIONS[options.amp], enabled=options.amp is not None)
    model.train()
    for start in range(0, len(y), options.batch_size):
        index = order[start : start + options.batch_size]
        batch, target = x[index], y[index]
        optimizer.zero_grad()
        with half:
            logits = model(batch)
            loss = F.cross_entropy(logits, target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        right = (logits.argmax(1) == target).sum()
        sums.add_(gpugrad.stack([loss.detach().double() * len(target), right.double()]))
        seen = start + len(target)
        progress.step(epoch, len(target), lambda seen=seen: (sums / seen).tolist())
    total_loss, correct = sums.tolist()
    seconds = time.perf_counter() - began
    test_loss, test_accuracy = evaluate(model, *images.test)
    return {
        "epoch": epoch,
        "train_loss": total_loss / len(y),
        "train_accuracy": correct / len(y),
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
        "samples_per_second": len(y) / seconds,
    }


@gpugrad.no_grad()
def evaluate(model: nn.Module, x: Any, y: Any, batch_size: int = 1000) -> tuple[float, float]:
    """Mean loss and accuracy of `model` on images `x` with labels `y`."""
    model.eval()
    loss, correct = 0.0, 0
    for start in range(0, len(y), batch_size):
        logits, target = model(x[start : start + batch_size]), y[start : start + batch_size]
        loss += F.cross_entropy(logits, target, reduction="sum").item()
        correct += int((logits.argmax(1) == target).sum())
    return loss / len(y), correct / len(y)


def _identity(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in IDENTITY}


def _save(
    path: Path,
    options: argparse.Namespace,
    model: nn.Module,
    optimizer: Any,
    scaler: GradScaler,
    rows: list[dict[str, Any]],
) -> None:
    state = {
        "options": _identity(options),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": gpugrad.get_rng_state(),
        "metrics": rows,
    }
    if scaler.is_enabled():
        state["scaler"] = scaler.state_dict()
    gpugrad.save(state, path)


def _resume(
    path: Path, options: argparse.Namespace, model: nn.Module, optimizer: Any, scaler: GradScaler
) -> list[dict[str, Any]]:
    """Take up the checkpoint at `path`; a fresh start if there is none yet. ValueError if its options differ, or it is another file."""
    if not path.exists():
        return []
    state = gpugrad.load(path)
    if not isinstance(state, dict) or not state.keys() >= STATE:
        raise ValueError(
            f"{path} is no checkpoint of `gpugrad train`, which holds {', '.join(sorted(STATE))}: use another --out"
        )
    stored, wanted = state["options"], _identity(options)
    different = [f"--{k.replace('_', '-')} {stored.get(k)} (now {v})" for k, v in wanted.items() if stored.get(k) != v]
    if different:
        raise ValueError(f"{path} was written with {', '.join(different)}: resume with the same, or use another --out")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scaler.load_state_dict(state.get("scaler", {}))
    gpugrad.set_rng_state(state["random"])
    return list(state["metrics"])
