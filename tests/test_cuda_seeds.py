"""Kernels that use no atomics give the same bits whatever the order in which blocks and threads run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad.cuda.backend import simulated
from gpugrad.nn import functional as F

pytestmark = pytest.mark.cuda


leaves: list[Any] = []  # of the work being done


def draw(*shape: int) -> Any:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    leaves.append(gpugrad.tensor(array, device="cuda", requires_grad=True))
    return leaves[-1]


def clipped() -> Any:
    given = [draw(3000), draw(33, 7), draw(1)]
    for leaf in given:
        leaf.grad = leaf.detach() * 3
    gpugrad.nn.utils.clip_grad_norm_(given, 1.0)
    return gpugrad.cat([leaf.grad.reshape(-1) for leaf in given])


def batch_norm(x: Any) -> Any:
    return F.batch_norm(x, None, None, draw(5), draw(5) * 2, training=True)


CLASSES = [3, 0, 299, 77]
WORK: dict[str, Callable[[], Any]] = {
    "formula": lambda: gpugrad.tanh(draw(70, 33) * draw(33)),
    "sum of rows": lambda: draw(3, 5000).sum(1),
    "sum of columns": lambda: draw(900, 40).sum(0),
    "sum of everything": lambda: draw(90, 1000).sum(),
    "places of extremes": lambda: draw(3, 5000).argmax(1),
    "variance": lambda: draw(3, 5000).var(1),
    "running sums of lines": lambda: draw(2, 3000).cumsum(1),
    "running sums in parts": lambda: draw(40000).cumsum(0),
    "running sums of columns": lambda: draw(50, 70).cumsum(0),
    "running logarithms": lambda: draw(2, 300).logcumsumexp(1),
    "softmax of short rows": lambda: F.softmax(draw(9, 33), 1),
    "softmax of long rows": lambda: F.log_softmax(draw(2, 9000), 1),
    "softmax of columns": lambda: F.softmax(draw(33, 40), 0),
    "layer norm": lambda: F.layer_norm(draw(20, 300), (300,), draw(300), draw(300) * 2),
    "rms norm": lambda: F.rms_norm(draw(20, 300), (300,), draw(300)),
    "batch norm": lambda: batch_norm(draw(6, 5, 7, 7)),
    "cross-entropy": lambda: F.cross_entropy(draw(4, 300), gpugrad.tensor(CLASSES, device="cuda")),
    "transpose": lambda: draw(70, 90).t().contiguous(),
    "side by side": lambda: gpugrad.cat([draw(33, 5), draw(33, 31)], 1),
    "borders": lambda: F.pad(draw(2, 3, 9, 10), (2, 3, 1, 0), mode="reflect"),
    "triangle": lambda: draw(33, 40).tril(),
    "lookup": lambda: draw(40, 33)[gpugrad.tensor(CLASSES, device="cuda") % 40],
    "pooling": lambda: F.max_pool2d(draw(2, 3, 9, 9), 3, 2),
    "means": lambda: F.adaptive_avg_pool2d(draw(2, 3, 9, 9), 4),
    "what is positive": lambda: (lambda x: x[x > 0])(draw(5000)),
    "one of each value": lambda: gpugrad.unique(draw(5000).round()),
    "cross-entropy of probabilities": lambda: F.binary_cross_entropy(draw(900).sigmoid(), draw(900).sigmoid()),
    "sorting": lambda: draw(2, 3000).sort(1).values,
    "interpolation": lambda: F.interpolate(draw(2, 3, 9, 9), scale_factor=2.5, mode="bilinear"),
    "clipped gradients": clipped,
    "random numbers": lambda: gpugrad.rand(5000, device="cuda", generator=gpugrad.Generator("cuda").manual_seed(1)),
}


@pytest.mark.parametrize("name", WORK)
def test_the_same_bits_in_any_order(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not simulated():
        pytest.skip("only the simulator's order can be chosen")
    found = set()
    for seed in range(10):
        monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
        leaves.clear()
        out = WORK[name]()
        if out.requires_grad:
            out.backward(gpugrad.ones_like(out) / 3)
        results = [out.detach(), *[leaf.grad for leaf in leaves if leaf.grad is not None]]
        found.add(b"".join(t.cpu().numpy().tobytes() for t in results))
    assert len(found) == 1
