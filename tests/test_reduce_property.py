"""Reductions of any shape, dtype, layout and dims, held to PyTorch's: values, dtype, shape, errors.

Hypothesis looks for the combination that breaks one: 0-d, empty, dimensions of size 0 and 1, negative dims, tuples,
None, views with gaps and of repeated elements, ties, NaN, infinities.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gpugrad

FEW = settings(max_examples=50, deadline=None)
DTYPES = ("float32", "float64", "float16", "int64", "int32", "uint8", "bool")
TOLERANCE = {"float64": 1e-11, "float32": 2e-5, "float16": 4e-3}


class Given(NamedTuple):
    """An input, described so that both libraries can make it."""

    values: np.ndarray
    layout: str
    dim: Any  # an int, a tuple or None
    keepdim: bool

    def tensor(self, t: Any) -> Any:
        return LAYOUTS[self.layout](t.from_numpy(self.values.copy()))


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x,
    "transposed": lambda x: x.permute(*range(x.ndim - 1, -1, -1)) if x.ndim else x,
    "every other": lambda x: x[..., ::2] if x.ndim else x,
    "second half": lambda x: x[x.shape[0] // 2 :] if x.ndim else x,
    "expanded": lambda x: x[..., None].expand(*x.shape, 3),
}
FLOATS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.5, 0.125])
WILD = st.sampled_from([float("nan"), float("inf"), float("-inf"), 1.0, -3.0, 0.0])


@st.composite
def inputs(draw: Any, dims: str = "many") -> Given:
    """`dims`: whether an op takes "one" dim, or "many" as a tuple too."""
    shape = draw(st.lists(st.sampled_from([0, 1, 1, 2, 3, 5]), max_size=4))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    size = int(np.prod(shape))
    if dtype.kind == "f":
        element = WILD if draw(st.integers(0, 4)) == 0 else FLOATS
    else:
        element = st.integers(0, 3) if dtype.kind in "ub" else st.integers(-3, 3)
    chosen = draw(st.lists(element, min_size=min(size, 7), max_size=min(size, 7)))
    values = np.resize(np.array(chosen), shape).astype(dtype) if size else np.zeros(shape, dtype)
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    ndim = len(shape) + (layout == "expanded")
    one = st.integers(-ndim - 1, ndim)  # the ends are out of range
    several = st.lists(st.integers(-ndim, max(ndim - 1, 0)), max_size=3).map(tuple)
    if not size:  # two reasons to refuse, and which is said first is nobody's business
        several = several.filter(lambda dims: len({d % max(ndim, 1) for d in dims}) == len(dims))
    choices = [one, st.integers(-max(ndim, 1), max(ndim - 1, 0)), *([several, st.none()] if dims == "many" else [])]
    return Given(values, layout, draw(st.one_of(choices)), draw(st.booleans()))


def outcome(call: Callable[[], Any]) -> tuple[Any, type[Exception] | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degrees of freedom, in both
        try:
            return call(), None
        except Exception as error:
            return None, type(error)


def as_array(x: Any) -> np.ndarray:
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def assert_like(ours: Any, theirs: Any, scale: float = 1.0) -> None:
    """Equal dtype and shape; integers equal, floats to within a few roundings."""
    a, b = as_array(ours), as_array(theirs)
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    if a.dtype.kind == "f":
        tolerance = TOLERANCE[a.dtype.name] * scale
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
    else:
        np.testing.assert_array_equal(a, b)


def compare(torch: Any, given_: Given, call: Callable[[Any, Any], Any], check: Callable[..., None]) -> None:
    """Run `call(library, tensor)` in both: the same class of error, or results that `check` accepts."""
    x, y = given_.tensor(gpugrad), given_.tensor(torch)
    before = x.tolist()
    ours, error = outcome(lambda: call(gpugrad, x))
    theirs, expected = outcome(lambda: call(torch, y))
    assert error is expected
    assert repr(x.tolist()) == repr(before)
    if expected is None:
        check(ours, theirs)


# ---- one result, any dims ----

MANY: dict[str, Callable[..., Any]] = {
    "sum": lambda t, x, dim, keepdim: x.sum(dim, keepdim),
    "sum to float64": lambda t, x, dim, keepdim: t.sum(x, dim, keepdim, dtype=t.float64),
    "mean": lambda t, x, dim, keepdim: x.mean(dim, keepdim),
    "amax": lambda t, x, dim, keepdim: x.amax(() if dim is None else dim, keepdim),
    "amin": lambda t, x, dim, keepdim: x.amin(() if dim is None else dim, keepdim),
    "any": lambda t, x, dim, keepdim: t.any(x, dim, keepdim),
    "all": lambda t, x, dim, keepdim: t.all(x, dim, keepdim),
    "nansum": lambda t, x, dim, keepdim: t.nansum(x, dim, keepdim),
    "nanmean": lambda t, x, dim, keepdim: t.nanmean(x, dim, keepdim),
    "logsumexp": lambda t, x, dim, keepdim: t.logsumexp(x, -1 if dim in ((), None) else dim, keepdim),
    "var": lambda t, x, dim, keepdim: t.var(x, dim, correction=1, keepdim=keepdim),
    "std, correction 0": lambda t, x, dim, keepdim: t.std(x, dim, correction=0, keepdim=keepdim),
    "vector_norm": lambda t, x, dim, keepdim: t.linalg.vector_norm(x, 2, dim, keepdim),
    "vector_norm, 1": lambda t, x, dim, keepdim: t.linalg.vector_norm(x, 1, dim, keepdim),
    "vector_norm, inf": lambda t, x, dim, keepdim: t.linalg.vector_norm(x, float("inf"), dim, keepdim),
    "count_nonzero": lambda t, x, dim, keepdim: t.count_nonzero(x, dim),
}


@pytest.mark.parametrize("name", MANY)
def test_reductions_over_any_dims(name: str, torch: Any) -> None:
    reduce = MANY[name]

    @FEW
    @given(inputs())
    @example(Given(np.zeros((2, 0, 3), np.float32), "plain", (0, 2), True))
    @example(Given(np.array(2.5, np.float32), "plain", -1, True))
    def run(x: Given) -> None:
        compare(torch, x, lambda t, a: reduce(t, a, x.dim, x.keepdim), assert_like)

    run()


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "logsumexp", "var", "vector_norm", "nansum"])
def test_gradients_of_reductions_over_any_dims(name: str, torch: Any) -> None:
    reduce = MANY[name]

    def gradient(t: Any, x: Any, given_: Given) -> Any:
        x = x.double().requires_grad_()
        out = reduce(t, x, given_.dim, given_.keepdim)
        weight = t.arange(out.numel(), dtype=t.float64).reshape(out.shape) + 1
        (out * weight).sum().backward()
        return x.grad

    @FEW
    @given(inputs())
    def run(x: Given) -> None:
        x = x._replace(dim=None) if x.dim == () else x  # all dims too, but PyTorch's rule of var forgets that
        if not np.isfinite(x.values.astype(np.float64)).all():
            x = x._replace(values=np.asarray(np.nan_to_num(x.values, nan=1.0, posinf=2.0, neginf=-2.0)))
        compare(torch, x, lambda t, a: gradient(t, a, x), assert_like)

    run()


# ---- one dim, values and indices ----

ONE: dict[str, Callable[..., Any]] = {
    "prod": lambda t, x, dim, keepdim: t.prod(x, dim, keepdim),
    "argmax": lambda t, x, dim, keepdim: t.argmax(x, dim, keepdim),
    "argmin": lambda t, x, dim, keepdim: t.argmin(x, dim, keepdim),
    "cumsum": lambda t, x, dim, keepdim: t.cumsum(x, dim),
    "cumprod": lambda t, x, dim, keepdim: t.cumprod(x, dim),
    "logcumsumexp": lambda t, x, dim, keepdim: t.logcumsumexp(x, dim),
    "diff": lambda t, x, dim, keepdim: t.diff(x, dim=dim),
    "quantile": lambda t, x, dim, keepdim: t.quantile(x, 0.3, dim, keepdim),
    "nanquantile": lambda t, x, dim, keepdim: t.nanquantile(x, 0.8, dim, keepdim),
    "softmax": lambda t, x, dim, keepdim: t.softmax(x, dim),
    "log_softmax": lambda t, x, dim, keepdim: t.log_softmax(x, dim),
}


@pytest.mark.parametrize("name", ONE)
def test_ops_along_one_dim(name: str, torch: Any) -> None:
    call = ONE[name]

    @FEW
    @given(inputs(dims="one"))
    @example(Given(np.array([np.nan, 1.0, np.nan], np.float32), "plain", 0, False))
    def run(x: Given) -> None:
        if "softmax" in name and not x.values.size:  # PyTorch takes integers if there are none
            x = x._replace(values=x.values.astype(np.float32))
        compare(torch, x, lambda t, a: call(t, a, x.dim, x.keepdim), assert_like)

    run()


WITH_INDICES: dict[str, Callable[..., Any]] = {
    "max": lambda t, x, dim, keepdim: t.max(x, dim, keepdim),
    "min": lambda t, x, dim, keepdim: t.min(x, dim, keepdim),
    "median": lambda t, x, dim, keepdim: t.median(x, dim, keepdim),
    "nanmedian": lambda t, x, dim, keepdim: t.nanmedian(x, dim, keepdim),
    "mode": lambda t, x, dim, keepdim: t.mode(x, dim, keepdim),
    "kthvalue": lambda t, x, dim, keepdim: t.kthvalue(x, 1, dim, keepdim),
    "cummax": lambda t, x, dim, keepdim: t.cummax(x, dim),
    "cummin": lambda t, x, dim, keepdim: t.cummin(x, dim),
    "sort": lambda t, x, dim, keepdim: t.sort(x, dim=dim, descending=keepdim, stable=True),
    "topk": lambda t, x, dim, keepdim: t.topk(x, 1, dim, largest=keepdim),
}


@pytest.mark.parametrize("name", WITH_INDICES)
def test_values_are_pytorchs_and_indices_name_them(name: str, torch: Any) -> None:
    """Among equal elements PyTorch may name any, so indices are checked by what they point to."""
    call = WITH_INDICES[name]
    of_lines = name in ("median", "nanmedian", "kthvalue")

    @FEW
    @given(inputs(dims="one"))
    def run(x: Given) -> None:
        def check(ours: Any, theirs: Any) -> None:
            assert_like(ours.values, theirs.values)
            assert ours.indices.dtype is gpugrad.int64
            indices, values = ours.indices.numpy(), ours.values.numpy()
            source = x.tensor(gpugrad).numpy()
            if source.ndim:
                if indices.ndim < source.ndim:
                    indices, values = np.expand_dims(indices, x.dim), np.expand_dims(values, x.dim)
                np.testing.assert_array_equal(np.take_along_axis(source, indices, x.dim), values)
            if name == "sort":  # stable
                np.testing.assert_array_equal(ours.indices.numpy(), theirs.indices.numpy())

        ndim = len(x.values.shape) + (x.layout == "expanded")
        if name in ("cummax", "cummin") and not x.values.size and x.dim not in range(-ndim, ndim):
            return  # PyTorch does not look at the dim of an empty tensor
        if of_lines and x.values.dtype == bool:  # refused, but not in every case by PyTorch
            x = x._replace(values=x.values.astype(np.uint8))
        if name == "mode":  # how often a NaN is there is nobody's business
            x = x._replace(values=np.asarray(np.nan_to_num(x.values)))

        def along(t: Any, a: Any) -> Any:
            # PyTorch reads beside an expanded tensor: give it a copy.
            return call(t, a.contiguous() if of_lines and t is torch else a, x.dim, x.keepdim)

        compare(torch, x, along, check)

    run()


# ---- several results, all elements ----

PAIRS: dict[str, Callable[..., Any]] = {
    "var_mean": lambda t, x, dim, keepdim: t.var_mean(x, dim, correction=1, keepdim=keepdim),
    "std_mean": lambda t, x, dim, keepdim: t.std_mean(x, dim, correction=0, keepdim=keepdim),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_results_at_once(name: str, torch: Any) -> None:
    call = PAIRS[name]

    def check(ours: Any, theirs: Any) -> None:
        assert len(ours) == len(theirs) == 2
        for a, b in zip(ours, theirs):
            assert_like(a, b)

    @FEW
    @given(inputs())
    def run(x: Given) -> None:
        if np.isinf(x.values.astype(np.float64)).any():  # of which PyTorch's running mean is NaN, and not the infinity
            x = x._replace(values=np.asarray(np.nan_to_num(x.values, posinf=2.0, neginf=-2.0)))
        compare(torch, x, lambda t, a: call(t, a, x.dim, x.keepdim), check)

    run()


@FEW
@given(x=inputs(dims="one"))
def test_the_extremes_of_a_dim_at_once(torch: Any, x: Given) -> None:
    def check(ours: Any, theirs: Any) -> None:
        assert_like(ours.min, theirs.min)
        assert_like(ours.max, theirs.max)

    compare(torch, x, lambda t, a: t.aminmax(a, dim=x.dim, keepdim=x.keepdim), check)


WHOLE: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda t, x: x.sum(),
    "prod": lambda t, x: x.prod(),
    "mean": lambda t, x: x.mean(),
    "max": lambda t, x: x.max(),
    "min": lambda t, x: x.min(),
    "argmax": lambda t, x: x.argmax(),
    "argmin": lambda t, x: x.argmin(),
    "median": lambda t, x: x.median(),
    "std": lambda t, x: x.std(),
    "var": lambda t, x: x.var(unbiased=False),
    "norm": lambda t, x: x.norm(),
    "norm, 3": lambda t, x: x.norm(3),
    "any": lambda t, x: x.any(),
    "all": lambda t, x: x.all(),
    "count_nonzero": lambda t, x: x.count_nonzero(),
    "unique": lambda t, x: x.unique(),
    "quantiles": lambda t, x: x.quantile(t.tensor([0.25, 0.5], dtype=x.dtype)),
    "histc": lambda t, x: x.histc(4, -3, 3),
    "bincount": lambda t, x: t.bincount(x.reshape(-1)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_reductions_of_all_elements(name: str, torch: Any) -> None:
    @FEW
    @given(inputs())
    def run(x: Given) -> None:
        if (name == "median" and not x.values.size) or name == "histc":  # of no integers; of integers
            x = x._replace(values=x.values.astype(np.float32))
        compare(torch, x, WHOLE[name], assert_like)

    run()
