"""Every op of the table on the CUDA device: the CPU's values, dtypes, shapes and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_table import Row, Sample
from test_op_table import CASES, assert_same, case_id, differentiable, flat

import gpugrad

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize(("row", "sample"), CASES, ids=case_id)
def test_values_and_gradients_are_the_cpu_s(row: Row, sample: Sample, device: str, fallen: set[str]) -> None:
    dtypes = row.dtypes[:1] if sample is not row.samples[0] else (*row.dtypes, *row.more_dtypes)
    for dtype in dtypes:
        arrays = row.inputs(sample, dtype)
        with_grad = row.grad and dtype in row.dtypes
        here, there = ([tensor(a, place, with_grad) for a in arrays] for place in ("cpu", device))
        expected = flat(row.call(gpugrad, *here))
        with gpugrad.device(device):  # what a row makes itself is made there too
            found = flat(row.call(gpugrad, *there))
        assert len(found) == len(expected)
        for k, (a, b) in enumerate(zip(found, expected)):
            assert_same(row, on_cpu(a, b), b, f"{row.name} output {k} in {dtype}", dtype)
        if with_grad:
            compare_gradients(row, here, there, expected, found, dtype)
    assert not fallen, sorted(fallen)


def compare_gradients(row: Row, here: Any, there: Any, expected: Any, found: Any, dtype: str) -> None:
    roots = [k for k, t in enumerate(expected) if isinstance(t, gpugrad.Tensor) and t.requires_grad]
    assert roots == [k for k, t in enumerate(found) if isinstance(t, gpugrad.Tensor) and t.requires_grad]
    if not roots:
        return
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.5, 1.5, tuple(expected[k].shape)) for k in roots]
    for outs in (expected, found):
        gpugrad.autograd.backward(
            [outs[k] for k in roots], [gpugrad.tensor(w).to(outs[k]) for k, w in zip(roots, weights)]
        )
    for i, (a, b) in enumerate(zip(there, here)):
        assert (a.grad is None) == (b.grad is None), f"{row.name}: gradient of input {i}: {a.grad} against {b.grad}"
        if b.grad is not None:
            assert_same(row, on_cpu(a.grad, b.grad), b.grad, f"{row.name} gradient of input {i} in {dtype}", dtype)


def tensor(array: np.ndarray, place: str, requires_grad: bool) -> Any:
    return gpugrad.tensor(array, device=place, requires_grad=requires_grad and differentiable([array])[0])


def on_cpu(found: Any, expected: Any) -> Any:
    """A result of the device brought to the host; AssertionError if it was there already."""
    if not isinstance(expected, gpugrad.Tensor):
        return found
    assert found.is_cuda, "the result is not on the device"
    return found.detach().cpu()
