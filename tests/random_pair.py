"""A generator of gpugrad's beside one of PyTorch's, for tests that hold what they draw to be the same."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

from gpugrad import random_cpu as fill
from gpugrad import random_sampling as sample
from gpugrad.random_engine import Mt19937

FLOATING = ("float16", "bfloat16", "float32", "float64")


def dtype_of(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def as_numpy(tensor: Any) -> np.ndarray:
    if str(tensor.dtype) == "torch.bfloat16":
        return tensor.view(tensor.new_empty(0).short().dtype).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).view(np.uint8)


def assert_same(ours: np.ndarray, theirs: Any) -> None:
    """Equal shape, dtype and bits."""
    expected = as_numpy(theirs)
    assert (ours.shape, ours.dtype) == (expected.shape, expected.dtype)
    assert (bits(ours) == bits(expected)).all(), f"{ours.ravel()[:8]} is not {expected.ravel()[:8]}"


def assert_in_step(ours: Mt19937, theirs: Any) -> None:
    """Equal states; PyTorch has two ways to say that a block of words is used up, of which ours has one."""
    expected = theirs.get_state().numpy().copy()
    expected[16:24].view(np.uint64)[...] %= 624
    assert (ours.get_state() == expected).all()


class Pair:
    """A generator of ours and one of PyTorch's from the same seed: what both draw must agree, and they stay in step."""

    def __init__(self, torch: ModuleType, seed: int) -> None:
        self.torch = torch
        self.ours = Mt19937(seed)
        self.theirs = torch.Generator().manual_seed(seed)

    def fill(self, name: str, size: int, dtype: str, *args: Any) -> None:
        """Fill an array and a tensor by the method `name`."""
        self.fill_both(
            name, np.empty(size, dtype_of(dtype)), self.torch.empty(size, dtype=getattr(self.torch, dtype)), *args
        )

    def fill_both(self, name: str, out: np.ndarray, tensor: Any, *args: Any) -> None:
        returned = getattr(fill, name)(out, *args, generator=self.ours)
        assert returned is out
        theirs = [self.torch.from_numpy(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
        getattr(tensor, name)(*theirs, generator=self.theirs)
        assert_same(out, tensor)
        assert_in_step(self.ours, self.theirs)

    def sample(self, name: str, *args: Any, torch_name: str = "") -> None:
        """Call the function `name`, which returns a new array."""
        ours = getattr(sample, name)(*args, generator=self.ours)
        theirs = [self.torch.from_numpy(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
        assert_same(ours, getattr(self.torch, torch_name or name)(*theirs, generator=self.theirs))
        assert_in_step(self.ours, self.theirs)
