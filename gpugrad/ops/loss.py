"""Losses: a formula for each element, then a reduction. Cross-entropy has a file of its own."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..core import Tensor
from ..op import op
from .activation import logsigmoid
from .arithmetic import abs, sign
from .compare import choose
from .cross_entropy import _legacy, check_reduction
from .distance import pairwise_distance
from .elementwise import INTEGRAL, binary, is_integral, widen
from .embedding import one_hot
from .extrema import clamp, clamp_min
from .reduce import sum_over
from .special import xlogy
from .unary import exp, log, log1p, sigmoid, sqrt

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_soft_margin_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def _reduced(losses: Any, reduction: str) -> Any:
    """`losses`, their sum or their mean. ValueError for another `reduction`."""
    check_reduction(reduction)
    if reduction == "none":
        return losses
    if reduction == "mean" and is_integral(getattr(losses, "_array", losses)):
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be a floating point one, and the losses are "
            f"{losses.dtype}; convert input and target with .float() first"
        )
    total = sum_over(losses, dim=None, keepdim=False)
    return total if reduction == "sum" else total / max(prod(losses.shape), 1) if losses.ndim else total


def _warn_of_broadcast(input: Any, target: Any) -> None:
    if tuple(input.shape) != tuple(target.shape):
        warnings.warn(
            f"Using a target size ({tuple(target.shape)}) that is different to the input size ({tuple(input.shape)}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            UserWarning,
            stacklevel=3,
        )


def _require_same_shape(name: str, input: Any, target: Any) -> None:
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            f"{name}: target size ({tuple(target.shape)}) must be the same as input size ({tuple(input.shape)})"
        )


# ---- distances of two numbers ----


def _mse_body(x: Any, y: Any, *, reduction: str) -> Any:
    out = np.subtract(x, y)
    out = np.multiply(out, out, out=out if out.ndim else None)
    if reduction == "none":
        return out
    total = np.add.reduce(out, axis=None)
    return total if reduction == "sum" else total / out.size if out.size else total * np.nan


def _mse_rule(g: Any, x: Any, y: Any, needs: tuple[bool, bool], *, reduction: str) -> Any:
    difference = x - y
    slope = difference * (g * (2 / max(prod(difference.shape), 1) if reduction == "mean" else 2))
    return slope if needs[0] else None, -slope if needs[1] else None


_mse_loss = op(
    widen(_mse_body, "mse_loss", INTEGRAL), name="mse_loss", names=("input", "target"), broadcasts=True, promotes=True
)
_mse_loss.defvjp(_mse_rule)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared difference, optionally weighted elementwise. Warns if the shapes differ: then they broadcast."""
    reduction = _legacy(size_average, reduce, reduction)
    check_reduction(reduction)
    _warn_of_broadcast(input, target)
    if weight is None:
        return _mse_loss(input, target, reduction=reduction)
    return _weighted(_mse_loss(input, target, reduction="none"), weight, reduction)


def _weighted(losses: Tensor, weight: Tensor, reduction: str) -> Tensor:
    """`losses * weight`, reduced: their mean is that of the weights."""
    if reduction != "mean":
        return _reduced(losses * weight, reduction)
    return _reduced(losses * weight, "sum") / sum_over(weight, dim=None, keepdim=False)


_absolute_difference = binary("l1_loss", lambda x, y: abs(x - y), names=("input", "target"))
_absolute_difference.defvjp(x=lambda g, x, y: g * sign(x - y), y=lambda g, x, y: g * sign(y - x))


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute difference, optionally weighted elementwise. Warns if the shapes differ: then they broadcast."""
    _warn_of_broadcast(input, target)
    losses, reduction = _absolute_difference(input, target), _legacy(size_average, reduce, reduction)
    return _reduced(losses, reduction) if weight is None else _weighted(losses, weight, reduction)


def _huber_formula(x: Any, y: Any, *, delta: float) -> Any:
    size = abs(x - y)
    return choose(size < delta, size * size * 0.5, delta * (size - 0.5 * delta))


def _huber_rule(g: Any, difference: Any, delta: float) -> Any:
    return g * choose(abs(difference) < delta, difference, sign(difference) * delta)


_huber = binary("huber_loss", _huber_formula, names=("input", "target"), refused=INTEGRAL)
_huber.defvjp(
    x=lambda g, x, y, *, delta: _huber_rule(g, x - y, delta),
    y=lambda g, x, y, *, delta: _huber_rule(g, y - x, delta),
)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Half the squared difference below `delta`, linear beyond. ValueError unless `delta` is positive."""
    if delta <= 0:
        raise ValueError(f"huber_loss does not support non-positive values for delta, got {delta}")
    _warn_of_broadcast(input, target)
    losses = _huber(input, target, delta=delta)
    return _reduced(losses if weight is None else losses * weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """`huber_loss` divided by `beta`; `l1_loss` if `beta` is 0. RuntimeError for a negative `beta`."""
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    reduction = _legacy(size_average, reduce, reduction)
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    _warn_of_broadcast(input, target)
    losses = _huber(input, target, delta=beta)
    return _reduced(losses if beta == 1 else losses / beta, reduction)


# ---- probabilities of two classes, distributions ----


NO_PROBABILITY = "binary_cross_entropy(): all elements of input should be between 0 and 1; apply sigmoid, or use binary_cross_entropy_with_logits"


@op
def probabilities(x: Any) -> Any:
    """`x` itself; RuntimeError unless all of it lies in [0, 1]. A kernel looks for itself, and reports at the next wait."""
    if not np.all((x >= 0) & (x <= 1)):
        raise RuntimeError(NO_PROBABILITY)
    return x


_bce = binary(
    "binary_cross_entropy",
    lambda x, y: (y - 1) * clamp_min(log1p(-x), -100) - y * clamp_min(log(x), -100),
    names=("input", "target"),
    refused=INTEGRAL,
)
_bce.defvjp(
    x=lambda g, x, y: g * (x - y) / clamp_min(x * (1 - x), 1e-12),
    y=lambda g, x: g * (clamp_min(log1p(-x), -100) - clamp_min(log(x), -100)),
)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy of probabilities with targets in [0, 1]; logarithms are cut off at -100.

    ValueError if the shapes differ, RuntimeError for an `input` outside [0, 1]: on a device at the next wait for it.
    """
    reduction = _legacy(size_average, reduce, reduction)
    _require_same_shape("binary_cross_entropy", input, target)
    probabilities(input._array)
    losses = _bce(input, target)
    return _reduced(losses if weight is None else losses * weight, reduction)


_bce_logits = binary(
    "binary_cross_entropy_with_logits",
    lambda x, y: (1 - y) * x - logsigmoid(x),
    names=("input", "target"),
    refused=INTEGRAL,
)
_bce_logits.defvjp(x=lambda g, x, y: g * (sigmoid(x) - y), y=lambda g, x: -g * x)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of `sigmoid(input)`, without the overflow; `pos_weight` weighs the positive targets.

    ValueError if the shapes differ.
    """
    reduction = _legacy(size_average, reduce, reduction)
    _require_same_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        losses = _bce_logits(input, target)
    else:
        losses = (1 - target) * input - ((pos_weight - 1) * target + 1) * logsigmoid(input)
    return _reduced(losses if weight is None else losses * weight, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """`target * (log(target) - input)`, where `input` (and, with `log_target`, `target`) holds logarithms.

    "batchmean" divides the sum by the batch size.
    """
    reduction = _legacy(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            UserWarning,
            stacklevel=2,
        )
    if is_integral(input._array) and is_integral(target._array):
        raise RuntimeError("kl_div: Integral inputs not supported; convert them with .float() first")
    losses = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction != "batchmean":
        return _reduced(losses, reduction)
    return _reduced(losses, "sum") / (input.shape[0] if input.ndim else 1)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of Poisson counts; `full` adds Stirling's approximation of `log(target!)` above 1."""
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        stirling = target * log(target) - target + 0.5 * log(2 * math.pi * target)
        losses = losses + choose(target <= 1, 0, stirling)
    return _reduced(losses, _legacy(size_average, reduce, reduction))


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of normal numbers with means `input` and variances `var`, which are at least `eps`.

    `var` has the shape of `input`, or that without its last dimension, or with that of size 1. ValueError for another
    shape or negative variances.
    """
    if isinstance(var, Tensor):
        shape = tuple(input.shape)
        if tuple(var.shape) != shape:
            if tuple(var.shape) == shape[:-1]:
                var = var.reshape((*shape[:-1], 1))
            elif not (var.ndim == input.ndim and tuple(var.shape) == (*shape[:-1], 1)):
                raise ValueError(f"var is of incorrect size: {tuple(var.shape)} for an input of {shape}")
        if bool((var.detach() < 0).any()):
            raise ValueError("var has negative entry/entries")
        var = var + (clamp(var.detach(), eps) - var.detach())  # the gradient passes the bound
    elif var < 0:
        raise ValueError("var has negative entry/entries")
    else:
        var = input.detach() * 0 + max(var, eps)
    difference = input - target
    losses = 0.5 * (log(var) + difference * difference / var)
    return _reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


# ---- margins ----


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`log(1 + exp(-target * input))`, with targets 1 and -1."""
    return _reduced(-logsigmoid(target * input), _legacy(size_average, reduce, reduction))


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`input` where the target is 1, `max(0, margin - input)` where it is -1."""
    losses = choose(target != 1, clamp_min(margin - input, 0), 0) + choose(target != -1, input, 0)
    return _reduced(losses, _legacy(size_average, reduce, reduction))


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, -target * (input1 - input2) + margin)`, with targets 1 and -1."""
    losses = clamp_min(-target * (input1 - input2) + margin, 0)
    return _reduced(losses, _legacy(size_average, reduce, reduction))


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """With `c` the cosine between (N, D) or (D) vectors: `1 - c` for target 1, `max(0, c - margin)` for target -1."""
    if target.ndim + 1 != input1.ndim or input1.ndim != input2.ndim or input1.ndim not in (1, 2):
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    dim = (input1.ndim - 1,)
    dot, one, two = (sum_over(p, dim=dim, keepdim=False) for p in (input1 * input2, input1 * input1, input2 * input2))
    cosine = dot / sqrt((one + _COSINE_EPSILON) * (two + _COSINE_EPSILON))
    losses = choose(target == 1, 1 - cosine, 0) + choose(target == -1, clamp_min(cosine - margin, 0), 0)
    return _reduced(losses, _legacy(size_average, reduce, reduction))


_COSINE_EPSILON = 1e-12


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, d(anchor, positive) - d(anchor, negative) + margin)`.

    With `swap` the nearer of anchor and positive is compared with the negative. ValueError unless `margin` is positive.
    """
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = pairwise_distance if distance_function is None else distance_function
    to_positive, to_negative = distance(anchor, positive), distance(anchor, negative)
    if swap:
        between = distance(positive, negative)
        to_negative = choose(between < to_negative, between, to_negative)
    return _reduced(clamp_min(to_positive - to_negative + margin, 0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_with_distance_loss` of `p`-norm distances."""
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin,
        swap=swap,
        reduction=_legacy(size_average, reduce, reduction),
    )


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes (the last dimension) of `binary_cross_entropy_with_logits`."""
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    losses = losses if weight is None else losses * weight
    per_sample = sum_over(losses, dim=(input.ndim - 1,), keepdim=False) / input.shape[-1]
    return _reduced(per_sample, _legacy(size_average, reduce, reduction))


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the other classes of `max(0, margin - input[target] + input[i]) ** p`, for (N, C) or (C) scores.

    `weight` weighs each sample by its class. ValueError unless `p` is 1 or 2; RuntimeError for a target out of range.
    """
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    classes, last = input.shape[-1], (input.ndim - 1,)
    is_target = one_hot(target, classes) != 0
    at_target = sum_over(choose(is_target, input, 0), dim=last, keepdim=True)
    losses = clamp_min(margin - at_target + input, 0)
    losses = choose(is_target, 0, losses if p == 1 else losses * losses)
    if weight is not None:
        losses = losses * sum_over(choose(is_target, weight, 0), dim=last, keepdim=True)
    return _reduced(sum_over(losses, dim=last, keepdim=False) / classes, _legacy(size_average, reduce, reduction))
