"""Cross-entropy and the negative log-likelihood of class indices.

Classes lie along dimension 1 of the input, (N, C) or (N, C, *d); targets are (N) or (N, *d). With `m` 1 where a target
`t` is not `ignore_index`, and `w` the class weights, the loss of one target is

    m * w[t] * ((1 - s) * -log p[t] + s / C * sum over c of w[c] * -log p[c] / w[t])

where `s` is the label smoothing. The mean divides by the sum of `m * w[t]`.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import FLOATS, as_dtype
from ..errors import no_tensor
from ..op import op
from .cast import cast
from .compare import choose
from .elementwise import not_implemented, zero
from .matrix_numpy import multiples, row_maxima, row_sums
from .one import is_one
from .reduce import narrow, sum_over, wide
from .softmax import log_softmax

__all__ = ["cross_entropy", "nll_loss"]


class _Targets:
    """Where the targets' scores lie, flattened, how much each counts, and what the losses are divided by."""

    __slots__ = ("counts", "divisor", "keep", "places")

    def __init__(self, scores: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> None:
        self.keep = keep = _kept(target, scores.shape[1], ignore_index)
        if keep is not None:
            target = np.where(keep, target, 0)
        self.places = _places(target, scores.shape)
        counts = None if weight is None else weight[target]
        if keep is not None:
            counts = keep.astype(scores.dtype) if weight is None else counts * keep
        self.counts = counts
        self.divisor = None
        if reduction == "mean":
            self.divisor = target.size if counts is None else np.add.reduce(counts, axis=None)

    def reduce(self, losses: Any, reduction: str) -> Any:
        """`losses`, their sum, or their mean."""
        if reduction == "none":
            return losses
        total = np.add.reduce(losses, axis=None)
        return total if self.divisor is None else total / self.divisor

    def scale(self, g: Any) -> Any:
        """The cotangent of each weighted loss, from that of the reduced ones."""
        return g if self.divisor is None else g / self.divisor


def _places(target: Any, shape: tuple[int, ...]) -> Any:
    """Where in an array of `shape` (N, C, *d), flattened, the score of each target of (N, *d) lies."""
    if len(shape) == 2:
        return target + (multiples(*shape) if type(target) is np.ndarray else _multiples(*shape, target))
    inner = prod(shape[2:])
    starts = _multiples(shape[0], shape[1] * inner, target)[:, None] + np.arange(inner, like=target)
    return target * inner + starts.reshape(target.shape)


def _multiples(count: int, step: int, like: Any) -> Any:
    """0, step, 2 step, ...: so many, beside `like`."""
    return multiples(count, step) if type(like) is np.ndarray else np.arange(count, like=like) * step


def _kept(target: Any, classes: int, ignore_index: int) -> Any:
    """True where the target is not ignored; None if none is. IndexError for a target that is no class."""
    if target.size and not 0 <= ignore_index < classes:  # negative numbers are large ones without their sign
        unsigned = target.view(_UNSIGNED)
        if unsigned.item(unsigned.argmax()) < classes:
            return None
    valid = (target >= 0) & (target < classes)
    keep = target != ignore_index
    bad = keep & ~valid
    if bad.any():
        raise IndexError(f"Target {int(target[bad][0])} is out of bounds.")
    return None if keep.all() else keep


_UNSIGNED = np.dtype(np.uint64)


def _class_maxima(x: Any) -> Any:
    return np.maximum.reduce(x, axis=1, keepdims=True, initial=-np.inf)


def _class_shaped(weight: Any, ndim: int) -> Any:
    return weight.reshape((-1,) + (1,) * (ndim - 2))


# ---- cross-entropy: one op that makes its gradient in the same pass ----
#
# The gradient of one target's loss is A * p - a, where `a` weighs each class's `-log p` and sums to A. As the loss is
# mostly the end of the forward pass, its cotangent is 1, and nothing is left to be done on the way back.


@op(name="cross_entropy", names=("input", "target", "weight"), hidden=True)
def _cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
    recorded: bool,
) -> Any:
    """The reduced loss. Hidden is its gradient, if the call is recorded; float32 for float16, which does not hold what
    loss scaling is for.
    """
    scores = wide(x)
    weight = None if weight is None else wide(weight)
    at = _Targets(scores, target, weight, ignore_index, reduction)
    shifted = scores - (row_maxima(scores) if x.ndim == 2 else _class_maxima(scores))
    p = np.ascontiguousarray(np.exp(shifted))
    total = row_sums(p) if p.ndim == 2 else np.add.reduce(p, axis=1, keepdims=True)
    log_total = np.log(total)
    losses = log_total.reshape(target.shape) - shifted.take(at.places)
    if at.counts is not None:
        losses *= at.counts
    if label_smoothing:
        losses *= 1 - label_smoothing
        losses += _smooth_losses(log_total - shifted, weight, at.keep) * (label_smoothing / x.shape[1])
    if at.keep is not None:
        losses = np.where(at.keep, losses, 0)
    loss = narrow(at.reduce(losses, reduction), x.dtype)
    if not recorded:
        return loss, []
    np.divide(p, total, p)
    return loss, [narrow(_gradient(p, at, weight, label_smoothing), gradient_dtype(x.dtype))]


def gradient_dtype(dtype: Any) -> Any:
    """What the gradient of scores of a dtype is kept in."""
    return _FLOAT32 if dtype == np.float16 else dtype


_FLOAT32 = np.dtype(np.float32)


def _smooth_losses(losses: Any, weight: Any, keep: Any) -> Any:
    """The weighted sum over all classes of `-log p`."""
    if weight is not None:
        losses = losses * _class_shaped(weight, losses.ndim)
    total = np.add.reduce(losses, axis=1)
    return total if keep is None else total * keep


def _gradient(p: Any, at: _Targets, weight: Any, label_smoothing: float) -> Any:
    """`A * p - a`, which overwrites `p`."""
    one = p.dtype.type(1)
    scale = one if at.divisor is None else one / at.divisor
    hard = scale * (1 - label_smoothing) if label_smoothing else scale
    hard = hard if at.counts is None else hard * at.counts
    if not label_smoothing:
        p *= _across_classes(hard)
    else:
        soft = scale * (label_smoothing / p.shape[1])
        soft = soft if at.keep is None else soft * at.keep
        weights = np.ones_like(p, shape=p.shape[1]) if weight is None else weight
        p *= _across_classes(hard + soft * np.add.reduce(weights))
        p -= _across_classes(soft) * _class_shaped(weights, p.ndim)
    p.reshape(-1)[at.places] -= hard
    return p


def _across_classes(x: Any) -> Any:
    """One number for each target, or for all, in a shape that broadcasts over the classes."""
    return x.reshape((x.shape[0], 1, *x.shape[1:])) if x.ndim else x


def _cross_entropy_rule(
    g: Any, hidden: Any, target: Any, weight: Any, *, ignore_index: int, label_smoothing: float, reduction: str
) -> Any:
    dy, of_gradient = g
    (gradient,) = hidden
    dx = None if dy is None else gradient if is_one(dy) else gradient * _across_classes(dy)
    if of_gradient is None:
        return dx
    a = _pull(gradient, target, weight, ignore_index, label_smoothing, reduction)
    through = _through_gradient(of_gradient, gradient + a, sum_over(a, dim=(1,), keepdim=True))
    return through if dx is None else dx + through


def _pull(gradient: Any, target: Any, weight: Any, ignore_index: int, label_smoothing: float, reduction: str) -> Any:
    """`a`, in the shape of the gradient, from the gradient of the loss that is linear."""

    def linear(weight: Any, reduction: str) -> Any:
        one = zero(sum_over(gradient, dim=(1,) if reduction == "none" else None, keepdim=False)) + 1
        shape = tuple(gradient.shape)
        return -_nll_loss_grad(one, target, weight, shape=shape, ignore_index=ignore_index, reduction=reduction)

    a = linear(weight, reduction)
    if not label_smoothing:
        return a
    soft = sum_over(linear(None, "sum"), dim=(1,), keepdim=True) * (label_smoothing / gradient.shape[1])
    if reduction == "mean":
        soft = soft / sum_over(linear(weight, "sum"), dim=None, keepdim=False)
    return a * (1 - label_smoothing) + (soft if weight is None else soft * _class_shaped(weight, gradient.ndim))


def _through_gradient(g: Any, scaled: Any, whole: Any) -> Any:
    """The gradient of `A * p`, which is `scaled`; `whole` is A, 0 where a target does not count."""
    product = scaled * g
    share = sum_over(product, dim=(1,), keepdim=True) / choose(whole == 0, 1, whole)
    return product - scaled * share


_cross_entropy.defvjp(x=_cross_entropy_rule)


# ---- negative log-likelihood: linear in its input, so that it and its gradient are adjoint ----


@op(name="nll_loss", names=("input", "target", "weight"))
def _nll_loss(x: Any, target: Any, weight: Any = None, *, ignore_index: int, reduction: str) -> Any:
    scores = wide(x)
    at = _Targets(scores, target, None if weight is None else wide(weight), ignore_index, reduction)
    losses = -scores.take(at.places)
    if at.counts is not None:
        losses *= at.counts
    if at.keep is not None:
        losses = np.where(at.keep, losses, 0)
    return narrow(at.reduce(losses, reduction), x.dtype)


@op
def _nll_loss_grad(
    dy: Any, target: Any, weight: Any = None, *, shape: tuple[int, ...], ignore_index: int, reduction: str
) -> Any:
    """The adjoint of `_nll_loss`: minus the weighted `dy` at each target's class, zero elsewhere, in `shape`."""
    g = wide(dy)
    grad = np.zeros_like(g, shape=shape)
    at = _Targets(grad, target, None if weight is None else wide(weight), ignore_index, reduction)
    scale = at.scale(g)
    grad.reshape(-1)[at.places] = -(scale if at.counts is None else scale * at.counts)
    return narrow(grad, dy.dtype)


_nll_loss.defvjp(
    x=lambda g, x_shape, target, weight, *, ignore_index, reduction: _nll_loss_grad(
        g, target, weight, shape=x_shape, ignore_index=ignore_index, reduction=reduction
    )
)
_nll_loss_grad.defvjp(
    dy=lambda g, target, weight, *, ignore_index, reduction: _nll_loss(
        g, target, weight, ignore_index=ignore_index, reduction=reduction
    )
)


# ---- public ----


def check_reduction(reduction: str) -> None:
    """ValueError unless `reduction` is "none", "mean" or "sum"."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction; it is one of none, mean and sum")


def _check(input: Any, target: Any, weight: Any) -> Any:
    """`target` as int64, after checking shapes and dtypes of (N, C, *d) scores with (N, *d) targets."""
    if input._array.dtype not in FLOATS:
        raise not_implemented("cross_entropy", input._array.dtype)
    scores, classes = input._array.shape, target._array.shape
    if scores[0] != classes[0]:
        raise ValueError(f"Expected input batch_size ({scores[0]}) to match target batch_size ({classes[0]}).")
    if classes[1:] != scores[2:]:
        raise RuntimeError(
            f"size mismatch (got input: {list(scores)}, target: {list(classes)}); the target has the shape of the "
            "input without its class dimension"
        )
    if weight is not None and weight._array.shape != scores[1:2]:
        raise RuntimeError(
            f"weight tensor should be defined either for all {scores[1]} classes or no classes but got weight "
            f"tensor of shape: {list(weight.shape)}"
        )
    dtype = target._array.dtype
    if dtype is _INT64:
        return target
    if dtype != np.uint8:
        raise RuntimeError(f"expected class indices of dtype int64, but got {as_dtype(dtype)}; convert with .long()")
    return cast(target, _INT64)


_INT64 = np.dtype(np.int64)


def _legacy(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that PyTorch's old flags mean."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is not None and not reduce:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy between scores (C), (N, C) or (N, C, *d) and class indices or, in the same shape, probabilities.

    IndexError for a target that is no class; ValueError or RuntimeError for shapes that do not fit, a label smoothing
    outside [0, 1], an unknown reduction.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce, reduction)
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if not isinstance(target, Tensor):
        raise no_tensor("cross_entropy", "target", 2, target)
    ndim = len(input._array.shape)
    if ndim == 0:
        raise RuntimeError("cross_entropy: the input must have a class dimension, but it is 0-d")
    if target._array.dtype in FLOATS:
        return _from_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    if ndim == 1:
        input, target = input.reshape((1, -1)), target.reshape((1,))
    loss = _cross_entropy(
        input,
        _check(input, target, weight),
        None if weight is None else weight.detach(),
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )
    return loss.reshape(()) if ndim == 1 and reduction == "none" else loss


def _from_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, label_smoothing: float
) -> Tensor:
    if tuple(input.shape) != tuple(target.shape):
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities to have the input's shape "
            f"{list(input.shape)}, got {list(target.shape)}; class indices have dtype int64"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    dim = 1 if input.ndim > 1 else 0
    classes = input.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    losses = -(log_softmax(input, dim) * target)
    if weight is not None:
        losses = losses * (_class_shaped(weight.detach(), input.ndim) if input.ndim > 1 else weight.detach())
    if reduction == "none":
        return sum_over(losses, dim=(dim,), keepdim=False)
    total = sum_over(losses, dim=None, keepdim=False)
    return total if reduction == "sum" else total / (prod(input.shape) // classes)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability, out of (C), (N, C) or (N, C, *d), of each target class.

    Errors as in `cross_entropy`.
    """
    reduction = _legacy(size_average, reduce, reduction)
    check_reduction(reduction)
    if not isinstance(target, Tensor):
        raise no_tensor("nll_loss", "target", 2, target)
    batched = input.ndim > 1
    if not batched:
        input, target = input.reshape((1, -1)), target.reshape((1,))
    target = _check(input, target, weight)
    weight = None if weight is None else weight.detach()
    loss = _nll_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)
    return loss if batched or reduction != "none" else loss.reshape(())
