"""Kernels by name: sources from `kernels/`, compiled when first used on a device.

    forward, backward = kernels("softmax.cu", "gpugrad::forward<float>", "gpugrad::backward<float>")
    forward((blocks,), (threads,), (x, out, np.int64(rows)), shared_mem=0)

Arguments are DeviceArrays, passed by address, and NumPy scalars of exactly the parameter's type. A kernel may be kept
and launched on any device: it runs on the current one.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..dtypes import BY_NUMPY
from . import backend, nvrtc
from .errors import explain_missing_library, missing

Kernel = Callable[..., None]

# By dtype name: what kernels call it
CUDA_NAMES = {
    "float32": "float",
    "float64": "double",
    "float16": "__half",
    "bfloat16": "__nv_bfloat16",
    "int64": "long long",
    "int32": "int",
    "int16": "short",
    "int8": "signed char",
    "uint64": "unsigned long long",
    "uint32": "unsigned int",
    "uint16": "unsigned short",
    "uint8": "unsigned char",
    "bool": "bool",
}


def cuda_name(dtype: Any) -> str:
    """The C++ type of a NumPy dtype."""
    return CUDA_NAMES[BY_NUMPY[dtype].name]


@functools.cache
def folder() -> Path:
    """Where the kernel sources lie: inside the package if it was installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return next(f for f in (package / "kernels", package.parent / "kernels") if (f / "common.cuh").is_file())


@functools.cache
def _digest() -> str:
    """A name for the texts of all kernels, which a source may include."""
    found = hashlib.blake2b(digest_size=8)
    for path in sorted(folder().glob("*.cu*")):
        found.update(path.read_bytes())
    return found.hexdigest()


def kernels(file: str, *names: str) -> list[Kernel]:
    """Kernels of a file by name expression; those named together are compiled together."""
    return compiled(_source(file), *names)


@functools.cache
def _source(file: str) -> str:
    return f'#line 1 "kernels/{file}"\n{(folder() / file).read_text()}'


def compiled(source: str, *names: str) -> list[Kernel]:
    """Kernels of a source text, which may include files of `kernels/`."""
    made = _load(source, names, current_device())
    if backend.device_count() == 1:
        return made
    return [_OnAnyDevice(source, names, k) for k in range(len(names))]


class _OnAnyDevice:
    """A kernel where there are several devices. What is loaded belongs to one of them: each gets its own when first needed."""

    def __init__(self, source: str, names: tuple[str, ...], place: int) -> None:
        self._source, self._names, self._place = source, names, place
        self._loaded: dict[int, Kernel] = {}  # by device

    def __call__(self, *launch: Any, **options: Any) -> None:
        device = current_device()
        if device not in self._loaded:
            self._loaded[device] = _load(self._source, self._names, device)[self._place]
        self._loaded[device](*launch, **options)


def current_device() -> int:
    """The index of the current device."""
    return 0 if backend.device_count() == 1 else int(backend.cupy().cuda.runtime.getDevice())


@functools.cache
def _load(source: str, names: tuple[str, ...], device: int) -> list[Kernel]:
    cp = backend.cupy()
    options: tuple[str, ...] = ("-std=c++17", f"-I{folder()}")
    try:
        if backend.simulated():
            module = cp.RawModule(code=source, options=options, name_expressions=names)
            return [module.get_function(name).kernel for name in names]
        options += tuple(f"-I{path}" for path in _toolkit_includes())
        return nvrtc.load(source, options, names, _digest())
    except cp.cuda.compiler.CompileException as error:
        raise RuntimeError(f"a CUDA kernel does not compile:\n{error}") from None
    except (RuntimeError, ImportError) as error:
        explain_missing_library(error)
        raise


def _toolkit_includes() -> list[str]:
    """Folders with cuda_fp16.h, which NVRTC does not bring: of an installed toolkit, or of NVIDIA's wheels.

    RuntimeError, saying what to install, if there is none.
    """
    import os
    import sys

    found = [os.path.join(os.environ[v], "include") for v in ("CUDA_PATH", "CUDA_HOME") if v in os.environ]
    found += ["/usr/local/cuda/include"]
    for entry in sys.path:
        found += [str(p) for p in Path(entry or ".").glob("nvidia/c*/include")]
    having = [p for p in found if os.path.isfile(os.path.join(p, "cuda_fp16.h"))]
    if not having:
        raise RuntimeError(missing("CUDA's headers (cuda_fp16.h)", "nvidia-cuda-runtime"))
    return having[:1]


def multiprocessors() -> int:
    """How many streaming multiprocessors the current device has."""
    return _multiprocessors(current_device())


@functools.cache
def _multiprocessors(device: int) -> int:
    return int(backend.cupy().cuda.runtime.getDeviceProperties(device)["multiProcessorCount"])


def blocks_for(count: int, each: int, per_multiprocessor: int = 8) -> tuple[int]:
    """A one-dimensional grid for `count` items, `each` to a block and pass, of at most that many blocks at a time."""
    return (max(1, min(-(-count // each), multiprocessors() * per_multiprocessor)),)


def grid_over(count: int, each: int) -> tuple[int]:
    """A one-dimensional grid with a block for every `each` of `count` items.

    Where a block does no more than read and write, blocks that end and others that begin keep the memory busier than
    few which go round: 0.99 of a copy's bandwidth against 0.89 for exp on an H200.
    """
    return (max(1, min(-(-count // each), 2**31 - 1)),)


def int64(value: int) -> np.int64:
    """A size or stride as a kernel takes it."""
    return np.int64(value)
