"""Random tensors. On the CPU each draws, from the same seed, the numbers PyTorch draws; other devices have their own."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import random_cpu as draw
from .. import random_sampling as sampling
from ..core import Tensor, mark_written, wrap
from ..device import apart, array_device, arrays_on, as_device, same_device
from ..dtypes import FLOATS, as_dtype, get_default_dtype, int64
from ..errors import on_two_devices
from ..inplace import check_writable, into
from ..op import op
from ..random import engine_of
from .cast import cast
from .create import device_for, make, pinned
from .dims import as_size, memory_order
from .sort import argsort

__all__ = [
    "bernoulli",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
]


@op(writes="target")
def random_fill(target: Any, *, name: str, options: dict[str, Any], generator: Any) -> None:
    """Fill the array `target` with the draws called `name` in `random_cpu`."""
    getattr(draw, name)(target, **options, generator=generator)


def fill_random(tensor: Tensor, name: str, generator: Any, **options: Any) -> Tensor:
    """`tensor.name_(...)`: the in-place fills. A tensor on the tape becomes a constant."""
    from ..inplace import update
    from .fill import copy

    check_writable(tensor, f"{name}_")
    fill_with(tensor._array, f"{name}_", generator, **options)  # first: it may refuse, and then nothing has changed
    mark_written(tensor)
    return update(tensor, copy, tensor.clone().detach()) if tensor._requires_grad else tensor


def fill_with(array: Any, name: str, generator: Any, **options: Any) -> Any:
    """`array`, filled with the draws called `name` in `random_cpu`."""
    random_fill(array, name=name, options=options, generator=engine_of(generator, array_device(array)))
    return array


@op
def draw_categories(probs: Any, *, num_samples: int, replacement: bool, generator: Any) -> Any:
    """What `multinomial` draws."""
    return sampling.multinomial(probs, num_samples, replacement, generator=generator)


@op
def draw_poisson(rate: Any, *, generator: Any) -> Any:
    """Poisson numbers of the rates given by element."""
    return sampling.poisson(rate, generator=generator)


@op
def normal_around(mean: Any, std: Any, *, generator: Any) -> Any:
    """Normal numbers whose mean, standard deviation or both are arrays."""
    return sampling.normal(mean, std, generator=generator)


@op
def dropout_mask(x: Any, *, p: float, generator: Any) -> Any:
    """What `dropout` multiplies `x` by: 0 with probability `p`, else 1 / (1 - p) in the dtype of `x`."""
    keep = draw.dropout_mask_(np.empty_like(x), p, generator=generator)
    keep *= keep.dtype.type(1 / (1 - p)) if p < 1 else keep.dtype.type(0)
    return keep


def _fresh(size: Any, dtype: Any, device: Any, requires_grad: bool, name: str, out: Tensor | None = None) -> Any:
    """An array to fill. All is checked before anything is drawn."""
    where = device_for(device, out)
    shape = as_size(size)
    if any(s < 0 for s in shape):
        raise RuntimeError(f"{name}(): Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    wanted = (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    if requires_grad and wanted not in FLOATS:
        raise RuntimeError(
            f"{name}(): Only Tensors of floating point dtype can require gradients, not {as_dtype(wanted)}"
        )
    return arrays_on(where).full(shape, None, wanted)


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1)."""
    array = _fresh(sizes if size is None else (size,), dtype, device, requires_grad, "rand", out)
    made = wrap(fill_with(array, "uniform_", generator), requires_grad)
    return pinned(made, pin_memory) if out is None else into(out, made, "rand")


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Standard normal numbers."""
    array = _fresh(sizes if size is None else (size,), dtype, device, requires_grad, "randn", out)
    made = wrap(fill_with(array, "normal_", generator), requires_grad)
    return pinned(made, pin_memory) if out is None else into(out, made, "randn")


def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from `low` (0 if left out) to below `high`: `randint(high, size)` or `randint(low, high, size)`."""
    if size is None:
        low, high, size = None, low, high
    elif high is None:
        low, high = None, low
    if high is None or size is None:
        raise TypeError("randint(): expected at least `high` and `size`, as in randint(10, (2, 3))")
    low = 0 if low is None else low
    array = _fresh(
        (size,) if isinstance(size, int) else tuple(size),
        int64 if dtype is None else dtype,
        device,
        requires_grad,
        "randint",
        out,
    )
    fill_with(array, "random_", generator, low=operator.index(low), high=operator.index(high))
    made = wrap(array, requires_grad)
    return made if out is None else into(out, made, "randint")


def randperm(
    n: int,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The integers below `n` in random order."""
    wanted = (int64 if dtype is None else as_dtype(dtype)).numpy
    where = device_for(device, out)
    if where.type == "cpu":
        made = make(sampling.randperm(n, wanted, generator=engine_of(generator, where)), where, requires_grad)
    else:  # in the order of random keys: nothing leaves the device
        sampling.check_randperm(n, np.dtype(wanted))
        keys = wrap(
            fill_with(arrays_on(where).full((n,), None, np.dtype(np.int64)), "random_", generator, low=None, high=None)
        )
        made = cast(argsort(keys), wanted).requires_grad_(requires_grad)
    return pinned(made, pin_memory) if out is None else into(out, made, "randperm")


def _like(input: Tensor, dtype: Any, device: Any, requires_grad: bool, name: str) -> Any:
    """An array to fill like that of `input`."""
    where = None if device is None else as_device(device)
    wanted = input._array.dtype if dtype is None else as_dtype(dtype).numpy
    if where is None or same_device(where, input.device):
        if requires_grad and wanted not in FLOATS:
            raise RuntimeError(
                f"{name}(): Only Tensors of floating point dtype can require gradients, not {as_dtype(wanted)}"
            )
        return _beside(input._array, wanted)
    return _fresh((input.shape,), wanted, where, requires_grad, name)


def _beside(array: Any, dtype: Any = None) -> Any:
    """An array like `array` in its layout, which is the order of the draws; an expanded one has none to keep."""
    return empty_beside(array, dtype=array.dtype if dtype is None else dtype)


@op(ordered=False)
def empty_beside(x: Any, *, dtype: Any) -> Any:
    """An uninitialised array like `x`."""
    return np.empty_like(x, dtype=dtype, order=memory_order(x))


def rand_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Any = None,
) -> Tensor:
    """Uniform numbers in the shape and dtype of `input`."""
    array = _like(input, dtype, device, requires_grad, "rand_like")
    return wrap(fill_with(array, "uniform_", generator), requires_grad)


def randn_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Any = None,
) -> Tensor:
    """Normal numbers in the shape and dtype of `input`."""
    array = _like(input, dtype, device, requires_grad, "randn_like")
    return wrap(fill_with(array, "normal_", generator), requires_grad)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Any = None,
) -> Tensor:
    """Integers in the shape and dtype of `input`."""
    low, high = (0, low) if high is None else (low, high)
    array = _like(input, dtype, device, requires_grad, "randint_like")
    return wrap(fill_with(array, "random_", generator, low=low, high=high), requires_grad)


def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """1 with the probability that `input` (or `p`, for all) says, else 0."""
    probabilities = input._array if p is None else p
    if p is None and input._array.dtype not in FLOATS:
        raise NotImplementedError(
            f"bernoulli(): expected probabilities of a floating dtype, got {input.dtype}; give p, or convert with .float()"
        )
    made = wrap(fill_with(_beside(input._array), "bernoulli_", generator, p=probabilities))
    return made if out is None else into(out, made, "bernoulli")


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Tensor | None = None
) -> Tensor:
    """Indices drawn with probabilities proportional to the rows of `input`."""
    engine = engine_of(generator, array_device(input._array))
    made = wrap(draw_categories(input._array, num_samples=num_samples, replacement=replacement, generator=engine))
    return made if out is None else into(out, made, "multinomial")


def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson numbers with the rates `input`, in its dtype.

    RuntimeError for a rate that is negative or NaN, from a CUDA device at the next wait for it; NotImplementedError for a
    dtype that is not floating.
    """
    return wrap(draw_poisson(input._array, generator=engine_of(generator, array_device(input._array))))


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of the given means and deviations: tensors, or numbers with a `size`."""
    if size is not None:
        array = _fresh(tuple(size), dtype, device, requires_grad, "normal", out)
        made = wrap(fill_with(array, "normal_", generator, mean=mean, std=std), requires_grad)
    else:
        given = [x for x in (mean, std) if isinstance(x, Tensor)]
        if not given:
            raise TypeError("normal(): needs a tensor for mean or std, or size=")
        if apart(given[0]._array, given[-1]._array):
            raise on_two_devices(given[0].device, given[-1].device, "normal")
        arrays = [x._array if isinstance(x, Tensor) else x for x in (mean, std)]
        made = wrap(normal_around(*arrays, generator=engine_of(generator, array_device(given[0]._array))))
    return made if out is None else into(out, made, "normal")
