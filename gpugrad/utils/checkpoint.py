"""Activation checkpointing: less memory for more time. What a part of a model saves is dropped, and computed again.

`checkpoint(function, x)` gives what `function(x)` gives. Its tape is followed to what it began with, leaves and nodes
that were there before, and let go; the backward runs the function again, from the same random numbers, and asks for
the gradients of just these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..amp.autocast_mode import state_now
from ..core import Node, Tensor, tick, wrap
from ..device import arrays_beside
from ..engine import grad_at, place
from ..function import Function
from ..modes import enable_grad, is_grad_enabled
from ..random import default_generators, fork_rng
from ..walk import boundary

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which the backward keeps nothing but what it began with and computes the rest again.

    `function` returns a Tensor, or a tuple or list with Tensors in it. With `preserve_rng_state` it draws the same
    random numbers again. `use_reentrant` is accepted for PyTorch's sake: both ways give the same here, gradients also
    reach what the function reads without being given it, and second derivatives are right.
    RuntimeError in the backward if an argument or a leaf was changed in place since.
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    since = tick()
    states = [(g, g.get_state()) for g in default_generators()] if preserve_rng_state else []
    autocast = state_now()
    with autocast():
        outputs = function(*args, **kwargs)
    tensors = _tensors(outputs)
    began = boundary([p for p in map(place, tensors) if p is not None], since)
    if not began:
        return outputs

    def again() -> list[Tensor]:
        with _as_before(states), autocast(), enable_grad():
            return _tensors(function(*args, **kwargs))

    read = [t for t in (*args, *kwargs.values(), *began) if isinstance(t, Tensor)]
    stand_ins = [_standing_for(place, tensors[0]) for place in began]
    made = _Again.apply(again, began, read, [t.detach() for t in tensors], *stand_ins)
    remaining = iter(t if t.is_floating_point() and old.requires_grad else old for t, old in zip(made, tensors))
    if isinstance(outputs, Tensor):
        return next(remaining)
    return type(outputs)([next(remaining) if isinstance(x, Tensor) else x for x in outputs])


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """The `functions`, a Sequential or a list, one after another, in `segments` of which all but the last are checkpointed."""
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def run(start: int, stop: int) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for step in steps[start:stop]:
                x = step(x)
            return x

        return forward

    size = max(len(steps) // segments, 1)
    starts = range(0, size * (segments - 1), size)
    for start in starts:
        input = checkpoint(run(start, start + size), input, preserve_rng_state=preserve_rng_state)  # noqa: A001
    return run(size * (segments - 1), len(steps))(input)


def _tensors(outputs: Any) -> list[Tensor]:
    parts: Sequence[Any] = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    return [x for x in parts if isinstance(x, Tensor)]


def _standing_for(began: Any, beside: Tensor) -> Tensor:
    """A tensor in the place of a node on the tape: its values are never read. A leaf stands for itself."""
    if type(began) is not Node:
        return began
    tensor = wrap(arrays_beside(beside._array).full((), None, began.dtype))
    tensor._node, tensor._requires_grad = began, True
    return tensor


@contextlib.contextmanager
def _as_before(states: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """The generators in these states inside, and in their own afterwards."""
    with fork_rng(enabled=bool(states)):
        for generator, state in states:
            generator.set_state(state)
        yield


class _Again(Function):
    """The outputs of a function that has run already; `backward` runs it again."""

    @staticmethod
    def forward(ctx: Any, again: Any, began: Any, read: Any, outputs: Any, *stand_ins: Tensor) -> Any:
        ctx.again, ctx.began = again, began
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*read)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        pairs = [(t, g) for t, g in zip(ctx.again(), cotangents) if g is not None and t.requires_grad]
        outputs, given = [t for t, _ in pairs], [g for _, g in pairs]
        return (None, None, None, None, *grad_at(outputs, ctx.began, given, create_graph=is_grad_enabled()))
