"""`FloatTensor`, `LongTensor` and the others: constructors, one for each dtype, from before there were dtypes.

They are classes only to be called and asked `isinstance(x, FloatTensor)`; what they make are Tensors.
"""

from __future__ import annotations

from typing import Any

from . import dtypes
from .core import Tensor
from .device import CPU, Device
from .ops.create import legacy_tensor


class TensorType(type):
    """The type of `FloatTensor` and the others."""

    dtype: dtypes.dtype
    device: Device

    def __call__(cls, *args: Any, device: Any = None) -> Any:
        """`FloatTensor(2, 3)`: uninitialised; `FloatTensor([1, 2])`: converted; `FloatTensor()`: empty.

        TypeError for a Tensor of another dtype, and for a type of CUDA tensors where there is no CUDA device.
        """
        wanted = cls.dtype
        if cls.device.type == "cuda":
            from .cuda import is_available

            if not is_available():
                raise TypeError(f"type {cls._full_name()} not available: no CUDA device was found.")
            device = cls.device if device is None else device
        if len(args) == 1 and isinstance(args[0], Tensor) and args[0].dtype is not wanted:
            raise TypeError(f"{cls.__name__}(): expected a tensor of {wanted}, got {args[0].dtype}; use .to({wanted})")
        return legacy_tensor(Tensor, *args, device=device, dtype=wanted)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype and instance.device.type == cls.device.type

    def _full_name(cls) -> str:
        return f"gpugrad.{'cuda.' if cls.device.type == 'cuda' else ''}{cls.__name__}"

    def __repr__(cls) -> str:
        return f"<class '{cls._full_name()}'>"


_DTYPES = {
    "FloatTensor": dtypes.float32,
    "DoubleTensor": dtypes.float64,
    "HalfTensor": dtypes.float16,
    "BFloat16Tensor": dtypes.bfloat16,
    "ByteTensor": dtypes.uint8,
    "CharTensor": dtypes.int8,
    "ShortTensor": dtypes.int16,
    "IntTensor": dtypes.int32,
    "LongTensor": dtypes.int64,
    "BoolTensor": dtypes.bool_,
}


def make_types(device: Device) -> dict[str, TensorType]:
    """The types of tensors on a device, by name."""
    return {
        name: TensorType(name, (), {"dtype": dtype, "device": device, "__module__": "gpugrad"})
        for name, dtype in _DTYPES.items()
    }


CPU_TYPES = make_types(CPU)
CUDA_TYPES = make_types(Device("cuda"))
globals().update(CPU_TYPES)


def find(name: str) -> TensorType:
    """The type called `name`, as in "torch.cuda.FloatTensor". ValueError if there is none."""
    where, _, last = name.rpartition(".")
    types = CUDA_TYPES if where.endswith("cuda") else CPU_TYPES
    if last not in types:
        raise ValueError(f"invalid type: {name!r}; it is one of {', '.join(t._full_name() for t in types.values())}")
    return types[last]


def name_of(dtype: dtypes.dtype, device: Device) -> str:
    """What the type of a tensor is called; that of a dtype without one, as PyTorch would call it."""
    prefix = "gpugrad.cuda." if device.type == "cuda" else "gpugrad."
    known = {d: name for name, d in _DTYPES.items()}
    return prefix + (known[dtype] if dtype in known else f"{dtype.name.replace('ui', 'UI')}Tensor")


def set_default_tensor_type(t: Any, /) -> None:
    """Set the default dtype by one of these types, or by its name. TypeError for one that is not floating."""
    name = t.rpartition(".")[2] if isinstance(t, str) else getattr(t, "__name__", None)
    if name not in _DTYPES:
        raise TypeError(f"invalid type object: set_default_tensor_type() takes a type such as FloatTensor, got {t!r}")
    if not _DTYPES[name].is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    dtypes.set_default_dtype(_DTYPES[name])


__all__ = ["CPU_TYPES", "CUDA_TYPES", "TensorType", "make_types", "set_default_tensor_type"]
