"""Sums of products by named dimensions: `einsum`, and what is quickest said with it.

An equation is worked off from the left. Each operand is first brought to the dimensions that matter (`align`: repeated
labels become diagonals, labels that nothing else has are summed), then pairs are multiplied (`contract`) by one matrix
product. Each of the two ops has a rule that is one of the two again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import LOW_PRECISION, as_dtype
from ..inplace import into
from ..op import op
from .dims import normalize_dim
from .matmul import _matmul
from .shape import _reshaped_copy, can_view

__all__ = ["bilinear", "einsum", "tensordot", "trace"]

Labels = tuple[Any, ...]  # one per dimension: a letter, or a negative int for a dimension that an ellipsis stands for


# ---------------------------------------------------------------------------------------------- dimensions of one


@op
def align(x: Any, *, labels: Labels, wanted: Labels) -> Any:
    """`x`, whose dimensions are called `labels`, with the dimensions `wanted`, in that order.

    A label that appears twice means the diagonal, one that is not wanted is summed over.
    """
    distinct = tuple(dict.fromkeys(labels))
    if len(distinct) < len(labels):
        x = x[_diagonal(labels, x.shape, x)]
    summed = tuple(i for i, label in enumerate(distinct) if label not in wanted)
    if summed:
        low = x.dtype in LOW_PRECISION
        x = np.add.reduce(x, axis=summed, dtype=np.float32 if low else None).astype(x.dtype, copy=False)
    kept = [label for label in distinct if label in wanted]
    return x.transpose([kept.index(label) for label in wanted]).copy("K")


@op
def spread_labels(g: Any, *, labels: Labels, wanted: Labels, shape: tuple[int, ...]) -> Any:
    """The adjoint of `align`: `g` repeated along the summed labels and put on the diagonals of zeros of `shape`."""
    sizes = dict(zip(labels, shape))
    kept = [label for label in sizes if label in wanted]
    g = g.transpose([wanted.index(label) for label in kept])
    g = g.reshape([size if label in wanted else 1 for label, size in sizes.items()])
    if len(sizes) == len(labels):
        return np.broadcast_to(g, shape).copy("K")
    out = np.zeros_like(g, shape=shape)
    out[_diagonal(labels, shape, g)] = g
    return out


def _diagonal(labels: Labels, shape: tuple[int, ...], like: Any) -> Any:
    """The index that takes, of an array of `shape`, the elements whose positions agree where labels repeat."""
    sizes = dict(zip(labels, shape))
    places = list(sizes)
    steps = {}
    for k, (label, size) in enumerate(sizes.items()):
        steps[label] = np.arange(size, like=like).reshape([-1 if i == k else 1 for i in range(len(places))])
    return tuple(steps[label] for label in labels)


align.defvjp(x=lambda g, x_shape, *, labels, wanted: spread_labels(g, labels=labels, wanted=wanted, shape=x_shape))
spread_labels.defvjp(g=lambda g, *, labels, wanted: align(g, labels=labels, wanted=wanted))


# ---------------------------------------------------------------------------------------------- the product of two


@op(name="einsum_pair")
def contract(x: Any, y: Any, *, x_labels: Labels, y_labels: Labels, wanted: Labels) -> Any:
    """The sum over all labels not `wanted` of the products of elements of `x` and `y`.

    The labels of one array are distinct, and each is wanted or belongs to the other too.
    """
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {as_dtype(x.dtype)} != {as_dtype(y.dtype)}; convert "
            "one with .to(dtype)"
        )
    swap, x_order, y_order, stacked, x_own, y_own, summed, out_order = _layout(x_labels, y_labels, wanted)
    if swap:
        x, y = y, x
    x, y = x.transpose(x_order), y.transpose(y_order)
    stack, rows = x.shape[:stacked], x.shape[stacked : stacked + x_own]
    inner, columns = math.prod(x.shape[stacked + x_own :]), y.shape[y.ndim - y_own :]
    left = _in_shape(x, (*stack, math.prod(rows), inner))
    right = _in_shape(y, (*stack, inner, math.prod(columns)))
    result = _matmul(left, right) if summed else left * right
    return result.reshape((*stack, *rows, *columns)).transpose(out_order)


def _in_shape(x: Any, shape: tuple[int, ...]) -> Any:
    """The array `x` in another shape; where that takes a copy, one that devices have a kernel for."""
    return x.reshape(shape) if can_view(x, shape) else _reshaped_copy(x, shape=shape)


@functools.lru_cache(maxsize=1024)
def _layout(x_labels: Labels, y_labels: Labels, wanted: Labels) -> tuple[Any, ...]:
    """How `contract` is a product of stacks of matrices.

    Whether to swap the two; the orders of dimensions (stacked, own, summed) of the first and (stacked, summed, own) of
    the second; how many are stacked, how many each has of its own; whether any is summed; the order of the result.
    """
    x_own = [label for label in wanted if label not in y_labels]
    y_own = [label for label in wanted if label not in x_labels]
    swap = bool(x_own and y_own) and wanted.index(x_own[0]) > wanted.index(y_own[0])  # spares turning the result round
    if swap:
        x_labels, x_own, y_labels, y_own = y_labels, y_own, x_labels, x_own
    both = [label for label in x_labels if label in y_labels and label in wanted]
    summed = [label for label in x_labels if label not in wanted]
    x_order = [x_labels.index(label) for label in (*both, *x_own, *summed)]
    y_order = [y_labels.index(label) for label in (*both, *summed, *y_own)]
    made = (*both, *x_own, *y_own)
    out_order = [made.index(label) for label in wanted]
    return swap, x_order, y_order, len(both), len(x_own), len(y_own), bool(summed), out_order


contract.defvjp(
    x=lambda g, y, *, x_labels, y_labels, wanted: contract(g, y, x_labels=wanted, y_labels=y_labels, wanted=x_labels),
    y=lambda g, x, *, x_labels, y_labels, wanted: contract(g, x, x_labels=wanted, y_labels=x_labels, wanted=y_labels),
)


# -------------------------------------------------------------------------------------------------------- einsum


def einsum(equation: Any, *operands: Any) -> Any:
    """Sums of products of the operands by labelled dimensions, as in `einsum("bij,bjk->bik", x, y)`.

    A label that the output lacks is summed over, one repeated within an operand takes its diagonal, "..." stands for
    dimensions that broadcast. Without "->" the output has the labels that appear once, in alphabetical order. Operands
    may be given as one list, and the labels as lists of ints: `einsum(x, [0, 1], y, [1, 2], [0, 2])`. Each is
    multiplied into the product of those to its left. RuntimeError if the equation and the operands do not agree.
    """
    if not isinstance(equation, str):
        equation, operands = _from_sublists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    made = None
    for x, (alignment, contraction) in zip(operands, _plan(equation, tuple(tuple(x.shape) for x in operands))):
        if alignment is not None:
            x = align(x, **alignment)
        made = x if contraction is None else contract(made, x, **contraction)
    return made


@functools.lru_cache(maxsize=1024)
def _plan(equation: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[Any, Any], ...]:
    """For each operand the parameters of `align` and of `contract` with the product so far, None where not needed.

    RuntimeError if the equation and the shapes do not agree.
    """
    terms, wanted = _parse(equation, tuple(map(len, shapes)))
    sizes = _sizes(terms, shapes)
    # Dimensions of size 1 that other operands have larger are left out: the product broadcasts along them.
    kept = [
        tuple(dict.fromkeys(label for label, size in zip(labels, shape) if size == sizes[label]))
        for labels, shape in zip(terms, shapes)
    ]
    if len(terms) == 1:
        return (({"labels": terms[0], "wanted": wanted}, None),)
    steps: list[tuple[Any, Any]] = []
    made: Labels = ()
    for k, labels in enumerate(kept):
        later = set(wanted).union(*kept[k + 1 :])
        useful = tuple(label for label in labels if label in later or label in made)
        alignment = None if useful == terms[k] else {"labels": terms[k], "wanted": useful}
        if k == 0:
            steps.append((alignment, None))
            made = useful
            continue
        result = tuple(label for label in dict.fromkeys((*made, *useful)) if label in later)
        result = wanted if k == len(kept) - 1 else result
        steps.append((alignment, {"x_labels": made, "y_labels": useful, "wanted": result}))
        made = result
    return tuple(steps)


def _sizes(terms: tuple[Labels, ...], shapes: tuple[tuple[int, ...], ...]) -> dict[Any, int]:
    """The size of each label; RuntimeError if operands disagree."""
    sizes: dict[Any, int] = {}
    for k, (labels, shape) in enumerate(zip(terms, shapes)):
        own: dict[Any, int] = {}
        for label, size in zip(labels, shape):
            if own.setdefault(label, size) != size:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {k} but the sizes don't match, {size} != "
                    f"{own[label]}"
                )
            known = sizes.get(label, 1)
            if known != size and known != 1 and size != 1:
                raise RuntimeError(
                    f"einsum(): operands do not broadcast with remapped shapes [original->remapped]: subscript {label} "
                    f"has size {size} for operand {k} of shape {list(shape)}, which does not broadcast with previously "
                    f"seen size {known}"
                )
            sizes[label] = size if known == 1 else known
    return sizes


def _parse(equation: str, ndims: tuple[int, ...]) -> tuple[tuple[Labels, ...], Labels]:
    """The labels of each operand, and those of the output."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(ndims):
        fewer = "fewer" if len(texts) > len(ndims) else "more"
        raise RuntimeError(
            f"einsum(): {fewer} operands were provided than specified in the equation {equation!r}: got {len(ndims)}, "
            f"expected {len(texts)}"
        )
    terms = tuple(_labels(text, ndim, k) for k, (text, ndim) in enumerate(zip(texts, ndims)))
    everything = [label for labels in terms for label in labels]
    dots = tuple(sorted({label for label in everything if isinstance(label, int)}))
    if not arrow:
        letters = [label for label in everything if isinstance(label, str)]
        return terms, (*dots, *sorted(label for label in letters if letters.count(label) == 1))
    wanted: list[Any] = []
    for label in _letters(right, "the output"):
        if label == "...":
            wanted += dots
        elif label in wanted:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        elif label not in everything:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
        else:
            wanted.append(label)
    return terms, tuple(wanted)


def _labels(text: str, ndim: int, which: int) -> Labels:
    """The labels of operand number `which`; those of its ellipsis count from the right, so that they broadcast."""
    letters = _letters(text, f"operand {which}")
    hidden = ndim - len([label for label in letters if label != "..."])
    if hidden < 0 or (hidden > 0 and "..." not in letters):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(letters)}) does not match the number of "
            f"dimensions ({ndim}) for operand {which}"
        )
    labels: list[Any] = []
    for label in letters:
        labels += range(-hidden, 0) if label == "..." else [label]
    return tuple(labels)


def _letters(text: str, where: str) -> list[str]:
    """The labels in `text`, with "..." as one of them."""
    before, dots, after = text.partition("...")
    for letter in before + after:
        if not (letter.isascii() and letter.isalpha()):
            raise RuntimeError(
                f"einsum(): invalid subscript given for {where}: {text!r}; subscripts are letters in [a-zA-Z] and one "
                "'...'"
            )
    return [*before, *([dots] if dots else []), *after]


def _from_sublists(args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The equation and operands meant by `x, [0, 1], y, [1, 2]` and perhaps a list for the output."""
    operands, lists = args[0::2], args[1::2]
    output = "->" + _as_letters(operands[-1]) if len(args) % 2 else ""
    operands = operands[:-1] if output else operands
    return ",".join(map(_as_letters, lists)) + output, operands


def _as_letters(sublist: Iterable[Any]) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    for label in sublist:
        if label is not Ellipsis and not 0 <= label < len(letters):
            raise ValueError(f"einsum(): a subscript must be an int in [0, {len(letters)}) or Ellipsis, got {label}")
        text += "..." if label is Ellipsis else letters[label]
    return text


# ------------------------------------------------------------------------------------------- what is said with it


def tensordot(a: Any, b: Any, dims: Any = 2, out: Tensor | None = None) -> Any:
    """Sums of products over dimensions of both: the last `dims` of `a` with the first of `b`, or two lists of dims.

    RuntimeError if the dimensions paired differ in number or size.
    """
    if isinstance(dims, int):
        if dims < 0 or dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims >= 0 and at most {min(a.ndim, b.ndim)}, but got dims={dims}")
        pairs: Any = (range(a.ndim - dims, a.ndim), range(dims))
    else:
        pairs = tuple([d] if isinstance(d, int) else list(d) for d in dims)
    a_dims = [normalize_dim(d, a.ndim) for d in pairs[0]]
    b_dims = [normalize_dim(d, b.ndim) for d in pairs[1]]
    if len(a_dims) != len(b_dims):
        raise RuntimeError(f"both dimension lists should have same length, got {a_dims} and {b_dims}")
    for i, j in zip(a_dims, b_dims):
        if a.shape[i] != b.shape[j]:
            raise RuntimeError(
                f"tensordot(): contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and second has size "
                f"{b.shape[j]} in dim {j}"
            )
    a_labels = tuple(range(a.ndim))
    b_labels = tuple(a_dims[b_dims.index(j)] if j in b_dims else a.ndim + j for j in range(b.ndim))
    wanted = tuple(d for d in (*a_labels, *b_labels) if d not in a_dims)
    result = contract(a, b, x_labels=a_labels, y_labels=b_labels, wanted=wanted)
    return result if out is None else into(out, result, "tensordot")


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """`x1 @ weight[k] @ x2 + bias[k]` for each k: (..., in1), (..., in2), (out, in1, in2), (out,) to (..., out)."""
    if tuple(input1.shape[:-1]) != tuple(input2.shape[:-1]):
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {list(input1.shape)} and {list(input2.shape)}"
        )
    for name, x, size in (("input1", input1, weight.shape[1]), ("input2", input2, weight.shape[2])):
        if x.shape[-1] != size:
            raise RuntimeError(
                f"bilinear(): {name} size does not match weight size: got {x.shape[-1]} but expected {size}"
            )
    result = einsum("...i,kij,...j->...k", input1, weight, input2)
    return result if bias is None else result + bias


def trace(input: Any) -> Any:
    """The sum of the diagonal of a matrix. RuntimeError unless `input` has two dimensions."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return _trace(input)


@op(name="trace")
def _trace(x: Any) -> Any:
    if x.dtype.kind in "biu":
        return np.trace(x, dtype=np.int64)[...]
    return np.trace(x, dtype=np.float32 if x.dtype in LOW_PRECISION else None)[...].astype(x.dtype, copy=False)


@op
def fill_diagonal(g: Any, *, shape: tuple[int, ...]) -> Any:
    """The adjoint of the trace: the scalar `g` on the diagonal of a matrix of zeros."""
    out = np.zeros_like(g, shape=shape)
    i = np.arange(min(shape), like=out)
    out[i, i] = g
    return out


_trace.defvjp(x=lambda g, x_shape: fill_diagonal(g, shape=x_shape))
fill_diagonal.defvjp(g=lambda g: _trace(g))
