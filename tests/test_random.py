"""The public random functions: PyTorch's numbers from PyTorch's seeds, generators, states, what is refused.

`test_random_stream.py` and `test_random_sampling.py` hold the streams behind them to PyTorch's; here it is what users
call.
"""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gpugrad

Call = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def seeded() -> Any:
    """Every test starts from one seed, and leaves the generator as it found it."""
    state = gpugrad.get_rng_state()
    gpugrad.manual_seed(7)
    yield
    gpugrad.set_rng_state(state)


def position(state: Any) -> list[int]:
    """A state's bytes; PyTorch has two ways to say that a block of words is used up, of which ours has one."""
    array = state.numpy().copy()
    array[16:24].view(np.uint64)[...] %= 624
    return array.tolist()


def assert_equal(ours: Any, theirs: Any, exact: bool) -> None:
    assert isinstance(ours, gpugrad.Tensor)
    assert (tuple(ours.shape), str(ours.dtype).split(".")[1]) == (tuple(theirs.shape), str(theirs.dtype).split(".")[1])
    assert (ours.stride(), ours.requires_grad) == (theirs.stride(), theirs.requires_grad)
    a, b = np.array(ours.double().tolist()), np.array(theirs.double().tolist())
    if exact:
        np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-7)


EXACT: dict[str, Call] = {
    "rand()": lambda t: t.rand(()),
    "rand(3, 4)": lambda t: t.rand(3, 4),
    "rand of a tuple": lambda t: t.rand((3, 4)),
    "rand of a list": lambda t: t.rand([2, 0, 3]),
    "rand of a size": lambda t: t.rand(t.ones(2, 3).shape),
    "rand size=": lambda t: t.rand(size=(2, 3)),
    "rand, requires_grad": lambda t: t.rand(2, requires_grad=True),
    "rand, float64": lambda t: t.rand(5, dtype=t.float64),
    "rand, float16": lambda t: t.rand(5, dtype=t.float16),
    "rand, out": lambda t: t.rand(3, out=t.empty(3)),
    "rand_like": lambda t: t.rand_like(t.zeros(3, 4)),
    "rand_like, transposed": lambda t: t.rand_like(t.zeros(3, 4).t()),
    "rand_like, dtype": lambda t: t.rand_like(t.zeros(3, dtype=t.int64), dtype=t.float64),
    "randint(high, size)": lambda t: t.randint(10, (3, 4)),
    "randint(low, high, size)": lambda t: t.randint(-5, 5, (20,)),
    "randint, keywords": lambda t: t.randint(low=3, high=9, size=(6,)),
    "randint, list": lambda t: t.randint(0, 2, [3, 2]),
    "randint, dtype": lambda t: t.randint(0, 200, (20,), dtype=t.uint8),
    "randint, float": lambda t: t.randint(0, 5, (20,), dtype=t.float32),
    "randint, wide": lambda t: t.randint(-(2**40), 2**40, (8,)),
    "randint of one": lambda t: t.randint(3, 4, (5,)),
    "randint_like": lambda t: t.randint_like(t.zeros(2, 3), 10),
    "randint_like, two": lambda t: t.randint_like(t.zeros(2, 3, dtype=t.int32), 5, 10),
    "randperm": lambda t: t.randperm(20),
    "randperm of none": lambda t: t.randperm(0),
    "randperm, dtype": lambda t: t.randperm(9, dtype=t.int32),
    "randperm, out": lambda t: t.randperm(4, out=t.empty(4, dtype=t.int64)),
    "bernoulli": lambda t: t.bernoulli(t.linspace(0, 1, 30)),
    "bernoulli, p": lambda t: t.bernoulli(t.zeros(30), 0.3),
    "bernoulli method": lambda t: t.full((30,), 0.5).bernoulli(),
    "bernoulli method, p": lambda t: t.zeros(30).bernoulli(0.7),
    "multinomial": lambda t: t.multinomial(t.tensor([0.1, 0.2, 0.3, 0.4]), 2),
    "multinomial, rows": lambda t: t.multinomial(t.tensor([[0.1, 0.9], [0.5, 0.5]]), 6, replacement=True),
    "multinomial method": lambda t: t.tensor([1.0, 2.0, 3.0]).multinomial(1),
    "uniform_": lambda t: t.empty(3, 4).uniform_(),
    "uniform_, bounds": lambda t: t.empty(9).uniform_(-2, 5),
    "uniform_, view": lambda t: t.zeros(4, 6)[:, ::2].uniform_(),
    "random_": lambda t: t.empty(9).random_(),
    "random_, to": lambda t: t.empty(9, dtype=t.int64).random_(50),
    "random_, from, to": lambda t: t.empty(9, dtype=t.int32).random_(-3, 4),
    "bernoulli_": lambda t: t.empty(20).bernoulli_(),
    "bernoulli_, p": lambda t: t.empty(20, dtype=t.int64).bernoulli_(0.2),
    "bernoulli_, tensor": lambda t: t.empty(5).bernoulli_(t.linspace(0, 1, 5)),
    "dropout": lambda t: t.nn.functional.dropout(t.ones(40), 0.3),
    "new tensor filled": lambda t: t.zeros(3).new_empty(4).uniform_(),
}
CLOSE: dict[str, Call] = {
    "randn(5)": lambda t: t.randn(5),
    "randn(4, 8)": lambda t: t.randn(4, 8),
    "randn, 17": lambda t: t.randn(17),
    "randn, float64": lambda t: t.randn(20, dtype=t.float64),
    "randn twice": lambda t: (t.randn(3), t.randn(3))[1],  # the first leaves half a pair
    "randn_like": lambda t: t.randn_like(t.zeros(5, 6)),
    "normal(mean, std, size)": lambda t: t.normal(2.0, 3.0, (4, 5)),
    "normal of tensors": lambda t: t.normal(t.arange(6.0), t.arange(1.0, 7.0)),
    "normal of a tensor and a number": lambda t: t.normal(t.arange(6.0), 0.5),
    "normal of a number and a tensor": lambda t: t.normal(1.0, t.arange(1.0, 7.0)),
    "normal of a tensor": lambda t: t.normal(t.arange(20.0)),
    "normal_": lambda t: t.empty(3, 7).normal_(),
    "normal_, parameters": lambda t: t.empty(20).normal_(1, 2),
    "exponential_": lambda t: t.empty(9).exponential_(),
    "exponential_, rate": lambda t: t.empty(9, dtype=t.float64).exponential_(3.0),
    "log_normal_": lambda t: t.empty(9).log_normal_(0.1, 0.2),
    "cauchy_": lambda t: t.empty(9).cauchy_(),
    "geometric_": lambda t: t.empty(9).geometric_(0.3),
    "poisson": lambda t: t.poisson(t.arange(9.0)),
}


@pytest.mark.parametrize("seed", [0, 7, -1, 2**40 + 3])
@pytest.mark.parametrize(
    ("call", "exact"),
    [pytest.param(call, True, id=name) for name, call in EXACT.items()]
    + [pytest.param(call, False, id=name) for name, call in CLOSE.items()],
)
def test_numbers_and_position_in_the_stream_are_pytorchs(call: Call, exact: bool, seed: int, torch: ModuleType) -> None:
    with torch.random.fork_rng(devices=[]):
        gpugrad.manual_seed(seed)
        torch.manual_seed(seed)
        assert_equal(call(gpugrad), call(torch), exact)
        assert position(gpugrad.get_rng_state()) == position(torch.get_rng_state())


GENERATED: dict[str, Callable[[Any, Any], Any]] = {
    "rand": lambda t, g: t.rand(3, generator=g),
    "randn": lambda t, g: t.randn(3, generator=g),
    "randint": lambda t, g: t.randint(9, (3,), generator=g),
    "randperm": lambda t, g: t.randperm(5, generator=g),
    "bernoulli": lambda t, g: t.bernoulli(t.full((9,), 0.5), generator=g),
    "multinomial": lambda t, g: t.multinomial(t.ones(5), 2, generator=g),
    "normal": lambda t, g: t.normal(0.0, 1.0, (3,), generator=g),
    "poisson": lambda t, g: t.poisson(t.ones(3), generator=g),
    "uniform_": lambda t, g: t.empty(3).uniform_(generator=g),
    "normal_": lambda t, g: t.empty(3).normal_(generator=g),
    "random_": lambda t, g: t.empty(3).random_(generator=g),
    "bernoulli_": lambda t, g: t.empty(9).bernoulli_(generator=g),
    "exponential_": lambda t, g: t.empty(3).exponential_(generator=g),
    "kaiming_uniform_": lambda t, g: t.nn.init.kaiming_uniform_(t.empty(2, 3), generator=g),
}


@pytest.mark.parametrize("name", GENERATED)
def test_a_generator_of_ones_own_leaves_the_default_one_alone(name: str, torch: ModuleType) -> None:
    before = gpugrad.get_rng_state().tolist()
    ours, theirs = gpugrad.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    for _ in range(2):  # the second draw goes on where the first ended
        assert_equal(GENERATED[name](gpugrad, ours), GENERATED[name](torch, theirs), exact=False)
    assert position(ours.get_state()) == position(theirs.get_state())
    assert gpugrad.get_rng_state().tolist() == before


# ---- seeds ----


def test_manual_seed_returns_the_default_generator_and_starts_anew() -> None:
    first = gpugrad.rand(5).tolist()
    generator = gpugrad.manual_seed(7)
    assert generator is gpugrad.default_generator
    assert gpugrad.rand(5).tolist() == first
    assert gpugrad.initial_seed() == generator.initial_seed() == 7


def test_manual_seed_forgets_half_a_pair_of_normal_numbers() -> None:
    first = gpugrad.randn(3).tolist()  # an odd number leaves one
    gpugrad.manual_seed(7)
    assert gpugrad.randn(3).tolist() == first


@pytest.mark.parametrize("seed", [0, 5, -1, -(2**63), 2**64 - 1, np.int64(9), True])
def test_initial_seed_is_pytorchs(seed: Any, torch: ModuleType) -> None:
    with torch.random.fork_rng(devices=[]):
        assert gpugrad.manual_seed(seed).initial_seed() == torch.manual_seed(seed).initial_seed()


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, "seven", None])
def test_a_seed_that_is_none_is_refused_and_the_stream_goes_on(seed: Any, torch: ModuleType) -> None:
    before = gpugrad.get_rng_state().tolist()
    with pytest.raises((ValueError, TypeError, RuntimeError)) as ours:
        gpugrad.manual_seed(seed)
    with torch.random.fork_rng(devices=[]), pytest.raises((ValueError, TypeError, RuntimeError)) as theirs:
        torch.manual_seed(seed)
    assert ours.type is theirs.type
    assert gpugrad.get_rng_state().tolist() == before


def test_seed_draws_a_seed_that_gives_the_stream_again() -> None:
    seed = gpugrad.seed()
    assert gpugrad.initial_seed() == seed
    first = gpugrad.rand(3).tolist()
    assert gpugrad.manual_seed(seed).initial_seed() == seed
    assert gpugrad.rand(3).tolist() == first
    assert len({gpugrad.seed() for _ in range(4)}) == 4


# ---- states ----


def test_a_state_brings_the_stream_back_in_any_place() -> None:
    for drawn in (0, 1, 623, 624, 625, 2000):
        gpugrad.manual_seed(1)
        gpugrad.rand(drawn)
        gpugrad.randn(3)  # so that half a pair is kept
        state = gpugrad.get_rng_state()
        expected = (gpugrad.randn(3).tolist(), gpugrad.rand(700).tolist())
        gpugrad.set_rng_state(state)
        assert (gpugrad.randn(3).tolist(), gpugrad.rand(700).tolist()) == expected


def test_a_state_is_a_copy_in_both_directions() -> None:
    state = gpugrad.get_rng_state()
    expected = gpugrad.rand(3).tolist()
    gpugrad.set_rng_state(state)
    state.zero_()
    assert gpugrad.rand(3).tolist() == expected


def test_states_travel_to_pytorch_and_back(torch: ModuleType) -> None:
    gpugrad.randn(5)
    theirs = torch.Generator()
    theirs.set_state(torch.from_numpy(gpugrad.get_rng_state().numpy()))
    assert_equal(gpugrad.randn(5), torch.randn(5, generator=theirs), exact=False)
    ours = gpugrad.Generator().set_state(gpugrad.from_numpy(theirs.get_state().numpy()))
    assert_equal(gpugrad.rand(5, generator=ours), torch.rand(5, generator=theirs), exact=True)


@pytest.mark.parametrize(
    "spoil",
    [lambda s: s[:-1], lambda s: s.float(), lambda s: s * 0, lambda s: s.tolist(), lambda s: None],
    ids=["short", "float", "zeros", "list", "None"],
)
def test_what_is_no_state_is_refused_and_the_stream_goes_on(spoil: Any, torch: ModuleType) -> None:
    before = gpugrad.get_rng_state()
    with pytest.raises((RuntimeError, TypeError)) as ours:
        gpugrad.set_rng_state(spoil(before))
    with pytest.raises((RuntimeError, TypeError, AttributeError)) as theirs:
        torch.Generator().set_state(spoil(torch.Generator().get_state()))
    assert ours.type is theirs.type
    assert gpugrad.get_rng_state().tolist() == before.tolist()


def test_two_generators_are_independent_and_equal_seeds_are_equal() -> None:
    a, b, c = (gpugrad.Generator().manual_seed(s) for s in (1, 1, 2))
    one = gpugrad.rand(4, generator=a)
    gpugrad.rand(9, generator=c)
    assert gpugrad.rand(4, generator=b).tolist() == one.tolist()
    assert gpugrad.rand(4, generator=c).tolist() != gpugrad.rand(4, generator=a).tolist()


def test_a_new_generator_has_pytorchs_seed(torch: ModuleType) -> None:
    assert gpugrad.Generator().initial_seed() == torch.Generator().initial_seed()
    assert gpugrad.Generator("cpu").device == gpugrad.Generator(device=gpugrad.device("cpu")).device
    assert (
        gpugrad.rand(3, generator=gpugrad.Generator()).tolist() == torch.rand(3, generator=torch.Generator()).tolist()
    )


@pytest.mark.parametrize(
    "copied",
    [
        lambda g: g.clone_state(),
        lambda g: gpugrad.Generator().set_state(g.get_state()),
        copy.copy,
        copy.deepcopy,
        lambda g: pickle.loads(pickle.dumps(g)),
    ],
    ids=["clone_state", "set_state", "copy", "deepcopy", "pickle"],
)
def test_a_copied_generator_goes_on_alone(copied: Any) -> None:
    generator = gpugrad.Generator().manual_seed(5)
    gpugrad.randn(3, generator=generator)
    twin = copied(generator)
    expected = gpugrad.rand(4, generator=generator).tolist()
    gpugrad.rand(100, generator=generator)
    assert gpugrad.rand(4, generator=twin).tolist() == expected
    assert twin.initial_seed() == 5


def test_threads_draw_from_generators_of_their_own() -> None:
    drawn: dict[int, list[float]] = {}

    def work(seed: int) -> None:
        generator = gpugrad.Generator().manual_seed(seed)
        drawn[seed] = [gpugrad.rand((), generator=generator).item() for _ in range(200)]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, numbers in drawn.items():
        assert numbers == gpugrad.rand(200, generator=gpugrad.Generator().manual_seed(seed)).tolist()


# ---- fork_rng ----


def test_fork_rng_puts_the_stream_back() -> None:
    expected = gpugrad.rand(3).tolist()
    gpugrad.manual_seed(7)
    with gpugrad.random.fork_rng():
        gpugrad.manual_seed(99)
        gpugrad.rand(10)
    assert gpugrad.rand(3).tolist() == expected
    assert gpugrad.initial_seed() == 7


def test_fork_rng_puts_the_stream_back_after_an_error() -> None:
    before = gpugrad.get_rng_state().tolist()
    with pytest.raises(ArithmeticError), gpugrad.random.fork_rng(devices=[]):
        gpugrad.rand(3)
        raise ArithmeticError
    assert gpugrad.get_rng_state().tolist() == before


def test_fork_rng_may_be_off() -> None:
    before = gpugrad.get_rng_state().tolist()
    with gpugrad.random.fork_rng(enabled=False):
        gpugrad.rand(3)
    assert gpugrad.get_rng_state().tolist() != before


# ---- gradients and views ----


def test_fills_are_constants_that_a_graph_may_use() -> None:
    x = gpugrad.ones(3, requires_grad=True)
    noise = (x * 2).uniform_()
    assert not noise.requires_grad or noise.grad_fn is not None
    ((x * noise.detach()).sum()).backward()
    assert x.grad.tolist() == noise.tolist()


REFUSED: dict[str, Any] = {
    "normal_": lambda y: y.normal_(0, -1),
    "uniform_": lambda y: y.uniform_(2, 1),
    "bernoulli_": lambda y: y.bernoulli_(2.0),
    "bernoulli_ of many": lambda y: y.bernoulli_(gpugrad.tensor([0.5, 0.5, 2.0])),
    "exponential_": lambda y: y.exponential_(-1.0),
    "random_": lambda y: y.random_(5, 2),
    "cauchy_": lambda y: y.cauchy_(0, -1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_fill_of_a_result_leaves_it_on_the_tape(name: str) -> None:
    x = gpugrad.ones(3, requires_grad=True)
    y = x * 2
    with pytest.raises(RuntimeError, match=name.split()[0]):
        REFUSED[name](y)
    assert y.tolist() == [2, 2, 2]
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2, 2, 2]


def test_a_part_of_a_result_that_is_filled_has_no_gradient() -> None:
    x = gpugrad.ones(3, requires_grad=True)
    y = x * 2
    y[:2].normal_()
    (y * y).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, 0, 8]


def test_a_fill_of_a_saved_tensor_is_noticed() -> None:
    x = gpugrad.ones(3, requires_grad=True)
    y = x * 1
    loss = (y * y).sum()
    y.detach().normal_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# ---- what is refused ----

BAD: dict[str, Call] = {
    "rand, negative": lambda t: t.rand(-1),
    "rand, text": lambda t: t.rand("3"),
    "rand, float size": lambda t: t.rand(2.5),
    "rand, integers": lambda t: t.rand(3, dtype=t.int64),
    "randn, integers": lambda t: t.randn(3, dtype=t.int32),
    "rand_like of integers": lambda t: t.rand_like(t.zeros(3, dtype=t.int64)),
    "randint, empty range": lambda t: t.randint(5, 5, (3,)),
    "randint, backwards": lambda t: t.randint(5, 2, (3,)),
    "randint, dtype too small": lambda t: t.randint(0, 1000, (3,), dtype=t.uint8),
    "randint, negative size": lambda t: t.randint(3, (-1,)),
    "randint, no size": lambda t: t.randint(3),
    "randint, gradients": lambda t: t.randint(3, (2,), requires_grad=True),
    "randperm, negative": lambda t: t.randperm(-1),
    "randperm, dtype too small": lambda t: t.randperm(300, dtype=t.uint8),
    "bernoulli, above 1": lambda t: t.bernoulli(t.tensor([0.5, 1.5])),
    "bernoulli, NaN": lambda t: t.bernoulli(t.tensor([float("nan")])),
    "bernoulli, p": lambda t: t.bernoulli(t.zeros(3), 1.5),
    "bernoulli_, p": lambda t: t.zeros(3).bernoulli_(-0.5),
    "bernoulli of integers": lambda t: t.bernoulli(t.ones(3, dtype=t.int64)),
    "multinomial, negative": lambda t: t.multinomial(t.tensor([-1.0, 2.0]), 1),
    "multinomial, zeros": lambda t: t.multinomial(t.zeros(3), 1),
    "multinomial, too many": lambda t: t.multinomial(t.ones(3), 4),
    "multinomial, none": lambda t: t.multinomial(t.ones(3), 0),
    "multinomial, dims": lambda t: t.multinomial(t.ones(2, 2, 2), 1),
    "multinomial, inf": lambda t: t.multinomial(t.tensor([1.0, float("inf")]), 1),
    "normal, negative std": lambda t: t.normal(0.0, -1.0, (3,)),
    "normal, negative stds": lambda t: t.normal(t.zeros(2), t.tensor([1.0, -1.0])),
    "normal, no size": lambda t: t.normal(0.0, 1.0),
    "normal, shapes": lambda t: t.normal(t.zeros(2), t.ones(3)),
    "normal_, negative std": lambda t: t.empty(3).normal_(0, -1),
    "normal_ of integers": lambda t: t.empty(3, dtype=t.int64).normal_(),
    "uniform_, backwards": lambda t: t.empty(3).uniform_(2, 1),
    "uniform_ of integers": lambda t: t.empty(3, dtype=t.int64).uniform_(),
    "exponential_, rate": lambda t: t.empty(3).exponential_(-1.0),
    "geometric_, p": lambda t: t.empty(3).geometric_(0.0),
    "random_, empty range": lambda t: t.empty(3).random_(3, 3),
    "generator": lambda t: t.rand(3, generator=7),
    "generator, device": lambda t: t.Generator("gpu"),
    "expanded": lambda t: t.zeros(1).expand(3).uniform_(),
    "leaf": lambda t: t.zeros(3, requires_grad=True).uniform_(),
    "dropout, p": lambda t: t.nn.functional.dropout(t.ones(3), -0.1),
    "poisson, negative": lambda t: t.poisson(t.tensor([-1.0])),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_as_in_pytorch_and_draws_nothing(name: str, torch: ModuleType) -> None:
    before = gpugrad.get_rng_state().tolist()
    with pytest.raises(Exception) as ours:
        BAD[name](gpugrad)
    assert gpugrad.get_rng_state().tolist() == before
    with torch.random.fork_rng(devices=[]), pytest.raises(Exception) as theirs:
        BAD[name](torch)
    assert issubclass(ours.type, theirs.type)
    assert len(str(ours.value)) > 20  # says something


def test_errors_name_the_values() -> None:
    with pytest.raises(RuntimeError, match=r"low=5 >= high=2"):
        gpugrad.randint(5, 2, (3,))
    with pytest.raises(RuntimeError, match=r"rand\(\): .*negative dimension -1: \[2, -1\]"):
        gpugrad.rand(2, -1)
    with pytest.raises(TypeError, match=r"gpugrad\.Generator or None for generator, got int"):
        gpugrad.rand(3, generator=7)
