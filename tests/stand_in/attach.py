"""CuPy itself on a machine without a GPU: with this folder on PYTHONPATH, every Python process has a device "Stand-in".

    PYTHONPATH=$PWD/tests/stand_in:. python -m pytest -m cuda       (or ci/gpu: all that it does on a GPU's machine)

The simulator stands in for CuPy; this stands in for what is beneath CuPy, and so shows what is wrong in how CuPy, and
nvmath, are called. CuPy's module `runtime` contains CUDA's runtime library, whose functions are still in its table of
symbols: each is made to jump to the function of that name in runtime.cc or, where there is none, to say so and fail.
Kernels, CuPy's own too, are compiled by the simulator's compiler in place of NVRTC, which is not loaded. Only for Linux
on x86-64. Settings:

    GPUGRAD_STAND_IN_WITHOUT=nvmath      a module that is taken for missing
    GPUGRAD_STAND_IN_SOURCES=FOLDER      every source that NVRTC would have been given is written there
    GPUGRAD_STAND_IN_LAUNCHES=FILE       and of every kernel the most threads and shared memory it was launched with
    GPUGRAD_STAND_IN_SKIP=1              launch nothing, to time the host alone
    GPUGRAD_STAND_IN_VERBOSE=1           say what was refused, and why
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import re
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import libraries
import numpy

_names: list[Any] = []  # of functions that are missing, which must stay where they are


def attach() -> None:
    """Give CuPy its device; before anything imports it."""
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB and Thrust have a runtime library of their own
    for lapack in (Path(numpy.__file__).parents[1] / "numpy.libs").glob("libscipy_openblas64_*"):  # for factors.cc
        ctypes.CDLL(str(lapack), mode=ctypes.RTLD_GLOBAL)
    driver, *_ = [ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL) for path in libraries.build()]
    import cupy_backends.cuda.api.runtime as runtime

    _redirect(Path(runtime.__file__), driver)
    os.register_at_fork(after_in_child=lambda: _refuse(Path(runtime.__file__), driver))
    from cupy.cuda import compiler

    compiler._compile_using_nvrtc_no_warning = compile_for_host
    compiler._preprocess = lambda *_: ""
    compiler._kernel_cache_backend = _Forgetful()
    compiler.nvrtc.getVersion = lambda: (0, 0)  # what gpugrad keeps on disk is kept apart by it
    without = os.environ.get("GPUGRAD_STAND_IN_WITHOUT")
    if without:
        sys.modules[without] = None  # type: ignore[assignment]


class _Forgetful:
    """Keeps nothing: what is machine code here is the path of a library."""

    def load(self, name: str) -> None:
        """Nothing."""

    def save(self, name: str, payload: bytes, source: str) -> None:
        """Nothing."""


def _refuse(path: Path, driver: ctypes.CDLL) -> None:
    """CUDA does not work in a process forked after it was initialised."""
    if driver.stand_in_initialised():
        _redirect(path, driver, driver.stand_in_forked)


_STILL_ANSWERED = {"cudaGetErrorName", "cudaGetErrorString", "cudaGetLastError", "cudaPeekAtLastError"}


def _redirect(path: Path, driver: ctypes.CDLL, refusal: Any = None) -> None:
    """Make the functions of CUDA's runtime library in a loaded module jump to those of the driver, or to `refusal`."""
    base, libc = _base_of(path), ctypes.CDLL(None, use_errno=True)
    for name, section, kind, address, size in libraries.symbols(path, libraries.TABLE):
        if kind != 2 or not section or not re.match(r"cuda[A-Z]", name):
            continue
        if refusal is not None and name in _STILL_ANSWERED:
            continue
        code = _code(name, driver) if refusal is None else _jump(refusal)
        if size < len(code):
            continue
        first = (base + address) & -mmap.PAGESIZE
        extent = base + address + len(code) - first
        if libc.mprotect(ctypes.c_void_p(first), ctypes.c_size_t(extent), 7):
            raise OSError(ctypes.get_errno(), "mprotect")
        ctypes.memmove(base + address, code, len(code))


def _code(name: str, driver: ctypes.CDLL) -> bytes:
    """A jump to the driver's function of that name, or to the one that says it is missing."""
    target, code = getattr(driver, name.removesuffix("_ptsz").removesuffix("_ptds"), None), b""
    if target is None:
        kept = ctypes.create_string_buffer(name.encode())
        _names.append(kept)
        code, target = b"\x48\xbf" + struct.pack("<Q", ctypes.addressof(kept)), driver.stand_in_missing  # mov rdi, name
    return code + _jump(target)


def _jump(target: Any) -> bytes:
    return b"\x48\xb8" + struct.pack("<Q", ctypes.cast(target, ctypes.c_void_p).value) + b"\xff\xe0"  # jmp rax


def _base_of(path: Path) -> int:
    """Where a loaded library begins."""
    for row in Path("/proc/self/maps").read_text().splitlines():
        if row.endswith(str(path.resolve())):
            return int(row.split("-")[0], 16)
    raise RuntimeError(f"{path} is not loaded")


# ---- what stands in for NVRTC ----


def compile_for_host(
    source: str,
    options: Sequence[str] = (),
    arch: Any = None,
    filename: str = "",
    name_expressions: Any = None,
    *rest: Any,
) -> tuple[bytes, Any]:
    """The path of a library, which driver.cc takes for machine code, and the name in it of each name expression."""
    from gpugrad.cuda.simulator import settings
    from gpugrad.cuda.simulator.build import CompileException, build

    names = tuple(name_expressions or ())
    own = [o for o in options if o.startswith(("-I", "-D"))]
    try:
        built = build(_with_cupys_headers(source, set()), own, names, "fused" if settings.fused() else "plain")
    except CompileException as error:
        from cupy.cuda import compiler

        raise compiler.CompileException(str(error), source, filename, options, "nvrtc") from None
    folder = os.environ.get("GPUGRAD_STAND_IN_SOURCES")
    if folder:
        given = {"source": source, "options": list(options), "names": names, "library": str(built.library)}
        Path(folder, f"{built.library.parent.name}.json").write_text(json.dumps(given))
    return str(built.library).encode() + b"\0", {name: name for name in names} or None


_REPLACED = {"cupy/complex.cuh": "#include <complex>\nusing std::complex;\n"}
_BEFORE = """#define __CUDACC_VER_MAJOR__ 13
struct __half_raw {
    unsigned short x;
    __half_raw() = default;
    __half_raw(__half h) : x(h.bits) {}
    operator __half() const { return __half::from_bits(x); }
};
template <class T> inline int __hisinf(T x) { return __builtin_isinf(static_cast<float>(x)); }
"""


def _with_cupys_headers(source: str, seen: set[str]) -> str:
    """`source` with CuPy's own headers put in place."""
    import cupy

    folder = Path(cupy.__file__).parent / "_core" / "include"

    def put(found: re.Match[str]) -> str:
        if found[1] in seen:
            return ""
        seen.add(found[1])
        if found[1] in _REPLACED:
            return _REPLACED[found[1]]
        text = (folder / found[1]).read_text().replace("#pragma once", "")
        text = text.replace("unsigned long long v) : data_(v)", "unsigned long long v) : data_(float(v))")
        return _with_cupys_headers(text, seen)

    before = _BEFORE if not seen and "<cupy/" in source else ""
    return before + re.sub(r"^\s*#\s*include\s*[<\"](cupy/[^>\"]+)[>\"].*$", put, source, flags=re.MULTILINE)
