"""The Mersenne Twister behind the CPU's random numbers, and the raw numbers PyTorch makes of its words.

`Mt19937` yields the 32-bit words that `torch.Generator()` yields on the CPU from the same seed, and its state has the
byte layout of `torch.Generator.get_state()`, so a state saved by one continues in the other. What is drawn is
documented by the number of words it takes: sequences of draws stay in step with PyTorch because every draw takes the
same words in the same order.
"""

from __future__ import annotations

import operator
import os
import threading

import numpy as np

from .random_math import libm

_BLOCK = 624  # words the twister makes at a time
DEFAULT_SEED = 67280421310721  # of `torch.Generator()`

# The C struct that PyTorch copies into the state's bytes (ATen/CPUGeneratorImpl.cpp), padding spelled out.
_STATE = np.dtype(
    [
        ("seed", "<u8"),
        ("left", "<i4"),  # words until the next block, plus one
        ("seeded", "<i4"),
        ("next", "<u8"),  # words taken of the current block
        ("words", "<u8", (_BLOCK,)),
        ("unused_x", "<f8"),
        ("normal", "<f8"),  # the second half of the last Box-Muller pair
        ("unused_rho", "<f8"),
        ("has_normal", "<i4"),
        ("padding", "<i4"),
        ("float_normal", "<f4"),
        ("has_float_normal", "u1"),
        ("padding_end", "u1", (3,)),
    ]
)


def as_seed(seed: object) -> int:
    """A seed in `[0, 2**64)`; a negative one stands for `seed + 2**64`.

    Raises RuntimeError for anything but an integer and ValueError for one outside `[-2**63, 2**64)`.
    """
    if isinstance(seed, (bool, np.bool_)) or not hasattr(seed, "__index__"):
        raise RuntimeError(f"manual_seed expected an int, but got {type(seed).__name__}")
    seed = operator.index(seed)
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"manual_seed expected a seed in [-2**63, 2**64), but got {seed}")
    return seed % 2**64


def fresh_seed() -> int:
    """A seed from the operating system's entropy, of 53 bits as in PyTorch."""
    return int.from_bytes(os.urandom(8), "little") % 2**53


class Mt19937:
    """A stream of 32-bit words, MT19937 seeded and read as PyTorch's CPU generator is.

    NumPy makes the words a block at a time; the current block is kept, so that small draws are slices of it and the
    state is always that block and a position in it. Draws from several threads interleave, but no word is given out
    twice.
    """

    __slots__ = ("_block", "_lock", "_normal", "_position", "_seed", "_source")

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._lock = threading.Lock()
        self._source = np.random.RandomState(0)
        self.manual_seed(seed)

    def __reduce__(self) -> tuple[object, ...]:
        return _from_state, (self.get_state(),)

    def manual_seed(self, seed: int) -> Mt19937:
        """Start the stream of `seed` anew; returns the generator itself.

        A negative seed stands for `seed + 2**64`; only the lowest 32 bits choose the stream. Raises RuntimeError for
        anything but an integer and ValueError for one outside `[-2**63, 2**64)`.
        """
        seed = as_seed(seed)
        with self._lock:
            self._seed = seed
            self._source.seed(seed % 2**32)
            self._block = np.empty(0, np.uint32)
            self._position = _BLOCK
            self._normal: float | None = None
        return self

    def seed(self) -> int:
        """Seed from the operating system's entropy and return that seed, of 53 bits as in PyTorch."""
        seed = fresh_seed()
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed of this stream, in `[0, 2**64)`."""
        return self._seed

    def get_state(self) -> np.ndarray:
        """The whole state as a new uint8 array of shape (5056,), laid out as `torch.Generator.get_state()`."""
        state = np.zeros((), _STATE)
        with self._lock:
            state["seed"] = self._seed
            state["seeded"] = 1
            state["words"] = self._source.get_state(legacy=False)["state"]["key"]
            # A block used up and one not yet begun are the same state: PyTorch's next is 624 for the one, 0 for the
            # other.
            state["next"] = self._position % _BLOCK
            state["left"] = _BLOCK + 1 - self._position
            if self._normal is not None:
                state["normal"], state["has_normal"] = self._normal, 1
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def set_state(self, state: np.ndarray) -> None:
        """Continue from `state`, a uint8 array of shape (5056,) from `get_state` here or in PyTorch.

        Raises TypeError if it is no uint8 array and RuntimeError if its size or its content is none that `get_state`
        gives; the generator is unchanged then.
        """
        if not isinstance(state, np.ndarray) or state.dtype != np.uint8:
            given = f"array of {state.dtype}" if isinstance(state, np.ndarray) else type(state).__name__
            raise TypeError(f"RNG state must be an array of uint8, but got {given}")
        if state.shape != (_STATE.itemsize,):
            raise RuntimeError(f"RNG state must have shape ({_STATE.itemsize},), but got {state.shape}")
        fields = np.frombuffer(state.tobytes(), _STATE)[0]
        problem = _problem(fields)
        if problem:
            raise RuntimeError(f"Invalid mt19937 state: {problem}; pass one that get_state returned")
        with self._lock:
            self._seed = int(fields["seed"])
            self._source.set_state(("MT19937", fields["words"].astype(np.uint32), 0, 0, 0.0))
            # Position 0 makes NumPy give the stored block itself, after which it stands at the block's end again.
            self._block = self._next_words(_BLOCK)
            self._position = _BLOCK + 1 - int(fields["left"])
            self._normal = float(fields["normal"]) if fields["has_normal"] else None

    def words(self, count: int) -> np.ndarray:
        """The next `count` words: a new uint32 array of shape (count,)."""
        out = np.empty(count, np.uint32)
        with self._lock:
            start = min(count, _BLOCK - self._position)
            out[:start] = self._block[self._position : self._position + start]
            self._position += start
            rest = (count - start) % _BLOCK
            if count - start > rest:
                out[start : count - rest] = self._next_words(count - start - rest)
            if rest:
                self._block = self._next_words(_BLOCK)
                out[count - rest :] = self._block[:rest]
                self._position = rest
        return out

    def words64(self, count: int) -> np.ndarray:
        """`count` uint64 words, each of two words, the high half first."""
        halves = self.words(2 * count)
        words = halves[0::2].astype(np.uint64)
        words <<= np.uint64(32)
        words |= halves[1::2]
        return words

    def uniform32(self, count: int) -> np.ndarray:
        """`count` float32 numbers in [0, 1): the low 24 bits of one word each."""
        words = self.words(count)
        words &= np.uint32(2**24 - 1)
        # As int32 the conversion to float32 is vectorised; the numbers are below 2**24 and so exact.
        uniforms = words.view(np.int32).astype(np.float32)
        uniforms *= np.float32(2.0**-24)
        return uniforms

    def uniform64(self, count: int) -> np.ndarray:
        """`count` float64 numbers in [0, 1): the low 53 bits of two words each, the high half first."""
        words = self.words64(count)
        words &= np.uint64(2**53 - 1)
        uniforms = words.view(np.int64).astype(np.float64)
        uniforms *= 2.0**-53
        return uniforms

    def normal64(self, count: int) -> np.ndarray:
        """`count` float64 standard normal numbers, by Box and Muller: two of `uniform64` make two.

        The second of a pair that is not asked for is kept and comes first in the next call.
        """
        out = np.empty(count)
        start = 0
        if count and self._normal is not None:
            out[0], self._normal = self._normal, None
            start = 1
        pairs = (count - start + 1) // 2
        angle, radius = self.uniform64(2 * pairs).reshape(pairs, 2).T
        radius = np.sqrt(-2.0 * libm("log1p", -radius, np.float64))
        angle = 2.0 * np.pi * angle
        normals = np.empty((pairs, 2))
        normals[:, 0] = radius * libm("cos", angle, np.float64)
        normals[:, 1] = radius * libm("sin", angle, np.float64)
        out[start:] = normals.ravel()[: count - start]
        if (count - start) % 2:
            self._normal = float(normals[-1, 1])
        return out

    def _next_words(self, count: int) -> np.ndarray:
        return self._source.randint(0, 2**32, size=count, dtype=np.uint32)


def _from_state(state: np.ndarray) -> Mt19937:
    generator = Mt19937()
    generator.set_state(state)
    return generator


def _problem(fields: np.void) -> str | None:
    """What makes these fields no state of the generator, or None."""
    left, taken, words = int(fields["left"]), int(fields["next"]), fields["words"]
    if fields["seeded"] != 1:
        return f"seeded is {fields['seeded']}, expected 1"
    if not 1 <= left <= _BLOCK or taken not in ({0, _BLOCK} if left == 1 else {_BLOCK + 1 - left}):
        return f"left={left} and next={taken} contradict each other"
    if (words >= 2**32).any():
        return "a word does not fit 32 bits"
    # The twister's state is 19937 bits: the highest of the first word, and all others. From zero it never moves.
    if words[0] < 2**31 and not words[1:].any():
        return "all words are zero"
    if fields["has_normal"] not in (0, 1) or fields["has_float_normal"] != 0:
        return "the flags of the cached normal number are neither 0 nor 1, or a float32 one is set"
    if not np.isfinite(fields["normal"]):
        return f"the cached normal number is {fields['normal']}"
    return None
