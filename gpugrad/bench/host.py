"""What the host does for an op on the CUDA device, with allocation and launch left out: `python -m gpugrad.bench.host`.

The arrays are stand-ins of CuPy's whose attributes cost what attributes cost; a new one is one that was made before, and
a launch does nothing. So what is timed is gpugrad's own way from a call to a launch, beside the same ops on the CPU with
NumPy's work in them. Needs no GPU and no CuPy.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from math import prod
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

SHAPE = (4, 4)


class Row(NamedTuple):
    """Microseconds of an op: on the CPU and on the device, forward and backward."""

    name: str
    forward: tuple[float, float]
    backward: tuple[float, float]


class StandIn:
    """`cupy.ndarray` without memory: a new one of a shape and dtype is the one that was made before."""

    __slots__ = ("base", "data", "dtype", "flags", "itemsize", "nbytes", "ndim", "shape", "size", "strides")
    made: dict[Any, Any] = {}  # noqa: RUF012

    def __new__(cls, shape: Any, dtype: Any) -> Any:
        found = StandIn.made.get((shape, dtype))
        if found is None:
            found = StandIn.made[shape, dtype] = object.__new__(cls)
            found._lay_out(tuple(shape), np.dtype(dtype))
        return found

    def _lay_out(self: Any, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype, self.itemsize, self.ndim = shape, dtype, dtype.itemsize, len(shape)
        self.size, self.base = prod(shape), None
        self.nbytes = self.size * self.itemsize
        self.strides = tuple(prod(shape[d + 1 :]) * self.itemsize for d in range(self.ndim))
        self.data = SimpleNamespace(ptr=1 << 20, device_id=0, mem=object())
        self.flags = SimpleNamespace(c_contiguous=True, f_contiguous=self.ndim < 2)

    def copy(self, order: str = "C") -> Any:
        return self

    def reshape(self, shape: Any, order: str = "C") -> Any:
        return type(self)(tuple(shape), self.dtype)

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        return self


class Module:
    """`cupy.RawModule` whose kernels do nothing."""

    def __init__(self, **options: Any) -> None:
        self.kernel = lambda *launch, **options: None

    def get_function(self, name: str) -> Any:
        """Any kernel."""
        return self


def _as_stand_in(array: np.ndarray) -> Any:
    from ..cuda.array import DeviceArray

    return DeviceArray(array.shape, array.dtype)


def prepare() -> None:
    """Put the stand-ins in CuPy's place, for good: the device cannot be used for anything else in this process."""
    from ..cuda import backend, simulator

    if backend.is_ready():
        raise RuntimeError("the CUDA device is in use in this process: run python -m gpugrad.bench.host")
    os.environ["GPUGRAD_SIMULATE"] = "1"
    simulator.ndarray = StandIn  # type: ignore[assignment,misc]
    simulator.RawModule = Module  # type: ignore[assignment,misc]
    simulator.asarray = _as_stand_in
    backend.require()


def cases(gpugrad: Any, device: str) -> dict[str, Callable[[], Any]]:
    """Ops on small tensors, each a call of no arguments."""
    x, y, row = (gpugrad.ones(*s).to(device).requires_grad_() for s in (SHAPE, SHAPE, SHAPE[1:]))
    return {
        "x * y": lambda: x * y,
        "x + row": lambda: x + row,
        "x * 2": lambda: x * 2.0,
        "exp(x)": lambda: gpugrad.exp(x),
        "relu(x)": lambda: gpugrad.relu(x),
        "x.sum(1)": lambda: x.sum(1),
        "softmax(x)": lambda: gpugrad.softmax(x, 1),
    }


def best(work: Callable[[], Any], calls: int = 200, rounds: int = 15) -> float:
    """Microseconds of the processor that a call takes: the least of several rounds, which others disturb least."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(calls):
            work()
        found.append((time.process_time() - began) / calls)
    return 1e6 * min(found)


def measure() -> list[Row]:
    """A row for each case. Backward is `out.backward(g)`, which adds to the gradients that the leaves have."""
    import gpugrad

    there, rows = cases(gpugrad, "cuda"), []
    for name, here in cases(gpugrad, "cpu").items():
        times = []
        for work in (here, there[name]):
            out = work()
            g = out.detach()

            def both(work: Any = work, g: Any = g) -> None:
                work().backward(g)

            both()
            forward = best(work)
            times.append((forward, best(both) - forward))
        (cpu_forward, cpu_backward), (forward, backward) = times
        rows.append(Row(name, (cpu_forward, forward), (cpu_backward, backward)))
    return rows


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| op | forward: CPU | device | ratio | backward: CPU | device | ratio |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = [f"{a:.1f} us | {b:.1f} us | {b / a:.1f}" for a, b in (row.forward, row.backward)]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print the table."""
    prepare()
    print(table(measure()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
