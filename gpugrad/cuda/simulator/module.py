"""`RawModule` and `RawKernel`: compiling a source, packing arguments, launching."""

from __future__ import annotations

import bisect
import ctypes
import functools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import settings
from .array import ndarray
from .build import Built, build
from .device import submit
from .faults import LaunchError, explain
from .library import Fault, Kernel, Launch, ModuleInfo, Param, runtime
from .memory import thread

_lock = threading.Lock()  # the runtime runs one grid at a time
_STATIC_LIMIT = 48 << 10  # bytes of shared memory without an opt-in, as on every device


class Module:
    """A loaded library of kernels."""

    def __init__(self, built: Built) -> None:
        runtime()  # first, so that the library finds it
        self.built = built
        self._library = ctypes.CDLL(str(built.library))
        self.info = ModuleInfo.in_dll(self._library, "gpugrad_module")
        count = self.info.variables
        first = ctypes.addressof(self.info) + ctypes.sizeof(ModuleInfo)
        table = (ctypes.c_uint64 * (2 * count)).from_address(first)
        variables = sorted(zip(table[::2], table[1::2], built.shared_names))
        self._names = [name for _, _, name in variables]
        self.ranges = (ctypes.c_uint64 * (2 * count))(*(edge for begin, end, _ in variables for edge in (begin, end)))
        self.kernels = {k.name.decode(): k for k in self._rows()}
        self._functions: dict[tuple[str, int], Function] = {}

    def _rows(self) -> list[Kernel]:
        table = ctypes.cast(ctypes.addressof(Kernel.in_dll(self._library, "gpugrad_kernels")), ctypes.POINTER(Kernel))
        rows: list[Kernel] = []
        while table[len(rows)].name is not None:
            rows.append(table[len(rows)])
        return rows

    def function(self, name: str) -> Function:
        """The kernel of that name, loaded for the current device; RuntimeError if there is none."""
        key = (name, thread.device)
        if key not in self._functions:
            self._functions[key] = Function(self, name)
        return self._functions[key]

    def describe_shared(self, address: int) -> str:
        """Where a shared address lies, in words."""
        if not self.info.shared_begin <= address < self.info.shared_end:
            buffer = ctypes.c_char.in_dll(runtime(), "gpugrad_dynamic_shared")
            return f"byte {address - ctypes.addressof(buffer)} of the dynamic shared memory"
        at = bisect.bisect_right(self.ranges[::2], address) - 1
        if at >= 0 and address < self.ranges[2 * at + 1]:
            begin, end = self.ranges[2 * at : 2 * at + 2]
            return f"byte {address - begin} of {self._names[at]} ({end - begin} bytes)"
        past = address - self.ranges[2 * at + 1] if at >= 0 else 1 << 62
        before = self.ranges[2 * at + 2] - address if at + 1 < len(self._names) else 1 << 62
        if past <= before:
            return f"{past} bytes past the end of {self._names[at]}"
        return f"{before} bytes before {self._names[at + 1]}"


def _pack(argument: Any, place: int, kernel: str, param: Param) -> Any:
    """One argument as CuPy passes it: arrays by address, Python ints in 8 bytes, NumPy scalars in their own size."""
    value: Any
    if isinstance(argument, ndarray):
        value = np.uint64(argument.data.ptr)
    elif argument is None:
        value = np.uint64(0)
    elif hasattr(argument, "ptr"):
        value = np.uint64(argument.ptr)
    elif isinstance(argument, (bool, np.bool_)):
        value = np.bool_(argument)
    elif isinstance(argument, int):
        value = np.int64(argument)
    elif isinstance(argument, float):
        value = np.float64(argument)
    elif isinstance(argument, np.generic):
        value = argument
    else:
        raise TypeError(f"Unsupported type {type(argument)}")
    kind = param.kind.decode()
    given = "p" if isinstance(argument, ndarray) or argument is None else value.dtype.kind
    fits = {"p": "pu", "f": "f", "i": "iub", "o": "fiubVp"}[kind]
    if value.dtype.itemsize != param.size or given not in fits:
        words = {"p": "a pointer", "f": "floating point", "i": "an integer", "o": "a struct"}[kind]
        shown = (
            f"an array of {argument.dtype}"
            if isinstance(argument, ndarray)
            else f"{type(argument).__name__} ({value.dtype})"
        )
        raise LaunchError(
            f"kernel {kernel}: parameter {place} is {words} of {param.size} bytes, and was given {shown}, "
            f"{value.dtype.itemsize} bytes. A GPU would read the wrong bytes: wrap numbers in numpy.int32, numpy.float32 and so on"
        )
    return np.array(value).tobytes()


class Function:
    """A kernel of a module: called with grid, block and arguments."""

    max_dynamic_shared_size_bytes = _STATIC_LIMIT

    def __init__(self, module: Module, name: str) -> None:
        found = module.kernels.get(name)
        if found is None:
            raise RuntimeError(
                f"the module has no kernel {name!r}; it has {', '.join(module.kernels) or 'none'}. "
                "Kernels that are templates are to be listed in name_expressions"
            )
        self.module, self.name, self._kernel, self._device = module, name, found, thread.device

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence[Any],
        shared_mem: int = 0,
        stream: Any = None,
    ) -> None:
        self.launch(grid, block, args, shared_mem, _STATIC_LIMIT)

    def launch(
        self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any], shared_mem: int, limit: int
    ) -> None:
        """Run the grid, or write it down where a graph is captured. KernelError for what a GPU would not do."""
        if len(args) != self._kernel.count:
            raise LaunchError(
                f"kernel {self.name}: it has {self._kernel.count} parameters, and was given {len(args)} arguments"
            )
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise LaunchError(
                f"kernel {self.name}: {shared_mem} bytes of dynamic shared memory are more than "
                f"{self.max_dynamic_shared_size_bytes}; set "
                "max_dynamic_shared_size_bytes of the kernel first (227 KiB at most on sm_90)"
            )
        self._check_device(args)
        packed = [_pack(a, i, self.name, self._kernel.params[i]) for i, a in enumerate(args)]
        keep = tuple(a for a in args if isinstance(a, ndarray))  # until the launch is over
        submit(functools.partial(self._run, tuple(grid), tuple(block), packed, shared_mem, keep))

    def _check_device(self, args: Sequence[Any]) -> None:
        """LaunchError unless the kernel and its arrays belong to the current device."""
        if self._device != thread.device:
            raise LaunchError(
                f"kernel {self.name}: cudaErrorInvalidResourceHandle: it was loaded for device {self._device}, and "
                f"launched on device {thread.device}"
            )
        for place, x in enumerate(args):
            if isinstance(x, ndarray) and x._device != thread.device and x.size:
                raise LaunchError(
                    f"kernel {self.name}: parameter {place} is an array of device {x._device}, and the kernel was "
                    f"launched on device {thread.device}, which does not reach it"
                )

    def _run(self, grid: tuple[int, ...], block: tuple[int, ...], packed: list[bytes], shared: int, keep: Any) -> None:
        buffers = [_array_of(ctypes.c_char, max(len(raw), 16)).from_buffer_copy(raw.ljust(16, b"\0")) for raw in packed]
        pointers = _array_of(ctypes.c_void_p, len(buffers) + 1)(*map(ctypes.addressof, buffers))
        info, ranges = self.module.info, self.module.ranges
        launch = Launch(
            entry=self._kernel.entry,
            args=ctypes.addressof(pointers),
            grid=_array_of(ctypes.c_uint32, 3)(*_three(grid)),
            block=_array_of(ctypes.c_uint32, 3)(*_three(block)),
            seed=settings.seed(),
            dynamic_shared=shared,
            shared_begin=info.shared_begin,
            shared_end=info.shared_end,
            image_begin=info.image_begin,
            image_end=info.image_end,
            shared_ranges=ctypes.addressof(ranges),
            shared_count=info.variables,
        )
        fault = Fault()
        with _lock:
            failed = runtime().gpugrad_launch(launch, fault)
        if failed:
            raise explain(fault, self.module, self.name)


@functools.cache
def _array_of(kind: Any, count: int) -> Any:
    """The type `kind * count`, which would be garbage in a cycle if each launch made its own."""
    return kind * count


def _three(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(0, int(s)) for s in (*sizes, 1, 1)[:3])


@functools.lru_cache(maxsize=4096)
def _load(code: str, options: tuple[str, ...], names: tuple[str, ...], mode: str) -> Module:
    return Module(build(code, options, names, mode))


class RawModule:
    """A CUDA C++ source and its kernels; compiled when one of them is first asked for.

    Options other than -I and -D are the device compiler's business and pass unread. CompileException when the source
    does not compile, naming its file and line: begin `code` with `#line 1 "file.cu"` to have it called so.
    """

    def __init__(
        self,
        *,
        code: str,
        options: Sequence[str] = (),
        backend: str = "nvrtc",
        name_expressions: Sequence[str] | None = None,
        **ignored: Any,
    ) -> None:
        self.code, self.options = code, tuple(options)
        self.name_expressions = tuple(name_expressions or ())

    @property
    def module(self) -> Module:
        return _load(self.code, self.options, self.name_expressions, settings.mode())

    def compile(self, log_stream: Any = None) -> None:
        """Compile now."""
        _ = self.module

    def get_function(self, name: str) -> RawKernel:
        """The kernel of that name or name expression; RuntimeError if there is none."""
        made = RawKernel(self.code, name, self.options)
        made._module = self
        _ = made.kernel
        return made


class RawKernel:
    """One kernel of a source."""

    def __init__(self, code: str, name: str, options: Sequence[str] = (), **ignored: Any) -> None:
        self.code, self.name, self.options = code, name, tuple(options)
        self._module = RawModule(code=code, options=options)

    @property
    def kernel(self) -> Function:
        return self._module.module.function(self.name)

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """How much dynamic shared memory a launch may ask for; up to 227 KiB can be set."""
        return self.kernel.max_dynamic_shared_size_bytes

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        self.kernel.max_dynamic_shared_size_bytes = size

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shared_mem: int = 0
    ) -> None:
        self.kernel(grid, block, args, shared_mem)
