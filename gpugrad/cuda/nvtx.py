"""`gpugrad.cuda.nvtx`: ranges and marks that NVIDIA's tools (Nsight Systems) show in their timeline, as `torch.cuda.nvtx`.

They are written through CuPy's binding. The simulator has no timeline to write them to: there, ranges only nest.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import backend


class _Depth(threading.local):
    count = 0


_open = _Depth()
_handles = itertools.count(1)


def _library() -> Any:
    """CuPy's NVTX, or None on the simulator. RuntimeError without a device, or in a CuPy that was built without it."""
    if not backend.device_count():
        raise RuntimeError("NVTX functions not installed: there is no CUDA device to write ranges for")
    if backend.simulated():
        return None
    nvtx = backend.cupy().cuda.nvtx
    if not nvtx.available:
        raise RuntimeError("NVTX functions not installed: this CuPy was built without them")
    return nvtx


def is_available() -> bool:
    """Whether ranges can be written, or at least nested."""
    try:
        _library()
    except RuntimeError:
        return False
    return True


def range_push(msg: str) -> int:
    """Begin a range inside those that are open on this thread; returns how many these are. RuntimeError without NVTX."""
    library = _library()
    if library is not None:
        library.RangePush(msg)
    _open.count += 1
    return _open.count - 1


def range_pop() -> int:
    """End the innermost range of this thread; returns how many are still open around it, -1 if none was open."""
    library = _library()
    if library is not None:
        library.RangePop()
    depth = _open.count - 1
    _open.count = max(depth, 0)
    return depth


def range_start(msg: str) -> int:
    """Begin a range that may end on another thread; returns what `range_end` takes. RuntimeError without NVTX."""
    library = _library()
    return next(_handles) if library is None else int(library.RangeStart(msg, None))


def range_end(range_id: int) -> None:
    """End a range that `range_start` began."""
    library = _library()
    if library is not None:
        library.RangeEnd(range_id)


def mark(msg: str) -> None:
    """Mark a moment. RuntimeError without NVTX."""
    library = _library()
    if library is not None:
        library.Mark(msg)


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:  # noqa: A001
    """A range around what runs inside, as in `with nvtx.range("step {}", i):`; also a decorator."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()


__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]
