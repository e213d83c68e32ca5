"""Kernels of the user's own: differentiable, held to their meaning, and found out where they are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad.autograd import grad

pytestmark = pytest.mark.cuda

LOOP = "const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;"
SQUARE = f"""
template <class T> __global__ void square(const T* x, T* out, T scale, long long n) {{
    {LOOP}
    if (i < n) out[i] = scale * x[i] * x[i];
}}
template <class T> __global__ void square_grad(const T* dy, const T* x, const T* out, T* dx, T scale, long long n) {{
    {LOOP}
    if (i < n) dx[i] = 2 * scale * x[i] * dy[i];
}}
"""


def square(source: str = SQUARE, backward: str | None = "square_grad<T>", forward: str = "square<T>") -> Any:
    @gpugrad.cuda.kernel(source, forward=forward, backward=backward)
    def scaled_square(x: Any, *, scale: float = 1.0) -> Any:
        return scale * x * x

    return scaled_square


@pytest.mark.parametrize("backward", ["square_grad<T>", None])
@pytest.mark.parametrize("dtype", [gpugrad.float32, gpugrad.float64])
@pytest.mark.parametrize("size", [0, 1, 31, 257])
def test_values_and_gradients_to_second_order(device: str, size: int, dtype: Any, backward: str | None) -> None:
    function = square(backward=backward)
    x = gpugrad.linspace(-1, 2, size, dtype=dtype, device=device).requires_grad_()
    y = function(x, scale=3.0)
    (first,) = grad(y.sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x)
    values = x.detach().cpu().numpy()
    np.testing.assert_allclose(y.detach().cpu().numpy(), 3 * values**2, rtol=1e-6)
    np.testing.assert_allclose(first.detach().cpu().numpy(), 6 * values, rtol=1e-6)
    np.testing.assert_allclose(second.cpu().numpy(), np.full(size, 6.0), rtol=1e-6)
    function.check(x, scale=3.0)


def test_the_meaning_runs_on_the_cpu() -> None:
    x = gpugrad.tensor([2.0], requires_grad=True)
    square()(x).sum().backward()
    assert x.grad is not None and x.grad.item() == 4.0


@pytest.mark.parametrize(
    ("was", "becomes", "what"),
    [("scale * x[i] * x[i]", "x[i]", "the result"), ("2 * scale", "scale", "the gradient of input 1")],
)
def test_a_wrong_kernel_is_found_by_check(device: str, was: str, becomes: str, what: str) -> None:
    with pytest.raises(AssertionError, match=f"{what} of the kernel is not its meaning's"):
        square(SQUARE.replace(was, becomes)).check(gpugrad.linspace(1, 2, 5, device=device))


def test_a_kernel_that_does_not_compile_shows_its_line(device: str) -> None:
    with pytest.raises(RuntimeError, match=r"out\[i\] = scale \* y\[i\]"):
        square(SQUARE.replace("scale * x[i] * x[i]", "scale * y[i]"))(gpugrad.ones(2, device=device))


def test_a_call_that_does_not_fit(device: str) -> None:
    x = gpugrad.ones(2, device=device)
    with pytest.raises(TypeError, match=r"scaled_square\(\) takes 1 Tensors, then keywords; got \(Tensor, Tensor\)"):
        square()(x, x)
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        square()(x, size=2)


PRODUCT = f"""
template <class T> __global__ void product(const T* x, const T* y, T* out, long long n) {{
    {LOOP}
    if (i < n) out[i] = x[i] * y[i];
}}
template <class T> __global__ void picked(const T* x, const long long* at, T* out, long long n) {{
    {LOOP}
    if (i < n) out[i] = x[at[i]];
}}
"""


def test_inputs_that_the_kernel_could_not_tell_apart(device: str) -> None:
    @gpugrad.cuda.kernel(PRODUCT, forward="product<T>")
    def product(x: Any, y: Any) -> Any:
        return x * y

    @gpugrad.cuda.kernel(PRODUCT, forward="picked<T>", shape=lambda x, at: at.shape)
    def picked(x: Any, at: Any) -> Any:
        return x[at]

    x = gpugrad.arange(3.0, device=device)
    with pytest.raises(
        RuntimeError, match=r"at least two devices, cuda:0 and cpu! \(when checking arguments for product"
    ):
        product(x, gpugrad.ones(3))
    with pytest.raises(
        RuntimeError, match=r"product\(\): the inputs must have one floating dtype.*float32 and .*float64"
    ):
        product(x, x.double())
    assert picked(x, gpugrad.tensor([2, 0], device=device)).tolist() == [2.0, 0.0]


def test_a_number_is_what_its_default_is(device: str) -> None:
    assert square()(gpugrad.ones(2, device=device), scale=3).tolist() == [3.0, 3.0]


def test_a_shape_and_threads_of_its_own(device: str) -> None:
    source = """
    __global__ void row_sums(const float* x, float* out, long long cols, long long n) {
        const long long row = blockIdx.x * blockDim.x + threadIdx.x;
        if (row >= n) return;
        float total = 0;
        for (long long c = 0; c < cols; ++c) total += x[row * cols + c];
        out[row] = total;
    }"""

    @gpugrad.cuda.kernel(source, forward="row_sums", shape=lambda x, cols: x.shape[:1], block=32)
    def row_sums(x: Any, *, cols: int) -> Any:
        return x.sum(1)

    x = gpugrad.arange(12, dtype=gpugrad.float32, device=device).reshape(3, 4).requires_grad_()
    y = row_sums(x, cols=4)
    y.sum().backward()
    assert y.tolist() == [6.0, 22.0, 38.0] and x.grad is not None and x.grad.tolist() == [[1.0] * 4] * 3
