"""Kernels compiled by NVRTC for a real device, and kept on disk.

`cupy.RawModule`, which does the same, has numbers below 2**-126 taken for zero (`-ftz=true`, after whatever options it
is given); the CPU and PyTorch compute with them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from . import backend, cache

Kernel = Callable[..., None]


def load(source: str, options: tuple[str, ...], names: Sequence[str], headers: str) -> list[Kernel]:
    """The kernels of these name expressions, loaded on the current device.

    `headers` names the texts that the source includes: one that changes it is compiled anew. CuPy's CompileException if
    it does not compile.
    """
    cp = backend.cupy()
    capability = cp.cuda.Device().compute_capability
    parts = [source, *options, *names, headers, capability, str(cp.cuda.nvrtc.getVersion())]
    path = cache.folder() / "cubins" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    kept = _read(path)
    if kept is None:
        cubin, lowered = cp.cuda.compiler.compile_using_nvrtc(
            source, options, name_expressions=tuple(names), cache_in_memory=True
        )
        kept = [lowered[name] for name in names], cubin
        _write(path, *kept)
    module = cp.cuda.function.Module()
    module.load(kept[1])
    return [module.get_function(name) for name in kept[0]]


def _read(path: Path) -> tuple[list[str], bytes] | None:
    """Names in the machine code, and the code."""
    try:
        names, _, cubin = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return json.loads(names), cubin


def _write(path: Path, names: list[str], cubin: bytes) -> None:
    """In one piece, since processes may compile the same thing at once. Where nothing can be kept, nothing is."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(names).encode() + b"\n" + cubin)
        os.replace(made, path)


__all__ = ["load"]
