"""Errors and odd behaviour of matrix products, einsum and linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpugrad


def ones(*shape: int, dtype: Any = None) -> Any:
    return gpugrad.ones(shape, dtype=dtype)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ones(2, 3) @ ones(4, 5), "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
        (lambda: gpugrad.matmul(ones(), ones(3)), "both arguments to matmul need to be at least 1D"),
        (lambda: ones(2, 3) @ ones(3, 2, dtype=gpugrad.float64), "to have the same dtype"),
        (lambda: gpugrad.mm(ones(2), ones(2, 2)), "argument 'input' must have 2 dimensions, got 1"),
        (lambda: gpugrad.bmm(ones(2, 3, 4), ones(3, 4, 5)), "batch sizes differ"),
        (lambda: gpugrad.dot(ones(2), ones(3)), "inconsistent tensor size"),
        (lambda: gpugrad.tensordot(ones(2, 3), ones(2, 3), 1), "contracted dimensions need to match"),
        (lambda: gpugrad.trace(ones(2)), "expected a matrix"),
        (lambda: gpugrad.chain_matmul(ones(2, 3), ones(2, 3)), "cannot be multiplied"),
        (lambda: gpugrad.cdist(ones(2, 3), ones(2, 4)), "same number of columns"),
        (lambda: gpugrad.linalg.cross(ones(2), ones(2)), "must have length 3"),
    ],
)
def test_products_of_shapes_that_do_not_fit_say_so(call: Any, message: str) -> None:
    with pytest.raises(RuntimeError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x @ 3, "argument 'other' (position 2) must be Tensor, not int"),
        (lambda x: [1.0] @ x, "argument 'input' (position 1) must be Tensor, not list"),
    ],
)
def test_what_is_no_tensor_is_not_multiplied(call: Any, message: str) -> None:
    with pytest.raises(TypeError) as error:
        call(ones(2, 2))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3), (4, 5)], "does not broadcast with previously seen size 3"),
        ("ij,jk->ik", [(2, 3)], "fewer operands were provided"),
        ("ij->ij", [(2, 3), (2, 3)], "more operands were provided"),
        ("ijk->ijk", [(2, 3)], "does not match the number of dimensions (2) for operand 0"),
        ("ij->ik", [(2, 3)], "output subscript k does not appear"),
        ("ij->ii", [(2, 3)], "output subscript i appears more than once"),
        ("i1->i", [(2, 3)], "invalid subscript"),
        ("ii->i", [(2, 3)], "the sizes don't match, 3 != 2"),
    ],
)
def test_einsum_says_what_is_wrong_with_an_equation(
    equation: str, shapes: list[tuple[int, ...]], message: str, torch: Any
) -> None:
    with pytest.raises(RuntimeError) as error:
        gpugrad.einsum(equation, *(ones(*s) for s in shapes))
    assert message in str(error.value)
    with pytest.raises(RuntimeError):
        torch.einsum(equation, *(torch.ones(s) for s in shapes))


def test_einsum_sums_over_an_ellipsis_that_the_output_lacks(torch: Any) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    ours = gpugrad.einsum("...i->i", gpugrad.from_numpy(x))
    np.testing.assert_array_equal(ours.numpy(), torch.einsum("...i->i", torch.from_numpy(x)).numpy())


def test_einsum_never_shares_memory_with_its_operand() -> None:
    x = gpugrad.ones(2, 3)
    for equation in ("ij->ij", "ij->ji"):
        assert not np.may_share_memory(gpugrad.einsum(equation, x).numpy(), x.numpy())


def test_a_chain_is_multiplied_in_the_cheapest_order() -> None:
    from gpugrad.ops.linalg_products import _cheapest_splits

    splits = _cheapest_splits([30, 35, 15, 5, 10, 20, 25])  # the example of Cormen et al., 15.2
    assert (splits[0, 5], splits[0, 2], splits[3, 5]) == (2, 0, 4)


@pytest.mark.parametrize("name", ["inv", "solve", "slogdet", "cholesky"])
def test_a_stack_is_as_good_as_its_matrices(name: str) -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(-1, 1, (2, 4, 3, 3))
    a = gpugrad.from_numpy(a @ a.swapaxes(-1, -2) + np.eye(3))
    function = getattr(gpugrad.linalg, name)
    call = (lambda x: function(x, x)) if name == "solve" else function
    whole, part = call(a), call(a[1, 2])
    for w, p in zip(whole, part) if isinstance(whole, tuple) else [(whole, part)]:
        np.testing.assert_allclose(w[1, 2].numpy(), p.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: gpugrad.linalg.inv(a), "linalg.inv: .*singular"),
        (lambda a: gpugrad.linalg.solve(a, ones(2, 1)), "linalg.solve: .*singular"),
        (lambda a: gpugrad.linalg.solve_triangular(a, ones(2, 1), upper=True), "solve_triangular: .*singular"),
        (lambda a: gpugrad.linalg.cholesky(a), "not positive-definite"),
        (lambda a: gpugrad.linalg.svd(a / a), "failed to converge"),
    ],
)
def test_matrices_without_an_answer_raise_linalg_error(call: Any, message: str) -> None:
    with pytest.raises(gpugrad.linalg.LinAlgError, match=message):
        call(gpugrad.zeros(2, 2))


def test_linalg_error_is_a_runtime_error() -> None:
    assert issubclass(gpugrad.linalg.LinAlgError, RuntimeError)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gpugrad.linalg.inv(ones(2, 3)), "batches of square matrices, but they are 2 by 3 matrices"),
        (lambda: gpugrad.linalg.inv(ones(2)), "at least 2 dimensions"),
        (lambda: gpugrad.linalg.inv(ones(2, 2, dtype=gpugrad.int64)), "Expected a floating point tensor"),
        (lambda: gpugrad.linalg.inv(ones(2, 2, dtype=gpugrad.float16)), "Low precision dtypes not supported"),
        (lambda: gpugrad.linalg.solve(gpugrad.eye(2), ones(3, 1)), "Incompatible shapes of A and B"),
        (lambda: gpugrad.linalg.qr(ones(2, 2), "full"), "unrecognized mode 'full'"),
        (lambda: gpugrad.linalg.eigh(ones(2, 2), "X"), "'L' or 'U', but got X"),
        (lambda: gpugrad.linalg.matrix_norm(ones(2, 2), 3), "Order 3 not supported"),
        (lambda: gpugrad.linalg.matrix_norm(ones(2)), "at least 2 dimensions"),
        (lambda: gpugrad.linalg.vector_norm(ones(0), float("inf")), "does not have an identity"),
        (lambda: gpugrad.linalg.vector_norm(ones(2, dtype=gpugrad.int64)), "Expected a floating point tensor"),
        (lambda: gpugrad.linalg.norm(ones(2, 2, 2), 2), "must be 1D or 2D. Got 3D"),
        (lambda: gpugrad.linalg.lstsq(ones(2, 2), ones(3, 1)), "size(-2) should match"),
        (lambda: gpugrad.linalg.lstsq(ones(2, 2), ones(2, 1), driver="x"), "should be one of gels"),
    ],
)
def test_bad_arguments_are_runtime_errors(call: Any, message: str) -> None:
    with pytest.raises(RuntimeError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("mode", "message"), [("complete", "not differentiable when mode='complete'"), ("r", "depends on Q")]
)
def test_qr_without_a_derivative_says_so(mode: str, message: str) -> None:
    a = gpugrad.tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    with pytest.raises(RuntimeError, match=message):
        gpugrad.linalg.qr(a, mode)[1].sum().backward()


def test_svd_vectors_of_full_matrices_have_no_derivative() -> None:
    a = gpugrad.tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    with pytest.raises(RuntimeError, match="full_matrices=True"):
        gpugrad.linalg.svd(a)[0].sum().backward()


@pytest.mark.parametrize("name", ["eig", "eigvals"])
def test_complex_eigenvalues_are_refused(name: str) -> None:
    with pytest.raises(NotImplementedError, match="complex numbers are not supported"):
        getattr(gpugrad.linalg, name)(gpugrad.eye(2))


def test_the_determinant_of_a_singular_matrix_has_its_cofactors_as_gradient() -> None:
    a = gpugrad.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    gpugrad.det(a).backward()
    np.testing.assert_allclose(a.grad.numpy(), [[4, -2], [-2, 1]], rtol=1e-5)


def test_a_norm_at_zero_has_a_gradient_of_zero() -> None:
    x = gpugrad.zeros(3, requires_grad=True)
    x.norm().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros(3))


def test_out_is_written_and_refused_while_recording() -> None:
    out = gpugrad.empty(2, 2)
    a = gpugrad.eye(2) * 2
    assert gpugrad.linalg.inv(a, out=out) is out
    np.testing.assert_array_equal(out.numpy(), np.eye(2) / 2)
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        gpugrad.linalg.inv(a.requires_grad_(), out=out)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies_and_shifts_are_torchs(n: int, torch: Any) -> None:
    np.testing.assert_array_equal(gpugrad.fft.fftfreq(n, 0.5).numpy(), torch.fft.fftfreq(n, 0.5).numpy())
    np.testing.assert_array_equal(gpugrad.fft.rfftfreq(n, 0.5).numpy(), torch.fft.rfftfreq(n, 0.5).numpy())
    x = np.arange(2.0 * n).reshape(2, n)
    for name in ("fftshift", "ifftshift"):
        for dim in (None, 1, (0, -1)):
            ours = getattr(gpugrad.fft, name)(gpugrad.from_numpy(x), dim)
            theirs = getattr(torch.fft, name)(torch.from_numpy(x), dim)
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "fft2", "irfftn", "hfft"])
def test_transforms_say_that_complex_numbers_are_missing(name: str) -> None:
    with pytest.raises(NotImplementedError, match="complex numbers are not supported"):
        getattr(gpugrad.fft, name)(ones(4))


def test_fft_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fast'"):
        gpugrad.fft.fast  # noqa: B018 (reading it is the test)
