"""How elements lie in memory, by the names programs pass on: `strided`, `contiguous_format`, `preserve_format`.

Tensors here are strided, and new ones lie in order or as what they are made like. `channels_last` is not there.
"""

from __future__ import annotations


class _Named:
    """One of a few objects that are only compared and printed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"gpugrad.{self._name}"

    def __reduce__(self) -> str:
        return self._name  # copies and pickles are the object itself


class layout(_Named):
    """`strided`, the layout of every tensor."""


class memory_format(_Named):
    """What to do with the order of dimensions: `contiguous_format` puts all in order, `preserve_format` keeps it."""


strided = layout("strided")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
