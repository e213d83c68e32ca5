"""kernels/random.cu: the words of Philox, what is made of them, and the generators of CUDA devices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad import nn
from gpugrad.ops.random import fill_random

pytestmark = pytest.mark.cuda

FLOATS = [gpugrad.float32, gpugrad.float64, gpugrad.float16, gpugrad.bfloat16]
INTEGERS = [gpugrad.int64, gpugrad.int32, gpugrad.int16, gpugrad.int8, gpugrad.uint8, gpugrad.bool]


def philox(seed: int, start: int, blocks: int) -> np.ndarray:
    """The words of Philox 4x32-10, (blocks, 4), by the definition of Salmon et al. (2011)."""
    counter = start + np.arange(blocks, dtype=np.uint64)
    low, high = np.uint64(2**32 - 1), np.uint64(32)
    zero = np.zeros_like(counter)
    a, b, c, d = counter & low, counter >> high, zero, zero
    k0, k1 = np.uint64(seed % 2**32), np.uint64(seed >> 32)
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b, c, d = (q >> high) ^ b ^ k0, q & low, (p >> high) ^ d ^ k1, p & low
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return np.stack([a, b, c, d], axis=1)


def uniforms(seed: int, start: int, count: int, wide: bool) -> np.ndarray:
    """The uniform numbers of a fill of `count` elements that begins at block `start`."""
    if wide:
        words = philox(seed, start, -(-count // 2)).reshape(-1, 2)
        return ((words[:, 0] << np.uint64(32) | words[:, 1]) >> np.uint64(11))[:count] * 2.0**-53
    return (philox(seed, start, -(-count // 4)).ravel()[:count] >> np.uint64(8)) * 2.0**-24


def generator(seed: int = 0) -> gpugrad.Generator:
    return gpugrad.Generator(device="cuda").manual_seed(seed)


def state(place: int, seed: int = 0) -> gpugrad.Tensor:
    return gpugrad.tensor(np.array([seed, place], "<u8").view(np.uint8))


def test_the_words_are_those_of_the_published_examples(device: str) -> None:
    g = generator(0)
    drawn = fill_random(gpugrad.empty(2, dtype=gpugrad.int64, device=device), "random", g, low=-(2**63), high=None)
    words = (drawn.cpu().numpy().view(np.uint64) ^ np.uint64(2**63)).tolist()  # less the offset
    assert [f"{w:016x}" for w in words] == ["6627e8d5e169c58d", "bc57ac4c9b00dbd8"]
    np.testing.assert_array_equal(philox(0, 0, 1)[0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])


@pytest.mark.parametrize("count", [1, 31, 32, 33, 1023, 4097])
def test_uniform_numbers_depend_on_seed_and_place_alone(device: str, count: int) -> None:
    seed = 0x123456789ABCDEF
    for dtype in FLOATS:
        g = generator(seed)
        g.set_state(state(2**32 - 3, seed))  # the carry into the counter's second word
        found = [gpugrad.rand(count, device=device, dtype=dtype, generator=g) for _ in range(2)]
        blocks = -(-count // (2 if dtype is gpugrad.float64 else 4))
        for k, tensor in enumerate(found):
            expected = uniforms(seed, 2**32 - 3 + k * blocks, count, dtype is gpugrad.float64).astype(
                tensor.dtype.numpy
            )
            expected[expected == 1] = 0
            np.testing.assert_array_equal(on_host(tensor), expected.astype(on_host(tensor).dtype))
        np.testing.assert_array_equal(g.get_state().numpy(), state(2**32 - 3 + 2 * blocks, seed).numpy())


@pytest.mark.parametrize("order", range(10))
def test_numbers_do_not_depend_on_the_order_of_threads_or_the_grid(
    device: str, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(order))
    from gpugrad.cuda import random

    monkeypatch.setattr(random, "blocks_for", lambda *ignored: (1 + order,))
    g = generator(3)
    gpugrad.rand(5, device=device, generator=g)
    found = gpugrad.rand(4097, device=device, generator=g)
    np.testing.assert_array_equal(on_host(found), uniforms(3, 2, 4097, False).astype(np.float32))
    assert g.get_state().numpy().view("<u8")[1] == 2 + 1025


def fill(name: str, *args: Any, dtype: Any = None, count: int = 40_000) -> np.ndarray:
    tensor = gpugrad.empty(count, dtype=dtype, device="cuda")
    found = on_host(getattr(tensor, name)(*args, generator=generator(11)))
    return found.astype(np.float64)


def assert_mean(found: np.ndarray, mean: float, deviation: float) -> None:
    """The mean of independent draws lies within five standard errors."""
    assert abs(found.mean() - mean) < 5 * deviation / math.sqrt(found.size)


@pytest.mark.parametrize("dtype", FLOATS)
def test_moments(device: str, dtype: Any) -> None:
    slack = 1 + 40 * float(gpugrad.finfo(dtype).eps)
    z = fill("normal_", 1.0, 2.0, dtype=dtype)
    assert_mean((z - 1) / 2, 0, slack)
    assert_mean(((z - 1) / 2) ** 2, 1, math.sqrt(2) * slack)
    assert_mean(((z - 1) / 2) ** 4, 3, math.sqrt(96) * slack)
    pairs = z.reshape(-1, 2) - 1
    assert_mean(pairs[:, 0] * pairs[:, 1] / 4, 0, slack)  # halves of a Box-Muller pair
    e = fill("exponential_", 0.5, dtype=dtype)
    assert e.min() > 0
    assert_mean(e, 2, 2 * slack)
    assert_mean(e**2, 8, math.sqrt(320) * slack)
    u = fill("uniform_", -1.0, 3.0, dtype=dtype)
    assert u.min() >= -1 and u.max() < 3
    assert_mean(u, 1, 4 / math.sqrt(12) * slack + 0.1 * (slack - 1))
    assert_mean(fill("cauchy_", 1.0, 2.0, dtype=dtype) < 3, 0.75, 0.45)
    assert_mean(fill("log_normal_", 0.0, 0.5, dtype=dtype), math.exp(0.125), 0.7)


def normals(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The normal numbers of a float fill, by Box and Muller of the words, and their radii."""
    words = philox(seed, 0, -(-count // 4)).reshape(-1, 2).astype(np.float64)
    radius, angle = np.sqrt(-2 * np.log((words[:, 0] + 0.5) / 2**32)), 2 * np.pi * words[:, 1] / 2**32
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return pairs.ravel()[:count], np.repeat(radius, 2)[:count]


@pytest.mark.parametrize("dtype", [gpugrad.float32, gpugrad.float16, gpugrad.bfloat16])
def test_normal_numbers_are_those_of_the_words(device: str, dtype: Any) -> None:
    found = fill("normal_", dtype=dtype)
    expected, radius = normals(11, len(found))
    error = abs(found - expected)
    assert (error <= 3e-6 + 4e-7 / radius + float(gpugrad.finfo(dtype).eps) * abs(expected)).all()
    wide = fill("log_normal_", 1.0, 0.5, dtype=gpugrad.float32)
    np.testing.assert_allclose(wide, np.exp(1 + expected / 2), rtol=1e-3 if dtype is not gpugrad.float32 else 2e-5)


def test_the_tails_are_there(device: str) -> None:
    z = fill("normal_", count=400_000)
    assert 4 < np.abs(z).max() < 6.8
    assert_mean(np.abs(z) > 3, 2.6998e-3, 0.052)


@pytest.mark.parametrize("dtype", [gpugrad.float32, gpugrad.float16, *INTEGERS])
def test_bernoulli(device: str, dtype: Any) -> None:
    found = fill("bernoulli_", 0.3, dtype=dtype)
    assert set(found.tolist()) == {0, 1}
    assert_mean(found, 0.3, 0.46)
    assert fill("bernoulli_", 1.0, dtype=dtype, count=1000).all() and not fill("bernoulli_", 0.0, dtype=dtype).any()


def test_bernoulli_of_each_element_s_probability(device: str) -> None:
    p = gpugrad.tensor([[0.0, 1.0, 0.25]], device=device)
    g = generator(1)
    found = gpugrad.empty(20_000, 3, device=device).bernoulli_(p, generator=g)
    assert_mean(on_host(found)[:, 2], 0.25, 0.44)
    np.testing.assert_array_equal(on_host(found)[:, :2], np.tile([0, 1], (20_000, 1)))
    turned = gpugrad.empty(3, 50, device=device).T.bernoulli_(p, generator=g)  # in the order of memory
    np.testing.assert_array_equal(on_host(turned)[:, :2], np.tile([0, 1], (50, 1)))
    same = gpugrad.bernoulli(gpugrad.full((3, 5), 1.0, dtype=gpugrad.float64, device=device).T)
    assert same.shape == (5, 3) and on_host(same).all()


@pytest.mark.parametrize(("low", "high"), [(-3, 4), (0, 100), (0, 1)])
@pytest.mark.parametrize("dtype", [gpugrad.float32, gpugrad.bfloat16, gpugrad.int64, gpugrad.int32, gpugrad.int8])
def test_integers(device: str, dtype: Any, low: int, high: int) -> None:
    found = on_host(gpugrad.randint(low, high, (20_000,), device=device, dtype=dtype, generator=generator(5)))
    values, counts = np.unique(found, return_counts=True)
    assert values.tolist() == list(range(low, high))
    expected = 20_000 / (high - low)
    assert ((counts - expected) ** 2).sum() / expected < (high - low) + 5 * math.sqrt(2 * (high - low))


def test_integers_without_bounds_and_geometric_ones(device: str) -> None:
    assert_mean(fill("random_", dtype=gpugrad.uint8), 127.5, 74)
    assert fill("random_", dtype=gpugrad.int16).max() > 32_000
    assert fill("random_", dtype=gpugrad.float32).max() <= 2**24
    found = fill("geometric_", 0.25, dtype=gpugrad.int32)
    assert found.min() == 1
    assert_mean(found, 4, math.sqrt(0.75) / 0.25)
    assert_mean(fill("geometric_", 0.25, dtype=gpugrad.float32), 4, math.sqrt(0.75) / 0.25)


def test_views_are_filled_and_nothing_beside_them(device: str) -> None:
    for dtype in (gpugrad.float32, gpugrad.float16, gpugrad.float64):
        whole = gpugrad.full((9, 14), -1.0, dtype=dtype, device=device)
        whole[2:6, 1:8:2].uniform_(generator=generator(2))
        found = on_host(whole)
        outside = np.ones((9, 14), bool)
        outside[2:6, 1:8:2] = False
        assert (found[outside] == -1).all()
        assert ((found[~outside] >= 0) & (found[~outside] < 1)).all()
        flat = gpugrad.full((34,), -1.0, dtype=dtype, device=device)
        flat[1:].uniform_(generator=generator(2))  # off the 16-byte boundary
        again = gpugrad.rand(33, dtype=dtype, device=device, generator=generator(2))
        np.testing.assert_array_equal(on_host(flat)[1:], on_host(again))
        assert on_host(flat)[0] == -1
    assert gpugrad.rand(0, 3, device=device).shape == (0, 3)


def test_what_cannot_be_filled_is_refused_as_on_the_cpu(device: str) -> None:
    for where in ("cpu", device):
        wide = gpugrad.zeros(3, device=where).expand(2, 3)
        for fill in ("uniform_", "bernoulli_"):
            with pytest.raises(RuntimeError, match="cannot write to a read-only array, such as an expanded one"):
                getattr(wide, fill)()
        assert wide.tolist() == [[0.0] * 3] * 2
    chances = gpugrad.tensor([0.0, 1.0, 1.0])  # of the host, for a tensor of the device: they are copied
    assert gpugrad.zeros(2, 3, device=device).bernoulli_(chances).tolist() == [[0.0, 1.0, 1.0]] * 2


def test_tensors_like_others(device: str) -> None:
    x = gpugrad.zeros(4, 3, device=device).T
    for made in (gpugrad.rand_like(x), gpugrad.randn_like(x, dtype=gpugrad.float64), gpugrad.randint_like(x, 9)):
        assert made.is_cuda and made.shape == (3, 4) and made.stride() == x.stride()
    assert not gpugrad.rand_like(x, device="cpu").is_cuda
    assert gpugrad.rand_like(gpugrad.zeros(2), device=device).is_cuda
    out = gpugrad.empty(5, device=device)
    assert gpugrad.rand(5, out=out) is out


# ---- dropout ----


@pytest.mark.parametrize("dtype", FLOATS)
def test_dropout(device: str, dtype: Any) -> None:
    x = gpugrad.ones(70, 143, device=device, dtype=dtype, requires_grad=True)
    y = nn.functional.dropout(x, 0.4)
    y.backward(gpugrad.full((70, 143), 2.0, device=device, dtype=dtype))
    found = on_host(y)
    scale = float(np.asarray(1 / 0.6).astype(dtype.numpy))
    assert set(np.unique(found).tolist()) == {0.0, scale}
    assert_mean(found > 0, 0.6, 0.49)
    assert x.grad is not None
    np.testing.assert_array_equal(on_host(x.grad), 2 * found)


def test_dropout_of_channels_and_at_the_ends(device: str) -> None:
    x = gpugrad.ones(40, 30, 2, 3, device=device)
    found = on_host(nn.functional.dropout2d(x, 0.25))
    assert (found == found[:, :, :1, :1]).all()
    assert_mean(found[:, :, 0, 0] > 0, 0.75, 0.44)
    assert not on_host(nn.functional.dropout(x, 1.0)).any()
    assert nn.functional.dropout(x, 0.0) is x
    turned = nn.functional.dropout(gpugrad.ones(5, 33, device=device).T, 0.5)
    assert set(np.unique(on_host(turned)).tolist()) == {0.0, 2.0}


# ---- generators ----


def test_the_same_seed_draws_the_same_and_the_next_draw_another(device: str) -> None:
    gpugrad.manual_seed(7)
    first, second = gpugrad.randn(9, device=device), gpugrad.randn(9, device=device)
    gpugrad.manual_seed(7)
    np.testing.assert_array_equal(on_host(gpugrad.randn(9, device=device)), on_host(first))
    assert not (on_host(first) == on_host(second)).any()
    gpugrad.cuda.manual_seed(7)
    np.testing.assert_array_equal(on_host(gpugrad.randn(9, device=device)), on_host(first))
    gpugrad.cuda.manual_seed_all(-1)
    assert gpugrad.cuda.initial_seed() == 2**64 - 1
    gpugrad.cuda.seed()
    assert gpugrad.cuda.initial_seed() != 2**64 - 1
    gpugrad.cuda.seed_all()
    assert gpugrad.cuda.default_generators[0].initial_seed() == gpugrad.cuda.initial_seed()


def test_states_are_kept_and_put_back(device: str) -> None:
    gpugrad.manual_seed(1)
    gpugrad.rand(5, device=device)
    kept = gpugrad.cuda.get_rng_state()
    assert kept.dtype is gpugrad.uint8 and kept.shape == (16,) and not kept.is_cuda
    first = gpugrad.rand(5, device=device)
    gpugrad.cuda.set_rng_state(kept)
    np.testing.assert_array_equal(on_host(gpugrad.rand(5, device=device)), on_host(first))
    gpugrad.cuda.set_rng_state_all([kept])
    with gpugrad.random.fork_rng():
        gpugrad.rand(50, device=device)
    np.testing.assert_array_equal(on_host(gpugrad.rand(5, device=device)), on_host(first))
    (now,) = gpugrad.cuda.get_rng_state_all()
    assert now.numpy().view("<u8").tolist() == [1, 4]
    with pytest.raises(RuntimeError, match="wrong size"):
        gpugrad.cuda.set_rng_state(kept[:3])
    with pytest.raises(TypeError, match="uint8"):
        gpugrad.cuda.set_rng_state(kept.float())


def test_a_generator_belongs_to_its_device(device: str) -> None:
    g = generator(4)
    assert str(g.device) == "cuda:0" and g.initial_seed() == 4
    with pytest.raises(RuntimeError, match="Expected a 'cuda:0' generator device but found 'cpu'"):
        gpugrad.rand(3, device=device, generator=gpugrad.Generator())
    with pytest.raises(RuntimeError, match="Expected a 'cpu' generator device but found 'cuda:0'"):
        gpugrad.rand(3, generator=g)
    before = g.get_state()
    twin = g.clone_state()
    np.testing.assert_array_equal(
        on_host(gpugrad.rand(3, device=device, generator=g)), on_host(gpugrad.rand(3, device=device, generator=twin))
    )
    with pytest.raises(RuntimeError, match="std >= 0"):
        gpugrad.empty(3, device=device).normal_(0, -1, generator=g)
    with pytest.raises(NotImplementedError, match="not implemented for int32"):
        gpugrad.empty(3, device=device, dtype=gpugrad.int32).normal_(generator=g)
    assert g.get_state().tolist() != before.tolist() and g.get_state().tolist() == twin.get_state().tolist()


def test_every_draw_follows_the_device_s_seed(device: str) -> None:
    weights = gpugrad.tensor([1.0, 2.0, 3.0, 4.0], device=device)

    def draws() -> list[Any]:
        return [
            gpugrad.randperm(10, device=device),
            gpugrad.multinomial(weights, 6, replacement=True),
            gpugrad.poisson(weights),
            gpugrad.normal(weights, 2.0),
            gpugrad.normal(weights, weights),
        ]

    gpugrad.cuda.manual_seed(3)
    first, other = draws(), draws()
    gpugrad.cuda.manual_seed(3)
    assert [x.tolist() for x in first] == [x.tolist() for x in draws()] and all(x.is_cuda for x in first)
    assert [x.tolist() for x in first] != [x.tolist() for x in other]
    assert sorted(first[0].tolist()) == list(range(10))


def test_categories_come_as_often_as_they_should(device: str) -> None:
    weights = gpugrad.tensor([[1.0, 0.0, 3.0, 4.0], [5.0, 5.0, 0.0, 0.0]], device=device)
    for dtype in (gpugrad.float32, gpugrad.float16, gpugrad.float64):
        drawn = on_host(gpugrad.multinomial(weights.to(dtype), 4000, replacement=True))
        for row, want in zip(drawn, ([0.125, 0, 0.375, 0.5], [0.5, 0.5, 0, 0])):
            np.testing.assert_allclose(np.bincount(row, minlength=4) / 4000, want, atol=0.03)
    one = on_host(gpugrad.multinomial(weights[:1].expand(4000, 4), 1))
    assert one.shape == (4000, 1)
    np.testing.assert_allclose(np.bincount(one[:, 0], minlength=4) / 4000, [0.125, 0, 0.375, 0.5], atol=0.03)
    without = on_host(gpugrad.multinomial(weights[:1].expand(4000, 4), 3))
    assert (np.sort(without, 1) == [0, 2, 3]).all()  # never one twice, never what is impossible
    np.testing.assert_allclose(np.bincount(without[:, 0], minlength=4) / 4000, [0.125, 0, 0.375, 0.5], atol=0.03)
    assert gpugrad.multinomial(gpugrad.zeros(0, 3, device=device), 2).shape == (0, 2)


def test_permutations_are_of_all_kinds(device: str) -> None:
    counts = np.zeros((4, 4))
    for _ in range(500):
        order = on_host(gpugrad.randperm(4, device=device))
        counts[np.arange(4), order] += 1
    np.testing.assert_allclose(counts / 500, 0.25, atol=0.08)
    for n in (0, 1, 5000):
        order = gpugrad.randperm(n, device=device, dtype=gpugrad.int32)
        assert order.is_cuda and order.dtype is gpugrad.int32
        np.testing.assert_array_equal(np.sort(on_host(order)), np.arange(n))


def test_normal_numbers_around_given_ones(device: str) -> None:
    mean, std = gpugrad.arange(3.0, device=device).reshape(3, 1), gpugrad.full((4000,), 0.5, device=device)
    for drawn in (gpugrad.normal(mean, std), gpugrad.normal(mean.expand(3, 4000), 0.5)):
        values = on_host(drawn)
        assert drawn.is_cuda and drawn.dtype is gpugrad.float32
        np.testing.assert_allclose(values.mean(1), [0, 1, 2], atol=0.05)
        np.testing.assert_allclose(values.std(1), 0.5, atol=0.03)


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda x: gpugrad.multinomial(x - 2, 1), r"multinomial\(\): probability tensor contains either .*element < 0"),
        (lambda x: gpugrad.multinomial(x / 0, 1), r"multinomial\(\): probability tensor contains either `inf`"),
        (lambda x: gpugrad.multinomial(x * 0, 2, replacement=True), r"multinomial\(\): .*all of a row are 0"),
        (lambda x: gpugrad.multinomial(x, 4), "cannot sample 4 samples of 3 categories without replacement"),
        (lambda x: gpugrad.multinomial(x.int(), 1), "only supports floating-point dtypes"),
        (lambda x: gpugrad.normal(x, -x), r"normal\(\): expects all elements of std >= 0.0"),
        (lambda x: gpugrad.randperm(300, dtype=gpugrad.int8, device=x.device), "randperm expects a dtype that holds"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_the_next_wait(device: str, draw: Any, says: str) -> None:
    x = gpugrad.ones(3, device=device)
    with pytest.raises(RuntimeError, match=says):
        draw(x).tolist()
    assert gpugrad.multinomial(x, 3).sum().item() == 3  # the process goes on


def test_a_captured_draw_of_categories_goes_on(device: str) -> None:
    weights = gpugrad.ones(50, device=device)
    gpugrad.rand(1, device=device)  # the generator's state is there
    graph = gpugrad.cuda.CUDAGraph()
    with gpugrad.cuda.graph(graph):
        drawn = [
            gpugrad.multinomial(weights, 20, True),
            gpugrad.randperm(20, device=device),
            gpugrad.normal(weights, 1),
        ]
    found = []
    for _ in range(2):
        graph.replay()
        found.append([t.tolist() for t in drawn])
    assert all(a != b for a, b in zip(*found))


def test_a_captured_fill_draws_new_numbers_at_each_replay(device: str) -> None:
    from gpugrad.cuda import backend

    g, fresh = generator(6), generator(6)
    out = gpugrad.empty(6, device=device)
    out.uniform_(generator=g)
    cupy = backend.cupy()
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        out.uniform_(generator=g)
        with pytest.raises(RuntimeError, match="before the capture"):
            out.uniform_(generator=fresh)  # whose state is not there yet
        with pytest.raises(RuntimeError, match="before the capture"):
            g.manual_seed(1)
        graph = stream.end_capture()
    found = []
    for _ in range(2):
        graph.launch(stream)
        stream.synchronize()
        found.append(on_host(out))
    np.testing.assert_array_equal(found, [uniforms(6, 2 * k, 6, False).astype(np.float32) for k in (1, 2)])


def test_drawing_moves_nothing_between_host_and_device(device: str) -> None:
    from gpugrad.cuda import backend

    if not backend.simulated():
        pytest.skip("copies are counted by the simulator")
    counters = backend.cupy().counters
    gpugrad.rand(3, device=device)  # its state is made
    counters.reset()
    x = gpugrad.randn(5, 4, device=device)
    gpugrad.randint(0, 9, (3,), device=device)
    nn.functional.dropout(x, 0.5)
    assert counters.launches == 3
    gpugrad.multinomial(x.abs(), 2)
    gpugrad.randperm(5, device=device)
    gpugrad.normal(x, x.abs())
    moved = counters.host_to_device, counters.device_to_host, counters.synchronizations
    assert moved == (0, 0, 0)
