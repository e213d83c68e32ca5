"""What autocast knows of a thread, and the casts it makes: which tensors, to which dtype, kept for how long."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from ..core import Tensor
from ..device import array_device
from ..dtypes import FLOATS, bfloat16, float16, float32, float64
from ..modes import state as mode
from ..ops.cast import cast

NOTHING: frozenset[str] = frozenset()
_CAST = FLOATS - {float64.numpy}
_device_types: dict[type, str] = {}  # by array type: to name the device of an array takes longer


class _Kept(NamedTuple):
    """A cast of a leaf, and what must still hold for it to be used again."""

    leaf: Tensor  # held, so that no other tensor gets its id
    array: Any
    written: int
    captured: bool
    result: Tensor


class _State(threading.local):
    """Autocast in one thread. `enabled` names the device types of which ops are cast now: none inside such an op."""

    def __init__(self) -> None:
        self.enabled = NOTHING
        self.dtypes = {"cpu": bfloat16, "cuda": float16}
        self.cache_enabled = True
        self.nesting = 0
        self.holds_doors = False
        self.before: list[tuple[bool, Any, bool]] = []  # what each region that has begun will restore
        self.cache: dict[int, _Kept] = {}


state = _State()


def device_type(x: Tensor) -> str:
    """The type of the device of `x`."""
    kind = type(x._array)
    found = _device_types.get(kind)
    if found is None:
        found = _device_types[kind] = array_device(x._array).type
    return found


# ---- the weight cache ----


def _in_capture(x: Tensor) -> bool:
    """Whether a CUDA graph is being captured, so that what is computed now has its values when the graph is replayed."""
    if device_type(x) != "cuda":
        return False
    from ..cuda import array

    return array.capturing


def _kept_cast(x: Tensor, wanted: Any) -> Tensor:
    """`x`, a leaf that wants a gradient, in the NumPy dtype `wanted`: cast once until the outermost region ends.

    A cast is made anew when the leaf has been written or given other memory, when it was made off the tape and
    is now to be recorded, and on either side of the border of a CUDA graph.
    """
    kept = state.cache.get(id(x))
    captured = _in_capture(x)
    if (
        kept is not None
        and kept.array is x._array
        and kept.written == x._written[0]
        and kept.captured == captured
        and kept.result._array.dtype is wanted
        and (kept.result._requires_grad or not mode.grad)
    ):
        return kept.result
    result = cast(x, wanted)
    state.cache[id(x)] = _Kept(x, x._array, x._written[0], captured, result)
    return result


# ---- casts of one tensor ----


def is_cast(x: Any, device: str) -> bool:
    """Whether autocast on `device` may convert `x`: a floating tensor there that is not float64."""
    return isinstance(x, Tensor) and x._array.dtype in _CAST and device_type(x) == device


def lowered(x: Tensor, wanted: Any) -> Tensor:
    """`x` in the NumPy dtype `wanted`; of a weight, a leaf in float32, the cast is kept."""
    is_weight = x._requires_grad and x._node is None and x._base is None and x._array.dtype is float32.numpy
    return _kept_cast(x, wanted) if is_weight and state.cache_enabled else cast(x, wanted)
