"""Softmax, norms and cross-entropy on the CUDA device: each kernel against the body of its op on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.cuda import backend
from gpugrad.nn import functional as F

pytestmark = pytest.mark.cuda

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
SIZES = [1, 31, 32, 33, 1023, 4097]
OPS = {
    *("softmax", "log_softmax", "softmax_grad", "log_softmax_grad"),
    *("moments", "normalize_over", "normalize_backward", "rms_norm", "rms_norm_backward"),
    *("layer_norm", "cross_entropy", "nll_loss", "_nll_loss_grad"),
}


@pytest.fixture(autouse=True)
def kernels_only(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bodies of the ops under test do not run on the device."""
    from gpugrad.cuda import array

    backend.require()
    run_body = array._run_body

    def refuse(op: Any, *rest: Any) -> Any:
        refused = rest[1][0].dtype.kind in "iub" or not rest[1][0].size
        assert op.name not in OPS or refused, f"{op.name} has run its body on the device"
        return run_body(op, *rest)

    monkeypatch.setattr(array, "_run_body", refuse)


def draw(shape: Any, dtype: Any = np.float32, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtype)


def tolerance(dtype: Any, factor: float = 16) -> dict[str, float]:
    """Some units in the last place, of float32 at least: sums are formed in another order."""
    unit = float(ml_dtypes.finfo(dtype).eps)
    return {"rtol": factor * unit, "atol": factor * unit}


def both(
    function: Callable[..., Any],
    *inputs: np.ndarray,
    views: Callable[[Any], Any] = lambda x: x,
    factor: float = 16,
    wanted: Any = None,
    cancelled: float = 0.0,
) -> None:
    """`function` and the gradients of its floating inputs, on the CPU and the device; `views` is applied to the first.

    `cancelled`: the size of the terms whose sum the first input's gradient is. Some units of it are left where they cancel.
    """
    found = []
    for where in ("cpu", "cuda"):
        tensors = [gpugrad.tensor(x).to(where) for x in inputs]
        leaves = [t.requires_grad_() if t.is_floating_point() else t for t in tensors]
        out = function(views(leaves[0]), *leaves[1:])
        g = gpugrad.tensor(draw(tuple(out.shape), seed=9)).to(where, out.dtype)
        out.backward(g)
        assert out.device.type == where
        gradients = [t.grad for t in leaves if t.grad is not None]
        assert [t.dtype for t in gradients] == [t.dtype for t in leaves if t.grad is not None]
        found.append([on_host(t) for t in (out, *gradients)])
    assert len(found[0]) == len(found[1])
    for k, (expected, got) in enumerate(zip(*found)):
        assert got.shape == expected.shape and got.dtype == expected.dtype
        at = tolerance(inputs[0].dtype, factor)
        at["atol"] *= max(1.0, float(np.abs(expected.astype(np.float64)).max(initial=0)))
        if k == 1:
            at["atol"] = max(at["atol"], 4 * float(ml_dtypes.finfo(inputs[0].dtype).eps) * cancelled)
        np.testing.assert_allclose(
            got.astype(np.float64), expected.astype(np.float64), err_msg=f"output {k} (0: the result)", **at
        )


# ---- softmax ----

SOFTMAXES = [gpugrad.softmax, gpugrad.log_softmax]


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_rows(function: Any, dtype: Any) -> None:
    for cols in SIZES if dtype == np.float32 else (1, 33, 1023):
        both(lambda x: function(x, -1), draw((5, cols), dtype), factor=32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_as_long_as_threads_hold_and_longer(dtype: Any) -> None:
    """Besides whole packs a row has a head and a tail, of less than 16 bytes each."""
    spare = 16 // np.dtype(dtype).itemsize - 1
    for held in (32, 64, 128, 256, 512, 1024):
        for cols in (held + spare, held + spare + 1):
            both(lambda x: gpugrad.softmax(x, -1), draw((3, cols), dtype), factor=32)


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("cols", [6145, 16385, 16400])
def test_softmax_of_long_rows(function: Any, cols: int) -> None:
    both(lambda x: function(x, -1), draw((2, cols)), factor=64)


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_columns(function: Any, dtype: Any) -> None:
    for shape, dim in [((3, 5, 2), 1), ((2, 33, 70), 1), ((70, 3), 0), ((1023, 2), 0), ((4, 1, 31), 1)]:
        if dtype == np.float32 or shape[1] < 50:
            both(partial(function, dim=dim), draw(shape, dtype), factor=32)


@pytest.mark.parametrize("function", SOFTMAXES)
def test_softmax_of_views_and_scalars(function: Any) -> None:
    x = draw((7, 33))
    for view in (
        lambda t: t[1:],
        lambda t: t.t(),
        lambda t: t[:, ::2],
        lambda t: t[0].expand(4, 33),
        lambda t: t[1, 3],
    ):
        both(lambda t: function(t, -1), x, views=view, factor=32)
    for shape, dim in [((0, 3), 1), ((3, 0), 1), ((2, 0, 3), 1), ((), 0)]:
        both(partial(function, dim=dim), draw(shape))


@pytest.mark.parametrize("seed", range(10))
def test_softmax_in_every_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    both(lambda x: gpugrad.softmax(x, 0), draw((130, 3)))
    both(lambda x: gpugrad.log_softmax(x, 1), draw((3, 6200)), factor=64)


def test_softmax_of_infinities() -> None:
    inf, nan = np.inf, np.nan
    rows = np.array([[0, -inf, 1], [-inf] * 3, [1, nan, 2], [inf, 0, 1], [1e38, -1e38, 0], [-inf, -inf, 2]], np.float32)
    for x, dim in ((rows, 1), (rows.T.copy(), 0)):
        expected, got = (gpugrad.softmax(gpugrad.tensor(x).to(where), dim) for where in ("cpu", "cuda"))
        np.testing.assert_allclose(on_host(got), on_host(expected), rtol=1e-6)


def test_softmax_refuses_integers() -> None:
    with pytest.raises(NotImplementedError, match='"softmax" not implemented for'):
        gpugrad.softmax(gpugrad.ones(3, dtype=gpugrad.int64, device="cuda"), 0)


def test_second_derivatives_of_softmax() -> None:
    found = []
    for where in ("cpu", "cuda"):
        x = gpugrad.tensor(draw((3, 5))).to(where).requires_grad_()
        (g,) = gpugrad.autograd.grad((gpugrad.softmax(x, 1) ** 2).sum(), x, create_graph=True)
        (second,) = gpugrad.autograd.grad((g * g).sum(), x)
        found.append(on_host(second))
    np.testing.assert_allclose(found[1], found[0], **tolerance(np.float32))


# ---- norms ----


def layer_norm(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.layer_norm(x, tuple(x.shape[1:]), weight, bias)


def rms_norm(x: Any, weight: Any = None) -> Any:
    return F.rms_norm(x, tuple(x.shape[1:]), weight)


def drawn(cols: Any, dtype: Any = np.float32, rows: Any = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An input away from zero, a weight and a bias."""
    return draw((rows, cols), dtype) + np.asarray(3, dtype), draw(cols, dtype, 1), draw(cols, dtype, 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_norm(dtype: Any) -> None:
    for cols in SIZES if dtype == np.float32 else (1, 33, 1024):
        both(layer_norm, *drawn(cols, dtype), factor=64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rms_norm(dtype: Any) -> None:
    for cols in SIZES if dtype == np.float32 else (1, 33, 1024):
        both(rms_norm, *drawn(cols, dtype)[:2], factor=64)


@pytest.mark.parametrize("function", [layer_norm, rms_norm])
def test_norms_of_long_rows(function: Any) -> None:
    x, weight, bias = drawn(16400, rows=3)
    both(function, *((x, weight, bias) if function is layer_norm else (x, weight)), factor=256)


def test_norms_of_many_rows() -> None:
    """More than the blocks of a persistent grid take at once, and than one thread sums."""
    x, weight, bias = drawn(12, rows=6000)
    both(layer_norm, x, weight, bias, factor=512)
    both(rms_norm, x, weight, factor=512)


def test_norms_of_views_and_without_parameters() -> None:
    x, weight, bias = drawn(33, rows=7)
    for view, cols in ((lambda t: t[1:], 33), (lambda t: t[:, ::2], 17), (lambda t: t[0].expand(4, 33), 33)):
        both(layer_norm, x, weight[:cols], bias[:cols], views=view, factor=64)
        both(rms_norm, x, weight[:cols], views=view, factor=64)
    both(layer_norm, x, views=lambda t: t.t())
    both(lambda t, b: layer_norm(t, None, b), x, bias, factor=64)
    both(layer_norm, draw(33), views=lambda t: t.reshape(1, 33))
    both(lambda t: F.layer_norm(t, (33,)), draw(33))
    both(layer_norm, draw((4, 3, 5)), draw((3, 5), seed=1), draw((3, 5), seed=2), factor=64)
    for shape in [(0, 3), (3, 0)]:
        both(layer_norm, draw(shape), draw(shape[1:], seed=1), draw(shape[1:], seed=2))


def test_norms_of_half_precision_with_float32_parameters() -> None:
    x, weight, bias = drawn(40, np.float16)
    both(layer_norm, x, weight.astype(np.float32), bias.astype(np.float32), factor=16)


def batch_norm(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return F.batch_norm(x, None, None, weight, bias, training=True)


IMAGES = [(5, 3), (300, 33), (600, 2), (4, 3, 7, 7), (3, 5, 1, 2), (1, 4, 33), (2, 3, 3000), (70, 2, 64)]


@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_batch_norm(shape: Any) -> None:
    c = shape[1]
    both(batch_norm, draw(shape) * 2 + 3, draw(c, seed=1), draw(c, seed=2), factor=256)
    if c == 3:
        both(batch_norm, draw(shape), factor=256)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_batch_norm_of_other_types(dtype: Any) -> None:
    for shape in [(40, 5), (4, 3, 5, 5)]:
        both(batch_norm, draw(shape, dtype), draw(shape[1], dtype, 1), draw(shape[1], dtype, 2), factor=64)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_moves_its_statistics(training: bool) -> None:
    found = []
    for where in ("cpu", "cuda"):
        norm = gpugrad.nn.BatchNorm2d(3).to(where).train(training)
        out = norm(gpugrad.tensor(draw((4, 3, 5, 5)) * 2 + 1).to(where))
        found.append([on_host(t) for t in (out, norm.running_mean, norm.running_var)])
    for expected, got in zip(*found):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 6, 4, 4), (2, 6, 33), (4, 6), (2, 6, 1, 3)], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(groups: int, shape: Any) -> None:
    x, weight, bias = draw(shape) + 1, draw(6, seed=1), draw(6, seed=2)
    # Over a group of one number the gradient is 0, the difference of terms that 1 / sqrt(eps) = 316 has multiplied
    scale = 1 / np.sqrt(x.reshape(shape[0], groups, -1).var(-1).min() + 1e-5)
    terms = scale * np.abs(draw(shape, seed=9)).max() * np.abs(weight).max()
    both(lambda *given: F.group_norm(given[0], groups, *given[1:]), x, weight, bias, factor=256, cancelled=terms)


@pytest.mark.parametrize("shape", [(3, 6, 4, 4), (1, 2, 70), (2, 3, 3000)], ids=str)
def test_instance_norm(shape: Any) -> None:
    c = shape[1]
    both(
        lambda x, weight, bias: F.instance_norm(x, weight=weight, bias=bias),
        *(draw(shape) + 1, draw(c, seed=1), draw(c, seed=2)),
        factor=256,
    )


@pytest.mark.parametrize("seed", range(10))
def test_norms_in_every_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    both(layer_norm, *drawn(33), factor=64)
    both(layer_norm, *drawn(1023, rows=3), factor=64)
    both(rms_norm, *drawn(1023, rows=3)[:2], factor=64)
    both(batch_norm, draw((300, 3)), draw(3, seed=1), draw(3, seed=2), factor=256)
    both(batch_norm, draw((2, 3, 70)), draw(3, seed=1), draw(3, seed=2), factor=256)


def test_statistics_far_from_zero() -> None:
    """Where the mean square minus the squared mean would be all rounding."""
    for shape, function in [((4, 70), layer_norm), ((600, 3), batch_norm), ((3, 2, 70), batch_norm)]:
        x = (draw(shape) + 1e4).astype(np.float32)
        expected = function(gpugrad.tensor(x.astype(np.float64)))
        np.testing.assert_allclose(
            on_host(function(gpugrad.tensor(x).to("cuda"))), on_host(expected), atol=5e-3, err_msg=str(shape)
        )


def test_second_derivatives_of_norms() -> None:
    for function in (layer_norm, rms_norm, batch_norm):
        found = []
        for where in ("cpu", "cuda"):
            x = gpugrad.tensor(draw((4, 5))).to(where).requires_grad_()
            (g,) = gpugrad.autograd.grad((function(x) ** 3).sum(), x, create_graph=True)
            (second,) = gpugrad.autograd.grad((g * g).sum(), x)
            found.append(on_host(second))
        np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-3)


# ---- cross-entropy ----


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
