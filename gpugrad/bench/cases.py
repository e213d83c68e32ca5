"""What is timed. A case is written once, for a module that is gpugrad or PyTorch: `torch` in the code below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

# Does the work to be timed once; returns tensors whose values say whether the peers did the same.
Step = Callable[[], Sequence[Any]]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    `build` takes a peer's module and returns the step to time; without it the import of the module itself is timed.
    `target` is how many times as fast as `peer` gpugrad should at least be.
    """

    name: str
    target: float
    build: Callable[[Any], Step] | None
    peer: str = "torch"


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


def _training_cases() -> list[Case]:
    nets = (
        ((8, 8, 8, 4), 32, 2.5),
        ((32, 64, 64, 10), 32, 2.5),
        ((784, 256, 10), 128, 1.0),
        ((784, 1024, 1024, 10), 256, 1.0),
    )
    return [
        Case(f"train-{'-'.join(map(str, widths))}-{optimizer.lower()}", target, training(widths, batch, optimizer))
        for widths, batch, target in nets
        for optimizer in ("Adam", "SGD")
    ]


_ALL = (
    *_training_cases(),
    Case("conv2d", 0.6, convolution),
    Case("multiply", 2.0, multiplication),
    Case("import", 1 / 1.6, None, peer="numpy"),
)
CASES = {case.name: case for case in _ALL}
