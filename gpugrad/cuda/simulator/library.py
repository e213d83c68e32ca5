"""The compiled runtime as Python sees it: structures of runtime/runtime.h and functions."""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, c_char, c_char_p, c_int, c_int32, c_uint32, c_uint64, c_void_p

from . import settings
from .build import runtime_library


class Fault(ctypes.Structure):
    """What stopped a launch."""

    _fields_ = [
        ("kind", c_int32),
        ("is_write", c_int32),
        ("block", c_uint32 * 3),
        ("thread", c_uint32 * 3),
        ("other_thread", c_uint32 * 3),
        ("size", c_uint32),
        ("address", c_uint64),
        ("pc", c_uint64),
        ("other_pc", c_uint64),
        ("line", c_int32),
        ("other_is_write", c_int32),
        ("file", c_char * 256),
        ("text", c_char * 512),
    ]


class Param(ctypes.Structure):
    """Size and kind (p, f, i, o) of one parameter of a kernel."""

    _fields_ = [("size", c_uint32), ("kind", c_char)]


class Kernel(ctypes.Structure):
    """A row of a module's table of kernels."""

    _fields_ = [("name", c_char_p), ("entry", c_void_p), ("count", c_uint32), ("params", POINTER(Param))]


class ModuleInfo(ctypes.Structure):
    """What source.fence_shared put into the module."""

    _fields_ = [
        ("shared_begin", c_uint64),
        ("shared_end", c_uint64),
        ("image_begin", c_uint64),
        ("image_end", c_uint64),
        ("variables", c_uint64),
    ]


class Launch(ctypes.Structure):
    """One launch."""

    _fields_ = [
        ("entry", c_void_p),
        ("args", c_void_p),
        ("grid", c_uint32 * 3),
        ("block", c_uint32 * 3),
        ("seed", c_uint64),
        ("dynamic_shared", c_uint64),
        ("shared_begin", c_uint64),
        ("shared_end", c_uint64),
        ("image_begin", c_uint64),
        ("image_end", c_uint64),
        ("shared_ranges", c_void_p),
        ("shared_count", c_uint64),
    ]


@functools.cache
def runtime() -> ctypes.CDLL:
    """The runtime, compiled on first use. RuntimeError without a C++ compiler."""
    mode = ",".join(settings.sanitizers()) or "plain"
    library = ctypes.CDLL(str(runtime_library(mode)))
    library.gpugrad_arena_open.argtypes = [c_uint64]
    library.gpugrad_arena_open.restype = c_uint64
    library.gpugrad_arena_shadow.restype = c_uint64
    library.gpugrad_arena_release.argtypes = [c_uint64, c_uint64]
    library.gpugrad_arena_fence.argtypes = [c_uint64, c_uint64, c_int]
    library.gpugrad_launch.argtypes = [POINTER(Launch), POINTER(Fault)]
    library.gpugrad_launch.restype = c_int
    return library
