"""gpugrad: automatic differentiation over NumPy arrays on the CPU and CuPy arrays on NVIDIA GPUs, with PyTorch's names."""

from __future__ import annotations

import math as _math
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from . import ops  # first: the methods of Tensor name it

# isort: split
from .core import Tensor
from .device import Device as device
from .device import get_default_device, set_default_device
from .dtypes import (
    bfloat16,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .dtypes import bool_ as bool
from .dtypes import dtype as dtype
from .lazy_names import MODULES as _MODULES
from .lazy_names import NAMES as _NAMES
from .modes import enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled
from .ops import *
from .ops.operators import OPERATORS as _OPERATORS
from .size import Size as Size
from .version import __version__

if _TYPE_CHECKING:  # loaded when they are first asked for: see `lazy_names`
    from . import autograd
    from .expr import elementwise
    from .printing import set_printoptions
    from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
inf, nan, pi, e = _math.inf, _math.nan, _math.pi, _math.e
newaxis = None

for _name, _function in _OPERATORS.items():
    setattr(Tensor, _name, _function)

# What is loaded later is exported too: `from gpugrad import *` loads it. Not exported are the modules an import left here.
_left_by_imports = {_name for _name, _value in globals().items() if isinstance(_value, type(_math))} | {"annotations"}
__all__ = [_name for _name in (*globals(), *_NAMES) if not _name.startswith("_") and _name not in _left_by_imports]


def __getattr__(name: str) -> _Any:
    """Load a part of the library when it is first used, so that `import gpugrad` stays quick."""
    import importlib

    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _NAMES:
        value = globals()[name] = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
        return value
    raise AttributeError(f"module 'gpugrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
