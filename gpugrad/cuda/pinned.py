"""Page-locked memory of the host, from and to which a CUDA device copies faster."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import backend

cp = backend.cupy()


def copied(array: np.ndarray) -> np.ndarray:
    """A contiguous copy of `array` in page-locked memory."""
    memory = cp.cuda.alloc_pinned_memory(max(array.nbytes, 1))
    made = np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
    made[...] = array
    return made


def holds(array: Any) -> bool:
    """Whether `array` lies in such memory, as a whole or as a view."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(getattr(array, "obj", None), cp.cuda.PinnedMemoryPointer)  # NumPy holds it by a memoryview
