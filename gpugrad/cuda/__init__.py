"""`gpugrad.cuda`: the CUDA device's namespace, with PyTorch's names.

Without a GPU (and without GPUGRAD_SIMULATE=1) every name is there and questions are answered as PyTorch answers them; what
needs a device is a RuntimeError that says so when it is called, and CuPy is not imported.
"""

from __future__ import annotations

import importlib
from typing import Any

from . import absent, backend
from .errors import OutOfMemoryError

# Made of CuPy, and so loaded when first asked for: name -> module of this package
_LATE = {
    "CUDAGraph": "graphs",
    "graph": "graphs",
    "graph_pool_handle": "graphs",
    "is_current_stream_capturing": "graphs",
    "make_graphed_callables": "graphs",
    "Event": "streams",
    "Stream": "streams",
    "StreamContext": "streams",
    "current_stream": "streams",
    "default_stream": "streams",
    "set_stream": "streams",
    "stream": "streams",
    "default_generators": "generators",
    "get_rng_state": "generators",
    "get_rng_state_all": "generators",
    "initial_seed": "generators",
    "seed": "generators",
    "seed_all": "generators",
    "set_rng_state": "generators",
    "set_rng_state_all": "generators",
    "max_memory_allocated": "memory",
    "max_memory_reserved": "memory",
    "mem_get_info": "memory",
    "memory_allocated": "memory",
    "memory_reserved": "memory",
    "memory_stats": "memory",
    "memory_summary": "memory",
    "reset_peak_memory_stats": "memory",
    "set_per_process_memory_fraction": "memory",
    "get_device_capability": "properties",
    "get_device_name": "properties",
    "get_device_properties": "properties",
}


def is_available() -> bool:
    """Whether tensors can be put on a CUDA device."""
    return device_count() > 0


def device_count() -> int:
    """How many CUDA devices there are."""
    return backend.device_count()


def is_initialized() -> bool:
    """Whether the CUDA device has been used, and can be: not in a process forked after that."""
    return backend.is_ready()


def _is_in_bad_fork() -> bool:
    """Whether this process was forked after CUDA was initialised: no use of the device is possible in it."""
    return backend.is_in_bad_fork()


def init() -> None:
    """Make the CUDA device ready; this happens by itself when one is first used. RuntimeError without one."""
    backend.require()


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current device computes in bfloat16: the kernels do so on every device, by way of float32."""
    return is_available()


def is_tf32_supported() -> bool:
    """Whether the current device multiplies matrices in TF32: from compute capability 8.0 on."""
    return is_available() and int(_cupy("is_tf32_supported").cuda.Device().compute_capability) >= 80


def _cupy(name: str) -> Any:
    """CuPy, for a function that needs a device. RuntimeError, naming the function, if there is none."""
    if not is_available():
        absent.refuse(name)
    backend.require()
    return backend.cupy()


def index_of(device: Any, name: str = "device") -> int:
    """The index that a device argument means; None is the current device. ValueError for a CPU device."""
    from ..device import Device

    cp = _cupy(name)
    if device is None:
        return int(cp.cuda.runtime.getDevice())
    found = device if isinstance(device, Device) else Device(device)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {found}")
    backend.require(found.index)
    return int(cp.cuda.runtime.getDevice()) if found.index is None else found.index


def current_device() -> int:
    """The index of the current device; RuntimeError without one."""
    return int(_cupy("current_device").cuda.runtime.getDevice())


def set_device(device: Any) -> None:
    """Make a device the current one; a negative index does nothing. RuntimeError without one."""
    if isinstance(device, int) and device < 0:
        return
    cp = _cupy("set_device")
    cp.cuda.runtime.setDevice(index_of(device, "set_device"))


class device:
    """`with gpugrad.cuda.device(1): ...` makes a device the current one inside; None or a negative index does nothing."""

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None or (isinstance(device, int) and device < 0) else index_of(device)

    def __enter__(self) -> None:
        if self.idx >= 0:
            self._before = current_device()
            set_device(self.idx)

    def __exit__(self, *exc: object) -> None:
        if self.idx >= 0:
            set_device(self._before)


class device_of(device):
    """`with gpugrad.cuda.device_of(x): ...` makes the device of `x` the current one inside; of a CPU tensor, nothing."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else None)


def synchronize(device: Any = None) -> None:
    """Wait until a device has done all it was given. IndexError if a kernel met a bad index; RuntimeError without one."""
    cp = _cupy("synchronize")
    from . import array, bounds

    array.refuse_in_capture("waited for")
    with cp.cuda.Device(index_of(device, "synchronize")):
        cp.cuda.runtime.deviceSynchronize()
    bounds.check()


def empty_cache() -> None:
    """Give memory that no tensor holds back to the driver: nothing to do without a device, as in PyTorch."""
    if is_available():
        _cupy("empty_cache").get_default_memory_pool().free_all_blocks()


def ipc_collect() -> None:
    """Nothing to do: gpugrad shares no device memory between processes."""


def manual_seed(seed: int) -> None:
    """Seed the current device's generator: nothing to do without one, or in a bad fork, as in PyTorch."""
    if is_available() and not _is_in_bad_fork():
        from . import generators

        generators.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices: nothing to do without one, or in a bad fork, as in PyTorch."""
    if is_available() and not _is_in_bad_fork():
        from . import generators

        generators.manual_seed_all(seed)


def __getattr__(name: str) -> Any:
    if name == "kernel":  # to decorate with it takes no device
        return importlib.import_module(".user_kernel", __name__).kernel
    if name in ("amp", "nvtx"):
        return importlib.import_module(f".{name}", __name__)
    if name in _LATE:
        if not is_available():
            return absent.stand_in(name)
        backend.require()
        return getattr(importlib.import_module(f".{_LATE[name]}", __name__), name)
    if name.endswith("Tensor"):  # `cuda.FloatTensor` and the others
        from ..legacy_types import CUDA_TYPES

        if name in CUDA_TYPES:
            return CUDA_TYPES[name]
    raise AttributeError(f"module 'gpugrad.cuda' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE, "amp", "kernel", "nvtx"})


__all__ = [
    "OutOfMemoryError",
    "current_device",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "init",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "is_tf32_supported",
    "manual_seed",
    "manual_seed_all",
    "set_device",
    "synchronize",
]
