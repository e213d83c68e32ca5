"""Random tensors. Each draws, from the same seed, the numbers PyTorch draws on the CPU."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import random_cpu as draw
from .. import random_sampling as sampling
from ..core import Tensor, mark_written, wrap
from ..device import as_device
from ..dtypes import FLOATS, as_dtype, get_default_dtype, int64
from ..inplace import check_writable, into
from ..op import op
from ..random import engine_of
from .create import make
from .dims import as_size

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
    from .fill import fill

    check_writable(tensor, f"{name}_")
    if tensor._requires_grad:
        update(tensor, fill, 0)
    random_fill(tensor._array, name=f"{name}_", options=options, generator=engine_of(generator))
    mark_written(tensor)
    return tensor


@op
def dropout_mask(x: Any, *, p: float, generator: Any) -> Any:
    """What `dropout` multiplies `x` by: 0 with probability `p`, else 1 / (1 - p) in the dtype of `x`."""
    keep = draw.dropout_mask_(np.empty_like(x), p, generator=generator)
    keep *= keep.dtype.type(1 / (1 - p)) if p < 1 else keep.dtype.type(0)
    return keep


def _fresh(size: Any, dtype: Any, device: Any, requires_grad: bool, name: str) -> np.ndarray:
    """An array to fill. All is checked before anything is drawn."""
    as_device(device)
    shape = as_size(size)
    if any(s < 0 for s in shape):
        raise RuntimeError(f"{name}(): Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    wanted = (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy
    if requires_grad and wanted not in FLOATS:
        raise RuntimeError(
            f"{name}(): Only Tensors of floating point dtype can require gradients, not {as_dtype(wanted)}"
        )
    return np.empty(shape, wanted)


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
    array = draw.uniform_(
        _fresh(sizes if size is None else (size,), dtype, device, requires_grad, "rand"), generator=engine_of(generator)
    )
    made = make(array, device, requires_grad)
    return made if out is None else into(out, made, "rand")


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
    array = draw.normal_(
        _fresh(sizes if size is None else (size,), dtype, device, requires_grad, "randn"),
        generator=engine_of(generator),
    )
    made = make(array, device, requires_grad)
    return made if out is None else into(out, made, "randn")


def randint(
    low: int,
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
        low, high, size = 0, low, high
    array = _fresh(
        (size,) if isinstance(size, int) else tuple(size),
        int64 if dtype is None else dtype,
        device,
        requires_grad,
        "randint",
    )
    draw.random_(array, operator.index(low), operator.index(high), generator=engine_of(generator))
    made = make(array, device, requires_grad)
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
    as_device(device)
    made = make(sampling.randperm(n, wanted, generator=engine_of(generator)), device, requires_grad)
    return made if out is None else into(out, made, "randperm")


def _like(input: Tensor, dtype: Any, device: Any) -> np.ndarray:
    as_device(device)
    return _beside(input._array, None if dtype is None else as_dtype(dtype).numpy)


def _beside(array: Any, dtype: Any = None) -> Any:
    """An array like `array` in its layout, which is the order of the draws; an expanded one has none to keep."""
    return np.empty_like(array, dtype=dtype, order="C" if 0 in array.strides else "K")


def rand_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """Uniform numbers in the shape and dtype of `input`."""
    return make(draw.uniform_(_like(input, dtype, device), generator=engine_of(generator)), device, requires_grad)


def randn_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """Normal numbers in the shape and dtype of `input`."""
    return make(draw.normal_(_like(input, dtype, device), generator=engine_of(generator)), device, requires_grad)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Any = None,
) -> Tensor:
    """Integers in the shape and dtype of `input`."""
    low, high = (0, low) if high is None else (low, high)
    return make(
        draw.random_(_like(input, dtype, device), low, high, generator=engine_of(generator)), device, requires_grad
    )


def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """1 with the probability that `input` (or `p`, for all) says, else 0."""
    probabilities = input._array if p is None else p
    if p is None and input._array.dtype not in FLOATS:
        raise NotImplementedError(
            f"bernoulli(): expected probabilities of a floating dtype, got {input.dtype}; give p, or convert with .float()"
        )
    made = wrap(draw.bernoulli_(_beside(input._array), probabilities, generator=engine_of(generator)))
    return made if out is None else into(out, made, "bernoulli")


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Tensor | None = None
) -> Tensor:
    """Indices drawn with probabilities proportional to the rows of `input`."""
    made = wrap(sampling.multinomial(input._array, num_samples, replacement, generator=engine_of(generator)))
    return made if out is None else into(out, made, "multinomial")


def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson numbers with the rates `input`."""
    return wrap(sampling.poisson(input._array, generator=engine_of(generator)))


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
        array = _fresh(tuple(size), dtype, device, requires_grad, "normal")
        made = make(draw.normal_(array, mean, std, generator=engine_of(generator)), device, requires_grad)
    else:
        given = [x._array if isinstance(x, Tensor) else x for x in (mean, std)]
        if not any(isinstance(x, np.ndarray) for x in given):
            raise TypeError("normal(): needs a tensor for mean or std, or size=")
        made = wrap(sampling.normal(*given, generator=engine_of(generator)))
    return made if out is None else into(out, made, "normal")
