"""Elementwise in-place updates of many arrays, in few passes and within the cache: what optimizers run on the CPU.

Small arrays of one dtype are gathered into one flat array, updated together and scattered back, so that a network of
tiny layers costs a dozen NumPy calls and not a dozen per parameter; states that `zeros_beside` made already lie side by
side and need no copy. Large arrays are updated block by block, so that the intermediate results of a formula stay in
the cache. Half precision is computed in float32 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import is_
from typing import Any

import numpy as np

from ..dtypes import LOW_PRECISION
from ..fp_errors import SILENT, quiet, restore
from ..op import op

# Elements of a block: the arrays of a formula stay in the second-level cache, and calls cost little beside it.
BLOCK = 2**16
SMALL = 2**12  # elements up to which a copy costs less than the calls it saves
SCRATCHES = 3  # scratch arrays that a formula may use
_DESCENT: list[float] = []  # in the place of who is like whom: the units are those of `descend`


@op(outputs=0)
def zeros_beside(*arrays: Any, fill: float = 0.0) -> tuple[Any, ...]:
    """An array of `fill` like each of `arrays`; the small ones of one dtype share one stretch of memory, in order."""
    out: list[Any] = [None] * len(arrays)
    for members in _together(arrays, [0.0] * len(arrays)):
        if len(members) == 1:
            out[members[0]] = np.full_like(arrays[members[0]], fill)
            continue
        like = arrays[members[0]]
        flat = np.full(sum(arrays[i].size for i in members), fill, like.dtype, like=like)
        for i, part in zip(members, _split(flat, [arrays[i].shape for i in members])):
            out[i] = part
    return tuple(out)


@op(outputs=0)
def numbers_beside(like: Any, *, count: int, fill: Any = 0.0) -> tuple[Any, ...]:
    """`count` 0-d float32 arrays of `fill`, a number or an array of one, beside `like`; they share a stretch of memory."""
    return tuple(_split(np.full(count, fill, np.float32, like=like), [()] * count))


class Workspace:
    """What the updates of one list of parameters keep between steps: which arrays go together, and scratch memory."""

    def __init__(self) -> None:
        self._kept: Sequence[Any] = ()
        self._alike: list[float] | None = None
        self._units: list[_Together | _Alone] = []
        self._steps: Sequence[Any] = ()
        self._all_steps: Any = None
        self._scratch: dict[Any, list[Any]] = {}
        self._rates = _Rates(math.nan)
        self.on_device: Any = None  # what the kernels of a device keep: theirs alone
        self.found_inf: Any = None  # a 0-d array on that device: where it is not 0 they leave everything as it is

    def advance(self, steps: Sequence[Any]) -> list[float]:
        """Add 1 to every step count (0-d arrays); returns them as numbers."""
        if len(steps) != len(self._steps) or not all(map(is_, steps, self._steps)):
            self._steps, self._all_steps = steps, _side_by_side(steps)
        if self._all_steps is not None:
            self._all_steps += 1
            return self._all_steps.tolist()
        for step in steps:
            step += 1
        return [step.item() for step in steps]

    def update(
        self,
        formula: Callable[..., None],
        params: Sequence[Any],
        grads: Sequence[Any],
        states: Sequence[Sequence[Any]],
        steps: Sequence[Any] | None = None,
    ) -> None:
        """Call `formula(step, param, grad, *states, *scratch)` for all elements; it writes param and states in place.

        It gets equally shaped parts of the arrays, which it must treat element by element, and must not write `grad`.
        `states` has a list parallel to `params` for each kind of state; `step` is what is given for the parameter:
        a number or a tuple of them, by which parameters that are updated together are alike.
        RuntimeError, with nothing written, if an array is read-only.
        """
        first: dict[Any, float] = {}
        alike = [first.setdefault(step, i) for i, step in enumerate(steps)] if steps else None
        kept = params if not states else [*params, *chain.from_iterable(states)]
        if alike != self._alike or not self._keeps(kept):
            self._units = self._plan(params, states, _together(params, alike or [0.0] * len(params)))
            self._kept, self._alike = kept, alike
        token = quiet(SILENT)
        try:
            for unit in self._units:
                unit.run(formula, steps[unit.members[0]] if steps else 0.0, grads, self)
        finally:
            restore(token)

    def descend(self, params: Sequence[Any], grads: Sequence[Any], lr: float) -> None:
        """`param -= lr * grad` for each: so little that gathering small arrays would take longer than it saves.

        RuntimeError, with nothing written, if an array is read-only.
        """
        if self._alike is not _DESCENT or not self._keeps(params):
            self._units = self._plan(params, (), [[i] for i in range(len(params))])
            self._kept, self._alike = params, _DESCENT
        if lr != self._rates.lr:
            self._rates = _Rates(lr)
        rates = self._rates
        token = quiet(SILENT)
        try:
            for unit, param, grad in zip(self._units, params, grads):
                if unit.scratches is not None:
                    scratch = unit.scratches[0]
                    np.multiply(grad, rates[grad.dtype], scratch)
                    np.subtract(param, scratch, param)
                elif unit.blocks and grad.flags.c_contiguous:
                    unit.descend(grad.reshape(-1), rates[grad.dtype])
                else:
                    unit.run(lambda step, p, g, r, s, t: np.subtract(p, np.multiply(g, lr, s), p), 0.0, grads, self)
        finally:
            restore(token)

    def _keeps(self, arrays: Sequence[Any]) -> bool:
        """Whether the units were planned for these very arrays."""
        return len(arrays) == len(self._kept) and all(map(is_, arrays, self._kept))

    def _plan(self, params: Sequence[Any], states: Sequence[Sequence[Any]], groups: list[list[int]]) -> list[Any]:
        if not all(array.flags.writeable for array in chain(params, *states) if isinstance(array, np.ndarray)):
            raise RuntimeError(
                "an optimizer cannot update a read-only array, such as an expanded one; clone() it first"
            )
        units: list[_Together | _Alone] = []
        room = max((sum(params[i].size for i in members) for members in groups if len(members) > 1), default=0)
        for members in groups:
            columns = [[column[i] for i in members] for column in (params, *states)]
            several = len(members) > 1
            units.append(_Together(members, columns, self, room) if several else _Alone(members, columns, self))
        return units

    def scratch(self, size: int, like: Any, count: int = SCRATCHES) -> list[Any]:
        """`count` uninitialised flat arrays of at least `size` elements, in which to compute with `like`: the same for
        all units, which run one after the other.
        """
        dtype = _compute_dtype(like)
        found = self._scratch.get(dtype)
        if found is None or found[0].size < size:
            found = self._scratch[dtype] = []
        while len(found) < count:
            found.append(np.empty(found[0].size if found else size, dtype, like=like))
        return found[:count]


class _Rates(dict[Any, np.ndarray]):
    """A learning rate as a 0-d array of each dtype asked for: NumPy multiplies by it sooner than by a Python number."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def __missing__(self, dtype: Any) -> np.ndarray:
        self[dtype] = made = np.array(self.lr, dtype)
        return made


class _Together:
    """Small arrays of one dtype and one step, updated as one flat array."""

    def __init__(self, members: list[int], columns: list[list[Any]], workspace: Workspace, room: int) -> None:
        """`room`: the elements of the largest such unit, for which scratch memory is made."""
        self.members = members
        first = columns[0][0]
        total = sum(array.size for array in columns[0])
        dtype = _compute_dtype(first)
        beside = [_side_by_side(column) if column[0].dtype == dtype else None for column in columns]
        memory = [s[:total] for s in workspace.scratch(room, first, SCRATCHES + 1 + len(columns))]
        self.scratches, self.grad, spare = memory[:SCRATCHES], memory[SCRATCHES], memory[SCRATCHES + 1 :]
        self.flats = [own if flat is None else flat for own, flat in zip(spare, beside)]
        self.gathered = [
            (column, flat) for column, flat, is_there in zip(columns, self.flats, beside) if is_there is None
        ]
        shapes = [array.shape for array in columns[0]]
        self.scattered = [pair for column, flat in self.gathered for pair in zip(column, _split(flat, shapes))]

    def run(self, formula: Callable[..., None], step: Any, grads: Sequence[Any], workspace: Workspace) -> None:
        if len(grads) != len(self.members):
            grads = [grads[i] for i in self.members]
        np.concatenate(grads, axis=None, out=self.grad, casting="unsafe")
        for column, flat in self.gathered:
            np.concatenate(column, axis=None, out=flat, casting="unsafe")
        param, *states = self.flats
        formula(step, param, self.grad, *states, *self.scratches)
        for array, part in self.scattered:
            array[...] = part


class _Alone:
    """One array, updated in blocks: of its memory if all is contiguous, else of its rows."""

    def __init__(self, members: list[int], columns: list[list[Any]], workspace: Workspace) -> None:
        self.members = members
        self.written = [column[0] for column in columns]
        param = self.written[0]
        self.scratches: list[Any] | None = None
        self.blocks: list[tuple[Any, Any]] = []  # of a larger parameter's memory, each with a scratch array
        if param.dtype in LOW_PRECISION:
            return
        scratches = workspace.scratch(BLOCK, param)
        if param.size <= BLOCK:  # one block as it is
            self.scratches = [s[: param.size].reshape(param.shape) for s in scratches]
        elif param.flags.c_contiguous:
            flat = param.reshape(-1)
            parts = [flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK)]
            self.blocks = [(part, scratches[0][: part.size]) for part in parts]

    def descend(self, grad: Any, rate: Any) -> None:
        """`param -= rate * grad`, block by block, of a flat `grad`."""
        start = 0
        for part, scratch in self.blocks:
            end = start + part.size
            np.multiply(grad[start:end], rate, scratch)
            np.subtract(part, scratch, part)
            start = end

    def run(self, formula: Callable[..., None], step: Any, grads: Sequence[Any], workspace: Workspace) -> None:
        param, *states = self.written
        if self.scratches is not None:
            formula(step, param, grads[self.members[0]], *states, *self.scratches)
            return
        narrow = param.dtype in LOW_PRECISION
        for parts in _blocks([param, grads[self.members[0]], *states]):
            scratch = workspace.scratch(max(BLOCK, parts[0].size), param)
            if scratch[0].shape != parts[0].shape:
                scratch = [s[: parts[0].size].reshape(parts[0].shape) for s in scratch]
            if not narrow:
                formula(step, *parts, *scratch)
                continue
            wide = [part.astype(np.float32) for part in parts]
            formula(step, *wide, *scratch)
            for k, (part, value) in enumerate(zip(parts, wide)):
                if k != 1:  # the gradient is not written
                    part[...] = value


def _blocks(arrays: list[Any]) -> Iterator[list[Any]]:
    """Equal parts of equally shaped arrays, of BLOCK elements or of as many rows as come nearest."""
    if all(array.flags.c_contiguous for array in arrays):
        arrays = [array.reshape(-1) for array in arrays]
    rows = len(arrays[0])
    height = max(1, BLOCK // max(1, math.prod(arrays[0].shape[1:])))
    for start in range(0, rows, height):
        yield [array[start : start + height] for array in arrays]


def _together(arrays: Sequence[Any], alike: Sequence[float]) -> list[list[int]]:
    """Positions in `arrays` by unit: small ones that are alike, of one dtype, go together, up to a block, the others alone."""
    units: list[list[int]] = []
    filling: dict[Any, tuple[list[int], int]] = {}
    for i, array in enumerate(arrays):
        if array.size > SMALL or not array.flags.c_contiguous:
            units.append([i])
            continue
        key = (array.dtype, alike[i])
        members, total = filling.get(key, ([], BLOCK))
        if total + array.size > BLOCK:
            members, total = [], 0
            units.append(members)
        members.append(i)
        filling[key] = (members, total + array.size)
    return units


def _split(flat: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Consecutive views of the flat array in these shapes."""
    views, start = [], 0
    for shape in shapes:
        end = start + math.prod(shape)
        views.append(flat[start:end].reshape(shape))
        start = end
    return views


def _side_by_side(arrays: Sequence[Any]) -> Any:
    """The one flat array whose consecutive parts `arrays` are, or None."""
    base = arrays[0].base
    if not isinstance(base, np.ndarray) or base.ndim != 1 or base.dtype != arrays[0].dtype:
        return None
    origin = _address(base)
    start = end = (_address(arrays[0]) - origin) // base.itemsize
    for array in arrays:
        here = array.base is base and array.flags.c_contiguous and _address(array) == origin + end * base.itemsize
        if not here:
            return None
        end += array.size
    return base[start:end]


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _compute_dtype(array: Any) -> Any:
    return np.dtype(np.float32) if array.dtype in LOW_PRECISION else array.dtype
