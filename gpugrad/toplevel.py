"""Functions that PyTorch has at its top level with other arguments than in `nn.functional`, and the in-place ones.

`torch.dropout(x, 0.5, True)` is not `nn.functional.dropout(x, 0.5, True)`'s signature, `torch.batch_norm` takes its
arguments in another order, losses take `reduction` as a number, which is 0 if it is left out. They are loaded when a
program first asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import ops
from .core import Tensor
from .inplace import update
from .ops import dropout as _dropout
from .ops import lookup as _lookup
from .ops import loss as _loss
from .random import Generator

_REDUCTIONS = ("none", "mean", "sum")


def _reduction(number: int) -> str:
    """The word for PyTorch's number. ValueError if there is none."""
    if number not in (0, 1, 2):
        raise ValueError(f"{number} is not a valid value for reduction: 0 is none, 1 mean, 2 sum")
    return _REDUCTIONS[number]


# ---------------------------------------------------------------------------------------------------------- layers


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.alpha_dropout`."""
    return _dropout.alpha_dropout(input, p, train)


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.dropout`."""
    return _dropout.dropout(input, p, train)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.feature_alpha_dropout`."""
    return _dropout.feature_alpha_dropout(input, p, train)


def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """The rows of `weight` (n, width) that `indices` name. A negative `padding_idx` is none."""
    padding = padding_idx if padding_idx >= 0 else None
    return _lookup.embedding(indices, weight, padding, None, 2.0, scale_grad_by_freq, sparse)


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`nn.functional.batch_norm`."""
    return ops.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`nn.functional.instance_norm`."""
    return ops.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """`nn.functional.layer_norm`."""
    return ops.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """`nn.functional.group_norm`."""
    return ops.group_norm(input, num_groups, weight, bias, eps)


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """`nn.functional.rrelu`."""
    return ops.rrelu(input, lower=lower, upper=upper, training=training)


# ---------------------------------------------------------------------------------------------------------- losses


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = 0,
) -> Tensor:
    """`nn.functional.binary_cross_entropy_with_logits`."""
    how = _reduction(reduction)
    return _loss.binary_cross_entropy_with_logits(input, target, weight, reduction=how, pos_weight=pos_weight)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """`nn.functional.cosine_embedding_loss`."""
    return _loss.cosine_embedding_loss(input1, input2, target, margin, reduction=_reduction(reduction))


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0) -> Tensor:
    """`nn.functional.hinge_embedding_loss`."""
    return _loss.hinge_embedding_loss(input, target, margin, reduction=_reduction(reduction))


def kl_div(input: Tensor, target: Tensor, reduction: int = 0, *, log_target: bool = False) -> Tensor:
    """`nn.functional.kl_div`: with 1 the mean of all elements."""
    total = _loss.kl_div(input, target, reduction="none" if reduction != 2 else "sum", log_target=log_target)
    return total.mean() if _reduction(reduction) == "mean" else total


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """`nn.functional.margin_ranking_loss`."""
    return _loss.margin_ranking_loss(input1, input2, target, margin, reduction=_reduction(reduction))


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Tensor:
    """`nn.functional.poisson_nll_loss`."""
    options: dict[str, Any] = {"log_input": log_input, "full": full, "eps": eps}
    return _loss.poisson_nll_loss(input, target, reduction=_reduction(reduction), **options)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 0,
) -> Tensor:
    """`nn.functional.triplet_margin_loss`."""
    how = _reduction(reduction)
    return _loss.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=how)


# ------------------------------------------------------------------------------------------------------- in place


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu` that writes its result into `input`."""
    return update(input, ops.celu, alpha=alpha)


def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`dropout` that writes its result into `input`."""
    return _dropout.dropout(input, p, train, inplace=True)


def alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`alpha_dropout` that writes its result into `input`."""
    return _dropout.alpha_dropout(input, p, train, inplace=True)


def feature_alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`feature_alpha_dropout` that writes its result into `input`."""
    return _dropout.feature_alpha_dropout(input, p, train, inplace=True)


def rrelu_(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Tensor:
    """`rrelu` that writes its result into `input`."""
    return update(input, ops.rrelu, lower=lower, upper=upper, training=training)


def selu_(input: Tensor) -> Tensor:
    """`selu` that writes its result into `input`."""
    return update(input, ops.selu)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold` that writes its result into `input`."""
    return update(input, ops.threshold, threshold=threshold, value=value)


# The methods of these names, as functions of the tensor they write to.
_METHODS_IN_PLACE = (
    "abs_ acos_ acosh_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ asin_ asinh_ atan_ atanh_ ceil_ clamp_ "
    "clamp_max_ clamp_min_ clip_ cos_ cosh_ deg2rad_ detach_ erf_ erfc_ exp2_ exp_ expm1_ fill_ fix_ floor_ frac_ gcd_ "
    "i0_ index_put_ lcm_ ldexp_ log10_ log1p_ log2_ log_ logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_ "
    "round_ rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ trunc_ xlogy_ zero_"
)


def _method(name: str) -> Callable[..., Any]:
    def call(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        return getattr(input, name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`input.{name}()`: writes its result into `input`."
    return call


globals().update({name: _method(name) for name in _METHODS_IN_PLACE.split()})


# ---------------------------------------------------------------------------------------------------- about tensors


def detach(input: Tensor) -> Tensor:
    """`input.detach()`."""
    return input.detach()


def get_device(input: Tensor) -> int:
    """The index of the CUDA device of `input`, -1 on the CPU."""
    device = input.device
    return -1 if device.type == "cpu" else device.index or 0


def is_complex(input: Tensor) -> bool:
    """Whether `input` has a complex dtype: gpugrad has none."""
    return input.dtype.is_complex


def is_inference(input: Tensor) -> bool:
    """`input.is_inference()`."""
    return input.is_inference()


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element of `input` is not 0. RuntimeError for another number of elements."""
    if input.numel() != 1:
        many = "no values" if input.numel() == 0 else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {many} is ambiguous")
    return bool(input.item())


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return tuple(input.shape) == tuple(other.shape)


def is_signed(input: Tensor) -> bool:
    """Whether the dtype of `input` has negative numbers."""
    return input.dtype.is_signed


def is_storage(obj: Any) -> bool:
    """Whether `obj` is one of PyTorch's storages: gpugrad has none."""
    return False


def real(input: Tensor) -> Tensor:
    """`input`: its numbers are real."""
    return input


def conj(input: Tensor) -> Tensor:
    """`input`: real numbers are their own conjugates."""
    return input


def resolve_conj(input: Tensor) -> Tensor:
    """`input`."""
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """`input`."""
    return input


def is_conj(input: Tensor) -> bool:
    """False."""
    return False


def is_neg(input: Tensor) -> bool:
    """False."""
    return False


def typename(obj: Any) -> str:
    """The name of the type of `obj`; of a tensor, its legacy type's."""
    if isinstance(obj, Tensor):
        return obj.type()
    module = getattr(obj, "__module__", None) or type(obj).__module__
    name = getattr(obj, "__qualname__", None) or type(obj).__qualname__
    return name if module == "builtins" else f"{module}.{name}"
