"""What `gpugrad.bench.device` times: work of each family of kernels, written once for gpugrad and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Work = Callable[[], Any]  # launches the work to be timed; returns a tensor of results
TILE = 2**20  # random numbers drawn; more are these again
TOLERANCES = {
    "float64": 1e-12,
    "float32": 2e-5,
    "tf32": 5e-3,
    "float16": 5e-3,
    "bfloat16": 4e-2,
}  # of the largest value


class Place:
    """A library on a device, and inputs there: the same numbers wherever they are asked for in the same order.

    `exact` makes them float64, of the values that they have in their own dtype.
    """

    def __init__(self, torch: Any, device: str, exact: bool = False) -> None:
        self.torch, self.device, self.exact = torch, device, exact
        self._drawn = 0

    def random(self, *shape: int, dtype: str = "float32", requires_grad: bool = False) -> Any:
        """Standard normal numbers."""
        self._drawn += 1
        count = int(np.prod(shape))
        tile = np.random.default_rng(self._drawn).standard_normal(min(count, TILE), dtype=np.float32)
        x = self.torch.from_numpy(tile).to(self.device)
        if count > TILE:
            x = x.repeat(-(-count // TILE))[:count]
        x = x.reshape(shape).to(getattr(self.torch, dtype))
        return (x.double() if self.exact else x).requires_grad_(requires_grad)

    def integers(self, below: int, count: int) -> Any:
        """int64 numbers from 0 to below `below`."""
        return (self.torch.arange(count) * 7919 % below).to(self.device)

    def module(self, made: Any) -> Any:
        """A layer with its parameters here."""
        return made.to(self.device, self.torch.float64 if self.exact else self.torch.float32)


@dataclass(frozen=True)
class Case:
    """`build(place, n)` makes the work on about n elements; it moves `arrays` times their bytes and does `flops(n)`.

    `family` is the launcher's in `gpugrad/cuda/`. `dtype` says how exact the result is to be.
    """

    family: str
    name: str
    arrays: float
    build: Callable[[Place, int], Work]
    flops: Callable[[int], float] | None = None
    dtype: str = "float32"

    def build_for(self, place: Place, n: int) -> Work:
        """The work, with products of float32 computed as the case says."""
        place.torch.set_float32_matmul_precision("high" if self.dtype == "tf32" else "highest")
        return self.build(place, n)


def _elementwise(
    function: Callable[..., Any], inputs: int, dtype: str = "float32", shift: float = 0
) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        xs = [place.random(n, dtype=dtype) + shift for _ in range(inputs)]
        return lambda: function(place.torch, *xs)

    return build


def _rows(function: Callable[..., Any], cols: int, backward: bool = False) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        x = place.random(max(1, n // cols), cols, requires_grad=backward)
        weight = place.random(cols)
        if not backward:
            return lambda: function(place.torch, x, weight)
        return _gradient(function(place.torch, x, weight), x, place)

    return build


def _gradient(y: Any, x: Any, place: Place) -> Work:
    g = place.random(*y.shape)

    def step() -> Any:
        x.grad = None
        y.backward(g, retain_graph=True)
        return x.grad

    return step


def _bias(place: Place, n: int) -> Work:
    x, b = place.random(max(1, n // 1024), 1024), place.random(1024)
    return lambda: x + b


def _cross_entropy(place: Place, n: int) -> Work:
    x = place.random(max(1, n // 8192), 8192, requires_grad=True)
    target = place.integers(8192, x.shape[0])

    def step() -> Any:
        x.grad = None
        place.torch.nn.functional.cross_entropy(x, target).backward()
        return x.grad

    return step


def _embedding(place: Place, n: int) -> Work:
    table, index = place.random(10000, 256), place.integers(10000, max(1, n // 256))
    return lambda: place.torch.nn.functional.embedding(index, table)


def _embedding_backward(place: Place, n: int) -> Work:
    table, index = place.random(10000, 256, requires_grad=True), place.integers(10000, max(1, n // 256))
    return _gradient(place.torch.nn.functional.embedding(index, table), table, place)


def _optimizer(name: str) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        p = place.torch.nn.Parameter(place.random(n))
        p.grad = place.random(n)
        optimizer = getattr(place.torch.optim, name)([p], lr=1e-3)

        def step() -> Any:
            optimizer.step()
            return p

        return step

    return build


def _side(n: int) -> int:
    return max(8, int((n / 4) ** 0.5) // 8 * 8)


def _matmul(dtype: str, transposed: bool = False) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        side = _side(n)
        x, y = (place.random(side, side, dtype=dtype) for _ in range(2))
        return lambda: x @ (y.mT if transposed else y)

    return build


def _batched(place: Place, n: int) -> Work:
    side = max(8, _side(n) // 8)
    x, y = (place.random(64, side, side, dtype="bfloat16") for _ in range(2))
    return lambda: x @ y.mT


def _product(name: str, dtype: str, build: Callable[[Place, int], Work]) -> Case:
    return Case("gemm", name, 0, build, lambda n: 2.0 * _side(n) ** 3, dtype)


def _images(layer: Callable[[Any], Any], backward: bool = False) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        place.torch.manual_seed(0)
        made = place.module(layer(place.torch.nn))
        x = place.random(max(1, n // 2**15), 32, 32, 32, requires_grad=backward)
        return _gradient(made(x), x, place) if backward else lambda: made(x)

    return build


def _conv(nn: Any) -> Any:
    return nn.Conv2d(32, 64, 3, padding=1)


CASES = (
    Case("elementwise", "add", 3, _elementwise(lambda torch, x, y: x + y, 2)),
    Case("elementwise", "gelu", 2, _elementwise(lambda torch, x: torch.nn.functional.gelu(x), 1)),
    Case("elementwise", "gelu, bfloat16", 2, _elementwise(lambda torch, x: torch.nn.functional.gelu(x), 1, "bfloat16"), dtype="bfloat16"),
    Case("elementwise", "x * y + z", 4, _elementwise(lambda torch, x, y, z: torch.addcmul(z, x, y), 3)),
    Case("elementwise", "bias add, 1024 columns", 2, _bias),
    Case("copy", "transposed copy", 2, _rows(lambda torch, x, _: x.t().contiguous(), 1000)),
    Case("copy", "cat of two", 4, _elementwise(lambda torch, x, y: torch.cat((x, y)), 2)),
    Case("reduce", "sum", 1, _elementwise(lambda torch, x: x.sum(), 1, shift=1)),  # of what does not cancel
    Case("reduce", "sum of rows of 1024", 1, _rows(lambda torch, x, _: x.sum(1), 1024)),
    Case("reduce", "sum of columns, 1024", 1, _rows(lambda torch, x, _: x.sum(0), 1024)),
    Case("reduce", "largest of rows of 1024", 1, _rows(lambda torch, x, _: x.amax(1), 1024)),
    Case("scan", "cumsum of rows of 1024", 2, _rows(lambda torch, x, _: x.cumsum(1), 1024)),
    *(Case("rows", f"softmax, rows of {c}", 2, _rows(lambda torch, x, _: torch.softmax(x, 1), c)) for c in (33, 1024, 8192)),
    Case("rows", "log_softmax, rows of 1024", 2, _rows(lambda torch, x, _: torch.log_softmax(x, 1), 1024)),
    Case("rows", "softmax backward, rows of 1024", 3, _rows(lambda torch, x, _: torch.softmax(x, 1), 1024, backward=True)),
    *(Case("rows", f"layer norm, rows of {c}", 2, _rows(lambda torch, x, w: torch.nn.functional.layer_norm(x, w.shape, w), c)) for c in (768, 4096)),
    Case("rows", "layer norm backward, rows of 768", 3, _rows(lambda torch, x, w: torch.nn.functional.layer_norm(x, w.shape, w), 768, backward=True)),
    Case("rows", "rms norm, rows of 4096", 2, _rows(lambda torch, x, w: torch.nn.functional.rms_norm(x, w.shape, w), 4096)),
    Case("rows", "cross-entropy with gradient, 8192 classes", 2, _cross_entropy),
    Case("index", "embedding, rows of 256", 2, _embedding),
    Case("index", "embedding backward, rows of 256", 1, _embedding_backward),
    Case("sort", "sort of rows of 1024", 2, _rows(lambda torch, x, _: torch.sort(x, 1)[0], 1024)),
    Case("optim", "SGD", 3, _optimizer("SGD")),
    Case("optim", "AdamW", 7, _optimizer("AdamW")),
    _product("matmul, float32", "float32", _matmul("float32")),
    _product("matmul, TF32", "tf32", _matmul("float32")),
    _product("matmul, float64", "float64", _matmul("float64")),
    _product("matmul, float16", "float16", _matmul("float16")),
    _product("matmul, bfloat16", "bfloat16", _matmul("bfloat16")),
    _product("matmul, bfloat16, transposed", "bfloat16", _matmul("bfloat16", transposed=True)),
    Case("gemm", "matmul, bfloat16, 64 transposed", 0, _batched, lambda n: 128.0 * max(8, _side(n) // 8) ** 3, "bfloat16"),
    Case("conv", "conv2d 3x3, 32 to 64 channels", 0, _images(_conv), lambda n: 1152.0 * n),
    Case("conv", "conv2d backward, to the input", 0, _images(_conv, backward=True)),
    Case("conv", "max pooling 2x2", 1.25, _images(lambda nn: nn.MaxPool2d(2))),
    Case("rows", "batch norm, training", 2, _images(lambda nn: nn.BatchNorm2d(32))),
)  # fmt: skip
