"""`out=`: what it takes, and that a refused one is left as it was. Errors that PyTorch raises too: `bad_calls/`."""

from __future__ import annotations

from typing import Any

import pytest

import gpugrad

X = gpugrad.tensor([[3.0, 1.0], [2.0, 5.0]])


def test_an_empty_tensor_takes_the_shape_of_the_result() -> None:
    out = gpugrad.empty(0)
    assert gpugrad.add(X, 1, out=out) is out
    assert out.tolist() == [[4, 2], [3, 6]]
    assert gpugrad.mul(X[0], 2, out=gpugrad.Tensor()).tolist() == [6, 2]
    values, indices = gpugrad.empty(0, 3), gpugrad.empty(0, dtype=gpugrad.int64)
    found = gpugrad.max(X, 1, out=(values, indices))
    assert (found.values is values, indices.tolist()) == (True, [0, 1])
    assert gpugrad.argmax(X, 1, out=gpugrad.empty(0, dtype=gpugrad.int64)).tolist() == [0, 1]
    wide = gpugrad.empty(0, dtype=gpugrad.float64)
    assert gpugrad.sum(X, 0, out=wide).dtype is wide.dtype is gpugrad.float64


def test_an_empty_part_of_a_tensor_does_not_grow() -> None:
    whole = gpugrad.zeros(4)
    with pytest.raises(RuntimeError, match=r"add: output with shape \[0\]"):
        gpugrad.add(X, 1, out=whole[:0])
    assert whole.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["qr", "eigh", "slogdet", "svd"])
def test_decompositions(name: str) -> None:
    function = getattr(gpugrad.linalg, name)
    expected = function(X)
    outs = tuple(gpugrad.empty(0) for _ in expected)
    found = function(X, out=outs)
    assert type(found) is type(expected) and all(a is b for a, b in zip(found, outs))
    assert [t.tolist() for t in outs] == [t.tolist() for t in expected]


@pytest.mark.parametrize("name", ["max", "sort", "svd"])
def test_nothing_is_written_unless_everything_fits(name: str) -> None:
    first = gpugrad.zeros(2, 2) if name != "max" else gpugrad.zeros(2)
    wrong: Any = gpugrad.zeros(3).long()
    calls: dict[str, Any] = {
        "max": lambda: gpugrad.max(X, 1, out=(first, wrong)),
        "sort": lambda: gpugrad.sort(X, out=(first, wrong)),
        "svd": lambda: gpugrad.linalg.svd(X, out=(first, gpugrad.zeros(2), wrong)),
    }
    with pytest.raises(RuntimeError, match=r"output with shape \[3\]"):
        calls[name]()
    assert not first.any() and not wrong.any()
