"""Reductions on the CUDA device: each kernel against the body of its op, over every layout that takes a way of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.ops import linalg_norm, reduce, reduce_extrema, statistics

pytestmark = pytest.mark.cuda

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(t) for t in (np.float32, np.float64, np.float16)] + [BFLOAT16]
OTHERS = [np.dtype(t) for t in (np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_)]
SIZES = [1, 31, 32, 33, 1023, 4097]
INF, NAN = float("inf"), float("nan")

Reduction = Callable[..., Any]


def var(x: Any, *, dim: Any, keepdim: bool) -> Any:
    return statistics._var(x, dim=dim, correction=1, keepdim=keepdim)


def std(x: Any, *, dim: Any, keepdim: bool) -> Any:
    return statistics._std(x, dim=dim, correction=0.5, keepdim=keepdim)


def count_nonzero(x: Any, *, dim: Any, keepdim: bool) -> Any:
    return reduce._count_nonzero(x, dim=dim)


def norm(order: float) -> Reduction:
    def call(x: Any, *, dim: Any, keepdim: bool) -> Any:
        return linalg_norm._vector_norm(x, ord=order, dim=dim, keepdim=keepdim)

    call.__name__ = f"norm_{order}"
    return call


def along(op: Any) -> Reduction:
    """An op that takes one dimension or None."""

    def call(x: Any, *, dim: Any, keepdim: bool) -> Any:
        return op(x, dim=None if dim is None else dim[0], keepdim=keepdim)

    call.__name__ = op.op.name
    return call


prod, argmax, argmin = (along(op) for op in (reduce.prod_over, reduce_extrema._argmax, reduce_extrema._argmin))
NORMS = [norm(order) for order in (0.0, 1.0, 2.0, 3.5, INF, -INF)]
ROUNDED: list[Reduction] = [reduce.sum_over, reduce.mean_over, prod, reduce._logsumexp, var, std, *NORMS]
EXACT: list[Reduction] = [
    *(reduce_extrema.amax_over, reduce_extrema.amin_over, argmax, argmin),
    *(reduce._all, reduce._any, count_nonzero),
]
ONE_DIM = (prod, argmax, argmin)


@pytest.fixture(autouse=True)
def kernels_only(device: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of ops whose bodies ran on the device; none of those under test is among them after a test."""
    from gpugrad.cuda import array, backend

    backend.require()
    run_body, ran = array._run_body, []

    def watched(op: Any, *rest: Any) -> Any:
        ran.append(op.name)
        return run_body(op, *rest)

    monkeypatch.setattr(array, "_run_body", watched)
    yield ran
    assert not UNDER_TEST.intersection(ran), "a body ran on the device"


UNDER_TEST = {
    *("sum", "mean", "prod", "logsumexp", "amax", "amin", "argmax", "argmin", "all", "any", "count_nonzero"),
    *("var", "std", "linalg_vector_norm", "sum_to", "tie_weights"),
}


def draw(shape: Any, dtype: Any, seed: int = 0, around: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype.kind in "iub":
        return rng.integers(0 if dtype.kind in "ub" else -5, 6 if dtype.kind != "b" else 2, shape).astype(dtype)
    values = around + rng.normal(size=shape) * (0.05 if around else 1)
    return values.astype(dtype)


def upload(x: np.ndarray) -> Any:
    from gpugrad.cuda.array import from_numpy

    return from_numpy(x)


def check(
    function: Reduction, x: np.ndarray, dim: Any, view: Callable[[Any], Any] = lambda x: x, keepdim: bool = False
) -> None:
    """`function` of the view of `x` on the device is what its body gives on the CPU, in float64 where it is rounded."""
    there = function(view(upload(x)), dim=dim, keepdim=keepdim)
    here = view(x)
    found = there.get()
    if x.dtype.kind in "iub" or function in EXACT:
        with np.errstate(all="ignore"):
            expected = np.asarray(function(here, dim=dim, keepdim=keepdim))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        return
    assert found.dtype == x.dtype
    with np.errstate(all="ignore"):
        expected = np.asarray(function(here.astype(np.float64), dim=dim, keepdim=keepdim))
    unit = float(ml_dtypes.finfo(x.dtype).eps)
    inexact = float(ml_dtypes.finfo(np.float32 if x.dtype.itemsize < 8 else np.float64).eps)
    count = here.size / max(expected.size, 1)
    np.testing.assert_allclose(
        found.astype(np.float64), expected, rtol=unit + 16 * inexact, atol=4 * inexact * count**0.5 + 1e-7 * unit
    )


def dims(function: Reduction, *sets: Any) -> list[Any]:
    return [d for d in sets if d is None or len(d) == 1 or function not in ONE_DIM]


def around(function: Reduction) -> float:
    return 1.0 if function is prod else 0.0


# ---- every reduction, over rows, columns and everything ----


@pytest.mark.parametrize("function", [*ROUNDED, *EXACT], ids=lambda f: getattr(f, "__name__", None))
def test_rows_columns_and_all(function: Reduction) -> None:
    dtype, at = FLOATS[0], around(function)
    for n in SIZES if function in (reduce.sum_over, argmax) else (1, 33, 1023, 4097):
        check(function, draw((n,), dtype, around=at), None)
        check(function, draw((3, n), dtype, around=at), (1,))
        check(function, draw((n, 3), dtype, around=at), (0,))
        check(function, draw((2, min(n, 1023), 5), dtype, around=at), (1,))
        check(function, draw((n + 1,), dtype, around=at), None, lambda x: x[1:])
    check(function, draw((70, 37), dtype, around=at), (0,), keepdim=function is not count_nonzero)


@pytest.mark.parametrize("function", [*ROUNDED, *EXACT], ids=lambda f: getattr(f, "__name__", None))
def test_many_elements_to_few_results_are_reduced_in_parts(function: Reduction) -> None:
    dtype, at = FLOATS[0], around(function)
    check(function, draw((40011,), dtype, around=at / 2 + (at > 0) * 0.5), None)
    check(function, draw((3, 17000), dtype, around=at), (1,))
    check(function, draw((5000, 6), dtype, around=at), (0,))


def small(function: Reduction, dtype: Any) -> bool:
    """Whether the op takes the dtype."""
    return dtype.kind not in "iub" or function in (reduce.sum_over, prod, *EXACT)


@pytest.mark.parametrize("dtype", [*FLOATS[1:], *OTHERS], ids=str)
@pytest.mark.parametrize("function", [reduce.sum_over, prod, reduce_extrema.amax_over], ids=lambda f: f.__name__)
def test_every_dtype(function: Reduction, dtype: Any) -> None:
    for n in (1, 33, 1023):
        x = draw((n + 1, 3), dtype, around=around(function))
        check(function, x, (0,))
        check(function, x, (0,), lambda x: x[1:])
        check(function, x, (1,))
        check(function, x.reshape(-1), None, lambda x: x[1:])


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        *((f, np.dtype(np.float16)) for f in (reduce.mean_over, reduce._logsumexp, var, norm(2.0), argmin)),
        *((f, np.dtype(np.float64)) for f in (reduce.mean_over, reduce._logsumexp, std, norm(3.5), argmax)),
        *((f, BFLOAT16) for f in (reduce.mean_over, std, norm(INF), norm(0.0), reduce_extrema.amin_over)),
        *((f, np.dtype(np.int64)) for f in (argmax, argmin, count_nonzero, reduce_extrema.amin_over)),
        *((f, np.dtype(np.uint8)) for f in (reduce._all, reduce._any, argmin, reduce_extrema.amin_over)),
        *((f, np.dtype(np.bool_)) for f in (reduce._all, reduce._any, count_nonzero, reduce_extrema.amin_over)),
        *((f, np.dtype(np.int8)) for f in (argmax, reduce_extrema.amin_over)),
    ],
    ids=lambda x: getattr(x, "__name__", str(x)),
)
def test_other_dtypes(function: Reduction, dtype: Any) -> None:
    for x, dim in ((draw((37, 41), dtype), (0,)), (draw((37, 41), dtype), (1,)), (draw((9001,), dtype), None)):
        check(function, x, dim)


def test_extremes_of_integers() -> None:
    for dtype in (np.int64, np.int32, np.int16, np.int8, np.uint8):
        info = np.iinfo(dtype)
        for value in (info.min, info.max):
            x = np.full(40, value, dtype)
            assert reduce_extrema.amax_over(upload(x), dim=None, keepdim=False).get() == value
            assert reduce_extrema.amin_over(upload(x), dim=None, keepdim=False).get() == value
    big = np.array([2**62 + 1, 2**62, 2**62 + 1])  # float64 does not tell them apart
    assert reduce_extrema._argmax(upload(big[1:]), dim=None, keepdim=False).get() == 1
    assert reduce.sum_over(upload(np.full(5, 2**62)), dim=None, keepdim=False).get() == 5 * 2**62 - 2**64


# ---- layouts ----

LAYOUTS: list[tuple[Any, Callable[[Any], Any], list[Any]]] = [
    ((33, 70), lambda x: x.T, [(0,), (1,), None]),
    ((33, 70), lambda x: x[:, ::2], [(0,), (1,), None]),
    ((33, 70), lambda x: x[::-1, ::-1], [(0,), (1,), None]),
    ((33, 70), lambda x: x[3:, 5:60], [(0,), (1,), None]),
    ((5, 6, 7, 8), lambda x: x, [(0, 2), (1, 3), (0, 3), (0, 2, 3), (1, 2), (0, 1, 2, 3), (0, 1, 3)]),
    ((5, 6, 7, 8), lambda x: x.transpose(0, 2, 3, 1), [(0, 1, 2), (0, 2), (3,), (1, 3), None]),
    ((4, 3, 60), lambda x: x.transpose(1, 0, 2), [(1, 2), (0, 2), (0, 1), (0,), (1,), (2,)]),
    ((4, 3, 60), lambda x: np.broadcast_to(x[:, :1, :], (4, 3, 60)), [(1,), (0, 1), (1, 2), None]),
    ((2, 3, 2, 3, 2, 3), lambda x: x[:, :2, :, :2, :, :2], [(0, 2, 4), (1, 3, 5), (0, 5), None]),
]


@pytest.mark.parametrize("function", [reduce.sum_over, argmax, var], ids=lambda f: f.__name__)
def test_layouts(function: Reduction) -> None:
    for shape, view, sets in LAYOUTS:
        x = draw(shape, FLOATS[0])
        for dim in dims(function, *sets):
            if "broadcast" in view.__code__.co_names or "broadcast_to" in view.__code__.co_names:
                there, here = view(upload(x)), view(x)
                np.testing.assert_allclose(
                    function(there, dim=dim, keepdim=False).get(),
                    function(here.copy(), dim=dim, keepdim=False),
                    rtol=1e-5,
                    atol=1e-5,
                )
            else:
                check(function, x, dim, view)


def test_a_place_in_everything_counts_in_the_order_of_the_shape() -> None:
    x = np.zeros((7, 11), np.float32)
    x[2, 3] = x[1, 9] = 1
    assert argmax(upload(x).T, dim=None, keepdim=False).get() == np.argmax(x.T)
    assert argmax(upload(x)[::-1], dim=None, keepdim=False).get() == np.argmax(x[::-1])


def test_more_dimensions_than_the_kernels_take() -> None:
    x = draw((2,) * 18, FLOATS[0])
    every_other = tuple(range(0, 18, 2))
    found = upload(x).sum(every_other)
    np.testing.assert_allclose(found.get(), x.sum(every_other), rtol=1e-5, atol=1e-5)


def test_nothing_to_reduce_and_no_results() -> None:
    for function in [*ROUNDED, reduce._all, reduce._any, count_nonzero]:
        if function in NORMS[-2:]:
            continue  # refused before
        for shape, dim in (((0,), None), ((4, 0), (1,)), ((0, 4), (0,)), ((3, 0, 2), (1,))):
            if dim is None or function not in ONE_DIM or len(dim) == 1:
                with np.errstate(all="ignore"):
                    expected = np.asarray(function(np.empty(shape, np.float32), dim=dim, keepdim=False))
                found = function(upload(np.empty(shape, np.float32)), dim=dim, keepdim=False)
                np.testing.assert_array_equal(found.get(), expected)
        found = function(upload(np.empty((0, 4), np.float32)), dim=(1,), keepdim=function is not count_nonzero)
        assert found.size == 0
    with pytest.raises(RuntimeError, match="numel"):
        gpugrad.empty(0, device="cuda").amax()
    assert reduce_extrema._argmax(upload(np.empty((0, 4), np.float32)), dim=1, keepdim=True).shape == (0, 1)


def test_no_dimension_at_all() -> None:
    for function in (reduce.sum_over, reduce.mean_over, reduce_extrema.amax_over, argmax, norm(2.0)):
        check(function, np.array(-2.5, np.float32), None)
    x = draw((3, 4), FLOATS[0])
    np.testing.assert_array_equal(reduce._any(upload(x), dim=(), keepdim=False).get(), x != 0)
    np.testing.assert_array_equal(reduce.sum_over(upload(x), dim=(), keepdim=False).get(), x)


# ---- special values ----

SPECIAL = [[1.0, NAN, 3.0], [INF, 1.0, INF], [-INF, -INF, -INF], [INF, -INF, 0.0], [NAN, NAN, INF], [-0.0, 0.0, -0.0]]


@pytest.mark.parametrize("function", [*ROUNDED, *EXACT], ids=lambda f: getattr(f, "__name__", None))
@pytest.mark.parametrize("length", [3, 70])
def test_nan_and_infinities(function: Reduction, length: int) -> None:
    x = np.array([(row * length)[:length] for row in SPECIAL], np.float32)
    with np.errstate(all="ignore"):
        expected = np.asarray(function(x, dim=(1,), keepdim=False))
    for found in (
        function(upload(x), dim=(1,), keepdim=False),
        function(upload(np.ascontiguousarray(x.T)), dim=(0,), keepdim=False),
    ):
        np.testing.assert_allclose(found.get(), expected, rtol=1e-6)


def test_the_first_of_equal_elements_is_found() -> None:
    x = np.zeros((3, 9000), np.float32)
    x[0, [5, 8999]] = x[1, [4000, 4001]] = 1
    x[2, [7000, 70]] = NAN
    for largest, expected in ((argmax, [5, 4000, 70]), (argmin, [0, 0, 70])):
        assert largest(upload(x), dim=(1,), keepdim=False).get().tolist() == expected
        assert largest(upload(np.ascontiguousarray(x.T)), dim=(0,), keepdim=False).get().tolist() == expected


def test_variance_of_numbers_far_from_zero() -> None:
    x = (draw((3, 5000), FLOATS[0]) + 1e4).astype(np.float32)
    found = var(upload(x), dim=(1,), keepdim=False).get()
    np.testing.assert_allclose(found, x.astype(np.float64).var(1, ddof=1), rtol=1e-4)


def test_logsumexp_of_large_numbers() -> None:
    x = np.array([[1000.0, 1000.0], [-1000.0, -999.0], [80.0, -80.0]], np.float32)
    found = reduce._logsumexp(upload(x), dim=(1,), keepdim=False).get()
    np.testing.assert_allclose(found, np.logaddexp.reduce(x.astype(np.float64), axis=1), rtol=1e-6)


# ---- through tensors ----


def gradients(function: Callable[[Any], Any], x: np.ndarray, where: str) -> tuple[Any, Any]:
    leaf = gpugrad.tensor(x).to(where).requires_grad_()
    out = function(leaf)
    out.backward(gpugrad.tensor(draw(tuple(out.shape), FLOATS[1], 9)).to(where, out.dtype))
    assert out.device.type == where
    return on_host(out), on_host(leaf.grad)


@pytest.mark.parametrize(
    "function",
    [
        *(lambda x: x.sum(), lambda x: x.sum(0), lambda x: x.mean((0, 1), keepdim=True), lambda x: x.prod(1)),
        *(lambda x: x.amax(), lambda x: x.amin(1), lambda x: x.max(1).values, lambda x: x.min(0, keepdim=True).values),
        *(lambda x: x.var(1), lambda x: x.std(), lambda x: x.logsumexp(1), lambda x: x.norm(), lambda x: x.norm(3, 0)),
        *(lambda x: x.norm(INF, 1), lambda x: x.norm(1, 1), lambda x: x + x[0], lambda x: gpugrad.nansum(x, 1)),
    ],
)
def test_gradients(function: Callable[[Any], Any]) -> None:
    x = draw((6, 37), FLOATS[0])
    x[2, 3] = x[2, 7] = x.max() + 1  # ties
    for expected, found in zip(gradients(function, x, "cpu"), gradients(function, x, "cuda")):
        assert found.shape == expected.shape and found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_sum_to_the_shape_of_a_broadcast_input() -> None:
    for dtype in (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.int32), np.dtype(np.uint8)):
        x = draw((4, 5, 33), dtype)
        for shape in ((33,), (5, 1), (4, 1, 33), (1, 1, 1), (), (4, 5, 33), (1, 4, 5, 33)[1:]):
            found = reduce.sum_to(upload(x), shape=shape).get()
            assert found.shape == shape and found.dtype == dtype
            expected = reduce.sum_to(x, shape=shape)
            np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64), rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("seed", range(10))
def test_in_ten_orders_of_threads(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    x = draw((9, 1000), FLOATS[0])
    for function in (reduce.sum_over, argmax):
        for dim in ((0,), (1,), None):
            check(function, x, dim)
    check(reduce.sum_over, draw((40011,), FLOATS[0]), None)


def test_the_same_input_gives_the_same_bits() -> None:
    x = upload(draw((100_003,), FLOATS[0]))
    first = reduce.sum_over(x, dim=None, keepdim=False).get()
    assert all(reduce.sum_over(x, dim=None, keepdim=False).get().tobytes() == first.tobytes() for _ in range(3))
