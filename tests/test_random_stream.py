"""The random numbers of the CPU: PyTorch's to the last bit, whatever was drawn before them."""

from __future__ import annotations

import copy
import pickle
import threading
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_pair import FLOATING, Pair, assert_in_step, assert_same, dtype_of

from gpugrad import random_cpu as fill
from gpugrad.random_engine import Mt19937
from gpugrad.random_math import fma

INTEGRAL = ("uint8", "int8", "int16", "int32", "int64")
ANY = (*FLOATING, *INTEGRAL, "bool")
SIZES = (0, 1, 2, 15, 16, 17, 31, 32, 100, 623, 624, 625, 1300)


@pytest.fixture
def pair(torch: ModuleType) -> Pair:
    return Pair(torch, 1234)


# Every fill: the dtypes it is for and arguments to try.
FILLS: dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]] = {
    "uniform_": (FLOATING, [(), (-0.3, 0.3), (-0.0721, 0.3127), (2.0, 2.0), (0.0, 0.125)]),
    "normal_": (FLOATING, [(), (0.0, 0.02), (0.3, 1.7), (-5.0, 0.0), (float("inf"), 1.5)]),
    "log_normal_": (FLOATING, [(), (0.3, 0.7)]),
    "exponential_": (FLOATING, [(), (1.7,), (float("inf"),)]),
    "cauchy_": (FLOATING, [(), (0.3, 1.7)]),
    "geometric_": ((*FLOATING, *INTEGRAL), [(0.5,), (0.3,)]),
    "bernoulli_": (ANY, [(), (0.1,), (0.0,), (1.0,)]),
    "random_": (ANY, [(), (0, 2), (0, None), (1, None)]),
}
CASES = [(name, dtype, args) for name, (dtypes, all_args) in FILLS.items() for dtype in dtypes for args in all_args]


# --- without PyTorch -------------------------------------------------------------------------------------------------


def test_words_of_the_reference_implementation() -> None:
    # The first and the ten-thousandth output of Matsumoto and Nishimura's mt19937ar.c after init_genrand(5489); the
    # latter is the one that the C++ standard asks of std::mt19937.
    words = Mt19937(5489).words(10000)
    assert words[[0, -1]].tolist() == [3499211612, 4123659995]


LITERALS = [
    ("uniform_", 3, "float32", (), [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]),
    ("uniform_", 3, "float32", (-0.3, 0.3), [-0.002246046205982566, 0.16093307733535767, -0.24691355228424072]),
    ("uniform_", 2, "float64", (), [0.9700530018065531, 0.707819864399788]),
    ("normal_", 3, "float32", (), [1.5409960746765137, -0.293428897857666, -2.1787893772125244]),
    ("exponential_", 3, "float32", (), [3.508326292037964, 1.2303847074508667, 0.615044116973877]),
    ("bernoulli_", 8, "float32", (), [0, 0, 1, 0, 0, 0, 1, 1]),
    ("random_", 5, "int64", (0, 10), [4, 9, 3, 0, 3]),
]


@pytest.mark.parametrize(("name", "size", "dtype", "args", "expected"), LITERALS)
def test_literal_fills(name: str, size: int, dtype: str, args: tuple[Any, ...], expected: list[float]) -> None:
    """What PyTorch 2.13 draws after `manual_seed(0)`."""
    out = getattr(fill, name)(np.empty(size, dtype_of(dtype)), *args, generator=Mt19937(0))
    assert out.tolist() == expected


def test_literal_normal_blocks() -> None:
    out = fill.normal_(np.empty(17, np.float32), generator=Mt19937(0))
    assert out[:4].tolist() == [-1.1258398294448853, -1.6959311962127686, 0.5666506290435791, 0.7935083508491516]
    assert out[-3:].tolist() == [0.946298360824585, -0.843676745891571, 0.9318265914916992]
    half = fill.normal_(np.empty(17, np.float16), generator=Mt19937(0))
    assert half[[0, 1, -1]].tolist() == [-1.1259765625, -1.3525390625, -0.84375]


def test_seeds() -> None:
    generator = Mt19937()
    assert generator.initial_seed() == 67280421310721
    assert generator.manual_seed(np.int64(7)) is generator
    first = generator.words(5)
    assert (Mt19937(2**40 + 7).words(5) == first).all(), "the lowest 32 bits choose the stream"
    assert generator.manual_seed(-1).initial_seed() == 2**64 - 1
    drawn = {generator.seed() for _ in range(3)}
    assert len(drawn) == 3
    assert max(drawn) < 2**53
    assert generator.initial_seed() in drawn


@pytest.mark.parametrize(
    ("seed", "error"), [(1.5, RuntimeError), (True, RuntimeError), ("1", RuntimeError), (2**64, ValueError)]
)
def test_bad_seed_leaves_the_stream(seed: Any, error: type[Exception]) -> None:
    generator = Mt19937(1)
    before = generator.get_state()
    with pytest.raises(error, match="manual_seed expected"):
        generator.manual_seed(seed)
    assert (generator.get_state() == before).all()


@pytest.mark.parametrize("drawn", [0, 1, 623, 624, 625, 1248, 2000])
def test_state_round_trip(drawn: int) -> None:
    generator = Mt19937(3)
    generator.words(drawn)
    generator.normal64(1)  # leaves the second half of a pair
    copies = [Mt19937(), copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))]
    copies[0].set_state(generator.get_state())
    expected = (generator.get_state(), generator.normal64(3), generator.words(2000), generator.initial_seed())
    for other in copies:
        assert (other.get_state() == expected[0]).all()
        assert (other.normal64(3) == expected[1]).all()
        assert (other.words(2000) == expected[2]).all()
        assert other.initial_seed() == expected[3]


def test_a_state_is_a_copy() -> None:
    generator = Mt19937(3)
    state = generator.get_state()
    before = state.copy()
    generator.words(10)
    assert (state == before).all()
    generator.set_state(state)
    state[...] = 0
    assert (generator.get_state() == before).all()


# Offset, replacement bytes: one field each of a state after one word.
DAMAGE = {
    "seeded": (12, b"\0"),
    "left=0 ": (8, b"\0\0"),
    "left=100 ": (8, b"\x64\0"),
    "next=700": (16, b"\xbc\x02"),
    "32 bits": (28, b"\1"),
    "are zero": (24, bytes(624 * 8)),
    "flags": (5040, b"\2"),
    "float32": (5052, b"\1"),
    "is nan": (5024, np.float64(np.nan).tobytes()),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damaged_state(message: str) -> None:
    generator = Mt19937(3)
    generator.words(1)
    before = generator.get_state()
    offset, replacement = DAMAGE[message]
    damaged = before.copy()
    damaged[offset : offset + len(replacement)] = np.frombuffer(replacement, np.uint8)
    with pytest.raises(RuntimeError, match="Invalid mt19937 state.*" + message):
        generator.set_state(damaged)
    assert (generator.get_state() == before).all()


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ([1, 2], TypeError, "must be an array of uint8, but got list"),
        (np.zeros(5056), TypeError, "must be an array of uint8, but got array of float64"),
        (np.zeros(10, np.uint8), RuntimeError, r"must have shape \(5056,\), but got \(10,\)"),
    ],
)
def test_what_is_no_state(state: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Mt19937().set_state(state)


def test_threads_share_no_word() -> None:
    generator = Mt19937(3)
    drawn: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: drawn.extend(generator.words64(50) for _ in range(200))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(np.unique(np.concatenate(drawn))) == 4 * 200 * 50


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("scale", "shift"), [(0.6254, -0.3127), (1e300, 1e300), (3e-5, 7.0), (-2.0, 0.0), (1.0, 0.5)])
def test_fma_rounds_once(dtype: type, scale: float, shift: float) -> None:
    scale, shift = (dtype(np.clip(v, -1e30, 1e30) if dtype is np.float32 else v) for v in (scale, shift))
    x = np.random.RandomState(0).uniform(-3, 3, 300).astype(dtype)
    exact = [Fraction(float(v)) * Fraction(float(scale)) + Fraction(float(shift)) for v in x]
    error = [abs(Fraction(float(y)) - e) for y, e in zip(fma(x.copy(), scale, shift), exact)]
    half_ulp = [Fraction(float(np.spacing(abs(dtype(float(e)))))) / 2 for e in exact]
    assert all(e <= h for e, h in zip(error, half_ulp))


# --- against PyTorch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "dtype", "args"), CASES)
def test_fill(pair: Pair, name: str, dtype: str, args: tuple[Any, ...]) -> None:
    for size in SIZES:
        pair.fill(name, size, dtype, *args)


STEPS = st.lists(st.tuples(st.sampled_from(CASES), st.integers(0, 40) | st.sampled_from(SIZES)), max_size=12)


@settings(max_examples=60)
@given(seed=st.integers(-(2**63), 2**64 - 1), steps=STEPS)
def test_mixed_sequences(torch: ModuleType, seed: int, steps: list[Any]) -> None:
    pair = Pair(torch, seed)
    assert pair.ours.initial_seed() == pair.theirs.initial_seed()
    for (name, dtype, args), size in steps:
        pair.fill(name, size, dtype, *args)


@pytest.mark.parametrize(
    ("name", "dtype", "args"),
    [
        ("uniform_", "float32", (-0.0721, 0.3127)),
        ("uniform_", "bfloat16", ()),
        ("normal_", "float32", (0.0, 0.02)),
        ("normal_", "float16", ()),
        ("bernoulli_", "bool", (0.9,)),
        ("random_", "int64", (-(10**18), 10**18)),
    ],
)
def test_a_million(pair: Pair, name: str, dtype: str, args: tuple[Any, ...]) -> None:
    pair.fill(name, 10**6 + 3, dtype, *args)


@pytest.mark.parametrize("angle_first", [False, True])
def test_normal_blocks_at_the_corners(pair: Pair, angle_first: bool) -> None:
    """Blocks of chosen words: uniforms next to 0, to 1 and to each octant of the angle."""
    corners = [(octant << 21) + step for octant in range(9) for step in range(-8, 9)]
    words = np.array([word for word in corners if 0 <= word < 2**24], np.uint32)
    blocks = np.stack([np.resize(words, (39, 8)), np.resize(words[::-1], (39, 8))], axis=1)
    chosen = (blocks[:, ::-1] if angle_first else blocks).ravel()
    state = pair.ours.get_state()
    state[8:12].view(np.int32)[...] = 624 - 15  # left: 16 of the 624 words are taken
    state[16:24].view(np.uint64)[...] = 16
    state[24:5016].view(np.uint64)[...] = untempered(chosen)
    pair.ours.set_state(state)
    assert (pair.ours.words(608) == chosen[16:]).all(), "the state does hold the chosen words"
    pair.ours.set_state(state)
    pair.theirs.set_state(pair.torch.from_numpy(state))
    pair.fill("normal_", 608, "float32")


def untempered(words: np.ndarray) -> np.ndarray:
    """The twister's state whose next outputs are `words`: its tempering undone step by step."""
    y = words.astype(np.uint32)
    y = y ^ (y >> 18)
    y = y ^ ((y << 15) & np.uint32(0xEFC60000))
    z = y
    for _ in range(4):
        z = y ^ ((z << 7) & np.uint32(0x9D2C5680))
    y = z
    for _ in range(2):
        z = y ^ (z >> 11)
    return z.astype(np.uint64)


RANGES = {
    "uint8": [(0, 256), (7, 9)],
    "int8": [(-128, 128), (-5, None)],
    "int16": [(-(2**15), 2**15), (-3, None)],
    "int32": [(-(2**31), 2**31), (0, 2**28 - 1), (0, 2**28), (5, None)],
    "int64": [(0, 2**28), (3, 2**32 + 5), (-(2**63), 2**63 - 1), (-(2**63), None), (-5, None), (-1, 0)],
    "uint16": [(0, 2**16), (5, 10)],
    "uint32": [(0, 2**32), (5, None)],
    "uint64": [(0, 2**63 - 1), (2**40, 2**41)],
    "bool": [(0, 2), (1, 2), (0, 1)],
    "float16": [(0, 2048), (-5, None)],
    "bfloat16": [(0, 256), (-100, 100), (-(2**63), None)],
    "float32": [(0, 2**24), (-7, None), (-(2**63), None)],
    "float64": [(0, 2**53), (-7, None), (-(2**63), None)],
}


@pytest.mark.parametrize(("dtype", "bounds"), [(dtype, bounds) for dtype, all_ in RANGES.items() for bounds in all_])
def test_integer_ranges(pair: Pair, dtype: str, bounds: tuple[int, int | None]) -> None:
    for size in (0, 7, 300):
        pair.fill("random_", size, dtype, *bounds)


@pytest.mark.filterwarnings("ignore:.*out of bounds:UserWarning")
@pytest.mark.parametrize(
    ("dtype", "bounds"),
    [
        ("float16", (0, 65504)),
        ("float16", (-3000, 4099)),
        ("bfloat16", (-1001, 70001)),
        ("float32", (0, 2**25 + 5)),
        ("float32", (2**24 + 1, 2**24 + 9)),
        ("float64", (2**53 + 1, 2**53 + 99)),
    ],
)
def test_ranges_beyond_a_floats_integers(pair: Pair, dtype: str, bounds: tuple[int, int]) -> None:
    with pytest.warns(UserWarning, match="has every integer"):
        pair.fill("random_", 300, dtype, *bounds)


# Each makes the same view of a contiguous (4, 6, 10) array or tensor.
VIEWS = {
    "transposed": lambda x: x.swapaxes(0, 2),
    "rotated": lambda x: x.swapaxes(0, 1).swapaxes(1, 2),
    "strided": lambda x: x[::2, 1:, ::3],
    "strided and swapped": lambda x: x[:, ::2, 3:].swapaxes(0, 1),
    "a column": lambda x: x[:, :, 4],
    "with a dim of one": lambda x: x[:, 2:3, ::2].swapaxes(0, 2),
    "the whole": lambda x: x,
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("name", "dtype", "args"), [case for case in CASES if case[1] in ("float32", "bfloat16")][::2])
def test_fill_of_a_view(pair: Pair, view: str, name: str, dtype: str, args: tuple[Any, ...]) -> None:
    out = np.zeros((4, 6, 10), dtype_of(dtype))
    tensor = pair.torch.zeros((4, 6, 10), dtype=getattr(pair.torch, dtype))
    pair.fill_both(name, VIEWS[view](out), VIEWS[view](tensor), *args)
    assert_same(out, tensor)  # nothing outside the view was written


@pytest.mark.parametrize("chances", ["float16", "float32", "float64"])
@pytest.mark.parametrize("view", ["the whole", "rotated"])
def test_bernoulli_by_element(pair: Pair, chances: str, view: str) -> None:
    out, tensor = np.empty((4, 6, 10), np.float32), pair.torch.empty(4, 6, 10)
    out, tensor = VIEWS[view](out), VIEWS[view](tensor)
    for shape in (out.shape, out.shape[1:], (out.shape[0], 1, 1), ()):
        p = np.array(np.random.RandomState(1).uniform(size=shape), chances)
        pair.fill_both("bernoulli_", out, tensor, p)
    pair.fill_both("bernoulli_", np.empty((3, 0), np.bool_), pair.torch.empty(3, 0, dtype=pair.torch.bool), p)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(0,), (7,), (30, 40)])
def test_dropout(torch: ModuleType, p: float, shape: tuple[int, ...]) -> None:
    ours = Mt19937(5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        for order in ("C", "F"):
            x = torch.ones(shape) if order == "C" else torch.ones(shape[::-1]).permute(*reversed(range(len(shape))))
            kept = torch.nn.functional.dropout(x, p, training=True) != 0
            mask = fill.dropout_mask_(np.empty(shape, np.bool_, order=order), p, generator=ours)
            assert (mask == kept.numpy()).all()
            assert_in_step(ours, torch.default_generator)
        torch.native_dropout(torch.ones(shape), 0.3, True)
        fill.bernoulli_(np.empty(shape, np.bool_), 0.7, generator=ours)
        assert_in_step(ours, torch.default_generator)


def test_generators_are_independent(torch: ModuleType) -> None:
    pairs = [Pair(torch, 1), Pair(torch, 1), Pair(torch, 2)]
    for size in (3, 20):
        for pair in pairs:
            pair.fill("normal_", size, "float32")
            pair.fill("uniform_", size, "float32")


def test_states_travel_both_ways(pair: Pair) -> None:
    pair.fill("normal_", 3, "float64")
    state = pair.theirs.get_state()
    ours, theirs = Pair(pair.torch, 0), Pair(pair.torch, 0)
    ours.ours.set_state(state.numpy())
    ours.theirs = pair.theirs
    theirs.theirs.set_state(pair.torch.from_numpy(pair.ours.get_state()))
    theirs.ours = pair.ours
    for other in (ours, theirs):
        other.fill("normal_", 5, "float64")
        other.fill("uniform_", 1000, "float32")


# --- errors ----------------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
BAD_FILLS = [
    ("uniform_", "float32", (1.0, 0.0)),
    ("uniform_", "float32", (NAN, 1.0)),
    ("uniform_", "float32", (0.0, INF)),
    ("uniform_", "float32", (-3e38, 3e38)),
    ("uniform_", "float16", (0.0, 70000.0)),
    ("uniform_", "int64", ()),
    ("normal_", "float32", (0.0, -1.0)),
    ("normal_", "float32", (0.0, NAN)),
    ("normal_", "int64", ()),
    ("log_normal_", "float32", (0.0, 0.0)),
    ("log_normal_", "int64", ()),
    ("exponential_", "float32", (0.0,)),
    ("exponential_", "float32", (NAN,)),
    ("cauchy_", "float32", (0.0, 0.0)),
    ("geometric_", "float32", (0.0,)),
    ("geometric_", "float32", (1.0,)),
    ("geometric_", "bool", (0.5,)),
    ("bernoulli_", "float32", (1.5,)),
    ("bernoulli_", "float32", (NAN,)),
    ("bernoulli_", "uint16", (0.5,)),
    ("bernoulli_", "float32", (np.float32([0.5, 1.5, 0.2]),)),
    ("bernoulli_", "float32", (np.float32([0.5, 0.2]),)),
    ("bernoulli_", "float32", (np.array([1, 0, 1]),)),
    ("random_", "int64", (5, 5)),
    ("random_", "int64", (0, 2**63)),
    ("random_", "uint8", (0, 300)),
    ("random_", "uint8", (-1, 3)),
    ("random_", "uint8", (-5, None)),
    ("random_", "bool", (0, 3)),
    ("random_", "uint64", (-1, 10)),
    ("random_", "uint16", ()),
    ("random_", "int32", (-(2**63), None)),
    ("random_", "float32", (2**24, None)),
    ("random_", "float16", (0, 70000)),
]


@pytest.mark.parametrize(("name", "dtype", "args"), BAD_FILLS)
def test_bad_fill(torch: ModuleType, name: str, dtype: str, args: tuple[Any, ...]) -> None:
    """PyTorch's exception class; nothing is drawn and nothing written."""
    tensor = torch.zeros(3, dtype=getattr(torch, dtype))
    theirs = [torch.from_numpy(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
    with pytest.raises(Exception) as expected:  # whatever its class is
        getattr(tensor, name)(*theirs)
    generator, out = Mt19937(0), np.zeros(3, dtype_of(dtype))
    before = generator.get_state()
    with pytest.raises(expected.type, match=name) as raised:
        getattr(fill, name)(out, *args, generator=generator)
    assert raised.type is expected.type
    assert (generator.get_state() == before).all()
    assert not out.any()


@pytest.mark.parametrize("name", ["exponential_", "cauchy_"])
def test_integers_are_not_continuous(name: str) -> None:
    with pytest.raises(NotImplementedError, match=f"{name} is not implemented for int64; use one of float16"):
        getattr(fill, name)(np.empty(3, np.int64), generator=Mt19937(0))


@pytest.mark.parametrize("name", ["uniform_", "normal_", "random_", "bernoulli_", "dropout_mask_"])
def test_read_only(name: str) -> None:
    generator = Mt19937(0)
    before = generator.get_state()
    with pytest.raises(RuntimeError, match="cannot write to a read-only array"):
        getattr(fill, name)(np.broadcast_to(np.float32(0), (3,)), generator=generator)
    assert (generator.get_state() == before).all()


def test_bad_dropout() -> None:
    with pytest.raises(ValueError, match=r"dropout probability has to be between 0 and 1, but got 1\.5"):
        fill.dropout_mask_(np.empty(3), 1.5, generator=Mt19937(0))
