"""Gumbel-softmax: differentiable samples of a distribution over classes."""

from __future__ import annotations

from ..core import Tensor
from .create import empty_like
from .embedding import one_hot
from .reduce_extrema import argmax
from .shape import movedim
from .softmax import softmax
from .unary import log

__all__ = ["gumbel_softmax"]


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A softmax of `logits` with Gumbel noise, at temperature `tau`; https://arxiv.org/abs/1611.01144.

    With `hard` a one-hot vector that has the gradient of the soft one. IndexError for a `dim` out of range.
    """
    noise = -log(empty_like(logits.detach()).exponential_())
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    chosen = movedim(one_hot(argmax(soft.detach(), dim), logits.shape[dim]), -1, dim)
    return chosen.to(soft.dtype) - soft.detach() + soft
