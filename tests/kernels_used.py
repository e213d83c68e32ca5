"""Prints the kernels that work on a CUDA device uses, as JSON: [[source, [name, ...]], ...].

`python kernels_used.py float32` runs ops, layers and optimizers in that dtype on the simulated device, with every launch
left out: results are never computed, and never looked at. All kernels of `kernels/` are to be among them in one dtype
or another; test_kernels_compile.py says which are not.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

os.environ["GPUGRAD_SIMULATE"] = "1"

import gpugrad
from gpugrad import nn
from gpugrad.cuda import backend
from gpugrad.ops.gradient_scale import unscale, update_scale
from gpugrad.ops.mask import put_at_full_mask
from gpugrad.ops.statistics import _bincount

F = nn.functional
Work = Iterator[Callable[[], Any]]


def main(*dtypes: str) -> list[tuple[str, list[str]]]:
    """Run all the work in some dtypes; the sources and the names asked of each, in order."""
    backend.require()
    from gpugrad.cuda import module, select

    used: dict[str, dict[str, None]] = {}

    def record(source: str, names: tuple[str, ...], device: int) -> list[Callable[..., None]]:
        used.setdefault(source, {}).update(dict.fromkeys(names))
        return [lambda *ignored, **options: None for _ in names]

    module._load = record  # type: ignore[assignment]
    select.Chosen.count = lambda self: self.n  # type: ignore[method-assign]  # what no launch has counted
    run(*dtypes)
    return [(source, list(names)) for source, names in used.items()]


def run(*dtypes: str) -> None:
    """All the work in some dtypes."""
    warnings.simplefilter("ignore")
    for name in dtypes:
        dtype = getattr(gpugrad, name)
        works = [anything(dtype)]
        if dtype != gpugrad.bool:
            works.append(counts(dtype))
        if dtype.is_floating_point:
            works += [formulas(dtype), rows(dtype), images(dtype), sequences(dtype)]
            works += [reductions(dtype), optimizers(dtype)]
        for several in works:
            for work in several:
                work()


def empty(dtype: Any, *shape: int) -> Any:
    """A tensor of ones, copied there: nothing must be left uninitialised where kernels do run."""
    return gpugrad.ones(*shape).to("cuda", dtype).requires_grad_(dtype.is_floating_point)


def mask(*shape: int) -> Any:
    return gpugrad.ones(*shape, dtype=gpugrad.bool).to("cuda")


def index(*shape: int) -> Any:
    return gpugrad.zeros(*shape, dtype=gpugrad.int64).to("cuda")  # copied, not filled by a kernel


def backward(out: Any) -> None:
    out = out[0] if isinstance(out, tuple) else out
    if out.requires_grad:
        out.sum().backward()


def in_order(work: Callable[[], Any]) -> None:
    gpugrad.use_deterministic_algorithms(True)
    work()
    gpugrad.use_deterministic_algorithms(False)


def anything(dtype: Any) -> Work:
    """What tensors of every dtype go through."""
    x, y, at = empty(dtype, 4, 64), empty(dtype, 4, 64), index(4)
    tall, deep = empty(dtype, 40, 64), empty(dtype, 3, 20, 64)
    yield lambda: x.to(gpugrad.float32) if dtype != gpugrad.float32 else x.to(gpugrad.float16)
    yield lambda: x.to(gpugrad.int64) if dtype != gpugrad.int64 else x.to(gpugrad.bool)
    yield lambda: x[:, ::2].to(gpugrad.float64)
    yield lambda: backward(tall.t().contiguous())
    yield lambda: backward(deep.transpose(0, 2).contiguous())
    yield lambda: backward(x[:, 1:9:2])
    yield lambda: backward(x.flip(1))
    yield lambda: backward(gpugrad.cat([x, y], 1))
    yield lambda: backward(gpugrad.cat([x, y], 0))
    yield lambda: backward(x.roll(1, 1))
    yield lambda: backward(x.tril())
    yield lambda: backward(x.triu())
    yield lambda: backward(x.repeat(2, 2))
    yield lambda: backward(F.pad(x, (1, 2)))
    yield lambda: backward(x[1:] - x[:-1]) if dtype.is_floating_point else None
    for mode in ("reflect", "replicate", "circular"):
        yield lambda mode=mode: backward(F.pad(x, (1, 2), mode=mode))
    yield lambda: gpugrad.full((5,), 1, dtype=dtype, device="cuda")
    yield lambda: gpugrad.arange(5, dtype=dtype, device="cuda")
    yield lambda: gpugrad.arange(0.0, 5.0, dtype=dtype, device="cuda")
    yield lambda: gpugrad.linspace(0, 1, 5, dtype=dtype, device="cuda")
    yield lambda: x.detach().__setitem__((slice(None), slice(None, None, 2)), 1)
    yield lambda: backward(gpugrad.gather(x, 1, at.reshape(4, 1)))
    yield lambda: backward(x.index_select(0, at))
    yield lambda: backward(x[at])
    yield lambda: backward(x[at, at])
    yield lambda: backward(F.embedding(at, x)) if dtype.is_floating_point else None
    yield lambda: x.detach().index_put((at,), y[0].detach())
    yield lambda: x.detach().index_put((at,), y[0].detach(), accumulate=True)
    yield lambda: backward(x.index_add(0, at, y))
    yield lambda: x.detach().scatter(1, at.reshape(4, 1), 1)
    yield lambda: backward(x.scatter_add(1, at.reshape(4, 1), y))
    yield lambda: in_order(lambda: x.detach().index_put((at,), y[0].detach()))
    yield lambda: in_order(lambda: x.detach().index_put((at,), y.detach(), accumulate=True))
    yield (
        lambda: in_order(lambda: backward(F.embedding(at, x) - F.embedding(at, x))) if dtype.is_floating_point else None
    )
    yield lambda: in_order(lambda: x.scatter_add(1, at.reshape(4, 1), y))
    for reduce in ("prod", "amax", "amin", "mean"):
        yield lambda reduce=reduce: x.detach().scatter_reduce(1, at.reshape(4, 1), y.detach(), reduce)
    yield lambda: gpugrad.isin(x.detach(), y.detach()[0, :5])
    yield lambda: gpugrad.isin(x.detach(), y.detach())
    yield lambda: gpugrad.nonzero(x.detach())
    yield lambda: gpugrad.unique(x.detach()[:1, :1])  # as many as there are elements, launched or not
    yield lambda: backward(x[mask(4, 64)])
    yield lambda: x.detach().__setitem__(mask(4, 64), 1)
    yield lambda: write_at_mask(x.detach(), y.detach())
    if dtype != gpugrad.bool:
        yield lambda: backward(x + y)
        yield lambda: empty(dtype, 5).detach().geometric_(0.5)
        for dim in (0, 1):
            yield lambda dim=dim: x.detach().sum(dim)
            yield lambda dim=dim: x.detach().prod(dim)
            yield lambda dim=dim: x.detach().cumsum(dim)
            yield lambda dim=dim: x.detach().max(dim)
    yield lambda: backward(gpugrad.sort(x, 1))
    yield lambda: gpugrad.argsort(empty(dtype, 2, 3000), 1)
    yield lambda: gpugrad.searchsorted(x.detach()[0], y.detach())
    for n in (200, 1000, 9000) if dtype != gpugrad.bool else ():
        yield lambda n=n: gpugrad.topk(empty(dtype, 2, n), 3)
    for dim in (0, 1):
        yield lambda dim=dim: x.detach().amax(dim)
        yield lambda dim=dim: x.detach().argmin(dim) if dtype != gpugrad.bool else x.any(dim)
    yield lambda: empty(dtype, 5).detach().random_()
    yield lambda: empty(dtype, 5).detach().bernoulli_(0.5)


def write_at_mask(x: Any, y: Any) -> None:
    """Elements of their own at a mask: beneath the host's count of them."""
    put_at_full_mask(x._array, mask(*x.shape)._array, y.reshape(-1)._array)


def counts(dtype: Any) -> Work:
    """What integers and floats are counted by."""
    x, edges = empty(dtype, 4, 64).detach(), empty(dtype, 9).detach()
    if not dtype.is_floating_point:
        numbers = x.reshape(-1)
        for bins in (5, 5000):
            yield lambda bins=bins: _bincount(numbers._array, bins=bins)
            for weight in (gpugrad.float32, gpugrad.float64):
                weights = empty(weight, 256).detach()._array
                yield lambda bins=bins, weights=weights: _bincount(numbers._array, weights, bins=bins)
        yield lambda: in_order(lambda: _bincount(numbers._array, empty(gpugrad.float32, 256).detach()._array, bins=5))
        return
    for bins in (5, 5000):
        yield lambda bins=bins: gpugrad.histc(x, bins, 0, 1)
    yield lambda: gpugrad.histogram(x, edges)
    yield lambda: gpugrad.histogram(x, edges, weight=x)
    yield lambda: in_order(lambda: gpugrad.histogram(x, edges, weight=x))
    yield lambda: gpugrad.isclose(x, x)
    yield lambda: F.binary_cross_entropy(x, x)


def formulas(dtype: Any) -> Work:
    x, y, row = empty(dtype, 4, 64), empty(dtype, 4, 64), empty(dtype, 64)
    for function in (gpugrad.add, gpugrad.mul, gpugrad.div, gpugrad.pow, gpugrad.maximum, gpugrad.atan2):
        yield lambda function=function: backward(function(x, y))
        yield lambda function=function: backward(function(x, row))
    yield lambda: backward(x * 2 + 1)
    yield lambda: backward(gpugrad.addcmul(x, y, row))
    for shape in ((4, 64), (64,)):
        yield lambda shape=shape: backward(gpugrad.lerp(x, y, empty(dtype, *shape)))
    for name in ("exp", "log", "sqrt", "tanh", "sigmoid", "erf", "abs", "sin", "relu", "digamma", "lgamma"):
        yield lambda name=name: backward(getattr(gpugrad, name)(x))
    for name in ("gelu", "silu", "softplus", "elu", "leaky_relu", "hardswish"):
        yield lambda name=name: backward(getattr(F, name)(x))


def rows(dtype: Any) -> Work:
    for cols in (16, 64, 128, 200, 500, 1000, 2000, 4000, 8000, 16000, 20000):
        x, at = empty(dtype, 2, cols), index(2)
        weight, bias = empty(dtype, cols), empty(dtype, cols)
        yield lambda x=x: backward(F.softmax(x, 1))
        yield lambda x=x: backward(F.log_softmax(x, 1))
        yield lambda x=x, weight=weight, bias=bias: backward(F.layer_norm(x, weight.shape, weight, bias))
        yield lambda x=x, weight=weight: backward(F.rms_norm(x, weight.shape, weight))
        yield lambda x=x, at=at: F.cross_entropy(x, at).backward()
        yield lambda x=x, at=at: F.cross_entropy(x, at, label_smoothing=0.1).backward()
    for count, cols in ((100, 10), (50, 100), (20, 200)):  # one block for all of them
        yield lambda count=count, cols=cols: F.cross_entropy(empty(dtype, count, cols), index(count))
    x, at = empty(dtype, 2, 5, 7), index(2, 7)
    yield lambda: backward(F.softmax(x, 1))
    yield lambda: backward(F.log_softmax(x, 1))
    yield lambda: F.cross_entropy(x, at, x.detach()[0, :, 0]).backward()
    yield lambda: F.nll_loss(x, at).backward()
    yield lambda: F.binary_cross_entropy(x, x.detach()).backward()
    yield lambda: F.cross_entropy(x, x.detach()).backward()
    yield lambda: F.cross_entropy(empty(dtype, 4000, 3), index(4000), x.detach()[0, :3, 0]).backward()


def images(dtype: Any) -> Work:
    x = empty(dtype, 2, 4, 8, 8)
    for training in (True, False):
        yield lambda training=training: backward(nn.BatchNorm2d(4).to("cuda", dtype).train(training)(x))
    yield lambda: backward(nn.GroupNorm(2, 4).to("cuda", dtype)(x))
    yield lambda: backward(nn.InstanceNorm2d(4, affine=True).to("cuda", dtype)(x))
    yield lambda: backward(nn.Conv2d(4, 6, 3, padding=1).to("cuda", dtype)(x))
    yield lambda: backward(nn.Conv2d(4, 4, 3, groups=4).to("cuda", dtype)(x))
    yield lambda: backward(nn.ConvTranspose2d(4, 6, 3).to("cuda", dtype)(x))
    yield lambda: backward(F.max_pool2d(x, 2))
    yield lambda: backward(F.avg_pool2d(x, 2))
    yield lambda: backward(F.adaptive_max_pool2d(x, 3))
    yield lambda: backward(F.adaptive_avg_pool2d(x, 3))
    yield lambda: backward(F.adaptive_avg_pool2d(x, 1))
    yield lambda: backward(F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2))
    yield lambda: backward(F.interpolate(x, scale_factor=2, mode="bilinear"))


def sequences(dtype: Any) -> Work:
    for name in ("RNN", "LSTM", "GRU"):
        yield lambda name=name: backward(getattr(nn, name)(8, 8).to("cuda", dtype)(empty(dtype, 3, 2, 8)))


def reductions(dtype: Any) -> Work:
    x, long = empty(dtype, 4, 64), empty(dtype, 2, 100_000)
    for dim in (0, 1):
        for name in ("mean", "logsumexp", "var", "norm", "cumprod", "logcumsumexp", "cummax"):
            if name == "norm":
                yield lambda dim=dim: backward(x.norm(dim=dim))
            else:
                yield lambda name=name, dim=dim: backward(getattr(gpugrad, name)(x, dim))
    yield lambda: backward(x.sum())
    yield lambda: backward(long.cumsum(1))
    yield lambda: backward(long.var())
    yield lambda: backward(F.dropout(x, 0.5))
    for width in (64, 65):  # packs of 16 bytes, and none
        yield lambda width=width: in_order(lambda: backward(F.embedding(index(4), empty(dtype, 4, width))))
    for draw in ("uniform_", "normal_", "log_normal_", "exponential_", "cauchy_"):
        yield lambda draw=draw: getattr(empty(dtype, 5).detach(), draw)()
    yield lambda: gpugrad.bernoulli(x.detach())
    yield lambda: gpugrad.poisson(x.detach())
    yield lambda: x.detach().bernoulli_(x.detach().double())


def optimizers(dtype: Any) -> Work:
    momentum = {"momentum": 0.9}
    for name, options in (
        *(("SGD", {}), ("SGD", momentum), ("Adam", {}), ("Adam", {"amsgrad": True}), ("AdamW", {}), ("RMSprop", {})),
        *(("RMSprop", {**momentum, "centered": True}), ("Adagrad", {}), ("Adadelta", {}), ("Adamax", {})),
        *((name, {}) for name in ("NAdam", "RAdam", "Rprop", "ASGD")),
    ):
        yield lambda name=name, options=options: step(name, options, dtype)


def step(name: str, options: dict[str, Any], dtype: Any) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4)).to("cuda", dtype)
    optimizer = getattr(gpugrad.optim, name)(model.parameters(), lr=0.1, **options)
    for _ in range(2):  # gradients are added to the second time
        model(empty(dtype, 4, 8).detach()).sum().backward()
    for norm in (1.0, 2.0, 3.0, float("inf")):
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm)
    scale, tracker, found = (gpugrad.ones((), dtype=d, device="cuda")._array for d in (float, gpugrad.int32, float))
    unscale(*[p.grad._array for p in model.parameters()], scale, found)
    update_scale(scale, tracker, found, growth=2.0, backoff=0.5, interval=3)
    optimizer.step()


if __name__ == "__main__":
    os.environ["GPUGRAD_SIMULATE_CHECK"] = "0"  # what is not computed is not written
    json.dump(main(*sys.argv[1:]), sys.stdout)
