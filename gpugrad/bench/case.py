"""What a case is: something to time, written once for gpugrad and PyTorch, and what one run of it moves and computes.

A builder takes a `Peer` (see `peer.py`), which makes inputs with the same numbers in every library, and a size. It
returns the step to time. JAX, whose interface is another, has its versions in `cases_jax.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Step = Callable[[], Sequence[Any]]
"""Does the work to be timed once; returns tensors whose values say whether the peers did the same."""

ELEMENTS = (2**10, 2**14, 2**18, 2**22)
MORE_ELEMENTS = (2**26,)  # on a GPU as well


def multiple_of(granule: int) -> Callable[[int], int]:
    """Rounds a size up to whole rows (images, sequences) of `granule` elements."""
    return lambda n: granule * max(1, math.ceil(n / granule))


def square(n: int) -> int:
    """Rounds a size to that of a square matrix whose side is a multiple of 8."""
    return (8 * max(1, round(math.sqrt(n) / 8))) ** 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """One line of the tables, for each size, device and peer.

    A step reads and writes at least `arrays` times n elements and `fixed` others, and does `flops(n)` operations. Sizes
    are rounded by `fit`; `sizes` None: the case has a single size of its own. `outcome` makes comparable values of
    results that are random. `target` is how many times as fast as the peer gpugrad should at least be.
    """

    name: str
    group: str
    arrays: float = 0
    fixed: float = 0
    flops: Callable[[int], float] | None = None
    unit: str = "elements"
    sizes: tuple[int, ...] | None = ELEMENTS
    more_sizes: tuple[int, ...] = MORE_ELEMENTS
    fit: Callable[[int], int] = int
    devices: tuple[str, ...] = ("cpu", "cuda")
    target: float | None = None
    peer: str | None = None  # the one to compare with, whatever was asked for
    checked_steps: int = 1
    rotates: bool = True  # inputs take turns, so that they come from memory and not from a cache
    by_wall_clock: bool = False  # on a GPU: until the host has the result, not between events
    same_as: str | None = None  # a case with the same results that runs on the CPU, for one that does not
    imports: bool = False  # what is timed is the import of the library itself
    outcome: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None

    def build(self, peer: Any, n: int) -> Step:
        """The step to time."""
        raise NotImplementedError

    def work(self, n: int, item: int) -> tuple[float, float]:
        """Bytes moved, with `item` of them in an element, and operations done."""
        return (self.arrays * n + self.fixed) * item, self.flops(n) if self.flops else 0.0

    def sizes_on(self, device: str, asked: Sequence[int] | None, simulated: bool) -> list[int]:
        """The sizes to time: those asked for, or what suits the device."""
        if self.sizes is None:
            return [1]
        if asked is None:
            asked = self.sizes[:1] if simulated else self.sizes + (self.more_sizes if device == "cuda" else ())
        return sorted({self.fit(n) for n in asked})


@dataclass(frozen=True, kw_only=True)
class Op(Case):
    """A function of tensors: `function(torch, *inputs(peer, n))`; with `backward`, the gradients of its inputs too."""

    inputs: Callable[[Any, int], tuple[Any, ...]]
    function: Callable[..., Any]
    backward: bool = False
    formula: bool = False  # of one's own, of one input: `gpugrad.elementwise` makes it a kernel

    def build(self, peer: Any, n: int) -> Step:
        inputs = self.inputs(peer, n)
        function = peer.compile(self._function(peer))
        if not self.backward:
            return lambda: (function(*inputs),)
        return differentiated(peer, function, inputs, [x for x in inputs if x.is_floating_point()])

    def _function(self, peer: Any) -> Callable[..., Any]:
        torch, function = peer.torch, self.function
        if self.formula and hasattr(torch, "elementwise"):

            def formula(x: Any) -> Any:
                return function(torch, x)

            return peer.once(lambda: torch.elementwise(formula))
        return lambda *inputs: function(torch, *inputs)


@dataclass(frozen=True, kw_only=True)
class Layer(Case):
    """A layer of `nn`, forward and backward, with respect to its input and its parameters."""

    layer: Callable[[Any], Any]
    inputs: Callable[[Any, int], tuple[Any, ...]]

    def build(self, peer: Any, n: int) -> Step:
        layer = peer.place(self.layer)
        inputs = self.inputs(peer, n)
        sources = [x for x in inputs if x.is_floating_point()]
        return differentiated(peer, peer.compile(layer), inputs, [*sources, *layer.parameters()])


@dataclass(frozen=True, kw_only=True)
class Training(Case):
    """A step of training: forward, loss, backward, update by Adam. Sizes are rows of a batch.

    Written for each peer as somebody would who knows it: PyTorch's Adam is the fused one on a GPU, `capturable` too where
    it is captured; `torch.compile` is given model and loss as one function, which makes their backward one as well, and
    runs them beside the fused Adam. (JAX is given the whole step, and may write over the old weights: `cases_jax.py`.)
    """

    model: Callable[[Any], Any]
    data: Callable[[Any, int], tuple[Any, Any]]
    lr: float = 1e-3

    def build(self, peer: Any, n: int) -> Step:
        torch = peer.torch
        model = peer.place(self.model)
        x, target = self.data(peer, n)
        criterion = torch.nn.CrossEntropyLoss()
        fused = peer.library == "torch" and peer.device == "cuda"
        optimizer = torch.optim.Adam(
            model.parameters(), lr=self.lr, capturable=peer.variant == "graph", fused=fused or None
        )
        loss_of = peer.compile(lambda x, target: criterion(model(x), target))

        def step() -> Sequence[Any]:
            optimizer.zero_grad()
            loss = loss_of(x, target)
            loss.backward()
            optimizer.step()
            return (loss,)

        return step


def differentiated(peer: Any, function: Callable[..., Any], inputs: Sequence[Any], sources: Sequence[Any]) -> Step:
    """The step that calls `function`, then goes back from a random cotangent to `sources`; returns result and gradients."""
    for source in sources:
        source.requires_grad_(True)
    g = peer.normal(*function(*inputs).shape)

    def step() -> Sequence[Any]:
        for source in sources:
            source.grad = None
        y = function(*inputs)
        y.backward(g)
        return (y, *(source.grad for source in sources))

    return step
