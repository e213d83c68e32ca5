"""kernels/softmax.cu against its formula, in every order of the threads; and what the device's compiler makes of it."""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import KERNELS, device_module, kernel_source

cupy = device_module()

TYPES: dict[str, Any] = {
    "float": np.float32,
    "double": np.float64,
    "__half": np.float16,
    "__nv_bfloat16": ml_dtypes.bfloat16,
}
# threads a row and elements a thread
SHAPES = {
    "forward": [(8, 8), (16, 8), (32, 8), (32, 16), (32, 32), (64, 32), (128, 32), (256, 32), (512, 32)],
    "forward double": [(8, 8), (16, 8), (32, 28), (128, 32), (256, 32)],
    "backward": [(8, 8), (16, 8), (32, 8), (32, 16), (32, 32), (64, 32), (128, 32), (256, 24)],
    "backward double": [(8, 8), (16, 8), (32, 32), (128, 20), (256, 24)],
}


def shapes(way: str, kind: str) -> list[tuple[int, int]]:
    return SHAPES[f"{way} double" if kind == "double" else way]


@functools.cache
def module(kind: str, log: str) -> Any:
    """The kernels that rows of up to 1,024 columns need, and those of any length."""
    names = [f"gpugrad::softmax_{way}_long<{kind}, {log}>" for way in ("forward", "backward")]
    for way in ("forward", "backward"):
        names += [f"gpugrad::softmax_{way}<{kind}, {log}, {t}, {e}>" for t, e in shapes(way, kind)[:5] if t * e <= 4096]
    return cupy.RawModule(
        code=kernel_source("softmax.cu"), options=("-std=c++17", f"-I{KERNELS}"), name_expressions=names
    )


def run(way: str, kind: str, log: str, inputs: list[Any], out: Any, long: bool = False) -> None:
    rows, cols = out.shape
    fitting = [s for s in shapes(way, kind)[:5] if cols <= s[0] * s[1] <= 4096]
    if long or not fitting:
        kernel = module(kind, log).get_function(f"gpugrad::softmax_{way}_long<{kind}, {log}>")
        return kernel((rows,), (512,), (*inputs, out, np.int64(cols)))
    threads, each = fitting[0]
    together = 128 // threads if threads <= 32 else 1
    kernel = module(kind, log).get_function(f"gpugrad::softmax_{way}<{kind}, {log}, {threads}, {each}>")
    kernel((-(-rows // together),), (threads, together), (*inputs, out, np.int64(rows), np.int32(cols)))


def expected_forward(x: np.ndarray, log: str) -> np.ndarray:
    z = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        z = z - z.max(-1, keepdims=True)
        total = np.exp(z).sum(-1, keepdims=True)
        return z - np.log(total) if log == "true" else np.exp(z) / total


def expected_backward(dy: np.ndarray, y: np.ndarray, log: str) -> np.ndarray:
    dy, y = dy.astype(np.float64), y.astype(np.float64)
    if log == "true":
        return dy - np.exp(y) * dy.sum(-1, keepdims=True)
    return y * (dy - (y * dy).sum(-1, keepdims=True))


def assert_close(found: Any, expected: np.ndarray, scale: float = 1.0) -> None:
    values = found.get()
    unit = float(ml_dtypes.finfo(values.dtype).eps)
    np.testing.assert_allclose(values.astype(np.float64), expected, rtol=16 * unit, atol=16 * unit * scale)


def misaligned(value: np.ndarray, by: int) -> Any:
    """On the device, `by` elements behind a 16-byte boundary."""
    flat = cupy.zeros(value.size + by, value.dtype)
    flat[by:] = cupy.asarray(value.ravel())
    return flat[by:].reshape(value.shape)


@pytest.mark.cuda
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("cols", [1, 31, 32, 33, 1023, 4097])
def test_every_size_in_every_order(cols: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    rng = np.random.default_rng(cols)
    for kind, dtype in TYPES.items():
        for log in ("false", "true"):
            x, dy = rng.normal(size=(2, 5, cols)).astype(dtype)
            x_device, dy_device = cupy.asarray(x), cupy.asarray(dy)
            out, dx = cupy.empty_like(x_device), cupy.empty_like(x_device)
            run("forward", kind, log, [x_device], out)
            assert_close(out, expected_forward(x, log), scale=8 if log == "true" else 1)
            run("backward", kind, log, [dy_device, out], dx)
            assert_close(dx, expected_backward(dy, out.get(), log), scale=8 + cols**0.5 if log == "true" else 1)


@pytest.mark.cuda
@pytest.mark.parametrize("offset", [1, 3])
@pytest.mark.parametrize("cols", [1, 3, 7, 66, 1000])
def test_rows_off_the_boundary(cols: int, offset: int) -> None:
    rng = np.random.default_rng(cols)
    for kind, dtype in TYPES.items():
        x = rng.normal(size=(9, cols)).astype(dtype)
        out = misaligned(np.zeros_like(x), offset)
        run("forward", kind, "false", [misaligned(x, offset)], out)
        assert_close(out, expected_forward(x, "false"))
        run("forward", kind, "false", [cupy.asarray(x)], out, long=True)  # each at its own place
        assert_close(out, expected_forward(x, "false"))


@pytest.mark.cuda
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("log", ["false", "true"])
def test_infinities_and_nan(log: str, long: bool) -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[0, -inf, 1], [-inf] * 3, [1, nan, 2], [inf, 0, 1], [1e38, -1e38, 0], [-inf, -inf, 2]], np.float32)
    out = cupy.empty_like(cupy.asarray(x))
    run("forward", "float", log, [cupy.asarray(x)], out, long=long)
    np.testing.assert_allclose(out.get(), expected_forward(x, log), rtol=1e-6)
