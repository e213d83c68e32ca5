"""`index_put_`, `scatter_` and their kin write where the tensor lies: nothing of its size is made or copied."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad.cuda.backend import simulated

ROWS, COLUMNS = 4096, 64
SIZE = ROWS * COLUMNS * 4  # bytes


def rows(x: Any) -> Any:
    return gpugrad.tensor([5, 0, 7], device=x.device)


def few(x: Any) -> Any:
    return gpugrad.arange(3.0 * COLUMNS, device=x.device).reshape(3, COLUMNS)


def places(x: Any) -> Any:
    return gpugrad.tensor([[3, 1], [0, 2]], device=x.device)


def some(x: Any) -> Any:
    return gpugrad.tensor([[1.0, 2.0], [3.0, 4.0]], device=x.device)


def mask(x: Any) -> Any:
    return (gpugrad.arange(ROWS, device=x.device) % 7 == 0).reshape(ROWS, 1)


WRITES: dict[str, Callable[[Any], Any]] = {
    "index_put_": lambda x: x.index_put_((rows(x),), few(x)),
    "index_put_, added": lambda x: x.index_put_((rows(x), rows(x)), few(x)[0, :3], accumulate=True),
    "index_add_": lambda x: x.index_add_(0, rows(x), few(x), alpha=2),
    "index_copy_": lambda x: x.index_copy_(0, rows(x), few(x)),
    "index_fill_": lambda x: x.index_fill_(0, rows(x), 3.0),
    "scatter_": lambda x: x.scatter_(0, places(x), some(x)),
    "scatter_, a number": lambda x: x.scatter_(1, places(x), 9.0),
    "scatter_, added": lambda x: x.scatter_(0, places(x), some(x), reduce="add"),
    "scatter_add_": lambda x: x.scatter_add_(1, places(x), some(x)),
    "scatter_reduce_": lambda x: x.scatter_reduce_(0, places(x), some(x), "prod", include_self=False),
    "scatter_reduce_, the largest": lambda x: x.scatter_reduce_(0, places(x), some(x), "amax"),
    "masked_fill_": lambda x: x.masked_fill_(mask(x), 2.0),
    "put_": lambda x: x.put_(places(x), some(x)),
    "put_, added": lambda x: x.put_(places(x), some(x), accumulate=True),
}


def peak_on_cpu(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peak_on_device(work: Callable[[], Any]) -> int:
    gpugrad.cuda.reset_peak_memory_stats()
    before = gpugrad.cuda.memory_allocated()
    work()
    return gpugrad.cuda.max_memory_allocated() - before


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_a_write_makes_nothing_of_the_tensor_s_size(where: str, name: str, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    start = gpugrad.arange(1.0 * ROWS * COLUMNS).reshape(ROWS, COLUMNS) / 1000
    x, write = start.to(where, copy=True), WRITES[name]
    method, _, _ = name.partition(",")
    expected = write(Outside(start, method))
    twin = start.to(where, copy=True)
    write(twin)  # what is made once is made
    memory, version = x.data_ptr(), x._version
    peak = (peak_on_cpu if where == "cpu" else peak_on_device)(lambda: write(x))
    room = ROWS * COLUMNS if name == "masked_fill_" else 0  # a mask that is broadcast may be laid out
    assert peak < SIZE // 8 + room
    assert (x.data_ptr(), x._version) == (memory, version + 1)
    np.testing.assert_allclose(x.cpu().numpy(), expected.numpy(), rtol=1e-6)


class Outside:
    """A tensor whose in-place method is that of the copy: `x.scatter_` calls `x.scatter`."""

    def __init__(self, x: Any, method: str) -> None:
        self.x, self.device = x, x.device
        setattr(self, method, getattr(x, method.rstrip("_")))


@pytest.mark.cuda
def test_a_write_on_the_device_takes_one_launch(device: str) -> None:
    if not simulated():
        pytest.skip("launches are counted by the simulator")
    from gpugrad.cuda import backend

    x = gpugrad.zeros(ROWS, COLUMNS, device=device)
    index, source, at, values = rows(x), few(x), places(x), some(x)
    number, chosen = gpugrad.tensor(2.0, device=device), mask(x)
    for write in (
        lambda: x.index_copy_(0, index, source),
        lambda: x.index_add_(0, index, source),
        lambda: x.scatter_(0, at, values),
        lambda: x.scatter_add_(0, at, values),
        lambda: x.masked_fill_(chosen, number),
    ):
        write()
        backend.cupy().counters.reset()
        write()
        assert backend.cupy().counters.launches == 1


each = pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])


@each
@pytest.mark.parametrize("dtype", [gpugrad.float16, gpugrad.bfloat16, gpugrad.int8, gpugrad.bool])
def test_small_types_are_added_to(where: str, dtype: Any, request: Any) -> None:
    """On the device they are added up in wider ones."""
    if where == "cuda":
        request.getfixturevalue("device")
    x = gpugrad.zeros(4, 2, dtype=dtype, device=where)
    ones = gpugrad.ones(3, 2, dtype=dtype, device=where)
    index = gpugrad.tensor([1, 3, 1], device=where)
    x.index_add_(0, index, ones)
    x.scatter_add_(0, index.reshape(3, 1), ones)
    expected = [[0, 0], [4, 2], [0, 0], [2, 1]] if dtype is not gpugrad.bool else [[0, 0], [1, 1], [0, 0], [1, 1]]
    assert x.float().tolist() == expected


@each
def test_what_is_read_may_lie_where_is_written(where: str, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    index = gpugrad.tensor([0, 1, 2], device=where)
    x = gpugrad.arange(5.0, device=where)
    x.index_copy_(0, index + 1, x[:3])
    assert x.tolist() == [0, 0, 1, 2, 4]
    x = gpugrad.arange(5.0, device=where)
    x.scatter_(0, index + 1, x)
    assert x.tolist() == [0, 0, 1, 2, 4]
    x.index_add_(0, index, x[2:])
    assert x.tolist() == [1, 2, 5, 2, 4]
    x = gpugrad.tensor([2, 0, 1, 3], device=where)
    assert x.scatter_(0, x, x + 10).tolist() == [10, 11, 12, 13]
    y = gpugrad.zeros(4, dtype=gpugrad.bool, device=where)
    assert y.masked_fill_(y == y[:1], True).tolist() == [True] * 4


@each
def test_what_does_not_lie_in_order_and_single_elements(where: str, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    x = gpugrad.zeros(3, 4, device=where)
    x.t().index_fill_(0, gpugrad.tensor([1], device=where), 5.0)
    x[:, 2].scatter_(0, gpugrad.tensor([2], device=where), 7.0)
    x[1].masked_fill_(gpugrad.tensor([True, False, False, True], device=where), 1.0)
    assert x.tolist() == [[0, 5, 0, 0], [1, 5, 0, 1], [0, 5, 7, 0]]
    one = gpugrad.tensor(3.0, device=where)
    one.index_fill_(0, gpugrad.tensor([0], device=where), 4.0)
    one.scatter_add_(0, gpugrad.tensor(0, device=where), gpugrad.tensor(1.0, device=where))
    assert one.shape == () and one.item() == 5.0


@each
def test_a_write_is_still_recorded_and_still_refused(where: str, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    index = gpugrad.tensor([0, 2], device=where)
    source = gpugrad.ones(2, device=where, requires_grad=True)
    x = gpugrad.zeros(3, device=where)
    x.index_copy_(0, index, source * 3)
    x.sum().backward()
    assert source.grad is not None and source.grad.tolist() == [3, 3]
    leaf = gpugrad.ones(3, device=where, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        leaf.index_fill_(0, index, 1.0)
    with gpugrad.no_grad():
        leaf.index_fill_(0, index, 5.0)
    assert leaf.tolist() == [5, 1, 5]
    saved = gpugrad.ones(3, device=where)
    out = (leaf * saved).sum()
    saved.scatter_(0, index, 2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()
    narrow = gpugrad.zeros(1, 3, device=where)
    with pytest.raises(RuntimeError, match=r"masked_fill_.*\[1, 3\].*\[2, 3\]"):
        narrow.masked_fill_(gpugrad.ones(2, 3, dtype=gpugrad.bool, device=where), 1.0)
    with pytest.raises(RuntimeError, match="single memory location"):
        gpugrad.zeros(1, device=where).expand(3).index_fill_(0, index, 1.0)
    if where == "cpu":
        x = gpugrad.zeros(3)
        with pytest.raises(IndexError):
            x.index_fill_(0, gpugrad.tensor([0, 3]), 1.0)
        assert x.tolist() == [0, 0, 0]


@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize("dtype", [gpugrad.float32, gpugrad.float64], ids=str)
def test_copy_makes_no_other_copy(where: str, dtype: Any, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    source = (gpugrad.arange(1.0 * ROWS * COLUMNS).reshape(ROWS, COLUMNS) / 1000).to(where, dtype)
    x = gpugrad.zeros(ROWS, COLUMNS, device=where)
    x.copy_(source)  # what is made once is made
    version = x.zero_()._version
    peak = (peak_on_cpu if where == "cpu" else peak_on_device)(lambda: x.copy_(source))
    assert peak < SIZE // 8 and x._version == version + 1
    np.testing.assert_array_equal(x.cpu().numpy(), source.cpu().numpy().astype(np.float32))


def test_a_copy_is_refused_where_a_write_is() -> None:
    x = gpugrad.zeros(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x.copy_(gpugrad.ones(3))
    with pytest.raises(RuntimeError, match="single memory location"):
        gpugrad.zeros(1).expand(3).copy_(gpugrad.ones(3))
    parameter = gpugrad.zeros(3, requires_grad=True)
    with gpugrad.no_grad():
        view = parameter[:2]
    with pytest.raises(RuntimeError, match="no_grad mode"):
        view.copy_(gpugrad.ones(2))
    assert parameter.tolist() == [0, 0, 0]
    x = gpugrad.arange(5.0)
    x[1:].copy_(x[:-1])
    assert x.tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    "write",
    [
        lambda view: view.copy_(gpugrad.tensor([5.0, 6.0])),
        lambda view: view.index_fill_(0, gpugrad.tensor([0, 1]), 5.0),
    ],
    ids=["copy_", "index_fill_"],
)
def test_a_view_whose_base_has_a_gradient_by_now_is_written_on_the_tape(write: Callable[[Any], Any]) -> None:
    base, weight = gpugrad.zeros(3), gpugrad.ones(3, requires_grad=True)
    view = base[:2]
    base.add_(weight)
    write(view)
    base.sum().backward()
    assert weight.grad.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "write",
    [lambda x, view: x.copy_(view), lambda x, view: x.index_copy_(0, gpugrad.tensor([0, 1]), view)],
    ids=["copy_", "index_copy_"],
)
def test_a_view_whose_base_has_a_gradient_by_now_hands_it_on(write: Callable[[Any, Any], Any]) -> None:
    base, weight = gpugrad.zeros(3), gpugrad.ones(3, requires_grad=True)
    view = base[:2]
    base.add_(weight)
    x = gpugrad.zeros(2)
    write(x, view)
    x.sum().backward()
    assert weight.grad.tolist() == [1, 1, 0]


# ---- formulas ----

FORMULAS: dict[str, Callable[[Any, Any], Any]] = {  # on x, and y of one row of it
    "add_": lambda x, y: x.add_(y),
    "add_, a number": lambda x, y: x.add_(2),
    "+=": lambda x, y: x.__iadd__(x),
    "sub_, scaled": lambda x, y: x.sub_(x, alpha=3),
    "mul_": lambda x, y: x.mul_(0.5),
    "div_": lambda x, y: x.div_(y),
    "div_, rounded": lambda x, y: x.div_(y, rounding_mode="floor"),
    "addcmul_": lambda x, y: x.addcmul_(y, x, value=2),
    "lerp_": lambda x, y: x.lerp_(y, 0.25),
    "clamp_": lambda x, y: x.clamp_(1, 5),
    "clamp_min_": lambda x, y: x.clamp_min_(y),
    "pow_": lambda x, y: x.pow_(2),
    "relu_": lambda x, y: x.relu_(),
    "exp_": lambda x, y: x.div_(9).exp_(),
    "lt_": lambda x, y: x.lt_(y),
    "relu, inplace": lambda x, y: gpugrad.nn.functional.relu(x, inplace=True),
    "out=": lambda x, y: gpugrad.add(y, x, out=x),
    "fill_": lambda x, y: x.fill_(3),
    "fill_, a tensor": lambda x, y: x.fill_(y[3]),
    "zero_": lambda x, y: x.zero_(),
}
TWO_LAUNCHES = {"sub_, scaled": 2, "lt_": 2, "exp_": 2}  # a product first; a bool, converted; two methods


def grid(where: str) -> Any:
    return (gpugrad.arange(1.0 * ROWS * COLUMNS) % 17 - 4).reshape(ROWS, COLUMNS).to(where)


def row(where: str) -> Any:
    return (gpugrad.arange(1.0 * COLUMNS) % 5 + 1).to(where)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_a_formula_is_written_where_the_tensor_lies(where: str, name: str, torch: Any, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    x, y, write = grid(where), row(where), FORMULAS[name]
    twin = grid(where)
    write(twin, y)  # what is made once is made
    memory, version = x.data_ptr(), x._version
    peak = (peak_on_cpu if where == "cpu" else peak_on_device)(lambda: write(x, y))
    if where == "cuda" and name not in TWO_LAUNCHES:
        assert peak < 4096
    assert x.data_ptr() == memory and x._version == version + 1 + (name == "exp_")
    expected = torch.from_numpy(grid("cpu").numpy().copy())
    methods = {"relu, inplace": lambda x, y: x.relu_(), "out=": lambda x, y: x.add_(y)}
    methods.get(name, write)(expected, torch.from_numpy(row("cpu").numpy()))
    np.testing.assert_allclose(x.cpu().numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.cuda
@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_in_place_takes_one_launch(name: str, device: str) -> None:
    if not simulated():
        pytest.skip("launches are counted by the simulator")
    from gpugrad.cuda import backend

    x, y, write = grid(device), row(device), FORMULAS[name]
    write(x, y)
    backend.cupy().counters.reset()
    write(x, y)
    assert backend.cupy().counters.launches == TWO_LAUNCHES.get(name, 1)


@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_operands_that_share_the_memory_are_read_before_it_is_written(where: str, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")

    def square() -> Any:
        return gpugrad.arange(36.0).reshape(6, 6).to(where)

    for write, expected in (
        (lambda x: x.add_(x.t()), lambda x: x + x.T),
        (lambda x: x[1:].add_(x[:-1]), lambda x: x[1:] + x[:-1]),
        (lambda x: x[:-1].add_(x[1:]), lambda x: x[:-1] + x[1:]),
        (lambda x: x.add_(x[2]), lambda x: x + x[2]),
        (lambda x: x.mul_(x[:, :1]), lambda x: x * x[:, :1]),
        (lambda x: x.view(-1)[1:].mul_(x.view(-1)[:-1]), lambda x: x.ravel()[1:] * x.ravel()[:-1]),
        (lambda x: x.t().sub_(x), lambda x: x.T - x),
        (lambda x: gpugrad.add(x[:-1], x[1:], out=x[:-1]), lambda x: x[:-1] + x[1:]),
        (lambda x: gpugrad.maximum(x[2:], x[:-2], out=x[1:-1]), lambda x: np.maximum(x[2:], x[:-2])),
        (lambda x: x[:, ::2].add_(1), lambda x: x[:, ::2] + 1),
        (lambda x: x[1:, 1:].clamp_(max=20), lambda x: np.minimum(x[1:, 1:], 20)),
        (lambda x: x.view(-1)[1:].add_(gpugrad.ones(35).to(where)), lambda x: x.ravel()[1:] + 1),
    ):
        wanted = expected(square().cpu().numpy().copy())
        np.testing.assert_array_equal(write(square()).cpu().numpy(), wanted)


@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_what_does_not_fit_is_refused_by_the_method_s_name_and_nothing_is_written(where: str, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    x, whole = gpugrad.ones(3).to(where), gpugrad.ones(3, dtype=gpugrad.int64).to(where)
    for write, says in (
        (lambda: x.add_(gpugrad.ones(2, 3).to(where)), r"add_: output with shape \[3\] doesn't match .*\[2, 3\]"),
        (lambda: x[:0].add_(gpugrad.ones(2, 0).to(where)), r"add_: output with shape \[0\]"),
        (lambda: whole.add_(1.5), r"add_: result type \S*float32 can't be cast to .*int64"),
        (lambda: whole.div_(2), r"div_: result type \S*float32 can't be cast to .*int64"),
        (lambda: x.expand(2, 3).mul_(2), "mul_: unsupported operation: more than one element"),
        (lambda: x.expand(2, 3).fill_(2), "fill_: unsupported operation: more than one element"),
        (lambda: x.clamp_(), "At least one of 'min' or 'max'"),
    ):
        with pytest.raises(RuntimeError, match=says):
            write()
        assert x.tolist() == [1, 1, 1] and whole.tolist() == [1, 1, 1]


@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_other_dtypes_are_converted(where: str, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    half = gpugrad.ones(5, dtype=gpugrad.float16).to(where)
    half.add_(gpugrad.full((5,), 1e-3).to(where))  # a float32 sum, rounded once
    assert half.dtype is gpugrad.float16 and half.tolist() == [float(np.float16(1.001))] * 5
    single = gpugrad.ones(5).to(where).add_(gpugrad.arange(5).to(where)).mul_(gpugrad.tensor(2.0))
    assert single.dtype is gpugrad.float32 and single.tolist() == [2, 4, 6, 8, 10]
    whole = gpugrad.arange(5).to(where).add_(True).mul_(3)
    assert whole.dtype is gpugrad.int64 and whole.tolist() == [3, 6, 9, 12, 15]


@pytest.mark.parametrize("where", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_a_write_that_is_not_recorded_is_seen_by_the_tape(where: str, request: Any) -> None:
    if where == "cuda":
        request.getfixturevalue("device")
    x, scale = gpugrad.ones(3).to(where).requires_grad_(), gpugrad.ones(3).to(where)
    for write in (lambda: scale.add_(1), lambda: scale.fill_(2), lambda: gpugrad.mul(scale, 3, out=scale)):
        y = (x * scale).sum()
        write()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x.mul_(2)
    scale.mul_(x)  # recorded
    assert scale.requires_grad
