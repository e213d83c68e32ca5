"""CuPy itself on a machine without a GPU: the runtime library inside it, and the driver, replaced by driver.cc.

    python -m attach ...           then what follows, as python would run it (with tests/stand_in on the path)

CuPy's extension modules contain CUDA's runtime library, whose functions are still in their tables of symbols: each is made
to jump to the function of that name in driver.cc or, where there is none, to say so and fail. Kernels are compiled by the
simulator's compiler in place of NVRTC, CuPy's own ones as well as ours. Only for Linux on x86-64.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
JUMP = 12  # bytes of `mov rax, address; jmp rax`
NAMED = 22  # with `mov rdi, name` before


# By the name of a library of CUDA: what is written here of it, and CuPy's module that it is linked to.
LIBRARIES = {
    "libcuda.so.1": ("driver.cc", None),
    "libnvJitLink.so.13": (None, None),
    "libcublasLt.so.13": ("products.cc", None),
    "libcublas.so.13": ("products.cc", "cublas"),
    "libcusparse.so.12": (None, "cusparse"),
    "libcusolver.so.12": (None, "cusolver"),
    "libcurand.so.10": (None, "curand"),
}


def build(folder: Path) -> list[Path]:
    """Compile the stand-ins under the names of CUDA's libraries, the driver first. What is not there says so when called."""
    import cupy_backends

    from gpugrad.cuda import module
    from gpugrad.cuda.simulator import build as simulator

    runtime, modules = simulator.runtime_library("plain"), Path(cupy_backends.__file__).parent / "cuda" / "libs"
    common = [simulator.find_compiler().path, "-std=c++17", "-O2", "-g1", "-fPIC", "-shared", f"-I{simulator.RUNTIME}"]
    common += [f"-I{module._toolkit_includes()[0]}", f"-Wl,-rpath,{runtime.parent}:{folder}"]
    for name, (source, linked) in LIBRARIES.items():
        made, own = folder / name, HERE / (source or "attach.py")
        if made.is_file() and made.stat().st_mtime > max(own.stat().st_mtime, Path(__file__).stat().st_mtime):
            continue
        called = wanted(next(modules.glob(f"{linked}.*.so"))) if linked else []
        rest = [f'extern "C" __attribute__((weak)) int {n}() {{ return stand_in_missing("{n}"); }}\n' for n in called]
        (folder / f"{name}.cc").write_text('extern "C" int stand_in_missing(const char*);\n' + "".join(rest))
        (folder / f"{name}.map").write_text(f"{name} {{ global: *; }};\n")
        sources = [str(own)] * (source is not None) + [str(folder / f"{name}.cc")]
        below = str(runtime if source == "driver.cc" else folder / "libcuda.so.1")
        temporary = f"{made}.{os.getpid()}"
        named = [f"-Wl,-soname,{name}", f"-Wl,--version-script={folder}/{name}.map"]
        subprocess.run([*common, *named, *sources, below, "-ldl", "-o", temporary], check=True)
        os.replace(temporary, made)
    return [folder / name for name in LIBRARIES]


def wanted(path: Path) -> list[str]:
    """The functions of CUDA's libraries that an ELF file has to be linked to."""
    return [name for name, section, *_ in symbols(path, 11) if not section and re.match(r"cu(blas|solver|sparse|rand)[A-Z]", name)]


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, address and size of each function in an ELF file."""
    for name, section, kind, value, extent in symbols(path, 2):
        if kind == 2 and section:  # STT_FUNC, defined
            yield name, value, extent


def symbols(path: Path, table: int) -> Iterator[tuple[str, int, int, int, int]]:
    """Name, section (0: of another file), kind, address and size of each symbol: SHT_SYMTAB 2, SHT_DYNSYM 11."""
    image = path.read_bytes()
    at, size, count = (*struct.unpack_from("<Q", image, 0x28), *struct.unpack_from("<HH", image, 0x3A))
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, at + k * size) for k in range(count)]
    for kind, offset, length, link in ((s[1], s[4], s[5], s[6]) for s in sections):
        if kind != table:
            continue
        for entry in range(offset, offset + length, 24):
            name, info, _, section, value, extent = struct.unpack_from("<IBBHQQ", image, entry)
            start = sections[link][4] + name
            yield image[start : image.index(b"\0", start)].decode(), section, info & 15, value, extent


def base_of(path: Path) -> int:
    """Where a loaded library begins."""
    for row in Path("/proc/self/maps").read_text().splitlines():
        if row.endswith(str(path.resolve())):
            return int(row.split("-")[0], 16)
    raise RuntimeError(f"{path} is not loaded")


def redirect(path: Path, driver: ctypes.CDLL) -> None:
    """Make the functions of CUDA's runtime library in a loaded module jump to those of the driver."""
    base, libc = base_of(path), ctypes.CDLL(None, use_errno=True)
    missing = ctypes.cast(driver.stand_in_missing, ctypes.c_void_p).value
    for name, address, size in functions(path):
        if not (name.startswith("cuda") and name[4:5].isupper()):
            continue
        target = getattr(driver, name.removesuffix("_ptsz").removesuffix("_ptds"), None)
        if target is not None:
            code = b"\x48\xb8" + struct.pack("<Q", ctypes.cast(target, ctypes.c_void_p).value) + b"\xff\xe0"
        else:
            kept = ctypes.create_string_buffer(name.encode())
            _names.append(kept)
            code = b"\x48\xbf" + struct.pack("<Q", ctypes.addressof(kept))
            code += b"\x48\xb8" + struct.pack("<Q", missing) + b"\xff\xe0"
        if size < len(code):
            continue
        first = (base + address) & -mmap.PAGESIZE
        extent = base + address + len(code) - first
        if libc.mprotect(ctypes.c_void_p(first), ctypes.c_size_t(extent), 7):
            raise OSError(ctypes.get_errno(), "mprotect")
        ctypes.memmove(base + address, code, len(code))


_names: list[Any] = []


def attach(folder: Path) -> Any:
    """CuPy, with its device. To be called before anything imports it."""
    os.environ.setdefault("CUPY_CACHE_DIR", str(folder / "cubins"))
    os.environ["CUPY_ACCELERATORS"] = ""
    driver, *_ = [ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL) for path in build(folder)]
    import cupy_backends.cuda.api.runtime as runtime

    redirect(Path(runtime.__file__), driver)
    from cupy.cuda import compiler

    compiler._compile_using_nvrtc_no_warning = compile_for_host
    compiler._preprocess = lambda *_: ""
    import cupy

    return cupy


def compile_for_host(
    source: str, options: Sequence[str] = (), arch: Any = None, filename: str = "", name_expressions: Any = None, *rest: Any
) -> tuple[bytes, Any]:
    """What CuPy calls in place of NVRTC: the path of a library, and names by name expression."""
    from gpugrad.cuda.simulator.build import CompileException, build

    names = tuple(name_expressions or ())
    try:
        built = build(with_own_headers(source, set()), [o for o in options if o.startswith(("-I", "-D"))], names, "plain")
    except CompileException as error:
        from cupy.cuda import compiler

        raise compiler.CompileException(str(error), source, filename, options, "nvrtc") from None
    return str(built.library).encode() + b"\0", {name: name for name in names} or None


STANDARD = {"cupy/complex.cuh": "#include <complex>\nusing std::complex;\n"}
PREAMBLE = """#define __CUDACC_VER_MAJOR__ 13
struct __half_raw {
    unsigned short x;
    __half_raw() = default;
    __half_raw(__half h) : x(h.bits) {}
    operator __half() const { return __half::from_bits(x); }
};
template <class T> inline int __hisinf(T x) { return __builtin_isinf(static_cast<float>(x)); }
"""


def with_own_headers(source: str, seen: set[str]) -> str:
    """`source` with CuPy's own headers put in place."""
    import cupy

    folder = Path(cupy.__file__).parent / "_core" / "include"

    def put(found: re.Match[str]) -> str:
        if found[1] in seen:
            return ""
        seen.add(found[1])
        if found[1] in STANDARD:
            return STANDARD[found[1]]
        text = (folder / found[1]).read_text().replace("#pragma once", "")
        return with_own_headers(text.replace("unsigned long long v) : data_(v)", "unsigned long long v) : data_(float(v))"), seen)

    own = PREAMBLE if not seen and "<cupy/" in source else ""
    return own + re.sub(r"^\s*#\s*include\s*[<\"](cupy/[^>\"]+)[>\"].*$", put, source, flags=re.MULTILINE)


if __name__ == "__main__":
    import runpy
    import tempfile

    attach(Path(tempfile.mkdtemp()))
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "-m":
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
