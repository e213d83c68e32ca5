"""What autocast knows of a thread, and the casts it makes: which tensors, to which dtype, kept for how long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..core import Tensor
from ..device import array_device
from ..dtypes import FLOATS, bfloat16, dtype, float16, float32, float64
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
    from ..cuda import is_current_stream_capturing

    return is_current_stream_capturing()


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


def _lowered(x: Tensor, wanted: Any) -> Tensor:
    is_weight = x._requires_grad and x._node is None and x._base is None and x._array.dtype is float32.numpy
    return _kept_cast(x, wanted) if is_weight and state.cache_enabled else cast(x, wanted)


# ---- policies ----
# Each gives the arguments that a function is called with in place of the given ones.

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Policy = Callable[[tuple[Any, ...], dict[str, Any], str], Arguments]


def _each(args: tuple[Any, ...], kwargs: dict[str, Any], device: str, convert: Callable[[Tensor], Tensor]) -> Arguments:
    """Convert what may be cast among the arguments, in lists and tuples too."""

    def of(x: Any) -> Any:
        if isinstance(x, Tensor):
            return convert(x) if x._array.dtype in _CAST and device_type(x) == device else x
        return type(x)([of(part) for part in x]) if type(x) in (list, tuple) else x

    return tuple([of(a) for a in args]), {name: of(a) for name, a in kwargs.items()}


def lower(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Everything in the dtype of the region."""
    wanted = state.dtypes[device].numpy
    return _each(args, kwargs, device, lambda x: _lowered(x, wanted))


def single(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Everything in float32."""
    return _each(args, kwargs, device, lambda x: cast(x, float32.numpy))


def single_unless_told(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Everything in float32, unless the call says in which dtype it is to be computed."""
    told = any(isinstance(x, dtype) for x in (*args, *kwargs.values()))
    return (args, kwargs) if told else single(args, kwargs, device)


def widest(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Everything in float32 if something is not in the dtype of the region, else as it is."""
    wanted = state.dtypes[device].numpy
    have = {x._array.dtype for x in tensors_in(args, kwargs) if is_cast(x, device)}
    return (args, kwargs) if have <= {wanted} else single(args, kwargs, device)


def lower_sums(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Of `contract`: `lower` where products are summed, as matrix products are; else `widest`, as `mul` is."""
    labels = {*kwargs["x_labels"], *kwargs["y_labels"]}
    return (lower if labels - set(kwargs["wanted"]) else widest)(args, kwargs, device)


def single_borders(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Of `pad`: float32 where the border is made of the elements beside it."""
    dims = sum(pair != (0, 0) for pair in kwargs["padding"])
    mirrored = kwargs["border"] == "replicate" or (kwargs["border"] == "reflect" and dims < 3)
    return (single if mirrored else as_they_are)(args, kwargs, device)


def single_under_number(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Of a division: float32 if a number is divided by a tensor, which is the reciprocal times the number."""
    return (as_they_are if isinstance(args[0], Tensor) else single)(args, kwargs, device)


def as_state(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Of a recurrent cell: in the dtype of the region if its state is, else in float32, which states are added up in."""
    wanted = state.dtypes[device].numpy
    hidden = args[1] if len(args) > 1 else kwargs["hx"]
    low = all(x._array.dtype is wanted for x in tensors_in((hidden,), {}))
    return (lower if low else single)(args, kwargs, device)


def as_they_are(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Nothing is cast, nor inside: for functions made of others that are cast, where PyTorch's are one op that is not."""
    return args, kwargs


def refused(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """RuntimeError: `binary_cross_entropy`, whose gradient leaves the range of float16."""
    raise RuntimeError(
        "nn.functional.binary_cross_entropy and nn.BCELoss are unsafe to autocast.\n"
        "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
        "In this case, combine the two layers using nn.functional.binary_cross_entropy_with_logits\n"
        "or nn.BCEWithLogitsLoss.  binary_cross_entropy_with_logits and BCEWithLogits are\n"
        "safe to autocast."
    )


# ---- the call of a function that has a policy ----


def tensors_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    """The tensors among arguments, in lists and tuples too."""
    for x in (*args, *kwargs.values()):
        if isinstance(x, Tensor):
            yield x
        elif type(x) in (list, tuple):
            yield from tensors_in(tuple(x), {})


def _device_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The type of device a call computes on: of 0-d CPU tensors among others, that of the others. None for arrays."""
    found = None
    for x in tensors_in(args, kwargs):
        found = device_type(x)
        if found != "cpu":
            break
    return found


def through(plain: Callable[..., Any], policies: dict[str, Policy]) -> Callable[..., Any]:
    """`plain` as it is called while some thread autocasts; `policies` by device type."""

    def call(*args: Any, **kwargs: Any) -> Any:
        enabled = state.enabled
        if not enabled:
            return plain(*args, **kwargs)
        device = _device_of(args, kwargs)
        policy = policies.get(device) if device in enabled else None
        if policy is None or kwargs.get("out") is not None:  # what is written has the dtype that was asked for
            return plain(*args, **kwargs)
        args, kwargs = policy(args, kwargs, device)  # type: ignore[arg-type]
        state.enabled = NOTHING
        try:
            return plain(*args, **kwargs)
        finally:
            state.enabled = enabled

    return call
