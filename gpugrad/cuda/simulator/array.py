"""The device array: a NumPy array in device memory that the host cannot touch by accident.

NumPy functions and operators on it run, as CuPy's would: on device arrays and scalars alone, giving device arrays (0-d
ones too). Reading it as a NumPy array takes `.get()`. Reading elements that nobody wrote is an error.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from . import device, settings
from .cupy_api import LACKING, full_name, refuse_parameters, refuse_ufunc
from .device import counters, submit, wait
from .faults import UninitializedRead
from .flags import Flags
from .memory import FRESH, WRITTEN, Allocation, MemoryPointer, device_memory, thread

# Functions that answer on the host without looking at the elements
_ABOUT = frozenset({np.shape, np.ndim, np.size, np.may_share_memory, np.shares_memory, np.result_type, np.can_cast,
                    np.iscomplexobj, np.isrealobj, np.broadcast_shapes, np.common_type, np.min_scalar_type})  # fmt: skip
# Functions whose first argument is written
_WRITES_FIRST = frozenset({np.copyto, np.put, np.put_along_axis, np.place, np.putmask, np.fill_diagonal})
# Functions whose result's shape depends on the elements: the host waits for it
_WAITS = frozenset({np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress, np.trim_zeros})

# Functions with a text of their own: creation.py enters them
SPECIAL: dict[Any, Callable[..., Any]] = {
    np.copy: lambda a, order="C": a.copy(order),
    np.broadcast_arrays: lambda *arrays: [  # without the warning that NumPy's give when they are asked where they lie
        np.broadcast_to(a, np.broadcast_shapes(*[x.shape for x in arrays])) for a in arrays
    ],
}


class ndarray(NDArrayOperatorsMixin):
    """An array of the simulated device: `cupy.ndarray` as far as gpugrad uses it.

    Made fresh it is uninitialised; with `memptr` it lies there, with any strides. MemoryError (OutOfMemoryError) when
    the device is full, ValueError for what reaches out of the memory of `memptr`.
    """

    __slots__ = ("__weakref__", "_device", "_memory", "_value", "base")
    __array_priority__ = 100

    _value: np.ndarray
    _memory: Allocation | None
    _device: int
    base: ndarray | None

    def __init__(
        self,
        shape: Any,
        dtype: Any = float,
        memptr: MemoryPointer | None = None,
        strides: Any = None,
        order: str = "C",
    ) -> None:
        shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(map(int, shape))
        if any(n < 0 for n in shape):
            raise ValueError("negative dimensions are not allowed")
        dtype = np.dtype(dtype)
        if dtype.hasobject or dtype.kind in "USmM":
            raise ValueError(f"Unsupported dtype {dtype}")
        self.base, self._device = None, thread.device
        size = math.prod(shape) * dtype.itemsize
        if size == 0:
            self._memory, self._value = None, np.empty(shape, dtype, order)  # type: ignore[call-overload]
            return
        memory = device_memory()
        if memptr is not None:
            self._memory, self._device = memptr.mem, memptr.device_id
            self._value = self._seen(memptr.ptr, shape, dtype, strides)
            return
        self._memory = memory.allocate(size, f"an array of shape {shape} and {dtype}")
        offset = self._memory.offset
        self._value = memory.bytes[offset : offset + size].view(dtype).reshape(shape, order=order)

    def _seen(self, address: int, shape: tuple[int, ...], dtype: Any, strides: Any) -> np.ndarray:
        """A stretch of the memory this array lies in, read with any strides."""
        assert self._memory is not None
        start = self._memory.offset
        own = device_memory().bytes[start : start + self._memory.size]
        return np.ndarray(shape, dtype, own, address - self._memory.address, strides)

    # What it is

    @property
    def data(self) -> MemoryPointer:
        return MemoryPointer(self._memory, self._value.ctypes.data if self._memory is not None else 0, self._device)

    shape = property(lambda self: self._value.shape)
    dtype = property(lambda self: self._value.dtype)
    ndim = property(lambda self: self._value.ndim)
    size = property(lambda self: self._value.size)
    itemsize = property(lambda self: self._value.itemsize)
    nbytes = property(lambda self: self._value.nbytes)
    strides = property(lambda self: self._value.strides)
    flags = property(lambda self: Flags(self._value.flags))
    device = property(lambda self: device.Device(self._device))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.data.ptr, False),
            "strides": None if self.flags.c_contiguous else self.strides,
            "version": 3,
        }

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # To the host, and only when asked

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(self, stream: Any = None, order: str = "C", out: np.ndarray | None = None, blocking: bool = True) -> Any:
        """A NumPy copy. UninitializedRead if elements were never written."""
        wait("ndarray.get")
        self._check_written("get")
        counters.device_to_host += 1
        counters.device_to_host_bytes += self.nbytes
        if out is None:
            return self._value.copy(order)  # type: ignore[arg-type]
        if out.dtype != self.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        np.copyto(out, self._value)
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        """Copy from the host; the dtype and shape are to be its own."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        counters.host_to_device += 1
        counters.host_to_device_bytes += self.nbytes
        source = arr.copy()
        submit(lambda: self._assign(source))

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    # What is written

    def _states(self) -> np.ndarray | None:
        """The shadow bytes of the elements, writable; None where nothing is tracked."""
        if self._memory is None or not settings.checked():
            return None
        memory, value = device_memory(), self._value
        offset = value.ctypes.data - memory.base
        if value.flags.c_contiguous:
            return memory.shadow[offset : offset + value.nbytes]
        return np.ndarray((*value.shape, value.itemsize), np.uint8, memory.shadow, offset, (*value.strides, 1))

    def _mark_written(self) -> None:
        states = self._states()
        if states is not None:
            states[...] = WRITTEN

    def _check_written(self, what: str) -> None:
        states = self._states()
        if states is None or not states.size or states.min() != FRESH or device.get_current_stream().is_capturing():
            return
        fresh = np.unique(np.flatnonzero(states == FRESH) // self.itemsize)
        index = tuple(map(int, np.unravel_index(fresh[0], self.shape)))
        raise UninitializedRead(
            f"{what} reads an array of shape {self.shape} and {self.dtype} of which {fresh.size} of {self.size} elements "
            f"were never written, the first at {index}"
        )

    def _assign(self, value: Any) -> None:
        self._value[...] = value
        self._mark_written()

    # Views

    def _view(self, value: np.ndarray, kind: type | None = None) -> Any:
        made: Any = object.__new__(type(self) if kind is None else kind)
        if not value.flags.writeable and value.size:  # CuPy knows no read-only views
            value = self._seen(value.ctypes.data, value.shape, value.dtype, value.strides)
        made._value, made._memory, made._device = value, self._memory, self._device
        made.base = self if self.base is None else self.base
        return made

    def __getitem__(self, key: Any) -> Any:
        key, waits = _unwrap_key(key)
        if waits:
            wait("indexing with a mask")
        found = self._value[key]
        if self._is_basic(key):
            if not isinstance(found, np.ndarray):  # one element, which CuPy gives as a view too
                found = self._value[(*key, ...) if isinstance(key, tuple) else (key, ...)]
            return self._view(found)
        if isinstance(found, np.ndarray) and np.may_share_memory(found, self._value):
            return self._view(found)
        _reached(self)
        self._check_written("indexing")
        return _place(found)

    @staticmethod
    def _is_basic(key: Any) -> bool:
        return all(
            isinstance(k, (int, np.integer, slice, type(None), type(...))) and not isinstance(k, bool)
            for k in (key if isinstance(key, tuple) else (key,))
        )

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError(f"Unsupported type {type(value)}")
        if isinstance(value, (list, tuple)) and self._is_basic(key):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        key, _ = _unwrap_key(key)
        if isinstance(value, ndarray):
            value._check_written("assignment")
        source = value._value if isinstance(value, ndarray) else value
        _reached(self, *([value] if isinstance(value, ndarray) else []))
        counters.functions += 1
        states = self._states()
        keep = value

        def work() -> None:
            self._value[key] = source
            if states is not None:
                whole = (*key, slice(None)) if isinstance(key, tuple) and any(k is ... for k in key) else key
                states.reshape(*self.shape, self.itemsize)[whole] = WRITTEN
            _ = keep

        submit(work)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        wanted = shape[0] if len(shape) == 1 else shape
        if self.flags.c_contiguous and order == "C":  # a view, whether it was written or not
            return self._view(self._value.reshape(wanted))
        return np.reshape(self, wanted, order=order)  # type: ignore[call-overload]

    def view(self, dtype: Any = None, type: type | None = None) -> Any:
        return self._view(self._value.view() if dtype is None else self._value.view(dtype), type)

    def transpose(self, *axes: Any) -> Any:
        return self._view(self._value.transpose(*axes))

    @property
    def T(self) -> Any:
        return self._view(self._value.T)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        return self._view(self._value.swapaxes(axis1, axis2))

    def squeeze(self, axis: Any = None) -> Any:
        return self._view(self._value.squeeze(axis))

    def ravel(self, order: str = "C") -> Any:
        return np.ravel(self, order=order)  # type: ignore[call-overload]

    def flatten(self, order: str = "C") -> Any:
        return self.ravel(order).copy()

    # Copies

    def copy(self, order: str = "C") -> Any:
        """A copy on the current device; elements that were never written stay so."""
        made, each = laid_out(self._value, order=order), (*self.shape, self.itemsize)

        def work() -> None:
            made._value[...] = self._value
            mine, its = self._states(), made._states()
            if mine is not None and its is not None:
                its.reshape(each)[...] = mine.reshape(each)

        submit(work)
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.copy()

    def __reduce__(self) -> Any:
        return _place, (self.get(),)

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> Any:
        if casting is not None or subok is not None:
            raise TypeError(f"{'subok' if casting is None else 'casting'} is not supported yet")
        laid_so = {"C": self.flags.c_contiguous, "F": self.flags.f_contiguous}
        if not copy and self.dtype == np.dtype(dtype) and laid_so.get(order, True):
            return self
        made = laid_out(self._value, dtype, order)
        self._check_written("astype")
        _reached(self)
        counters.functions += 1
        submit(lambda: made._assign(self._value.astype(dtype)))
        return made

    def fill(self, value: Any) -> None:
        if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.size != 1):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        self[...] = value

    # NumPy functions

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        outs = kwargs.get("out", ())
        for x in (*inputs, *outs):
            if isinstance(x, (np.ndarray, list, tuple)) and method != "at":
                raise TypeError(f"Unsupported type {type(x)}")
        if any(not isinstance(out, (ndarray, type(None))) for out in outs):
            raise TypeError("the result of an operation on device arrays is to be a device array")
        refuse_ufunc(ufunc.__name__, method, kwargs)
        function = getattr(ufunc, method)
        if method == "at":
            return _run(function, inputs, kwargs, f"{ufunc.__name__}.at", writes_first=True)
        return _run(function, inputs, kwargs, ufunc.__name__)

    def __array_function__(self, function: Any, types: Iterable[type], args: Any, kwargs: Any) -> Any:
        name = full_name(function)
        if name in LACKING:
            return NotImplemented
        refuse_parameters(name, kwargs)
        if function in SPECIAL:
            return SPECIAL[function](*args, **kwargs)
        if function in _ABOUT:
            return function(*_unwrap(args, []), **_unwrap(kwargs, []))
        if any(issubclass(t, np.ndarray) for t in types):
            raise TypeError(f"{name}: device arrays and NumPy arrays do not mix; copy one over with asarray or get")
        if function in _WAITS or (function is np.where and len(args) == 1):
            wait(name)
        return _run(function, args, kwargs, name, writes_first=function in _WRITES_FIRST)


def _method(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def call(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    call.__name__ = name
    return call


_METHODS = ("all", "any", "argmax", "argmin", "argsort", "clip", "conj", "cumprod", "cumsum", "diagonal", "dot", "max",
            "mean", "min", "nonzero", "prod", "repeat", "round", "std", "sum", "take", "trace", "var")  # fmt: skip
for _name in _METHODS:
    setattr(ndarray, _name, _method(_name))


def _unwrap_key(key: Any) -> tuple[Any, bool]:
    """An index with device arrays opened; and whether a mask among them makes the host wait."""
    if isinstance(key, tuple):
        parts = [_unwrap_key(k) for k in key]
        return tuple(k for k, _ in parts), any(w for _, w in parts)
    if isinstance(key, ndarray):
        key._check_written("indexing")
        return key._value, key.dtype == bool
    if isinstance(key, (list, np.ndarray)) and np.ndim(key):
        counters.host_to_device += 1
    return key, False


def _unwrap(x: Any, seen: list[ndarray]) -> Any:
    """Arguments with device arrays opened, which are added to `seen`."""
    if isinstance(x, ndarray):
        seen.append(x)
        return x._value
    if isinstance(x, (list, tuple)) and type(x) in (list, tuple):
        return type(x)(_unwrap(v, seen) for v in x)
    if isinstance(x, dict):
        return {k: _unwrap(v, seen) for k, v in x.items()}
    return x


def _reached(*arrays: ndarray) -> None:
    """ValueError, as of CuPy between devices that do not reach each other's memory, if one is not on the current device."""
    for x in arrays:
        if x._device != thread.device and x.size:
            raise ValueError(
                f"Array device must be same as the current device: array device = {x._device} while current = {thread.device}"
            )


def laid_out(value: np.ndarray, dtype: Any = None, order: str = "K", shape: Any = None) -> ndarray:
    """An uninitialised array in the layout that NumPy's `empty_like` gives it, which is CuPy's too."""
    wanted = np.empty_like(value, dtype, order, shape=shape)  # type: ignore[call-overload]
    made = ndarray(wanted.shape, wanted.dtype)
    if made._memory is not None:
        made._value = made._seen(made._memory.address, made.shape, made.dtype, wanted.strides)
    return made


def _place(value: Any) -> Any:
    """A host result in device memory of its own."""
    counters.functions += 1
    value = np.asarray(value)
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    made = ndarray(value.shape, value.dtype, order=order)
    made._assign(value)
    return made


def _wrap(result: Any, seen: list[ndarray]) -> Any:
    """A result of NumPy as CuPy gives it: a view of an argument, or a new array; never a scalar."""
    if isinstance(result, (list, tuple)):
        made = [_wrap(r, seen) for r in result]
        return type(result)(*made) if hasattr(result, "_fields") else type(result)(made)
    if isinstance(result, np.ndarray):
        for x in seen:
            if result is x._value:
                return x
            if x._memory is not None and result.size and _lies_in(result, x._memory):
                return x._view(result)
        return _place(result)
    if isinstance(result, (np.generic, bool, float, complex)):
        return _place(result)
    return result


def _lies_in(value: np.ndarray, memory: Allocation) -> bool:
    return memory.address <= value.ctypes.data < memory.address + memory.size


def _run(function: Any, args: Any, kwargs: Any, name: str, writes_first: bool = False) -> Any:
    """`function` on the opened arguments, as device work."""
    seen: list[ndarray] = []
    outs: list[ndarray] = []
    first = _unwrap(args[:1], outs if writes_first else seen)
    values = (*first, *_unwrap(args[1:], seen))
    keywords = {k: _unwrap(v, outs if k == "out" else seen) for k, v in kwargs.items()}
    _reached(*seen, *outs)
    for x in seen:
        x._check_written(name)

    def call() -> Any:
        with np.errstate(all="ignore"):
            return function(*values, **keywords)

    def write() -> None:
        call()
        for out in outs:
            out._mark_written()

    if outs:
        counters.functions += 1
        submit(write)
        given = kwargs.get("out")
        return None if given is None else given if not isinstance(given, tuple) or len(given) > 1 else given[0]
    results: list[Any] = []
    if not device.get_current_stream().is_capturing():
        submit(lambda: results.append(_wrap(call(), seen)))
        return results[0]
    made = _wrap(call(), seen)  # for its shape and dtype: the values come with each launch of the graph
    submit(functools.partial(_refresh, made, call))
    return made


def _refresh(made: Any, call: Callable[[], Any]) -> None:
    """Write the values of a replayed call where its captured results are."""
    values = call()
    pairs = zip(made, values) if isinstance(made, (list, tuple)) else [(made, values)]
    for target, value in pairs:
        if isinstance(target, ndarray) and target.base is None:
            target._assign(value)
