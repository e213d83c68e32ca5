"""Sums and maxima of matrices by other ways than `reduce` are those of `reduce`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpugrad.ops import matrix_numpy
from gpugrad.ops.matrix_numpy import column_sums, row_maxima, row_sums

PAIRS = [
    (column_sums, lambda x: np.add.reduce(x, axis=0)),
    (row_sums, lambda x: np.add.reduce(x, axis=1, keepdims=True)),
    (row_maxima, lambda x: np.maximum.reduce(x, axis=1, keepdims=True, initial=-np.inf)),
]

matrices = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=70),
    elements=st.integers(-1000, 1000).map(float) | st.sampled_from([np.inf, np.nan]),  # sums of integers are exact
    fill=st.just(3.0),
)


@pytest.mark.parametrize(("function", "meaning"), PAIRS)
@given(x=matrices, layout=st.sampled_from(["as it is", "transposed", "every other"]))
def test_results_are_those_of_reduce(function: Callable[..., Any], meaning: Any, x: np.ndarray, layout: str) -> None:
    x = {"as it is": x, "transposed": x.T, "every other": x[::2, ::-1]}[layout]
    with np.errstate(invalid="ignore"):
        found, expected = function(x), meaning(x)
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, expected)
    assert not np.shares_memory(found, x)


@pytest.mark.parametrize("dtype", [np.int64, np.float16])
def test_dtypes_that_blas_lacks(dtype: Any) -> None:
    x = np.arange(12, dtype=dtype).reshape(4, 3)
    for function, meaning in PAIRS[:2]:
        np.testing.assert_array_equal(function(x), meaning(x))


def test_long_columns_keep_no_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_numpy, "_KEPT", 10)
    before = matrix_numpy._kept_ones.cache_info().currsize
    np.testing.assert_array_equal(column_sums(np.ones((11, 4), np.float32)), np.full(4, 11, np.float32))
    assert matrix_numpy._kept_ones.cache_info().currsize == before
