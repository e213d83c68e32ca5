"""How samples become a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core import Tensor, wrap
from ...dtypes import BY_NUMPY, as_dtype


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch of a list of samples, of which the first says what they are.

    Tensors, arrays and numbers become one Tensor of shape (batch, ...); floats become float64. Mappings, tuples and
    sequences become the same of batches (a plain tuple becomes a list), strings stay as they are. RuntimeError if sequences
    or tensors differ in size, TypeError for other types.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        from ... import stack

        return stack(batch, 0)
    if isinstance(first, (np.ndarray, np.generic)) and not isinstance(first, (np.str_, np.bytes_)):
        return _from_numpy(batch)
    if isinstance(first, float):
        return wrap(np.array(batch, np.float64))
    if isinstance(first, (bool, int)):
        return wrap(np.array(batch, np.int64 if not isinstance(first, bool) else np.bool_))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        return _sequences(batch)
    raise _unknown("default_collate: batch must contain", first)


def default_convert(data: Any) -> Any:
    """One sample, its arrays made Tensors, everything else as it is: what a loader without batches gives."""
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype in BY_NUMPY:
        return wrap(np.asarray(data, as_dtype(data.dtype).numpy))
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(value) for value in data])
    return data


def pinned(data: Any) -> Any:
    """A batch with its tensors, and whatever else has a `pin_memory`, in page-locked memory."""
    if isinstance(data, Mapping):
        return _like(data, {key: pinned(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(pinned, data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [pinned(value) for value in data])
    return data.pin_memory() if hasattr(data, "pin_memory") else data


def _from_numpy(batch: Sequence[Any]) -> Tensor:
    known = BY_NUMPY.get(batch[0].dtype)
    if known is None:
        raise _unknown("default_collate: batch must contain", batch[0])
    return wrap(np.stack(batch).astype(known.numpy, copy=False))


def _sequences(batch: Sequence[Any]) -> Any:
    first = batch[0]
    if any(len(sample) != len(first) for sample in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    parts = [default_collate(samples) for samples in zip(*batch)]
    if isinstance(first, tuple):
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    return _like(first, parts)


def _like(original: Any, values: Any) -> Any:
    """`values` in a container of the type of `original`, where that can be made of them."""
    try:
        return type(original)(values)
    except TypeError:
        return values


def _unknown(what: str, value: Any) -> TypeError:
    shown = f"{type(value)} of {value.dtype}" if isinstance(value, np.ndarray) else f"{type(value)}"
    return TypeError(f"{what} tensors, numpy arrays, numbers, dicts or lists; found {shown}; pass a collate_fn")
