"""How elementwise ops are declared: their meaning in NumPy, how they print as CUDA, broadcasting, promotion."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import ALL, FLOATS, LOW_PRECISION, as_dtype
from ..op import op
from .dims import memory_order

Body = Callable[..., Any]
INTEGRAL = ("bool", "int")  # what ops of floats refuse
_KIND = {"b": "bool", "i": "int", "u": "int"}


def unary(
    name: str,
    body: Body,
    cuda: str | None = None,
    *,
    to_float: bool = False,
    refused: tuple[str, ...] = (),
    **options: Any,
) -> Any:
    """Declare an elementwise op of one input, called `input` as in PyTorch. Without `cuda` its body is a formula."""
    body = widen(body, name, refused)
    return op(body, name=name, names=("input",), promotes=True, to_float=to_float, cuda=cuda, formula=True, **options)


def binary(
    name: str,
    body: Body,
    cuda: str | None = None,
    *,
    names: Any = ("input", "other"),
    refused: tuple[str, ...] = (),
    **options: Any,
) -> Any:
    """Declare an elementwise op of two inputs, which broadcast and promote. Without `cuda` its body is a formula."""
    body = widen(body, name, refused)
    return op(body, name=name, names=names, broadcasts=True, promotes=True, cuda=cuda, formula=True, **options)


def ternary(
    name: str, body: Body, names: tuple[str, str, str], *, refused: tuple[str, ...] = (), **options: Any
) -> Any:
    """Declare an elementwise op of three inputs, which broadcast and promote, by a formula."""
    body = widen(body, name, refused)
    return op(body, name=name, names=names, broadcasts=True, promotes=True, formula=True, **options)


def widen(body: Body, name: str = "", refused: tuple[str, ...] = ()) -> Body:
    """`body` computed in float32 on float16 and bfloat16 arrays and rounded once; ufuncs do that by themselves.

    The `refused` kinds of dtype ("bool", "int") are a NotImplementedError of the op `name`.
    """
    if isinstance(body, np.ufunc):
        return body
    special = LOW_PRECISION | {d.numpy for d in ALL if _KIND.get(d.numpy.kind) in refused}  # one look-up for both

    @functools.wraps(body)
    def widened(*arrays: Any, **params: Any) -> Any:
        dtype = dtype_of(*arrays)
        if dtype not in special:
            return body(*arrays, **params)
        if dtype not in LOW_PRECISION:
            raise not_implemented(name, dtype)
        wide = (
            a.astype(np.float32, order=memory_order(a)) if getattr(a, "dtype", None) in LOW_PRECISION else a
            for a in arrays
        )
        return body(*wide, **params).astype(dtype)

    return widened


def typed_zero(x: Any) -> Any:
    """0 to be computed with the array `x`: of its dtype where that saves NumPy the promotion of a Python number, which
    takes it as long as the arithmetic on a small array.
    """
    return _ZEROS.get(x.dtype, 0) if type(x) is np.ndarray else 0


_ZEROS = {dtype: np.zeros((), dtype) for dtype in FLOATS}


def dtype_of(*inputs: Any) -> Any:
    """The NumPy dtype of the first array among the inputs of a body; None for symbols."""
    for x in inputs:
        dtype = getattr(x, "dtype", None)
        if dtype is not None:
            return dtype
    return None


def is_integral(*inputs: Any) -> bool:
    """Whether the inputs of a body are integers or bools."""
    dtype = dtype_of(*inputs)
    return dtype is not None and dtype.kind in "iub"


def not_implemented(name: str, dtype: Any) -> NotImplementedError:
    """The error for a dtype that the op `name` does not take."""
    return NotImplementedError(
        f'"{name}" not implemented for {as_dtype(dtype)}; convert the input to another dtype first'
    )


def refusing(name: str, body: Body, *refused: str) -> Body:
    """`body`, with NotImplementedError as PyTorch has it for the `refused` kinds of dtype: "bool", "int", "float"."""

    def refuse(*arrays: Any, **params: Any) -> Any:
        dtype = dtype_of(*arrays)
        if dtype is not None and _KIND.get(dtype.kind, "float") in refused:
            raise not_implemented(name, dtype)
        return body(*arrays, **params)

    signature = _UFUNC_SIGNATURES[body.nin] if isinstance(body, np.ufunc) else inspect.signature(body)
    refuse.__signature__ = signature  # type: ignore[attr-defined]
    return refuse


_UFUNC_SIGNATURES = {1: inspect.signature(lambda x: x), 2: inspect.signature(lambda x, y: x)}


# Where the result is piecewise constant, so that its gradient is zero wherever it exists.
zero = unary("zero", lambda x: np.zeros_like(x, order=memory_order(x)), "0")
zero.defvjp(x=lambda g: zero(g))
