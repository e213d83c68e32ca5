"""The arithmetic behind `gpugrad bench`, its clocks, and how results are compared."""

from __future__ import annotations

import math
import time
import timeit
from types import SimpleNamespace

import numpy as np
import pytest

from gpugrad.bench import ceilings, clock, digest, figures, machine
from gpugrad.bench.case import multiple_of, square


def test_median_and_quartiles() -> None:
    found = figures.summary([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (found["median"], found["quartiles"], found["rounds"]) == (3.0, [2.0, 4.0], [4.0, 1.0, 3.0, 2.0, 5.0])
    assert figures.half_width(found) == pytest.approx(2 / 3)  # from 1 to 5


@pytest.mark.parametrize(
    ("rounds", "places", "confidence"),
    [  # of the order statistics, from tables of the binomial distribution
        (1, (0, 0), 0.0),
        (3, (0, 2), 0.75),
        (5, (0, 4), 0.9375),
        (6, (0, 5), 0.96875),
        (8, (0, 7), 0.9921875),
        (9, (1, 7), 0.9609375),
        (15, (3, 11), 0.96484375),
    ],
)
def test_the_interval_of_a_median(rounds: int, places: tuple[int, int], confidence: float) -> None:
    assert figures.interval(list(range(rounds))[::-1]) == (*places, confidence)


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    samples = random.exponential(size=(4000, 9))  # its median is ln 2
    held = sum(low <= math.log(2) <= high for low, high, _ in map(figures.interval, samples))
    assert held / 4000 == pytest.approx(0.961, abs=0.01)


def test_where_one_overtakes_the_other() -> None:
    cpu = [(10, 1.0), (100, 10.0), (1000, 100.0)]
    flat = [(10, 10.0), (100, 10.0 / math.sqrt(10)), (1000, 1.0)]
    assert figures.overtakes([(n, 5.0) for n, _ in cpu], cpu) == pytest.approx(50)
    assert figures.overtakes(flat, cpu) == pytest.approx(10 ** (1 + 2 / 3))
    assert figures.overtakes([(n, t / 2) for n, t in cpu], cpu) == 0.0
    assert figures.overtakes([(n, t * 2) for n, t in cpu], cpu) is None
    assert figures.overtakes([(7, 1.0)], cpu) is None  # no size in common


def test_the_fraction_of_the_nearer_ceiling() -> None:
    ceiling = {"copy": {"rate": 100.0}, "matmul": {"rate": 1000.0}}
    memory = ceilings.rates(moved=200.0, done=100.0, seconds=4.0, ceiling=ceiling)
    assert (memory["bound"], memory["of_ceiling"]) == ("copy", 0.5)
    arithmetic = ceilings.rates(moved=10.0, done=4000.0, seconds=5.0, ceiling=ceiling)
    assert (arithmetic["bound"], arithmetic["of_ceiling"]) == ("matmul", 0.8)
    assert "of_ceiling" not in ceilings.rates(10.0, 10.0, 1.0, None)
    assert "of_ceiling" not in ceilings.rates(0.0, 0.0, 1.0, ceiling)


def test_sizes_are_rounded_to_whole_rows_and_matrices() -> None:
    assert [multiple_of(1024)(n) for n in (1, 1024, 1025)] == [1024, 1024, 2048]
    assert [square(n) for n in (1, 64, 2**20, 10**6)] == [64, 64, 2**20, 1000 * 1000]


class Time:
    """A clock that goes on only when a step takes time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now, self.steps, self.seconds = 0.0, 0, seconds
        monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def step(self) -> tuple[()]:
        self.now += self.seconds
        self.steps += 1
        return ()


def test_long_steps_are_timed_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = Time(monkeypatch, 0.25)
    times, host = clock.time_steps(clock.on_the_cpu, clocked.step, 1.0)
    assert times == host == [0.25] * 4


def test_a_long_step_is_timed_at_least_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = Time(monkeypatch, 2.0)
    assert clock.time_steps(clock.on_the_cpu, clocked.step, 0.1)[0] == [2.0]


def test_short_steps_are_timed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = Time(monkeypatch, 2.0**-14)
    times, _ = clock.time_steps(clock.on_the_cpu, clocked.step, 0.125)
    assert set(times) == {2.0**-14} and len(times) < clocked.steps / 50


def test_times_are_those_of_timeit() -> None:
    """By the real clock, of a step that waits, so that a busy machine changes neither."""

    def step() -> None:
        time.sleep(0.01)

    times, _ = clock.time_steps(clock.on_the_cpu, step, 0.2)
    assert np.median(times) == pytest.approx(np.median(timeit.repeat(step, number=1, repeat=15)), rel=0.1)


def test_waiting_for_each_step_or_for_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = Time(monkeypatch, 0.0)

    def wait(results: object) -> None:
        assert results == ()
        clocked.now += 1.0

    assert clock.until_done(wait)(clocked.step, 3) == (4.0, 4.0)
    assert clock.until_done(wait, each=False)(clocked.step, 3) == (1.0, 1.0)


def test_events_leave_out_what_the_host_waits() -> None:
    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None: ...

        def synchronize(self) -> None: ...

        def elapsed_time(self, end: Event) -> float:
            return 30.0  # milliseconds

    torch = SimpleNamespace(cuda=SimpleNamespace(Event=Event, synchronize=lambda: None))
    seconds, host = clock.between_events(torch)(lambda: None, 3)
    assert seconds == 0.03 and 0 < host < 0.03


def test_steps_ahead_keep_the_device_busy_before_the_first_event() -> None:
    done: list[str] = []

    class Event(SimpleNamespace):
        record = synchronize = lambda event: done.append("event")
        elapsed_time = lambda event, last: 30.0  # noqa: E731

    torch = SimpleNamespace(cuda=SimpleNamespace(Event=Event, synchronize=lambda: None))
    clock.between_events(torch, ahead=4)(lambda: done.append("step"), 9)
    assert done[:11].count("step") == 10 and done.index("event") == 2
    done.clear()
    clock.between_events(torch, ahead=4)(lambda: done.append("step"), 3)  # long ones are not done in vain
    assert done.index("event") == 0


def test_steps_take_turns() -> None:
    step = clock.in_turn([lambda: 1, lambda: 2, lambda: 3])
    assert [step() for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]


def test_what_is_the_same_has_no_difference_and_every_kind_of_change_shows() -> None:
    values = np.random.default_rng(0).standard_normal(10000)
    reference = digest.digest([values])
    assert digest.difference(digest.digest([values.copy()]), reference) == 0
    assert digest.difference(digest.digest([values * (1 + 1e-5)]), reference) == pytest.approx(1e-5, rel=0.01)
    for place in (0, 200, 9744, 9999):  # ends are compared value by value
        wrong = values.copy()
        wrong[place] += np.abs(values).max()
        assert digest.difference(digest.digest([wrong]), reference) == pytest.approx(1)
    swapped = np.concatenate((values[5000:], values[:5000]))
    assert digest.difference(digest.digest([swapped]), reference) > 0.1
    wrong = values.copy()
    wrong[4000:5000] = 0  # among them places that nobody looks at: the mean square shows it
    assert digest.difference(digest.digest([wrong]), reference) > 0.01
    assert digest.difference(digest.digest([values.reshape(100, 100)]), reference) == math.inf
    wrong[7] = math.nan
    assert digest.difference(digest.digest([wrong]), reference) == math.inf
    assert digest.difference([], []) == 0


def test_the_machine_is_described() -> None:
    found = machine.describe()
    assert found["cores"] >= 1 and found["processor"]
    assert 0 < found["clock"]["step"] < 1e-3 and found["clock"]["resolution"] > 0
