"""Padding along the last dimensions."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ..op import op
from . import pad_numpy

__all__ = ["pad"]

Widths = tuple[tuple[int, int], ...]  # (before, after) of the last dimensions, the first of them first


@op(name="pad", names=("input",))
def _pad(x: Any, *, padding: Widths, border: str, value: float) -> Any:
    return pad_numpy.pad(x, padding=padding, mode=border, value=value)


@op
def _unpad(x: Any, *, shape: tuple[int, ...], padding: Widths, border: str) -> Any:
    """The adjoint of `_pad`, whose input had `shape`."""
    return pad_numpy.pad_grad(x, input_shape=shape, padding=padding, mode=border)


_pad.defvjp(x=lambda g, x_shape, *, padding, border: _unpad(g, shape=x_shape, padding=padding, border=border))
_unpad.defvjp(x=lambda g, *, padding, border: _pad(g, padding=padding, border=border, value=0.0))


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """`input` padded by `pad`: (before, after) of the last dimension, then of the one before it, and so on.

    Negative widths crop. `mode` is "constant" (with `value`, 0), "reflect", "replicate" or "circular". RuntimeError
    for an odd number of widths, more of them than dimensions, or more padding than the mode allows;
    NotImplementedError for another mode.
    """
    widths = tuple(operator.index(w) for w in pad)
    if len(widths) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, but got {len(widths)} widths")
    if len(widths) > 2 * input.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(widths)} and input of dimension {input.ndim}"
        )
    if mode != "constant":
        if value is not None and value != 0:
            raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
        if len(widths) // 2 not in (input.ndim - 1, input.ndim - 2):
            raise NotImplementedError(
                "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: the widths must cover "
                f"all dimensions but the first one or two; got {len(widths)} widths for {input.ndim} dimensions"
            )
    padding = tuple(zip(widths[-2::-2], widths[::-2]))
    return _pad(input, padding=padding, border=mode, value=0.0 if value is None else value)
