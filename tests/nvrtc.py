"""NVRTC, CUDA's compiler as a library, on a machine that need not have a GPU: what CuPy compiles our kernels with.

It is found where pip puts the wheel `nvidia-cuda-nvrtc` (of the extras `test`, `cuda12`, `cuda13`), else in a toolkit.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

KERNELS = Path(__file__).parents[1] / "kernels"
ARCHITECTURES = [75, 80, 90, 120]


class Compiled(NamedTuple):
    """What the assembler says of a kernel: registers of a thread, bytes that it spills to memory."""

    name: str
    registers: int
    spilled: int


@functools.cache
def _library() -> Path | None:
    places = [Path(entry or ".") / "nvidia" for entry in sys.path]
    found = [p for place in places for p in place.glob("c*/lib/libnvrtc.so.*")]
    toolkits = [os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    found += [p for folder in toolkits if folder for p in Path(folder).glob("lib*/libnvrtc.so.*")]
    return next((p for p in found if "builtins" not in p.name and (_headers(p) / "cuda_fp16.h").is_file()), None)


def _headers(library: Path) -> Path:
    return library.parents[1] / "include"


def need() -> None:
    """Skip the test without NVRTC; with GPUGRAD_REQUIRE_PEERS=1 that is a failure instead."""
    if _library() is None:
        missing = "needs NVRTC and its headers: pip install nvidia-cuda-nvrtc nvidia-cuda-runtime"
        (pytest.fail if os.environ.get("GPUGRAD_REQUIRE_PEERS") == "1" else pytest.skip)(missing)


class _Program:
    """One compilation."""

    def __init__(self, source: str, names: Sequence[str], *options: str) -> None:
        need()
        found: Any = _library()
        self._nvrtc, self._handle, self._names = ctypes.CDLL(str(found)), ctypes.c_void_p(), names
        self._nvrtc.nvrtcCreateProgram(ctypes.byref(self._handle), source.encode(), b"test.cu", 0, None, None)
        for name in names:
            self._nvrtc.nvrtcAddNameExpression(self._handle, name.encode())
        options = ("-std=c++17", f"-I{KERNELS}", f"-I{_headers(found)}", *options)
        given = (ctypes.c_char_p * len(options))(*map(str.encode, options))
        failed = self._nvrtc.nvrtcCompileProgram(self._handle, len(options), given)
        self.said = self._text("ProgramLog")
        assert not failed, self.said

    def _text(self, what: str) -> str:
        size = ctypes.c_size_t()
        getattr(self._nvrtc, f"nvrtcGet{what}Size")(self._handle, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        getattr(self._nvrtc, f"nvrtcGet{what}")(self._handle, text)
        return text.value.decode()

    def ptx(self) -> str:
        return self._text("PTX")

    def lowered(self) -> dict[str, str]:
        """The names asked for, by what they are called in the compiled code."""
        mangled = {}
        for name in self._names:
            text = ctypes.c_char_p()
            self._nvrtc.nvrtcGetLoweredName(self._handle, name.encode(), ctypes.byref(text))
            mangled[(text.value or b"").decode()] = name
        return mangled


def compiled(source: str, names: Sequence[str], architecture: int) -> list[Compiled]:
    """The kernels of a source by name expression, compiled for an architecture (90: sm_90), in order of their names.

    AssertionError, with what the compiler says, if it does not compile.
    """
    program = _Program(source, names, f"-arch=sm_{architecture}", "--ptxas-options=-v")
    pattern = r"Compiling entry function '(\w+)'.*\n.*\n.* (\d+) bytes spill stores.*\n.*Used (\d+) registers"
    found = {name: (int(registers), int(spilled)) for name, spilled, registers in re.findall(pattern, program.said)}
    return sorted(Compiled(name, *found[mangled]) for mangled, name in program.lowered().items())


def ptx(source: str, names: Sequence[str], architecture: int) -> str:
    """The kernels of a source as virtual assembly."""
    return _Program(source, names, f"-arch=compute_{architecture}").ptx()
