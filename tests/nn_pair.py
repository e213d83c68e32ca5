"""One text run with gpugrad and with PyTorch: what comes of it, a value or an error, must be the same."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

import gpugrad

Case = Callable[[Any], Any]


def plain(value: Any) -> Any:
    """`value` with tensors as (dtype, shape, values), and with our library's name for PyTorch's, as on the CPU."""
    if hasattr(value, "requires_grad") and hasattr(value, "tolist"):
        return "tensor", plain(str(value.dtype)), tuple(value.shape), value.tolist()
    if isinstance(value, Mapping):
        return [(key, plain(item)) for key, item in value.items()]
    if isinstance(value, str):
        return value.replace("torch", "gpugrad").replace("gpugrad.cuda.Float", "gpugrad.Float")  # PyTorch is on the CPU
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return plain(repr(value))


def outcome(case: Case, library: ModuleType) -> Any:
    """What `case` returns when it is given `library`, or the error that it raises."""
    try:
        return plain(case(library))
    except Exception as error:
        return type(error).__name__, plain(str(error))


def norms_have_bias(torch: ModuleType) -> bool:
    """Whether PyTorch's norms take `bias=` and print it. Of older ones LayerNorm alone takes it, and none prints it."""
    return "bias" in inspect.signature(torch.nn.GroupNorm).parameters


def printed(module: Any, torch: ModuleType) -> str:
    """`module`, one of ours, as the installed PyTorch prints such a module."""
    text = repr(module)
    return text if norms_have_bias(torch) else re.sub(r"(Norm\w*\(.*affine=\w+), bias=\w+", r"\1", text)


def _same(ours: Any, expected: Any) -> bool:
    if gpugrad.get_default_device().type == "cpu" or type(ours) is not type(expected):
        return bool(ours == expected)
    if isinstance(ours, float):
        return math.isclose(ours, expected, rel_tol=4 * 2**-23, abs_tol=0)  # units of float32
    if isinstance(ours, (list, tuple)):
        return len(ours) == len(expected) and all(map(_same, ours, expected))
    return bool(ours == expected)


def assert_same(case: Case, torch: ModuleType) -> Any:
    """`case` has the same outcome in both libraries, but for the rounding of a device; returns it."""
    ours, expected = outcome(case, gpugrad), outcome(case, torch)
    assert _same(ours, expected), f"gpugrad: {ours}; PyTorch: {expected}"
    return expected


def assert_error(case: Case, torch: ModuleType, error: type[Exception]) -> None:
    """`case` raises the same error, of class `error` and with the same text, in both libraries."""
    assert assert_same(case, torch)[0] == error.__name__


def values(library: ModuleType, *shape: int, seed: int = 0, requires_grad: bool = False) -> Any:
    """A tensor of the given shape, the same in both libraries."""
    array = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return library.tensor(array.tolist(), dtype=library.float32).reshape(shape).requires_grad_(requires_grad)
