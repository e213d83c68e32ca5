"""What tests of row kernels share: one call on the CPU and on the device, held to each other; no body may run there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.cuda import backend

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
SIZES = [1, 31, 32, 33, 1023, 4097]
OPS = {
    *("softmax", "log_softmax", "softmax_grad", "log_softmax_grad"),
    *("moments", "normalize_over", "normalize_backward", "rms_norm", "rms_norm_backward"),
    *("layer_norm", "cross_entropy", "nll_loss", "_nll_loss_grad"),
}


@pytest.fixture(autouse=True)
def kernels_only(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bodies of the ops under test do not run on the device."""
    from gpugrad.cuda import array

    backend.require()
    run_body = array._run_body

    def refuse(op: Any, *rest: Any) -> Any:
        refused = rest[1][0].dtype.kind in "iub" or not rest[1][0].size
        assert op.name not in OPS or refused, f"{op.name} has run its body on the device"
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
    cancelled: float = 0.0,
) -> None:
    """`function` and the gradients of its floating inputs, on the CPU and the device; `views` is applied to the first.

    `cancelled`: the size of the terms whose sum the first input's gradient is. Some units of it are left where they cancel.
    """
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
        if k == 1:
            at["atol"] = max(at["atol"], 4 * float(ml_dtypes.finfo(inputs[0].dtype).eps) * cancelled)
        np.testing.assert_allclose(
            got.astype(np.float64), expected.astype(np.float64), err_msg=f"output {k} (0: the result)", **at
        )
