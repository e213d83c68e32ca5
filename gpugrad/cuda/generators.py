"""`gpugrad.cuda`: the default generators of CUDA devices, by PyTorch's names."""

from __future__ import annotations

from typing import Any

from .. import random
from ..core import Tensor
from ..device import Device
from . import backend, current_device, index_of


def _generator(device: Any) -> random.Generator:
    """The default generator of a CUDA device: an index, a name, None for the current one."""
    found = Device("cuda", device) if isinstance(device, int) else device
    return random.default_generator_of(Device("cuda", index_of(found)))


def seed() -> None:
    """Seed the current device's generator from the system's randomness."""
    _generator(None).seed()


def seed_all() -> None:
    """Seed the generators of all devices, with one seed, from the system's randomness."""
    random.seed_cuda(_generator(0).seed())


def initial_seed() -> int:
    """The seed of the current device's generator."""
    return _generator(None).initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The state of a device's generator, a uint8 tensor on the CPU; waits for the device."""
    return _generator(device).get_state()


def get_rng_state_all() -> list[Tensor]:
    """The states of the generators of all devices."""
    return [get_rng_state(i) for i in range(backend.device_count())]


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Put a device's generator where `get_rng_state` found it."""
    _generator(device).set_state(new_state)


def set_rng_state_all(new_states: list[Tensor]) -> None:
    """Put the generators of all devices where `get_rng_state_all` found them."""
    for i, state in enumerate(new_states):
        set_rng_state(state, i)


def manual_seed(seed: int) -> None:
    """Seed the current device's generator."""
    random.seed_cuda(int(seed), current_device())


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices."""
    random.seed_cuda(int(seed))


def __getattr__(name: str) -> Any:
    if name == "default_generators":
        return tuple(_generator(i) for i in range(backend.device_count()))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
