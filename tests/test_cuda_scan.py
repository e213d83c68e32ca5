"""Running sums, products and extremes on the CUDA device: each kernel against the body of its op."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.ops import cumulative, scan

pytestmark = pytest.mark.cuda

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(t) for t in (np.float32, np.float64, np.float16)] + [BFLOAT16]
INTEGERS = [np.dtype(t) for t in (np.int64, np.int32, np.int16, np.int8, np.uint8)]
INF, NAN = float("inf"), float("nan")

Scan = Callable[..., Any]


def cumsum(x: Any, dim: int) -> Any:
    return scan.cumsum_along(x, dim=dim, reverse=False)


def cumsum_reversed(x: Any, dim: int) -> Any:
    return scan.cumsum_along(x, dim=dim, reverse=True)


def cumprod(x: Any, dim: int) -> Any:
    return scan.cumprod_along(x, dim=dim, reverse=False)


def cumprod_reversed(x: Any, dim: int) -> Any:
    return scan.cumprod_along(x, dim=dim, reverse=True)


def cummax(x: Any, dim: int) -> Any:
    return cumulative._extreme_so_far(x, dim=dim, largest=True)


def cummin(x: Any, dim: int) -> Any:
    return cumulative._extreme_so_far(x, dim=dim, largest=False)


def logcumsumexp(x: Any, dim: int) -> Any:
    return cumulative._logcumsumexp(x, dim=dim)


def shift(x: Any, dim: int) -> Any:
    return scan.shift(x, by=-2, dim=dim, fill=1)


SCANS = [cumsum, cumsum_reversed, cumprod, cumprod_reversed, cummax, cummin, logcumsumexp, shift]
EXACT = [cummax, cummin, shift]
UNDER_TEST = {"cumsum", "cumprod", "cummax_indices", "logcumsumexp", "shift"}


@pytest.fixture(autouse=True)
def kernels_only(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After a test: no body of an op under test ran on the device."""
    from gpugrad.cuda import array, backend

    backend.require()
    run_body, ran = array._run_body, set()

    def watched(op: Any, *rest: Any) -> Any:
        ran.add(op.name)
        return run_body(op, *rest)

    monkeypatch.setattr(array, "_run_body", watched)
    yield
    assert not UNDER_TEST & ran, "a body ran on the device"


def draw(function: Scan, shape: Any, dtype: Any = FLOATS[0], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype.kind in "iub":
        return rng.integers(0 if dtype.kind in "ub" else -3, 4, shape).astype(dtype)
    if function in (cumprod, cumprod_reversed):
        return (1 + 0.02 * rng.normal(size=shape)).astype(dtype)
    return rng.normal(size=shape).round(1 if function in EXACT else 8).astype(dtype)  # ties


def upload(x: np.ndarray) -> Any:
    from gpugrad.cuda.array import from_numpy

    return from_numpy(x)


def check(function: Scan, x: np.ndarray, dim: int, view: Callable[[Any], Any] = lambda x: x) -> None:
    """The scan of the view of `x` on the device is what its body gives on the CPU, in float64 where it is rounded."""
    found = function(view(upload(x)), dim)
    assert found.shape == view(x).shape and found.flags.c_contiguous
    got = found.get()
    if x.dtype.kind in "iub" or function in EXACT:
        expected = function(view(x), dim)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
        return
    assert got.dtype == x.dtype
    expected = function(view(x).astype(np.float64), dim)
    unit = float(ml_dtypes.finfo(x.dtype).eps)
    accumulated = float(np.finfo(np.float32 if x.dtype in FLOATS[2:] or function is logcumsumexp else np.float64).eps)
    accumulated = accumulated if x.dtype != np.float64 else float(np.finfo(np.float64).eps)
    scale = float(np.abs(expected).max(initial=1))
    error = 8 * accumulated * x.shape[dim] ** 0.5 * scale + unit * 1e-3
    np.testing.assert_allclose(got.astype(np.float64), expected, rtol=2 * unit, atol=error)


@pytest.mark.parametrize("function", SCANS, ids=lambda f: f.__name__)
def test_lines_of_every_length(function: Scan) -> None:
    for n in (1, 31, 32, 33, 64, 65, 128, 1023, 1028, 4097):
        check(function, draw(function, (3, n)), 1)
        check(function, draw(function, (n + 1,)), 0, lambda x: x[1:])
    for shape, dim in (((70, 9), 0), ((1030, 3), 0), ((5, 70, 6), 1), ((40, 30), 0), ((2, 300, 1), 1), ((0, 4), 1)):
        check(function, draw(function, shape), dim)


@pytest.mark.parametrize("function", SCANS, ids=lambda f: f.__name__)
def test_long_lines_are_scanned_in_parts(function: Scan) -> None:
    for shape, dim in (((50_000,), 0), ((2, 20_003), 1), ((17_000, 2), 0)):
        check(function, draw(function, shape), dim)


def test_more_parts_than_one_pass_over_them_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import scan as launcher

    monkeypatch.setattr(launcher, "split", lambda length, blocks, least: (16, -(-length // 16)))
    launcher._plan.cache_clear()
    for function in (cumsum, cummax, cumsum_reversed):
        check(function, draw(function, (17_001,)), 0)
    launcher._plan.cache_clear()


@pytest.mark.parametrize("dtype", [*FLOATS[1:], *INTEGERS], ids=str)
@pytest.mark.parametrize("function", [cumsum, cumprod_reversed, cummax, shift], ids=lambda f: f.__name__)
def test_every_dtype(function: Scan, dtype: Any) -> None:
    check(function, draw(function, (3, 132), dtype), 1)
    check(function, draw(function, (33, 5), dtype), 0)


@pytest.mark.parametrize("dtype", FLOATS[1:], ids=str)
def test_logcumsumexp_of_every_dtype(dtype: Any) -> None:
    check(logcumsumexp, draw(logcumsumexp, (3, 132), dtype), 1)


def test_integers_wrap_around() -> None:
    for dtype, value in ((np.int64, 2**62), (np.int32, 2**30), (np.uint8, 200), (np.int8, 100)):
        x = np.full(200, value, dtype)
        for function in (cumsum, cumprod):
            np.testing.assert_array_equal(function(upload(x), 0).get(), function(x, 0))


@pytest.mark.parametrize("function", [cumsum, cumsum_reversed, cummin, shift], ids=lambda f: f.__name__)
def test_layouts(function: Scan) -> None:
    for shape, view in (
        ((70, 132), lambda x: x.T),
        ((70, 264), lambda x: x[:, ::2]),
        ((70, 132), lambda x: x[::-1, ::-1]),
        ((70, 140), lambda x: x[2:, 4:136]),
        ((6, 70, 8, 9), lambda x: x.transpose(0, 2, 3, 1)),
        ((6, 5, 140), lambda x: x[::2, ::2, ::2]),
    ):
        x = draw(function, shape)
        for dim in range(x.ndim):
            check(function, x, dim, view)


SPECIAL = [[1.0, NAN, 3.0], [INF, 1.0, INF], [-INF, -INF, -INF], [INF, -INF, 0.0], [NAN, 2.0, NAN], [0.0, -0.0, 0.0]]


@pytest.mark.parametrize("function", SCANS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("length", [3, 100])
def test_nan_and_infinities(function: Scan, length: int) -> None:
    x = np.array([(row * length)[:length] for row in SPECIAL], np.float32)
    x = np.concatenate([x, np.concatenate([np.full((6, 5), 2, np.float32), x[:, 5:]], 1)[:, :length]])
    with np.errstate(all="ignore"):
        expected = function(x, 1)
    np.testing.assert_allclose(function(upload(x), 1).get(), expected, rtol=1e-5)
    np.testing.assert_allclose(function(upload(np.ascontiguousarray(x.T)), 0).get(), expected.T, rtol=1e-5)


def test_shifts_of_every_width() -> None:
    x = draw(shift, (4, 7, 3))
    for by in (-8, -7, -6, -1, 0, 1, 6, 7, 9):
        for fill in (0, INF):
            np.testing.assert_array_equal(
                scan.shift(upload(x), by=by, dim=1, fill=fill).get(), scan.shift(x, by=by, dim=1, fill=fill)
            )


def gradients(function: Callable[[Any], Any], x: np.ndarray, where: str) -> tuple[Any, Any]:
    leaf = gpugrad.tensor(x).to(where).requires_grad_()
    out = function(leaf)
    out.backward(gpugrad.tensor(np.random.default_rng(9).normal(size=tuple(out.shape)).astype(np.float32)).to(where))
    assert out.device.type == where
    return on_host(out), on_host(leaf.grad)


@pytest.mark.parametrize(
    "function",
    [
        *(lambda x: x.cumsum(1), lambda x: x.cumsum(0), lambda x: x.cumprod(1), lambda x: x.prod(0)),
        *(lambda x: x.cummax(1).values, lambda x: x.cummin(0).values, lambda x: x.logcumsumexp(1)),
    ],
)
def test_gradients(function: Callable[[Any], Any]) -> None:
    x = draw(cumsum, (7, 70))
    x[2, 3] = x[2, 7] = 0
    for expected, found in zip(gradients(function, x, "cpu"), gradients(function, x, "cuda")):
        assert found.shape == expected.shape and found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=5e-5, atol=5e-5)


@pytest.mark.parametrize("seed", range(10))
def test_in_ten_orders_of_threads(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    for function in (cumsum, cummax):
        check(function, draw(function, (9, 100)), 1)
        check(function, draw(function, (2, 17_000)), 1)
