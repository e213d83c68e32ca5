"""Compiles the stand-ins for CUDA's libraries, each under the name that CuPy, or nvmath, looks for.

What CuPy's modules are linked to and nobody wrote is there too: it says that it was called, and fails.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gpugrad.cuda import cache, module
from gpugrad.cuda.simulator import build as simulator

HERE = Path(__file__).parent
DRIVER = "libcuda.so.1"
# By name: the sources, and the module of CuPy that is linked to it
LIBRARIES: dict[str, tuple[tuple[str, ...], str | None]] = {
    DRIVER: (("runtime.cc", "driver.cc"), None),
    "libnvJitLink.so.13": ((), None),
    "libcublasLt.so.13": (("products.cc",), None),
    "libcublas.so.13": (("products.cc", "factors.cc"), "cublas"),
    "libcusparse.so.12": ((), "cusparse"),
    "libcusolver.so.12": (("factors.cc",), "cusolver"),
    "libcurand.so.10": ((), "curand"),
}


def build() -> list[Path]:
    """The libraries, in the order they are to be loaded in."""
    runtime, modules = simulator.runtime_library("plain").resolve(), _modules()
    parts = [
        str(runtime),
        *map(str, modules.values()),
        *(p.read_text() for p in sorted(HERE.glob("*.*c*")) if p.is_file()),
    ]
    folder = (cache.folder() / "stand-in").resolve() / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        for name, (own, linked) in LIBRARIES.items():
            _compile(made, folder, runtime, name, own, _wanted(modules[linked]) if linked else [])
        try:
            made.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    return [folder / name for name in LIBRARIES]


def _modules() -> dict[str, Path]:
    """CuPy's modules that are linked to CUDA's libraries."""
    found = importlib.util.find_spec("cupy_backends")
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent / "cuda" / "libs"
    return {path.name.partition(".")[0]: path for path in sorted(folder.glob("*.so"))}


def _compile(made: Path, folder: Path, runtime: Path, name: str, own: tuple[str, ...], wanted: list[str]) -> None:
    """Write `made`/`name`, which will lie in `folder`."""
    missing = [f'extern "C" __attribute__((weak)) int {n}() {{ return stand_in_missing("{n}"); }}\n' for n in wanted]
    (made / "missing.cc").write_text('extern "C" int stand_in_missing(const char*);\n' + "".join(missing))
    (made / "versions").write_text(f"{name} {{ global: *; }};\n")  # CuPy is linked to functions of that version
    sources = [str(made / "missing.cc"), *(str(HERE / source) for source in own)]
    below = runtime if name == DRIVER else made / DRIVER
    flags = [
        "-std=c++17",
        "-O1",
        "-g1",
        "-fPIC",
        "-shared",
        f"-Wl,-soname,{name}",
        f"-Wl,--version-script={made}/versions",
    ]
    folders = [f"-I{module._toolkit_includes()[0]}", f"-I{simulator.RUNTIME}", f"-Wl,-rpath,{runtime.parent}:{folder}"]
    compiler = simulator.find_compiler().path
    subprocess.run([compiler, *flags, *folders, *sources, str(below), "-ldl", "-o", str(made / name)], check=True)


def _wanted(path: Path) -> list[str]:
    """The functions of CUDA's libraries that an ELF file has to be linked to."""
    names = (name for name, section, *_ in symbols(path, DYNAMIC) if not section)
    return [name for name in names if re.match(r"cu(blas|solver|sparse|rand)[A-Z]", name)]


TABLE, DYNAMIC = 2, 11  # kinds of sections: SHT_SYMTAB, SHT_DYNSYM


def symbols(path: Path, table: int) -> Iterator[tuple[str, int, int, int, int]]:
    """Name, section (0: of another file), kind (2: function), address and size of each symbol of an ELF file."""
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
