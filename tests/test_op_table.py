"""What every op of the table must satisfy: PyTorch's values, shapes, dtypes and gradients; derivatives that agree with
finite differences to second order; inputs in any memory layout; no memory shared that should not be; nothing left for
the garbage collector.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from op_table import Row, Sample, all_rows

import gpugrad
from gpugrad.gradcheck import gradcheck, gradgradcheck

ROWS = all_rows()
TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 4e-2}
CASES = [(row, sample) for row in ROWS for sample in row.samples]


def case_id(value: Any) -> str:
    if isinstance(value, Row):
        return value.name
    if isinstance(value, tuple):
        return "-".join("x".join(map(str, a.shape)) or "0d" for a in value)
    return str(value)


def flat(result: Any) -> list[Any]:
    """The tensors in what an op returned."""
    if isinstance(result, (tuple, list)):
        return [t for part in result for t in flat(part)]
    return [result]


def to_numpy(x: Any) -> Any:
    """A gpugrad or torch result as a NumPy array."""
    if isinstance(x, gpugrad.Tensor):
        return np.asarray(x.detach()._array)
    if hasattr(x, "detach"):
        x = x.detach()
        if str(x.dtype) == "torch.bfloat16":
            return x.float().numpy().astype(ml_dtypes.bfloat16)
        return x.resolve_neg().numpy()
    return np.asarray(x)


def in_torch(torch: Any, array: np.ndarray) -> Any:
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(array.copy())


def assert_same(row: Row, ours: Any, theirs: Any, what: str, dtype: str) -> None:
    if not isinstance(theirs, (gpugrad.Tensor, np.ndarray)) and not hasattr(theirs, "detach"):
        assert ours == theirs, (what, ours, theirs)
        return
    a, b = to_numpy(ours), to_numpy(theirs)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, PyTorch has {b.shape}"
    assert a.dtype == b.dtype, f"{what}: dtype {a.dtype}, PyTorch has {b.dtype}"
    if a.dtype.kind in "biu":
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    tolerance = row.tolerance.get(dtype, TOLERANCE.get(str(a.dtype), TOLERANCE.get(dtype, 1e-9)))
    scale = np.max(np.abs(b[np.isfinite(b)].astype(np.float64)), initial=1.0)
    np.testing.assert_allclose(
        a.astype(np.float64), b.astype(np.float64), rtol=tolerance, atol=tolerance * scale, err_msg=what
    )


def differentiable(arrays: list[np.ndarray]) -> list[bool]:
    return [a.dtype.kind == "f" or a.dtype == ml_dtypes.bfloat16 for a in arrays]


def tensors(arrays: list[np.ndarray], requires_grad: bool = False) -> list[Any]:
    wanted = differentiable(arrays) if requires_grad else [False] * len(arrays)
    return [gpugrad.tensor(a, requires_grad=w) for a, w in zip(arrays, wanted)]


@pytest.mark.parametrize(("row", "sample"), CASES, ids=case_id)
def test_values_and_gradients_are_torchs(row: Row, sample: Sample, torch: Any) -> None:
    if not row.like_torch:
        assert row.why, "a row that is not compared says why"
        return
    for dtype in (*row.dtypes, *row.more_dtypes):
        arrays = row.inputs(sample, dtype)
        with_grad = row.grad and dtype in row.dtypes
        mine = tensors(arrays, with_grad)
        peers = [in_torch(torch, a) for a in arrays]
        for peer, wanted in zip(peers, differentiable(arrays)):
            peer.requires_grad_(with_grad and wanted)
        ours, theirs = flat(row.call(gpugrad, *mine)), flat(row.call(torch, *peers))
        assert len(ours) == len(theirs)
        for k, (a, b) in enumerate(zip(ours, theirs)):
            assert_same(row, a, b, f"{row.name} output {k} in {dtype}", dtype)
        if with_grad:
            compare_gradients(row, mine, peers, ours, theirs, torch, dtype)


def compare_gradients(row: Row, mine: Any, peers: Any, ours: Any, theirs: Any, torch: Any, dtype: str) -> None:
    roots = [k for k, t in enumerate(theirs) if hasattr(t, "requires_grad") and t.requires_grad]
    assert roots == [k for k, t in enumerate(ours) if isinstance(t, gpugrad.Tensor) and t.requires_grad]
    if not roots:
        return
    rng = np.random.default_rng(0)
    weights = [np.asarray(rng.uniform(0.5, 1.5, tuple(theirs[k].shape))).astype(dtype) for k in roots]
    torch.autograd.backward([theirs[k] for k in roots], [torch.from_numpy(w.copy()) for w in weights])
    gpugrad.autograd.backward([ours[k] for k in roots], [gpugrad.tensor(w) for w in weights])
    for i, (a, b) in enumerate(zip(mine, peers)):
        if b.requires_grad:
            assert (a.grad is None) == (b.grad is None), f"{row.name}: gradient of input {i}: {a.grad} against {b.grad}"
            if b.grad is not None:
                assert_same(row, a.grad, b.grad, f"{row.name} gradient of input {i} in {dtype}", dtype)


@pytest.mark.parametrize(("row", "sample"), [c for c in CASES if c[0].grad and c[0].smooth], ids=case_id)
def test_derivatives_agree_with_finite_differences(row: Row, sample: Sample) -> None:
    arrays = row.inputs(sample, "float64")
    if any(not np.all(np.isfinite(a)) for a, f in zip(arrays, differentiable(arrays)) if f):
        return  # compared with PyTorch above; differences of infinities say nothing
    inputs = tensors(arrays, requires_grad=True)

    def call(*xs: Any) -> Any:
        return tuple(t for t in flat(row.call(gpugrad, *xs)) if isinstance(t, gpugrad.Tensor) and t.requires_grad)

    if not call(*inputs):
        return
    gradcheck(call, inputs)
    if row.second:
        gradgradcheck(call, inputs)


@pytest.mark.parametrize("row", ROWS, ids=case_id)
def test_any_memory_layout_gives_the_same(row: Row) -> None:
    for sample in row.samples:
        arrays = row.inputs(sample, main_dtype(row))
        plain, *others = [values_and_gradients(row, arrays, layout) for layout in (np.copy, strided, reversed_dims)]
        for other in others:
            for a, b in zip(plain, other, strict=True):
                if isinstance(a, np.ndarray):
                    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
                else:
                    assert a == b


def values_and_gradients(row: Row, arrays: list[np.ndarray], layout: Callable[[np.ndarray], np.ndarray]) -> list[Any]:
    """What the op returns and what comes back to its inputs, with inputs and cotangents laid out by `layout`."""
    wanted = [row.grad and f for f in differentiable(arrays)]
    inputs = [gpugrad.from_numpy(layout(a)).requires_grad_(w) for a, w in zip(arrays, wanted)]
    outs = flat(row.call(gpugrad, *inputs))
    roots = [t for t in outs if isinstance(t, gpugrad.Tensor) and t.requires_grad]
    rng = np.random.default_rng(0)
    cotangents = [gpugrad.from_numpy(layout(rng.uniform(0.5, 1.5, t.shape).astype(to_numpy(t).dtype))) for t in roots]
    gpugrad.autograd.backward(roots, cotangents)
    return [to_numpy(t) if isinstance(t, gpugrad.Tensor) else t for t in (*outs, *(x.grad for x in inputs))]


# Formulas, which keep an order here as all do, a copy that keeps its order, and transposes of what was computed.
IN_ORDER_IN_TORCH_ALONE = {"logsigmoid", "rrelu", "pow_scalar_low", "pow_from_2", "pow_from_half", "multigammaln"}
IN_ORDER_IN_TORCH_ALONE |= {"mvlgamma", "matrix_power", "linalg.solve from the right", "svd"}


@pytest.mark.parametrize("row", ROWS, ids=case_id)
def test_what_lies_in_order_in_torch_does_here(row: Row, torch: Any) -> None:
    """So that `view` works on every result that it works on in PyTorch."""
    if not row.like_torch or row.view or row.name in IN_ORDER_IN_TORCH_ALONE:
        return
    for sample in row.samples:
        arrays = row.inputs(sample, main_dtype(row))
        for change in (lambda t: t.transpose(0, -1).contiguous().transpose(0, -1), lambda t: t[:1].expand(t.shape)):
            try:
                theirs = flat(row.call(torch, *[relaid(in_torch(torch, a), change) for a in arrays]))
                ours = flat(row.call(gpugrad, *[relaid(gpugrad.from_numpy(a), change) for a in arrays]))
            except (RuntimeError, UserWarning):  # a matrix of one row repeated has no inverse
                continue
            for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                if isinstance(a, gpugrad.Tensor) and b.is_contiguous():
                    assert a.is_contiguous(), f"output {k}: strides {a.stride()}, in PyTorch {b.stride()}"


def relaid(t: Any, change: Callable[[Any], Any]) -> Any:
    """A floating `t` of several dimensions after `change`, others as they are: indices keep their values."""
    return change(t) if t.ndim > 1 and t.is_floating_point() and t.shape[0] else t


def main_dtype(row: Row) -> str:
    """float64, unless the op is for other dtypes only."""
    return "float64" if "float64" in row.dtypes else row.dtypes[0]


def strided(array: np.ndarray) -> np.ndarray:
    """The same values, every second element of a larger buffer in reversed order of dimensions."""
    buffer = np.zeros(tuple(2 * n for n in reversed(array.shape)), array.dtype)
    view = buffer[(..., *(slice(None, None, 2) for _ in array.shape))].T
    view[...] = array
    return view


def reversed_dims(array: np.ndarray) -> np.ndarray:
    """The same values without gaps, the first dimension lying closest together: what `transpose` makes."""
    return array.T.copy().T


@pytest.mark.parametrize("row", ROWS, ids=case_id)
def test_memory_is_shared_only_by_views(row: Row) -> None:
    for sample in row.samples:
        inputs = tensors(row.inputs(sample, main_dtype(row)))
        for out in flat(row.call(gpugrad, *inputs)):
            if not isinstance(out, gpugrad.Tensor) or out._array.size == 0 or any(out is x for x in inputs):
                continue
            shares = any(np.may_share_memory(out._array, x._array) for x in inputs)
            if row.view:
                assert out._base is not None or not shares
            else:
                assert not shares


def test_nothing_is_left_for_the_garbage_collector() -> None:
    left = []
    rows = [row for row in ROWS if row.grad]
    for row in rows:
        before_and_after(row)  # the first call builds the call path
    gc.collect()
    gc.freeze()  # what is there already is not looked at again: each collection below takes microseconds
    gc.disable()
    try:
        for row in rows:
            before_and_after(row)
            found = gc.collect()
            if found:
                left.append((row.name, found))
    finally:
        gc.enable()
    assert not left


def before_and_after(row: Row) -> None:
    inputs = tensors(row.inputs(row.samples[0], "float64"), requires_grad=True)
    outs = [t for t in flat(row.call(gpugrad, *inputs)) if isinstance(t, gpugrad.Tensor) and t.requires_grad]
    if outs:
        gpugrad.autograd.backward(outs, [gpugrad.ones_like(t) for t in outs])
