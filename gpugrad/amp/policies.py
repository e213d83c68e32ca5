"""The policies: what a function is called with inside autocast, in place of what it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..core import Tensor
from ..dtypes import dtype, float32
from ..ops.cast import cast
from .casting import NOTHING, device_type, is_cast, lowered, state

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Policy = Callable[[tuple[Any, ...], dict[str, Any], str], Arguments]


def _each(args: tuple[Any, ...], kwargs: dict[str, Any], device: str, convert: Callable[[Tensor], Tensor]) -> Arguments:
    """Convert what may be cast among the arguments, in lists and tuples too."""

    def of(x: Any) -> Any:
        if is_cast(x, device):
            return convert(x)
        return type(x)([of(part) for part in x]) if type(x) in (list, tuple) else x

    return tuple([of(a) for a in args]), {name: of(a) for name, a in kwargs.items()}


def lower(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Everything in the dtype of the region."""
    wanted = state.dtypes[device].numpy
    return _each(args, kwargs, device, lambda x: lowered(x, wanted))


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


def single_windows(args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Arguments:
    """Of pooling over three dimensions, and of its reverse over two or more: float32."""
    reverse = "spatial" in kwargs
    sizes = kwargs["spatial"] if reverse else kwargs.get("kernel") or kwargs["output"]
    return (single if len(sizes) >= (2 if reverse else 3) else as_they_are)(args, kwargs, device)


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
