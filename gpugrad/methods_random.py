"""Tensor methods: random fills in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ops

if TYPE_CHECKING:
    from .core import Tensor


def _fill(tensor: Any, name: str, generator: Any, **options: Any) -> Tensor:
    from .ops.random import fill_random

    return fill_random(tensor, name, generator, **options)


class RandomMethods:
    """Each fills the tensor and returns it."""

    __slots__ = ()

    def uniform_(self, from_: float = 0.0, to: float = 1.0, *, generator: Any = None) -> Tensor:
        return _fill(self, "uniform", generator, low=from_, high=to)

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
        return _fill(self, "normal", generator, mean=mean, std=std)

    def log_normal_(self, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Tensor:
        return _fill(self, "log_normal", generator, mean=mean, std=std)

    def exponential_(self, lambd: float = 1.0, *, generator: Any = None) -> Tensor:
        return _fill(self, "exponential", generator, lambd=lambd)

    def cauchy_(self, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Tensor:
        return _fill(self, "cauchy", generator, median=median, sigma=sigma)

    def geometric_(self, p: float, *, generator: Any = None) -> Tensor:
        return _fill(self, "geometric", generator, p=p)

    def bernoulli_(self, p: Any = 0.5, *, generator: Any = None) -> Tensor:
        return _fill(self, "bernoulli", generator, p=getattr(p, "_array", p))

    def random_(self, from_: int | None = None, to: int | None = None, *, generator: Any = None) -> Tensor:
        low, high = (0, from_) if to is None and from_ is not None else (from_, to)
        return _fill(self, "random", generator, low=low, high=high)

    def bernoulli(self, p: float | None = None, *, generator: Any = None) -> Tensor:
        return ops.bernoulli(self, p, generator=generator)

    def multinomial(self, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
        return ops.multinomial(self, num_samples, replacement, generator=generator)
