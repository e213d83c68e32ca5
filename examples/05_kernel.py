"""A CUDA kernel of one's own becomes a differentiable function.

Without a GPU, run it with GPUGRAD_SIMULATE=1: the simulator executes the kernel and checks every access.
"""

import gpugrad

SOURCE = r"""
template <class T> __global__ void swish(const T* x, T* out, T beta, long long n) {
    const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] / (1 + exp(-beta * x[i]));
}

template <class T> __global__ void swish_grad(const T* dy, const T* x, const T* out, T* dx, T beta, long long n) {
    const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < n) {
        const T s = 1 / (1 + exp(-beta * x[i]));
        dx[i] = dy[i] * (s + beta * out[i] * (1 - s));
    }
}
"""


@gpugrad.cuda.kernel(SOURCE, forward="swish<T>", backward="swish_grad<T>")
def swish(x, *, beta=1.0):
    """The kernel's meaning: it runs on the CPU, gives second derivatives, and checks the kernel."""
    return x * gpugrad.sigmoid(beta * x)


device = "cuda" if gpugrad.cuda.is_available() else "cpu"
x = gpugrad.linspace(-3, 3, 7, device=device, requires_grad=True)
y = swish(x, beta=2.0)
y.sum().backward()
print(y)
print(x.grad)

if device == "cuda":
    swish.check(gpugrad.randn(1000, device=device), beta=0.5)
    print("the kernel and its meaning agree")
