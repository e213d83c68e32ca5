"""Generators: `manual_seed`, `Generator`, the state of the default one."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from .core import Tensor, wrap
from .device import Device, as_device
from .random_engine import Mt19937


class Generator:
    """A stream of random numbers: on the CPU, the numbers PyTorch's has from the same seed."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device: Device = as_device(device)

    @functools.cached_property
    def engine(self) -> Mt19937:
        """The stream itself, made when it is first asked for: loading NumPy's generators takes 14 ms."""
        return Mt19937()

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


def _generator_in(device: Device, state: Any) -> Generator:
    generator = Generator(device)
    generator.engine.set_state(state)
    return generator


default_generator = Generator()


def engine_of(generator: Generator | None) -> Mt19937:
    """The engine of `generator`, or of the default one."""
    if generator is None:
        return default_generator.engine
    if not isinstance(generator, Generator):
        raise TypeError(f"expected a gpugrad.Generator or None for generator, got {type(generator).__name__}")
    return generator.engine


def manual_seed(seed: int) -> Generator:
    """Seed the default generator."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default generator from the system's randomness."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the state of the default generator."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """Put the default generator back, at the end of the block, where it was at its beginning."""
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
