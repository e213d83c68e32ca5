"""What the op table does not say of reductions: errors, warnings, named results, `out=`, precision, third derivatives."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import gpugrad

NAN = float("nan")
EMPTY = gpugrad.zeros(2, 0)


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin", "median", "mode", "kthvalue", "argmax", "argmin"])
def test_nothing_to_choose_from_along_a_dim(name: str) -> None:
    arguments = (1, 1) if name == "kthvalue" else (1,)
    with pytest.raises(IndexError, match=rf"{name}\(\): Expected reduction dim 1 to have non-zero size"):
        getattr(gpugrad, name)(EMPTY, *arguments)


@pytest.mark.parametrize(
    ("name", "error"), [("max", RuntimeError), ("amin", RuntimeError), ("argmax", IndexError), ("argmin", IndexError)]
)
def test_nothing_to_choose_from_at_all(name: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"Specify the reduction dim with the 'dim' argument"):
        getattr(gpugrad, name)(EMPTY)


@pytest.mark.parametrize(
    "name", ["sum", "mean", "prod", "amax", "max", "argmax", "var", "median", "sort", "cumsum", "all"]
)
def test_a_dim_out_of_range(name: str) -> None:
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 2"):
        getattr(gpugrad.ones(2, 3), name)(2)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda x: gpugrad.sum(x, (0, -2)), RuntimeError, "dim 0 appears multiple times"),
        (lambda x: gpugrad.mean(x.long()), RuntimeError, "could not infer output dtype"),
        (lambda x: gpugrad.nanmean(x.long()), RuntimeError, "expected input to have floating point"),
        (lambda x: gpugrad.var(x.long()), RuntimeError, "only support floating point"),
        (lambda x: gpugrad.std(x, 0, True, correction=1), TypeError, "both unbiased=True and correction=1"),
        (lambda x: gpugrad.argmax(x > 0), RuntimeError, "does not support bool input"),
        (lambda x: gpugrad.topk(x, 4), RuntimeError, "selected index k out of range: k is 4"),
        (lambda x: gpugrad.kthvalue(x, 0), RuntimeError, "selected number k out of range for dimension 1"),
        (lambda x: gpugrad.quantile(x, 1.5), RuntimeError, r"q values must be in the range \[0, 1\]"),
        (lambda x: gpugrad.quantile(x, 0.5, interpolation="cubic"), RuntimeError, "got cubic"),
        (lambda x: gpugrad.quantile(x.half(), 0.5), RuntimeError, "must be either float or double"),
        (lambda x: gpugrad.quantile(x, gpugrad.ones(1, 1)), RuntimeError, "scalar or 1D"),
        (lambda x: gpugrad.quantile(x, gpugrad.ones(1).double()), RuntimeError, "same dtype"),
        (lambda x: gpugrad.quantile(x[:0], 0.5), RuntimeError, "must be non-empty"),
        (lambda x: gpugrad.median(x[:0].long()), RuntimeError, "no median of no integers"),
        (lambda x: gpugrad.bincount(x), NotImplementedError, "float32"),
        (lambda x: gpugrad.bincount(gpugrad.tensor([-1])), RuntimeError, "non-negative integral"),
        (lambda x: gpugrad.bincount(gpugrad.tensor([1]), minlength=-1), RuntimeError, "minlength should be >= 0"),
        (lambda x: gpugrad.bincount(gpugrad.tensor([1]), x[0]), RuntimeError, "same length"),
        (lambda x: gpugrad.histc(x, 0), RuntimeError, "bins must be > 0"),
        (lambda x: gpugrad.histc(x, 2, 3, 1), RuntimeError, "max must be larger than min"),
        (lambda x: gpugrad.histc(x * NAN, 2), RuntimeError, "not finite"),
        (lambda x: gpugrad.histc(x.long()), NotImplementedError, "int64"),
        (lambda x: gpugrad.histogram(x.long(), 2), NotImplementedError, "int64"),
        (lambda x: gpugrad.cov(gpugrad.ones(1, 1, 1)), RuntimeError, "two or fewer dimensions"),
        (lambda x: gpugrad.cov(x, aweights=x[:, 0]), RuntimeError, "one weight for each of the 3 observations"),
        (lambda x: gpugrad.cov(x, fweights=x[0]), RuntimeError, "integral dtype"),
        (lambda x: gpugrad.cov(x, aweights=-x[0]), RuntimeError, "cannot be negative"),
        (lambda x: gpugrad.searchsorted(x, gpugrad.ones(3, 3)), RuntimeError, "boundaries tensor"),
        (lambda x: gpugrad.searchsorted(x[0], 1, side="up"), RuntimeError, "side can only be"),
        (lambda x: gpugrad.searchsorted(x[0], 1, side="left", right=True), RuntimeError, "opposites"),
        (lambda x: gpugrad.bucketize(1, x), RuntimeError, "must be 1 dimension"),
        (lambda x: gpugrad.logcumsumexp(x.long(), 0), NotImplementedError, "int64"),
        (lambda x: gpugrad.diff(gpugrad.tensor(1.0)), RuntimeError, "at least one-dimensional"),
        (lambda x: gpugrad.diff(x, -1), RuntimeError, "non-negative"),
        (lambda x: gpugrad.trapezoid(x, x[0], dx=1), TypeError, "both x and dx"),
        (lambda x: gpugrad.trapezoid(x, x[0, :2]), RuntimeError, "one `x` value for each sample point"),
    ],
)
def test_errors_say_what_was_given(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call(gpugrad.ones(2, 3))


@pytest.mark.parametrize(("name", "expected"), [("var", NAN), ("std", NAN)])
def test_too_few_degrees_of_freedom_warn(name: str, expected: float) -> None:
    with pytest.warns(UserWarning, match=rf"{name}\(\): degrees of freedom is <= 0") as caught:
        result = getattr(gpugrad, name)(gpugrad.ones(1))
    np.testing.assert_equal(result.item(), expected)
    assert len(caught) == 1


def test_a_correction_above_the_count_gives_infinity() -> None:
    with pytest.warns(UserWarning, match="degrees of freedom"):
        assert gpugrad.var(gpugrad.tensor([1.0, 2.0]), correction=3).item() == float("inf")


def test_the_gradient_of_a_spread_of_zero_is_zero() -> None:
    x = gpugrad.full((3,), 2.0, requires_grad=True)
    x.std().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_named_results_print_like_pytorchs() -> None:
    found = gpugrad.tensor([1.0, 3.0]).max(0)
    assert repr(found) == "gpugrad.return_types.max(\nvalues=tensor(3.),\nindices=tensor(1))"
    assert isinstance(found, gpugrad.return_types.max)
    assert found._fields == ("values", "indices")
    least, most = gpugrad.aminmax(gpugrad.tensor([1.0, 3.0]))
    assert (least.item(), most.item()) == (1, 3)


def test_out_receives_results_and_is_returned() -> None:
    x = gpugrad.tensor([[3.0, 1.0], [2.0, 5.0]])
    total, values, indices = gpugrad.zeros(2), gpugrad.zeros(2), gpugrad.zeros(2).long()
    assert gpugrad.sum(x, 1, out=total) is total
    assert total.tolist() == [4, 7]
    found = gpugrad.max(x, 1, out=(values, indices))
    assert found.values is values
    assert (values.tolist(), indices.tolist()) == ([3, 5], [0, 1])
    gpugrad.sort(x, descending=True, out=(x, gpugrad.zeros(2, 2).long()))
    assert x.tolist() == [[3, 1], [5, 2]]


def test_running_sums_in_place() -> None:
    x = gpugrad.tensor([1.0, 2.0, 3.0])
    assert x.cumsum_(0) is x
    assert x.cumprod_(0).tolist() == [1, 3, 18]


def test_half_precision_is_accumulated_in_float32() -> None:
    ones = gpugrad.ones(5000).half()
    assert ones.sum().item() == 5000
    assert (ones * 60).mean().item() == 60
    assert ones.bfloat16().cumsum(0)[-1].item() == 4992  # 5000 rounded to bfloat16
    assert gpugrad.full((8,), 300.0).half().var().item() == 0


def test_float32_running_sums_do_not_drift() -> None:
    x = gpugrad.full((300_000,), 0.1)
    assert abs(x.cumsum(0)[-1].item() - 30_000) < 0.01


def test_third_derivatives_of_a_product_with_zeros() -> None:
    x = gpugrad.tensor([0.0, 0.0, 0.0, 5.0], requires_grad=True)
    (first,) = gpugrad.autograd.grad(x.prod(), x, create_graph=True)
    (second,) = gpugrad.autograd.grad(first[0], x, create_graph=True)
    (third,) = gpugrad.autograd.grad(second[1], x)
    assert third.tolist() == [0, 0, 5, 0]


def test_sorting_and_picking_give_gradients_to_what_was_picked() -> None:
    x = gpugrad.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (x.sort().values * gpugrad.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100, 1, 10]
    x.grad = None
    gpugrad.cummax(x, 0).values.sum().backward()
    assert x.grad.tolist() == [3, 0, 0]


def test_topk_of_equal_elements_names_different_ones() -> None:
    values, indices = gpugrad.zeros(3, 9).topk(4)
    assert values.tolist() == [[0] * 4] * 3
    assert all(len(set(row)) == 4 for row in indices.tolist())


def test_reductions_take_numpys_names_and_still_say_their_own() -> None:
    x = gpugrad.ones(2, 3)
    assert x.mean(axis=(0, 1), keepdims=True).shape == (1, 1)
    assert "dim" in inspect.signature(gpugrad.sum).parameters
    with pytest.raises(TypeError, match="axes"):
        x.sum(axes=1)


def test_reductions_of_arrays_stay_arrays() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert type(gpugrad.ops.reduce.sum_over(array, dim=(0,), keepdim=False)) is np.ndarray
    np.testing.assert_array_equal(gpugrad.ops.sum(array, 0), [3, 5, 7])
    np.testing.assert_array_equal(gpugrad.ops.prod(array, 1), [0, 60])
