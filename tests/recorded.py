"""`Recorded`: an array that refuses everything but ops, and writes down every op it goes through.

It stands where the CUDA device's arrays and a compiler's traced arrays will stand: if a training step works on it,
nothing in the step touches an array except through an op.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

import gpugrad
from gpugrad import ops
from gpugrad.device import CPU, ArrayType, register_array_type
from gpugrad.ops.operators import OPERATORS


class Recorded:
    """A NumPy array behind a closed door. `number` is its place in the record."""

    log: ClassVar[list[Any]] = []  # (op, arguments, parameters, results, their bits) of every op so far

    def __init__(self, value: np.ndarray) -> None:
        self._value = value
        self._number = id(self)

    shape = property(lambda self: self._value.shape)
    dtype = property(lambda self: self._value.dtype)
    ndim = property(lambda self: self._value.ndim)
    size = property(lambda self: self._value.size)
    base = property(lambda self: self._value.base)
    flags = property(lambda self: self._value.flags)
    strides = property(lambda self: self._value.strides)
    itemsize = property(lambda self: self._value.itemsize)
    nbytes = property(lambda self: self._value.nbytes)
    T = property(lambda self: ops.t(self))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("implicit conversion of a Recorded array to NumPy")

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a NumPy ufunc on a Recorded array: {args[0]}")

    def __array_function__(self, function: Any, *args: Any) -> Any:
        raise TypeError(f"a NumPy function on a Recorded array: {function}")

    def __bool__(self) -> bool:
        raise TypeError("a Recorded array asked for its value")

    def reshape(self, *shape: Any) -> Any:
        return ops.reshape(self, shape[0] if isinstance(shape[0], tuple) else shape)

    def copy(self) -> Any:
        return ops.clone(self)


for _name, _function in OPERATORS.items():
    setattr(Recorded, _name, _function)
Recorded.__hash__ = object.__hash__  # type: ignore[method-assign]


def unwrap(x: Any) -> Any:
    if isinstance(x, Recorded):
        return x._value
    return tuple(map(unwrap, x)) if type(x) is tuple else x


def listed(op: Any, made: Any) -> Any:
    """All arrays that a body returned, what it hides among them."""
    if op.hidden:
        return (made[0], *made[1])
    return made if isinstance(made, tuple) else (made,)


def implement(op: Any) -> Any:
    """Run the op's body on what is inside, and write it down."""

    def run(*args: Any, **params: Any) -> Any:
        out = op.body(*map(unwrap, args), **params)
        outs = [o if o is None else Recorded(np.asarray(o)) for o in listed(op, out)]
        bits = [None if o is None else o._value.tobytes() for o in outs]
        Recorded.log.append((op, list(args), params, outs, bits))
        if out is None:
            return None
        if op.hidden:
            return outs[0], outs[1:]
        return tuple(outs) if isinstance(out, tuple) else outs[0]

    return run


register_array_type(
    Recorded,
    ArrayType(
        device_of=lambda array: CPU,
        implement=implement,
        from_numpy=lambda array: Recorded(array),
        to_numpy=lambda array: array._value,
    ),
)


def enclose(tensor: gpugrad.Tensor) -> None:
    """Put the array of `tensor` behind the door."""
    tensor._array = Recorded(tensor._array)


def replay(log: list[Any], start: dict[int, np.ndarray]) -> None:
    """Run the record again from the arrays it started from, in place. AssertionError at the first result that differs
    in a bit.
    """
    values: dict[int, np.ndarray] = dict(start)

    def again(x: Any) -> Any:
        if isinstance(x, Recorded):
            return values[id(x)]
        return tuple(map(again, x)) if type(x) is tuple else x

    for op, args, params, outs, bits in log:
        made = op.body(*map(again, args), **params)
        for recorded, expected, out in zip(outs, bits, listed(op, made)):
            if recorded is None:
                continue
            values[id(recorded)] = np.asarray(out)
            assert values[id(recorded)].tobytes() == expected, f"{op.name} gives other bits when replayed"
