"""Kernels of kernels/copy.cu and kernels/index.cu held to the bodies of their ops on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad.nn import functional as F
from gpugrad.op import REGISTRY

pytestmark = pytest.mark.cuda

FLOATS = [gpugrad.float32, gpugrad.float64, gpugrad.float16, gpugrad.bfloat16]
DTYPES = [*FLOATS, gpugrad.int64, gpugrad.int32, gpugrad.int16, gpugrad.int8, gpugrad.uint8, gpugrad.bool]
SIZES = [1, 31, 32, 33, 1023, 4097]
Check = Callable[..., None]


@pytest.fixture
def check(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """`check(f, *inputs)`: f gives on the device what it gives on the CPU, gradients too; no op with a kernel of ours
    runs its body there.
    """
    from gpugrad.cuda import arrange, array, copy, index, lookup

    ours = {m.__name__ for m in (arrange, copy, index, lookup)}
    run_body = array._run_body

    def refuse(op: Any, body: Any, arrays: Any, params: Any) -> Any:
        assert op.launcher is None or op.launcher.__module__ not in ours, f"{op.name} ran its body"
        return run_body(op, body, arrays, params)

    monkeypatch.setattr(array, "_run_body", refuse)

    def both(f: Callable[..., Any], *inputs: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
        results = []
        for where in ("cpu", device):
            given = [_there(x, where) for x in inputs]
            out = f(*given)
            leaves = [x for x in given if isinstance(x, gpugrad.Tensor) and x.requires_grad]
            if leaves and out.requires_grad:
                weights = gpugrad.arange(out.numel(), dtype=gpugrad.float32).remainder(7).sub(3).to(out.dtype)
                (out * weights.reshape(out.shape).to(where)).sum().backward()
            results.append(
                [out.dtype, out.shape, on_host(out), *[on_host(x.grad) for x in leaves if x.grad is not None]]
            )
        (dtype, shape, *here), (dtype_there, shape_there, *there) = results
        assert (dtype_there, shape_there) == (dtype, shape) and len(here) == len(there)
        for a, b in zip(here, there):
            np.testing.assert_allclose(b, a, rtol=rtol, atol=atol)

    yield both
    assert REGISTRY["index"].launcher is not None


def _there(x: Any, where: str) -> Any:
    if not isinstance(x, gpugrad.Tensor):
        return x
    moved = x.detach().to(where)
    return moved.requires_grad_() if x.requires_grad else moved


def numbers(*shape: int, dtype: Any = gpugrad.float32, seed: int = 0) -> gpugrad.Tensor:
    """Small whole numbers, of which sums are exact; what is floating requires grad."""
    values = np.random.default_rng(seed).integers(0 if dtype in (gpugrad.uint8, gpugrad.bool) else -4, 5, shape)
    made = gpugrad.tensor(values).to(dtype)
    return made.requires_grad_() if dtype.is_floating_point else made


def places(high: int, *shape: int, seed: int = 1) -> gpugrad.Tensor:
    return gpugrad.tensor(np.random.default_rng(seed).integers(0, high, shape))


# Copies

VIEWS: dict[str, Callable[[Any], Any]] = {
    "whole": lambda x: x,
    "off the boundary": lambda x: x[1:],
    "transposed": lambda x: x.t(),
    "transposed off the boundary": lambda x: x[1:, 1:].t(),
    "every other": lambda x: x[::2, 1::2],
    "expanded": lambda x: x[:, None, :].expand(-1, 3, -1),
    "permuted": lambda x: x[:, :, None].permute(2, 1, 0),
}


@pytest.mark.parametrize("view", VIEWS)
def test_copies_of_views(check: Check, view: str) -> None:
    for dtype in (gpugrad.float32, gpugrad.bfloat16, gpugrad.int8, gpugrad.int64):
        for shape in [(5, 4), (33, 70), (130, 9)]:
            check(lambda x: VIEWS[view](x).clone(), numbers(*shape, dtype=dtype))
            check(lambda x: VIEWS[view](x).contiguous(), numbers(*shape, dtype=dtype))


@pytest.mark.parametrize("size", SIZES)
def test_copies_of_every_size(check: Check, size: int) -> None:
    for dtype in (gpugrad.float32, gpugrad.float16, gpugrad.uint8):
        check(lambda x: x.clone(), numbers(size, dtype=dtype))
        check(lambda x: x[1:].clone(), numbers(size, dtype=dtype))
        check(lambda x: x[1:].to(gpugrad.float64), numbers(size, dtype=dtype))
        check(lambda x: x.expand(3, -1).clone(), numbers(size, dtype=dtype))
        check(lambda x: x[:, None].repeat(1, 3).t().contiguous(), numbers(size, dtype=dtype))


@pytest.mark.parametrize("to", DTYPES, ids=str)
def test_conversions(check: Check, to: Any) -> None:
    for source in DTYPES:
        check(lambda x: x.to(to), numbers(37, dtype=source))


def test_float64_becomes_float16_in_one_rounding(check: Check) -> None:
    halfway = [
        1 + 2**-11 + 2**-40,
        65519.9999999,
        65520.0,
        2.0**-25 * (1 + 2**-30),
        -1 - 2**-11 - 2**-40,
        np.inf,
        np.nan,
    ]
    check(lambda x: x.to(gpugrad.float16), gpugrad.tensor(halfway, dtype=gpugrad.float64))


def test_the_layout_is_kept(device: str) -> None:
    x = numbers(4, 6, dtype=gpugrad.float64).detach().to(device)
    assert x.t().clone().stride() == (1, 6) and x.t().to(gpugrad.float32).stride() == (1, 6)
    assert x.t().contiguous().stride() == (4, 1) and x[:, ::2].clone().stride() == (3, 1)


def test_writing_in_place(check: Check) -> None:
    def write(x: Any, y: Any) -> Any:
        out = x.clone()
        out[1:3] = out[2:4].detach().clone()
        out[:, 2] = 7
        out.t()[3] = y[:, 0]
        out[-1:].fill_(2)
        out[0].copy_(y[1].double())
        return out

    check(write, numbers(5, 6), numbers(5, 5, seed=1)[:, :1].expand(5, 6))
    check(lambda x: _shifted(x), numbers(3000, dtype=gpugrad.int32))


def _shifted(x: Any) -> Any:
    x = x.clone()
    x[1:] = x[:-1]  # source and target overlap
    return x


def test_fills(check: Check) -> None:
    for dtype in DTYPES:
        check(lambda x: gpugrad.full_like(x, 3), numbers(7, 5, dtype=dtype))
        check(lambda x: x.clone().t()[1:].fill_(1).clone(), numbers(7, 5, dtype=dtype).detach())
    check(lambda x: gpugrad.full_like(x, -0.0).signbit(), numbers(3).detach())
    check(lambda x: x.clone().fill_(gpugrad.tensor(2.5, device=x.device)), numbers(4, 5).detach())


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.flip(0, 2),
        lambda x: x.roll((2, -1), (0, 2)),
        lambda x: x.roll(5),
        lambda x: x.permute(2, 0, 1).roll(3, 1),
        lambda x: x.repeat(2, 1, 3, 1),
        lambda x: x.repeat_interleave(3, 1),
        lambda x: x.tril(1),
        lambda x: x.transpose(0, 2).triu(-1),
        lambda x: x.sum(1),
        lambda x: gpugrad.cat([x, x[:, 1:], x[:, :0], x.flip(1)], 1),
        lambda x: gpugrad.cat([x, x.to(gpugrad.float64)]),
        lambda x: gpugrad.stack([x, x * 2, x], -1),
        lambda x: gpugrad.cat(x.unbind(1) * 20, 1),
        lambda x: gpugrad.diag_embed(x),
        lambda x: x[1:, ::2, -1],
    ],
)
def test_rearrangements(check: Check, f: Any) -> None:
    for shape in [(4, 5, 8), (3, 33, 31)]:
        check(f, numbers(*shape))
    check(f, numbers(4, 5, 8, dtype=gpugrad.bfloat16), rtol=2**-6)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_padding(check: Check, mode: str) -> None:
    for dtype in (gpugrad.float32, gpugrad.float16):
        for widths in [(2, 3), (-1, 2), (1, -2), (-1, -1), (3, 1, 2, 2), (0, 0, 1, -1)]:
            shape = (2, 3, 6) if len(widths) == 2 else (2, 3, 5, 6)
            check(lambda x, w=widths: F.pad(x, w, mode=mode), numbers(*shape, dtype=dtype))
    check(lambda x: F.pad(x, (1, 2), value=-1.5), numbers(3, 5))
    check(lambda x: F.pad(x, (1, 2, 0, 1), value=7).transpose(0, 1), numbers(3, 5, dtype=gpugrad.int64))


def test_a_border_wider_than_the_input_is_refused(device: str) -> None:
    with pytest.raises(RuntimeError, match="Padding size should be less than"):
        F.pad(gpugrad.ones(1, 1, 3, device=device), (3, 0), mode="reflect")


def test_empty_inputs_launch_nothing(check: Check) -> None:
    none = gpugrad.zeros(0, dtype=gpugrad.int64)
    check(lambda x: x.clone(), gpugrad.zeros(0, 3))
    check(lambda x: x.t().to(gpugrad.float64), gpugrad.zeros(0, 3))
    check(lambda x: gpugrad.cat([x, x]), gpugrad.zeros(0, 3))
    check(lambda x: x.roll(1, 0).flip(0).tril(), gpugrad.zeros(0, 3))
    check(lambda x: F.pad(x, (1, 1)), gpugrad.zeros(2, 0))
    check(lambda x, i: x[i], numbers(4, 3), none)
    check(lambda x, i: x.index_add(0, i, x[:0]), numbers(4, 3), none)
    check(lambda w, i: F.embedding(i, w), numbers(4, 3), none)


# Places


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_slices_by_index(check: Check, dtype: Any) -> None:
    x, source = numbers(7, 5, 8, dtype=dtype), numbers(7, 3, 8, dtype=dtype, seed=2)
    index, apart = places(5, 3), gpugrad.tensor([4, 0, 2])
    check(lambda x, i: x.index_select(1, i), x, index)
    check(lambda x, i: x.index_fill(1, i, 2), x, index)
    check(lambda x, i, s: x.index_copy(1, i, s), x, apart, source)
    check(lambda x, i, s: x.index_add(1, i, s), x, index, source)
    check(lambda x, i: x.transpose(0, 2).index_select(1, i.int()), x, index)
    check(lambda x, i: x.take(i), x, places(280, 4, 5))
    check(lambda x, i, s: x.put(i, s, accumulate=True), x, places(280, 7, 3, 8), source)


@pytest.mark.parametrize("width", SIZES)
def test_rows_of_every_width(check: Check, width: int) -> None:
    for dtype in (gpugrad.float32, gpugrad.float16):
        x, i = numbers(6, width, dtype=dtype), places(6, 5)
        check(lambda x, i: x[i], x, i)
        check(lambda x, i: x[:, 1:][i], x, i)
        check(lambda x, i, s: x.index_copy(0, i, s), x, gpugrad.tensor([5, 0, 3]), numbers(3, width, dtype=dtype))


@pytest.mark.parametrize(
    "read",
    [
        lambda x, i, j: x[i],
        lambda x, i, j: x[:, i - 4],
        lambda x, i, j: x[i, j],
        lambda x, i, j: x[1:, i, j - 2],
        lambda x, i, j: x[i, :, j],
        lambda x, i, j: x[i[:, None], None, j[0]],
        lambda x, i, j: x.permute(2, 0, 1)[j, :, i],
        lambda x, i, j: x[[0, 2, -1]],
        lambda x, i, j: x[:, [1, 2], j[0, :2]],
        lambda x, i, j: x[x.detach() > 0],
        lambda x, i, j: x[:, x.detach()[0] > 0],
        lambda x, i, j: x.masked_select(x.detach() > 1),
    ],
)
def test_reading_by_a_key(check: Check, read: Any) -> None:
    check(read, numbers(4, 5, 8), places(4, 3, 4), places(5, 3, 4, seed=3))


@pytest.mark.parametrize("accumulate", [False, True])
def test_writing_by_a_key(check: Check, accumulate: bool) -> None:
    i, j = gpugrad.tensor([3, 0, 2]), gpugrad.tensor([1, 4, 4])

    def recorded(x: Any, i: Any, j: Any, value: Any) -> Any:
        out = x * 1
        if accumulate:
            return out.index_put((i, j), value, accumulate=True)
        out[i, j] = value
        out[i, :, j] = 3
        out[:, 1:][:, j[:2] - 1] = value[0]
        return out

    check(recorded, numbers(4, 5, 8), i, j, numbers(3, 8))
    check(recorded, numbers(4, 5, 8).detach(), i, j, numbers(3, 8).detach())
    check(recorded, numbers(4, 5, 8, dtype=gpugrad.int16), i, j, numbers(8, dtype=gpugrad.int16).expand(3, 8))


def test_masks(check: Check) -> None:
    x, mask = numbers(4, 5, 8), numbers(4, 5, 8, seed=5).detach() > 0
    check(lambda x, m: x.masked_fill(m, 9), x, mask)
    check(lambda x, m: x.masked_scatter(m, x.detach().flip(0)), x, mask)
    check(lambda x, m: gpugrad.nonzero(m), x, mask)
    check(lambda x, m: gpugrad.where(m, x, -x), x, mask)


# Lookups


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("deterministic", [False, True])
def test_embeddings(check: Check, dtype: Any, deterministic: bool) -> None:
    gpugrad.use_deterministic_algorithms(deterministic)
    try:
        for width in (1, 33, 64):
            check(lambda w, i: F.embedding(i, w), numbers(9, width, dtype=dtype), places(9, 5, 7))
            check(lambda w, i: F.embedding(i, w, padding_idx=2), numbers(9, width, dtype=dtype), places(9, 5, 7).int())
    finally:
        gpugrad.use_deterministic_algorithms(False)


@pytest.mark.parametrize("deterministic", [False, True])
def test_sums_and_writes_both_ways(check: Check, deterministic: bool) -> None:
    gpugrad.use_deterministic_algorithms(deterministic)
    try:
        x = numbers(4, 5, 8)
        check(lambda x, i, j: x[i, :, j], x, places(4, 6), places(8, 6))
        check(lambda x, i: x.gather(1, i), x, places(5, 4, 9, 8))
        check(lambda x, i, s: x.scatter_add(2, i, s), x, places(8, 4, 5, 12), numbers(4, 5, 12, seed=4))
        check(lambda x, i, s: x.index_add(0, i, s), x, places(4, 9), numbers(9, 5, 8, seed=4))
        if deterministic:  # the last one stays
            again = gpugrad.tensor([1, 3, 1, 1, 3])
            check(lambda x, i, s: x.detach().index_copy(0, i, s), x, again, numbers(5, 5, 8).detach())
            check(
                lambda x, i, s: x.scatter(0, i[:, None, None].expand(5, 5, 8), s), x.detach(), again, numbers(5, 5, 8)
            )
    finally:
        gpugrad.use_deterministic_algorithms(False)


def test_deterministic_sums_are_the_same_bits_every_time(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import backend

    values = gpugrad.tensor(np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)).to(device)
    index = places(4, 200).to(device)
    found: dict[bool, set[bytes]] = {True: set(), False: set()}
    for deterministic in found:
        gpugrad.use_deterministic_algorithms(deterministic)
        try:
            for seed in range(10):
                monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
                total = gpugrad.zeros(4, 3, device=device).index_add(0, index, values)
                found[deterministic].add(total.cpu().numpy().tobytes())
        finally:
            gpugrad.use_deterministic_algorithms(False)
    assert len(found[True]) == 1
    if backend.simulated():
        assert len(found[False]) > 1  # a GPU may happen to add in the same order


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_an_index_for_every_element(check: Check, dtype: Any) -> None:
    x, src = numbers(4, 6, 8, dtype=dtype), numbers(4, 5, 8, dtype=dtype, seed=2)
    index = places(6, 4, 5, 8)
    apart = gpugrad.tensor([5, 1, 2, 0, 4])[None, :, None].expand(4, 5, 8)
    check(lambda x, i: x.gather(1, i), x, index)
    check(lambda x, i: x.transpose(0, 2).gather(1, i.transpose(0, 2).int()), x, index)
    check(lambda x, i, s: x.scatter(1, i, s), x, apart, src)
    check(lambda x, i: x.scatter(1, i[:, :2], 1), x, index)
    check(lambda x, i, s: x.scatter_add(1, i, s), x, index, src)
    for reduce in ("prod", "amax", "amin"):
        check(lambda x, i, s, r=reduce: x.detach().scatter_reduce(1, i, s, r), x, index, src.detach())


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [False, True])
def test_reductions_by_place(check: Check, reduce: str, include_self: bool) -> None:
    inputs = (numbers(4, 6), places(6, 4, 9), numbers(4, 9, seed=2))
    check(lambda x, i, s: x.scatter_reduce(1, i, s, reduce, include_self=include_self), *inputs, rtol=1e-6)


def test_nan_is_the_largest_and_the_smallest(check: Check) -> None:
    src = gpugrad.tensor([1.0, np.nan, 3.0, -np.inf, 2.0, 5.0])
    index = gpugrad.tensor([0, 0, 0, 1, 1, 2])
    for reduce in ("amax", "amin"):
        check(lambda x, i, s, r=reduce: x.scatter_reduce(0, i, s, r), gpugrad.zeros(4), index, src)


def test_picked_along_a_dimension(check: Check) -> None:
    x = gpugrad.tensor(np.random.default_rng(0).permutation(4 * 5 * 8).reshape(4, 5, 8).astype(np.float32))
    x.requires_grad_()
    check(lambda x: x.max(1).values, x)
    check(lambda x: x.sort(2).values, x)
    check(lambda x: gpugrad.take_along_dim(x, x.detach().argsort(1), 1), x)
    check(lambda i: F.one_hot(i, 6), places(6, 3, 4))


@pytest.mark.parametrize("seed", range(10))
def test_in_every_order_of_the_threads(check: Check, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    x, index = numbers(4, 40, 33), places(40, 4, 50, 33)
    check(lambda x: x.transpose(1, 2).contiguous(), x)
    check(lambda x, i, s: x.scatter_add(1, i, s), x, index, numbers(4, 50, 33))
    check(lambda x, i, s: x.detach().scatter_reduce(1, i, s, "prod"), x, index, numbers(4, 50, 33).detach())
    check(lambda w, i: F.embedding(i, w), numbers(9, 33), places(9, 60))


# Bad indices


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda x, bad: F.embedding(bad, x), r"embedding\(\): index 9 .* size 4"),
        (lambda x, bad: x[bad], r"index\(\): index 9 .* size 4"),
        (lambda x, bad: x[bad, bad], r"index\(\): index 9 .* size 4"),
        (lambda x, bad: x.index_select(1, bad), r"index\(\): index 9 .* size 3"),
        (lambda x, bad: x.gather(0, bad[:, None]), r"gather\(\): index 9 .* size 4"),
        (lambda x, bad: x.scatter(0, bad[:, None], 1.0), r"scatter\(\): index 9 .* size 4"),
        (lambda x, bad: x.scatter_add(0, bad[:, None], x[:2]), r"scatter_add\(\): index 9 .* size 4"),
        (lambda x, bad: x.index_add(0, bad, x[:2]), r"index_add\(\): index 9 .* size 4"),
        (lambda x, bad: x.index_select(0, bad - 1), r"index\(\): index (-1|8) .* size 4"),  # none counts from the end
        (lambda x, bad: x.index_copy(0, -bad, x[:2]), r"index_put\(\): index -9 .* size 4"),
        (lambda x, bad: x.scatter_reduce(0, -bad[:, None], x[:2], "amax"), r"scatter_reduce\(\): index -9 .* size 4"),
    ],
)
def test_a_bad_index_is_an_error_at_the_next_wait(device: str, use: Any, says: str) -> None:
    x = gpugrad.arange(12, dtype=gpugrad.float32, device=device).reshape(4, 3)
    out = use(x, gpugrad.tensor([0, 9], device=device))
    with pytest.raises(IndexError, match=says):
        out.cpu()
    assert x.sum().item() == 66.0 and x.max().item() == 11.0  # and the process goes on
    good = gpugrad.tensor([0, 2], device=device)
    np.testing.assert_array_equal(x[good].cpu().numpy(), [[0, 1, 2], [6, 7, 8]])


@pytest.mark.parametrize(
    "use",
    [
        lambda x, i: F.embedding(i, x).sum().backward(),
        lambda x, i: x[i, i].sum().backward(),
        lambda x, i: x.gather(0, i[:, None]),
        lambda x, i: x.scatter_add(0, i[:, None], x),
        lambda x, i: x.scatter_reduce(0, i[:, None], x, "mean"),
        lambda x, i: x.index_add(0, i, x[:3]),
        lambda x, i: x.index_fill(0, i, 1.0),
        lambda x, i: x.masked_fill(x > 0, 1.0),
        lambda x, i: x.detach().clone().__setitem__(i, 2.0),
        lambda x, i: F.one_hot(i, 6),
        lambda x, i: gpugrad.zeros(3, device=x.device).fill_(2),
        lambda x, i: gpugrad.cat([x, F.pad(x, (1, 0))[:, 1:].half()]).sum().backward(),
    ],
)
def test_nothing_goes_to_the_host_or_waits_for_it(device: str, use: Any) -> None:
    from gpugrad.cuda import backend

    if not backend.simulated():
        pytest.skip("the simulator counts copies and waits")
    x = gpugrad.ones(6, 5, device=device, requires_grad=True)
    index = gpugrad.tensor([0, 2, 2], device=device)
    counters = backend.cupy().counters
    counters.reset()
    use(x, index)
    assert counters.launches and not (
        counters.host_to_device or counters.device_to_host or counters.synchronizations
    ), counters
