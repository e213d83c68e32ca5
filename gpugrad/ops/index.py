"""Indexing: `x[key]`, `x[key] = value`, and the ops on places they come down to.

A key is read in two steps, as PyTorch reads it. Ints, slices, None and Ellipsis give a view. Index arrays and masks
then apply to dimensions of that view: masks become arrays of places (`nonzero`), and all arrays, broadcast together,
one int64 array `places` whose row `i` holds the places along dimension `dims[i]`. The indexed dimensions come out at the
first of `dims` if those are adjacent, else in front.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor, mark_written, wrap
from ..device import apart, array_device, arrays_beside
from ..dtypes import FLOATS, LOW_PRECISION, as_dtype
from ..errors import on_two_devices
from ..inplace import assign, check_memory, check_writable, update
from ..modes import state
from ..op import op
from ..views import resync
from .fill import copy, fill
from .join import _stack
from .mask import filled_where, nonzero_places, put_at_full_mask, read_mask, write_where
from .reduce import _count_nonzero, expand_to, sum_to
from .shape import part, reshape
from .transfer import beside

__all__ = ["index_put"]

# ---- reading and writing places ----


def _full_key(places: Any, dims: tuple[int, ...]) -> tuple[Any, ...]:
    key: list[Any] = [slice(None)] * (dims[-1] + 1)
    for d, along in zip(dims, places):
        key[d] = along
    return tuple(key)


def _where_indexed(dims: tuple[int, ...]) -> int:
    """The dimension at which indexed dimensions come out."""
    return dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0


def _indexed_shape(shape: tuple[int, ...], places: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    others = [size for d, size in enumerate(shape) if d not in dims]
    at = _where_indexed(dims)
    return (*others[:at], *places.shape[1:], *others[at:])


@op(name="index")
def read_places(x: Any, places: Any, *, dims: tuple[int, ...]) -> Any:
    """`x` at `places` (k, ...) along the k dimensions `dims`."""
    return x.take(places[0], dims[0]) if len(dims) == 1 else x[_full_key(places, dims)]


@op
def add_places(g: Any, places: Any, *, shape: tuple[int, ...], dims: tuple[int, ...]) -> Any:
    """Zeros of `shape` with `g` added at `places`: the adjoint of `read_places`."""
    return _added(np.zeros_like(g, shape=shape), g, places, dims)


read_places.defvjp(x=lambda g, x_shape, places, *, dims: add_places(g, places, shape=x_shape, dims=dims))
add_places.defvjp(g=lambda g, places, *, dims: read_places(g, places, dims=dims))


@op(name="index_put")
def write_places(x: Any, value: Any, places: Any, *, dims: tuple[int, ...], inplace: bool = False) -> Any:
    """A copy of `x`, or with `inplace` `x` itself, with `value`, broadcast, at `places`."""
    out = x if inplace else x.copy()
    out[_full_key(places, dims)] = value
    return out


@op(writes="target")
def put_places(target: Any, value: Any, places: Any, *, dims: tuple[int, ...]) -> None:
    """Write `value`, an array or a number, broadcast, to `places` of the array `target`."""
    target[_full_key(places, dims)] = value


@op
def clear_places(x: Any, places: Any, *, dims: tuple[int, ...]) -> Any:
    """A copy of `x` with zeros at `places`."""
    out = x.copy()
    out[_full_key(places, dims)] = 0
    return out


write_places.defvjp(
    x=lambda g, places, *, dims: clear_places(g, places, dims=dims),
    value=lambda g, value_shape, places, *, dims: sum_to(read_places(g, places, dims=dims), shape=value_shape),
)
clear_places.defvjp(x=lambda g, places, *, dims: clear_places(g, places, dims=dims))


@op(name="index_add")
def add_at_places(x: Any, value: Any, places: Any, *, dims: tuple[int, ...], inplace: bool = False) -> Any:
    """A copy of `x`, or with `inplace` `x` itself, with `value`, broadcast, added at `places`, as often as one is named."""
    return _added(x if inplace else x.copy(), value, places, dims)


add_at_places.defvjp(
    x=lambda g: g,
    value=lambda g, value_shape, places, *, dims: sum_to(read_places(g, places, dims=dims), shape=value_shape),
)
read_places.defadd(lambda total, g, places, *, dims: add_at_places(total, g, places, dims=dims, inplace=True))


def _added(out: Any, value: Any, places: Any, dims: tuple[int, ...]) -> Any:
    """`out`, which is our own, with `value` added at `places`.

    The indexed dimensions are brought to the front and made one, the others one after it: then it is a matter of rows.
    """
    others = [d for d in range(out.ndim) if d not in dims]
    at, between = _where_indexed(dims), places.ndim - 1
    rows_first = [*range(at, at + between), *range(at), *range(at + between, between + len(others))]
    row = places[0]
    for along, d in zip(places[1:], dims[1:]):
        row = row * out.shape[d] + along
    indexed_first = out.transpose([*dims, *others])
    count, width = (math.prod([out.shape[d] for d in which]) for which in (dims, others))
    value = np.broadcast_to(value, _indexed_shape(out.shape, places, dims))
    value = value.transpose(rows_first).reshape(row.size, width)
    if indexed_first.flags.c_contiguous:
        add_rows(indexed_first.reshape(count, width), row.reshape(-1), value)
        return out
    rows = np.ascontiguousarray(indexed_first)
    add_rows(rows.reshape(count, width), row.reshape(-1), value)
    indexed_first[...] = rows
    return out


_BLOCK = 1 << 20  # how many elements `add_rows` adds at once: the index it makes for them stays in cache


def add_rows(out: Any, rows: Any, value: Any) -> None:
    """`out[rows[i]] += value[i]` for all i, in place; `out` (n, width) contiguous, `value` (m, width).

    NumPy's `add.at` is quick only on flat arrays of one dtype, so every element gets an index of its own. (Measured
    against `add.at` on rows, sort and `reduceat`, and `bincount`: never slower, up to five times faster.)
    """
    width = out.shape[1]
    if out.dtype in LOW_PRECISION:  # sum in float32, round once
        total = out.astype(np.float32)
        add_rows(total, rows, value.astype(np.float32))
        out[...] = total
        return
    flat = out.reshape(-1)
    columns = np.arange(width)
    step = max(1, _BLOCK // max(width, 1))
    for start in range(0, len(rows), step):
        places = rows[start : start + step, None] * width + columns
        np.add.at(flat, places.reshape(-1), value[start : start + step].reshape(-1).astype(out.dtype, copy=False))


# ---- what a key says ----


def _bad_index(item: Any) -> IndexError:
    return IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
        f"{type(item).__name__})"
    )


def _as_item(item: Any) -> Any:
    """One item of a key: an int, bool, slice, None, Ellipsis, or an array of ints or bools."""
    if item is None or item is ... or type(item) in (int, bool, slice):
        return item
    if isinstance(item, Tensor):
        item = item._array
    elif isinstance(item, (list, tuple, range)):
        from .create import to_array

        item = to_array(list(item)) if len(item) else np.zeros(0, np.int64)
    elif isinstance(item, (np.ndarray, np.generic)):
        item = np.asarray(item)
    elif not hasattr(item, "shape"):
        if isinstance(item, str):
            raise TypeError(f"an index must be an int, a slice, a tensor or the like, not the str {item!r}")
        if not hasattr(item, "__index__") or isinstance(item, float):
            raise _bad_index(item)
        return operator.index(item)
    if item.dtype.kind not in "biu" or item.dtype in FLOATS:
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, but got {as_dtype(item.dtype)}"
        )
    if item.dtype == np.uint8:  # PyTorch's masks of old
        item = item.astype(np.bool_)
    return item.item() if item.ndim == 0 else item


def _consumed(item: Any) -> int:
    """How many dimensions of the tensor an item stands for."""
    if item is None or item is ... or type(item) is bool:
        return 0
    return item.ndim if getattr(item, "dtype", None) == np.bool_ else 1


def _slice(item: slice) -> slice:
    bounds = [b if b is None else operator.index(b) for b in (item.start, item.stop, item.step)]
    if bounds[2] is not None and bounds[2] <= 0:
        raise ValueError("slice step cannot be zero" if bounds[2] == 0 else "step must be greater than zero")
    return slice(*bounds)


def check_index(index: int, dim: int, size: int) -> None:
    """IndexError unless `index` is one of `size` places."""
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of bounds for dimension {dim} with size {size}")


def parse(key: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], list[tuple[int, Any]]]:
    """`key` as a basic index, and the arrays with the dimension of the resulting view each applies to."""
    items = [_as_item(item) for item in (key if type(key) is tuple else (key,))]
    consumed = sum(map(_consumed, items))
    if consumed > len(shape):
        if not shape:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert "
                "a 0-dim tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    basic: list[Any] = []
    arrays: list[tuple[int, Any]] = []
    dim = place = 0  # of the tensor, of the view
    rest = len(shape) - consumed
    for item in items:
        if item is ...:
            basic += [slice(None)] * rest
            dim, place, rest = dim + rest, place + rest, 0
        elif item is None:
            basic.append(None)
            place += 1
        elif type(item) is bool:  # a new dimension of size 1, and a mask on it
            basic.append(None)
            arrays.append((place, np.array([item])))
            place += 1
        elif type(item) is int:
            check_index(item, dim, shape[dim])
            basic.append(item)
            dim += 1
        elif type(item) is slice:
            basic.append(_slice(item))
            dim, place = dim + 1, place + 1
        else:
            used = _consumed(item)
            if item.dtype == np.bool_:
                _check_mask(item, shape, dim)
            arrays.append((place, item))
            basic += [slice(None)] * used
            dim, place = dim + used, place + used
    return tuple(basic), arrays


def _check_mask(mask: Any, shape: tuple[int, ...], dim: int) -> None:
    for i, size in enumerate(mask.shape):
        if size != shape[dim + i]:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape of the indexed tensor "
                f"{list(shape)} at index {dim + i}"
            )


def _places(arrays: Sequence[tuple[int, Any]], shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """The arrays of a key as one array of `places` in range, and the dimensions of `shape` they belong to."""
    found: list[Any] = []
    dims: list[int] = []
    for dim, array in arrays:
        along = nonzero_places(array) if array.dtype == np.bool_ else (in_range(array, dim=dim, size=shape[dim]),)
        found.extend(along)
        dims.extend(range(dim, dim + len(along)))
    if len(found) == 1:
        return found[0][None], tuple(dims)
    try:
        together = np.broadcast_shapes(*[a.shape for a in found])
    except ValueError:
        shapes = ", ".join(str(list(a.shape)) for a in found)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None
    return _stack(*[a if a.shape == together else expand_to(a, shape=together) for a in found], dim=0), tuple(dims)


def _beside(x: Any, arrays: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """The arrays of a key on the device of the array `x`: what came as a list or lies on the CPU is copied there."""
    kind = type(x)
    if kind is np.ndarray:
        return arrays
    return [(dim, a if type(a) is kind else arrays_beside(x).from_numpy(a)) for dim, a in arrays]


def scalar_beside(x: Any, value: Any) -> Tensor:
    """A number as a 0-d tensor of the dtype of the array `x`, on its device, without a copy from the host."""
    number = np.asarray(value).astype(x.dtype)
    return wrap(number if type(x) is np.ndarray else arrays_beside(x).full((), number.item(), x.dtype))


@op
def in_range(index: Any, *, dim: int, size: int) -> Any:
    """`index` as fresh int64, negative ones counted from the end; IndexError if one is out of range."""
    index = index.astype(np.int64)
    if index.size:
        low, high = int(index.min()), int(index.max())
        check_index(low if low < -size else high, dim, size)
        if low < 0:
            index[index < 0] += size
    return index


@op
def within(index: Any, *, low: int, size: int, error: type[Exception], message: str) -> Any:
    """`index` itself; `error`, its message formatted with the culprit, unless all are from `low` to below `size`.

    Kernels look for themselves, and report what is out of range when the host next waits: there this is nothing to do.
    """
    if index.size:
        least, most = int(index.min()), int(index.max())
        if least < low or most >= size:
            raise error(message.format(most if most >= size else least))
    return index


# ---- x[key] ----


def getitem(x: Tensor, key: Any) -> Tensor:
    """`x[key]`: a view for ints, slices, None and Ellipsis, else a copy. IndexError for what is out of range."""
    shape = x._array.shape
    if type(key) is int and shape:
        check_index(key, 0, shape[0])
        return part(x, (key,))
    basic, arrays = parse(key, shape)
    if not arrays:
        return part(x, basic)
    x, arrays = _viewed(x, basic), _beside(x._array, arrays)
    if len(arrays) == 1 and arrays[0][0] == 0 and arrays[0][1].dtype == np.bool_:
        return read_mask(x, wrap(arrays[0][1]))
    places, dims = _places(arrays, x._array.shape)
    return read_places(x, wrap(places), dims=dims)


def _viewed(x: Tensor, basic: tuple[Any, ...]) -> Tensor:
    """`x[basic]`, or `x` itself where that says nothing."""
    return x if all(type(b) is slice and b == slice(None) for b in basic) else part(x, basic)


# ---- x[key] = value ----

_EXPAND = (
    "The expanded size of the tensor ({0}) must match the existing size ({1}) at non-singleton dimension {2}.  Target "
    "sizes: {3}.  Tensor sizes: {4}"
)
_INDEXED = "shape mismatch: value tensor of shape {4} cannot be broadcast to indexing result of shape {3}"


def _fitted(value: Any, shape: tuple[int, ...], complaint: str) -> Any:
    """`value` without leading dimensions of size 1 that `shape` lacks; RuntimeError if it does not broadcast to it."""
    if not isinstance(value, Tensor):
        return value
    have = value._array.shape
    extra = max(len(have) - len(shape), 0)
    for i, size in enumerate(reversed(have), start=1):
        want = shape[-i] if i <= len(shape) else 1
        if size not in (1, want):
            raise RuntimeError(complaint.format(want, size, len(shape) - i, list(shape), list(have)))
    return reshape(value, have[extra:]) if extra else value


def _check_same_dtype(x: Any, value: Any) -> None:
    if isinstance(value, Tensor) and value._array.dtype is not x.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{as_dtype(x.dtype)} for the destination and {as_dtype(value._array.dtype)} for the source. Convert the "
            "source with .to(dtype)."
        )


def setitem(x: Tensor, key: Any, value: Any) -> None:
    """`x[key] = value`, broadcast and converted; through views and on the tape as any in-place write.

    A value of another device is copied over, but to places given by tensors a 0-d one only, as in PyTorch. TypeError for
    lists (make them tensors), IndexError for what is out of range, RuntimeError for shapes that do not
    fit or a leaf that requires grad; then nothing has changed.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        value = wrap(np.asarray(value))
    if not isinstance(value, (Tensor, bool, int, float)):
        raise TypeError(
            f"can't assign a {type(value).__name__} to a tensor of {as_dtype(x._array.dtype)}; make it a tensor"
        )
    basic, arrays = parse(key, x._array.shape)
    if isinstance(value, Tensor) and apart(x._array, value._array):
        if arrays and value._array.ndim:
            raise on_two_devices(array_device(x._array), array_device(value._array), "index_put_")
        value = beside(value, array_device(x._array))
    if x._base is not None and x._written[0] > x._synced:
        resync(x)
    name = "index_put_" if arrays else "copy_"
    check_writable(x, name)
    if state.grad and (x._requires_grad or (isinstance(value, Tensor) and value._requires_grad)):
        _write_recorded(_viewed(x, basic), arrays, value)
    else:
        check_memory(x, name)
        _write_directly(x._array[(*basic, ...)], arrays, value)
        mark_written(x)


def _write_recorded(target: Tensor, arrays: list[tuple[int, Any]], value: Any) -> None:
    if not arrays:
        value = _fitted(value, target._array.shape, _EXPAND)
        update(target, copy if isinstance(value, Tensor) else fill, value)
        return
    update(target, _put, arrays, value)


def _write_directly(target: Any, arrays: list[tuple[int, Any]], value: Any) -> None:
    if _is_mask_for_one(arrays, value):
        _check_same_dtype(target, value)
        value = value if isinstance(value, Tensor) else scalar_beside(target, value)
        write_where(target, value._array, _as_broadcast(target, arrays))
    elif arrays:
        arrays = _beside(target, arrays)
        _check_same_dtype(target, value)
        if _is_full_mask(arrays, target.shape) and isinstance(value, Tensor) and value._array.size != 1:
            count = int(_count_nonzero(arrays[0][1], dim=None))
            put_at_full_mask(target, arrays[0][1], _fitted(value, (count,), _INDEXED)._array)
            return
        places, dims = _places(arrays, target.shape)
        value = _fitted(value, _indexed_shape(target.shape, places, dims), _INDEXED)
        put_places(target, value._array if isinstance(value, Tensor) else value, places, dims=dims)
    else:
        value = _fitted(value, target.shape, _EXPAND)
        assign(target, value._array if isinstance(value, Tensor) else value)


def _is_full_mask(arrays: list[tuple[int, Any]], shape: tuple[int, ...]) -> bool:
    """Whether a key is one mask for every element."""
    return len(arrays) == 1 and arrays[0][1].dtype == np.bool_ and arrays[0][1].shape == shape


def _is_mask_for_one(arrays: list[tuple[int, Any]], value: Any) -> bool:
    """Whether a key is one mask, and every place gets the same number: then nobody need know how many there are."""
    one = not value._array.ndim if isinstance(value, Tensor) else True
    return one and len(arrays) == 1 and arrays[0][1].dtype == np.bool_


def _as_broadcast(x: Any, arrays: list[tuple[int, Any]]) -> Any:
    """The one mask of a key in a shape that broadcasts to that of the array `x`."""
    ((dim, mask),) = _beside(x, arrays)
    return mask.reshape((*mask.shape, *(1,) * (x.ndim - dim - mask.ndim)))


def _put(
    x: Tensor, arrays: list[tuple[int, Any]], value: Any, accumulate: bool = False, _inplace: bool = False
) -> Tensor:
    """A copy of `x`, or `x` itself, with `value` written, or added, where `arrays` say."""
    if not accumulate and _is_mask_for_one(arrays, value):
        _check_same_dtype(x._array, value)
        value = value if isinstance(value, Tensor) else scalar_beside(x._array, value)
        return filled_where(x, value, wrap(_as_broadcast(x._array, arrays)), _inplace)
    places, dims = _places(_beside(x._array, arrays), x._array.shape)
    _check_same_dtype(x._array, value)
    if not isinstance(value, Tensor):
        value = scalar_beside(x._array, value)
    value = _fitted(value, _indexed_shape(x._array.shape, places, dims), _INDEXED)
    return (add_at_places if accumulate else write_places)(x, value, wrap(places), dims=dims, inplace=_inplace)


_put.__name__ = "index_put"  # for errors of the write in place


def index_put(
    input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False, *, _inplace: bool = False
) -> Tensor:
    """A copy of `input` with `values`, broadcast, written (or added) at `indices`, one index tensor per dimension.

    IndexError for what is out of range; RuntimeError if dtypes differ or shapes do not fit.
    """
    shape = input._array.shape
    if len(indices) > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {len(indices)})")
    _, arrays = parse(
        tuple([reshape(i, (1,)) if isinstance(i, Tensor) and not i._array.ndim else i for i in indices]), shape
    )
    return _put(input, arrays, values, accumulate, _inplace)
