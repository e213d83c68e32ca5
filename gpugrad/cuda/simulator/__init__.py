"""A CUDA device without a GPU: the CuPy names that gpugrad uses, kernels run by the machine's processor.

`import gpugrad.cuda.simulator as cupy`. It has these names, and no others:

* `ndarray`: `data.ptr`, `shape`, `dtype`, `ndim`, `size`, `itemsize`, `nbytes`, `strides`, `flags`, `base`, `device`,
  `get`, `set`, `item`, `tolist`, `copy`, `astype`, `fill`, `view`, `reshape`, `transpose`, `T`, `swapaxes`, `squeeze`,
  `ravel`, `flatten`, the reductions as methods, operators, indexing; NumPy functions and ufuncs act on it.
* `empty`, `zeros`, `ones`, `full`, their `_like` forms, `array`, `asarray`, `ascontiguousarray`, `arange`, `asnumpy`,
  `get_array_module`, `get_default_memory_pool`. Any other name is NumPy's function of that name, unless its arrays would
  be the host's.
* `RawModule(code=, options=, name_expressions=)`, `get_function`, `RawKernel`; a kernel is called as
  `kernel(grid, block, args, shared_mem=0)`, or without overhead as `kernel.kernel(...)`.
* `cuda`: `Device`, `Stream`, `Event`, `Graph`, `get_current_stream`, `get_elapsed_time`, `runtime`, `is_available`,
  `MemoryPool`, `memory.OutOfMemoryError`, `compiler.CompileException`.

Of its own: `counters` (copies, waits, launches) and the exceptions of `faults`. It needs Linux and a C++ compiler.
Settings: GPUGRAD_SIMULATE_SEED draws the order of threads and blocks, GPUGRAD_SIMULATE_CHECK=0 turns the checks of each
access off (up to one and a half times faster where memory is the bound), GPUGRAD_SIMULATE_MEMORY is the memory of a
device in bytes, GPUGRAD_SIMULATE_FMA=1 rounds a product and a sum once, as a GPU does (without checks, on a processor
that can), GPUGRAD_SIMULATE_DEVICES how many there are (one unless given), GPUGRAD_CACHE the folder of compiled
kernels.

What it does not simulate: time, occupancy, memory order between blocks that run at once (they run one after another),
races in global memory, and fast-math rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as _numpy

from . import cuda as cuda
from . import factors as _factors
from .array import ndarray
from .creation import *
from .device import counters
from .faults import (
    DivergentBarrier,
    KernelError,
    LaunchError,
    OutOfBounds,
    SharedMemoryRace,
    UncheckedFailure,
    UndefinedBehavior,
    UninitializedRead,
)
from .memory import MemoryPool
from .module import RawKernel, RawModule

_pool = MemoryPool()


def get_default_memory_pool() -> MemoryPool:
    """The pool that arrays come from."""
    return _pool


_ON_THE_HOST = frozenset({"eye", "frombuffer", "fromfile", "fromfunction", "fromiter", "fromstring", "identity", "indices",
                          "linspace", "load", "loadtxt", "logspace", "mgrid", "ogrid", "random", "tri"})  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name in _ON_THE_HOST:
        raise AttributeError(f"the simulator has no {name}")
    return getattr(_numpy, name)
