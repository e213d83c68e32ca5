"""What a launcher decides, kept for arrays that lie alike: the same allocations and launches are done again at once.

To look at shapes and strides, choose a kernel by name and work out a grid takes Python 5 to 10 us, more than the device
needs for a small array; and for arrays that lie like those of an earlier call it ends the same. A launcher declared

    @softmax.kernel
    @repeated
    def _(do, x, *, dim):
        out = do.empty(x.shape, x.dtype)
        do(kernel("softmax.cu", "softmax_forward<float, 32, 8>"), grid, block, (x, out, np.int64(rows)))
        return out

is called once for each way in which its inputs may lie (`place`), and says what it does to `do`, which does it and
writes it down; later calls do what is written. So it may look at all that `place` tells, at its parameters and at what
`by` gives, and at nothing else; whatever it allocates and launches it must have from `do`. A launcher that cannot keep
to that in some case (an array must be copied first, CuPy computes) calls `do.once()`, or launches with an array that
`do` does not know: then nothing is kept and it decides again the next time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from . import array, bounds
from .array import DeviceArray, empty
from .module import current_device

MOST_KEPT = 4096  # of one launcher


def place(x: Any) -> Any:
    """What a launch depends on of an input: where its elements lie and how it is aligned; what is no array, itself."""
    return (x.shape, x.strides, x.dtype, x.data.ptr & 15) if type(x) is DeviceArray else x


class Once:
    """Does what it is told, and writes nothing down: for launchers that others call with more than arrays."""

    empty = staticmethod(empty)

    def __call__(self, kernel: Callable[..., None], grid: Any, block: Any, arguments: tuple[Any, ...]) -> None:
        """Launch. Arrays are passed by where they begin, so it may be given a view of one that begins there."""
        kernel(grid, block, arguments)

    def words(self) -> Any:
        """Where kernels report bad indices: see `bounds`."""
        return bounds.words()

    def once(self) -> None:
        """Say that what is done is not to be kept: not all of it will be written down, or it is too much."""


ONCE = Once()


class _Unknown(Exception):
    """An array that no input, allocation or constant accounts for."""


class Written(Once):
    """Does what it is told and writes it down.

    Arrays are known by where they begin; they are kept meanwhile, so that no memory is handed out twice.
    """

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        given = [(k, x) for k, x in enumerate(inputs) if type(x) is DeviceArray]
        self._inputs = inputs
        self._slots = {x.data.ptr: k for k, x in given}
        self._made: list[DeviceArray] = []
        self._shapes: dict[int, tuple[int, ...]] = {}  # of what is returned otherwise than it was made, by slot
        self._launches: list[tuple[Any, Any, Any, tuple[Any, ...]]] = []
        self._constants: list[Any] = []
        self._words: Any = None
        self._whole = len(self._slots) == len(given)  # two in one place could not be told apart

    def empty(self, shape: Any, dtype: Any) -> DeviceArray:
        made = empty(shape, dtype)
        if not made.size:
            self.once()
        elif self._whole:
            self._slots[made.data.ptr] = len(self._inputs) + len(self._made)
            self._made.append(made)
        return made

    def __call__(self, kernel: Callable[..., None], grid: Any, block: Any, arguments: tuple[Any, ...]) -> None:
        if self._whole:
            self._launches.append((kernel, grid, block, arguments))
        kernel(grid, block, arguments)

    def words(self) -> Any:
        self._words = bounds.words()
        return self._words

    def once(self) -> None:
        self._whole = False
        self._made.clear()
        self._launches.clear()

    def kept(self, result: Any) -> Callable[[tuple[Any, ...]], Any] | None:
        """What does all this again for other inputs and gives what then is the result; None if that cannot be known."""
        if not self._whole or result is NotImplemented:
            return None
        try:
            pick = _builder(result, self._returned)
            launches = [(*how, itemgetter(*map(self._slot, given))) for *how, given in self._launches]
        except _Unknown:
            return None
        made = tuple([(self._shapes.get(k, x.shape), x.dtype) for k, x in enumerate(self._made, len(self._inputs))])
        return _Kept(made, tuple(self._constants), tuple(launches), pick, self._words is not None).again

    def _slot(self, x: Any) -> int:
        """The place of an argument among inputs, allocations and constants."""
        if isinstance(x, array.cp.ndarray) and x is not self._words:
            return self._of_array(x)
        self._constants.append(x)
        return len(self._inputs) + len(self._made) + len(self._constants) - 1

    def _of_array(self, x: Any) -> int:
        found = self._slots.get(x.data.ptr)
        if found is None:
            raise _Unknown
        return found

    def _returned(self, x: Any) -> int:
        """The place of what is returned: an input itself, or what was allocated, in whatever shape."""
        slot = self._of_array(x)
        if slot < len(self._inputs):
            if x is not self._inputs[slot]:
                raise _Unknown
            return slot
        made = self._made[slot - len(self._inputs)]
        whole = x is made or (x.dtype is made.dtype and x.size == made.size and x.flags.c_contiguous)
        if not whole or self._shapes.setdefault(slot, x.shape) != x.shape:
            raise _Unknown
        return slot


class _Kept(NamedTuple):
    """What was written: allocations, then launches whose arguments are picked from inputs, allocations and constants."""

    made: tuple[tuple[Any, Any], ...]  # shape and dtype
    constants: tuple[Any, ...]
    launches: tuple[tuple[Any, ...], ...]  # kernel, grid, block, what picks the arguments
    result: Callable[[tuple[Any, ...]], Any]
    reports: bool  # bad indices

    def again(self, inputs: tuple[Any, ...]) -> Any:
        made, constants, launches, result, reports = self
        if reports:
            bounds.words()  # they are to be looked at
        slots = (*inputs, *[empty(shape, dtype) for shape, dtype in made], *constants)
        for kernel, grid, block, pick in launches:
            kernel(grid, block, pick(slots))
        return result(slots)


def _builder(result: Any, slot: Callable[[Any], int]) -> Callable[[tuple[Any, ...]], Any]:
    """What picks a result like this one: an array, None, a tuple or list of such."""
    if isinstance(result, array.cp.ndarray):
        return itemgetter(slot(result))
    if type(result) in (tuple, list):
        parts = [_builder(part, slot) for part in result]
        kind = type(result)
        return lambda slots: kind([part(slots) for part in parts])
    if result is None:
        return lambda slots: None
    raise _Unknown


all_kept: list[dict[Any, Callable[..., Any]]] = []  # by launcher


def repeated(launcher: Any = None, *, by: Callable[[], Any] | None = None) -> Any:
    """A launcher that takes `do` first, as one that does not. `by`: what else, besides arrays and parameters, it looks at."""
    if launcher is None:
        return functools.partial(repeated, by=by)
    kept: dict[Any, Callable[..., Any]] = {}
    all_kept.append(kept)

    @functools.wraps(launcher)
    def run(*inputs: Any, **params: Any) -> Any:
        key = (current_device(), by and by(), *params.values(), *map(place, inputs))
        again = kept.get(key)
        if again is not None:
            return again(inputs)
        do = Written(inputs)
        result = launcher(do, *inputs, **params)
        again = do.kept(result)
        if again is not None and len(kept) < MOST_KEPT:
            kept[key] = again
        return result

    return run


__all__ = ["ONCE", "Once", "repeated"]
