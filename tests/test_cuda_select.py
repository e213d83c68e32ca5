"""Choosing elements on the CUDA device: masks, `nonzero`, one of each value; each against the body of its op."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.cuda.backend import simulated
from gpugrad.ops.mask import _nonzero, nonzero_places, put_at_mask, read_mask
from gpugrad.ops.sort import _unique, _unique_consecutive

pytestmark = pytest.mark.cuda

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(t) for t in (np.float32, np.float64, np.float16)] + [BFLOAT16]
DTYPES = [*FLOATS, *[np.dtype(t) for t in (np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_)]]
SIZES = [0, 1, 31, 32, 33, 1023, 2048, 2049, 4097]  # a tile has 2048


@pytest.fixture(autouse=True)
def kernels_only(on_cupy: set[str]) -> Iterator[None]:
    """After a test: nothing was left to CuPy."""
    yield
    assert not on_cupy


def draw(shape: Any, dtype: Any = FLOATS[0], seed: int = 0) -> np.ndarray:
    """Values of which many are zero, or equal; among floats both zeros, infinities and NaNs."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2 if dtype == np.bool_ else 5, shape).astype(dtype)
    if dtype in FLOATS:
        for special in (-0.0, np.inf, -np.inf, np.nan):
            x[rng.random(shape) < 0.05] = special
    return x


def on_device(x: np.ndarray) -> Any:
    return gpugrad.tensor(x).to("cuda")


def assert_equal(found: Any, body: np.ndarray) -> None:
    got = on_host(found)
    assert found.is_cuda and got.shape == body.shape
    np.testing.assert_array_equal(got, body.astype(got.dtype))


def check(function: Any, *arrays: np.ndarray, view: Callable[[Any], Any] = lambda x: x, **params: Any) -> None:
    """The op on views of the arrays, on the device and by its body on the CPU: exactly the same."""
    expected = function.op.body(*map(view, arrays), **params)
    found = function(*[view(on_device(x)) for x in arrays], **params)
    pairs = zip(found, expected) if isinstance(expected, tuple) else [(found, expected)]
    for kernel, body in pairs:
        assert_equal(kernel, body)


def masks(shape: Any) -> list[np.ndarray]:
    """Some, all and none; the first and the last alone."""
    some = draw(shape, np.dtype(np.bool_), seed=1)
    first, last = np.zeros(shape, bool), np.zeros(shape, bool)
    first.reshape(-1)[:1] = last.reshape(-1)[-1:] = True
    return [some, np.ones(shape, bool), np.zeros(shape, bool), first, last]


VIEWS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x,
    "misaligned": lambda x: x[:, 1:],
    "every other": lambda x: x[::2, ::3],
    "turned": lambda x: x.T,
    "in parts": lambda x: x.reshape(5, 11, 61)[:, 2:7],
    "one": lambda x: x[0, :1],
    "none": lambda x: x[:, :0],
}
SHAPE = (55, 61)


# ---- where elements are not zero ----


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_places_that_are_not_zero(dtype: np.dtype) -> None:
    for n in SIZES:
        check(nonzero_places, draw((n,), dtype))
        check(_nonzero, draw((n, 2), dtype))
    for shape in ((3, 4, 5), (2, 1, 3, 1, 2, 2, 1, 2), (40, 70)):
        check(nonzero_places, draw(shape, dtype))
        check(_nonzero, draw(shape, dtype))


@pytest.mark.parametrize("name", VIEWS)
def test_places_of_views(name: str) -> None:
    check(nonzero_places, draw(SHAPE), view=VIEWS[name])
    check(_nonzero, draw(SHAPE, np.dtype(np.int8)), view=VIEWS[name])


def test_places_of_one_number_and_of_broadcast_ones() -> None:
    for value in (0.0, 2.0, np.nan):
        assert_equal(gpugrad.nonzero(gpugrad.tensor(value, device="cuda")), np.argwhere(np.array(value)))
    row = draw((61,))
    found = gpugrad.nonzero(on_device(row).expand(70, 61))
    assert_equal(found, np.argwhere(np.broadcast_to(row, (70, 61))))


def test_bool_bytes_other_than_one_count_once() -> None:
    bits = on_device(np.array([0, 1, 2, 255, 0], np.uint8)).view(gpugrad.bool)
    assert_equal(gpugrad.nonzero(bits), np.array([[1], [2], [3]]))


# ---- masks ----


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_masks_of_every_dtype_and_size(dtype: np.dtype) -> None:
    for n in SIZES:
        x = draw((n,), dtype)
        for mask in masks((n,)):
            check(read_mask, x, mask)
            g = draw((int(mask.sum()),), dtype, seed=2)
            check(put_at_mask, g, mask, shape=x.shape)
            assert_written(x, mask, draw((int(mask.sum()),), dtype, seed=3))
            assert_written(x, mask, 1)


def assert_written(x: np.ndarray, mask: np.ndarray, value: Any, view: Callable[[Any], Any] = lambda x: x) -> None:
    """`x[mask] = value`, through a view: what lies around it stays."""
    expected, found = x.copy(), on_device(x).clone()
    view(expected)[view(mask)] = value
    view(found)[view(on_device(mask))] = on_device(value) if isinstance(value, np.ndarray) else value
    assert_equal(found, expected)


@pytest.mark.parametrize("name", VIEWS)
def test_masks_of_views(name: str) -> None:
    view, x = VIEWS[name], draw(SHAPE)
    for mask in masks(SHAPE):
        check(read_mask, x, mask, view=view)
        count = int(view(mask).sum())
        assert_written(x, mask, draw((count,), seed=3), view)
        assert_written(x, mask, np.float32(7).reshape(1), view)
        assert_written(x, mask, -0.0, view)


@pytest.mark.parametrize("shape", [(6, 1), (6, 33), (6, 4, 5), (6, 0)])
def test_masks_of_the_first_dimensions(shape: tuple[int, ...]) -> None:
    x = draw(shape)
    for mask in masks(shape[:1]):
        check(read_mask, x, mask)
        g = draw((int(mask.sum()), *shape[1:]), seed=2)
        check(put_at_mask, g, mask, shape=shape)
        assert_written(x, mask, g)
        assert_written(x, mask, 4)
        assert_written(x, mask, g[:1] if len(g) else 3)


def test_a_mask_beside_other_indices_and_behind_them() -> None:
    x, rows, mask = draw((6, 7, 8)), np.array([1, 5, 2]), masks((7,))[0]
    mask[:] = [True, False, True, False, True, False, False]
    assert_equal(on_device(x)[on_device(rows), on_device(mask)], x[rows, mask])
    assert_equal(on_device(x)[:, on_device(mask)], x[:, mask])
    assert_equal(on_device(x)[on_device(rows)[0].item(), on_device(mask)], x[1, mask])


def test_a_mask_that_broadcasts_and_the_tape() -> None:
    results = []
    for where in ("cpu", "cuda"):
        x = gpugrad.tensor(draw((40, 61), seed=4), device=where, requires_grad=True)
        mask = gpugrad.tensor(draw((61,), np.dtype(np.bool_), seed=5), device=where)
        chosen = gpugrad.masked_select(x, mask)
        written = x.clone()
        written[mask.expand(40, 61)] = 2.0
        several = x * 1
        several[mask.expand(40, 61)] = chosen.detach() * 3
        (chosen.sum() + (written * 2).sum() + (several * 5).sum()).backward()
        results.append([chosen, written, several, x.grad])
    for here, there in zip(*results):
        np.testing.assert_array_equal(on_host(there), on_host(here))


def test_what_does_not_fit_changes_nothing() -> None:
    for where in ("cpu", "cuda"):
        x = gpugrad.ones(5, device=where)
        mask = x > 0
        with pytest.raises(RuntimeError, match=r"shape mismatch: value tensor of shape \[3\]"):
            x[mask] = gpugrad.zeros(3, device=where)
        with pytest.raises(RuntimeError, match=r"shape mismatch: value tensor of shape \[2\]"):
            x[~mask] = gpugrad.zeros(2, device=where)
        with pytest.raises(RuntimeError, match="destination dtypes match"):
            x[mask] = gpugrad.zeros(5, device=where, dtype=gpugrad.int64)
        with pytest.raises(IndexError, match="shape of the mask"):
            x[mask[1:]] = 0.0
        np.testing.assert_array_equal(on_host(x), np.ones(5))


def test_values_that_lie_in_what_is_written() -> None:
    x = on_device(np.arange(12.0))
    x[2:][on_device(np.ones(10, bool))] = x[:10]
    assert_equal(x, np.concatenate([[0.0, 1.0], np.arange(10.0)]))
    mask = on_device(draw((33,), np.dtype(np.bool_)))
    mask[1:][mask[:-1]] = False  # a mask that overlaps what it chooses
    expected = draw((33,), np.dtype(np.bool_))
    expected[1:][expected[:-1].copy()] = False
    assert_equal(mask, expected)


def waits(work: Callable[[], Any]) -> int:
    from gpugrad.cuda import backend

    counters = backend.cupy().counters
    before = counters.synchronizations
    work()
    return counters.synchronizations - before


def test_the_host_waits_for_a_count_and_for_nothing_else(device: str) -> None:
    if not simulated():
        pytest.skip("waits are counted by the simulator")
    x = on_device(draw((5000,))).requires_grad_()
    mask = on_device(draw((5000,), np.dtype(np.bool_)))
    out: list[Any] = []
    assert waits(lambda: out.append(x[mask])) == 1
    assert waits(lambda: out[0].backward(gpugrad.ones_like(out[0]))) == 0
    y = x.detach().clone()
    assert waits(lambda: y.__setitem__(mask, 1.0)) == 0
    assert waits(lambda: y.__setitem__(mask, gpugrad.ones((), device="cuda"))) == 0
    assert waits(lambda: y.__setitem__(mask, out[0].detach())) == 1
    z = x * 2
    assert waits(lambda: z.__setitem__(mask, 1.0)) == 0


def test_a_number_at_a_mask_can_be_captured(device: str) -> None:
    x, mask = gpugrad.ones(3000, device=device), gpugrad.zeros(3000, device=device, dtype=gpugrad.bool)

    def work() -> Any:
        y = x * 2
        y[mask] = -1.0
        return y

    work()
    graph = gpugrad.cuda.CUDAGraph()
    with gpugrad.cuda.graph(graph):
        y = work()
    for seed in range(2):
        chosen = draw((3000,), np.dtype(np.bool_), seed)
        mask.copy_(on_device(chosen))
        graph.replay()
        assert_equal(y, np.where(chosen, -1.0, 2.0))
    with (
        pytest.raises(RuntimeError, match="while a CUDA graph was captured"),
        gpugrad.cuda.graph(gpugrad.cuda.CUDAGraph()),
    ):
        x[mask]


# ---- one of each value ----


def check_unique(x: np.ndarray, view: Callable[[Any], Any] = lambda x: x, *, dim: int | None) -> None:
    """As `check`, but which of the NaNs, each a value of its own, is which is left open."""
    values, inverse, counts = _unique.op.body(view(x), dim=dim)
    found = _unique(view(on_device(x)), dim=dim)
    assert_equal(found[0], values)
    assert_equal(found[2], counts)
    nan = view(x) != view(x)
    if dim is not None:
        nan = nan.any(axis=tuple(d for d in range(nan.ndim) if d != dim))
    got = on_host(found[1])
    assert got.shape == inverse.shape
    np.testing.assert_array_equal(got[~nan], inverse[~nan])
    np.testing.assert_array_equal(np.sort(got[nan]), np.sort(inverse[nan]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_of_each_value(dtype: np.dtype) -> None:
    for n in SIZES:
        check_unique(draw((n,), dtype), dim=None)
        check(_unique_consecutive, draw((n,), dtype), dim=None)
    check_unique(draw((60, 2), dtype), dim=0)
    check_unique(draw((2, 60), dtype), dim=1)
    check(_unique_consecutive, draw((60, 1), dtype), dim=0)


@pytest.mark.parametrize("name", VIEWS)
def test_one_of_each_value_in_views(name: str) -> None:
    check_unique(draw(SHAPE), VIEWS[name], dim=None)
    check(_unique_consecutive, draw(SHAPE), view=VIEWS[name], dim=None)


def test_slices_that_differ_late() -> None:
    x = np.zeros((300, 40), np.int32)
    x[:, -1] = np.random.default_rng(0).integers(0, 9, 300)
    x[::7, 3] = 1
    check_unique(x, dim=0)
    check_unique(x.reshape(300, 5, 8), dim=0)
    check(_unique_consecutive, np.sort(x, 0), dim=0)
    check_unique(np.ascontiguousarray(x.T).reshape(8, 5, 300), dim=2)


@pytest.mark.parametrize("width", [8, 9, 17, 33])
def test_wide_slices(width: int) -> None:
    check_unique(draw((70, width), np.dtype(np.float32), seed=width), dim=0)
    rows = draw((9, width), np.dtype(np.int64), seed=width)
    check_unique(rows[np.random.default_rng(0).integers(0, 9, 200)], dim=0)


def test_wide_slices_are_not_sorted_column_by_column(device: str) -> None:
    if not simulated():
        pytest.skip("launches are counted by the simulator")
    from gpugrad.cuda import backend

    launches = []
    for width in (64, 256):
        x = on_device(draw((500, width), np.dtype(np.int32)))
        gpugrad.unique(x, dim=0)
        backend.cupy().counters.reset()
        gpugrad.unique(x, dim=0)
        launches.append(backend.cupy().counters.launches)
    assert launches[0] < 80 and launches[1] < launches[0] + 32


def test_every_nan_is_a_value_of_its_own() -> None:
    x = np.array([np.nan, 1, np.nan, -0.0, 0.0, -np.inf, np.nan], np.float32)
    values, inverse, counts = gpugrad.unique(on_device(x), return_inverse=True, return_counts=True)
    assert_equal(values, np.array([-np.inf, 0, 1, np.nan, np.nan, np.nan]))
    assert_equal(inverse, np.array([3, 2, 4, 1, 1, 0, 5]))
    assert_equal(counts, np.array([1, 2, 1, 1, 1, 1]))


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_nan_of_bfloat16(where: str, device: str) -> None:
    x = np.random.default_rng(0).integers(0, 9, 50).astype(np.float32)
    x[[3, 20]] = np.nan
    found = gpugrad.unique(gpugrad.tensor(x, device=where).to(gpugrad.bfloat16))
    np.testing.assert_array_equal(on_host(found), [*range(9), np.nan, np.nan])


# ---- whatever the order of the threads ----


def test_any_order_of_threads_and_blocks(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    if not simulated():
        pytest.skip("only the simulator's order can be chosen")
    x, mask = draw((9000,)), draw((9000,), np.dtype(np.bool_), seed=1)
    for seed in range(10):
        monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
        check(read_mask, x, mask)
        check(put_at_mask, draw((int(mask.sum()),)), mask, shape=x.shape)
        check(_nonzero, mask.reshape(90, 100))
        check_unique(x, dim=None)
        assert_written(x, mask, draw((int(mask.sum()),), seed=2))
