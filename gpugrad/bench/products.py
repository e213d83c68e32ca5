"""Matrix products through gpugrad's wrapper, to be timed beside torch.matmul: dtypes, sizes, stacks, transposed operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .kernel_cases import Case, Place

ROWS, COLUMNS = 8, 64  # of each matrix of results that is checked

Shapes = tuple[tuple[int, ...], tuple[int, ...]]


class Product:
    """`x @ y` on a device."""

    def __init__(self, place: Place, x: Any, y: Any) -> None:
        self.place, self.x, self.y = place, x, y

    def __call__(self) -> Any:
        return self.x @ self.y

    def error(self) -> float:
        """How far results spread over all of it are from float64 on the host, relative to the largest."""
        rows, columns = self._some(self.x.shape[-2], ROWS), self._some(self.y.shape[-1], COLUMNS)
        right = _exact(self.x[..., rows, :]) @ _exact(self.y[..., columns])
        found = _exact(self()[..., rows, :][..., columns])
        return float(np.abs(found - right).max() / np.abs(right).max())

    def _some(self, size: int, count: int) -> Any:
        """Places from the first to the last."""
        places = np.unique(np.linspace(0, size - 1, count).astype(np.int64))
        return self.place.torch.from_numpy(places).to(self.place.device)

    def path(self) -> str:
        """What computes it for gpugrad."""
        if self.place.device == "cpu":
            return "NumPy"
        from ..cuda import gemm

        return gemm.computed_by(self.x._array, self.y._array)


def _exact(x: Any) -> np.ndarray:
    found: np.ndarray = x.double().cpu().numpy()
    return found


def _side(n: int) -> int:
    return max(8, int((n / 4) ** 0.5) // 8 * 8)


def _square(side: int) -> Shapes:
    return (side, side), (side, side)


def _stack(side: int) -> Shapes:
    return (64, side, side), (64, side, side)


def _layer(side: int) -> Shapes:
    """That of a layer of 784 to 512 numbers with 128 rows, at a side of 512."""
    return (side // 4, 784), (784, side)


def _uneven(side: int) -> Shapes:
    """No dimension is a multiple of two."""
    return (side - 1, side + 1), (side + 1, side - 3)


def _case(dtype: str, side: int, of: Callable[[int], Shapes] = _square, what: str = "", turned: str = "") -> Case:
    """A product of these shapes, called `what`; `turned` names the operand that is read transposed."""
    stored = "float32" if dtype == "tf32" else dtype

    def build(place: Place, n: int) -> Product:
        operands = []
        for name, shape in zip("xy", of(_side(n))):
            lying = (*shape[:-2], shape[-1], shape[-2]) if name == turned else shape
            drawn = place.random(*lying, dtype=stored)
            operands.append(drawn.mT if name == turned else drawn)
        return Product(place, *operands)

    def flops(n: int) -> float:
        x, y = of(_side(n))
        return 2.0 * np.prod(x) * y[-1]

    name = f"matmul, {dtype.replace('tf32', 'TF32')}, {what or side}" + (f", {turned} transposed" if turned else "")
    return Case("gemm", name, 0, build, flops, dtype, 4 * side * side, check=Product.error, path=Product.path)


# What is looked at most comes first: the clock may cut off the end.
PRODUCTS = (
    *[_case(dtype, side) for side in (4096, 8192, 1024, 256) for dtype in ("float32", "tf32", "bfloat16")],
    *[_case(dtype, 4096, turned=turned) for dtype in ("float32", "tf32", "bfloat16") for turned in "yx"],
    *[_case(dtype, 512, _stack, "64 of 512") for dtype in ("float32", "tf32", "bfloat16")],
    _case("bfloat16", 512, _stack, "64 of 512", "y"),
    _case("float32", 512, _layer, "128x784 by 784x512"),
    _case("float16", 4096),
    _case("float64", 4096),
    _case("bfloat16", 4096, _uneven, "4095x4097 by 4097x4093"),
    _case("bfloat16", 8192, turned="y"),
)
