"""Memory shared with other libraries, without a copy: NumPy, CuPy, PyTorch, JAX, by DLPack or CuPy's own arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Tensor, canonical, wrap

_CUDA, _CPU = 2, (1, 3)  # DLPack's numbers: kDLCUDA; kDLCPU and kDLCUDAHost


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of an array with `__dlpack__`, on the CPU or a CUDA device.

    TypeError for what has no such method; BufferError or RuntimeError for another kind of device.
    """
    if not hasattr(ext_tensor, "__dlpack__") or not hasattr(ext_tensor, "__dlpack_device__"):
        raise TypeError(f"from_dlpack(): expected an array with __dlpack__, got {type(ext_tensor).__name__}")
    kind, index = ext_tensor.__dlpack_device__()
    if kind in _CPU:
        return wrap(canonical(np.from_dlpack(ext_tensor)))
    if kind != _CUDA:
        raise RuntimeError(
            f"from_dlpack(): arrays on device type {int(kind)} of DLPack cannot be used; copy it to the CPU"
        )
    from .cuda import backend

    backend.require(int(index))
    return from_cupy(backend.cupy().from_dlpack(ext_tensor))


def from_cupy(array: Any) -> Tensor:
    """A tensor that shares memory with a CuPy array. TypeError for anything else, or a dtype gpugrad lacks."""
    from .cuda import backend

    if not backend.device_count() or not isinstance(array, backend.cupy().ndarray):
        raise TypeError(f"expected cupy.ndarray (got {type(array).__name__}); use from_numpy, from_dlpack or tensor")
    backend.require()
    from .cuda.array import DeviceArray
    from .dtypes import BY_NUMPY

    if array.dtype not in BY_NUMPY:
        known = ", ".join(d.name for d in BY_NUMPY.values())
        raise TypeError(f"can't convert cupy.ndarray of type {array.dtype}. The only supported types are: {known}")
    return wrap(array.view(type=DeviceArray))


__all__ = ["from_cupy", "from_dlpack"]
