"""Linear algebra on the CUDA device where CuPy's is not NumPy's: errors, stacks that broadcast, nothing to solve for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad import linalg
from gpugrad.cuda import backend

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("on_device")]

ZEROS, NAN = np.zeros((3, 3)), np.full((3, 3), np.nan)
ONE_OF_TWO = np.stack([np.eye(3), ZEROS])


@pytest.fixture
def on_device(device: str, fallen: set[str]) -> Any:
    """Tensors are made on the device, and nothing is computed on the host."""
    with gpugrad.device(device):
        yield
    assert not fallen, sorted(fallen)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("call", "matrix", "message"),
    [
        (linalg.inv, ZEROS, "linalg.inv: .*singular"),
        (linalg.inv, ONE_OF_TWO, "linalg.inv: .*singular"),
        (lambda a: linalg.solve(a, gpugrad.ones(3, 2)), ZEROS, "linalg.solve: .*singular"),
        (lambda a: linalg.solve(a, gpugrad.ones(2, 3, 2)), ONE_OF_TWO, "linalg.solve: .*singular"),
        (lambda a: linalg.solve(a, gpugrad.ones(2, 3, 0)), ONE_OF_TWO, "linalg.solve: .*singular"),
        (lambda a: linalg.solve_triangular(a, gpugrad.ones(3, 1), upper=True), ZEROS, "solve_triangular: .*singular"),
        (linalg.cholesky, -np.eye(3), "not positive-definite"),
        (linalg.cholesky, ONE_OF_TWO, "not positive-definite"),
        (linalg.eigh, NAN, "linalg.eigh: .*converge"),
        (linalg.eigvalsh, NAN[None], "linalg.eigvalsh: .*converge"),
        (linalg.svd, NAN, "linalg.svd: .*converge"),
        (linalg.svdvals, NAN[None], "linalg.svdvals: .*converge"),
        (linalg.pinv, NAN, "linalg.pinv: .*converge"),
        (linalg.matrix_rank, NAN, "linalg.matrix_rank: .*converge"),
    ],
)
def test_what_has_no_answer_raises(call: Any, matrix: np.ndarray, message: str, dtype: str) -> None:
    gpugrad.set_default_dtype(getattr(gpugrad, dtype))
    try:
        with pytest.raises(linalg.LinAlgError, match=message):
            call(gpugrad.tensor(matrix.astype(dtype)))
    finally:
        gpugrad.set_default_dtype(gpugrad.float32)


def test_an_error_leaves_cupy_s_settings_as_they_were() -> None:
    cp, zeros = backend.cupy(), gpugrad.zeros(2, 2)
    with pytest.raises(linalg.LinAlgError):
        linalg.inv(zeros)
    if backend.simulated():
        with pytest.raises(cp.UncheckedFailure, match=r"linalg\.inv: Singular matrix"):
            np.linalg.inv(zeros._array)
    else:
        assert not cp.isfinite(cp.linalg.inv(zeros._array)).all()


def test_the_backward_pass_raises_too() -> None:
    a = gpugrad.zeros(3, 3, requires_grad=True)
    with pytest.raises(linalg.LinAlgError, match=r"linalg\.inv"):
        linalg.slogdet(a).logabsdet.backward()


@pytest.mark.parametrize("stacks", [((), (2,)), ((2,), ()), ((4, 1), (2,)), ((0,), ()), ((1,), (0,))], ids=str)
@pytest.mark.parametrize("columns", [2, 0])
def test_systems_broadcast(stacks: tuple[tuple[int, ...], tuple[int, ...]], columns: int) -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(-1, 1, (*stacks[0], 3, 3)) + 3 * np.eye(3)
    b = rng.uniform(-1, 1, (*stacks[1], 3, columns))
    whole, upper = np.linalg.solve(a, b), np.linalg.solve(np.triu(a), b)
    a, b = gpugrad.tensor(a), gpugrad.tensor(b)
    np.testing.assert_allclose(linalg.solve(a, b).cpu().numpy(), whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(linalg.solve_triangular(a, b, upper=True).cpu().numpy(), upper, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 40), (2, 40, 35), (2, 35, 40), (300, 300)], ids=str)
def test_sizes_that_cupy_factorizes_in_another_way(shape: tuple[int, ...]) -> None:
    """Above 32 rows or columns a stack is decomposed matrix by matrix, above 256 so is a single one."""
    x = np.random.default_rng(0).normal(size=shape)
    a = gpugrad.tensor(x)
    np.testing.assert_allclose(linalg.svdvals(a).cpu().numpy(), np.linalg.svd(x, compute_uv=False), rtol=1e-10)
    q, r = linalg.qr(a)
    np.testing.assert_allclose((q @ r).cpu().numpy(), x, rtol=0, atol=1e-11)
    if shape[-1] == shape[-2]:
        sign, logarithm = np.linalg.slogdet(x)
        found = linalg.slogdet(a)
        np.testing.assert_allclose([found.sign.item(), found.logabsdet.item()], [sign, logarithm], rtol=1e-10)


def test_a_capture_refuses_what_would_wait_for_the_device() -> None:
    a = gpugrad.eye(3)
    linalg.inv(a)
    graph = gpugrad.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="while a CUDA graph was captured"), gpugrad.cuda.graph(graph):
        linalg.inv(a)
