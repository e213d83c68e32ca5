"""Elements picked along one dimension by index, and put back: how `max`, `sort`, `median`, ... pass gradients on.

Each of them finds indices, which is nothing to differentiate, and picks its values by `pick_along`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import int64
from ..inplace import into_each
from ..op import op
from .dims import normalize_dim


def _cells(index: Any, dim: int, squeezed: bool) -> tuple[Any, ...]:
    """What to index an array with to reach its elements at `index` along `dim`."""
    if squeezed:
        index = index.reshape((*index.shape[:dim], 1, *index.shape[dim:]))
    ndim = index.ndim
    return tuple(
        index if d == dim else np.arange(size, like=index).reshape((size,) + (1,) * (ndim - d - 1))
        for d, size in enumerate(index.shape)
    )


@op
def pick_along(x: Any, index: Any, *, dim: int, squeezed: bool = False, repeats: bool = False) -> Any:
    """The elements of `x` at `index` along `dim`: the shape of the result is that of `index`.

    `squeezed`: `index` is one per line and lacks the dimension. `repeats`: it may name an element twice.
    """
    return x[_cells(index, dim, squeezed)].reshape(index.shape)


@op
def put_along(g: Any, index: Any, *, shape: tuple[int, ...], dim: int, squeezed: bool, repeats: bool) -> Any:
    """Zeros of `shape`, and `g` at `index` along `dim` (summed where `index` repeats): the reverse of `pick_along`."""
    out = np.zeros_like(g, shape=shape)
    cells = _cells(index, dim, squeezed)
    values = g.reshape(cells[dim].shape)
    if repeats:
        np.add.at(out, cells, values)
    else:
        out[cells] = values
    return out


def _pick_rule(g: Any, index: Any, x_shape: Any, *, dim: int, squeezed: bool, repeats: bool) -> Any:
    return put_along(g, index, shape=x_shape, dim=dim, squeezed=squeezed, repeats=repeats)


def _put_rule(g: Any, index: Any, *, dim: int, squeezed: bool, repeats: bool) -> Any:
    return pick_along(g, index, dim=dim, squeezed=squeezed, repeats=repeats)


pick_along.defvjp(x=_pick_rule)
put_along.defvjp(g=_put_rule)


def check_reducible(name: str, input: Any, dim: int) -> None:
    """IndexError if there is nothing along `dim` to choose from."""
    if input.shape[dim] == 0:
        raise IndexError(
            f"{name}(): Expected reduction dim {dim} to have non-zero size, but the input has shape {list(input.shape)}"
        )


def chosen(result: Any, input: Any, find: Any, dim: int, keepdim: bool, out: Any, **params: Any) -> Any:
    """`result(values, indices)`: one element for each line along `dim`, where `find(input, dim=, keepdim=)` says.

    IndexError if `dim` is out of range or has size 0.
    """
    dim = normalize_dim(dim, input.ndim)
    if input.ndim == 0:
        input, keepdim = input.reshape((1,)), False
    elif input.shape[dim] == 0:
        check_reducible(result.__name__, input, dim)
    index = find(input, dim=dim, keepdim=keepdim, **params)
    return given(result(pick_along(input, index, dim=dim, squeezed=not keepdim), index), out)


def given(results: Any, out: tuple[Tensor, ...] | None) -> Any:
    """A named tuple of results, or `out=` with the results put in them. RuntimeError unless indices go to int64."""
    if out is None:
        return results
    kind = type(results)
    for field, tensor in zip(kind._fields, () if isinstance(out, Tensor) else out):
        if field == "indices" and isinstance(tensor, Tensor) and tensor.dtype is not int64:
            raise RuntimeError(
                f"{kind.__name__}(): Expected out tensor for indices to have dtype {int64}, but got {tensor.dtype}"
            )
    return kind(*into_each(out, results, kind.__name__))
