"""`Parameter`: a tensor that a Module lists among its parameters."""

from __future__ import annotations

from typing import Any

from ..core import Tensor, new, wrap

_STATE = ("_array", "_node", "_requires_grad", "_base", "_grad", "_hooks", "_written")


def _become(cls: type, data: Tensor, requires_grad: bool) -> Any:
    """A leaf of class `cls` that shares the memory of `data`."""
    fresh = wrap(data._array, requires_grad)
    made: Any = new(cls)
    for slot in _STATE:
        setattr(made, slot, getattr(fresh, slot))
    return made


class Parameter(Tensor):
    """A leaf tensor that requires grad and registers itself with the Module it is assigned to."""

    is_parameter = True

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        from ..ops import empty

        data = empty(0) if data is None else data
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): expected a Tensor, got {type(data).__name__}; make one with gpugrad.tensor")
        if requires_grad and not data.is_floating_point():
            raise RuntimeError(f"Only Tensors of floating point dtype can require gradients, got {data.dtype}")
        return _become(cls, data, requires_grad)


class Buffer(Tensor):
    """A tensor that registers itself as a buffer of the Module it is assigned to."""

    persistent: bool = True

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        from ..ops import empty

        made = _become(cls, empty(0) if data is None else data, False)
        made.persistent = persistent
        return made
