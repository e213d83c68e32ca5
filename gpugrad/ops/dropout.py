"""Dropout: random zeros, drawn as PyTorch draws them on the CPU. Srivastava et al., JMLR 15 (2014)."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import FLOATS
from ..inplace import update
from ..op import op
from ..random import engine_of
from .arithmetic import mul
from .random import dropout_mask

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

_ALPHA = 1.7580993408473766  # minus SELU's limit at -inf: the value dropped elements take


@op(name="dropout", names=("input",), hidden=True)
def drop(x: Any, *, p: float, generator: Any, recorded: bool) -> Any:
    """`x` without some of its elements. Hidden, if the call is recorded, is its mask, as `drop_again` takes it."""
    mask = dropout_mask(x, p=p, generator=generator)
    return x * mask, [mask]


@op
def drop_again(g: Any, mask: Any, *, p: float) -> Any:
    """`g` without the elements that `drop` dropped. `mask` is what it multiplied by; a device may have a form of its own."""
    return g * mask


drop.defvjp(x=lambda g, hidden, *, p: drop_again(g[0], hidden[0], p=p))
drop_again.defvjp(g=lambda g, mask, *, p: drop_again(g, mask, p=p))


@op
def channel_mask(x: Any, *, p: float, generator: Any) -> Any:
    """The mask of `dropout`, one element for each (N, C) of `x`, in a shape that broadcasts."""
    return dropout_mask(np.empty_like(x, shape=x.shape[:2] + (1,) * (x.ndim - 2)), p=p, generator=generator)


def _check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _idle(input: Any, p: float, training: bool) -> bool:
    """Whether dropout returns its input. RuntimeError if it would scale integers."""
    if not training or not math.prod(input.shape):
        return True
    if 0 < p < 1 and input.dtype.numpy not in FLOATS:
        raise RuntimeError(
            f"dropout: result type float32 can't be cast to the desired output type {input.dtype}; convert the input "
            "with .float() first"
        )
    return p == 0


def _multiply(input: Any, mask: Any, inplace: bool) -> Any:
    return update(input, mul, mask) if inplace else input * mask


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`input` with elements zeroed with probability `p` and the others scaled by `1 / (1 - p)`.

    `input` itself if not `training`. ValueError for a `p` outside [0, 1].
    """
    _check_probability(p)
    if _idle(input, p, training):
        return input
    generator = engine_of(None, input.device)
    return update(input, drop, p=p, generator=generator) if inplace else drop(input, p=p, generator=generator)


def _dropout_channels(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """`dropout` of whole channels of (N, C, *)."""
    if _idle(input, p, training):
        return input
    return _multiply(input, channel_mask(input, p=p, generator=engine_of(None, input.device)), inplace)


def _without_batch(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """`_dropout_channels` of an input that has no batch dimension."""
    dropped = _dropout_channels(input.reshape((1, *input.shape)), p, training, False).reshape(tuple(input.shape))
    return update(input, lambda x, y: y, dropped) if inplace else dropped


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L).

    ValueError for a `p` outside [0, 1], RuntimeError for another number of dimensions.
    """
    _check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to "
            "provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional "
            "batch dimension (i.e. 2D or 3D inputs)."
        )
    return (_without_batch if input.ndim == 2 else _dropout_channels)(input, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W) or (N, C, L). ValueError for a `p` outside [0, 1]."""
    _check_probability(p)
    if input.ndim == 3:
        _warn(
            "dropout2d: Received a 3D input to dropout2d and assuming channel-wise 1D dropout behavior is desired. "
            "The input is read as (N, C, L). Use dropout1d for that, or add a batch dimension."
        )
    elif input.ndim != 4:
        _warn(f"dropout2d: Received a {input.ndim}-D input, which is deprecated. Use dropout to drop single elements.")
    return _dropout_channels(input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W). ValueError for a `p` outside [0, 1]."""
    _check_probability(p)
    return (_without_batch if input.ndim == 4 else _dropout_channels)(input, p, training, inplace)


def _alpha(input: Tensor, mask: Tensor, p: float, inplace: bool) -> Tensor:
    """Dropped elements become -alpha; then scale and shift so that mean and variance stay.

    Klambauer et al., https://arxiv.org/abs/1706.02515. `mask` is that of `dropout`: 0 or 1 / (1 - p).
    """
    keep = mask * (1 - p)
    scale = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p)) if p < 1 else 0.0
    shift = (keep - 1) * (_ALPHA * scale) + _ALPHA * scale * p
    scaled = _multiply(input, keep * scale, inplace)
    return scaled.add_(shift) if inplace else scaled + shift


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean and variance of the output of SELU. ValueError for a `p` outside [0, 1]."""
    _check_probability(p)
    if _idle(input, p, training):
        return input
    return _alpha(input, dropout_mask(input, p=p, generator=engine_of(None, input.device)), p, inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, *). ValueError for a `p` outside [0, 1]."""
    _check_probability(p)
    if _idle(input, p, training):
        return input
    return _alpha(input, channel_mask(input, p=p, generator=engine_of(None, input.device)), p, inplace)
