"""Matrix products. Half precision is computed in float32 and rounded once."""

from __future__ import annotations

from math import prod
from typing import Any, NoReturn

import numpy as np

from ..core import Tensor
from ..dtypes import LOW_PRECISION, as_dtype
from ..inplace import into
from ..op import op
from .arithmetic import add, mul
from .elementwise import not_implemented
from .matrix_numpy import column_sums
from .reduce import expand_to, sum_over, sum_to
from .shape import adjoint

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "dot",
    "ger",
    "inner",
    "linear",
    "matmul",
    "mm",
    "mv",
    "outer",
    "vdot",
]


_SPECIAL = LOW_PRECISION | {np.dtype(np.bool_)}  # one look-up for both


def product(x: Any, y: Any) -> Any:
    """`x @ y` on arrays. NotImplementedError for bools."""
    if x.dtype in _SPECIAL:
        if x.dtype.kind == "b":
            raise not_implemented("mm", x.dtype)
        return np.matmul(x.astype(np.float32), y.astype(np.float32)).astype(x.dtype)
    if x.ndim == 2 == y.ndim:
        return x.dot(y)  # a third of the overhead of np.matmul for small matrices
    return np.matmul(x, y)


def _check_shapes(x: Any, y: Any) -> None:
    """RuntimeError, in PyTorch's words, unless `x @ y` exists."""
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D")
    inner_y = y.shape[-2] if y.ndim > 1 else y.shape[0]
    if x.shape[-1] != inner_y:
        if x.ndim == 2 == y.ndim:
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({x.shape[0]}x{x.shape[1]} and {y.shape[0]}x{y.shape[1]})"
            )
        raise RuntimeError(
            f"matmul(): size mismatch, got input shapes {list(x.shape)} and {list(y.shape)}: the last dimension of the first "
            f"({x.shape[-1]}) must equal the next to last of the second ({inner_y})"
        )
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {x.dtype} != {y.dtype}; convert one with .to(dtype)"
        )


def _check_stacks(x: Any, y: Any) -> None:
    """RuntimeError unless the dimensions before the matrices broadcast."""
    stacks = [tuple(a.shape[:-2]) for a in (x, y) if a is not None]
    for d, sizes in enumerate(zip(*(reversed(s) for s in stacks)), start=1):
        if len(set(sizes) - {1}) > 1:
            raise RuntimeError(
                f"matmul(): The size of tensor a ({sizes[0]}) must match the size of tensor b ({sizes[1]}) at non-singleton "
                f"dimension {max(map(len, stacks)) - d}; the shapes are {list(x.shape)} and {list(y.shape)}"
            )


@op(name="mm", names=("input", "other"), broadcasts=True, check=_check_stacks)
def _matmul(x: Any, y: Any) -> Any:
    """The product of matrices, or of stacks of matrices whose leading dimensions broadcast."""
    _check_shapes(x, y)
    return product(x, y)


_matmul.defvjp(x=lambda g, y: _matmul(g, adjoint(y)), y=lambda g, x: _matmul(adjoint(x), g))


def matmul(input: Any, other: Any, *, out: Tensor | None = None) -> Any:
    """`input @ other`: vectors, matrices, and stacks of matrices whose leading dimensions broadcast.

    RuntimeError if the inner sizes or the dtypes differ, TypeError for what is no tensor.
    """
    try:
        matrices = input.ndim >= 2 <= other.ndim
    except AttributeError:
        position, wrong = (2, other) if hasattr(input, "ndim") else (1, input)
        raise TypeError(
            f"matmul(): argument '{'input' if position == 1 else 'other'}' (position {position}) must be Tensor, not "
            f"{type(wrong).__name__}"
        ) from None
    result = _matmul(input, other) if matrices else _with_vectors(input, other)
    return result if out is None else into(out, result, "matmul")


def _with_vectors(x: Any, y: Any) -> Any:
    """A vector on the left is a row, on the right a column; the dimension added is taken away again."""
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D")
    _check_shapes(_array(x), _array(y))
    left = x.reshape((1, x.shape[0])) if x.ndim == 1 else x
    right = y.reshape((y.shape[0], 1)) if y.ndim == 1 else y
    shape = left.shape[:-2] if x.ndim == 1 else left.shape[:-1]
    if y.ndim > 1:
        shape = (*(right.shape[:-2] if x.ndim == 1 else ()), right.shape[-1])
    return _matmul(left, right).reshape(shape)


def _array(x: Any) -> Any:
    return x._array if isinstance(x, Tensor) else x


def _needs(name: str, **dims: tuple[Any, int]) -> None:
    """RuntimeError unless each tensor has the number of dimensions said."""
    for argument, (x, ndim) in dims.items():
        if x.ndim != ndim:
            raise RuntimeError(f"{name}(): argument '{argument}' must have {ndim} dimensions, got {x.ndim}")


def mm(input: Any, mat2: Any, *, out: Tensor | None = None) -> Any:
    """The product of two matrices."""
    _needs("mm", input=(input, 2), mat2=(mat2, 2))
    return matmul(input, mat2, out=out)


def bmm(input: Any, mat2: Any, *, out: Tensor | None = None) -> Any:
    """The products of matching matrices of two stacks, (b, n, m) and (b, m, p)."""
    _needs("bmm", input=(input, 3), mat2=(mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(f"bmm(): batch sizes differ: {list(input.shape)} and {list(mat2.shape)}")
    return matmul(input, mat2, out=out)


def mv(input: Any, vec: Any, *, out: Tensor | None = None) -> Any:
    """The product of a matrix and a vector."""
    _needs("mv", input=(input, 2), vec=(vec, 1))
    return matmul(input, vec, out=out)


def dot(input: Any, tensor: Any, *, out: Tensor | None = None) -> Any:
    """The inner product of two vectors of one length."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"dot(): 1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    if input.shape != tensor.shape:
        raise RuntimeError(
            f"dot(): inconsistent tensor size, expected tensor {list(input.shape)} and src {list(tensor.shape)} to have the "
            "same number of elements"
        )
    return matmul(input, tensor, out=out)


def vdot(input: Any, other: Any, *, out: Tensor | None = None) -> Any:
    """`dot`: the same for real numbers."""
    return dot(input, other, out=out)


def inner(input: Any, other: Any, *, out: Tensor | None = None) -> Any:
    """Sums of products over the last dimension of both."""
    if input.ndim == 0 or other.ndim == 0:
        result = mul(input, other)
    elif input.ndim == 1 and input.shape == other.shape:
        result = dot(input, other)
    else:
        flat = other.reshape((-1, other.shape[-1]))
        result = matmul(input, adjoint(flat)).reshape((*input.shape[:-1], *other.shape[:-1]))
    return result if out is None else into(out, result, "inner")


def outer(input: Any, vec2: Any, *, out: Tensor | None = None) -> Any:
    """The product of every element of one vector with every element of another."""
    _needs("outer", input=(input, 1), vec2=(vec2, 1))
    result = mul(input.reshape((input.shape[0], 1)), vec2)
    return result if out is None else into(out, result, "outer")


ger = outer


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None) -> Any:
    """`beta * input + alpha * mat1 @ mat2`."""
    return _scaled_sum("addmm", input, mm(mat1, mat2), beta, alpha, out)


def addmv(input: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None) -> Any:
    """`beta * input + alpha * mat @ vec`."""
    return _scaled_sum("addmv", input, mv(mat, vec), beta, alpha, out)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1, out: Any = None) -> Any:
    """`beta * input + alpha * batch1 @ batch2` for stacks of matrices."""
    return _scaled_sum("baddbmm", input, bmm(batch1, batch2), beta, alpha, out)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1, out: Any = None) -> Any:
    """`beta * input + alpha * sum(batch1 @ batch2)`, summed over the stack."""
    return _scaled_sum("addbmm", input, sum_over(bmm(batch1, batch2), dim=(0,), keepdim=False), beta, alpha, out)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None) -> Any:
    """`beta * input + alpha * outer(vec1, vec2)`."""
    return _scaled_sum("addr", input, outer(vec1, vec2), beta, alpha, out)


def _scaled_sum(name: str, input: Any, made: Any, beta: float, alpha: float, out: Tensor | None) -> Any:
    """`beta * input + alpha * made`, in the shape and dtype of `made`. RuntimeError if `input` has others."""
    if as_dtype(input.dtype) is not as_dtype(made.dtype):
        raise RuntimeError(
            f"{name}(): input and the matrices must have the same dtype, but got {input.dtype} and {made.dtype}; "
            "convert one with .to(dtype)"
        )
    if len(input.shape) > len(made.shape) or any(
        have not in (1, want) for have, want in zip(reversed(input.shape), reversed(made.shape))
    ):
        raise RuntimeError(
            f"{name}(): input of shape {list(input.shape)} cannot be expanded to the shape of the product, "
            f"{list(made.shape)}"
        )
    made = made if alpha == 1 else mul(made, alpha)
    result = made if beta == 0 else add(made, input if beta == 1 else mul(input, beta))
    return result if out is None else into(out, result, name)


# ------------------------------------------------------------------------------------------------ the linear layer


@op(name="linear", names=("input", "weight", "bias"), joins=True)
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """`input @ weight.T + bias` over the last dimension: (..., in), (out, in), (out,) to (..., out).

    A bias of another shape is broadcast to that of the output.
    """
    if x.ndim == 0 or x.shape[-1] != weight.shape[-1] or x.dtype is not weight.dtype:
        _refuse_linear(x, weight)
    out = product(x if x.ndim == 2 else _rows(x), weight.T)
    if bias is not None:
        if bias.dtype is not out.dtype:
            raise RuntimeError(
                f"linear(): bias must have the dtype of input, {x.dtype}, but got {bias.dtype}; convert one"
            )
        if bias.ndim > 1 and x.ndim > 2:  # it lies along the dimensions of the output, not along rows
            out = out.reshape((*x.shape[:-1], weight.shape[0]))
        np.add(out, bias, out)
    return out if x.ndim == 2 else out.reshape((*x.shape[:-1], weight.shape[0]))


def _rows(x: Any) -> Any:
    """`x` (..., n) as a matrix of rows; spelt out, since -1 stands for no size where n is 0."""
    return x.reshape((prod(x.shape[:-1]), x.shape[-1]))


def _refuse_linear(x: Any, weight: Any) -> NoReturn:
    if x.ndim == 0 or x.shape[-1] != weight.shape[-1]:
        rows = "x".join(
            map(str, (x.size // x.shape[-1] if x.ndim and x.shape[-1] else 0, x.shape[-1] if x.ndim else 0))
        )
        raise RuntimeError(
            f"linear(): mat1 and mat2 shapes cannot be multiplied ({rows} and {weight.shape[1]}x{weight.shape[0]}): the last "
            f"dimension of the input must be in_features={weight.shape[1]}, got input of shape {list(x.shape)}"
        )
    raise RuntimeError(f"linear(): mat1 and mat2 must have the same dtype, but got {x.dtype} and {weight.dtype}")


# The gradients of `linear`. Each is linear in both its inputs, so that their rules are one another.


@op
def linear_grad_input(dy: Any, weight: Any) -> Any:
    """`dy @ weight` over the last dimension: (..., out), (out, in) to (..., in)."""
    if dy.ndim == 2:
        return product(dy, weight)
    return product(_rows(dy), weight).reshape((*dy.shape[:-1], weight.shape[1]))


@op
def linear_grad_weight(dy: Any, x: Any) -> Any:
    """`dy.T @ x` over all leading dimensions: (..., out), (..., in) to (out, in)."""
    return product(dy.T, x) if dy.ndim == 2 else product(_rows(dy).T, _rows(x))


@op
def linear_grad_bias(dy: Any) -> Any:
    """The sum of `dy` over all dimensions but the last: (out,)."""
    if dy.dtype in LOW_PRECISION:
        return column_sums(_rows(dy).astype(np.float32)).astype(dy.dtype)
    return column_sums(dy if dy.ndim == 2 else _rows(dy))


def grad_of_bias(g: Any, bias_shape: tuple[int, ...]) -> Any:
    """The gradient of a bias of `bias_shape`: of a vector (out,), or of one that was broadcast."""
    return linear_grad_bias(g) if bias_shape == g.shape[-1:] else sum_to(g, shape=bias_shape)


linear.defvjp(x=linear_grad_input, weight=linear_grad_weight, bias=grad_of_bias)
linear_grad_input.defvjp(
    dy=lambda g, weight: linear(g, weight),
    weight=lambda g, dy: linear_grad_weight(dy, g),
)
linear_grad_weight.defvjp(
    dy=lambda g, x: linear(x, g),
    x=lambda g, dy: linear_grad_input(dy, g),
)
linear_grad_bias.defvjp(dy=lambda g, dy_shape: expand_to(g, shape=dy_shape))
