"""Calls that must be refused: what is given, how it is called, what the error says.

`given` names the tensors: "2x3 4:int64 .:bool" is one of shape (2, 3), one of shape (4,) of int64, a 0-d one of bool.
Each is filled with 0, 1, 2, ...; the default dtype is float32. `said` is a regular expression: the names of the op and
the values that were given. PyTorch raises the same class of error for every call here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple


class Bad(NamedTuple):
    """One call."""

    given: str
    call: Callable[..., Any]  # (library, *tensors)
    said: str


def tensors(t: Any, given: str) -> list[Any]:
    """The tensors that `given` names, made by the library `t`."""
    return [_tensor(t, *word.split(":")) for word in given.split()]


def _tensor(t: Any, shape: str, dtype: str = "float32") -> Any:
    sizes = [] if shape == "." else [int(size) for size in shape.split("x")]
    return t.arange(prod(sizes)).reshape(sizes).to(getattr(t, dtype))
