"""Errors of op bodies, said in PyTorch's words and exception classes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np


def explain(op: Any, error: Exception, args: tuple[Any, ...], params: dict[str, Any]) -> Exception:
    """The exception to raise for `error`, which the body of `op` raised on `args`.

    NumPy's ValueError about shapes becomes RuntimeError, its AxisError IndexError; errors that bodies raise themselves
    pass with the name of the op before them, unless they name one.
    """
    if op.check is not None:
        op.check(*args)  # what NumPy refuses by itself, said in PyTorch's words
    name = op.name.strip("_")
    if isinstance(error, np.exceptions.AxisError):
        ndim = error.ndim if error.ndim is not None else 0
        bound = max(ndim, 1)
        return IndexError(
            f"{name}(): Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], "
            f"but got {error.axis})"
        )
    if type(error) is ValueError:
        shapes = [tuple(a.shape) for a in args if hasattr(a, "shape")]
        if "broadcast" in str(error):
            return RuntimeError(f"{name}(): {_mismatch(shapes)}")
        return RuntimeError(f"{name}(): {error}, for inputs of shapes {', '.join(map(str, shapes))}{_said(params)}")
    if isinstance(error, MemoryError):
        return RuntimeError(f"{name}(): not enough memory: {error}")
    if isinstance(error, TypeError) and "'NoneType'" in str(error) and any(a is None for a in args):
        at = next(i for i, a in enumerate(args) if a is None)
        given = op.names[0 if op.variadic else at]
        return TypeError(f"{name}(): argument '{given}' (position {at + 1}) must be Tensor, not NoneType")
    if isinstance(error, TypeError) and re.match("(The )?numpy boolean |ufunc |Cannot cast ufunc ", str(error)):
        dtypes = " and ".join(sorted({str(a.dtype) for a in args if hasattr(a, "dtype")}))
        return NotImplementedError(f'"{name}" not implemented for {dtypes}; convert with .to(dtype) first ({error})')
    if type(error) in _NAMED and not _names_an_op(str(error), name):
        return type(error)(f"{name}(): {error}")
    return error


def no_tensor(name: str, argument: str, position: int, given: Any) -> TypeError:
    """The error to raise where a Tensor is needed and `given` is none."""
    kind = type(given).__name__
    hint = "; make one of it with gpugrad.tensor" if kind in ("list", "tuple", "ndarray") else ""
    return TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {kind}{hint}")


def on_two_devices(first: Any, second: Any, name: str) -> RuntimeError:
    """The exception for arguments of `name` that are on two devices."""
    return RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {first} and {second}! "
        f"(when checking arguments for {name}(); move one with .to(device))"
    )


_NAMED = (RuntimeError, IndexError, NotImplementedError)


def _names_an_op(message: str, name: str) -> bool:
    """Whether `message` says which op it is about."""
    return name in message or message.partition(" ")[0].endswith((":", "()"))


def _mismatch(shapes: list[tuple[int, ...]]) -> str:
    """PyTorch's sentence about the first pair of sizes, from the right, that do not broadcast."""
    sizes: dict[int, tuple[int, int]] = {}
    for which, shape in enumerate(shapes):
        for offset, size in enumerate(reversed(shape), start=1):
            if size == 1:
                continue
            seen, first = sizes.setdefault(offset, (size, which))
            if seen != size:
                dim = max(map(len, shapes)) - offset
                return (
                    f"The size of tensor {'abc'[first % 3]} ({seen}) must match the size of tensor "
                    f"{'abc'[which % 3]} ({size}) at non-singleton dimension {dim}; the shapes are "
                    + " and ".join(str(list(s)) for s in shapes)
                )
    return "the shapes " + " and ".join(str(list(s)) for s in shapes) + " do not broadcast together"


def _said(params: dict[str, Any]) -> str:
    said = {k: v for k, v in params.items() if isinstance(v, (int, float, str, tuple, bool)) and not re.match("_", k)}
    return f" and {said}" if said else ""
