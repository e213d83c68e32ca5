"""Tensor methods: what a tensor is, its values, conversion, copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .device import ARRAY_TYPES, CPU, Device, array_device, as_device
from .dtypes import BY_NUMPY, FLOATS, as_dtype

if TYPE_CHECKING:
    from .core import Tensor


class CreateMethods:
    """Dtype, device, values, conversion."""

    __slots__ = ()

    # ------------------------------------------------------------------------------------------- what it is

    @property
    def dtype(self) -> dtypes.dtype:
        return BY_NUMPY[self._array.dtype]

    @property
    def device(self) -> Device:
        return array_device(self._array)

    @property
    def layout(self) -> Any:
        from .layouts import strided

        return strided

    @property
    def is_cuda(self) -> bool:
        return array_device(self._array).type == "cuda"

    is_sparse = is_quantized = is_meta = is_xpu = is_mps = is_nested = False

    def is_floating_point(self) -> bool:
        return self._array.dtype in FLOATS

    def is_complex(self) -> bool:
        return False

    def is_signed(self) -> bool:
        return self.dtype.is_signed

    def element_size(self) -> int:
        return self._array.dtype.itemsize

    @property
    def itemsize(self) -> int:
        return self._array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    def data_ptr(self) -> int:
        array = self._array
        interface = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
        return interface["data"][0]

    # ----------------------------------------------------------------------------------------------- values

    def item(self) -> Any:
        """The value of a tensor of one element as a Python number; RuntimeError otherwise."""
        if self._array.size != 1:
            raise RuntimeError(f"a Tensor with {self._array.size} elements cannot be converted to Scalar")
        value = self._to_numpy().reshape(()).item()
        return float(value) if self._array.dtype in FLOATS else value

    def tolist(self) -> Any:
        """The values as (nested lists of) Python numbers."""
        array = self._to_numpy()
        return (array.astype(np.float64) if array.dtype.kind == "V" else array).tolist()

    def _to_numpy(self) -> np.ndarray:
        return ARRAY_TYPES[type(self._array)].to_numpy(self._array)

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as a NumPy array that shares memory. RuntimeError if it requires grad (unless `force`)."""
        if force:
            return self._to_numpy()
        if self._requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self.is_cuda:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                "memory first."
            )
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
        from .core import canonical, wrap

        return wrap(canonical(np.asarray(array)))

    def __bool__(self) -> bool:
        if self._array.size != 1:
            which = "no values" if self._array.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {which} is ambiguous; use .any(), .all() or .item()")
        return bool(self._to_numpy())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        if self._array.size != 1:  # another class than `item`'s, as in PyTorch
            raise ValueError(
                f"only one element tensors can be converted to Python scalars, this has {self._array.size}"
            )
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from .printing import tensor_repr

        return tensor_repr(
            self._to_numpy(),
            dtype_name=self.dtype.name,
            default_dtype=dtypes.get_default_dtype().name,
            requires_grad=self._requires_grad,
            grad_fn_name=self._node.name() if self._node is not None else None,
            device=str(self.device),
            parameter=getattr(type(self), "is_parameter", False),
        )

    def __format__(self, spec: str) -> str:
        """A 0-d tensor as its number. TypeError for a format of a larger one."""
        if self._array.ndim == 0 and type(self).__name__ == "Tensor":  # a Parameter shows what it is
            return format(self.item(), spec)
        return object.__format__(self, spec)

    # ------------------------------------------------------------------------------------------- conversion

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        """`to(dtype)`, `to(device)`, `to(device, dtype)`, `to(other)`; the tensor itself if nothing changes, unless `copy`.

        `non_blocking` changes nothing: a copy to a device never waits for it, a copy to the host always does.
        """
        from . import ops
        from .ops.cast import cast
        from .ops.transfer import move

        for arg in args:
            if isinstance(arg, (dtypes.dtype, type)):
                dtype = arg
            elif isinstance(arg, (str, Device, int)) and not isinstance(arg, bool):
                device = arg
            elif hasattr(arg, "_array"):
                dtype, device = arg.dtype, arg.device
            elif not isinstance(arg, bool) and arg is not None:
                raise TypeError(f"to(): expected a dtype, a device or a tensor, got {arg!r}")
        placed = self if device is None else move(self, as_device(device))
        target = self._array.dtype if dtype is None else as_dtype(dtype).numpy
        if target is self._array.dtype:
            return ops.clone(self) if copy and placed is self else placed
        return cast(placed, target)

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """Converted to `dtype`: a dtype, or a type such as `cuda.FloatTensor` or its name, which says the device too.

        Without one, that name. ValueError for another name.
        """
        from .legacy_types import TensorType, find, name_of

        if dtype is None:
            return name_of(self.dtype, self.device)
        if isinstance(dtype, str):
            dtype = find(dtype)
        if isinstance(dtype, TensorType):
            there = self.device.type == dtype.device.type
            return self.to(self.device if there else dtype.device, dtype.dtype)
        return self.to(as_dtype(dtype))

    def type_as(self, other: Tensor) -> Tensor:
        return self.to(other)

    def float(self) -> Tensor:
        return self.to(dtypes.float32)

    def double(self) -> Tensor:
        return self.to(dtypes.float64)

    def half(self) -> Tensor:
        return self.to(dtypes.float16)

    def bfloat16(self) -> Tensor:
        return self.to(dtypes.bfloat16)

    def int(self) -> Tensor:
        return self.to(dtypes.int32)

    def long(self) -> Tensor:
        return self.to(dtypes.int64)

    def short(self) -> Tensor:
        return self.to(dtypes.int16)

    def char(self) -> Tensor:
        return self.to(dtypes.int8)

    def byte(self) -> Tensor:
        return self.to(dtypes.uint8)

    def bool(self) -> Tensor:
        return self.to(dtypes.bool_)

    def cpu(self, memory_format: Any = None) -> Tensor:
        return self.to("cpu")

    def cuda(self, device: Any = None, non_blocking: Any = False) -> Tensor:
        return self.to(Device("cuda") if device is None else Device(device), non_blocking=non_blocking)

    def share_memory_(self) -> Tensor:
        return self

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Tensor:
        from . import ops

        return ops.tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    def new_zeros(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        from . import ops

        dtype, device = dtype or self.dtype, device or self.device
        return ops.zeros(*sizes, size=size, dtype=dtype, device=device, requires_grad=requires_grad)

    def new_ones(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        from . import ops

        dtype, device = dtype or self.dtype, device or self.device
        return ops.ones(*sizes, size=size, dtype=dtype, device=device, requires_grad=requires_grad)

    def new_empty(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        from . import ops

        dtype, device = dtype or self.dtype, device or self.device
        return ops.empty(*sizes, size=size, dtype=dtype, device=device, requires_grad=requires_grad)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        from . import ops

        dtype, device = dtype or self.dtype, device or self.device
        return ops.full(size, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)

    # ----------------------------------------------------------------------------------------- writing values

    def fill_(self, value: Any) -> Tensor:
        """Every element becomes `value`, a number or a 0-d tensor."""
        from .inplace import overwrite
        from .ops.fill import fill

        if hasattr(value, "_array") and value._array.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value._array.ndim} dimensions."
            )
        return overwrite(self, value, fill)

    def zero_(self) -> Tensor:
        return self.fill_(0)

    def copy_(self, src: Tensor, non_blocking: Any = False) -> Tensor:
        """The values of `src`, of any device, broadcast and converted, are written here; gradients flow to `src`."""
        from .inplace import overwrite, update
        from .ops.fill import copy

        if not hasattr(src, "_array"):
            return update(self, copy, src)
        return overwrite(self, src.to(self.device) if type(src._array) is not type(self._array) else src, copy)

    # ------------------------------------------------------------------------------------------ copy and pickle

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
                "Use x.detach().clone()."
            )
        from .core import new, wrap

        if id(self) in memo:
            return memo[id(self)]
        fresh = wrap(self._array.copy(), self._requires_grad)
        if type(self) is not type(fresh):
            copied = new(type(self))
            for slot in ("_array", "_node", "_requires_grad", "_base", "_grad", "_hooks", "_written"):
                setattr(copied, slot, getattr(fresh, slot))
            fresh = copied
        memo[id(self)] = fresh
        if self._grad is not None:
            fresh._grad = self._grad.__deepcopy__(memo)
        return fresh

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be pickled; use x.detach()")
        array = self._to_numpy()
        return rebuild, (type(self), array.tobytes(), self.dtype, array.shape, self._requires_grad, self.device)


def rebuild(cls: Any, raw: bytes, dtype: Any, shape: Any, requires_grad: Any, device: Any = CPU) -> Any:
    """A tensor of class `cls` from its bytes: what unpickling calls. RuntimeError if its device is not there."""
    from .core import new
    from .ops.create import make

    fresh = make(np.frombuffer(raw, dtype.numpy).reshape(shape).copy(), device, requires_grad)
    if cls is type(fresh):
        return fresh
    made = new(cls)
    for slot in ("_array", "_node", "_requires_grad", "_base", "_grad", "_hooks", "_written"):
        setattr(made, slot, getattr(fresh, slot))
    return made
