"""Recurrent layers on the CUDA device: each kernel against the body of its op, over packed sequences."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.ops import recurrent

pytestmark = pytest.mark.cuda

SIZES = [1, 31, 32, 33, 1023, 4097]
LAYERS = {"rnn": 1, "relu": 1, "lstm": 4, "projected": 4, "gru": 3}  # gates
UNDER_TEST = {f"{name}_layer{backward}" for name in ("rnn", "lstm", "gru") for backward in ("", "_backward")}


@pytest.fixture(autouse=True)
def kernels_only(fallen: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bodies of the ops under test do not run on the device."""
    from gpugrad.cuda import array

    run_body = array._run_body

    def watched(op: Any, *rest: Any) -> Any:
        assert op.name not in UNDER_TEST, f"{op.name} has run its body on the device"
        return run_body(op, *rest)

    monkeypatch.setattr(array, "_run_body", watched)


def inputs(name: str, sizes: tuple[int, ...], hidden: int, dtype: Any, bias: bool) -> list[np.ndarray | None]:
    """x, the states, w, b, and the weights of the projection: what the op takes."""
    rng = np.random.default_rng(0)
    gates, batch, out = LAYERS[name], sizes[0], 2 if name == "projected" else hidden
    shapes = [(sum(sizes), gates * hidden), (batch, out), (gates * hidden, out)]
    if gates == 4:
        shapes.insert(2, (batch, hidden))
    arrays: list[np.ndarray | None] = [(rng.normal(size=s) / np.sqrt(s[-1])).astype(dtype) for s in shapes]
    arrays.append(rng.normal(size=gates * hidden).astype(dtype) if bias else None)
    return [*arrays, rng.normal(size=(out, hidden)).astype(dtype)] if name == "projected" else arrays


def run(name: str, arrays: list[Any], where: str, sizes: tuple[int, ...], reverse: bool, seen: int) -> list[Any]:
    """The outputs (the first `seen` are used further) and the gradients of all inputs."""
    given = [None if a is None else gpugrad.tensor(a, device=where, requires_grad=True) for a in arrays]
    kind = {"relu": "rnn", "projected": "lstm"}.get(name, name)
    options = {"relu": name == "relu"} if kind == "rnn" else {}
    outs = getattr(recurrent, f"{kind}_layer")(*given, sizes=sizes, reverse=reverse, **options)
    weights = [np.random.default_rng(k).normal(size=tuple(o.shape)) for k, o in enumerate(outs[:seen])]
    gpugrad.autograd.backward(outs[:seen], [gpugrad.tensor(v).to(o) for v, o in zip(weights, outs)])
    return [*outs, *[t.grad for t in given if t is not None]]


def check(
    name: str,
    sizes: tuple[int, ...],
    hidden: int,
    dtype: Any = np.float32,
    reverse: bool = False,
    bias: bool = True,
    seen: int | None = None,
) -> None:
    arrays = inputs(name, sizes, hidden, dtype, bias)
    seen = (3 if LAYERS[name] == 4 else 2) if seen is None else seen
    expected, found = (run(name, arrays, where, sizes, reverse, seen) for where in ("cpu", "cuda"))
    unit = float(ml_dtypes.finfo(dtype).eps) * 64
    for k, (body, kernel) in enumerate(zip(expected, found, strict=True)):
        want, got = (on_host(t).astype(np.float64) for t in (body, kernel))
        assert got.shape == want.shape and kernel.dtype is body.dtype
        scale = max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(got, want, rtol=unit, atol=unit * scale, err_msg=f"result {k}")


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16], ids=str)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
def test_packed_sequences(name: str, dtype: Any, reverse: bool) -> None:
    check(name, (4, 4, 3, 1), 5, dtype, reverse)
    check(name, (2, 2, 2), 5, dtype, reverse, bias=False)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("size", SIZES)
def test_sizes(name: str, size: int) -> None:
    check(name, (size, 1), 3)  # sequences
    check(name, (2, 2), min(size, 33))  # units


@pytest.mark.parametrize("name", LAYERS)
def test_one_output_used(name: str) -> None:
    check(name, (3, 2), 4, seen=1)


def test_no_sequences() -> None:
    for name in LAYERS:
        check(name, (0, 0), 4)


@pytest.mark.parametrize("name", LAYERS)
def test_views_as_inputs(name: str) -> None:
    wide = inputs(name, (3, 2), 4, np.float32, True)
    arrays = [None if a is None else np.concatenate([a, a], -1)[..., 1 : a.shape[-1] + 1] for a in wide]
    results = []
    for where in ("cpu", "cuda"):
        given = [None if a is None else gpugrad.tensor(np.array(a.T), device=where).t() for a in arrays]
        kind = {"relu": "rnn", "projected": "lstm"}.get(name, name)
        options = {"relu": name == "relu"} if kind == "rnn" else {}
        results.append(getattr(recurrent, f"{kind}_layer")(*given, sizes=(3, 2), reverse=False, **options))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(on_host(b), on_host(a), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_any_order_of_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(10):
        monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
        check(name, (40, 3), 9)
