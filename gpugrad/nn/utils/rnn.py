"""Sequences of different lengths in one tensor: padded, or packed step by step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ... import ops
from ...core import Tensor
from ...dtypes import int64


class _PackedSequence(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_PackedSequence):
    """The steps of a batch of sequences, one after another; made by `pack_padded_sequence` and `pack_sequence`.

    `data` has the rows of step 0, then those of step 1, and so on; `batch_sizes`, int64, says how many each step has.
    `sorted_indices` and `unsorted_indices` lead from the order of the batch to that of falling lengths and back, or
    are None.
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        if batch_sizes is None:
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU; make a PackedSequence with pack_sequence or pack_padded_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, convert: Callable[[Tensor], Tensor]) -> PackedSequence:
        data = convert(self.data)
        if data is self.data:
            return self
        moved = [t if t is None else t.to(data.device) for t in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *moved)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """`data.to(...)`, and the indices to its device."""
        return self._with(lambda t: t.to(*args, **kwargs))

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        return self._with(lambda t: t.cuda(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        return self._with(lambda t: t.cpu())

    def double(self) -> PackedSequence:
        return self._with(lambda t: t.double())

    def float(self) -> PackedSequence:
        return self._with(lambda t: t.float())

    def half(self) -> PackedSequence:
        return self._with(lambda t: t.half())

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation`; None stays."""
    return None if permutation is None else ops.argsort(permutation)


def _batch_sizes(lengths: list[int]) -> list[int]:
    """How many of the falling `lengths` are above each step."""
    sizes, alive = [], len(lengths)
    for t in range(lengths[0]):
        while lengths[alive - 1] <= t:
            alive -= 1
        sizes.append(alive)
    return sizes


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | list[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """The first `lengths[i]` steps of each sequence of (T, N, *), or (N, T, *) if `batch_first`, without the padding.

    RuntimeError for lengths that are not positive, that do not fit the batch or, with `enforce_sorted`, that rise.
    """
    given = ops.as_tensor(lengths, dtype=int64, device="cpu")
    order = None
    if not enforce_sorted:
        given, order = ops.sort(given, descending=True)
        order = order.to(input.device)
    steps = input.transpose(0, 1) if batch_first else input
    if order is not None:
        steps = steps.index_select(1, order)
    count = given.tolist()
    if given.ndim != 1 or len(count) != steps.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(count)} (batch_size={steps.shape[1]})"
        )
    if min(count) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if any(a < b for a, b in itertools.pairwise(count)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement"
        )
    if count[0] > steps.shape[0]:
        raise RuntimeError(
            f"Expected sequence length to be at least {count[0]}, the largest length, got {steps.shape[0]}"
        )
    sizes = _batch_sizes(count)
    batch = steps.shape[1]
    rows = [t * batch + i for t, n in enumerate(sizes) for i in range(n)]
    flat = steps.reshape(steps.shape[0] * batch, *steps.shape[2:])
    data = flat.index_select(0, ops.tensor(rows, dtype=int64, device=input.device))
    return PackedSequence(data, ops.tensor(sizes, dtype=int64, device="cpu"), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The reverse of `pack_padded_sequence`: (T, N, *), or (N, T, *) if `batch_first`, and the lengths.

    ValueError if `total_length`, to which sequences are padded, is less than the longest.
    """
    data, sizes = sequence.data, sequence.batch_sizes.tolist()
    longest = len(sizes)
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    length, batch = total_length or longest, sizes[0]
    rows = [t * batch + i for t, n in enumerate(sizes) for i in range(n)]
    empty = data.new_full((length * batch, *data.shape[1:]), padding_value)
    filled = empty.index_copy(0, ops.tensor(rows, dtype=int64, device=data.device), data)
    padded = filled.reshape(length, batch, *data.shape[1:])
    padded = padded.transpose(0, 1) if batch_first else padded
    lengths = ops.tensor([sum(n > i for n in sizes) for i in range(batch)], dtype=int64, device="cpu")
    back = sequence.unsorted_indices
    if back is None:
        return padded, lengths
    return padded.index_select(0 if batch_first else 1, back), lengths[back.cpu()]


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L, *) as one tensor (T, N, *), or (N, T, *) if `batch_first`, filled up with `padding_value`.

    RuntimeError for what is no list of tensors, for trailing dimensions that differ, or for another side.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    given = list(sequences)
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if not given:
        raise RuntimeError("Expected a non-empty list of Tensors")
    first = given[0]
    for t in given:
        if t.ndim < 1 or t.shape[1:] != first.shape[1:]:
            raise RuntimeError(
                f"pad_sequence: expected sequences of shapes (L, *) that differ in L alone, got {list(first.shape)} "
                f"and {list(t.shape)}"
            )
    longest = max(t.shape[0] for t in given)
    columns = []
    for t in given:
        filler = t.new_full((longest - t.shape[0], *t.shape[1:]), padding_value)
        columns.append(ops.cat([filler, t] if padding_side == "left" else [t, filler]))
    return ops.stack(columns, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The reverse of `pad_sequence`: the first `lengths[i]` steps of each sequence."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(rows.unbind(0), lengths.tolist())]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (L, *) packed; see `pack_padded_sequence`."""
    lengths = [t.shape[0] for t in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The reverse of `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]
