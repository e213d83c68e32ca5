"""Keys as PyTorch reads them, writes at keys, and errors that name index, dimension and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpugrad
from gpugrad.ops.embedding import embedding, one_hot

SHAPE = (3, 4, 2)


def int_lists(size: int, length: int) -> Any:
    return st.lists(st.integers(-size, size - 1), min_size=length, max_size=length)


def one_item(size: int, length: int) -> Any:
    """What a key may hold for a dimension of `size`; index lists all have `length`."""
    bound = st.none() | st.integers(-size - 2, size + 2)
    return st.one_of(
        st.integers(-size, size - 1),
        st.builds(slice, bound, bound, st.none() | st.integers(1, 3)),
        int_lists(size, length).map(lambda values: ("ints", values)),
        int_lists(size, length).map(lambda values: ("column", values)),
        st.just(("mask", [i % 2 == 0 for i in range(size)])) if (size + 1) // 2 == length else st.just(slice(None)),
    )


@st.composite
def keys(draw: Any) -> list[Any]:
    """A key for SHAPE: some items per dimension, with None and Ellipsis put in."""
    length = draw(st.sampled_from([1, 2]))
    count = draw(st.integers(0, len(SHAPE)))
    from_end = draw(st.booleans())
    sizes = SHAPE[len(SHAPE) - count :] if from_end else SHAPE[:count]
    items = [draw(one_item(size, length)) for size in sizes]
    if from_end:
        items.insert(0, ...)
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    return items


def in_module(module: Any, items: list[Any]) -> tuple[Any, ...]:
    """The key with its lists as index tensors of `module`."""

    def made(item: Any) -> Any:
        if not isinstance(item, tuple):
            return item
        kind, values = item
        tensor = module.tensor(values)
        return tensor[:, None] if kind == "column" else tensor

    return tuple(made(item) for item in items)


def values() -> np.ndarray:
    return np.arange(24, dtype=np.float64).reshape(SHAPE) / 7 - 1


@given(keys())
def test_reading_a_key_gives_torchs_values_and_gradients(torch: Any, items: list[Any]) -> None:
    x, peer = gpugrad.tensor(values(), requires_grad=True), torch.tensor(values(), requires_grad=True)
    ours, theirs = x[in_module(gpugrad, items)], peer[in_module(torch, items)]
    np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy(), strict=True)
    (ours * ours).sum().backward()
    (theirs * theirs).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), peer.grad.numpy(), rtol=1e-12)


def without_repeats(items: list[Any]) -> list[Any]:
    """The key with index lists that name no place twice, so that the order of writes cannot show."""
    return [
        (item[0], list(range(len(item[1])))) if isinstance(item, tuple) and item[0] != "mask" else item
        for item in items
    ]


@given(keys(), st.booleans())
def test_writing_at_a_key_gives_torchs_values_and_gradients(torch: Any, items: list[Any], whole: bool) -> None:
    results = []
    for module in (gpugrad, torch):
        x = module.tensor(values(), requires_grad=True)
        y = x * 2
        key = in_module(module, without_repeats(items))
        shape = tuple(y[key].shape) if whole else ()
        v = module.tensor(np.linspace(1, 2, int(np.prod(shape))).reshape(shape), requires_grad=True)
        y[key] = v * 3
        (y * y).sum().backward()
        results.append([y.detach().numpy(), x.grad.numpy(), v.grad.numpy()])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@given(keys())
def test_writing_without_gradients_gives_torchs_values(torch: Any, items: list[Any]) -> None:
    x, peer = gpugrad.tensor(values()), torch.tensor(values())
    x[in_module(gpugrad, without_repeats(items))] = 5
    peer[in_module(torch, without_repeats(items))] = 5
    np.testing.assert_array_equal(x.numpy(), peer.numpy())
    assert x._version == 1


def test_basic_keys_give_views_and_advanced_ones_copies() -> None:
    x = gpugrad.zeros(3, 4)
    x[1:, ::2].fill_(1)
    x[0][1] = 2
    assert x.tolist() == [[0, 2, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]]
    x[[0, 1]].fill_(9)
    x[x > 0].fill_(9)
    assert x.max().item() == 2


def test_numpy_arrays_scalars_and_ranges_are_keys_too() -> None:
    x = gpugrad.arange(12).reshape(3, 4)
    assert x[np.int64(1), np.array([0, -1])].tolist() == [4, 7]
    assert x[np.array([True, False, True])].shape == (2, 4)
    assert x[range(2), 0].tolist() == [0, 4]
    assert x[gpugrad.tensor(1) :].shape == (2, 4)


def test_a_mask_of_bytes_is_a_mask() -> None:
    assert gpugrad.arange(3)[gpugrad.tensor([1, 0, 1], dtype=gpugrad.uint8)].tolist() == [0, 2]


def test_values_are_converted_to_the_dtype_of_the_tensor() -> None:
    x = gpugrad.zeros(3, dtype=gpugrad.int64)
    x[0] = 2.7
    x[1:] = gpugrad.tensor([1.5, -1.5])
    assert x.tolist() == [2, 1, -1]


def test_iteration_length_and_membership() -> None:
    x = gpugrad.arange(6).reshape(3, 2)
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    assert len(x) == 3
    assert 5 in x
    assert 6 not in x
    assert x[0, 1] in x
    for attempt in (lambda: len(x[0, 0]), lambda: iter(x[0, 0])):
        with pytest.raises(TypeError, match="0-d tensor"):
            attempt()
    with pytest.raises(RuntimeError, match="only supports Tensor or scalar"):
        "a" in x  # noqa: B015


X = gpugrad.zeros(2, 3)
I = gpugrad.tensor  # noqa: E741


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        (-3, IndexError, "index -3 is out of bounds for dimension 0 with size 2"),
        ((slice(None), 5), IndexError, "index 5 is out of bounds for dimension 1 with size 3"),
        ((None, 5), IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        (I([0, 5]), IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        (I([0, -3]), IndexError, "index -3 is out of bounds for dimension 0 with size 2"),
        ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
        ((I([0, 1]), I([0, 1, 2])), IndexError, r"could not be broadcast together with shapes \[2\], \[3\]"),
        (I([True]), IndexError, r"shape of the mask \[1\] at index 0 does not match .* \[2, 3\] at index 0"),
        (gpugrad.ones(2, 2) > 0, IndexError, r"shape of the mask \[2, 2\] at index 1 does not match"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        (slice(None, None, 0), ValueError, "slice step cannot be zero"),
        (1.0, IndexError, r"only integers, slices .* \(got float\)"),
        ("a", TypeError, "not the str 'a'"),
        (I([1.0]), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
    ],
)
def test_keys_that_are_refused(key: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        X[key]
    with pytest.raises(error, match=message):
        X[key] = 1.0
    assert X._version == 0


def test_a_0d_tensor_has_nothing_to_index() -> None:
    with pytest.raises(IndexError, match=r"invalid index of a 0-dim tensor. Use `tensor.item\(\)`"):
        gpugrad.tensor(1.0)[0]


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        (0, [1, 2, 3], TypeError, "can't assign a list"),
        (0, "a", TypeError, "can't assign a str"),
        (0, gpugrad.zeros(4), RuntimeError, r"expanded size of the tensor \(3\) must match the existing size \(4\)"),
        (I([0]), gpugrad.zeros(4), RuntimeError, r"value tensor of shape \[4\] cannot be broadcast .* \[1, 3\]"),
        (I([0]), gpugrad.zeros(3).double(), RuntimeError, "source and destination dtypes match"),
    ],
)
def test_values_that_are_refused(key: Any, value: Any, error: type[Exception], message: str) -> None:
    for x in (gpugrad.zeros(2, 3), gpugrad.zeros(2, 3, requires_grad=True) * 1):
        with pytest.raises(error, match=message):
            x[key] = value
        assert x.sum().item() == 0
        assert x._version == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: X.gather(0, I([[5, 0, 0]])), RuntimeError, "index 5 is out of bounds for dimension 0 with size 2"),
        (lambda: X.gather(0, I([[-1, 0, 0]])), RuntimeError, "index -1 is out of bounds for dimension 0 with size 2"),
        (lambda: X.gather(0, I([0])), RuntimeError, "same number of dimensions as input tensor"),
        (lambda: X.gather(0, I([[0.0]])), RuntimeError, r"gather\(\): Expected dtype int32/int64 for index"),
        (lambda: X.gather(0, I([[0, 0, 0, 0]])), RuntimeError, r"Size does not match at dimension 1 .* \[1, 4\]"),
        (lambda: X.gather(2, I([[0]])), IndexError, "Dimension out of range"),
        (lambda: X.scatter(0, I([[7, 0, 0]]), 1.0), RuntimeError, "index 7 is out of bounds for dimension 0"),
        (lambda: X.scatter(0, I([[0, 0, 0]]), X[:1, :2]), RuntimeError, r"no larger size than src \[1, 2\]"),
        (lambda: X.scatter(0, I([[0]]), X.double()), RuntimeError, "Expected self.dtype to be equal to src.dtype"),
        (lambda: X.scatter_reduce(0, I([[0]]), X, "max"), RuntimeError, "sum, prod, mean, amax or amin, got max"),
        (lambda: X.scatter(0, I([[0]]), X, reduce="sum"), RuntimeError, "either add or multiply"),
        (lambda: X.index_select(0, I([5])), IndexError, "index out of range in self"),
        (lambda: X.index_select(0, I([[0]])), IndexError, "supposed to be a vector"),
        (lambda: X.index_add(0, I([5]), X[:1]), RuntimeError, "index 5 is out of bounds for dimension 0 with size 2"),
        (lambda: X.index_add(0, I([0, 1]), X[:1]), RuntimeError, r"Number of indices \(2\) should be equal"),
        (lambda: X.index_add(0, I([0]), X[:1].double()), RuntimeError, "must have the same scalar type"),
        (lambda: X.index_add(0, I([0]), X[:1, :2]), RuntimeError, r"source.shape = \[1, 2\]"),
        (lambda: X.index_copy(0, I([-1]), X[:1]), IndexError, "index -1 is out of bounds"),
        (lambda: X.index_fill(0, I([5]), 1), IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        (lambda: X.index_fill(0, I([0]), X[0]), RuntimeError, "only supports a 0-dimensional value tensor"),
        (lambda: X.index_put((I([0]),) * 3, I(1.0)), IndexError, r"too many indices .* \(got 3\)"),
        (lambda: X.masked_fill(I([1, 0, 1]), 1), RuntimeError, "only supports boolean masks"),
        (lambda: X.masked_fill(I([True, False]), 1), RuntimeError, r"size of tensor a \(.*\) must match"),
        (lambda: X.long().masked_fill(X > 0, float("inf")), RuntimeError, "cannot be converted .* without overflow"),
        (lambda: X.masked_select(I([1, 0, 1])), RuntimeError, "expected BoolTensor for mask"),
        (lambda: X.masked_scatter(X == 0, X[0]), RuntimeError, "elements of source < number of ones in mask"),
        (lambda: X.take(I([7])), IndexError, "tried to access index 7 on a tensor of 6 elements"),
        (lambda: X.put(I([1, 1]), I([1.0])), IndexError, "same number of elements"),
        (lambda: embedding(X, I([2])), IndexError, "index out of range in self"),
        (lambda: embedding(X, I([0.0])), RuntimeError, "scalar types: Long, Int"),
        (lambda: one_hot(I([-1])), RuntimeError, "must be non-negative"),
        (lambda: one_hot(I([3]), 2), RuntimeError, "smaller than num_classes"),
        (lambda: one_hot(I([0.5])), RuntimeError, "LongTensor"),
    ],
)
def test_indices_that_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_source_larger_than_the_index_gets_zeros_where_it_is_not_read() -> None:
    x, src = gpugrad.zeros(3, 4), gpugrad.ones(3, 4, requires_grad=True)
    x.scatter_add(0, I([[0, 0], [1, 1]]), src).sum().backward()
    assert src.grad.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    "write",
    [
        lambda m, y, v: y.scatter_(0, m.tensor([[0, 1, 0]]), v[:1]),
        lambda m, y, v: y.scatter_add_(0, m.tensor([[0, 1, 0]]), v[:1]),
        lambda m, y, v: y.scatter_reduce_(0, m.tensor([[0, 1, 0]]), v[:1], "prod"),
        lambda m, y, v: y.index_add_(0, m.tensor([1, 1]), v),
        lambda m, y, v: y.index_copy_(0, m.tensor([1]), v[:1]),
        lambda m, y, v: y.index_fill_(0, m.tensor([1]), 2.0),
        lambda m, y, v: y.index_put_((m.tensor([0, 1]), m.tensor([2, 0])), v[:, 0], accumulate=True),
        lambda m, y, v: y.masked_fill_(y > 0.5, v[0, 0]),
        lambda m, y, v: y.masked_scatter_(y > 0.2, v),
        lambda m, y, v: y.put_(m.tensor([0, -1]), v[0, :2]),
        lambda m, y, v: y[1:].masked_fill_(m.tensor([True, False, True]), v[0, 0]),
        lambda m, y, v: y.t()[1:].index_add_(1, m.tensor([1]), v.t()[1:, :1]),
    ],
)
def test_in_place_forms_write_and_differentiate_as_torchs(torch: Any, write: Any) -> None:
    results = []
    for module in (gpugrad, torch):
        x = module.tensor([[0.1, 0.9, 0.4], [0.8, 0.3, 0.6]], requires_grad=True)
        v = module.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
        y = x * 1
        write(module, y, v * 2)
        (y**2).sum().backward()
        results.append([y.detach().numpy(), x.grad.numpy(), np.zeros((2, 3)) if v.grad is None else v.grad.numpy()])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_rows_added_many_times_in_half_precision_are_rounded_once() -> None:
    weight = gpugrad.zeros(2, 3, dtype=gpugrad.bfloat16, requires_grad=True)
    embedding(weight, gpugrad.zeros(1000, dtype=gpugrad.int64)).sum().backward()
    assert weight.grad.tolist() == [[1000] * 3, [0] * 3]


def test_rows_without_elements_are_read_and_added() -> None:
    x = gpugrad.ones(3, 0, requires_grad=True)
    y = x[gpugrad.tensor([0, 2, 2])]
    y.sum().backward()
    assert y.shape == (3, 0) and x.grad is not None and x.grad.shape == (3, 0)


MASK_KEYS = {
    "all dimensions": lambda t, x: x > 1,
    "the first": lambda t, x: t.tensor([True, False]).to(x.device),
    "the second": lambda t, x: (slice(None), t.tensor([True, False, True]).to(x.device)),
    "the last": lambda t, x: (..., t.tensor([True, False, False, True]).to(x.device)),
    "after an int": lambda t, x: (1, t.tensor([False, False, True]).to(x.device)),
    "before a slice": lambda t, x: (t.tensor([True, False]).to(x.device), slice(1, 2)),
    "no dimension": lambda t, x: True,
}


@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize("name", MASK_KEYS)
def test_one_number_written_by_a_mask(name: str, where: str, torch: Any, request: pytest.FixtureRequest) -> None:
    """Without looking for the places: on a device nobody waits, and it can be captured."""
    if where == "cuda":
        request.getfixturevalue("device")
    found = []
    for library, place in ((gpugrad, where), (torch, "cpu")):
        key = MASK_KEYS[name]
        whole, leaf = (library.arange(24).reshape(2, 3, 4).to(place) % 5 for _ in range(2))
        leaf, number = leaf.float().requires_grad_(), library.tensor(3.0).to(place).requires_grad_()
        whole[key(library, whole)] = 2.5  # converted
        out = leaf * 1
        out[key(library, leaf)] = number
        (out * out).sum().backward()
        found.append([t.tolist() for t in (whole, out, leaf.grad, number.grad)])
    assert found[0] == found[1]
