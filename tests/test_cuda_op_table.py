"""Every op of the table on the CUDA device: the CPU's values, dtypes, shapes and gradients."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import numpy as np
import pytest
from op_table import Row, Sample
from test_op_table import CASES, assert_same, case_id, differentiable, flat

import gpugrad
from gpugrad.cuda.backend import simulated
from gpugrad.op import REGISTRY, op

pytestmark = pytest.mark.cuda

# Ops whose bodies call CuPy for work, and why they may. Whatever else does has lost its kernel.
_FACTORS = "a factorization of cuSOLVER, or what is made of one"
BY_CUPY = {
    **dict.fromkeys(("linalg_cholesky", "linalg_eigh", "linalg_eigvalsh", "linalg_qr", "linalg_svd"), _FACTORS),
    **dict.fromkeys(("linalg_svdvals", "linalg_det", "linalg_slogdet", "linalg_inv", "linalg_solve"), _FACTORS),
    **dict.fromkeys(("linalg_solve_triangular", "linalg_pinv", "linalg_matrix_rank", "cofactor"), _FACTORS),
    "linalg_matrix_exp": "solves systems between its products",
    "mm": "products of integers, which cuBLAS has not and PyTorch refuses",
}
# Bodies that need no kernel: they are made of ops that have some, or only look at their arguments.
MADE_OF_OPS = {"_both", "_residuals", "copy_slices", "einsum_pair", "masked_fill", "pick"}


@pytest.mark.parametrize(("row", "sample"), CASES, ids=case_id)
def test_values_and_gradients_are_the_cpu_s(
    row: Row, sample: Sample, device: str, fallen: set[str], on_cupy: set[str]
) -> None:
    dtypes = row.dtypes[:1] if sample is not row.samples[0] else (*row.dtypes, *row.more_dtypes)
    for dtype in dtypes:
        arrays = row.inputs(sample, dtype)
        with_grad = row.grad and dtype in row.dtypes
        if dtype == row.dtypes[0]:
            meet_before(row, row.inputs(sample, dtype, other=True), device, with_grad)
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
    assert not on_cupy - BY_CUPY.keys(), f"no kernel of our own: {sorted(on_cupy - BY_CUPY.keys())}"


def test_which_ops_have_no_kernel_is_stated(fallen: set[str]) -> None:
    for module in pkgutil.iter_modules(gpugrad.ops.__path__):
        importlib.import_module(f"gpugrad.ops.{module.name}")
    bare = {
        op.name
        for op in REGISTRY.values()
        if op.body.__module__.startswith("gpugrad.") and not (op.launcher or op.formula or op.view or op.moves)
    }
    assert bare - BY_CUPY.keys() - MADE_OF_OPS == set(), "no kernel, and no reason on the lists here"
    assert bare >= MADE_OF_OPS, "on the lists here, and has a kernel by now"
    assert {"mm"} | bare >= BY_CUPY.keys()


def test_a_body_that_calls_cupy_is_seen(device: str, on_cupy: set[str]) -> None:
    if not simulated():
        pytest.skip("only the simulator tells")
    for name, body in {
        "calls": lambda x: np.flip(np.cumsum(x)),
        "picks": lambda x: x[np.arange(3, like=x)],
        "writes": lambda x: x.__setitem__(0, 1) or x,
        "combines": lambda x: (x * 2 + x).reshape(5, 1),
    }.items():
        a_body = op(body, name=name)
        a_body(gpugrad.ones(5, device=device))
        del REGISTRY[name]
    assert on_cupy == {"calls", "picks", "writes"}


def meet_before(row: Row, arrays: list[np.ndarray], device: str, with_grad: bool) -> None:
    """The call with other values, so that what launchers keep of it (`gpugrad.cuda.launches`) is what is tested."""
    with gpugrad.device(device):
        outs = flat(row.call(gpugrad, *[tensor(a, device, with_grad) for a in arrays]))
    if with_grad:
        pull(outs)


def pull(outs: Any) -> list[int]:
    """The backward of a weighted sum of the outputs that have a gradient, and which they are."""
    roots = [k for k, t in enumerate(outs) if isinstance(t, gpugrad.Tensor) and t.requires_grad]
    rng = np.random.default_rng(0)
    weights = [gpugrad.tensor(rng.uniform(0.5, 1.5, tuple(outs[k].shape))).to(outs[k]) for k in roots]
    if roots:
        gpugrad.autograd.backward([outs[k] for k in roots], weights)
    return roots


def compare_gradients(row: Row, here: Any, there: Any, expected: Any, found: Any, dtype: str) -> None:
    assert pull(expected) == pull(found)
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
