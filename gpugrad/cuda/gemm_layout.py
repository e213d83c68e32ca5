"""How a product of stacks of row-major matrices is put to a library of column-major ones.

A row-major matrix is its transpose in column-major order, so that `out = a @ b` is asked for as `out^T = b^T @ a^T`: the
library's first operand is `b`, its second `a`, and nothing is copied. Pure functions of shapes and strides.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

Sizes = tuple[int, ...]


class Matrix(NamedTuple):
    """A matrix as the library sees it: whether it is to transpose what it reads, and the leading dimension."""

    transposed: bool
    leading: int


class Batch(NamedTuple):
    """How many products one call computes, and how far apart, in elements, its matrices lie."""

    size: int
    a: int
    b: int
    out: int


class Problem(NamedTuple):
    """`out` (rows, columns) = `a` (rows, terms) @ `b` (terms, columns), `batch` at a time, once from each of `starts`."""

    rows: int
    terms: int
    columns: int
    a: Matrix
    b: Matrix
    batch: Batch
    starts: tuple[Sizes, ...]  # elements before the first of a, b and out


def matrix(shape: Sizes, strides: Sizes) -> Matrix | None:
    """How a matrix of these strides, in elements, is read; None if it must be copied first."""
    (rows, columns), (down, across) = shape, strides
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        return Matrix(False, down if rows > 1 else columns)
    if (down == 1 or rows == 1) and (across >= rows or columns == 1):
        return Matrix(True, across if columns > 1 else rows)
    return None


@functools.lru_cache(maxsize=4096)
def problem(a_shape: Sizes, a_strides: Sizes, b_shape: Sizes, b_strides: Sizes, lead: Sizes) -> Problem | None:
    """The product of two stacks, strides in elements, into a contiguous one whose leading dimensions are `lead`.

    None if one of the matrices cannot be read where it lies.
    """
    a, b = matrix(a_shape[-2:], a_strides[-2:]), matrix(b_shape[-2:], b_strides[-2:])
    if a is None or b is None:
        return None
    (rows, terms), columns = a_shape[-2:], b_shape[-1]
    dims = _stack(lead, (a_shape, a_strides), (b_shape, b_strides), rows * columns)
    if dims and not a.transposed and dims[-1].b == 0 and dims[-1].a == rows * a.leading:
        rows *= dims.pop().size  # rows of one tall matrix
    widest = max(range(len(dims)), key=lambda d: dims[d].size, default=-1)
    batch = dims[widest] if dims else Batch(1, 0, 0, 0)
    rest = [d for k, d in enumerate(dims) if k != widest]
    starts = tuple(
        tuple(sum(i * d[part] for i, d in zip(at, rest)) for part in (1, 2, 3))
        for at in itertools.product(*(range(d.size) for d in rest))
    )
    return Problem(rows, terms, columns, a, b, batch, starts)


def _stack(lead: Sizes, a: tuple[Sizes, Sizes], b: tuple[Sizes, Sizes], each: int) -> list[Batch]:
    """The leading dimensions, with those merged that all three arrays walk as one."""
    steps = [_strides_of(lead, *x) for x in (a, b)]
    dims: list[Batch] = []
    out = each
    for d in reversed(range(len(lead))):
        if lead[d] != 1:
            dims.insert(0, Batch(lead[d], steps[0][d], steps[1][d], out))
            out *= lead[d]
    merged: list[Batch] = []
    for dim in dims:
        last = merged[-1] if merged else None
        if last is not None and all(outer == inner * dim.size for outer, inner in zip(last[1:], dim[1:])):
            merged[-1] = Batch(last.size * dim.size, *dim[1:])
        else:
            merged.append(dim)
    return merged


def _strides_of(lead: Sizes, shape: Sizes, strides: Sizes) -> Sequence[int]:
    """The strides of an array's leading dimensions, 0 where it is broadcast."""
    own = [0 if n == 1 else s for n, s in zip(shape[:-2], strides)]
    return [0] * (len(lead) - len(own)) + own
