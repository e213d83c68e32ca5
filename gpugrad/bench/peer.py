"""A peer, in its own process: a library on a device, and one way to run it.

`gpugrad` and `torch` run op by op. `.compile` is `torch.compile`, `.reduce-overhead` the same with that mode, which replays
CUDA graphs of its own, `.graph` a step captured once as a CUDA graph and replayed, and `jax.jit` is JAX, compiled by
`jax.jit`. float32 is float32 for all of them: no TF32.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from . import clock
from .case import Case, Step
from .machine import version

PEERS = ("gpugrad", "gpugrad.graph", "torch", "torch.compile", "torch.reduce-overhead", "torch.graph", "jax.jit")
ALIASES = {"jax": "jax.jit"}
COMPILED = {"compile": None, "reduce-overhead": "reduce-overhead"}  # the modes of torch.compile
WARM_UP = 3  # runs before a capture: kernels are compiled, optimizers get their state


@functools.lru_cache(maxsize=32)
def _normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@functools.lru_cache(maxsize=32)
def _integers(high: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape)


def forget_numbers() -> None:
    """Give back the memory of inputs already made."""
    _normal.cache_clear()
    _integers.cache_clear()


class Peer:
    """What a case is built with: the library's module, and inputs with the same numbers for every peer.

    Built anew, or after `begin_set`, it draws the same numbers again, and what was compiled or given weights is used
    again. `bytes` counts those of the inputs.
    """

    def __init__(self, name: str, device: str = "cpu", dtype: str = "float32") -> None:
        self.name = name
        self.library, _, self.variant = name.partition(".")
        self.device = device
        self.module = importlib.import_module(self.library)
        self.torch = self.module
        self.dtype = getattr(self.module, dtype, None)
        if self.library == "torch":
            self.module.backends.cudnn.allow_tf32 = False  # what it does with products it does by itself
        if self.variant in COMPILED:
            self.module.compiler.reset()  # it gives up on code that it has compiled for many shapes
        self.bytes = self._drawn = 0
        self._kept: list[Any] = []
        self._asked = 0

    def begin_set(self) -> None:
        """The next inputs are new copies of the same numbers."""
        self._drawn = self._asked = 0

    def once(self, make: Callable[[], Any]) -> Any:
        """What `make()` returns; in later sets what it returned in the first, where it was asked for at the same point."""
        if self._asked == len(self._kept):
            self._kept.append(make())
        self._asked += 1
        return self._kept[self._asked - 1]

    def normal(self, *shape: int) -> Any:
        """Standard normal numbers in the peer's dtype, on its device."""
        return self._put(_normal(shape, self._count()), floating=True)

    def ones(self, *shape: int) -> Any:
        """Ones, likewise."""
        return self._put(np.ones(shape, dtype=np.float32), floating=True)

    def integers(self, high: int, *shape: int) -> Any:
        """int64 numbers from 0 to below `high`, on the peer's device."""
        return self._put(_integers(high, shape, self._count()), floating=False)

    def _count(self) -> int:
        self._drawn += 1
        return self._drawn

    def _put(self, array: np.ndarray, *, floating: bool) -> Any:
        tensor = self.torch.from_numpy(array.copy())
        tensor = tensor.to(self.device, self.dtype) if floating else tensor.to(self.device)
        self.bytes += tensor.numel() * tensor.element_size()
        return tensor

    def on_host(self, tensor: Any) -> Any:
        """The same values in ordinary host memory."""
        return tensor.detach().cpu()

    def place(self, model: Callable[[Any], Any]) -> Any:
        """`model(nn)`, made on the CPU from seed 0, so with the same parameters everywhere, and moved to the device."""

        def make() -> Any:
            self.torch.manual_seed(0)
            return model(self.torch.nn).to(self.device, self.dtype)

        return self.once(make)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` as this variant runs it."""
        return self.once(lambda: self._compiled(function) if self.variant in COMPILED else function)

    def _compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        mode = COMPILED[self.variant]
        run: Callable[..., Any] = self.torch.compile(function, mode=mode)
        if mode is None:
            return run

        def step(*inputs: Any) -> Any:
            self.torch.compiler.cudagraph_mark_step_begin()  # results of the step before may be overwritten
            return run(*inputs)

        return step

    def build(self, case: Case, n: int) -> Step:
        """The step to time; captured as a CUDA graph if the variant says so."""
        step = case.build(self, n)
        return self._captured(step) if self.variant == "graph" else step

    def _captured(self, step: Step) -> Step:
        cuda = self.torch.cuda
        aside = cuda.Stream()
        aside.wait_stream(cuda.current_stream())
        with cuda.stream(aside):
            for _ in range(WARM_UP):
                step()
        cuda.current_stream().wait_stream(aside)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph, stream=aside):  # where what the warm-up left behind belongs
            results = step()

        def replay(inputs_stay: Any = step) -> Any:  # a graph does not own the memory it reads
            graph.replay()
            return results

        return replay

    def clock(self, case: Case) -> clock.Clock:
        """How a step of the case is timed."""
        if self.device == "cpu":
            return clock.on_the_cpu
        if case.by_wall_clock:
            return clock.until_done(lambda _: self.torch.cuda.synchronize())
        return clock.between_events(self.torch)

    def to_numpy(self, tensor: Any) -> np.ndarray:
        """Values in float64, or integers as they are."""
        tensor = tensor.detach().cpu()
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()

    def facts(self) -> dict[str, Any]:
        """Version and devices of the library."""
        found: dict[str, Any] = {"version": version(self.library), "devices": {"cpu": "CPU"}}
        cuda = getattr(self.module, "cuda", None)
        if cuda is not None and cuda.is_available():
            properties = cuda.get_device_properties(0)
            found["devices"]["cuda"] = properties.name
            found["cuda"] = {
                "memory": properties.total_memory,
                "processors": properties.multi_processor_count,
                "cache": properties.L2_cache_size,
            }
        return found


def warm_up(name: str) -> int:
    """How many runs of a step go before the first whose results are seen."""
    return WARM_UP if name.endswith(".graph") else 0


def missing(name: str) -> str | None:
    """Why a peer cannot be run at all, with what to install; None if it can."""
    library = name.partition(".")[0]
    if importlib.util.find_spec(library) is None:
        return f"{library} is not installed (pip install {library})"
    return None


def make_peer(name: str, device: str, dtype: str) -> Peer:
    """The peer of this name."""
    if name == "jax.jit":
        from .cases_jax import JaxPeer

        return JaxPeer(name, device, dtype)
    return Peer(name, device, dtype)
