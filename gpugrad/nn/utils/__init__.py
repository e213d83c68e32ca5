"""`nn.utils`: clipping gradients, parameters as one vector, weight and spectral normalization, packed sequences."""

from __future__ import annotations

from collections.abc import Iterable

from ... import ops
from ...core import Tensor
from ...modes import no_grad
from . import rnn
from .clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .spectral_norm import remove_spectral_norm, spectral_norm
from .weight_norm import remove_weight_norm, weight_norm


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of `parameters` in one vector."""
    return ops.cat([p.reshape(-1) for p in parameters])


@no_grad()
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """The reverse of `parameters_to_vector`, in place."""
    given = list(parameters)
    total = sum(p.numel() for p in given)
    if vec.numel() != total:
        raise RuntimeError(f"vector_to_parameters: the vector has {vec.numel()} elements, the parameters {total}")
    start = 0
    for p in given:
        p.copy_(vec[start : start + p.numel()].reshape(p.shape))
        start += p.numel()


__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]
