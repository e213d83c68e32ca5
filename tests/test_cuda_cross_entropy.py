"""Cross-entropy and its like on the CUDA device: each kernel against the body of its op on the CPU."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from device_tools import on_host
from row_tools import DTYPES, SIZES, both, draw, kernels_only

import gpugrad
from gpugrad.cuda import backend
from gpugrad.nn import functional as F

__all__ = ["kernels_only"]  # a fixture that every test here has

pytestmark = pytest.mark.cuda


def losses(rows: Any, classes: int, dtype: Any = np.float32, pixels: Any = ()) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets, of which one is -100."""
    targets = np.random.default_rng(3).integers(0, classes, (rows, *pixels))
    targets.reshape(-1)[targets.size // 2] = -100
    return draw((rows, classes, *pixels), dtype), targets


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy(dtype: Any, smoothing: float, reduction: str) -> None:
    for classes in SIZES if dtype == np.float32 else (5, 129):
        function = partial(F.cross_entropy, reduction=reduction, label_smoothing=smoothing)
        both(function, *losses(5, classes, dtype), factor=32)
        if classes < 1000:
            both(
                lambda x, t, w, f=function: f(x, t, w.detach().abs()), *losses(5, classes, dtype), draw(classes, dtype)
            )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_pixels(smoothing: float, reduction: str) -> None:
    for rows, classes, pixels in [(3, 5, (4, 5)), (2, 40, (3,)), (2, 3, (1,)), (1, 2, (500,))]:
        function = partial(F.cross_entropy, reduction=reduction, label_smoothing=smoothing)
        both(
            lambda x, t, w, f=function: f(x, t, w.detach().abs()),
            *losses(rows, classes, np.float32, pixels),
            draw(classes),
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_as_many_rows_as_one_block_takes(dtype: Any) -> None:
    for rows, classes in [(128, 10), (129, 10), (64, 100), (65, 100), (32, 200), (33, 200)]:
        for reduction in ("mean", "sum"):
            both(partial(F.cross_entropy, reduction=reduction), *losses(rows, classes, dtype), factor=64)


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_the_gradient_of_cross_entropy_is_handed_on_once(where: str) -> None:
    scores, targets = losses(5, 7)
    x = gpugrad.tensor(scores).to(where).requires_grad_()
    loss = F.cross_entropy(x, gpugrad.tensor(targets).to(where))
    loss.backward(retain_graph=True)
    once = on_host(x.grad).copy()
    x.grad.zero_()
    loss.backward(retain_graph=True)
    np.testing.assert_array_equal(on_host(x.grad), once)
    loss.backward()
    np.testing.assert_array_equal(on_host(x.grad), 2 * once)
    y = gpugrad.tensor(scores).to(where).requires_grad_()
    (3 * F.cross_entropy(y, gpugrad.tensor(targets).to(where))).backward()
    np.testing.assert_allclose(on_host(y.grad), 3 * once, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_makes_no_gradient_that_nobody_asks_for(dtype: Any, smoothing: float) -> None:
    """The loss is the same to the bit, nothing of the size of the scores is made, nor what its mean divides by."""
    for rows, classes, pixels in [(70, 33, ()), (129, 10, ()), (3, 16400, ()), (3, 5, (40, 50))]:
        scores, targets = losses(rows, classes, dtype, pixels)
        for reduction in ("none", "mean", "sum"):
            loss = partial(F.cross_entropy, reduction=reduction, label_smoothing=smoothing)
            x, t = gpugrad.tensor(scores).to("cuda"), gpugrad.tensor(targets).to("cuda")
            expected = on_host(loss(x.detach().requires_grad_(), t))
            gpugrad.cuda.reset_peak_memory_stats()
            before = gpugrad.cuda.memory_allocated()
            found = loss(x, t)
            made = gpugrad.cuda.max_memory_allocated() - before
            np.testing.assert_array_equal(on_host(found), expected)
            assert made < scores.nbytes
            with gpugrad.no_grad():
                np.testing.assert_array_equal(on_host(loss(x.requires_grad_(), t)), expected)


def test_cross_entropy_without_a_gradient_takes_two_launches() -> None:
    if not backend.simulated():
        pytest.skip("launches are counted by the simulator")
    scores, targets = (gpugrad.tensor(a).to("cuda") for a in losses(300, 33))
    counters = backend.cupy().counters
    for asked, launches in ((True, 3), (False, 2)):
        scores.requires_grad_(asked)
        F.cross_entropy(scores, targets)
        counters.reset()
        F.cross_entropy(scores, targets)
        assert counters.launches == launches


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_the_cotangent_that_walks_share_is_not_written(where: str) -> None:
    class Doubled(gpugrad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            g *= 2
            return g

    x = gpugrad.ones(3).to(where).requires_grad_()
    Doubled.apply(x.sum()).backward()
    total = x.sum()
    total.register_hook(lambda g: g.mul_(5))
    total.retain_grad()
    total.backward()
    total.grad.mul_(7)
    (g,) = gpugrad.autograd.grad(x.sum().reshape(()), [s := x.sum()], allow_unused=True)
    assert g is None
    (g,) = gpugrad.autograd.grad(s, [s])
    g.mul_(11)
    x.grad = None
    x.sum().backward()
    assert on_host(x.grad).tolist() == [1, 1, 1]


def test_cross_entropy_of_long_rows() -> None:
    for classes, smoothing in [(8200, 0.0), (16400, 0.0), (16400, 0.1), (2000, 0.1)]:
        both(partial(F.cross_entropy, label_smoothing=smoothing), *losses(3, classes), factor=64)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nll_loss(dtype: Any, reduction: str) -> None:
    function = partial(F.nll_loss, reduction=reduction)
    for rows, classes, pixels in [(5, 33, ()), (3, 5, (4, 5)), (700, 3, ())]:
        both(function, *losses(rows, classes, dtype, pixels), factor=32)
    both(lambda x, t, w: function(x, t, w.detach().abs()), *losses(5, 33, dtype), draw(33, dtype))


def test_losses_of_many_targets_views_and_other_ignored_ones() -> None:
    both(F.cross_entropy, *losses(70000, 2), factor=256)
    both(partial(F.nll_loss, ignore_index=1), *losses(70, 3, np.float32)[:1], np.arange(70) % 3)
    both(partial(F.cross_entropy, ignore_index=1), losses(70, 3)[0], np.arange(70) % 3)
    scores, targets = losses(9, 33)
    both(lambda x, t: F.cross_entropy(x, t[1:]), scores, targets, views=lambda x: x[1:])
    both(lambda x, t: F.cross_entropy(x, t[::2] % 11), scores, abs(targets), views=lambda x: x[::2, ::3])
    both(F.cross_entropy, scores.T.copy(), targets, views=lambda x: x.t())
    both(F.cross_entropy, draw(7), np.array(3))
    weight = np.abs(draw(33))
    both(lambda x, t, w: F.cross_entropy(x, t, w.detach()), scores.astype(np.float16), targets, weight)


def test_all_targets_ignored() -> None:
    for where in ("cpu", "cuda"):
        x = gpugrad.tensor(draw((3, 4))).to(where).requires_grad_()
        assert np.isnan(F.cross_entropy(x, gpugrad.full((3,), -100, dtype=gpugrad.int64, device=where)).item())
        assert F.nll_loss(x, gpugrad.full((3,), 2, dtype=gpugrad.int64).to(where), ignore_index=2, reduction="sum") == 0


@pytest.mark.parametrize("pixels", [(), (4,)], ids=str)
@pytest.mark.parametrize("classes", [5, 20000])
@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_target_that_is_no_class(loss: Any, classes: int, pixels: Any) -> None:
    scores, targets = losses(3, classes, np.float32, pixels)
    for bad in (classes, -1):
        targets.reshape(-1)[0] = bad
        x = gpugrad.tensor(scores).to("cuda").requires_grad_()
        out = loss(x, gpugrad.tensor(targets).to("cuda"))
        out.backward()
        with pytest.raises(IndexError, match=rf"{loss.__name__}\(\): index {bad} is out of bounds .* size {classes}"):
            out.item()
        assert np.isfinite(out.item())  # the process goes on
        assert x.grad is not None and not on_host(x.grad)[0].reshape(classes, -1)[:, 0].any()


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan")])
@pytest.mark.parametrize("dtype", [gpugrad.float32, gpugrad.float16])
def test_no_probability(bad: float, dtype: Any) -> None:
    x = gpugrad.tensor([0.5, 1.0, 0.0, bad]).to("cuda", dtype)
    loss = F.binary_cross_entropy(x, gpugrad.ones_like(x))
    with pytest.raises(
        RuntimeError, match=r"binary_cross_entropy\(\): .* between 0 and 1; .*\(element 3 of 4; found by"
    ):
        loss.item()
    good = F.binary_cross_entropy(x[:3], gpugrad.ones_like(x[:3]))  # the process goes on
    assert good.item() > 0


@pytest.mark.parametrize("seed", range(10))
def test_losses_in_every_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    for reduction in ("mean", "none"):
        both(partial(F.cross_entropy, reduction=reduction, label_smoothing=0.1), *losses(70, 33), factor=32)
        both(partial(F.cross_entropy, reduction=reduction), *losses(2, 3, np.float32, (70,)), factor=32)
        both(partial(F.nll_loss, reduction=reduction), *losses(700, 3), factor=32)
    both(F.cross_entropy, *losses(3, 4097), factor=32)


def test_second_derivatives_of_losses() -> None:
    scores, targets = losses(4, 5)
    for loss in (F.cross_entropy, partial(F.cross_entropy, label_smoothing=0.1), F.nll_loss):
        found = []
        for where in ("cpu", "cuda"):
            x = gpugrad.tensor(scores).to(where).requires_grad_()
            (g,) = gpugrad.autograd.grad(loss(x * x, gpugrad.tensor(targets).to(where)), x, create_graph=True)
            (second,) = gpugrad.autograd.grad((g * g).sum(), x)
            found.append(on_host(second))
        np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-5)
