"""Devices, and which array type belongs to which.

An array type is entered here once (`register_array_type`), with how to name its device, how an op gets an
implementation for it, and how to make arrays of it. NumPy's is entered below; the CUDA device enters its own when it
is first asked for. Nothing else in gpugrad asks what an array is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Device:
    """Where a tensor's array lives: `device("cpu")`, `device("cuda")`, `device("cuda", 1)`."""

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: str | int | Device, index: int | None = None) -> None:
        given: Any = type
        if isinstance(given, Device):
            given, index = given.type, given.index
        elif isinstance(given, int):
            given, index = "cuda", given
        if not isinstance(given, str):
            raise TypeError(f"device(): expected a string, an int or a device, got {given!r}")
        name, colon, number = given.partition(":")
        if name not in ("cpu", "cuda"):
            raise RuntimeError(f"Expected one of cpu, cuda device type at start of device string: {name}")
        if colon:
            if index is not None:
                raise RuntimeError(f"type (string) must not include an index because index was passed: {given}")
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: {given!r}")
            index = int(number)
        if index is not None and index < 0:
            raise RuntimeError(f"Device index must not be negative: {index}")
        self.type = name
        self.index = index

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.type == other.type and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        return Device, (self.type, self.index)

    def __enter__(self) -> Device:
        _default_stack.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _default_stack.pop()


CPU = Device("cpu")
_default_stack: list[Device] = [CPU]


class ArrayType:
    """What gpugrad must know of one array type. `implement`: op -> function on arrays of this type; `full`: shape,
    value (None: uninitialised) and dtype -> array. `several`: there is more than one device of this type. `writes`:
    op and array -> whether the implementation takes that array as `out`: it may still return NotImplemented.
    """

    __slots__ = ("device_of", "from_numpy", "full", "implement", "several", "to_numpy", "writes")

    def __init__(
        self,
        device_of: Callable[[Any], Device],
        implement: Callable[[Any], Callable[..., Any]],
        from_numpy: Callable[[np.ndarray], Any],
        to_numpy: Callable[[Any], np.ndarray],
        full: Callable[[Any, Any, Any], Any] | None = None,
        several: bool = False,
        writes: Callable[[Any, Any], bool] = lambda op, array: False,
    ) -> None:
        self.device_of = device_of
        self.implement = implement
        self.from_numpy = from_numpy
        self.to_numpy = to_numpy
        self.several = several
        self.writes = writes
        self.full = full if full is not None else lambda shape, value, dtype: from_numpy(_full(shape, value, dtype))


ARRAY_TYPES: dict[type, ArrayType] = {}

# Array type -> function (op, parents, saved, params, g) that applies the rules of an op that joins them together, or
# returns NotImplemented: then the rules run one op after another.
FUSED_RULES: dict[type, Callable[..., Any]] = {}


_DEVICES: dict[str, Callable[[Device], ArrayType]] = {"cpu": lambda device: _numpy_type}


def _full(shape: Any, value: Any, dtype: Any) -> np.ndarray:
    if value is None:
        return np.empty(shape, dtype)
    return np.zeros(shape, dtype) if value == 0 else np.full(shape, value, dtype)


def register_device(name: str, array_type: Callable[[Device], ArrayType]) -> None:
    """Say which array type serves a device of this type, and makes its arrays on it."""
    _DEVICES[name] = array_type


def arrays_on(device: Device) -> ArrayType:
    """The array type of a device that `as_device` has found usable."""
    return _DEVICES[device.type](device)


def register_array_type(kind: type, array_type: ArrayType) -> None:
    """Enter an array type; ops find their implementation for it on first use."""
    ARRAY_TYPES[kind] = array_type


def _implement_on_numpy(op: Any) -> Callable[..., Any]:
    return op.body


def _ufunc_writes(op: Any, array: np.ndarray) -> bool:
    """NumPy's own functions do, with a copy of what else would be read too late; elements of one place would add up."""
    return isinstance(op.body, np.ufunc) and array.flags.writeable and (array.flags.forc or _lie_apart(array))


def _lie_apart(array: np.ndarray) -> bool:
    reach = array.itemsize
    for step, n in sorted(zip(map(abs, array.strides), array.shape)):
        if n > 1 and step < reach:
            return False
        reach += step * (n - 1)
    return True


_numpy_type: ArrayType = ArrayType(
    device_of=lambda array: CPU,
    implement=_implement_on_numpy,
    from_numpy=lambda array: array,
    to_numpy=lambda array: array,
    writes=_ufunc_writes,
)
register_array_type(np.ndarray, _numpy_type)
# NumPy hands back scalars for 0-d results; inside rules and bodies they are as good as arrays.
for _scalar in {*np.sctypeDict.values()}:
    register_array_type(_scalar, _numpy_type)


def is_array(x: Any) -> bool:
    """True for an array (or NumPy scalar) of a known type."""
    return type(x) in ARRAY_TYPES


def array_device(array: Any) -> Device:
    """The device an array lives on."""
    return ARRAY_TYPES[type(array)].device_of(array)


def on_one_device(arrays: Sequence[Any]) -> bool:
    """Whether all arrays surely lie on one device; quick where there are not several of its type. True for no arrays."""
    kinds = {type(x) for x in arrays}
    for kind in kinds:
        if ARRAY_TYPES[kind].several:
            return False
    return len(kinds) <= 1


def apart(a: Any, b: Any) -> bool:
    """Whether two arrays are on different devices."""
    kind = type(a)
    if type(b) is kind and not ARRAY_TYPES[kind].several:
        return False
    return array_device(a) != array_device(b)


def arrays_beside(array: Any) -> ArrayType:
    """The array type of an array, which makes new ones on its device."""
    return arrays_on(array_device(array))


def as_device(d: Any) -> Device:
    """`d` as a usable Device; None is the default device. RuntimeError when the device is not there."""
    found = _default_stack[-1] if d is None else d if isinstance(d, Device) else Device(d)
    if found.type == "cuda":
        from .cuda.backend import require

        require(found.index)
    return found


def same_device(a: Device, b: Device) -> bool:
    """Whether two usable devices are one: `cuda` is the current CUDA device."""
    if a.type != b.type or a.type == "cpu" or a.index == b.index:
        return a.type == b.type
    from .cuda import current_device

    return (current_device() if a.index is None else a.index) == (current_device() if b.index is None else b.index)


def get_default_device() -> Device:
    """The device that factories use when none is given."""
    return _default_stack[-1]


def set_default_device(device: Any) -> None:
    """Set the device that factories use when none is given."""
    _default_stack[-1] = as_device(device)
