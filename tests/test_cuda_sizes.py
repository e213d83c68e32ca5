"""Every family of kernels at the sizes and alignments where kernels go wrong: values and gradients of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.nn import functional as F

pytestmark = pytest.mark.cuda

SIZES = [0, 1, 31, 32, 33, 1023, 4097]
# Of a vector twice as long and one longer, the part that is used.
VIEWS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x[: (len(x) - 1) // 2],
    "misaligned": lambda x: x[1 : 1 + (len(x) - 1) // 2],
    "every other": lambda x: x[1::2],
}


def places(x: Any, n: int) -> Any:
    """`n` places in the vector `x`, some of them named twice."""
    return gpugrad.tensor(np.random.default_rng(n).integers(0, max(len(x), 1), n), device=x.device)


def rows(x: Any) -> Any:
    return x[None].expand(3, -1) * gpugrad.tensor([[1.0], [-2.0], [0.5]], device=x.device)


def columns(x: Any) -> Any:
    return rows(x).t()


def normed(x: Any) -> Any:
    return F.layer_norm(rows(x), (len(x),), x * 2, x) if len(x) else x


def of_some(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What has no value for an empty input is left alone there."""
    return lambda x: f(x) if len(x) else x


WORK: dict[str, Callable[[Any], Any]] = {
    "formula": lambda x: gpugrad.tanh(x) * x + x,
    "formula that broadcasts": lambda x: gpugrad.exp(rows(x) * 0.1) + x,
    "formula of a transpose": lambda x: gpugrad.sigmoid(columns(x)) * columns(x),
    "formula with three gradients": lambda x: gpugrad.lerp(x * 2, rows(x), x + 1),
    "choice": lambda x: gpugrad.where(x > 0, x, x * x),
    "sum": lambda x: x.sum(),
    "sum of rows": lambda x: rows(x).sum(1),
    "sum of columns": lambda x: columns(x).sum(0),
    "product": lambda x: (1 + x * 1e-3).prod(),
    "extreme": of_some(lambda x: rows(x).amax(1)),
    "extreme and its place": of_some(lambda x: rows(x).max(1)[0]),
    "norm": lambda x: gpugrad.linalg.vector_norm(rows(x), 3.0, 1),
    "logsumexp": of_some(lambda x: gpugrad.logsumexp(rows(x), 1)),
    "variance": lambda x: rows(x).var(1, correction=0) if len(x) else x,
    "running sum": lambda x: rows(x).cumsum(1),
    "running sum of columns": lambda x: columns(x).cumsum(0),
    "running maximum": lambda x: rows(x).cummax(1).values,
    "softmax": lambda x: F.softmax(rows(x), 1),
    "softmax of columns": lambda x: F.softmax(columns(x), 0),
    "log_softmax": lambda x: F.log_softmax(rows(x), 1),
    "layer norm": normed,
    "rms norm": of_some(lambda x: F.rms_norm(rows(x), (len(x),), x)),
    "batch norm": of_some(lambda x: F.batch_norm(rows(x), None, None, x, x * 2, training=True)),
    "cross-entropy": of_some(lambda x: F.cross_entropy(rows(x), places(x, 3))),
    "transpose": lambda x: columns(x).contiguous(),
    "side by side": lambda x: gpugrad.cat([x, x[:1], x], 0),
    "stacked": lambda x: gpugrad.stack([x, x * 2], 1),
    "border": lambda x: F.pad(rows(x), (1, 2), value=3.0),
    "repeated border": of_some(lambda x: F.pad(rows(x), (1, 2), mode="replicate")),
    "reversed": lambda x: x.flip(0),
    "rolled": lambda x: x.roll(3),
    "repeated": lambda x: x.repeat(2, 3),
    "triangle": lambda x: rows(x).tril(1) + columns(x).triu().t(),
    "diagonal": lambda x: gpugrad.diag_embed(x[:64]),
    "conversion": lambda x: x.double().half().float(),
    "lookup": of_some(lambda x: x[places(x, 50)]),
    "rows by index": of_some(lambda x: F.embedding(places(x, 40), columns(x))),
    "written by index": lambda x: columns(x).index_copy(0, gpugrad.arange(len(x) // 2, device=x.device), columns(x)[: len(x) // 2]),
    "gathered": of_some(lambda x: rows(x).gather(1, places(x, 150).reshape(3, 50))),
    "scattered sums": of_some(lambda x: rows(x).scatter_add(1, places(x, 3 * len(x)).reshape(3, -1), rows(x))),
    "masked": lambda x: x.masked_fill(x > 0, 2.0),
    "where it is positive": lambda x: x[x > 0],
    "pooling": of_some(lambda x: F.max_pool1d(rows(x)[None], min(3, len(x)), 2)),
    "means": of_some(lambda x: F.avg_pool1d(rows(x)[None], min(3, len(x)), 1)),
    "means of bins": of_some(lambda x: F.adaptive_avg_pool1d(rows(x)[None], 5)),
    "convolution": of_some(lambda x: F.conv1d(rows(x)[None], gpugrad.ones(2, 3, 1, device=x.device), padding=1)),
    "sorted": lambda x: rows(x).sort(1).values,
    "interpolated": of_some(lambda x: F.interpolate(rows(x)[None, :, :1500], scale_factor=1.5, mode="linear")),
    "windows": lambda x: x.unfold(0, 3, 2) if len(x) > 2 else x,
}  # fmt: skip


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("view", VIEWS)
def test_every_size(name: str, view: str, fallen: set[str]) -> None:
    for n in SIZES:
        array = np.random.default_rng(n).normal(size=2 * n + 1).astype(np.float32)
        found = []
        for where in ("cpu", "cuda"):
            leaf = gpugrad.tensor(array, device=where, requires_grad=True)
            out = WORK[name](VIEWS[view](leaf))
            weights = np.random.default_rng(1).uniform(0.5, 1.5, tuple(out.shape)).astype(np.float32)
            out.backward(gpugrad.tensor(weights, device=where))
            found.append((out, leaf.grad))
        for what, body, kernel in zip(("value", "gradient"), *found):
            want, got = on_host(body), on_host(kernel)
            assert kernel.is_cuda and got.shape == want.shape
            scale = max(1.0, float(np.abs(want).max(initial=0)))
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5 * scale, err_msg=f"{what} for {n}")
    assert not fallen, sorted(fallen)
