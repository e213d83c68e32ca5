"""Softmax, norms and cross-entropy on the CUDA device: each kernel against the body of its op on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad

pytestmark = pytest.mark.cuda

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
SIZES = [1, 31, 32, 33, 1023, 4097]
OPS = {
    *("softmax", "log_softmax", "softmax_grad", "log_softmax_grad"),
}


@pytest.fixture(autouse=True)
def kernels_only(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bodies of the ops under test do not run on the device."""
    from gpugrad.cuda import array, backend

    backend.require()
    run_body = array._run_body

    def refuse(op: Any, *rest: Any) -> Any:
        assert op.name not in OPS or rest[1][0].dtype.kind in "iub", f"{op.name} has run its body on the device"
        return run_body(op, *rest)

    monkeypatch.setattr(array, "_run_body", refuse)


def draw(shape: Any, dtype: Any = np.float32, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtype)


def tolerance(dtype: Any, factor: float = 16) -> dict[str, float]:
    """Some units in the last place, of float32 at least: sums are formed in another order."""
    unit = float(ml_dtypes.finfo(dtype).eps)
    return {"rtol": factor * unit, "atol": factor * unit}


def both(
    function: Callable[..., Any],
    *inputs: np.ndarray,
    views: Callable[[Any], Any] = lambda x: x,
    factor: float = 16,
    wanted: Any = None,
) -> None:
    """`function` and the gradients of its floating inputs, on the CPU and the device; `views` is applied to the first."""
    found = []
    for where in ("cpu", "cuda"):
        tensors = [gpugrad.tensor(x).to(where) for x in inputs]
        leaves = [t.requires_grad_() if t.is_floating_point() else t for t in tensors]
        out = function(views(leaves[0]), *leaves[1:])
        g = gpugrad.tensor(draw(tuple(out.shape), seed=9)).to(where, out.dtype)
        out.backward(g)
        assert out.device.type == where
        gradients = [t.grad for t in leaves if t.grad is not None]
        assert [t.dtype for t in gradients] == [t.dtype for t in leaves if t.grad is not None]
        found.append([on_host(t) for t in (out, *gradients)])
    assert len(found[0]) == len(found[1])
    for k, (expected, got) in enumerate(zip(*found)):
        assert got.shape == expected.shape and got.dtype == expected.dtype
        at = tolerance(inputs[0].dtype, factor)
        at["atol"] *= max(1.0, float(np.abs(expected.astype(np.float64)).max(initial=0)))
        np.testing.assert_allclose(
            got.astype(np.float64), expected.astype(np.float64), err_msg=f"output {k} (0: the result)", **at
        )


# ---- softmax ----

SOFTMAXES = [gpugrad.softmax, gpugrad.log_softmax]


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_rows(function: Any, dtype: Any) -> None:
    for cols in SIZES if dtype == np.float32 else (1, 33, 1023):
        both(lambda x: function(x, -1), draw((5, cols), dtype), factor=32)


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("cols", [6145, 16385])
def test_softmax_of_long_rows(function: Any, cols: int) -> None:
    both(lambda x: function(x, -1), draw((2, cols)), factor=64)


@pytest.mark.parametrize("function", SOFTMAXES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_columns(function: Any, dtype: Any) -> None:
    for shape, dim in [((3, 5, 2), 1), ((2, 33, 70), 1), ((70, 3), 0), ((1023, 2), 0), ((4, 1, 31), 1)]:
        if dtype == np.float32 or shape[1] < 50:
            both(partial(function, dim=dim), draw(shape, dtype), factor=32)


@pytest.mark.parametrize("function", SOFTMAXES)
def test_softmax_of_views_and_scalars(function: Any) -> None:
    x = draw((7, 33))
    for view in (
        lambda t: t[1:],
        lambda t: t.t(),
        lambda t: t[:, ::2],
        lambda t: t[0].expand(4, 33),
        lambda t: t[1, 3],
    ):
        both(lambda t: function(t, -1), x, views=view, factor=32)
    for shape, dim in [((0, 3), 1), ((3, 0), 1), ((2, 0, 3), 1), ((), 0)]:
        both(partial(function, dim=dim), draw(shape))


@pytest.mark.parametrize("seed", range(10))
def test_softmax_in_every_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    both(lambda x: gpugrad.softmax(x, 0), draw((130, 3)))
    both(lambda x: gpugrad.log_softmax(x, 1), draw((3, 6200)), factor=64)


def test_softmax_of_infinities() -> None:
    inf, nan = np.inf, np.nan
    rows = np.array([[0, -inf, 1], [-inf] * 3, [1, nan, 2], [inf, 0, 1], [1e38, -1e38, 0], [-inf, -inf, 2]], np.float32)
    for x, dim in ((rows, 1), (rows.T.copy(), 0)):
        expected, got = (gpugrad.softmax(gpugrad.tensor(x).to(where), dim) for where in ("cpu", "cuda"))
        np.testing.assert_allclose(on_host(got), on_host(expected), rtol=1e-6)


def test_softmax_refuses_integers() -> None:
    with pytest.raises(NotImplementedError, match='"softmax" not implemented for'):
        gpugrad.softmax(gpugrad.ones(3, dtype=gpugrad.int64, device="cuda"), 0)


def test_second_derivatives_of_softmax() -> None:
    found = []
    for where in ("cpu", "cuda"):
        x = gpugrad.tensor(draw((3, 5))).to(where).requires_grad_()
        (g,) = gpugrad.autograd.grad((gpugrad.softmax(x, 1) ** 2).sum(), x, create_graph=True)
        (second,) = gpugrad.autograd.grad((g * g).sum(), x)
        found.append(on_host(second))
    np.testing.assert_allclose(found[1], found[0], **tolerance(np.float32))
