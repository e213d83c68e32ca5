"""`gpugrad bench core`: what the README's table is made of, on the CPU, with what gpugrad is to reach beside a peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .case import Case, Step


@dataclass(frozen=True, kw_only=True)
class Core(Case):
    """`make` takes a peer's module and returns the step."""

    make: Callable[[Any], Step] | None = None

    def build(self, peer: Any, n: int) -> Step:
        assert self.make is not None, "an import is timed in processes of its own"
        return self.make(peer.torch)


def training(widths: Sequence[int], batch: int, optimizer: str) -> Callable[[Any], Step]:
    """Training a classifier: forward, cross-entropy, backward, and one step of the optimizer."""

    def build(torch: Any) -> Step:
        torch.manual_seed(0)
        layers: list[Any] = []
        for inputs, outputs in pairwise(widths):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        criterion = torch.nn.CrossEntropyLoss()
        descent = getattr(torch.optim, optimizer)(model.parameters(), lr=1e-3)
        x = torch.randn(batch, widths[0])
        target = torch.randint(0, widths[-1], (batch,))

        def step() -> Sequence[Any]:
            descent.zero_grad()
            loss = criterion(model(x), target)
            loss.backward()
            descent.step()
            return (loss,)

        return step

    return build


def convolution(torch: Any) -> Step:
    """A 3x3 convolution of 32 to 64 channels on 64 images of 32x32, forward and backward to image and weights."""
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(32, 64, 3, padding=1)
    x = torch.randn(64, 32, 32, 32, requires_grad=True)
    g = torch.randn(64, 64, 32, 32)

    def step() -> Sequence[Any]:
        x.grad = layer.weight.grad = layer.bias.grad = None
        y = layer(x)
        y.backward(g)
        return y, x.grad, layer.weight.grad, layer.bias.grad

    return step


def recurrence(torch: Any) -> Step:
    """A cell stepped through 256 parts of a sequence, forward and backward: each part's gradient goes to the whole's."""
    torch.manual_seed(0)
    cell = torch.nn.RNNCell(64, 64)
    x = torch.randn(32, 256, 64, requires_grad=True)

    def step() -> Sequence[Any]:
        leaves = (x, *cell.parameters())
        for leaf in leaves:
            leaf.grad = None
        h = torch.zeros(32, 64)
        for t in range(256):
            h = cell(x[:, t], h)
        h.sum().backward()
        return h, *[leaf.grad for leaf in leaves]

    return step


def multiplication(torch: Any) -> Step:
    """A product of 16 numbers, forward and backward: what an op costs besides its arithmetic."""
    torch.manual_seed(0)
    x = torch.randn(16, requires_grad=True)
    w = torch.randn(16, requires_grad=True)
    g = torch.randn(16)

    def step() -> Sequence[Any]:
        x.grad = w.grad = None
        y = x * w
        y.backward(g)
        return y, x.grad, w.grad

    return step


def _core(name: str, target: float, make: Callable[[Any], Step] | None, peer: str = "torch") -> Core:
    return Core(
        name=name,
        group="core",
        target=target,
        make=make,
        imports=make is None,
        peer=peer,
        unit="",
        sizes=None,
        devices=("cpu",),
        checked_steps=0 if make is None else 3,
        rotates=False,
    )


def _training_cases() -> list[Core]:
    nets = (
        ((8, 8, 8, 4), 32, 2.5),
        ((32, 64, 64, 10), 32, 2.5),
        ((784, 256, 10), 128, 1.0),
        ((784, 1024, 1024, 10), 256, 1.0),
    )
    return [
        _core(f"train-{'-'.join(map(str, widths))}-{optimizer.lower()}", target, training(widths, batch, optimizer))
        for widths, batch, target in nets
        for optimizer in ("Adam", "SGD")
    ]


CORE: tuple[Case, ...] = (
    *_training_cases(),
    _core("conv2d", 0.6, convolution),
    _core("recurrence", 2.0, recurrence),
    _core("multiply", 2.0, multiplication),
    _core("import", 1 / 1.6, None, peer="numpy"),
)
