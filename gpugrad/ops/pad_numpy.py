"""Padding of NumPy arrays along their last dimensions, and its adjoint.

A width is a pair (before, after) for one dimension; a negative width crops. `padding` has the widths of the last
len(padding) dimensions, first dimension first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def pad(x: np.ndarray, *, padding: Sequence[tuple[int, int]], mode: str, value: float = 0.0) -> np.ndarray:
    """Pads `x` in one of four modes.

    "constant" fills with `value`; "reflect" mirrors at the first and last element without repeating them; "replicate"
    repeats them; "circular" continues at the other end (of what a crop leaves). Raises RuntimeError if a width is more
    than the mode can take from the input or crops more than there is, NotImplementedError for an unknown mode.
    """
    if mode == "constant":
        return _pad_constant(x, padding, value)
    for axis, width in enumerate(padding, start=x.ndim - len(padding)):
        if width != (0, 0):
            x = np.take(x, _sources(x.shape[axis], width, mode), axis=axis)
    return x


def pad_grad(g: np.ndarray, *, input_shape: Sequence[int], padding: Sequence[tuple[int, int]], mode: str) -> np.ndarray:
    """The adjoint of `pad` in `x`: maps `g`, of the padded shape, to `input_shape`."""
    if mode == "constant":
        return _pad_constant(g, [(-before, -after) for before, after in padding], 0.0)
    for axis, width in enumerate(padding, start=g.ndim - len(padding)):
        if width != (0, 0):
            g = _fold(g, axis, input_shape[axis], width, _sources(input_shape[axis], width, mode))
    return g


def _pad_constant(x: np.ndarray, padding: Sequence[tuple[int, int]], value: float) -> np.ndarray:
    widths = [*((0, 0) for _ in range(x.ndim - len(padding))), *padding]
    sizes = [_padded_size(size, width) for size, width in zip(x.shape, widths)]
    kept = tuple(slice(max(0, -before), n - max(0, -after)) for n, (before, after) in zip(x.shape, widths))
    places = tuple(slice(max(0, before), n - max(0, after)) for n, (before, after) in zip(sizes, widths))
    out = np.full(sizes, value, x.dtype)
    out[places] = x[kept]
    return out


def _fold(g: np.ndarray, axis: int, size: int, width: tuple[int, int], sources: np.ndarray) -> np.ndarray:
    """Adds what `sources` took from each position along `axis` back to it: the middle at once, the edges by rows."""
    total = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
    into, rows = np.moveaxis(total, axis, 0), np.moveaxis(g, axis, 0)
    before, after = width
    middle = slice(max(0, before), len(sources) - max(0, after))
    into[max(0, -before) : size - max(0, -after)] = rows[middle]
    for position in (*range(middle.start), *range(middle.stop, len(sources))):
        into[sources[position]] += rows[position]
    return total


def _sources(size: int, width: tuple[int, int], mode: str) -> np.ndarray:
    """The position in an input of `size` that each position of the padded dimension is read from."""
    if mode not in _SOURCES:
        raise NotImplementedError(
            f"pad: unknown mode {mode!r}; it is one of 'constant', {', '.join(map(repr, _SOURCES))}"
        )
    _padded_size(size, width)
    return _SOURCES[mode](size, *width)


def _padded_size(size: int, width: tuple[int, int]) -> int:
    before, after = width
    if size + before + after < 0 or size + min(before, 0) < 0 or size + min(after, 0) < 0:
        raise RuntimeError(f"pad: padding {width} crops more than the {size} elements of the dimension")
    return size + before + after


def _reflect(size: int, before: int, after: int) -> np.ndarray:
    if max(before, after) >= size:
        raise RuntimeError(
            "Padding size should be less than the corresponding input dimension, but got: padding "
            f"{(before, after)} at a dimension of size {size}"
        )
    last = size - 1
    return last - np.abs(last - np.abs(np.arange(-before, size + after)))


def _replicate(size: int, before: int, after: int) -> np.ndarray:
    if size == 0:
        raise RuntimeError(f"pad: padding {(before, after)} has no element to replicate in a dimension of size 0")
    return np.clip(np.arange(-before, size + after), 0, size - 1)


def _circular(size: int, before: int, after: int) -> np.ndarray:
    first, kept = max(0, -before), size - max(0, -before) - max(0, -after)
    if max(before, after) > kept:
        raise RuntimeError(
            f"Padding value causes wrapping around more than once: padding {(before, after)} of {kept} elements"
        )
    around = np.arange(-max(0, before), kept + max(0, after))
    return first + (around % kept if kept else around)


_SOURCES: dict[str, Callable[[int, int, int], np.ndarray]] = {
    "reflect": _reflect,
    "replicate": _replicate,
    "circular": _circular,
}
