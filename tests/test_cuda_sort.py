"""Sorting on the CUDA device, and what is found in sorted rows: each against the body of its op."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.ops import order
from gpugrad.ops.sets import _is_in
from gpugrad.ops.sort import _argsort, _kth_index, _searchsorted, _topk_indices, stable_order

pytestmark = pytest.mark.cuda

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(t) for t in (np.float32, np.float64, np.float16)] + [BFLOAT16]
INTEGERS = [np.dtype(t) for t in (np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_)]
SIZES = [1, 31, 32, 33, 1023, 4097]
UNDER_TEST = {
    *("argsort", "topk_indices", "kthvalue_index", "median_index", "median", "mode_index"),
    *("searchsorted", "repeat_interleave", "_is_in", "quantile_places"),
}


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


def draw(shape: Any, dtype: Any = FLOATS[0], seed: int = 0) -> np.ndarray:
    """Values of which many are equal; among floats both zeros, infinities and NaNs."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 2, shape) if dtype == np.bool_ else rng.integers(0, 40, shape)
    x = (drawn if dtype.kind in "bu" else drawn - 20).astype(dtype)
    if dtype in FLOATS:
        for special in (-0.0, np.inf, -np.inf, np.nan):
            x[rng.random(shape) < 0.05] = special
    return x


def on_device(x: np.ndarray) -> Any:
    return gpugrad.tensor(x).to("cuda")


def check(
    function: Callable[..., Any], x: np.ndarray, views: Callable[[Any], Any] = lambda x: x, **params: Any
) -> None:
    """The op on `views(x)`, on the device and by its body on the CPU: exactly the same."""
    expected = function.op.body(views(x), **params)
    found = function(views(on_device(x)), **params)
    pairs = zip(expected, found) if isinstance(expected, tuple) else [(expected, found)]
    for body, kernel in pairs:
        got = on_host(kernel)
        assert got.shape == body.shape
        np.testing.assert_array_equal(got, body.astype(got.dtype))


# ---- sorting ----


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=str)
@pytest.mark.parametrize("descending", [False, True], ids=["rising", "falling"])
def test_every_dtype_and_size(dtype: np.dtype, descending: bool) -> None:
    for n in SIZES:
        check(_argsort, draw((n,), dtype), dim=0, descending=descending)
    check(_argsort, draw((3, 2050), dtype), dim=1, descending=descending)
    check(_argsort, draw((130, 7), dtype), dim=1, descending=descending)


@pytest.mark.parametrize("n", [1024, 1025, 2048, 2049, 3073, 9000])
def test_rows_around_the_size_of_a_tile(n: int) -> None:
    check(_argsort, draw((2, n)), dim=1, descending=False)
    check(_argsort, draw((n,), INTEGERS[0]), dim=0, descending=True)


VIEWS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "misaligned": (lambda x: x[..., 1:], 1),
    "every other": (lambda x: x[:, ::2], 1),
    "columns": (lambda x: x, 0),
    "transposed": (lambda x: x.T, 1),
    "transposed columns": (lambda x: x.T, 0),
    "a dimension more": (lambda x: x.reshape(11, 3, 47), 1),
    "one of each": (lambda x: x[:, :1], 1),
    "none": (lambda x: x[:, :0], 1),
    "no rows": (lambda x: x[:0], 1),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views(name: str) -> None:
    views, dim = VIEWS[name]
    check(_argsort, draw((33, 47)), views, dim=dim, descending=False)


def test_equal_keys_of_longer_integers_are_told_apart() -> None:
    edges = [np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0, -1, 2**32, 2**32 + 1, -(2**40)]
    check(_argsort, np.array(edges * 3), dim=0, descending=False)
    check(_argsort, np.array(edges * 3), dim=0, descending=True)
    check(_argsort, np.array([0, 255, 128, 255, 0], np.uint8), dim=0, descending=True)


def test_many_short_rows() -> None:
    check(_argsort, draw((3000, 3)), dim=1, descending=False)


# ---- what is chosen by order ----


@pytest.mark.parametrize("n", SIZES)
def test_choices(n: int) -> None:
    x = np.random.default_rng(n).permutation(n).astype(np.float32)  # without ties, which the bodies choose among freely
    for k in sorted({1, (n + 1) // 2, n}):
        check(_kth_index, x, k=k, dim=0, keepdim=False)
        check(_topk_indices, x, k=k, dim=0, largest=True)
        check(_topk_indices, x, k=k, dim=0, largest=False)
    check(order._median_index, x, dim=0, keepdim=True, skip_nan=False)
    check(order._median_of_all, x, skip_nan=False)
    check(order._mode_index, draw((n,)), dim=0, keepdim=False)
    lines = np.stack([x, x[::-1], np.roll(x, n // 3)], 1)
    check(order._median_index, lines, dim=0, keepdim=False, skip_nan=False)
    check(order._mode_index, draw((n, 3)), dim=0, keepdim=True)


def test_medians_of_nan() -> None:
    x = np.array(
        [[3, np.nan, 1, 2], [np.nan, np.nan, np.nan, np.nan], [4, 1, 3, 2], [np.nan, 5, 6, np.nan]], np.float32
    )
    for skip_nan in (False, True):
        check(order._median_index, x, dim=1, keepdim=False, skip_nan=skip_nan)
        check(order._median_of_all, x, skip_nan=skip_nan)
        check(order._median_of_all, x[:0], skip_nan=skip_nan)


@pytest.mark.parametrize("dtype", FLOATS[:2], ids=str)
@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "nearest", "midpoint"])
def test_quantiles(dtype: np.dtype, interpolation: str) -> None:
    for n in SIZES:
        x = np.random.default_rng(n).normal(size=(n, 3)).astype(dtype)
        x[n // 2, 1] = np.nan
        q = np.array([0, 0.1, 0.5, 0.77, 1], dtype)
        for function in (gpugrad.quantile, gpugrad.nanquantile):
            here, there = (function(gpugrad.tensor(x).to(w), gpugrad.tensor(q).to(w), 0, interpolation=interpolation)
                           for w in ("cpu", "cuda"))  # fmt: skip
            np.testing.assert_allclose(on_host(there), on_host(here), rtol=1e-6)


@pytest.mark.parametrize("n", [0, *SIZES])
def test_indices_repeated(n: int) -> None:
    counts = np.random.default_rng(n).integers(0, 4, n)
    found = gpugrad.repeat_interleave(on_device(counts))
    np.testing.assert_array_equal(on_host(found), np.repeat(np.arange(n), counts))


# ---- places in sorted sequences ----


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS[:-1]], ids=str)
@pytest.mark.parametrize("right", [False, True], ids=["left", "right"])
def test_places_of_every_dtype(dtype: np.dtype, right: bool) -> None:
    for n in SIZES:
        sequence, values = np.sort(draw((n,), dtype).astype(np.float64)).astype(dtype), draw((33,), dtype, seed=1)
        expected = np.searchsorted(*(a.astype(np.float64) for a in (sequence, values)), "right" if right else "left")
        found = _searchsorted(on_device(sequence), on_device(values), right=right)
        np.testing.assert_array_equal(on_host(found), expected)


def test_places_in_rows_of_several_dtypes_and_strides() -> None:
    sequence, values = np.sort(draw((5, 66), INTEGERS[0]), 1), np.linspace(-25, 25, 5 * 14).reshape(5, 14)
    for right in (False, True):
        expected = _searchsorted.op.body(sequence[:, ::2], values[:, 1:], right=right)
        found = _searchsorted(on_device(sequence)[:, ::2], on_device(values)[:, 1:], right=right)
        np.testing.assert_array_equal(on_host(found), expected)
    assert on_host(_searchsorted(on_device(sequence)[0, :0], on_device(values), right=False)).sum() == 0
    assert tuple(_searchsorted(on_device(sequence), on_device(values)[:, :0], right=False).shape) == (5, 0)


# ---- membership ----


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=str)
@pytest.mark.parametrize("among", [0, 1, 32, 33, 1500], ids="{} among".format)
def test_membership(dtype: np.dtype, among: int) -> None:
    wanted = draw((among,), dtype, seed=1)
    for n in (0, *SIZES):
        for invert in (False, True):
            check_among(draw((n,), dtype), wanted, invert)


def check_among(x: np.ndarray, wanted: np.ndarray, invert: bool, view: Any = lambda x: x) -> None:
    body = _is_in.op.body(view(x), view(wanted), invert=invert)
    found = _is_in(view(on_device(x)), view(on_device(wanted)), invert=invert)
    assert found.dtype == gpugrad.bool
    np.testing.assert_array_equal(on_host(found), body)


def test_membership_in_views_and_among_other_dtypes() -> None:
    x, wanted = draw((33, 47)), draw((10, 12), INTEGERS[0], seed=1)
    for view in (lambda x: x, lambda x: x.T, lambda x: x[1:, ::2], lambda x: x[:2, 1:]):
        check_among(x, wanted, False, view)
        check_among(wanted, x, True, view)
    large = np.array([2**53, 2**53 + 1, 2**53 + 2])
    check_among(large, large[1:2], False)
    assert not on_host(gpugrad.isin(on_device(np.array([np.nan])), on_device(np.array([np.nan])))).any()
    assert on_host(gpugrad.isin(on_device(np.array([-0.0])), 0.0)).all()


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_membership_beside_nan_of_bfloat16(where: str) -> None:
    x = gpugrad.arange(60, device=where).to(gpugrad.bfloat16)
    wanted = x[::2].clone()
    wanted[3] = float("nan")
    found = on_host(gpugrad.isin(x, wanted))
    assert found.sum() == 29 and not found[6] and not found[1::2].any()


# ---- whatever the order of the threads ----


def test_any_order_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    x = draw((2, 3000))
    for seed in range(10):
        monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
        np.testing.assert_array_equal(
            on_host(_argsort(on_device(x), dim=1, descending=True)), stable_order(x, 1, descending=True)
        )
