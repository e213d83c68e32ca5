"""Generators: `manual_seed`, `Generator`, the state of the default one."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from .core import Tensor, wrap
from .device import CPU, Device, as_device
from .random_engine import Mt19937, as_seed


class Generator:
    """A stream of random numbers for one device: on the CPU, the numbers PyTorch's has from the same seed."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device: Device = _with_index(as_device(device))

    @functools.cached_property
    def engine(self) -> Any:
        """The stream itself, made when it is first asked for: loading NumPy's generators takes 14 ms."""
        if self.device.type == "cpu":
            return Mt19937()
        from .cuda.philox import Philox

        return Philox(self.device.index or 0)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream anew from `seed`."""
        self.engine.manual_seed(seed)
        return self

    def seed(self) -> int:
        """Start anew from a seed nobody chose, and return it."""
        return self.engine.seed()

    def initial_seed(self) -> int:
        """The seed the stream was started from."""
        return self.engine.initial_seed()

    def get_state(self) -> Tensor:
        """The state, as a uint8 tensor."""
        return wrap(self.engine.get_state())

    def set_state(self, new_state: Tensor) -> Generator:
        """Go back to a state of `get_state`. TypeError for what is no tensor of bytes, RuntimeError if it is no state."""
        if not isinstance(new_state, Tensor):
            raise TypeError(f"set_state(): expected a uint8 tensor of get_state(), got {type(new_state).__name__}")
        self.engine.set_state(new_state.numpy())
        return self

    def clone_state(self) -> Generator:
        """A generator of its own in the same state."""
        return Generator(self.device).set_state(self.get_state())

    def __reduce__(self) -> tuple[Any, ...]:  # a copy goes on alone
        return _generator_in, (self.device, self.engine.get_state())


def _with_index(device: Device) -> Device:
    """A device with its index: `cuda` is the current one."""
    if device.type == "cpu" or device.index is not None:
        return device
    from .cuda import current_device

    return Device("cuda", current_device())


def _generator_in(device: Device, state: Any) -> Generator:
    generator = Generator(device)
    generator.engine.set_state(state)
    return generator


default_generator = Generator()


_on_cuda: dict[int, Generator] = {}  # the default generators of CUDA devices, by index, as far as they have been used
_seeds: dict[int | None, int] = {}  # what those of later start from, by index; None: of all others


def default_generator_of(device: Device) -> Generator:
    """The default generator of a usable device."""
    if device.type == "cpu":
        return default_generator
    index = _with_index(device).index or 0
    if index not in _on_cuda:
        made = Generator(Device("cuda", index))
        seed = _seeds.get(index, _seeds.get(None))
        _on_cuda[index] = made if seed is None else made.manual_seed(seed)
    return _on_cuda[index]


def seed_cuda(seed: int, index: int | None = None) -> None:
    """Seed the default generator of the CUDA device `index`, or those of all; they are made when they are first used.

    Nothing is done in a process forked after CUDA was initialised, such as a worker of a DataLoader: they cannot be used.
    """
    from .cuda import backend

    seed = as_seed(seed)
    if backend.is_in_bad_fork():
        return
    if index is None:
        _seeds.clear()
    _seeds[index] = seed
    for k, generator in _on_cuda.items():
        if index in (None, k):
            generator.manual_seed(seed)


def engine_of(generator: Generator | None, device: Device = CPU) -> Any:
    """The engine of `generator`, or of the default one of `device`.

    TypeError for what is no generator, RuntimeError for one of another type of device.
    """
    if generator is None:
        return default_generator_of(device).engine
    if not isinstance(generator, Generator):
        raise TypeError(f"expected a gpugrad.Generator or None for generator, got {type(generator).__name__}")
    if generator.device.type != device.type or (device.index is not None and generator.device.index != device.index):
        raise RuntimeError(
            f"Expected a '{device}' generator device but found '{generator.device}': make one with "
            f"Generator(device={str(device)!r})"
        )
    return generator.engine


def manual_seed(seed: int) -> Generator:
    """Seed the default generators of all devices; returns the CPU's."""
    default_generator.manual_seed(int(seed))
    seed_cuda(int(seed))
    return default_generator


def seed() -> int:
    """Seed the default generators of all devices from the system's randomness."""
    found = default_generator.seed()
    seed_cuda(found)
    return found


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the state of the default generator."""
    default_generator.set_state(new_state)


def _cuda_devices() -> list[Device]:
    """All CUDA devices, if they have been used."""
    from .cuda import backend

    return [Device("cuda", i) for i in range(backend.device_count())] if backend.is_ready() else []


def default_generators(devices: Any = None) -> list[Generator]:
    """The CPU's default generator and those of `devices`; None is all CUDA devices, if CUDA has been used."""
    found = _cuda_devices() if devices is None else [as_device(Device(d)) for d in devices]
    return [default_generator, *map(default_generator_of, found)]


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """Put the default generators back, at the end of the block, where they were at its beginning.

    That is the CPU's, and those of `devices`: CUDA devices or their indices; None is all, if CUDA has been used.
    """
    if not enabled:
        yield
        return
    kept = default_generators(devices)
    states = [generator.get_state() for generator in kept]
    try:
        yield
    finally:
        for generator, state in zip(kept, states):
            generator.set_state(state)
