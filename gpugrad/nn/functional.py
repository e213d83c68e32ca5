"""The functions behind the layers and losses, as `torch.nn.functional`."""

# ruff: noqa: F403  (a namespace: what the op files export)

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..core import Tensor
from ..inplace import update
from ..ops import activation as _activation
from ..ops import unary as _unary
from ..ops.activation import glu as glu
from ..ops.activation import hardshrink as hardshrink
from ..ops.activation import logsigmoid as logsigmoid
from ..ops.activation import prelu as prelu
from ..ops.activation import softplus as _softplus
from ..ops.activation import softshrink as _softshrink
from ..ops.activation import softsign as softsign
from ..ops.activation import tanhshrink as tanhshrink
from ..ops.attention import *
from ..ops.conv import *
from ..ops.cross_entropy import *
from ..ops.distance import *
from ..ops.dropout import *
from ..ops.einsum import bilinear as bilinear
from ..ops.embedding import one_hot as one_hot
from ..ops.grid import *
from ..ops.local_response import *
from ..ops.lookup import *
from ..ops.loss import *
from ..ops.matmul import linear as linear
from ..ops.multihead import *
from ..ops.normalization import *
from ..ops.pad import *
from ..ops.pool import *
from ..ops.resample import *
from ..ops.sampled import *
from ..ops.softmax import log_softmax as _log_softmax
from ..ops.softmax import softmax as _softmax
from ..ops.softmax import softmin as _softmin

sigmoid, tanh = _unary.sigmoid, _unary.tanh


def _activate(function: Callable[..., Any], input: Tensor, inplace: bool, **params: Any) -> Tensor:
    return update(input, function, **params) if inplace else function(input, **params)


# ---- activations, with PyTorch's positional arguments and `inplace` ----


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(input, 0)`."""
    return update(input, _activation.relu) if inplace else _activation.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` limited to [0, 6]."""
    return _activate(_activation.relu6, input, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where positive, else `negative_slope * input`."""
    return _activate(_activation.leaky_relu, input, inplace, negative_slope=negative_slope)


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Leaky ReLU whose slope is the mean of `lower` and `upper`. NotImplementedError for `training`."""
    return _activate(_activation.rrelu, input, inplace, lower=lower, upper=upper, training=training)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else `alpha * (exp(input) - 1)`."""
    return _activate(_activation.elu, input, inplace, alpha=alpha)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else `alpha * (exp(input / alpha) - 1)`."""
    return _activate(_activation.celu, input, inplace, alpha=alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` with the scale and alpha that keep mean and variance."""
    return _activate(_activation.selu, input, inplace)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * sigmoid(input)`."""
    return _activate(_activation.silu, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * tanh(softplus(input))`."""
    return _activate(_activation.mish, input, inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`input` times the normal distribution function of it, or its tanh approximation."""
    return _activation.gelu(input, approximate=approximate)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` limited to [`min_val`, `max_val`]. ValueError if they are in the wrong order."""
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got {min_val} and {max_val}")
    return _activate(_activation.hardtanh, input, inplace, min_val=min_val, max_val=max_val)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu6(input + 3) / 6`."""
    return _activate(_activation.hardsigmoid, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * relu6(input + 3) / 6`."""
    return _activate(_activation.hardswish, input, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`input` where above `threshold`, else `value`."""
    return _activate(_activation.threshold, input, inplace, threshold=threshold, value=value)


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """`log(1 + exp(beta * input)) / beta`, and `input` where `beta * input` is above `threshold`."""
    return _softplus(input, beta=beta, threshold=threshold)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` moved towards 0 by `lambd`. RuntimeError for a negative `lambd`."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return _softshrink(input, lambd=lambd)


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(input, *args, **kwargs, inplace=True)

    run.__name__ = run.__qualname__ = f"{function.__name__}_"
    run.__doc__ = f"`{function.__name__}` that writes its result into `input`."
    return run


relu_, leaky_relu_, rrelu_ = _in_place(relu), _in_place(leaky_relu), _in_place(rrelu)
elu_, celu_, selu_ = _in_place(elu), _in_place(celu), _in_place(selu)
hardtanh_, threshold_ = _in_place(hardtanh), _in_place(threshold)


# ---- softmax, whose dim may be left out ----


def _implicit_dim(name: str, dim: int | None, ndim: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        UserWarning,
        stacklevel=3,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`exp(input)` scaled to sum to 1 along `dim`."""
    return _softmax(input, _implicit_dim("softmax", dim, input.ndim), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax`."""
    return _log_softmax(input, _implicit_dim("log_softmax", dim, input.ndim), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The softmax of `-input`."""
    return _softmin(input, _implicit_dim("softmin", dim, input.ndim), dtype)
