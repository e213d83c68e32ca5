"""Formulas on the device: compiled into the loops of `kernels/elementwise.cu`, launched.

A kernel is made for each formula, set of parameters and combination of input types, when it is first met. Python
numbers among the inputs are passed by value, so that a learning rate does not make a kernel of its own. `prepare`
compiles many at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import BY_NUMPY
from . import module
from .array import DeviceArray, empty
from .copy import overlap
from .layout import Layout, layout_of
from .module import cuda_name, current_device, grid_over
from .printing import (
    Formula,
    Kind,
    compute_dtype,
    forward_formula,
    number_dtype,
    print_formula,
)

MAX_OUTPUTS = 3
MOST_PLANS = 4096  # kept for one op
_THREADS = 256  # kMapThreads
_BLOCK = (_THREADS,)
NUMBERS = frozenset((bool, int, float))
_NONE = type(None)


class Variant(NamedTuple):
    """What a kernel is compiled for."""

    formula: Formula
    kinds: tuple[Kind, ...]  # of the inputs: NumPy dtypes, or bool, int or float for a number
    made: tuple[Any, ...]  # the dtypes of the outputs
    single: tuple[bool, ...]  # which inputs are arrays of one element
    flat: bool
    width: int
    small: bool  # whether 32 bits hold every index

    @property
    def loads(self) -> int:
        """Loads of each input in flight; of strided ones at most 2, as each has a place of its own to be found."""
        loads = self.formula.loads(compute_dtype(self.kinds) == np.float64) if self.formula.takes_several else 1
        return loads if self.flat else min(loads, 2)


class Prepared(NamedTuple):
    """A kernel, what numbers among its inputs are converted with (None for arrays), and the elements of its tile."""

    launch: module.Kernel
    convert: tuple[Any, ...]
    tile: int


class Plan(NamedTuple):
    """All of a launch but the arrays and numbers of one call."""

    launch: module.Kernel
    grid: tuple[int]
    shape: Any
    made: tuple[Any, ...]
    before: tuple[Any, ...]  # arguments before the outputs
    convert: tuple[Any, ...] | None  # what numbers among the inputs are converted with; None if all are arrays


# ---- launching ----


def place(x: Any) -> Any:
    """What a plan depends on of an input: where its elements lie and how it is aligned; the type of a number."""
    return (x.shape, x.strides, x.dtype, x.data.ptr & 15) if type(x) is DeviceArray else type(x)


def execute(plan: Plan, inputs: Sequence[Any], out: Any = None) -> tuple[Any, ...]:
    """The outputs of a plan on inputs like those it was made for; `out`, if given, is written for the only one."""
    launch, grid, shape, made, before, convert = plan
    outs = tuple([empty(shape, dtype) for dtype in made]) if out is None else (out,)
    if convert is not None:
        inputs = [x if number is None else number(x) for x, number in zip(inputs, convert)]
    launch(grid, _BLOCK, (*before, *outs, *inputs))
    return outs


def plan_for(formula: Formula, inputs: Sequence[Any], made: tuple[Any, ...]) -> Any:
    """How to launch a formula of DeviceArrays and numbers that lie like these, with results of the dtypes `made`.

    NotImplemented where the arrays have more dimensions than the kernel takes.
    """
    arrays = [x for x in inputs if type(x) is DeviceArray]
    layout = layout_of(tuple([(x.shape, x.strides, x.itemsize) for x in arrays]))
    if layout is None:
        return NotImplemented
    count = layout.count
    if not count:
        return Plan(_nothing, (0,), layout.shape, made, (), None)
    kinds = tuple([x.dtype if type(x) is DeviceArray else type(x) for x in inputs])
    width = _width(formula, layout, arrays, made)
    # A result of one element is made by the kernel of longer arrays, so that scalars need none of their own.
    single = tuple([layout.flat and count > 1 and type(x) is DeviceArray and x.size == 1 for x in inputs])
    kernel = _kernel(Variant(formula, kinds, made, single, layout.flat, width, layout.small))
    convert = kernel.convert if any(kernel.convert) else None
    if layout.flat:
        grid = grid_over(count, kernel.tile)
        before: tuple[Any, ...] = (np.int64(count),)
    else:
        axes = layout.axes(tuple([convert is None for convert in kernel.convert]), width)
        groups = count // width
        grid, before = grid_over(groups, kernel.tile // width), (np.int64(groups), axes)
    return Plan(kernel.launch, grid, layout.shape, made, before, convert)


def _nothing(*ignored: Any) -> None:
    """The launch of a plan for no elements."""


def _width(formula: Formula, layout: Layout, arrays: list[Any], made: tuple[Any, ...]) -> int:
    """Elements to a load: 16 bytes of the widest type, or 1 where an array does not lie on such boundaries.

    New arrays always do.
    """
    spread = [x for x in arrays if x.size != 1 or layout.count == 1]
    if not formula.takes_several or not spread:
        return 1
    width = 16 // max([x.itemsize for x in (*spread, *made)])
    if not layout.flat and not layout.takes(width):
        return 1
    return width if all([x.data.ptr % (width * x.itemsize) == 0 for x in spread]) else 1


# ---- forward ----


def formula_launcher(op: Any) -> Callable[..., Any]:
    """What runs the formula `op` on DeviceArrays and Python numbers. NotImplemented where its body must run.

    The result goes to `out`, which may be one of the inputs; NotImplemented, and nothing is written, where the kernel
    cannot write there: it is not contiguous, of another shape or dtype, or shares memory with what is read later.
    """
    plans: dict[Any, Plan] = {}  # by where arrays lie, types and parameters: what a call costs decides small networks

    def launch(*inputs: Any, out: Any = None, **params: Any) -> Any:
        key = (current_device(), *[place(x) for x in inputs], *params.values())
        plan = plans.get(key)
        if plan is not None:
            return execute(plan, inputs, out)[0] if out is None or _may_write(out, plan, inputs) else NotImplemented
        meaning = _meaning(
            op, tuple([x.dtype if type(x) is DeviceArray else type(x) for x in inputs]), tuple(params.values())
        )
        if meaning is None:
            return NotImplemented
        formula, made = meaning
        taken = [x.item() if isinstance(x, np.generic) else x for x in inputs if x is not None]
        plan = plan_for(formula, taken, made)
        if plan is NotImplemented:
            return NotImplemented
        if len(taken) == len(inputs) and len(plans) < MOST_PLANS:
            plans[key] = plan
        return execute(plan, taken, out)[0] if out is None or _may_write(out, plan, taken) else NotImplemented

    return launch


def _may_write(out: DeviceArray, plan: Plan, inputs: Sequence[Any]) -> bool:
    """Whether the kernel of a plan can write its result to `out`, whose elements then lie as those of a new array do."""
    if out.shape != plan.shape or out.dtype != plan.made[0] or not out.flags.c_contiguous:
        return False
    arrays = [x for x in inputs if type(x) is DeviceArray]
    alike = out.data.ptr % 16 == 0 or any([x.data.ptr == out.data.ptr and x.size == out.size for x in arrays])
    return alike and not any([overlap(out, x) for x in arrays])


@functools.cache
def _meaning(op: Any, kinds: tuple[Any, ...], params: tuple[Any, ...]) -> tuple[Formula, tuple[Any, ...]] | None:
    """The formula of `op` and the dtype of its result: that of the body on NumPy arrays without elements.

    None for inputs kernels do not take. What the body raises for inputs it refuses is raised.
    """
    arrays = [d for d in kinds if isinstance(d, np.dtype)]
    if not arrays or not all(d in BY_NUMPY for d in arrays):
        return None  # bodies may view arrays as a dtype that tensors do not have
    if not all(isinstance(d, np.dtype) or d in NUMBERS or d is _NONE or issubclass(d, np.generic) for d in kinds):
        return None
    inputs = [np.empty(0, d) if isinstance(d, np.dtype) else None if d is _NONE else d(1) for d in kinds]
    with np.errstate(all="ignore"):
        made = np.asarray(op.body(*inputs, **dict(zip(op.params, params)))).dtype
    if made not in BY_NUMPY:
        return None  # of objects: NumPy looks at what it cannot add when there are elements, and then refuses
    return forward_formula(op, tuple([d is not _NONE for d in kinds]), params), (BY_NUMPY[made].numpy,)


# ---- kernels ----

_kernels: dict[tuple[int, Variant], Prepared] = {}  # by device


def _kernel(variant: Variant) -> Prepared:
    device = current_device()
    found = _kernels.get((device, variant))
    if found is None:
        prepare([variant])
        found = _kernels[device, variant]
    return found


def prepare(variants: Iterable[Variant]) -> None:
    """Compile the kernels of several variants together."""
    device = current_device()
    wanted = [v for v in dict.fromkeys(variants) if (device, v) not in _kernels]
    source, names = print_source(wanted)
    for v, launch in zip(wanted, module.compiled(source, *names)):
        compute = compute_dtype(v.kinds)
        convert = [None if isinstance(k, np.dtype) else number_dtype(compute, k).type for k in v.kinds]
        _kernels[device, v] = Prepared(launch, tuple(convert), _THREADS * v.width * v.loads)


def print_source(variants: Sequence[Variant]) -> tuple[str, list[str]]:
    """The source that the kernels of these variants are compiled from, and their names."""
    structs: dict[tuple[Any, ...], str] = {}
    texts, names = [], []
    for v in variants:
        key = (v.formula, v.kinds, v.made)
        if key not in structs:
            structs[key] = f"Formula{len(structs)}"
            texts.append(print_formula(structs[key], *key))
        names.append(_kernel_name(v, structs[key]))
    source = "\n".join(['#include "elementwise.cu"', "namespace gpugrad {", *texts, "}  // namespace gpugrad", ""])
    return source, names


def _kernel_name(v: Variant, struct: str) -> str:
    """The name expression of the kernel in kernels/elementwise.cu."""
    compute = compute_dtype(v.kinds)
    inputs = []
    for kind, one in zip(v.kinds, v.single):
        if not isinstance(kind, np.dtype):
            inputs.append(cuda_name(number_dtype(compute, kind)))
        else:
            inputs.append(f"gpugrad::Single<{cuda_name(kind)}>" if one else f"const {cuda_name(kind)}*")
    outs = [cuda_name(d) for d in v.made]
    suffix = "" if len(outs) == 1 else f"_{len(outs)}"
    index = "unsigned" if v.small else "long long"
    loop = (
        f"map_flat{suffix}<F, {v.width}, {v.loads}"
        if v.flat
        else f"map_strided{suffix}<F, {index}, {v.width}, {v.loads}"
    )
    return f"gpugrad::{loop}, {', '.join([*outs, *inputs])}>".replace("<F", f"<gpugrad::{struct}")
