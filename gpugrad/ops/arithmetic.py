"""Arithmetic: the ops behind `+ - * / // % **` and negation, and the write that accumulates gradients.

Each elementwise op is the NumPy ufunc that is its meaning, the CUDA expression it prints as, and its rules, which are
formulas themselves. Inputs broadcast; the walk sums gradients back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..inplace import into
from ..op import op


def binary(name: str, body: Any, cuda: str, **options: Any) -> Any:
    """Declare an elementwise op of two inputs, called `input` and `other` as in PyTorch."""
    return op(body, name=name, names=("input", "other"), broadcasts=True, promotes=True, cuda=cuda, **options)


_add = binary("add", np.add, "{0} + {1}")
_add.defvjp(x=lambda g: g, y=lambda g: g)


def _subtract(x: Any, y: Any) -> Any:
    if getattr(x, "dtype", None) == np.bool_ or getattr(y, "dtype", None) == np.bool_:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )
    return np.subtract(x, y)


_sub = binary("sub", _subtract, "{0} - {1}")
_sub.defvjp(x=lambda g: g, y=lambda g: -g)

mul = binary("mul", np.multiply, "{0} * {1}")
mul.defvjp(x=lambda g, y: g * y, y=lambda g, x: g * x)

_div = binary("div", np.true_divide, "{0} / {1}", to_float=True)
_div.defvjp(x=lambda g, y: g / y, y=lambda g, out, y: -g * out / y)


@op(writes="target")
def accumulate(target: Any, g: Any) -> None:
    """Add `g` to the array `target` in place."""
    np.add(target, g, out=target)


def add(input: Any, other: Any, *, alpha: float = 1, out: Tensor | None = None) -> Tensor:
    """`input + alpha * other`, broadcast. RuntimeError if the shapes do not broadcast."""
    result = _add(input, other if alpha == 1 else mul(other, alpha))
    return result if out is None else into(out, result, "add")
