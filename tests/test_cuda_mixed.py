"""Tensors of two devices in one call: an error that names both, but for 0-d CPU tensors and for copies, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import gpugrad
from gpugrad import nn
from gpugrad.cuda import backend
from gpugrad.nn import functional as F

pytestmark = pytest.mark.cuda


def here(*shape: int) -> Any:
    return gpugrad.ones(*shape)


def there(*shape: int) -> Any:
    return gpugrad.ones(*shape, device="cuda")


def places(device: str = "cpu") -> Any:
    return gpugrad.tensor([0, 1], device=device)


MIXED: dict[str, Callable[[], Any]] = {
    "formula": lambda: here(3) + there(3),
    "formula in place": lambda: there(3).mul_(here(3)),
    "formula in place, on the CPU": lambda: here(3).mul_(gpugrad.tensor(2.0, device="cuda")),
    "choice": lambda: gpugrad.where(there(3) > 0, here(3), there(3)),
    "mask": lambda: there(3).masked_fill(here(3) > 0, 0.0),
    "comparison": lambda: gpugrad.equal(here(3), there(3)),
    "product": lambda: there(2, 3) @ here(3, 2),
    "einsum": lambda: gpugrad.einsum("ij,kj->ik", here(2, 3), there(2, 3)),
    "cat": lambda: gpugrad.cat([here(3), there(3)]),
    "stack": lambda: gpugrad.stack([there(3), here(3)]),
    "linear": lambda: nn.Linear(3, 2)(there(1, 3)),
    "convolution": lambda: nn.Conv1d(1, 1, 1)(there(1, 1, 3)),
    "normalization": lambda: nn.LayerNorm(3)(there(2, 3)),
    "batch norm": lambda: nn.BatchNorm1d(3)(there(2, 3)),
    "lstm": lambda: nn.LSTM(3, 3)(there(1, 1, 3)),
    "attention": lambda: F.scaled_dot_product_attention(here(1, 2, 3), there(1, 2, 3), there(1, 2, 3)),
    "embedding": lambda: F.embedding(places(), there(3, 2)),
    "cross-entropy": lambda: F.cross_entropy(there(2, 3), places()),
    "mse_loss": lambda: F.mse_loss(there(3), here(3)),
    "gather": lambda: there(3).gather(0, places()),
    "scatter": lambda: there(3).scatter(0, places("cuda"), here(2)),
    "index_add": lambda: there(3).index_add(0, places("cuda"), here(2)),
    "CPU tensor by a CUDA index": lambda: here(3)[places("cuda")],
    "assignment by an index": lambda: there(3).__setitem__(places("cuda"), here(2)),
    "assignment by an index, recorded": lambda: (there(3).requires_grad_() * 1).__setitem__(places("cuda"), here(2)),
    "out": lambda: gpugrad.add(here(3), here(3), out=there(3)),
    "out that may grow": lambda: gpugrad.add(here(3), here(3), out=there(0)),
    "out of cat": lambda: gpugrad.cat([here(3), here(3)], out=there(6)),
    "out of two": lambda: gpugrad.max(here(3, 2), 0, out=(there(2), places("cuda"))),
    "normal": lambda: gpugrad.normal(here(3), there(3)),
}


@pytest.mark.parametrize("name", MIXED)
def test_devices_do_not_mix(name: str, device: str) -> None:
    with pytest.raises(RuntimeError, match=r"at least two devices, (cpu and cuda:0|cuda:0 and cpu)!"):
        MIXED[name]()


def test_a_0d_cpu_tensor_goes_anywhere(device: str) -> None:
    x, half = there(3), gpugrad.tensor(0.5)
    results = [
        x * half,
        half**x,
        x.clamp(max=half),
        x > half,
        gpugrad.where(x > 2, x, half),
        x.masked_fill(x > 0, half),
    ]
    assert all(r.is_cuda for r in results)
    x[places("cuda")] = half
    x[2] = gpugrad.tensor(3.0)
    assert x.tolist() == [0.5, 0.5, 3.0]
    assert x.fill_(half).tolist() == [0.5] * 3


def test_a_0d_cpu_tensor_is_baked_into_a_capture(device: str) -> None:
    """Its value then: a replay sees no other, as in PyTorch. Nothing is copied to the device for it, there or elsewhere."""
    x, half, three = there(3), gpugrad.tensor(0.5), gpugrad.tensor(3.0)
    graph = gpugrad.cuda.CUDAGraph()

    def work() -> list[Any]:
        out = x.clone()
        out[2] = three
        out[places] = half
        filled = x.clone().mul_(half).fill_(half)
        weighted = (x * half).requires_grad_()
        (grad,) = gpugrad.autograd.grad((weighted * three).sum(), weighted, half)
        return [x * half, half - x, x.clamp(max=half), gpugrad.where(x > half, x, half), x.masked_fill(x > 0, half), out,
                filled, grad]  # fmt: skip

    places = gpugrad.tensor([0], device=device)
    work()
    counters = backend.cupy().counters if backend.simulated() else None
    if counters:
        counters.reset()
    with gpugrad.cuda.graph(graph):
        made = work()
    if counters:
        assert (counters.host_to_device, counters.device_to_host) == (0, 0)
    x.fill_(2.0)
    half.fill_(7.0)
    graph.replay()
    expected = [[1.0] * 3, [-1.5] * 3, [0.5] * 3, [2.0] * 3, [0.5] * 3, [0.5, 2.0, 3.0], [0.5] * 3, [1.5] * 3]
    assert [t.tolist() for t in made] == expected


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(2**60 + 1, "int64"), (-0.0, "float32"), (float("inf"), "float16"), (1e-300, "float64"), (True, "bool"),
     (1.0 / 3, "bfloat16"), (200, "uint8")],
)  # fmt: skip
def test_a_0d_cpu_tensor_keeps_every_bit(device: str, value: Any, dtype: str) -> None:
    here = gpugrad.tensor(value, dtype=getattr(gpugrad, dtype))
    found = gpugrad.where(gpugrad.ones(1, dtype=gpugrad.bool, device=device), here, gpugrad.zeros_like(here).cuda())
    assert found.is_cuda and found.dtype is here.dtype
    assert found.cpu().numpy().tobytes() == here.numpy().tobytes()


def test_an_assignment_copies_over(device: str) -> None:
    x, w = there(2, 3), here(3).requires_grad_()
    x[0] = here(3) * 2
    x[1] = w * 3
    (x * 2).sum().backward()
    assert x.is_cuda and x.tolist() == [[2.0] * 3, [3.0] * 3]
    assert w.grad is not None and not w.grad.is_cuda and w.grad.tolist() == [6.0] * 3
    y = here(3)
    y[1:] = there(2) * 5
    assert not y.is_cuda and y.tolist() == [1.0, 5.0, 5.0]


def test_factories_write_where_out_is(device: str) -> None:
    out = there(3)
    for make in (gpugrad.zeros, gpugrad.arange, gpugrad.rand):
        assert make(3, out=out) is out and out.is_cuda
    assert gpugrad.linspace(0, 1, 3, out=out).tolist() == [0.0, 0.5, 1.0]


def test_gradients_stay_where_their_tensors_are(device: str) -> None:
    x = there(3).requires_grad_()
    with pytest.raises(RuntimeError, match="expected device cuda:0 but got cpu"):
        (x * 2).backward(here(3))
    with pytest.raises(RuntimeError, match="different device: cpu"):
        x.grad = here(3)
    y = x * 2
    y.register_hook(lambda g: g.cpu())
    with pytest.raises(RuntimeError, match="changed the device of value: from cuda:0 to cpu"):
        y.sum().backward()
    assert x.grad is None
    y = x.sum()
    y.backward(gpugrad.tensor(2.0))
    assert x.grad is not None and x.grad.is_cuda and x.grad.tolist() == [2.0] * 3


def test_a_function_gives_gradients_where_its_inputs_are(device: str) -> None:
    class Wrong(gpugrad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.cpu()

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads[0]

    x = there(3).requires_grad_()
    with pytest.raises(RuntimeError, match=r"Wrong.backward returned a gradient on cpu"):
        Wrong.apply(x).sum().backward()
    assert x.grad is None
