"""Matrix products on the device, by whatever computes them there (cuBLASLt, CuPy, the simulator's NumPy): values of float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import need_captured_products, on_host

import gpugrad
from gpugrad import nn

pytestmark = pytest.mark.cuda

UNITS = {name: float(ml_dtypes.finfo(name).eps) for name in ("float64", "float32", "float16", "bfloat16")}
SHAPES = [
    ((64, 33), (33, 17)),
    ((1, 257), (257, 1)),
    ((5, 64, 31), (5, 31, 9)),
    ((5, 64, 31), (31, 9)),
    ((2, 1, 8, 16), (3, 16, 24)),
    ((0, 4), (4, 3)),
    ((3, 0), (0, 2)),
    ((4096,), (4096,)),
    ((7, 128), (128,)),
]
VIEWS: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda x: x,
    "transposed": lambda x: x.mT.contiguous().mT,
    "inside": lambda x: nn.functional.pad(x, (1, 2))[..., 1:-2],
    "every other": lambda x: gpugrad.repeat_interleave(x, 2, -1)[..., ::2],
    "repeated": lambda x: x[:1].expand_as(x),
}


@pytest.fixture(autouse=True)
def all_bits(device: str) -> Iterator[None]:
    yield
    gpugrad.set_float32_matmul_precision("highest")


def draw(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    """On the device, of that dtype."""
    return gpugrad.tensor(np.random.default_rng(seed).normal(size=shape)).to("cuda", getattr(gpugrad, dtype))


def exactly(x: Any) -> np.ndarray:
    return on_host(x.double())


def assert_near(found: Any, expected: np.ndarray, terms: int, unit: float) -> None:
    assert found.is_cuda and tuple(found.shape) == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(exactly(found), expected, rtol=4 * unit, atol=(4 + terms**0.5) * unit * scale)


@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_values_and_gradients(shapes: Any, dtype: str) -> None:
    a, b = (draw(shape, dtype, k).requires_grad_() for k, shape in enumerate(shapes))
    out = a @ b
    x, y = exactly(a.detach()), exactly(b.detach())
    assert out.dtype == getattr(gpugrad, dtype)
    assert_near(out, x @ y, x.shape[-1], UNITS[dtype])
    g = draw(tuple(out.shape), dtype, 2)
    out.backward(g)
    exact = [gpugrad.tensor(v, requires_grad=True) for v in (x, y)]
    (exact[0] @ exact[1]).backward(gpugrad.tensor(exactly(g)))
    for leaf, wanted in zip((a, b), exact):
        assert leaf.grad is not None and wanted.grad is not None
        assert_near(leaf.grad, wanted.grad.numpy(), 128, UNITS[dtype])


@pytest.mark.parametrize("second", VIEWS)
@pytest.mark.parametrize("first", VIEWS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_views_of_matrices(dtype: str, first: str, second: str) -> None:
    a, b = VIEWS[first](draw((3, 24, 16), dtype)), VIEWS[second](draw((3, 16, 40), dtype, 1))
    assert_near(a @ b, exactly(a) @ exactly(b), 16, UNITS[dtype])


@pytest.mark.parametrize("dtype", UNITS)
def test_layers_with_a_bias(dtype: str) -> None:
    layer = nn.Linear(33, 20).to("cuda", getattr(gpugrad, dtype))
    x = draw((9, 33), dtype).requires_grad_()
    layer(x).backward(draw((9, 20), dtype, 1))
    exact = nn.Linear(33, 20, dtype=gpugrad.float64)
    exact.load_state_dict({name: gpugrad.tensor(exactly(p.detach())) for name, p in layer.named_parameters()})
    wanted = gpugrad.tensor(exactly(x.detach()), requires_grad=True)
    out = exact(wanted)
    out.backward(gpugrad.tensor(exactly(draw((9, 20), dtype, 1))))
    assert_near(layer(x), out.detach().numpy(), 33, UNITS[dtype])
    for found, leaf in zip((x, *layer.parameters()), (wanted, *exact.parameters())):
        assert found.grad is not None and leaf.grad is not None
        assert_near(found.grad, leaf.grad.numpy(), 33, UNITS[dtype])


def test_fewer_bits_where_they_are_allowed() -> None:
    a, b = draw((128, 256), "float32"), draw((256, 64), "float32", 1)
    exact = exactly(a) @ exactly(b)
    assert_near(a @ b, exact, 256, UNITS["float32"])
    gpugrad.set_float32_matmul_precision("high")
    assert_near(a @ b, exact, 256, 2.0**-11)  # TF32 keeps 10 bits behind the point


def test_a_captured_product_follows_its_inputs() -> None:
    need_captured_products()
    a, b = draw((16, 24), "float32"), draw((24, 8), "float32", 1)
    _ = a @ b
    graph = gpugrad.cuda.CUDAGraph()
    with gpugrad.cuda.graph(graph):
        out = a @ b
    a.mul_(3)
    graph.replay()
    assert_near(out, exactly(a) @ exactly(b), 24, UNITS["float32"])
