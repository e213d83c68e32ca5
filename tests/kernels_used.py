"""Prints the kernels that common work on a CUDA device uses, as JSON: [[source, [name, ...]], ...].

`python kernels_used.py float32` runs ops, layers and optimizers in that dtype on the simulated device, with every launch
left out: results are never computed, and never looked at.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

os.environ.update(GPUGRAD_SIMULATE="1", GPUGRAD_SIMULATE_CHECK="0")

import gpugrad
from gpugrad import nn
from gpugrad.cuda import backend

F = nn.functional


def main(dtype: str) -> list[tuple[str, list[str]]]:
    """Run all the work in a dtype; the sources and the names asked of each, in order."""
    backend.require()
    from gpugrad.cuda import module

    used: dict[str, dict[str, None]] = {}

    def record(source: str, names: tuple[str, ...], device: int) -> list[Callable[..., None]]:
        used.setdefault(source, {}).update(dict.fromkeys(names))
        return [lambda *ignored, **options: None for _ in names]

    module._load = record  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    for work in works(getattr(gpugrad, dtype)):
        work()
    return [(source, list(names)) for source, names in used.items()]


def works(dtype: Any) -> Iterator[Callable[[], Any]]:
    def random(*shape: int) -> Any:
        return gpugrad.empty(*shape, dtype=dtype, device="cuda").requires_grad_()

    def backward(out: Any) -> None:
        (out[0] if isinstance(out, tuple) else out).sum().backward()

    index = gpugrad.zeros(4, dtype=gpugrad.int64).to("cuda")  # copied, not filled by a kernel
    x, y, row = random(4, 64), random(4, 64), random(64)
    for function in (gpugrad.add, gpugrad.mul, gpugrad.div, gpugrad.pow, gpugrad.maximum, gpugrad.atan2):
        yield lambda function=function: backward(function(x, y))
        yield lambda function=function: backward(function(x, row))
    yield lambda: backward(x * 2 + 1)
    for name in ("exp", "log", "sqrt", "tanh", "sigmoid", "erf", "abs", "sin", "relu", "digamma", "lgamma"):
        yield lambda name=name: backward(getattr(gpugrad, name)(x))
    for name in ("gelu", "silu", "softplus", "elu", "leaky_relu", "hardswish"):
        yield lambda name=name: backward(getattr(F, name)(x))
    for name in ("sum", "mean", "amax", "prod", "logsumexp", "var", "argmax", "cumsum", "max"):
        for dim in (0, 1):
            yield lambda name=name, dim=dim: getattr(gpugrad, name)(x, dim)
    yield lambda: backward(x.sum())
    yield lambda: backward(gpugrad.sort(x, 1))
    yield lambda: gpugrad.argsort(random(2, 3000), 1)
    yield lambda: gpugrad.searchsorted(row, x)
    for cols in (16, 64, 500, 2000, 5000, 20000):
        rows = random(2, cols)
        yield lambda rows=rows: backward(F.softmax(rows, 1))
        yield lambda rows=rows: backward(F.log_softmax(rows, 1))
        yield lambda rows=rows, cols=cols: backward(F.layer_norm(rows, (cols,), *[random(cols), random(cols)]))
        yield lambda rows=rows, cols=cols: backward(F.rms_norm(rows, (cols,), random(cols)))
        yield lambda rows=rows: F.cross_entropy(rows, index[:2]).backward()
    images = random(2, 4, 8, 8)
    yield lambda: backward(nn.BatchNorm2d(4).to("cuda", dtype)(images))
    yield lambda: backward(nn.Conv2d(4, 6, 3, padding=1).to("cuda", dtype)(images))
    yield lambda: backward(F.max_pool2d(images, 2))
    yield lambda: backward(F.avg_pool2d(images, 2))
    yield lambda: backward(F.adaptive_avg_pool2d(images, 3))
    yield lambda: backward(F.interpolate(images, scale_factor=2, mode="bilinear"))
    yield lambda: backward(F.embedding(index, x))
    for name in ("RNN", "LSTM", "GRU"):
        yield lambda name=name: backward(getattr(nn, name)(8, 8).to("cuda", dtype)(random(3, 2, 8)))
    yield lambda: backward(F.dropout(x, 0.5))
    yield lambda: backward(gpugrad.gather(x, 1, index.reshape(4, 1)))
    yield lambda: backward(x.index_select(0, index))
    yield lambda: backward(x[index])
    yield lambda: backward(gpugrad.cat([x, y], 1))
    yield lambda: backward(F.pad(x, (1, 2)))
    yield lambda: backward(x.t().contiguous())
    yield lambda: backward(x.float().to(dtype))
    for name in ("SGD", "Adam", "AdamW"):
        yield lambda name=name: step(name, dtype)


def step(name: str, dtype: Any) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4)).to("cuda", dtype)
    options = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(gpugrad.optim, name)(model.parameters(), lr=0.1, **options)
    model(gpugrad.empty(4, 8, dtype=dtype, device="cuda")).sum().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
