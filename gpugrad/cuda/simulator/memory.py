"""Device memory: allocations in the runtime's arena, each between guard zones, poisoned, and known byte by byte.

The arena serves all devices; each has its own account.

Fresh memory is filled with 0xFF: NaN in every floating dtype, -1 in signed integers. The shadow says of each byte
whether it may be touched and whether somebody wrote it; checked kernels ask and tell it at every access.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections import defaultdict, deque
from typing import Any

import numpy as np

from . import settings
from .library import runtime

UNADDRESSABLE, FRESH, WRITTEN = 0, 1, 2
POISON = 0xFF
_ALIGNMENT = 512  # of CuPy's allocations
_GUARD = 512
_LARGE = 1 << 20  # freed blocks from here on give their pages back
_DELAY = 16  # freed small blocks of one size before the oldest is used again: what was freed stays detectable


class OutOfMemoryError(MemoryError):
    """The device memory is full: the message says what was asked, what is held and what there is."""


class _Thread(threading.local):
    """What CUDA keeps for each thread of the host."""

    device = 0  # the current one


thread = _Thread()


class Account:
    """Bytes of one device's memory: held by arrays, kept by the pool besides, the most that arrays held, a limit (0: none)."""

    used = cached = peak = limit = 0


class Allocation:
    """A piece of a device's memory; freed with its last reference."""

    __slots__ = ("__weakref__", "address", "device", "offset", "size")

    def __init__(self, address: int, offset: int, size: int, device: int) -> None:
        self.address, self.offset, self.size, self.device = address, offset, size, device

    def __del__(self) -> None:
        device = _device() if _device is not None else None  # None while the interpreter shuts down
        if device is not None:
            device.free(self)


def round_up(size: int) -> int:
    """`size` as CuPy's pool rounds it."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class DeviceMemory:
    """The arena and the accounts of the devices."""

    def __init__(self) -> None:
        library = runtime()
        # The address sanitizer's account of an area takes an eighth of it, in committed memory
        self._fenced = "address" in settings.sanitizers()
        space = 1 << 30 if self._fenced else 64 << 30
        base = library.gpugrad_arena_open(space)
        while not base and space > 1 << 30:
            space //= 2
            base = library.gpugrad_arena_open(space)
        if not base:
            raise MemoryError("the CUDA simulator cannot reserve 1 GiB of address space for its device memory")
        self._library, self.base, self._space = library, base, space
        self.bytes = _bytes_at(base, space)
        self.shadow = _bytes_at(library.gpugrad_arena_shadow(), space)
        self._next = _GUARD
        self._fence(0, space, True)
        self._free: dict[int, deque[int]] = {}
        self.labels: dict[int, tuple[int, str]] = {}  # offset -> size, and what the array there is called in messages
        self.freed: deque[tuple[int, int, str]] = deque(maxlen=1000)
        self._accounts: defaultdict[int, Account] = defaultdict(Account)

    @property
    def account(self) -> Account:
        """The current device's."""
        return self._accounts[thread.device]

    def allocate(self, size: int, label: str) -> Allocation:
        """`size` fresh bytes of the current device, called `label` in messages. OutOfMemoryError if it has not that many left."""
        rounded, mine = round_up(size), self.account
        total = settings.memory() if not mine.limit else min(mine.limit, settings.memory())
        if mine.used + mine.cached + rounded > total:
            mine.cached = 0
        if mine.used + rounded > total:
            raise OutOfMemoryError(
                f"Out of memory allocating {rounded:,} bytes (allocated so far: {mine.used:,} bytes, limit set to: {total:,} bytes)."
            )
        offset = self._place(rounded)
        mine.cached = max(0, mine.cached - rounded)
        mine.used += rounded
        mine.peak = max(mine.peak, mine.used)
        self._fence(offset, rounded, False)
        self.bytes[offset : offset + rounded] = POISON
        self._fence(offset + size, rounded - size, True)
        self.shadow[offset : offset + size] = FRESH
        self.labels[offset] = size, label
        return Allocation(self.base + offset, offset, size, thread.device)

    def _fence(self, offset: int, size: int, closed: bool) -> None:
        if self._fenced:
            self._library.gpugrad_arena_fence(self.base + offset, size, closed)

    def _place(self, rounded: int) -> int:
        waiting = self._free.get(rounded)
        end = self._next + rounded + _GUARD
        if waiting and (rounded >= _LARGE or len(waiting) > _DELAY or end > self._space):
            return waiting.popleft()
        if end > self._space:
            raise OutOfMemoryError(
                f"Out of memory allocating {rounded:,} bytes: the simulator's address space is used up."
            )
        offset, self._next = self._next, end
        return offset

    def free(self, piece: Allocation) -> None:
        rounded = round_up(piece.size)
        self.shadow[piece.offset : piece.offset + rounded] = UNADDRESSABLE
        self._fence(piece.offset, rounded, True)
        if rounded >= _LARGE:
            self._library.gpugrad_arena_release(piece.address, rounded)
        self._free.setdefault(rounded, deque()).append(piece.offset)
        its = self._accounts[piece.device]
        its.used -= rounded
        its.cached += rounded
        _, label = self.labels.pop(piece.offset, (0, ""))
        self.freed.append((piece.offset, piece.size, label))

    def describe(self, address: int) -> str:
        """Where an address lies, in words."""
        offset = address - self.base
        if not 0 <= offset < self._space:
            return "in no allocation" if address else "the null pointer"
        for start, (size, label) in self.labels.items():
            if start <= offset < start + size:
                return f"byte {offset - start} of {label}"
        for start, size, label in reversed(self.freed):
            if start <= offset < start + max(size, 1) and start not in self.labels:
                return f"byte {offset - start} of {label}, which was freed"
        near = [(s, n, text) for s, (n, text) in self.labels.items() if s - _GUARD <= offset < s + round_up(n) + _GUARD]
        if not near:
            return "in no allocation"
        start, size, label = min(near, key=lambda item: min(abs(offset - item[0]), abs(offset - item[0] - item[1])))
        if offset < start:
            return f"{start - offset} bytes before {label}"
        return f"{offset - start - size} bytes past the end of {label}"


def _bytes_at(address: int, size: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


@functools.cache
def device_memory() -> DeviceMemory:
    """The memory, reserved on first use."""
    return DeviceMemory()


def _device() -> DeviceMemory | None:
    return device_memory() if device_memory is not None else None  # None while the interpreter shuts down


class MemoryPointer:
    """Where an array's first element lies; `+` counts in bytes."""

    def __init__(self, memory: Allocation | None, ptr: int, device_id: int) -> None:
        self.mem, self.ptr, self.device_id = memory, ptr, device_id

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.ptr + offset, self.device_id)


class MemoryPool:
    """The statistics of CuPy's memory pool, which has a part for each device: those of the current one."""

    def used_bytes(self) -> int:
        return device_memory().account.used

    def total_bytes(self) -> int:
        mine = device_memory().account
        return mine.used + mine.cached

    def free_bytes(self) -> int:
        return device_memory().account.cached

    def n_free_blocks(self) -> int:
        return int(device_memory().account.cached > 0)

    def free_all_blocks(self, stream: Any = None) -> None:
        device_memory().account.cached = 0

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        if size is not None and fraction is not None:
            raise ValueError("size and fraction cannot be specified at one time")
        device_memory().account.limit = int((fraction or 0) * settings.memory()) if size is None else size

    def get_limit(self) -> int:
        return device_memory().account.limit


class PinnedMemoryPointer(bytearray):
    """Page-locked memory of the host: here it is any."""


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    """`size` bytes of it."""
    _ = thread.device  # refused in a forked process
    return PinnedMemoryPointer(size)
