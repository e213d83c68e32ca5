"""Compiling for the host: which compiler, which flags, and a cache on disk.

Everything made here is keyed by what it is made from, lies under `cache_folder()`, and appears there in one rename, so
that processes may compile the same thing at once.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import cache
from .source import (
    fence_shared,
    inline_includes,
    kernel_table,
    may_have_plain_kernels,
    place_of,
    plain_kernels,
    replace_dynamic_shared,
)

HERE = Path(__file__).parent
INCLUDE, RUNTIME = HERE / "include", HERE / "runtime"
# The checks that need no run-time library of a sanitizer: runtime/checks.cc defines what these make the compiler call.
CHECK_FLAGS = (
    *("-Og", "-DGPUGRAD_CHECKED"),
    "-fsanitize=thread,alignment,shift,signed-integer-overflow,integer-divide-by-zero",
)
PLAIN_FLAGS = ("-O2",)
# One rounding of a product and a sum, as NVRTC has it. The compilers do that from -O2 on, and so not beside the checks.
FUSED_FLAGS = ("-O2", "-ffp-contract=fast", *(("-mfma",) if platform.machine() == "x86_64" else ()))
KERNEL_FLAGS = (
    *("-std=c++17", "-fPIC", "-g1", "-gdwarf-4", "-fvisibility=hidden", "-fdata-sections", "-fno-strict-aliasing"),
    *("-fno-threadsafe-statics", "-ffp-contract=off", "-Wno-attributes", "-Wno-unknown-pragmas"),
)


class CompileException(Exception):
    """A kernel's source does not compile. The message names the file and the line and shows it."""


@dataclass(frozen=True)
class Compiler:
    """The machine's C++ compiler."""

    path: str
    version: str
    is_gcc: bool

    def flags(self, mode: str) -> tuple[str, ...]:
        """What kernels are compiled with; `mode` is "check", "plain", "fused", or names sanitizers."""
        # Where variables live, which no fault names and -g1 leaves out, takes g++ a fourth of its time all the same
        gcc = ("-fno-gnu-unique", "-fno-var-tracking") if self.is_gcc else ()
        if mode == "plain":
            return (*KERNEL_FLAGS, *gcc, *PLAIN_FLAGS)
        if mode == "fused":
            return (*KERNEL_FLAGS, *gcc, *FUSED_FLAGS)
        if mode == "check":
            # clang's "bounds" is more than g++'s, and stops the process
            own = ("-fsanitize=bounds", "--param", "tsan-instrument-func-entry-exit=0")
            return (*KERNEL_FLAGS, *gcc, *CHECK_FLAGS, *(own if self.is_gcc else ["-fsanitize=array-bounds"]))
        # The address sanitizer's checks as calls: g++ takes a fifth less time than to write each of them out
        called = ("--param", "asan-instrumentation-with-call-threshold=0") if self.is_gcc and "address" in mode else ()
        return (*KERNEL_FLAGS, *gcc, *called, *sanitizer_flags(mode))


def sanitizer_flags(mode: str) -> tuple[str, ...]:
    """The flags, for compiling and linking, of a mode that names sanitizers; none for another."""
    if mode in ("plain", "check", "fused"):
        return ()
    return ("-Og", f"-fsanitize={mode}", "-fno-sanitize=vptr", "-fno-sanitize-recover=all")


@functools.cache
def find_compiler() -> Compiler:
    """The compiler named by $CXX, else g++, else clang++. RuntimeError that says what to install without one."""
    if platform.system() != "Linux":
        raise RuntimeError(
            f"the CUDA simulator runs on Linux, and this is {platform.system()}: run it in a container or virtual machine"
        )
    for name in (os.environ.get("CXX"), "g++", "clang++"):
        path = name and shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            return Compiler(path, version.splitlines()[0], "clang" not in version)
    raise RuntimeError(
        "the CUDA simulator compiles kernels with a C++ compiler, and neither $CXX, g++ nor clang++ is there: install one "
        "(Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; conda: conda install gxx)"
    )


def cache_folder() -> Path:
    """Where compiled code is kept."""
    return cache.folder() / "simulator"


def _key(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:24]


@functools.cache
def _own_sources() -> str:
    files = sorted([*INCLUDE.iterdir(), *RUNTIME.iterdir(), HERE / "source.py"])
    return "".join(f.name + f.read_text("utf-8") for f in files)


def _into_cache(folder: Path, files: Path) -> None:
    """Move what was made in `files` to `folder`, unless another process was faster."""
    try:
        files.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _run(compiler: Compiler, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "GCC_COLORS": ""}
    return subprocess.run(
        [compiler.path, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
    )


def runtime_library(mode: str) -> Path:
    """The compiled scheduler and checks."""
    compiler = find_compiler()
    if "address" in mode and "asan" not in os.environ.get("LD_PRELOAD", ""):
        raise RuntimeError(
            "GPUGRAD_SIMULATE_SANITIZE=address needs the sanitizer's library in the process from its start: run it with "
            f"LD_PRELOAD=$({compiler.path} -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0"
        )
    flags = ("-std=c++17", "-O2", "-g1", "-fPIC", "-shared", *sanitizer_flags(mode))
    folder = cache_folder() / ("runtime-" + _key(compiler.version, _own_sources(), *flags))
    if not folder.is_dir():
        cache_folder().mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache_folder()))
        sources = sorted(RUNTIME.glob("*.cc"))
        done = _run(compiler, [*flags, *sources, "-o", made / "libgpugrad_simulator.so"])
        if done.returncode:
            shutil.rmtree(made)
            raise RuntimeError(f"{compiler.path} does not compile the CUDA simulator itself:\n{done.stderr}")
        _into_cache(folder, made)
    return folder / "libgpugrad_simulator.so"


def _precompiled_header(compiler: Compiler, flags: tuple[str, ...]) -> list[str]:
    """Arguments that include simulator.h; with g++ from a precompiled copy."""
    if not compiler.is_gcc:
        return ["-include", str(INCLUDE / "simulator.h")]
    folder = cache_folder() / ("header-" + _key(compiler.version, _own_sources(), *flags))
    if not folder.is_dir():
        made = Path(tempfile.mkdtemp(dir=cache_folder()))
        (made / "kernel.h").write_text(f'#include "{INCLUDE / "simulator.h"}"\n')
        done = _run(compiler, [*flags, "-x", "c++-header", made / "kernel.h", "-o", made / "kernel.h.gch"])
        if done.returncode:
            raise RuntimeError(f"{compiler.path} does not compile the CUDA simulator's header:\n{done.stderr}")
        _into_cache(folder, made)
    return ["-include", str(folder / "kernel.h")]


@dataclass(frozen=True)
class Built:
    """A compiled source: its library, its text as compiled, and the names of its shared variables."""

    library: Path
    code: str
    shared_names: list[str]


def build(code: str, options: Sequence[str], names: Sequence[str], mode: str) -> Built:
    """Compile a CUDA source. CompileException, naming file and line, when it does not."""
    compiler = find_compiler()
    flags = (*compiler.flags(mode), *(o for o in options if o.startswith(("-D", "-U"))))
    folders = [Path(o[2:]) for o in options if o.startswith("-I")]
    code = replace_dynamic_shared(inline_includes(code, folders, "kernel.cu"))
    folder = cache_folder() / ("module-" + _key(compiler.version, _own_sources(), code, *flags, *names))
    if not folder.is_dir():
        runtime = runtime_library(mode)
        made = Path(tempfile.mkdtemp(dir=cache_folder()))
        try:
            _compile(compiler, flags, code, names, made, runtime, sanitizer_flags(mode))
        except BaseException:
            shutil.rmtree(made)
            raise
        _into_cache(folder, made)
    return Built(
        folder / "module.so",
        (folder / "module.cu").read_text("utf-8"),
        json.loads((folder / "shared.json").read_text()),
    )


def _compile(
    compiler: Compiler,
    flags: tuple[str, ...],
    code: str,
    names: Sequence[str],
    folder: Path,
    runtime: Path,
    link: tuple[str, ...],
) -> None:
    source, assembly = folder / "module.cu", folder / "module.s"
    source.write_text(code, "utf-8")
    search = ["-I", str(INCLUDE)]
    macros = [f for f in flags if f.startswith(("-D", "-U"))]
    plain: list[str] = []
    if may_have_plain_kernels(code):
        plain = plain_kernels(_run(compiler, ["-E", "-P", "-x", "c++", *macros, *search, source]).stdout)
    table = kernel_table([*names, *(n for n in plain if n not in names)])
    source.write_text(code + table, "utf-8")
    header = _precompiled_header(compiler, flags)
    done = _run(compiler, [*flags, *search, *header, "-S", "-x", "c++", source, "-o", assembly])
    if done.returncode:
        raise CompileException(_explain(done.stderr, code))
    # The address sanitizer fences variables itself
    fenced, variables = fence_shared(assembly.read_text("latin-1"), move=not link)
    assembly.write_text(fenced, "latin-1")  # strings of any bytes
    (folder / "shared.json").write_text(json.dumps(variables))
    # The runtime brings the standard libraries: searching them again would take half of the linker's time.
    libraries = ["-nostdlib", runtime, "-lgcc"] if compiler.is_gcc and not link else [runtime]
    done = _run(compiler, ["-shared", *link, assembly, *libraries, "-o", folder / "module.so"])
    if done.returncode:
        raise CompileException(f"the kernel compiles, but does not link:\n{done.stderr}")
    assembly.unlink()


def _explain(output: str, code: str) -> str:
    """The compiler's first error with its line of the source, then all that the compiler said."""
    first = re.search(r"^(.+?):(\d+):\d+: (?:fatal )?error: (.*)$", output, re.MULTILINE)
    if first is None:
        return f"the kernel does not compile:\n{output}"
    file, line, what = first[1], int(first[2]), first[3]
    return f"{file}:{line}: {what}\n    {place_of(code, file, line)}\nThe compiler said:\n{output}"
