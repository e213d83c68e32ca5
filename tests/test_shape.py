"""Shapes and views: what they are, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpugrad
from gpugrad.ops.shape import can_view

X = gpugrad.zeros(2, 3)
SCALAR = gpugrad.tensor(1.0)


def test_a_size_is_a_tuple_that_counts_elements() -> None:
    size = gpugrad.zeros(2, 3, 4).shape
    assert size == (2, 3, 4)
    assert size.numel() == 24
    assert gpugrad.tensor(1).shape.numel() == 1
    assert repr(size) == "gpugrad.Size([2, 3, 4])"
    for part in (size[:2], size + (5,), (5,) + size, size * 2, pickle.loads(pickle.dumps(size))):
        assert type(part) is type(size)
    assert size[-1] == 4
    assert hash(size) == hash((2, 3, 4))


def test_what_a_tensor_says_of_its_shape_and_memory() -> None:
    x = gpugrad.zeros(2, 3, 4)
    part = x.transpose(0, 2)[1:, 1]
    assert x.size() == x.shape == (2, 3, 4)
    assert (x.size(0), x.size(-1), x.dim(), x.ndim, x.ndimension()) == (2, 4, 3, 3, 3)
    assert (x.numel(), x.nelement(), len(x)) == (24, 24, 2)
    assert (x.stride(), x.stride(-2), part.stride()) == ((12, 4, 1), 4, (1, 12))
    assert (x.storage_offset(), part.storage_offset()) == (0, 5)
    assert x.is_contiguous()
    assert not part.is_contiguous()
    assert part.contiguous().is_contiguous()
    assert x.contiguous() is x


@st.composite
def layouts(draw: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    """An array in some memory layout, and another shape with as many elements."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    array = np.zeros([n + draw(st.integers(0, 1)) for n in shape])[tuple(slice(0, n) for n in shape)]
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    if draw(st.booleans()):
        array = np.broadcast_to(array, (2, *array.shape))
    left, sizes = array.size, []
    while left > 1:
        sizes.append(draw(st.sampled_from([n for n in range(2, left + 1) if left % n == 0])))
        left //= sizes[-1]
        if draw(st.booleans()):
            sizes.append(1)
    return array, tuple(sizes)


@given(layouts())
def test_a_view_is_possible_exactly_where_pytorch_finds_it(torch: Any, layout: tuple[np.ndarray, Any]) -> None:
    array, shape = layout
    strides = [s // array.itemsize for s in array.strides]
    peer = torch.zeros(1000).as_strided(array.shape, strides)
    try:
        peer.view(shape)
        possible = True
    except RuntimeError:
        possible = False
    assert can_view(array, shape) == possible


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: X.reshape(4, 2), RuntimeError, r"shape '\[4, 2\]' is invalid for input of size 6"),
        (lambda: X.view(-1, 4), RuntimeError, r"shape '\[-1, 4\]' is invalid for input of size 6"),
        (lambda: X.view(-1, -1), RuntimeError, "only one dimension can be inferred"),
        (lambda: X.view(-2, 3), RuntimeError, "invalid shape dimension -2"),
        (lambda: X[:0].reshape(-1, 0), RuntimeError, "unspecified dimension size -1 can be any value"),
        (lambda: X.flatten(1, 0), RuntimeError, "start_dim cannot come after end_dim"),
        (lambda: X.unflatten(1, (2, 2)), RuntimeError, r"\[2, 2\] don't multiply up to the size of dim 1 \(3\)"),
        (lambda: X.unflatten(1, ()), RuntimeError, "sizes must be non-empty"),
        (lambda: X.squeeze(2), IndexError, r"Dimension out of range \(expected to be in range of \[-2, 1\]"),
        (lambda: X.unsqueeze(4), IndexError, r"expected to be in range of \[-3, 2\], but got 4"),
        (lambda: X.transpose(0, 2), IndexError, "Dimension out of range"),
        (lambda: X.permute(0), RuntimeError, r"input.dim\(\) = 2 is not equal to len\(dims\) = 1"),
        (lambda: X.permute(0, 0), RuntimeError, "duplicate dims"),
        (lambda: X[None].t(), RuntimeError, "expects a tensor with <= 2 dimensions, but self is 3D"),
        (lambda: X[0].mT, RuntimeError, "only supported on matrices"),
        (lambda: X[0].H, RuntimeError, "only supported on matrices"),
        (lambda: X[0].adjoint(), RuntimeError, "only supported on matrices"),
        (lambda: X.movedim((0, 1), 0), RuntimeError, "same number of dims"),
        (lambda: X.movedim((0, 0), (0, 1)), RuntimeError, "repeated dim in `source`"),
        (lambda: X.expand(3), RuntimeError, "greater or equal to the number of dimensions"),
        (lambda: X.expand(4, 3), RuntimeError, r"expanded size of the tensor \(4\) must match the existing size \(2\)"),
        (lambda: X.expand(-1, 2, 3), RuntimeError, "isn't allowed in a leading"),
        (lambda: gpugrad.broadcast_shapes((2,), (3,)), RuntimeError, "cannot be broadcast to a single shape"),
        (lambda: X.narrow(0, 1, 2), RuntimeError, r"start \(1\) \+ length \(2\) exceeds dimension size \(2\)"),
        (lambda: X.narrow(0, 3, 0), IndexError, r"start out of range"),
        (lambda: X.narrow(0, 0, -1), RuntimeError, "length must be non-negative"),
        (lambda: SCALAR.narrow(0, 0, 1), RuntimeError, "0-dim tensor"),
        (lambda: X.select(0, 2), IndexError, r"index 2 out of range for tensor of size \[2, 3\] at dimension 0"),
        (lambda: SCALAR.select(0, 0), IndexError, "0-dim tensor"),
        (lambda: X.diagonal(0, 1, -1), RuntimeError, "diagonal dimensions cannot be identical 1, -1"),
        (lambda: X.unfold(0, 3, 1), RuntimeError, "maximum size for tensor at dimension 0 is 2 but size is 3"),
        (lambda: X.unfold(0, 1, 0), RuntimeError, "step is 0 but must be > 0"),
        (lambda: X.as_strided((3, 3), (3, 1)), RuntimeError, "out of bounds for storage of size 24"),
        (lambda: X.as_strided((2,), (1, 1)), RuntimeError, "mismatch in length of strides and shape"),
        (lambda: X.as_strided((2,), (-1,)), RuntimeError, "Negative strides are not supported"),
        (lambda: gpugrad.cat([]), ValueError, "expected a non-empty list of Tensors"),
        (lambda: gpugrad.cat(X), TypeError, "must be tuple of Tensors, not Tensor"),
        (lambda: gpugrad.cat([X, 1]), TypeError, "expected Tensor as element 1 in argument 0"),
        (lambda: gpugrad.cat([SCALAR, SCALAR]), RuntimeError, "zero-dimensional tensor .* cannot be concatenated"),
        (lambda: gpugrad.cat([X, X[0]]), RuntimeError, "must have same number of dimensions: got 2 and 1"),
        (
            lambda: gpugrad.cat([X, X.t()]),
            RuntimeError,
            "Expected size 3 but got size 2 for tensor number 1 in the list",
        ),
        (
            lambda: gpugrad.stack([X, X[0]]),
            RuntimeError,
            r"equal size, but got \[2, 3\] at entry 0 and \[3\] at entry 1",
        ),
        (lambda: gpugrad.stack([]), RuntimeError, "non-empty TensorList"),
        (lambda: X.split(0), RuntimeError, "split_size can only be 0 if dimension size is 0"),
        (lambda: X.split(-1), RuntimeError, "split_size be non-negative"),
        (lambda: X.split([1, 2]), RuntimeError, r"sum exactly to 2 \(input tensor's size at dimension 0\)"),
        (lambda: X.chunk(0), RuntimeError, "greater than 0, got: 0"),
        (lambda: SCALAR.chunk(2), RuntimeError, "at least a 1-dimensional tensor"),
        (lambda: X.tensor_split(0), RuntimeError, "number of sections must be larger than 0, got 0"),
        (lambda: SCALAR.unbind(), RuntimeError, "tensor has no dimensions"),
        (lambda: X.hsplit(2), RuntimeError, "size of the dimension 3 is not divisible by the split_size 2"),
        (lambda: X[0].vsplit(1), RuntimeError, "at least 2 dimension"),
        (lambda: X.repeat(2), RuntimeError, "can not be smaller than number of dimensions of tensor"),
        (lambda: X.repeat(1, -1), RuntimeError, "negative dimension -1"),
        (lambda: X.repeat_interleave(gpugrad.tensor([1, 2, 3]), 0), RuntimeError, "same size as input along dim"),
        (lambda: X.repeat_interleave(gpugrad.tensor([1, -1]), 0), RuntimeError, "repeats can not be negative"),
        (lambda: X.repeat_interleave(1.5), RuntimeError, "Long or Int"),
        (lambda: X.flip(0, 0), RuntimeError, "dim 0 appears multiple times"),
        (lambda: X.roll((1, 2), 0), RuntimeError, "shifts and dimensions must align"),
        (lambda: X.rot90(1, (0, 0)), RuntimeError, "rotation dims to be different"),
        (lambda: X[0].tril(), RuntimeError, "at least 2 dimensions"),
        (lambda: X[None].diag(), RuntimeError, "Supports 1D or 2D tensors. Got 3D"),
        (lambda: gpugrad.meshgrid(X), RuntimeError, r"Expected 0D or 1D tensor .* \[2, 3\]"),
        (lambda: gpugrad.meshgrid(X[0], indexing="yx"), RuntimeError, 'one of "xy" or "ij"'),
        (lambda: gpugrad.combinations(X), RuntimeError, "Expect a 1D vector"),
        (lambda: gpugrad.block_diag(X[None]), RuntimeError, "2 or fewer dimensions"),
        (lambda: X.size(2), IndexError, "Dimension out of range"),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_reversing_more_than_two_dimensions_by_T_warns() -> None:
    with pytest.warns(UserWarning, match="deprecated"):
        assert gpugrad.zeros(2, 3, 4).T.shape == (4, 3, 2)


def test_joining_into_a_given_tensor() -> None:
    out = gpugrad.zeros(4, 3)
    assert gpugrad.cat([X + 1, X + 2], out=out) is out
    assert out.sum().item() == 18
    with pytest.raises(RuntimeError, match=r"stack: output with shape \[4, 3\]"):
        gpugrad.stack([X, X], out=out)


def test_a_clone_keeps_the_layout_and_a_contiguous_copy_does_not() -> None:
    x = gpugrad.zeros(2, 3).t()
    assert x.clone().stride() == (1, 3)
    assert x.clone(memory_format="contiguous").stride() == (2, 1)
    assert x.contiguous().stride() == (2, 1)
