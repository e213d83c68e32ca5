"""The simulator's arrays: their memory, and where CuPy's are not NumPy's their layout, and what they refuse.

What is expected is what CuPy 14.2 did, above the stand-in for CUDA of tests/stand_in.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from device_tools import need

need("g++", "clang++")

import gpugrad.cuda.simulator as cupy  # noqa: E402


def test_arrays_are_laid_out_as_cupy_lays_them_out() -> None:
    x = cupy.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert cupy.asarray(np.zeros((2, 3)).T).strides == (8, 24)
    assert cupy.asarray(np.broadcast_to(np.zeros(3), (2, 3))).strides == (24, 8)
    for made in (cupy.zeros_like(x.T), cupy.array(x.T), x.T.copy("K"), x.T.astype(np.int32)):
        assert made.strides == (4, 12)
    assert cupy.array(x, order="F").strides == (4, 8)
    assert x.T.copy().strides == (8, 4) and cupy.zeros_like(x.T, order="C").strides == (8, 4)
    np.testing.assert_array_equal(copy.deepcopy(x.T).get(), x.T.get())


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: x + [1, 2, 3], TypeError),
        (lambda x: x + np.array(2.0), TypeError),
        (lambda x: x.__setitem__(0, [1, 2, 3]), ValueError),
        (lambda x: x.fill([1, 2]), ValueError),
        (lambda x: x[:, ::2].set(np.ones((2, 2), np.float32)), RuntimeError),
        (lambda x: x.item(2), TypeError),
        (lambda x: x.get(out=np.zeros((2, 3))), TypeError),
        (lambda x: x.astype(np.int32, casting="safe"), TypeError),
        (lambda x: cupy.zeros_like(x, subok=True), TypeError),
        (lambda x: cupy.ascontiguousarray([1]), TypeError),
        (lambda x: np.eye(2, like=x), TypeError),
        (lambda x: np.ones(2, like=x), TypeError),
        (lambda x: cupy.linspace(0, 1, 3), AttributeError),
    ],
)
def test_what_cupy_refuses_is_refused(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(cupy.zeros((2, 3), np.float32))


def test_an_ellipsis_before_a_mask_writes_where_numpy_s_would() -> None:
    x = cupy.zeros((2, 3), np.float32)
    x[..., cupy.asarray(np.array([True, False, True]))] = 2
    np.testing.assert_array_equal(x.get(), [[2, 0, 2], [2, 0, 2]])


def test_views_share_memory() -> None:
    x = cupy.zeros((4, 6))
    for view in (
        x[1:3],
        x.T,
        x.reshape(6, 4),
        x[::2, ::3],
        x[0, 0],
        np.broadcast_to(x, (2, 4, 6)),
        np.transpose(x),
        x.ravel(),
    ):
        assert view.base is x
    assert x.T[2:].base is x
    x[1] = cupy.ones(6)
    x.T[0, 0] = 5
    assert x[1:2].sum().item() == 6
    assert x[0, 0].item() == 5
    assert x[1].data.ptr == x.data.ptr + 48
    assert x.copy().base is None


def test_results_written_in_place() -> None:
    x, out = cupy.arange(6, dtype=np.float32), cupy.empty(6, np.float32)
    assert np.multiply(x, 2, out=out) is out
    out += x
    out[::2] -= 1
    np.add.at(out, cupy.asarray([0, 0]), cupy.asarray([1.0, 1.0], np.float32))
    np.copyto(x, out)
    np.testing.assert_array_equal(x.get(), [1, 3, 5, 9, 11, 15])
