"""Launchers of kernels/optimizer.cu: a step of an optimizer for all parameters, 64 to a launch; and their fresh states."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from operator import is_
from typing import Any

import numpy as np

from ..dtypes import LOW_PRECISION
from ..ops import optimizer_updates as updates
from ..ops import optimizer_updates_more as more_updates
from ..ops.update_blocks import Workspace, numbers_beside, zeros_beside
from .array import DeviceArray, adopt, empty, full
from .copy import write
from .module import Kernel, cuda_name, kernels
from .tensors import LIMIT, Table

_THREADS = 256  # kChunkThreads
_SMALL = 2**16  # elements up to which fresh states share memory
_ALIGNMENT = 16  # bytes: where each begins in it

# ---- one step ----


class _Batch:
    """Up to LIMIT parameters of one dtype, updated in one launch."""

    def __init__(self, members: list[int], columns: list[list[Any]], numbers: list[list[Any]]) -> None:
        """`columns`: parameters, a place for the gradients, states, as lists parallel to `members`, as `numbers` are."""
        self._members = members
        self._dtype = columns[0][0].dtype
        self._copies = [(x, empty(x.shape, x.dtype)) for x in chain(*columns) if not x.flags.c_contiguous]
        copy_of = {id(x): copy for x, copy in self._copies}
        sizes = [x.size for x in columns[0]]
        self._table = Table(len(columns), sizes, self._dtype.itemsize, max(1, len(numbers)))
        for k, column in enumerate(columns):
            self._table.point(k, [copy_of.get(id(x), x) for x in column])
        for k, column in enumerate(numbers):
            self._table.point_numbers(k, column)

    def run(self, rule: str, options: list[float], lr: Any, grads: list[Any], done: Any, found: Any) -> None:
        mine = grads if len(grads) == len(self._members) else [grads[i] for i in self._members]
        contiguous = [g if g.flags.c_contiguous and g.dtype == self._dtype else self._converted(g) for g in mine]
        self._table.point(1, contiguous)
        for x, copy in self._copies:
            copy[...] = x
        compute = np.dtype(np.float32) if self._dtype in LOW_PRECISION else self._dtype
        values = np.array(options, compute)
        kernel = _update(rule, self._dtype, compute)
        packed = values.view(np.dtype((np.void, values.nbytes)))[0]
        kernel((self._table.blocks,), (_THREADS,), (self._table.packed(), packed, lr, done, found))
        for x, copy in self._copies:
            x[...] = copy

    def _converted(self, g: Any) -> Any:
        return g.astype(self._dtype) if g.dtype != self._dtype else g.copy()


def _update(rule: str, dtype: Any, compute: Any) -> Kernel:
    name = f"gpugrad::update<gpugrad::{rule.format(cuda_name(compute))}, {cuda_name(dtype)}>"
    return kernels("optimizer.cu", name)[0]


class _Plan:
    """The launches of one list of parameters, as a Workspace keeps them while these and their states are the same."""

    def __init__(self, kept: list[Any], columns: list[list[Any]], numbers: list[list[Any]]) -> None:
        self.kept = kept
        _check(columns, numbers)
        self.done = full((1,), 0, np.uint32) if numbers else None
        by_dtype: dict[Any, list[int]] = {}
        for i, param in enumerate(columns[0]):
            by_dtype.setdefault(param.dtype, []).append(i)
        self.batches = [
            _Batch(part, *([[column[i] for i in part] for column in lists] for lists in (columns, numbers)))
            for members in by_dtype.values()
            for part in (members[k : k + LIMIT] for k in range(0, len(members), LIMIT))
        ]

    def matches(self, kept: list[Any]) -> bool:
        return len(kept) == len(self.kept) and all(map(is_, kept, self.kept))


def _check(columns: list[list[Any]], numbers: list[list[Any]]) -> None:
    """RuntimeError unless the arrays can be updated: on one device, writable, states like their parameters."""
    for x in chain(*columns, *numbers):
        if type(x) is not DeviceArray:
            raise RuntimeError(
                "the state of an optimizer is not on the CUDA device of its parameters: load the optimizer's "
                "state_dict() into it again after a part of them was moved"
            )
        if x.size and any(s == 0 and n != 1 for s, n in zip(x.strides, x.shape)):
            raise RuntimeError(
                "an optimizer cannot update a read-only array, such as an expanded one; clone() it first"
            )
    for param, *states in zip(columns[0], *columns[2:]):
        for state in states:
            if state.shape != param.shape or state.dtype != param.dtype:
                raise RuntimeError(
                    f"a state of an optimizer has shape {state.shape} and dtype {state.dtype}, its parameter "
                    f"{param.shape} and {param.dtype}; load the optimizer's state_dict() into it again after a conversion"
                )
    for number in chain.from_iterable(numbers):
        if number.dtype != np.float32 or number.size != 1:
            raise RuntimeError(
                f"a number of an optimizer's state, such as the step, must be one float32, not {number.dtype}"
            )


def _launcher(numbers: int, rule: Callable[..., tuple[str, int, list[float]]]) -> Callable[..., None]:
    """The launcher of an op whose rule of kernels/optimizer.cu, and its options behind the learning rate, `rule` gives.

    `numbers`: how many single numbers it keeps of each parameter, the step first.
    """

    def launch(*arrays: Any, workspace: Workspace, lr: Any = 0.0, **options: Any) -> None:
        name, lists, values = rule(**options)
        length = len(arrays) // (lists + numbers)
        columns = [list(arrays[k : k + length]) for k in range(0, len(arrays), length)]
        kept = [*columns[0], *chain.from_iterable(columns[2:])]
        plan = workspace.on_device
        if plan is None or not plan.matches(kept):
            workspace.on_device = plan = _Plan(kept, columns[:lists], columns[lists:])
        rate, array = (0.0, _as_float32(lr)) if isinstance(lr, DeviceArray) else (lr, None)
        for batch in plan.batches:
            batch.run(name, [rate, *values], array, columns[1], plan.done, workspace.found_inf)

    return launch


def _as_float32(lr: Any) -> Any:
    return lr if lr.dtype == np.float32 else lr.astype(np.float32)


# ---- the rules ----
# Each gives the type of kernels/optimizer.cu, with a place for the type it computes in, how many lists of arrays it takes
# (parameters, gradients, states) and the fields behind the learning rate.


def _log(x: float) -> float:
    return math.log(x) if x else -math.inf


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _sgd(momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool) -> Any:
    values = [momentum, 1 - dampening, weight_decay, nesterov, maximize]
    return f"Sgd<{{}}, {_flag(bool(momentum))}>", 3 if momentum else 2, values


def _adam(
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    amsgrad: bool,
    maximize: bool,
) -> Any:
    decays = [beta1, 1 - beta1, _log(beta1), beta2, 1 - beta2, _log(beta2)]
    values = [*decays, eps, weight_decay, decoupled_weight_decay, maximize, 0, 0, 0]  # the last are made in the kernel
    return f"Adam<{{}}, {_flag(amsgrad)}>", 5 if amsgrad else 4, values


def _rmsprop(alpha: float, eps: float, weight_decay: float, momentum: float, centered: bool, maximize: bool) -> Any:
    values = [alpha, 1 - alpha, eps, weight_decay, momentum, maximize]
    return f"RmsProp<{{}}, {_flag(bool(momentum))}, {_flag(centered)}>", 3 + bool(momentum) + centered, values


def _adagrad(lr_decay: float, eps: float, weight_decay: float, maximize: bool) -> Any:
    return "Adagrad<{}>", 3, [lr_decay, eps, weight_decay, maximize]


def _adadelta(rho: float, eps: float, weight_decay: float, maximize: bool) -> Any:
    return "Adadelta<{}>", 4, [rho, 1 - rho, eps, weight_decay, maximize]


def _adamax(beta1: float, beta2: float, eps: float, weight_decay: float, maximize: bool) -> Any:
    return "Adamax<{}>", 4, [beta1, 1 - beta1, _log(beta1), beta2, eps, weight_decay, maximize]


def _nadam(
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
    momentum_decay: float,
) -> Any:
    decays = [beta1, 1 - beta1, beta2, 1 - beta2, _log(beta2)]
    values = [*decays, eps, weight_decay, decoupled_weight_decay, maximize, momentum_decay, 0, 0, 0, 0]
    return "NAdam<{}>", 4, values


def _radam(
    beta1: float, beta2: float, eps: float, weight_decay: float, decoupled_weight_decay: bool, maximize: bool
) -> Any:
    decays = [beta1, 1 - beta1, _log(beta1), beta2, 1 - beta2, _log(beta2)]
    limit = 2 / (1 - beta2) - 1
    return "RAdam<{}>", 4, [*decays, eps, weight_decay, decoupled_weight_decay, maximize, limit, 0, 0, 0]


def _rprop(shrink: float, grow: float, smallest: float, largest: float, maximize: bool) -> Any:
    return "Rprop<{}>", 4, [shrink, grow, smallest, largest, maximize]


def _asgd(lambd: float, alpha: float, t0: float, weight_decay: float, maximize: bool) -> Any:
    return "Asgd<{}>", 3, [lambd, alpha, t0, weight_decay, maximize, 0, 0, 0]


updates.sgd_update.kernel(_launcher(0, _sgd))
updates.adam_update.kernel(_launcher(1, _adam))
updates.rmsprop_update.kernel(_launcher(1, _rmsprop))
updates.adagrad_update.kernel(_launcher(1, _adagrad))
updates.adadelta_update.kernel(_launcher(1, _adadelta))
updates.adamax_update.kernel(_launcher(1, _adamax))
more_updates.nadam_update.kernel(_launcher(2, _nadam))
more_updates.radam_update.kernel(_launcher(1, _radam))
more_updates.rprop_update.kernel(_launcher(1, _rprop))
more_updates.asgd_update.kernel(_launcher(3, _asgd))

# ---- fresh states ----


@zeros_beside.kernel
def _(*arrays: DeviceArray, fill: float = 0.0) -> tuple[DeviceArray, ...]:
    out: list[Any] = [None if x.size <= _SMALL else full(x.shape, fill, x.dtype) for x in arrays]
    for dtype in {x.dtype for x in arrays}:
        members = [i for i, x in enumerate(arrays) if x.dtype == dtype and out[i] is None]
        for i, part in zip(members, _side_by_side([arrays[i].shape for i in members], fill, dtype)):
            out[i] = part
    return tuple(out)


@numbers_beside.kernel
def _(like: DeviceArray, *, count: int, fill: Any = 0.0) -> tuple[DeviceArray, ...]:
    given = isinstance(fill, DeviceArray)
    flat = full((count,), None if given else fill, np.float32)
    if given:
        write(flat, fill)
    return tuple(adopt(flat[i : i + 1].reshape(())) for i in range(count))


def _side_by_side(shapes: Sequence[tuple[int, ...]], fill: float, dtype: Any) -> list[DeviceArray]:
    """Arrays of `fill` in one stretch of memory, each on a boundary that kernels load fast from."""
    each = _ALIGNMENT // dtype.itemsize
    places = np.cumsum([0, *(-(-math.prod(shape) // each) * each for shape in shapes)]).tolist()
    flat = full((places[-1],), fill, dtype)
    return [adopt(flat[p : p + math.prod(shape)].reshape(shape)) for p, shape in zip(places, shapes)]
