"""`autocast`: regions in which ops run in the dtype that suits them; and the state they set, per thread."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from .. import cuda
from ..core import Tensor
from ..device import Device
from ..dtypes import bfloat16, dtype, float16
from . import doors
from .casting import is_cast, state

__all__ = ["autocast", "autocast_decorator", "custom_bwd", "custom_fwd", "is_autocast_available"]

_AVAILABLE = ("cpu", "cuda")


# ---- the state of this thread ----


def is_autocast_available(device_type: str) -> bool:
    """Whether ops on devices of this type can be cast. RuntimeError if there is no such type."""
    return Device(device_type).type in _AVAILABLE


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether ops on devices of this type are cast in this thread."""
    return Device(device_type).type in state.enabled


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Cast ops on devices of a type in this thread, or do not. With one argument, a bool, the type is "cuda"."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    kind = frozenset({Device(device_type).type})
    wanted = state.enabled | kind if enabled else state.enabled - kind
    if wanted and not state.holds_doors:
        doors.hold()
        state.holds_doors = True
    state.enabled = wanted
    if not wanted and state.holds_doors and state.nesting == 0:
        doors.release()
        state.holds_doors = False


def get_autocast_dtype(device_type: str) -> dtype:
    """What ops of lower precision are cast to on devices of this type: float16 on CUDA and bfloat16 on the CPU, unless set."""
    return state.dtypes[Device(device_type).type]


def set_autocast_dtype(device_type: str, dtype: dtype) -> None:
    """Set what `get_autocast_dtype` gives in this thread. TypeError for what is no dtype."""
    _check_dtype("set_autocast_dtype", dtype)
    state.dtypes[Device(device_type).type] = dtype


def _check_dtype(name: str, given: Any) -> None:
    if not isinstance(given, dtype):
        raise TypeError(f"{name}(): argument 'dtype' (position 2) must be gpugrad.dtype, not {type(given).__name__}")


def is_autocast_cache_enabled() -> bool:
    """Whether a weight is cast once for all of the outermost region."""
    return state.cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether a weight is cast once for all of the outermost region."""
    state.cache_enabled = enabled


def clear_autocast_cache() -> None:
    """Forget the weights that have been cast in this thread."""
    state.cache.clear()


def autocast_increment_nesting() -> int:
    """Count a region that begins; how many there are now in this thread."""
    state.nesting += 1
    return state.nesting


def autocast_decrement_nesting() -> int:
    """Count a region that ends; how many are left in this thread."""
    state.nesting -= 1
    return state.nesting


# ---- regions ----


class autocast:
    """A region in which ops on devices of one type run in `dtype`, or in float32 where that needs its precision or range.

    Works as a context manager and as a decorator. `device_type` is "cpu" or "cuda", `dtype` float16 or bfloat16
    (`get_autocast_dtype` if None). Parameters keep their dtype and so do their gradients; results have the dtype their op
    was computed in. `enabled=False` is a region inside another in which nothing is cast. With `cache_enabled` a weight is
    cast once for all of the outermost region. Tensors of float64, writes in place and `out=` are left as they are.

    RuntimeError for other devices. A UserWarning, and nothing is cast, for a dtype that a CPU region cannot have, and for
    "cuda" where there is no CUDA device.
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        _check_device_type(device_type)
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        _check_dtype("autocast", self.fast_dtype)
        self.device = device_type
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        self._enabled = enabled and self._is_possible()

    def _is_possible(self) -> bool:
        """Whether there is such a device and it can compute in such a dtype; else warn."""
        if self.device == "cuda":
            if not cuda.is_available():
                warnings.warn("CUDA is not available. Disabling autocast.", stacklevel=3)
                return False
            return True
        if self.fast_dtype in (bfloat16, float16):
            return True
        warnings.warn(
            f"In {self.device.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
            f"{self.device.upper()} Autocast only supports dtypes of {bfloat16}, {float16} currently.",
            stacklevel=3,
        )
        return False

    def __enter__(self) -> autocast:
        before = is_autocast_enabled(self.device), get_autocast_dtype(self.device), is_autocast_cache_enabled()
        set_autocast_enabled(self.device, self._enabled)
        state.before.append(before)
        set_autocast_dtype(self.device, self.fast_dtype)
        autocast_increment_nesting()
        set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, *exc: object) -> None:
        enabled, fast_dtype, cache_enabled = state.before.pop()
        if autocast_decrement_nesting() == 0:
            clear_autocast_cache()
        set_autocast_enabled(self.device, enabled)
        set_autocast_dtype(self.device, fast_dtype)
        set_autocast_cache_enabled(cache_enabled)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(function):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(function).__name__}. "
                "Did you mean to use autocast as a context manager? For example:\n"
                "    with gpugrad.autocast(device_type=...):\n"
                "        output = model(input)"
            )
        return autocast_decorator(self, function)


def autocast_decorator(autocast_instance: autocast, func: Callable[..., Any]) -> Callable[..., Any]:
    """`func`, which runs inside the region `autocast_instance` whenever it is called."""

    @functools.wraps(func)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with autocast_instance:
            return func(*args, **kwargs)

    return decorated


def state_now() -> Callable[[], AbstractContextManager[None]]:
    """What makes regions in the state that this thread is in now: for what is computed once more, in a backward.

    Each has a weight cache of its own: what is computed in it depends on no cast that was made before.
    """
    enabled, dtypes, cache_enabled = state.enabled, dict(state.dtypes), state.cache_enabled

    @contextmanager
    def region() -> Iterator[None]:
        cache, state.cache = state.cache, {}
        cpu, there = (autocast(d, dtypes[d], d in enabled, cache_enabled) for d in ("cpu", "cuda"))
        try:
            with cpu, there:
                yield
        finally:
            state.cache = cache

    return region


def _check_device_type(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if not is_autocast_available(device_type):
        raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")


# ---- for `autograd.Function` ----


def _cast(value: Any, device_type: str, dtype: dtype) -> Any:
    """`value`, a tensor or a container of them, with what may be cast in `dtype`."""
    if isinstance(value, Tensor):
        return value.to(dtype) if is_cast(value, device_type) else value
    if isinstance(value, (str, bytes, np.ndarray)):
        return value
    if isinstance(value, Mapping):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, Iterable):
        converted = (_cast(v, device_type, dtype) for v in value)
        return type(value)(converted) if isinstance(value, (list, tuple)) else converted
    return value


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: dtype | None = None
) -> Callable[..., Any]:
    """Decorate the `forward` of an `autograd.Function` that is to be used inside autocast.

    With `cast_inputs` floating tensors on `device_type` are cast to that dtype and `forward` runs with autocast off;
    without, it runs in the state it is called in. Outside autocast it does nothing. ValueError for a `device_type` that
    is no string.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        ctx, casting = args[0], is_autocast_enabled(device_type)
        ctx._dtype = get_autocast_dtype(device_type)
        ctx._fwd_used_autocast = casting and cast_inputs is None
        if not casting or cast_inputs is None:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return decorated


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Callable[..., Any]:
    """Decorate the `backward` of an `autograd.Function`: it runs in the state of autocast its `forward` had.

    `forward` must be decorated with `custom_fwd`. ValueError for a `device_type` that is no string.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        ctx = args[0]
        with autocast(device_type, dtype=ctx._dtype, enabled=ctx._fwd_used_autocast):
            return bwd(*args, **kwargs)

    return decorated
