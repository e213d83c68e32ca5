"""Bad indices: kernels write the first one they meet into four words of device memory; the host looks when it waits.

`words()` is what a kernel takes as its `error` argument (`check_index` in kernels/common.cuh); `number(op)` is what it
writes to say which op it was. `check()` raises IndexError, and clears the words so that the process can go on. Other
values that an op refuses are reported the same way: `number` of a whole sentence, and it is a RuntimeError.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import backend

_words: dict[int, Any] = {}  # by device
_names: list[str] = [""]  # by number
_used = False


def words() -> Any:
    """The error words of the current device, to be checked when the host next waits."""
    global _used
    cp = backend.cupy()
    device = cp.cuda.runtime.getDevice()
    if device not in _words:
        _words[device] = cp.zeros(4, np.uint64)
    _used = True
    return _words[device]


def number(name: str) -> int:
    """The number that stands for the op called `name`, or for the sentence "op(): what is wrong"."""
    if name not in _names:
        _names.append(name)
    return _names.index(name)


def check() -> None:
    """IndexError if a kernel met a bad index since the last call; costs nothing if none was given the words."""
    global _used
    if not _used:
        return
    _used = False
    for device, device_words in _words.items():
        op, index, size, _ = device_words.get().tolist()
        if op:
            with backend.cupy().cuda.Device(device):
                device_words.fill(0)
            index = index - 2**64 if index >= 2**63 else index
            found = "found by its CUDA kernel and reported at the first wait for the device after it"
            if ": " in _names[op]:
                raise RuntimeError(f"{_names[op]} (element {index} of {size}; {found})")
            raise IndexError(f"{_names[op]}(): index {index} is out of bounds for a dimension of size {size}; {found}")
