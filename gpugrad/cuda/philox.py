"""The generator behind a CUDA device's random numbers: a seed and a place in its stream, both in device memory.

Kernels read them and move the place on (`kernels/philox.cuh`), so that drawing waits for nothing and a captured draw
goes on at each replay. The host knows the seed; the place it reads only when the state is asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..random_engine import DEFAULT_SEED, as_seed, fresh_seed
from .array import DeviceArray, cp, empty, to_numpy
from .module import kernels

_STATE_BYTES = 16  # the seed and the number of the next block, as in PyTorch a seed and an offset


class Philox:
    """A stream of 32-bit words, Philox 4x32-10, for one device. One of its streams may draw at a time."""

    __slots__ = ("_place", "_seed", "_set", "_state", "device")

    def __init__(self, device: int, seed: int = DEFAULT_SEED) -> None:
        self.device, self._seed, self._place = device, as_seed(seed), 0
        self._state: DeviceArray | None = None
        self._set: Any = None

    @property
    def state(self) -> DeviceArray:
        """`RandomState` of kernels/philox.cuh, made when it is first asked for. RuntimeError if that is in a capture."""
        if self._state is None:
            _refuse_in_a_capture()
            with cp.cuda.Device(self.device):
                self._state = empty(3, np.uint64)
                (self._set,) = kernels("random.cu", "gpugrad::set_random_state<gpugrad::RandomState>")
                self._write()
        return self._state

    def _write(self) -> None:
        self._set((1,), (1,), (self._state, np.uint64(self._seed), np.uint64(self._place)))

    def _go(self, seed: int, place: int) -> None:
        if self._state is not None:
            _refuse_in_a_capture()
        self._seed, self._place = seed, place
        if self._state is not None:
            with cp.cuda.Device(self.device):
                self._write()

    def manual_seed(self, seed: int) -> Philox:
        """Start the stream of `seed` anew; returns the engine.

        RuntimeError for anything but an integer or while a graph is captured, ValueError outside `[-2**63, 2**64)`.
        """
        self._go(as_seed(seed), 0)
        return self

    def seed(self) -> int:
        """Seed from the operating system's entropy and return that seed."""
        seed = fresh_seed()
        self._go(seed, 0)
        return seed

    def initial_seed(self) -> int:
        """The seed of this stream, in `[0, 2**64)`."""
        return self._seed

    def get_state(self) -> np.ndarray:
        """The state as a uint8 array of shape (16,) on the host: waits for the device."""
        if self._state is not None:
            _refuse_in_a_capture()
            self._place = int(to_numpy(self._state)[1])
        return np.array([self._seed, self._place], "<u8").view(np.uint8)

    def set_state(self, state: np.ndarray) -> None:
        """Continue from a state of `get_state`. TypeError unless it is a uint8 array, RuntimeError for another size."""
        if not isinstance(state, np.ndarray) or state.dtype != np.uint8:
            given = f"array of {state.dtype}" if isinstance(state, np.ndarray) else type(state).__name__
            raise TypeError(f"RNG state must be an array of uint8, but got {given}")
        if state.shape != (_STATE_BYTES,):
            raise RuntimeError(
                f"RNG state is wrong size: a CUDA generator's has shape ({_STATE_BYTES},), but got {state.shape}"
            )
        seed, place = np.frombuffer(state.tobytes(), "<u8").tolist()
        self._go(seed, place)

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_state, (self.device, self.get_state())


def _refuse_in_a_capture() -> None:
    if cp.cuda.get_current_stream().is_capturing():
        raise RuntimeError(
            "a CUDA generator cannot be seeded, read or used for the first time while a graph is captured: seed it, and "
            "draw from it once, before the capture"
        )


def _from_state(device: int, state: np.ndarray) -> Philox:
    engine = Philox(device)
    engine.set_state(state)
    return engine
