"""Making tensors: from data, filled with a value."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..core import Tensor, canonical, wrap
from ..device import ARRAY_TYPES, Device, array_device, arrays_on, as_device, same_device
from ..dtypes import (
    FLOATS,
    as_dtype,
    bool_,
    complex_not_supported,
    dtype,
    get_default_dtype,
    result_type_of,
    scalar_dtype,
)
from ..dtypes import promote_types as promote_types
from ..inplace import into
from ..op import op
from .cast import cast
from .dims import as_size, memory_order
from .transfer import move

__all__ = [
    "as_tensor",
    "asarray",
    "can_cast",
    "empty",
    "empty_like",
    "from_numpy",
    "full",
    "full_like",
    "is_floating_point",
    "is_tensor",
    "numel",
    "ones",
    "ones_like",
    "promote_types",
    "result_type",
    "scalar_tensor",
    "tensor",
    "zeros",
    "zeros_like",
]


def make(array: np.ndarray, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A leaf around a NumPy array of canonical dtype, moved to `device`; RuntimeError if integers are to have gradients."""
    if requires_grad and array.dtype not in FLOATS:
        raise RuntimeError("Only Tensors of floating point dtype can require gradients")
    where = as_device(device)
    return wrap(array if where.type == "cpu" else arrays_on(where).from_numpy(array), requires_grad)


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested sequences, NumPy arrays, tensors.

    Without `dtype`, Python floats become the default dtype, ints int64, bools bool; arrays keep theirs, and tensors their
    device as well. ValueError for sequences of unequal lengths, TypeError for what is not a number.
    """
    if isinstance(data, Tensor) and type(data._array) is not np.ndarray:
        made = data.detach().to(device=as_device(device or data.device), dtype=dtype, copy=True)
        return pinned(made.requires_grad_(requires_grad), pin_memory)
    return pinned(make(np.array(to_array(data, dtype)), device, requires_grad), pin_memory)


def pinned(made: Tensor, pin_memory: bool) -> Tensor:
    """The leaf `made`, in page-locked memory if that is wanted; RuntimeError on a device, or without one."""
    return made.detach().pin_memory().requires_grad_(made._requires_grad) if pin_memory else made


def to_array(data: Any, wanted: Any = None) -> np.ndarray:
    """`data` as a NumPy array of canonical dtype, shared with `data` where possible."""
    if isinstance(data, Tensor):
        array = ARRAY_TYPES[type(data._array)].to_numpy(data._array)
    elif isinstance(data, (np.ndarray, np.generic)) or hasattr(data, "__array__"):
        array = canonical(np.asarray(data))
    else:
        array = _from_python(data, wanted)
    return array if wanted is None else array.astype(as_dtype(wanted).numpy, copy=False)


def _from_python(data: Any, wanted: Any) -> np.ndarray:
    """An array from numbers and nested sequences, which may hold tensors; floats keep all digits if a dtype is wanted."""
    if not isinstance(data, (bool, int, float, complex, list, tuple, range)) and not hasattr(data, "__getitem__"):
        raise TypeError(
            f"Could not infer dtype of {type(data).__name__}: expected numbers, sequences of them or arrays"
        )
    if isinstance(data, (list, tuple)) and any(isinstance(x, Tensor) for x in data):
        data = [x.tolist() if isinstance(x, Tensor) else x for x in data]
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"expected sequences of equal length at every level of the data: {error}") from None
    if array.dtype.kind in "OUSM":
        listed = isinstance(data, (list, tuple))  # PyTorch's classes:
        wrong = TypeError if not listed else RuntimeError if array.dtype.kind == "O" else ValueError
        raise wrong(f"expected numbers, got data that NumPy reads as {array.dtype}: {str(data)[:60]}")
    if array.dtype.kind == "c":
        raise complex_not_supported("a tensor of complex numbers")
    if wanted is None and (array.size == 0 or (array.dtype == np.float64 and not _holds_float64(data))):
        return array.astype(get_default_dtype().numpy)
    return canonical(array)


def _holds_float64(data: Any) -> bool:
    """Whether nested sequences hold NumPy float64 values, whose dtype is kept, and no Python floats."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.generic, np.ndarray)) and data.dtype == np.float64


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing memory (and the tape) where nothing must be converted."""
    if isinstance(data, Tensor):
        placed = data if device is None else move(data, as_device(device))
        return placed if dtype is None else cast(placed, as_dtype(dtype).numpy)
    return make(to_array(data, dtype), device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """`obj` as a tensor; `copy` True, False (ValueError if one is needed) or None (only if needed)."""
    if isinstance(obj, Tensor):
        made = as_tensor(obj, dtype, device)
        if copy is False and made is not obj:
            raise ValueError("can't alias the given object without a copy; pass copy=None")
        made = made.clone() if copy and made is obj else made
        return made.requires_grad_() if requires_grad else made
    array = to_array(obj, dtype)
    shared = isinstance(obj, np.ndarray) and np.may_share_memory(array, to_array(obj))
    if copy is False and not shared:
        raise ValueError("can't alias the given object without a copy; pass copy=None")
    return make(np.array(array) if copy else array, device, requires_grad)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares memory with `ndarray`. TypeError for anything else, or a dtype gpugrad lacks."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            'currently not supported; use array.astype(array.dtype.newbyteorder("=")).'
        )
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "currently supported. (You can probably work around this by making a copy of your array with array.copy().)"
        )
    return wrap(canonical(ndarray))


def _filled(
    size: Any,
    value: Any,
    dtype: Any,
    device: Any,
    requires_grad: bool,
    out: Tensor | None,
    name: str,
    pin_memory: bool = False,
) -> Tensor:
    shape = as_size(size)
    if any(s < 0 for s in shape):
        raise RuntimeError(f"{name}(): Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    wanted = (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    made = pinned(make_full(shape, value, wanted, device_for(device, out), requires_grad), pin_memory)
    return made if out is None else into(out, made, name)


def device_for(device: Any, out: Tensor | None) -> Device:
    """The device that a tensor is to be made on: by default that of `out`."""
    return as_device(array_device(out._array) if device is None and out is not None else device)


def make_full(shape: Any, value: Any, wanted: Any, device: Any, requires_grad: bool) -> Tensor:
    if requires_grad and wanted not in FLOATS:
        raise RuntimeError("Only Tensors of floating point dtype can require gradients")
    return wrap(arrays_on(as_device(device)).full(shape, value, wanted), requires_grad)


def zeros(
    *sizes: Any,
    size: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    return _filled(sizes if size is None else (size,), 0, dtype, device, requires_grad, out, "zeros", pin_memory)


def ones(
    *sizes: Any,
    size: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of ones."""
    return _filled(sizes if size is None else (size,), 1, dtype, device, requires_grad, out, "ones", pin_memory)


def empty(
    *sizes: Any,
    size: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor whose values are whatever was in memory."""
    return _filled(sizes if size is None else (size,), None, dtype, device, requires_grad, out, "empty", pin_memory)


def full(
    size: Any,
    fill_value: Any,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor filled with `fill_value`; its dtype follows the value unless given."""
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    _check_number("full", value)
    wanted = scalar_dtype(value) if dtype is None else dtype
    return _filled((size,) if isinstance(size, int) else tuple(size), value, wanted, device, requires_grad, out, "full")


def _check_number(name: str, value: Any) -> None:
    if not isinstance(value, (int, float, np.number, np.bool_)):
        raise TypeError(f"{name}(): argument 'fill_value' (position 2) must be Number, not {type(value).__name__}")


@op(name="like", ordered=False)
def _alike(x: Any, *, value: Any, dtype: Any) -> Any:
    """An array in the shape and memory order of `x`, filled with `value` unless that is None."""
    out = np.empty_like(x, dtype=dtype, order=memory_order(x))
    if value is not None:
        out[...] = value
    return out


def _like(input: Tensor, value: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    array = input._array
    wanted = array.dtype if dtype is None else as_dtype(dtype).numpy
    if requires_grad and wanted not in FLOATS:
        raise RuntimeError("Only Tensors of floating point dtype can require gradients")
    if device is not None and not same_device(as_device(device), array_device(array)):
        return make_full(array.shape, value, wanted, device, requires_grad)
    made = _alike(input, value=value, dtype=wanted)
    made._requires_grad = requires_grad
    return made


def zeros_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Zeros of the shape, dtype and device of `input`."""
    return _like(input, 0, dtype, device, requires_grad)


def ones_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Ones of the shape, dtype and device of `input`."""
    return _like(input, 1, dtype, device, requires_grad)


def empty_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """An uninitialised tensor of the shape, dtype and device of `input`."""
    return _like(input, None, dtype, device, requires_grad)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """`fill_value` in the shape, dtype and device of `input`."""
    return _like(input, fill_value, dtype, device, requires_grad)


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor; the default dtype unless given."""
    return tensor(s, dtype=dtype or get_default_dtype(), device=device, requires_grad=requires_grad)


def legacy_tensor(cls: type, *args: Any, device: Any = None, dtype: Any = None) -> Tensor:
    """`Tensor(2, 3)`: uninitialised; `Tensor([1, 2])` or an array: converted; `Tensor()`: empty."""
    wanted = get_default_dtype() if dtype is None else dtype
    if args and all(isinstance(a, (int, np.integer)) for a in args):
        return empty(*map(operator.index, args), dtype=wanted, device=device)
    if not args:
        return empty(0, dtype=wanted, device=device)
    if len(args) > 1:
        raise TypeError(f"Tensor() takes sizes or one sequence, got {[type(a).__name__ for a in args]}")
    (data,) = args
    if isinstance(data, Tensor):
        return cast(data.detach(), as_dtype(wanted).numpy)
    if isinstance(data, (bool, float, str)):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    if hasattr(data, "numel"):  # a Size
        return empty(*data, dtype=wanted, device=device)
    return tensor(data, dtype=wanted, device=device)


# ------------------------------------------------------------------------------------------------ about tensors


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether `input` has a floating dtype."""
    return input._array.dtype in FLOATS


def numel(input: Tensor) -> int:
    """The number of elements."""
    return int(input._array.size)


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype of an arithmetic result of the two, tensors or Python scalars."""
    parts = []
    for x in (tensor1, tensor2):
        if isinstance(x, Tensor):
            parts.append((as_dtype(x._array.dtype), 2 if x._array.ndim else 1))
        else:
            parts.append((scalar_dtype(x), 0))
    return result_type_of(parts)


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether PyTorch's casting rules allow a result of dtype `from_` to be written to `to`."""
    return from_.category <= to.category or to is bool_ is from_
