"""Interpolation on the CUDA device: the kernel and its adjoint against the bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.ops.resample import Weights, pick_pixels, resample_along

pytestmark = pytest.mark.cuda

DTYPES = [np.dtype(t) for t in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)]
SIZES = [1, 31, 32, 33, 1023, 4097]


@pytest.fixture(autouse=True)
def kernels_only(fallen: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bodies of the ops under test do not run on the device."""
    from gpugrad.cuda import array

    run_body = array._run_body

    def watched(op: Any, *rest: Any) -> Any:
        assert op.name not in ("resample_along", "pick_pixels"), f"{op.name} has run its body on the device"
        return run_body(op, *rest)

    monkeypatch.setattr(array, "_run_body", watched)


def draw(shape: Any, dtype: Any = DTYPES[0]) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def check(x: np.ndarray, weights: Weights, axis: int, views: Callable[[Any], Any] = lambda x: x) -> None:
    """The op on `views(x)`, on the device and by its body on the CPU, to some units in the last place."""
    op = pick_pixels if weights.mode.startswith("nearest") and not weights.transposed else resample_along
    expected = op.op.body(views(x), weights=weights, axis=axis)
    found = op(views(gpugrad.tensor(x).to("cuda")), weights=weights, axis=axis)
    assert found.dtype.numpy == x.dtype and tuple(found.shape) == expected.shape
    unit = float(ml_dtypes.finfo(x.dtype).eps)
    scale = float(np.abs(expected.astype(np.float64)).max(initial=1))
    got = on_host(found).astype(np.float64)
    np.testing.assert_allclose(got, expected.astype(np.float64), rtol=8 * unit, atol=8 * unit * scale)


MODES = ["nearest", "nearest-exact", "linear", "cubic"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_sizes_and_their_adjoints(mode: str, size: int) -> None:
    for new in (1, 33, min(2 * size, 1000)):
        for aligned in (False, True) if mode in ("linear", "cubic") else (False,):
            weights = Weights(mode, size, new, None, aligned)
            check(draw((2, size)), weights, 1)
            check(draw((new, 3)), weights.adjoint, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(mode: str, dtype: np.dtype) -> None:
    weights = Weights(mode, 33, 70, 2.1)
    check(draw((2, 33, 5), dtype), weights, 1)
    check(draw((2, 70, 5), dtype), weights.adjoint, 1)


@pytest.mark.parametrize(
    "views",
    [lambda x: x[1:], lambda x: x[:, ::2], lambda x: x.T, lambda x: x[:0], lambda x: x[:, :0]],
    ids=["misaligned", "every other", "transposed", "no lines", "no columns"],
)
def test_views(views: Callable[[Any], Any]) -> None:
    x = draw((17, 17))
    check(x, Weights("linear", views(x).shape[0] or 4, 40, None), 0, views) if views(x).shape[0] else None
    if views(x).shape[1]:
        check(x, Weights("cubic", views(x).shape[1], 9, None), 1, views)


def test_indices_of_integers() -> None:
    x = np.arange(60, dtype=np.uint8).reshape(3, 20)
    found = pick_pixels(gpugrad.tensor(x).to("cuda"), weights=Weights("nearest", 20, 33, None), axis=1)
    np.testing.assert_array_equal(
        on_host(found), pick_pixels.op.body(x, weights=Weights("nearest", 20, 33, None), axis=1)
    )


def test_any_order_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(10):
        monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
        check(draw((3, 500)), Weights("linear", 500, 801, None), 1)
