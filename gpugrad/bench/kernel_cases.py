"""What `gpugrad.bench.device` times: work of each family of kernels, written once for gpugrad and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Work = Callable[[], Any]  # launches the work to be timed; returns a tensor of results, or several
BYTES = 2**28  # of a case's main input, unless it has a size of its own
TILE = 2**20 - 3  # random numbers drawn; more are these again, and no row divides them
ITEM = {"float64": 8, "float16": 2, "bfloat16": 2}  # bytes of an element; 4 for others
TOLERANCES = {
    "float64": 1e-12,
    "float32": 2e-5,
    "tf32": 5e-3,
    "float16": 5e-3,
    "bfloat16": 4e-2,
    "drawn": 5e-2,
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

    `family` is the launcher's in `gpugrad/cuda/`. `dtype` says how exact the result is to be. `elements` is the size to
    time it at, if not BYTES. `outcome` makes comparable values of results that are drawn at random. `check(work)` is how
    far the work's results are from float64 at the very size that is timed, `path(work)` names what computes them.
    """

    family: str
    name: str
    arrays: float
    build: Callable[[Place, int], Work]
    flops: Callable[[int], float] | None = None
    dtype: str = "float32"
    elements: int | None = None
    outcome: Callable[[np.ndarray], np.ndarray] | None = None
    check: Callable[[Any], float] | None = None
    path: Callable[[Any], str] | None = None

    def size(self, small: bool) -> int:
        """Elements to time it at; `small`: few, to see that it runs."""
        return 2**12 if small else self.elements or BYTES // ITEM.get(self.dtype, 4)

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
        return _gradients(function(place.torch, x, weight), place, x)

    return build


def _norm_backward(function: Callable[..., Any], cols: int, parameters: int) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        x = place.random(max(1, n // cols), cols, requires_grad=True)
        given = [place.random(cols, requires_grad=True) for _ in range(parameters)]
        return _gradients(function(place.torch.nn.functional, x, *given), place, x, *given)

    return build


def _gradients(y: Any, place: Place, *sources: Any) -> Work:
    g = place.random(*y.shape)

    def step() -> Any:
        for source in sources:
            source.grad = None
        y.backward(g, retain_graph=True)
        return tuple(source.grad for source in sources)

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


def _embedding_backward(rows: int, width: int, dtype: str = "float32") -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        table = place.random(rows, width, dtype=dtype).requires_grad_()
        y = place.torch.nn.functional.embedding(place.integers(rows, max(1, n // width)), table)
        g = place.random(*y.shape, dtype=dtype)
        return lambda: place.torch.autograd.grad(y, table, g, retain_graph=True)

    return build


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


def _images(layer: Callable[[Any], Any], backward: bool = False) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        place.torch.manual_seed(0)
        made = place.module(layer(place.torch.nn))
        x = place.random(max(1, n // 2**15), 32, 32, 32, requires_grad=backward)
        return _gradients(made(x), place, x) if backward else lambda: made(x)

    return build


def _resized(shrink: bool, **how: Any) -> Callable[[Place, int], Work]:
    """Images of 64x64 from or to ones of 32x32; n counts the elements of the larger."""

    def build(place: Place, n: int) -> Work:
        side = 64 if shrink else 32
        x = place.random(max(1, n // 2**17), 32, side, side)
        return lambda: place.torch.nn.functional.interpolate(x, scale_factor=0.5 if shrink else 2.0, **how)

    return build


def _recurrent(name: str, backward: bool = False) -> Callable[[Place, int], Work]:
    """Sequences of 64 steps of 256 numbers, the state as wide."""

    def build(place: Place, n: int) -> Work:
        place.torch.manual_seed(0)
        layer = place.module(getattr(place.torch.nn, name)(256, 256, batch_first=True))
        x = place.random(max(1, n // 2**14), 64, 256, requires_grad=backward)
        return _gradients(layer(x)[0], place, x) if backward else lambda: layer(x)[0]

    return build


def _formula(place: Place, n: int) -> Work:
    def own_gelu(x: Any) -> Any:
        return 0.5 * x * (1 + place.torch.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))

    function = getattr(place.torch, "elementwise", lambda formula: formula)(own_gelu)
    x = place.random(n)
    return lambda: function(x)


def _formula_backward(function: Callable[..., Any]) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        x = place.random(n, requires_grad=True)
        return _gradients(function(place.torch, x), place, x)

    return build


def _drawn(fill: Callable[[Any, Any], Any]) -> Callable[[Place, int], Work]:
    def build(place: Place, n: int) -> Work:
        place.torch.manual_seed(0)
        x = place.random(n) * 0 + 1
        return lambda: fill(place.torch, x)

    return build


def _dropout_backward(place: Place, n: int) -> Work:
    place.torch.manual_seed(0)
    x = place.random(n, requires_grad=True)
    y = place.torch.nn.functional.dropout(x, 0.25)
    g = place.torch.ones_like(y)
    return lambda: place.torch.autograd.grad(y, x, g, retain_graph=True)


def _moments(x: np.ndarray) -> np.ndarray:
    """What drawn numbers have in common: mean, spread, nothing from one to the next, and how many are zero."""
    centred = x - x.mean()
    return np.array([x.mean(), x.std(), (centred[1:] * centred[:-1]).mean(), (x == 0).mean()])


def _clipped(place: Place, n: int) -> Work:
    p = place.torch.nn.Parameter(place.random(n))
    p.grad = place.random(n)

    def step() -> Any:
        place.torch.nn.utils.clip_grad_norm_([p], 1.0)
        return p.grad

    return step


def _counted(place: Place, n: int) -> Work:
    index = place.integers(1000, n)
    return lambda: place.torch.bincount(index, minlength=1000)


def _selected(place: Place, n: int) -> Work:
    x = place.random(n)
    mask = x > 0
    return lambda: place.torch.masked_select(x, mask)


def _conv(nn: Any) -> Any:
    return nn.Conv2d(32, 64, 3, padding=1)


KERNELS = (  # what is looked at most
    *(Case("rows", f"softmax, rows of {c}", 2, _rows(lambda torch, x, _: torch.softmax(x, 1), c)) for c in (33, 1024, 8192)),
    Case("rows", "log_softmax, rows of 1024", 2, _rows(lambda torch, x, _: torch.log_softmax(x, 1), 1024)),
    *(Case("rows", f"layer norm, rows of {c}", 2, _rows(lambda torch, x, w: torch.nn.functional.layer_norm(x, w.shape, w), c)) for c in (768, 4096)),
    Case("rows", "layer norm backward, rows of 768", 3, _norm_backward(lambda F, x, w, b: F.layer_norm(x, w.shape, w, b), 768, 2)),
    Case("rows", "layer norm backward, rows of 4096", 3, _norm_backward(lambda F, x, w, b: F.layer_norm(x, w.shape, w, b), 4096, 2)),
    Case("rows", "rms norm backward, rows of 4096", 3, _norm_backward(lambda F, x, w: F.rms_norm(x, w.shape, w), 4096, 1)),
    Case("rows", "rms norm, rows of 4096", 2, _rows(lambda torch, x, w: torch.nn.functional.rms_norm(x, w.shape, w), 4096)),
    Case("rows", "cross-entropy with gradient, 8192 classes", 2, _cross_entropy),
    Case("elementwise", "gelu", 2, _elementwise(lambda torch, x: torch.nn.functional.gelu(x), 1)),
    Case("elementwise", "gelu, bfloat16", 2, _elementwise(lambda torch, x: torch.nn.functional.gelu(x), 1, "bfloat16"), dtype="bfloat16"),
    Case("elementwise", "gelu backward", 3, _formula_backward(lambda torch, x: torch.nn.functional.gelu(x))),
    Case("elementwise", "gelu as a formula of one's own", 2, _formula),
    Case("elementwise", "silu", 2, _elementwise(lambda torch, x: torch.nn.functional.silu(x), 1)),
    Case("elementwise", "exp", 2, _elementwise(lambda torch, x: torch.exp(x), 1)),
    Case("elementwise", "add", 3, _elementwise(lambda torch, x, y: x + y, 2)),
    Case("elementwise", "x * y + z", 4, _elementwise(lambda torch, x, y, z: torch.addcmul(z, x, y), 3)),
    Case("elementwise", "bias add, 1024 columns", 2, _bias),
    Case("optim", "AdamW", 7, _optimizer("AdamW")),
    Case("reduce", "sum", 1, _elementwise(lambda torch, x: x.sum(), 1, shift=1), elements=2**28),  # of what does not cancel
    Case("reduce", "sum of rows of 1024", 1, _rows(lambda torch, x, _: x.sum(1), 1024), elements=2**28),
    Case("reduce", "sum of columns, 1024", 1, _rows(lambda torch, x, _: x.sum(0), 1024), elements=2**28),
)  # fmt: skip
MORE_KERNELS = (
    Case("copy", "transposed copy", 2, _rows(lambda torch, x, _: x.t().contiguous(), 1000)),
    Case("copy", "cat of two", 4, _elementwise(lambda torch, x, y: torch.cat((x, y)), 2)),
    Case("reduce", "largest of rows of 1024", 1, _rows(lambda torch, x, _: x.amax(1), 1024)),
    Case("scan", "cumsum of rows of 1024", 2, _rows(lambda torch, x, _: x.cumsum(1), 1024)),
    Case("rows", "softmax backward, rows of 1024", 3, _rows(lambda torch, x, _: torch.softmax(x, 1), 1024, backward=True)),
    Case("index", "embedding, rows of 256", 2, _embedding),
    Case("embedding", "embedding backward, rows of 256", 1, _embedding_backward(10000, 256)),
    Case("embedding", "embedding backward, 65536 of 50257 rows of 1024", 1.77, _embedding_backward(50257, 1024)),
    Case("embedding", "embedding backward, 131072 of 50257 rows of 1024, bfloat16", 1.38, _embedding_backward(50257, 1024, "bfloat16"), dtype="bfloat16"),
    Case("sort", "sort of rows of 1024", 2, _rows(lambda torch, x, _: torch.sort(x, 1)[0], 1024)),
    Case("select", "masked select, half of them", 1.75, _selected),
    Case("topk", "the 8 largest of rows of 1024", 1, _rows(lambda torch, x, _: torch.topk(x, 8, 1)[0], 1024)),
    Case("histogram", "bincount, 1000 values", 2, _counted),
    Case("random", "uniform numbers", 1, _drawn(lambda torch, x: x.uniform_()), dtype="drawn", outcome=_moments),
    Case("random", "normal numbers", 1, _drawn(lambda torch, x: x.normal_()), dtype="drawn", outcome=_moments),
    Case("dropout", "dropout", 2, _drawn(lambda torch, x: torch.nn.functional.dropout(x, 0.25)), dtype="drawn", outcome=_moments),
    Case("dropout", "dropout backward", 2, _dropout_backward, dtype="drawn", outcome=_moments),
    Case("poisson", "Poisson numbers of rate 1", 2, _drawn(lambda torch, x: torch.poisson(x)), dtype="drawn", outcome=_moments),
    Case("recurrent", "LSTM, 64 steps of 256", 0, _recurrent("LSTM"), lambda n: 16.0 * 256 * n),
    Case("recurrent", "GRU, 64 steps of 256", 0, _recurrent("GRU"), lambda n: 12.0 * 256 * n),
    Case("recurrent", "LSTM backward, to the input", 0, _recurrent("LSTM", backward=True)),
    Case("resample", "bilinear, twice as large", 1.25, _resized(False, mode="bilinear")),
    Case("resample", "bicubic, half as large", 1.25, _resized(True, mode="bicubic")),
    Case("resample", "nearest, twice as large", 1.25, _resized(False, mode="nearest")),
    Case("gradients", "clip_grad_norm_", 3, _clipped),
    Case("optim", "SGD", 3, _optimizer("SGD")),
    Case("conv", "conv2d 3x3, 32 to 64 channels", 0, _images(_conv), lambda n: 1152.0 * n),
    Case("conv", "conv2d backward, to the input", 0, _images(_conv, backward=True)),
    Case("conv", "max pooling 2x2", 1.25, _images(lambda nn: nn.MaxPool2d(2))),
    Case("rows", "batch norm, training", 2, _images(lambda nn: nn.BatchNorm2d(32))),
)  # fmt: skip
