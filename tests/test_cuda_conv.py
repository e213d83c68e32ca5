"""Matrix products, convolution and pooling on the CUDA device: each kernel against the body of its op on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import need_captured_products, on_host

import gpugrad
import gpugrad.nn.functional as F
from gpugrad.ops import conv as conv_ops
from gpugrad.ops import pool as pool_ops
from gpugrad.ops.matmul import _matmul, linear, linear_grad_bias, linear_grad_input, linear_grad_weight

pytestmark = pytest.mark.cuda

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
OPS = {
    f.op.name
    for f in (
        *(conv_ops._conv, conv_ops._conv_input, conv_ops._conv_weight, conv_ops._unfold, conv_ops._fold),
        *(pool_ops._max_pool, pool_ops._adaptive_max_pool, pool_ops._scatter, pool_ops._gather, pool_ops._values),
        *(pool_ops._avg_pool, pool_ops._avg_unpool, pool_ops._adaptive_avg_pool, pool_ops._adaptive_avg_unpool),
        *(_matmul, linear, linear_grad_input, linear_grad_weight, linear_grad_bias),
    )
}


@pytest.fixture(autouse=True)
def kernels_only(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bodies of the ops under test do not run on the device."""
    from gpugrad.cuda import array, backend

    backend.require()
    run_body = array._run_body

    def refuse(op: Any, *rest: Any) -> Any:
        assert op.name not in OPS, f"{op.name} has run its body on the device"
        return run_body(op, *rest)

    monkeypatch.setattr(array, "_run_body", refuse)


def draw(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def both(
    function: Callable[..., Any], *inputs: np.ndarray, view: Any = None, units: float = 32, terms: float = 1
) -> None:
    """`function` and the gradients of its inputs, on the CPU and the device; `view` is applied to the first.

    `units` are those in the last place that results may differ by; `terms`: the size of sums that cancel.
    """
    found = []
    for where in ("cpu", "cuda"):
        leaves = [gpugrad.tensor(x).to(where).requires_grad_() for x in inputs]
        out = function(leaves[0] if view is None else view(leaves[0]), *leaves[1:])
        values = out if isinstance(out, tuple) else (out,)
        g = gpugrad.tensor(draw(*values[0].shape, seed=9)).to(where, values[0].dtype)
        values[0].backward(g)
        assert {v.device.type for v in values} == {where}
        found.append([on_host(t) for t in (*values, *(leaf.grad for leaf in leaves))])
    dtype = inputs[0].dtype
    unit = float(ml_dtypes.finfo(dtype).eps) * units
    for k, (expected, got) in enumerate(zip(*found, strict=True)):
        assert got.shape == expected.shape and got.dtype == expected.dtype
        if got.dtype.kind == "i":
            np.testing.assert_array_equal(got, expected, err_msg=f"output {k}")
            continue
        expected, got = expected.astype(np.float64), got.astype(np.float64)
        scale = terms * max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0)))
        np.testing.assert_allclose(got, expected, rtol=unit, atol=unit * scale, err_msg=f"output {k}")


# ---- matrix products ----

SHAPES = [
    ((1, 1), (1, 1)),
    ((31, 33), (33, 32)),
    ((5, 1023), (1023, 2)),
    ((2, 3, 4), (2, 4, 5)),
    ((3, 1, 2, 4), (5, 4, 3)),
    ((4,), (4, 3)),
    ((2, 3), (3,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((0, 2, 3), (3, 4)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_products(a: Any, b: Any) -> None:
    both(gpugrad.matmul, draw(*a), draw(*b, seed=1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_each_dtype(dtype: Any) -> None:
    both(gpugrad.matmul, draw(6, 17, dtype=dtype), draw(17, 5, dtype=dtype, seed=1))
    both(gpugrad.matmul, draw(2, 6, 7, dtype=dtype), draw(7, 5, dtype=dtype, seed=1))


@pytest.mark.parametrize(
    "view",
    [lambda t: t.T, lambda t: t[1:, 2:], lambda t: t[::2], lambda t: t.flip(0)],
    ids=["T", "part", "step", "flip"],
)
def test_products_of_views(view: Any) -> None:
    x = draw(9, 9)
    columns = view(gpugrad.tensor(x)).shape[1]
    both(gpugrad.matmul, x, draw(columns, 4, seed=1), view=view)
    both(F.linear, x, draw(4, columns, seed=1), draw(4, seed=2), view=view)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lead", [(7,), (2, 3), (), (0,)], ids=str)
def test_linear(lead: tuple[int, ...], dtype: Any) -> None:
    x, weight, bias = draw(*lead, 33, dtype=dtype), draw(5, 33, dtype=dtype, seed=1), draw(5, dtype=dtype, seed=2)
    both(F.linear, x, weight, bias)
    both(F.linear, x, weight)


def test_products_of_what_does_not_fit() -> None:
    a, b = gpugrad.ones(2, 3, device="cuda"), gpugrad.ones(4, 5, device="cuda")
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        a @ b
    with pytest.raises(RuntimeError, match="to have the same dtype"):
        a @ b[:3].double() if b.shape[0] == 3 else a @ gpugrad.ones(3, 2, device="cuda").double()


# ---- convolution ----

CONVOLUTIONS = {
    "plain": ((2, 3, 7, 8), (4, 3, 3, 3), {}),
    "strides": ((2, 3, 9, 8), (4, 3, 3, 2), {"stride": (2, 3), "padding": (1, 2)}),
    "dilation": ((1, 2, 11, 9), (3, 2, 3, 3), {"dilation": (3, 2), "padding": 2}),
    "groups": ((3, 4, 6, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    "depthwise": ((2, 5, 6, 6), (10, 1, 3, 3), {"groups": 5, "stride": 2}),
    "depthwise, one pixel": ((2, 5, 4, 3), (5, 1, 1, 1), {"groups": 5}),
    "depthwise, dilated": (
        (3, 2, 9, 8),
        (6, 1, 3, 2),
        {"groups": 2, "dilation": (2, 3), "padding": 2, "stride": (1, 2)},
    ),
    "one pixel": ((3, 5, 4, 6), (7, 5, 1, 1), {}),
    "one pixel, groups": ((2, 4, 3, 3), (6, 2, 1, 1), {"groups": 2}),
    "one pixel, strides": ((2, 4, 5, 5), (3, 4, 1, 1), {"stride": 2}),
    "same": ((2, 3, 5, 6), (2, 3, 2, 4), {"padding": "same"}),
    "one image": ((1, 2, 33, 31), (2, 2, 5, 5), {"padding": 2}),
    "no image": ((0, 2, 5, 5), (3, 2, 3, 3), {}),
    "steps over pixels": ((2, 2, 8, 8), (2, 2, 2, 2), {"stride": 3}),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv2d(case: str) -> None:
    x, weight, params = CONVOLUTIONS[case]
    both(partial(F.conv2d, **params), draw(*x), draw(*weight, seed=1), draw(weight[0], seed=2), terms=4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ["plain", "groups", "depthwise", "one pixel"])
def test_conv2d_of_each_dtype(case: str, dtype: Any) -> None:
    x, weight, params = CONVOLUTIONS[case]
    arrays = draw(*x, dtype=dtype), draw(*weight, dtype=dtype, seed=1), draw(weight[0], dtype=dtype, seed=2)
    both(partial(F.conv2d, **params), *arrays, terms=4, units=4 if np.dtype(dtype).itemsize == 2 else 32)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1023, 4097])
def test_conv1d(size: int) -> None:
    both(partial(F.conv1d, padding=1), draw(2, 3, size), draw(4, 3, 3, seed=1), draw(4, seed=2), terms=4)


def test_conv3d() -> None:
    arrays = draw(2, 2, 4, 5, 6), draw(3, 2, 2, 3, 2, seed=1), draw(3, seed=2)
    both(partial(F.conv3d, stride=(1, 2, 1), padding=(1, 0, 1)), *arrays, terms=4)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_conv_transpose(dims: int) -> None:
    params = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    arrays = draw(2, 4, *(4, 5, 3)[:dims]), draw(4, 3, *(3, 2, 3)[:dims], seed=1), draw(6, seed=2)
    both(partial(getattr(F, f"conv_transpose{dims}d"), **params), *arrays, terms=4)


@pytest.mark.parametrize(
    "view",
    [lambda t: t[1:], lambda t: t.transpose(2, 3), lambda t: t[..., 1:-1], lambda t: t[:1].expand(3, -1, -1, -1)],
    ids=["misaligned", "transposed", "part", "expanded"],
)
def test_conv2d_of_views(view: Any) -> None:
    both(partial(F.conv2d, padding=1), draw(3, 3, 5, 7), draw(4, 3, 3, 3, seed=1), draw(4, seed=2), view=view, terms=4)
    both(partial(F.max_pool2d, kernel_size=2), draw(3, 3, 5, 7), view=view)


def test_conv2d_some_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import conv

    for size in (1, 2 * 4 * 27 * 36):
        monkeypatch.setattr(conv, "_COLUMN_BYTES", size)
        for dtype in (np.float32, np.float16):
            arrays = draw(5, 3, 6, 6, dtype=dtype), draw(4, 3, 3, 3, dtype=dtype, seed=1)
            both(partial(F.conv2d, padding=1), *arrays, terms=4)


def test_second_derivatives_of_conv2d() -> None:
    found = []
    for where in ("cpu", "cuda"):
        x, w = (gpugrad.tensor(a).to(where).requires_grad_() for a in (draw(2, 2, 5, 5), draw(3, 2, 3, 3, seed=1)))
        out = (F.conv2d(x, w, stride=2, padding=1) ** 3).sum()
        gradients = gpugrad.autograd.grad(out, (x, w), create_graph=True)
        second = gpugrad.autograd.grad(sum((g * g).sum() for g in gradients), (x, w))
        found.append([on_host(s) for s in second])
    for got, expected in zip(found[1], found[0]):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_conv2d_of_what_does_not_fit() -> None:
    x, w = gpugrad.ones(1, 3, 4, 4, device="cuda"), gpugrad.ones(2, 3, 5, 5, device="cuda")
    with pytest.raises(RuntimeError, match="is larger than the input"):
        F.conv2d(x, w)
    with pytest.raises(RuntimeError, match="Given groups=1, weight of size"):
        F.conv2d(x[:, :2], w)
    with pytest.raises(RuntimeError, match="do not fit into"):
        F.unfold(x, 6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_unfold_and_fold(dtype: Any) -> None:
    window = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
    both(partial(F.unfold, **window), draw(2, 3, 7, 6, dtype=dtype))
    both(partial(F.fold, output_size=(7, 6), **window), draw(2, 12, 16, dtype=dtype))
    both(partial(F.unfold, kernel_size=2), draw(0, 3, 4, 4, dtype=dtype))


# ---- pooling ----

WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (3, 2), "stride": (1, 3), "padding": (1, 0), "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3},
]


@pytest.mark.parametrize("window", [*WINDOWS, {"kernel_size": 3, "dilation": 2, "padding": 2, "stride": 1}], ids=str)
def test_max_pool2d(window: Any) -> None:
    both(partial(F.max_pool2d, return_indices=True, **window), draw(2, 3, 8, 9))


@pytest.mark.parametrize(
    "window", [*WINDOWS, {"kernel_size": 3, "padding": 1, "count_include_pad": False, "ceil_mode": True}], ids=str
)
def test_avg_pool2d(window: Any) -> None:
    both(partial(F.avg_pool2d, **window), draw(2, 3, 8, 9))
    both(partial(F.avg_pool2d, divisor_override=5, **window), draw(2, 3, 8, 9))


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1023, 4097])
def test_pool1d(size: int) -> None:
    both(partial(F.max_pool1d, kernel_size=3, padding=1, stride=1), draw(2, 2, size))
    both(partial(F.avg_pool1d, kernel_size=3, padding=1, stride=2), draw(2, 2, size))
    both(partial(F.adaptive_avg_pool1d, output_size=1), draw(2, 2, size))


@pytest.mark.parametrize("dtype", DTYPES)
def test_pool_of_each_dtype(dtype: Any) -> None:
    x = draw(2, 3, 6, 7, dtype=dtype)
    both(partial(F.max_pool2d, kernel_size=3, stride=2, return_indices=True), x)
    both(partial(F.avg_pool2d, kernel_size=3, stride=2), x)
    both(partial(F.adaptive_avg_pool2d, output_size=(2, 3)), x)
    both(partial(F.adaptive_max_pool2d, output_size=(2, 3), return_indices=True), x)
    both(partial(F.avg_pool2d, kernel_size=6), draw(2, 3, 13, 12, dtype=dtype).astype(dtype), units=64)


def test_pool3d() -> None:
    x = draw(2, 2, 5, 6, 7)
    both(partial(F.max_pool3d, kernel_size=(2, 3, 2), stride=2, padding=1, return_indices=True), x)
    both(partial(F.avg_pool3d, kernel_size=(2, 3, 2), stride=2, padding=1, count_include_pad=False), x)
    both(partial(F.adaptive_avg_pool3d, output_size=(2, 4, 3)), x)


@pytest.mark.parametrize("output", [1, (3, 4), (10, 13), (8, 2)], ids=str)
def test_adaptive_pool2d(output: Any) -> None:
    both(partial(F.adaptive_avg_pool2d, output_size=output), draw(2, 3, 8, 11))
    both(partial(F.adaptive_max_pool2d, output_size=output, return_indices=True), draw(2, 3, 8, 11))


def test_pool_of_no_images() -> None:
    both(partial(F.max_pool2d, kernel_size=2, return_indices=True), draw(0, 3, 4, 4))
    both(partial(F.avg_pool2d, kernel_size=2), draw(0, 3, 4, 4))
    both(partial(F.adaptive_avg_pool2d, output_size=2), draw(0, 3, 4, 4))


def test_max_pool_of_ties_nan_and_infinities() -> None:
    inf, nan = np.inf, np.nan
    rows = [
        [1, 1, 0, 1, 1, 1],
        [nan, 2, nan, 5, 5, nan],
        [-inf, -inf, -inf, -inf, -inf, 0],
        [inf, nan, inf, inf, 0, inf],
    ]
    x = np.array(rows, np.float32)[:, None]
    for where in ("cpu", "cuda"):
        pooled = F.max_pool1d(gpugrad.tensor(x).to(where), 3, 1, 1, return_indices=True)
        bins = F.adaptive_max_pool1d(gpugrad.tensor(x).to(where), 4, return_indices=True)
        found = [on_host(t) for t in (*pooled, *bins)]
        if where == "cpu":
            expected = found
    for got, want in zip(found, expected):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_max_unpool2d(dtype: Any) -> None:
    _, indices = F.max_pool2d(gpugrad.tensor(draw(2, 3, 6, 8)), 2, return_indices=True)
    both(lambda x: F.max_unpool2d(x, indices.to(x.device), 2), draw(2, 3, 3, 4, dtype=dtype, seed=1))


def test_max_unpool_of_a_bad_index() -> None:
    x, indices = gpugrad.ones(1, 1, 2, device="cuda"), gpugrad.tensor([[[0, 4]]]).to("cuda")
    out = F.max_unpool1d(x, indices, 2)
    with pytest.raises(IndexError, match=r"max_unpool\(\): index 4 is out of bounds for a dimension of size 4"):
        out.cpu()
    assert on_host(F.max_unpool1d(x, indices - 1 + gpugrad.tensor([1, 0]).to("cuda"), 2)).tolist() == [[[1, 0, 0, 1]]]


def test_what_pooling_refuses() -> None:
    x = gpugrad.ones(1, 1, 2, 2, device="cuda")
    with pytest.raises(RuntimeError, match="pool: windows of"):
        F.max_pool2d(x, 3)
    with pytest.raises(RuntimeError, match="divisor_override must not be zero"):
        F.avg_pool2d(x, 2, divisor_override=0)


@pytest.mark.parametrize("seed", range(10))
def test_every_order_of_threads(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    both(partial(F.conv2d, padding=1, stride=2), draw(2, 3, 7, 6), draw(4, 3, 3, 3, seed=1), draw(4, seed=2), terms=4)
    both(partial(F.conv2d, groups=3), draw(3, 3, 12, 11), draw(3, 1, 3, 2, seed=1), terms=4)
    both(partial(F.max_pool2d, kernel_size=3, stride=2, return_indices=True), draw(2, 3, 7, 6))
    both(partial(F.adaptive_avg_pool2d, output_size=1), draw(2, 3, 9, 8))


def test_a_captured_step_of_a_convolutional_network() -> None:
    """The same losses as without the graph: nothing in the step asks the host."""
    need_captured_products()
    nn, found = gpugrad.nn, []
    x, y = gpugrad.tensor(draw(5, 1, 12, 12)).cuda(), gpugrad.tensor([0, 1, 2, 0, 1]).cuda()
    for captured in (False, True):
        gpugrad.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, groups=4)]
        net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)).cuda()
        optimizer = gpugrad.optim.SGD(net.parameters(), lr=0.1)

        def step(net: Any = net, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            return loss

        losses = [step().item() for _ in range(2)]
        if captured:
            graph = gpugrad.cuda.CUDAGraph()
            with gpugrad.cuda.graph(graph):
                loss = step()
        for _ in range(3):
            if captured:
                graph.replay()
            else:
                loss = step()
            losses.append(loss.item())
        found.append(losses)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
    assert found[0] == sorted(found[0], reverse=True)
