"""CUDA graphs, with PyTorch's interface: work captured once, then replayed over the same memory without Python.

    g = gpugrad.cuda.CUDAGraph()
    with gpugrad.cuda.graph(g):
        y = model(x)
    x.copy_(other); g.replay()          # y now holds model(other)

Run the work a few times before capturing it, so that kernels are compiled and optimizers have their state. Arrays made
inside live in a memory pool of the graph's own. What the host would have to wait for is refused inside, by name. Python
numbers, and 0-d CPU tensors that stand beside CUDA tensors, are baked in: a replay has the values of the capture.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..autograd import Function, grad
from ..core import Tensor
from ..ops.create import ones_like
from . import array, backend
from .module import current_device
from .streams import Stream

cp = backend.cupy()


def is_current_stream_capturing() -> bool:
    """Whether work is being captured."""
    return array.capturing


class CUDAGraph:
    """Captured work: `capture_begin`, `capture_end` (or `with graph(g)`), then `replay` as often as wanted."""

    def __init__(self, keep_graph: bool = False) -> None:
        self._pool: Any = None
        self._made: Any = None
        self._stream: Any = None
        self._leave: Any = None

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        """Capture what is submitted to the current stream from here on; RuntimeError on the default stream.

        `pool`: that of another graph (`other.pool()`), whose memory this one may use again.
        """
        _refuse_nested()
        self._stream = cp.cuda.get_current_stream()
        if self._stream.ptr == 0:
            raise RuntimeError(
                "CUDA graphs must be captured on a non-default stream; use `with gpugrad.cuda.graph(g)`, which makes one"
            )
        self._pool = pool if pool is not None else graph_pool_handle()
        self._leave = array.allocating_from(self._pool)
        self._leave.__enter__()
        self._stream.begin_capture()
        array.capturing = True

    def capture_end(self) -> None:
        """End the capture; the graph can be replayed from here on."""
        try:
            self._made = self._stream.end_capture()
        finally:
            array.capturing = False
            self._leave.__exit__(None, None, None)
        self._made.upload(self._stream)

    def replay(self) -> None:
        """Do the captured work once more, in the current stream."""
        if self._made is None:
            raise RuntimeError("Called CUDAGraph.replay without a preceding successful capture.")
        self._made.launch(cp.cuda.get_current_stream())

    def reset(self) -> None:
        """Forget the captured work and its memory."""
        self._made = self._pool = None

    def pool(self) -> Any:
        """The graph's memory pool, for `capture_begin(pool=...)` of another graph."""
        return self._pool


def _refuse_nested() -> None:
    if array.capturing:
        raise RuntimeError("a graph is being captured already; captures do not nest")


def graph_pool_handle() -> Any:
    """A memory pool for graphs."""
    return None if backend.simulated() else cp.cuda.MemoryPool()  # a simulated graph keeps its arrays by itself


class graph:
    """`with graph(g): ...` captures the work inside into the CUDAGraph `g`, on a stream of its own."""

    _streams: ClassVar[dict[int, Stream]] = {}  # to capture on, by device

    def __init__(
        self, cuda_graph: CUDAGraph, pool: Any = None, stream: Any = None, capture_error_mode: str = "global"
    ) -> None:
        if stream is None:
            device = current_device()
            stream = graph._streams.get(device) or graph._streams.setdefault(device, Stream())
        self.cuda_graph, self._pool, self.stream = cuda_graph, pool, stream
        self._collecting = False

    def __enter__(self) -> None:
        _refuse_nested()
        cp.cuda.runtime.deviceSynchronize()
        gc.collect()
        self._collecting = gc.isenabled()
        gc.disable()  # a module unloaded in the middle would wait for the device
        self.stream.__enter__()
        try:
            self.cuda_graph.capture_begin(self._pool)
        except BaseException:
            self._restore()
            raise

    def __exit__(self, *exc: object) -> None:
        try:
            self.cuda_graph.capture_end()
        except Exception:
            if exc[0] is None:  # else the error inside is the one to show
                raise
        finally:
            self._restore()

    def _restore(self) -> None:
        self.stream.__exit__(None, None, None)
        if self._collecting:
            gc.enable()


# ---- callables whose forward and backward are graphs ----


def make_graphed_callables(
    callables: Any,
    sample_args: Any,
    num_warmup_iters: int = 3,
    allow_unused_input: bool = False,
    pool: Any = None,
) -> Any:
    """`callables` (a Module or function of tensors, or a tuple of them) as graphs: one for forward, one for backward.

    `sample_args` are tensors (or a tuple of tuples) of the shapes and dtypes that later calls will have. A Module is
    returned itself, its `forward` replaced. TypeError for arguments that are no tensors.
    """
    several = isinstance(callables, tuple)
    made = []
    for function, args in zip(callables if several else (callables,), sample_args if several else (sample_args,)):
        args = args if isinstance(args, tuple) else (args,)
        if not all(isinstance(a, Tensor) for a in args):
            raise TypeError("make_graphed_callables(): sample_args must be Tensors")
        made.append(_graphed(function, args, num_warmup_iters, allow_unused_input, pool))
    return tuple(made) if several else made[0]


def _graphed(function: Any, args: tuple[Any, ...], warmups: int, allow_unused: bool, pool: Any) -> Any:
    parameters = tuple(function.parameters()) if hasattr(function, "parameters") else ()
    inputs = tuple(a.detach().clone().requires_grad_(a.requires_grad) for a in args)
    call = function.forward if hasattr(function, "forward") else function
    steps = _Steps(call, inputs, parameters, allow_unused)
    side = Stream()
    with side:
        for _ in range(warmups):
            outputs, _ = steps.forward()
            steps.backward(outputs, _cotangents(outputs))
    side.synchronize()
    forward, backward = CUDAGraph(), CUDAGraph()
    with graph(forward, pool):
        outputs, single = steps.forward()
    cotangents = _cotangents(outputs)  # made outside: the graph reads them, and must not fill them
    with graph(backward, forward.pool()):
        grads = steps.backward(outputs, cotangents)
    apply = _function(steps, forward, backward, outputs, cotangents, grads)

    def graphed(*given: Tensor) -> Any:
        results = apply(*given, *parameters)
        return results if not single else results[0] if isinstance(results, tuple) else results

    if not hasattr(function, "parameters"):
        return graphed
    function.forward = graphed
    return function


class _Steps:
    """The two pieces of work that are captured."""

    def __init__(self, call: Callable[..., Any], inputs: Any, parameters: Any, allow_unused: bool) -> None:
        self.call, self.inputs, self.parameters, self.allow_unused = call, inputs, parameters, allow_unused
        self.wanted = tuple(t for t in (*inputs, *parameters) if t.requires_grad)

    def forward(self) -> tuple[tuple[Tensor, ...], bool]:
        made = self.call(*self.inputs)
        single = isinstance(made, Tensor)
        return ((made,) if single else tuple(made)), single

    def backward(self, outputs: tuple[Tensor, ...], cotangents: tuple[Tensor, ...]) -> tuple[Any, ...]:
        if not cotangents or not self.wanted:
            return (None,) * len(self.wanted)
        roots = tuple(o for o in outputs if o.requires_grad)
        return grad(roots, self.wanted, cotangents, allow_unused=self.allow_unused)


def _cotangents(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Ones like each output that has a gradient: the memory that gradients are copied to before a replay."""
    return tuple(ones_like(o.detach()) for o in outputs if o.requires_grad)


def _function(
    steps: _Steps, forward: CUDAGraph, backward: CUDAGraph, outputs: Sequence[Tensor], cotangents: Any, grads: Any
) -> Callable[..., Any]:
    """A `Function` that replays the two graphs over their own memory."""
    tensors = (*steps.inputs, *steps.parameters)

    class Graphed(Function):
        @staticmethod
        def forward(ctx: Any, *given: Tensor) -> Any:
            for static, fresh in zip(steps.inputs, given):
                if static is not fresh:
                    static.detach().copy_(fresh)
            forward.replay()
            made = tuple(o.detach().clone() for o in outputs)
            ctx.mark_non_differentiable(*(m for m, o in zip(made, outputs) if not o.requires_grad))
            return made

        @staticmethod
        def backward(ctx: Any, *given: Any) -> Any:
            wanted = [g for g, o in zip(given, outputs) if o.requires_grad]
            for static, fresh in zip(cotangents, wanted):
                static.copy_(fresh)
            backward.replay()
            found = iter(grads)
            results = [next(found) if t.requires_grad else None for t in tensors]
            return tuple(r if r is None else r.clone() for r in results)

    return Graphed.apply
