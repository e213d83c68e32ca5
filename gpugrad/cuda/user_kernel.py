"""`gpugrad.cuda.kernel`: a CUDA C++ kernel of one's own as a differentiable function of tensors.

    @gpugrad.cuda.kernel(SOURCE, forward="swish<T>", backward="swish_grad<T>")
    def swish(x):
        return x * gpugrad.sigmoid(x)

The decorated function is the kernel's meaning, written with gpugrad's functions. It runs wherever the kernel cannot (on
the CPU); it gives the gradient where there is no backward kernel, and gradients of gradients; and `swish.check(x)` holds
the kernel to it. The simulator (GPUGRAD_SIMULATE=1) runs the kernel on a machine without a GPU.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, wrap
from ..device import apart
from ..dtypes import LOW_PRECISION
from ..engine import grad
from ..errors import on_two_devices
from ..function import Function
from ..modes import enable_grad, is_grad_enabled

Launch = Callable[..., tuple[Any, ...]]


def kernel(
    source: str,
    *,
    forward: str,
    backward: str | None = None,
    shape: Callable[..., Any] | None = None,
    threads: Callable[..., int] | None = None,
    block: int = 256,
    shared_mem: int = 0,
) -> Callable[[Callable[..., Any]], Kernel]:
    """Make the decorated function run as the kernel `forward` of `source` on CUDA tensors.

    `source` is CUDA C++; it may include `common.cuh`. In the names `T` stands for the C++ type of the first tensor, so
    that templates take every dtype. The kernel's parameters are, in order: a `const T*` for each positional parameter
    of the function, a `T*` for the result, a number for each keyword-only parameter (`long long` for an int, T, or float
    for half precision, for a float; what has a float as its default is one), and `long long n`, how many threads are
    wanted. Tensors of integers beside floating ones keep their dtype: `const long long*` for int64. `backward` takes, in order: the
    gradient of the result, the inputs, the result, a `T*` for the gradient of each input, the numbers, and n.

    Inputs come contiguous. `shape(*inputs, **numbers)` gives the shape of the result, that of the first input if left
    out; `threads(*inputs, **numbers)` gives n, the number of elements of the result if left out. Launched are blocks of
    `block` threads along x, as many as n takes, with `shared_mem` bytes of dynamic shared memory.

    Calling it raises RuntimeError, with the source line, if the source does not compile, and if the inputs are on two
    devices or of two floating dtypes.
    """

    def decorate(body: Callable[..., Any]) -> Kernel:
        return Kernel(body, source, forward, backward, shape, threads, block, shared_mem)

    return decorate


class Kernel:
    """A function of tensors with a CUDA kernel; see `kernel`."""

    def __init__(
        self,
        body: Callable[..., Any],
        source: str,
        forward: str,
        backward: str | None,
        shape: Callable[..., Any] | None,
        threads: Callable[..., int] | None,
        block: int,
        shared_mem: int,
    ) -> None:
        functools.update_wrapper(self, body)
        parameters = inspect.signature(body).parameters.values()
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
            raise TypeError(f"{body.__name__}: a kernel's parameters are named one by one, not with * or **")
        self.body, self.source, self.forward, self.backward = body, source, forward, backward
        self.shape, self.threads, self.block, self.shared_mem = shape, threads, block, shared_mem
        self.numbers = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self.inputs = len(list(parameters)) - len(self.numbers)
        self.file = f"{inspect.getsourcefile(body) or '<kernel>'}"

    def __call__(self, *inputs: Any, **numbers: Any) -> Any:
        numbers = self._numbers(numbers)
        if len(inputs) != self.inputs or not all(isinstance(x, Tensor) for x in inputs):
            given = ", ".join(type(x).__name__ for x in inputs)
            raise TypeError(f"{self.__name__}() takes {self.inputs} Tensors, then keywords; got ({given})")  # type: ignore[attr-defined]
        if not any(x.is_cuda for x in inputs):
            return self.body(*inputs, **numbers)
        self._check(inputs)
        return _Launched.apply(self, numbers, *inputs)

    def _check(self, inputs: Sequence[Tensor]) -> None:
        """RuntimeError unless the inputs are on one device, and the floating ones of one dtype: the kernel could not tell."""
        first = inputs[0]
        for x in inputs[1:]:
            if apart(first._array, x._array):
                raise on_two_devices(first.device, x.device, self.__name__)  # type: ignore[attr-defined]
            if x.is_floating_point() and first.is_floating_point() and x.dtype != first.dtype:
                raise RuntimeError(
                    f"{self.__name__}(): the inputs must have one floating dtype, that T stands for, but got "  # type: ignore[attr-defined]
                    f"{first.dtype} and {x.dtype}; convert one with .to(dtype)"
                )

    def _numbers(self, given: dict[str, Any]) -> dict[str, Any]:
        unknown = set(given) - set(self.numbers)
        if unknown:
            raise TypeError(f"{self.__name__}() got an unexpected keyword argument {sorted(unknown)[0]!r}")  # type: ignore[attr-defined]
        merged = {**self.numbers, **given}
        missing = [name for name, value in merged.items() if value is inspect.Parameter.empty]
        if missing:
            raise TypeError(f"{self.__name__}() needs the keyword argument {missing[0]!r}")  # type: ignore[attr-defined]
        return {k: float(v) if type(self.numbers[k]) is float else v for k, v in merged.items()}

    def check(self, *inputs: Any, rtol: float = 1e-4, atol: float = 1e-5, **numbers: Any) -> None:
        """Hold the kernels to their meaning at these CUDA tensors: values, and gradients if there is `backward`.

        AssertionError says which differ, and by how much.
        """
        results = []
        for function in (self, self.body):
            leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
            out = function(*leaves, **numbers)
            wanted = [leaf for leaf in leaves if leaf.requires_grad]
            gradients = grad(out.sum(), wanted, allow_unused=True) if self.backward and out.requires_grad else ()
            results.append([out, *gradients])
        names = ["the result", *(f"the gradient of input {i + 1}" for i in range(self.inputs))]
        for name, mine, meant in zip(names, *results):
            if mine is not None and meant is not None:
                a, b = (np.asarray(t.detach().double().cpu().numpy()) for t in (mine, meant))
                np.testing.assert_allclose(a, b, rtol, atol, err_msg=f"{name} of the kernel is not its meaning's")

    def launch(self, name: str, arrays: Sequence[Any], numbers: dict[str, Any], count: int) -> None:
        """Run the kernel called `name` with these arrays, the numbers and `count` threads."""
        from .module import compiled, cuda_name

        if not count:
            return
        (run,) = compiled(self.source, name.replace("<T>", f"<{cuda_name(arrays[0].dtype)}>"))
        dtype = np.dtype(np.float32) if arrays[0].dtype in LOW_PRECISION else arrays[0].dtype
        given = [dtype.type(v) if isinstance(v, float) else np.int64(v) for v in numbers.values()]
        grid = (-(-count // self.block),)
        run(grid, (self.block,), (*arrays, *given, np.int64(count)), self.shared_mem)


class _Launched(Function):
    """One call of a kernel on the tape."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, numbers: dict[str, Any], *inputs: Tensor) -> Tensor:
        from .array import empty
        from .several import where

        inputs = tuple(x.contiguous() for x in inputs)
        first = inputs[0]._array
        shape = tuple(kernel.shape(*inputs, **numbers)) if kernel.shape else first.shape
        with where([x._array for x in inputs], kernel.__name__):  # type: ignore[attr-defined]
            out = wrap(empty(shape, first.dtype))
            count = kernel.threads(*inputs, **numbers) if kernel.threads else out.numel()
            kernel.launch(kernel.forward, [x._array for x in (*inputs, out)], numbers, count)
        ctx.kernel, ctx.numbers, ctx.count = kernel, numbers, count
        ctx.save_for_backward(*inputs, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (g,) = grads
        *inputs, out = ctx.saved_tensors
        kernel = ctx.kernel
        needs = ctx.needs_input_grad[2:]
        if kernel.backward is None or is_grad_enabled():
            return (None, None, *_through_body(kernel, inputs, ctx.numbers, g, needs))
        from .array import empty
        from .several import where

        with where([g._array], kernel.__name__):
            made = [wrap(empty(x._array.shape, x._array.dtype)) for x in inputs]
            arrays = [t._array for t in (g.contiguous(), *inputs, out, *made)]
            kernel.launch(kernel.backward, arrays, ctx.numbers, ctx.count)
        return (None, None, *(m if needed else None for m, needed in zip(made, needs)))


def _through_body(
    kernel: Kernel, inputs: Sequence[Tensor], numbers: Any, g: Tensor, needs: Sequence[bool]
) -> list[Any]:
    """The gradients of the inputs by way of the kernel's meaning; recorded if gradients of gradients are wanted."""
    again = is_grad_enabled()
    with enable_grad():
        given = inputs if again else [x.detach().requires_grad_(n) for x, n in zip(inputs, needs)]
        out = kernel.body(*given, **numbers)
        wanted = [x for x, n in zip(given, needs) if n]
        found = iter(grad(out, wanted, g, create_graph=again, allow_unused=True))
    return [next(found) if n else None for n in needs]


__all__ = ["Kernel", "kernel"]
