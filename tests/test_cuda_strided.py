"""Views by strides on the CUDA device, and the copies and sums made of them: each against the body of its op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.ops.einsum import _trace, align, fill_diagonal, spread_labels
from gpugrad.ops.linalg_decompose import off_diagonal
from gpugrad.ops.strided import _as_strided, _unfold, add_strided

pytestmark = pytest.mark.cuda

SIZES = [1, 31, 32, 33, 1023, 4097]
UNDER_TEST = {"align", "spread_labels", "trace", "fill_diagonal", "off_diagonal", "unfold", "as_strided", "add_strided"}


@pytest.fixture(autouse=True)
def kernels_only(fallen: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bodies of the ops under test do not run on the device."""
    from gpugrad.cuda import array

    run_body = array._run_body

    def watched(op: Any, *rest: Any) -> Any:
        assert op.name not in UNDER_TEST, f"{op.name} has run its body on the device"
        return run_body(op, *rest)

    monkeypatch.setattr(array, "_run_body", watched)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-9, 10, shape).astype(np.float32)  # whose sums are exact in any order


def check(op: Any, x: np.ndarray, views: Callable[[Any], Any] = lambda x: x, **params: Any) -> None:
    """The op on `views(x)`, on the device and by its body on the CPU: exactly the same."""
    expected = op.op.body(views(x), **params)
    found = op(views(gpugrad.tensor(x).to("cuda")), **params)
    assert found.is_cuda and tuple(found.shape) == expected.shape
    np.testing.assert_array_equal(on_host(found), expected)


@pytest.mark.parametrize("n", SIZES)
def test_windows(n: int) -> None:
    for size, step in ((1, 1), (min(n, 3), 2), (n, 1)):
        check(_unfold, draw(n), dim=0, size=size, step=step)
        check(_unfold, draw(2, n), lambda x: x.T, dim=0, size=min(n, 3), step=step)
    check(_as_strided, draw(n + 4), size=(n, 3), stride=(1, 2), offset=0)
    check(add_strided, draw(n, 3), shape=(n + 5,), stride=(1, 2), offset=1)


def test_windows_of_nothing() -> None:
    check(_unfold, draw(0, 5), dim=1, size=2, step=1)
    check(_as_strided, draw(5), size=(0, 2), stride=(1, 1), offset=0)
    check(add_strided, draw(0, 2), shape=(5,), stride=(1, 1), offset=0)


def test_a_window_is_a_view() -> None:
    x = gpugrad.tensor(draw(6)).to("cuda")
    windows = x.unfold(0, 2, 2)
    x[2] = 100
    assert windows[1, 0].item() == 100
    shifted = x.as_strided((5,), (1,), 1)
    shifted.copy_(x[:5])  # overlaps what it is copied from
    np.testing.assert_array_equal(on_host(shifted), [*draw(6)[:2], 100, *draw(6)[3:5]])


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 150])
def test_diagonals(n: int) -> None:
    for views in (lambda x: x, lambda x: x.T):
        check(_trace, draw(n, n + 1), views)
        check(off_diagonal, draw(n, n), views)
        check(align, draw(n, n), views, labels=("i", "i"), wanted=("i",))
        check(align, draw(n, n), views, labels=("i", "i"), wanted=())
    check(_trace, draw(n, n).astype(np.int32))
    check(fill_diagonal, draw(), shape=(n, n + 1))
    check(spread_labels, draw(n), labels=("i", "i"), wanted=("i",), shape=(n, n))


@pytest.mark.parametrize("n", SIZES)
def test_dimensions_in_another_order(n: int) -> None:
    check(align, draw(2, n, 3), labels=("a", "b", "c"), wanted=("c", "a", "b"))
    check(align, draw(2, n, 3), labels=("a", "b", "c"), wanted=("b",))
    check(align, draw(2, n, 2), labels=("a", "b", "a"), wanted=("b", "a"))
    check(spread_labels, draw(n, 2), labels=("a", "b", "a"), wanted=("b", "a"), shape=(2, n, 2))
    check(spread_labels, draw(n), lambda g: g[::-1] if isinstance(g, np.ndarray) else g.flip(0), labels=("a", "b"),
          wanted=("b",), shape=(4, n))  # fmt: skip
    check(align, draw(2, n).astype(np.int32), labels=("a", "b"), wanted=("b",))
