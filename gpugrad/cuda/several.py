"""Several CUDA devices in one process: work runs on the device of its arrays, whichever is the current one.

With one device nothing here is in the way: functions are given back as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from ..device import ArrayType, Device
from ..errors import on_two_devices
from . import backend

cp = backend.cupy()


def where_arrays_lie(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function`, which does the work of `name`, run on the device of the arrays among its positional arguments.

    RuntimeError, naming both, if they are on two. Tuples among them are looked into.
    """
    if backend.device_count() == 1:
        return function

    @functools.wraps(function)
    def run(*args: Any, **params: Any) -> Any:
        with cp.cuda.Device(device_of_all(args, name)):
            return function(*args, **params)

    return run


def where(arrays: Iterable[Any], name: str) -> Any:
    """A context in which the device of these arrays is the current one. RuntimeError if they are on two."""
    return nullcontext() if backend.device_count() == 1 else cp.cuda.Device(device_of_all(arrays, name))


def device_of_all(arrays: Iterable[Any], name: str) -> int | None:
    """The index of the device of all arrays among these; None if there are none. RuntimeError if they are on two."""
    found: int | None = None
    for x in arrays:
        index = _index(x, name)
        if found is None:
            found = index
        elif index is not None and index != found:
            raise on_two_devices(f"cuda:{found}", f"cuda:{index}", name)
    return found


def _index(x: Any, name: str) -> int | None:
    if isinstance(x, cp.ndarray):
        return int(x.data.device_id)
    return device_of_all(x, name) if type(x) is tuple else None


def for_each_device(array_type: ArrayType) -> Callable[[Device], ArrayType]:
    """By device: `array_type`, with arrays made on that device; on the current one where it has no index."""
    if backend.device_count() == 1:
        return lambda device: array_type
    here = functools.cache(functools.partial(_on, array_type))
    return lambda device: array_type if device.index is None else here(device.index)


def _on(array_type: ArrayType, index: int) -> ArrayType:
    def there(name: str) -> Callable[..., Any]:
        def make(*args: Any) -> Any:
            with cp.cuda.Device(index):
                return getattr(array_type, name)(*args)  # as it is now: a profiler puts another there

        return make

    return ArrayType(
        array_type.device_of,
        array_type.implement,
        there("from_numpy"),
        array_type.to_numpy,
        there("full"),
    )
