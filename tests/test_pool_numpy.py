"""Pooling of arrays: against PyTorch, by hand, and each gradient as an adjoint."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from spatial_checks import adjoint, close, normal, same, torch_function, torch_gradients

from gpugrad.ops import pool_numpy
from gpugrad.ops.pool_numpy import (
    adaptive_avg_pool,
    adaptive_avg_pool_grad,
    adaptive_max_pool,
    avg_pool,
    avg_pool_grad,
    max_pool,
    max_pool_gather,
    max_pool_scatter,
)

NAN, INF = float("nan"), float("inf")

# spatial shape, kernel, stride, padding, dilation, ceil_mode
POOLS = [
    ((8,), (2,), (2,), (0,), (1,), False),
    ((7,), (3,), (2,), (1,), (2,), True),
    ((6, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((7, 5), (2, 2), (2, 2), (0, 0), (1, 1), True),
    ((7, 6), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((7, 6), (3, 2), (1, 3), (1, 0), (1, 2), True),
    ((5, 5), (5, 5), (1, 1), (2, 2), (1, 1), False),
    ((4, 9), (1, 2), (3, 5), (0, 1), (1, 1), True),
    ((5, 4, 6), (2, 2, 3), (2, 2, 2), (1, 0, 1), (1, 1, 1), False),
    ((4, 5, 6), (3, 2, 2), (2, 3, 2), (1, 1, 1), (1, 1, 2), True),
]

# case, divisor_override: PyTorch's avg_pool1d has none
AVERAGES = [*((case, None) for case in POOLS), *((case, 3) for case in POOLS if len(case[0]) > 1)]

BINS = [((7,), (3,)), ((5,), (8,)), ((6, 8), (1, 1)), ((7, 9), (3, 4)), ((4, 6), (4, 3)), ((3, 5, 4), (2, 7, 3))]


def few_values(*shape: int) -> np.ndarray:
    """Integers with many ties, -inf, and some NaN."""
    rng = np.random.default_rng(1)
    x = rng.integers(-2, 3, shape).astype(np.float64)
    x[rng.random(shape) < 0.3] = -INF
    x[rng.random(shape) < 0.1] = NAN
    return x


def pool_case(case: tuple) -> tuple[tuple[int, ...], dict[str, Any], tuple[int, ...]]:
    spatial, kernel, stride, padding, dilation, ceil_mode = case
    return (2, 3, *spatial), {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}, dilation


@pytest.mark.parametrize("fill", [normal, few_values])
@pytest.mark.parametrize("case", POOLS)
def test_max_pool_matches_torch(torch: ModuleType, case: tuple, fill: Any) -> None:
    shape, options, dilation = pool_case(case)
    x = fill(*shape)
    tx = torch.tensor(x, requires_grad=True)
    kernel, stride, padding, ceil_mode = options.values()
    function = torch_function(torch, "max_pool", len(kernel))
    expected, places = function(tx, kernel, stride, padding, dilation, ceil_mode, True)
    values, indices = max_pool(x, dilation=dilation, **options)
    assert indices.dtype == np.int64
    same(values, expected.detach())
    same(indices, places)
    g = normal(*values.shape, seed=2)
    close(max_pool_scatter(g, indices, spatial=shape[2:]), *torch_gradients(torch, expected, g, tx))


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize(("case", "divisor_override"), AVERAGES)
def test_avg_pool_matches_torch(
    torch: ModuleType, case: tuple, count_include_pad: bool, divisor_override: int | None
) -> None:
    shape, options, _ = pool_case(case)
    x = normal(*shape)
    tx = torch.tensor(x, requires_grad=True)
    last = (divisor_override,) if len(shape) > 3 else ()
    function = torch_function(torch, "avg_pool", len(shape) - 2)
    expected = function(tx, *options.values(), count_include_pad, *last)
    options |= {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    means = avg_pool(x, **options)
    close(means, expected.detach())
    g = normal(*means.shape, seed=2)
    close(avg_pool_grad(g, input_shape=shape, **options), *torch_gradients(torch, expected, g, tx))


@pytest.mark.parametrize(("spatial", "output"), BINS)
def test_adaptive_pools_match_torch(torch: ModuleType, spatial: tuple, output: tuple) -> None:
    x = normal(2, 3, *spatial)
    tx = torch.tensor(x, requires_grad=True)
    expected = torch_function(torch, "adaptive_avg_pool", len(spatial))(tx, output)
    g = normal(*expected.shape, seed=2)
    close(adaptive_avg_pool(x, output=output), expected.detach())
    grad = adaptive_avg_pool_grad(g, input_shape=x.shape, output=output)
    close(grad, *torch_gradients(torch, expected, g, tx))
    for values in (x, few_values(2, 3, *spatial)):
        function = torch_function(torch, "adaptive_max_pool", len(spatial))
        expected, places = function(torch.tensor(values), output, return_indices=True)
        largest, indices = adaptive_max_pool(values, output=output)
        same(largest, expected)
        same(indices, places)


@pytest.mark.parametrize("case", POOLS)
def test_pool_adjoints(case: tuple) -> None:
    shape, options, dilation = pool_case(case)
    x = normal(*shape)
    values, indices = max_pool(x, dilation=dilation, **options)
    g = normal(*values.shape, seed=2)
    same(max_pool_gather(x, indices, dims=len(shape) - 2), values)
    adjoint(values, g, max_pool_scatter(g, indices, spatial=shape[2:]), x)
    options |= {"count_include_pad": False, "divisor_override": None}
    means = avg_pool(x, **options)
    g = normal(*means.shape, seed=2)
    adjoint(means, g, avg_pool_grad(g, input_shape=shape, **options), x)


@pytest.mark.parametrize(("spatial", "output"), BINS)
def test_adaptive_avg_pool_adjoint(spatial: tuple, output: tuple) -> None:
    x, g = normal(2, 3, *spatial), normal(2, 3, *output, seed=2)
    means = adaptive_avg_pool(x, output=output)
    adjoint(means, g, adaptive_avg_pool_grad(g, input_shape=x.shape, output=output), x)


def test_max_pool_by_hand() -> None:
    """The first of equal values, the last NaN, the first pixel where all are -inf."""
    x = np.array([[1, 1, NAN, 2], [1, 1, 3, NAN], [-INF, -INF, -1, 0], [-INF, -INF, 0, -1]], np.float32)
    options = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1), "ceil_mode": False}
    values, indices = max_pool(x, **options)
    same(values, [[1, NAN], [-INF, 0]])
    same(indices, [[0, 7], [8, 11]])
    _, padded = max_pool(np.full((2, 2), -INF), **{**options, "padding": (1, 1)})
    same(padded, [[0, 1], [2, 3]])
    largest, places = adaptive_max_pool(x, output=(2, 2))
    same(largest, values)
    same(places, indices)


def test_avg_pool_by_hand() -> None:
    """ceil_mode reaches beyond the padding; what lies there never counts."""
    options = {"kernel": (3,), "stride": (2,), "padding": (1,), "ceil_mode": True, "divisor_override": None}
    x = np.array([3.0, 6, 9, 12])
    close(avg_pool(x, count_include_pad=True, **options), [3, 9, 6])
    close(avg_pool(x, count_include_pad=False, **options), [4.5, 9, 12])
    close(adaptive_avg_pool(x, output=(3,)), [4.5, 7.5, 10.5])


def test_pool_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    shape, options, dilation = pool_case(POOLS[4])
    x = normal(*shape)
    average = {**options, "count_include_pad": True, "divisor_override": None}
    (values, indices), means = max_pool(x, dilation=dilation, **options), avg_pool(x, **average)
    grad = avg_pool_grad(means, input_shape=shape, **average)
    monkeypatch.setattr(pool_numpy, "_BLOCK_BYTES", 4 * 7 * 6 * 8)  # six planes in blocks of four
    same(max_pool(x, dilation=dilation, **options)[0], values)
    same(max_pool(x, dilation=dilation, **options)[1], indices)
    same(avg_pool(x, **average), means)
    same(avg_pool_grad(means, input_shape=shape, **average), grad)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_pools_keep_the_dtype(dtype: Any) -> None:
    shape, options, dilation = pool_case(POOLS[4])
    x = normal(*shape).astype(dtype)
    wide = x.astype(np.float32)
    average = {**options, "count_include_pad": False, "divisor_override": None}
    values, indices = max_pool(x, dilation=dilation, **options)
    pairs = [
        (values, max_pool(wide, dilation=dilation, **options)[0]),
        (
            max_pool_scatter(values, indices, spatial=shape[2:]),
            max_pool_scatter(values.astype(np.float32), indices, spatial=shape[2:]),
        ),
        (avg_pool(x, **average), avg_pool(wide, **average)),
        (
            avg_pool_grad(values, input_shape=shape, **average),
            avg_pool_grad(values.astype(np.float32), input_shape=shape, **average),
        ),
        (adaptive_max_pool(x, output=(2, 4))[0], adaptive_max_pool(wide, output=(2, 4))[0]),
        (adaptive_avg_pool(x, output=(2, 4)), adaptive_avg_pool(wide, output=(2, 4))),
        (
            adaptive_avg_pool_grad(x, input_shape=(2, 3, 9, 9), output=(7, 6)),
            adaptive_avg_pool_grad(wide, input_shape=(2, 3, 9, 9), output=(7, 6)),
        ),
    ]
    for narrow, expected in pairs:
        assert narrow.dtype == dtype
        assert expected.dtype == np.float32
        same(narrow, expected.astype(dtype))


def test_pools_of_no_images() -> None:
    shape, options, dilation = pool_case(POOLS[2])
    x = normal(0, *shape[1:])
    values, indices = max_pool(x, dilation=dilation, **options)
    assert values.shape == indices.shape == (0, 3, 3, 4)
    assert max_pool_scatter(values, indices, spatial=shape[2:]).shape == x.shape
    assert max_pool_gather(x, indices, dims=2).shape == values.shape
    average = {**options, "count_include_pad": True, "divisor_override": None}
    assert avg_pool(x, **average).shape == values.shape
    assert avg_pool_grad(values, input_shape=x.shape, **average).shape == x.shape
    assert adaptive_max_pool(x, output=(2, 2))[0].shape == adaptive_avg_pool(x, output=(2, 2)).shape == (0, 3, 2, 2)
    assert adaptive_avg_pool_grad(normal(0, 3, 2, 2), input_shape=x.shape, output=(2, 2)).shape == x.shape


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kernel": (5, 5)}, "do not fit"),
        ({"padding": (0, 2)}, "at most half"),
        ({"padding": (-1, 0)}, "non-negative"),
        ({"stride": (1, 0)}, "greater than zero"),
        ({"padding": (1, 1), "dilation": (5, 1), "kernel": (2, 3)}, "step over all pixels"),
    ],
)
def test_max_pool_refuses(changed: dict[str, Any], message: str) -> None:
    options = {"kernel": (2, 2), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "ceil_mode": False, **changed}
    with pytest.raises(RuntimeError, match=message):
        max_pool(normal(1, 1, 4, 4), **options)


def test_pools_refuse() -> None:
    options = {"kernel": (2,), "stride": (2,), "padding": (0,), "ceil_mode": False, "count_include_pad": True}
    with pytest.raises(RuntimeError, match="divisor_override"):
        avg_pool(normal(1, 1, 4), divisor_override=0, **options)
    with pytest.raises(RuntimeError, match="adaptive pool"):
        adaptive_avg_pool(normal(1, 1, 0), output=(1,))
    with pytest.raises(RuntimeError, match="adaptive pool"):
        adaptive_max_pool(normal(1, 1, 3), output=(-1,))
    for place in (-1, 4):
        with pytest.raises(IndexError, match=f"indices run from {place} to {place}"):
            max_pool_scatter(normal(1, 1, 1), np.full((1, 1, 1), place), spatial=(4,))
        with pytest.raises(IndexError, match=f"indices run from {place} to {place}"):
            max_pool_gather(normal(1, 1, 4), np.full((1, 1, 1), place), dims=1)
