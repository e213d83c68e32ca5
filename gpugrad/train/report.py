"""What a run shows and leaves: a progress bar, `metrics.csv`, a picture of the curves."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..atomic import atomic_write

_PERIOD = 0.1  # seconds between two readings of the figures


class Progress:
    """A bar with loss, accuracy and samples per second: rich's if it is installed, a line per epoch otherwise."""

    def __init__(self, epochs: int, samples: int) -> None:
        self.epochs = epochs
        self.samples = samples
        self.bar: Any = None

    def __enter__(self) -> Progress:
        try:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        except ImportError:
            return self
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns)
        self.bar.start()
        self.task = self.bar.add_task("", total=self.epochs * self.samples)
        self.began, self.shown = time.perf_counter(), -_PERIOD
        self.seen = 0
        return self

    def __exit__(self, *exc: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def step(self, epoch: int, samples: int, figures: Callable[[], Sequence[float]]) -> None:
        """One batch of `samples` has been trained on; `figures` gives loss and accuracy of the epoch so far.

        They are asked for ten times a second at most: to read them is to wait for the device.
        """
        if self.bar is None:
            return
        self.seen += samples
        completed, now = (epoch - 1) * self.samples + self._in_epoch(samples), time.perf_counter()
        if now < self.shown + _PERIOD:
            self.bar.update(self.task, completed=completed)
            return
        self.shown = now
        loss, accuracy = figures()
        rate = self.seen / (now - self.began)
        text = f"epoch {epoch:>3}  loss {loss:.4f}  accuracy {accuracy:.2%}  {rate:,.0f} samples/s"
        self.bar.update(self.task, completed=completed, description=text)

    def _in_epoch(self, samples: int) -> int:
        return self.seen % self.samples or self.samples


def write_metrics(path: Path, rows: list[dict[str, Any]]) -> None:
    """The rows as CSV, one line per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def write_picture(path: Path, rows: list[dict[str, Any]]) -> None:
    """Loss and accuracy over the epochs as a PNG; nothing, with a word, if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture of the curves: it needs matplotlib (pip install "gpugrad[train]")')
        return
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    epochs = [row["epoch"] for row in rows]
    for axis, what in zip(figure.subplots(1, 2), ("loss", "accuracy")):
        for part in ("train", "test"):
            axis.plot(epochs, [row[f"{part}_{what}"] for row in rows], label=part)
        axis.set_xlabel("epoch")
        axis.set_title(what)
        axis.grid(alpha=0.3)
        axis.legend()
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
