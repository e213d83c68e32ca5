"""What a checked kernel did wrong, in words."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from .library import Fault
from .memory import device_memory
from .source import known_name, place_of

if TYPE_CHECKING:
    from .module import Module


class KernelError(RuntimeError):
    """A kernel did what a GPU would not forgive, or might: the launch ended there, and the process goes on."""


class OutOfBounds(KernelError):
    """An access outside every allocation, or outside the shared variables."""


class UninitializedRead(KernelError):
    """A read of memory that nobody wrote."""


class SharedMemoryRace(KernelError):
    """Two threads access the same shared memory, one of them writing, with no barrier between."""


class DivergentBarrier(KernelError):
    """Threads that should meet at one barrier or collective wait at different ones, or have ended."""


class UndefinedBehavior(KernelError):
    """A misaligned access, an array index out of bounds, an overflow, a failed assertion."""


class UncheckedFailure(KernelError):
    """A factorization failed where nobody asked whether it did."""


class LaunchError(KernelError):
    """Grid, block or arguments that no device would accept."""


_CLASSES = [
    *(KernelError, OutOfBounds, UninitializedRead, OutOfBounds, UninitializedRead, SharedMemoryRace),
    *(DivergentBarrier, DivergentBarrier, UndefinedBehavior, UndefinedBehavior, UndefinedBehavior, LaunchError),
]  # by FaultKind of runtime.h


def explain(fault: Fault, module: Module, kernel: str) -> KernelError:
    """The exception for a fault."""
    kind = _CLASSES[fault.kind]
    if kind is LaunchError:
        return LaunchError(f"kernel {kernel}: {_text(fault.text)}")
    file, line = (_text(fault.file), fault.line) if fault.line else _source_line(module, fault.pc)
    shown = place_of(module.built.code, file, line) if file else ""
    return kind(
        f"kernel {kernel}, block {_triple(fault.block)}, thread {_triple(fault.thread)}"
        + (f", {file}:{line}" if file else "")
        + f": {_what(fault, module)}"
        + (f"\n    {shown}" if shown else "")
    )


def _what(fault: Fault, module: Module) -> str:
    text, verb = _text(fault.text), "writes" if fault.is_write else "reads"
    where = device_memory().describe(fault.address)
    shared = module.describe_shared(fault.address)
    match fault.kind:
        case 1:
            return f"{verb} {fault.size} bytes out of bounds, at 0x{fault.address:x}: {where}"
        case 2:
            return f"reads {fault.size} bytes that were never written, at 0x{fault.address:x}: {where}"
        case 3:
            return f"{verb} {fault.size} bytes out of bounds of shared memory: {shared}"
        case 4:
            return f"reads shared memory that this block never wrote: {shared}"
        case 5:
            file, line = _source_line(module, fault.other_pc)
            other = f"thread {_triple(fault.other_thread)} {'writes' if fault.other_is_write else 'reads'} it"
            return f"{verb} {shared}, and {other} at {file}:{line}: no barrier lies between"
        case 8:
            return f"accesses 0x{fault.address:x}, which is no multiple of {fault.size} as {text} needs: {where}"
        case 10:
            return f"assertion failed: {text}"
        case _:
            return text


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _triple(three: object) -> str:
    return "({}, {}, {})".format(*three)  # type: ignore[misc]


def _source_line(module: Module, pc: int) -> tuple[str, int]:
    """File and line of the instruction before a return address; ("", 0) without addr2line."""
    tool = shutil.which("addr2line")
    offset = pc - module.info.image_begin - 1
    if tool is None or not 0 <= offset < module.info.image_end - module.info.image_begin:
        return "", 0
    command = [tool, "-e", str(module.built.library), hex(offset)]
    found = re.match(r"(.*):(\d+)", subprocess.run(command, capture_output=True, text=True).stdout)
    return (known_name(module.built.code, found[1]), int(found[2])) if found else ("", 0)
