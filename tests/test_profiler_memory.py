"""The profiler's figures of memory against `tracemalloc`'s own."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from test_profiler import only

import gpugrad
from gpugrad.profiler import ProfilerActivity, profile, record_function

CPU = [ProfilerActivity.CPU]


def big_program() -> Any:
    x = gpugrad.ones(500_000, requires_grad=True)
    y = (x * 2 + 1).sum()
    y.backward()
    return x.grad


def test_peak_memory_is_what_tracemalloc_says() -> None:
    big_program()  # call paths are made
    gc.collect()
    tracemalloc.start()
    big_program()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with profile(activities=CPU, profile_memory=True) as prof:
        big_program()
    assert prof.memory_peak["cpu"] == pytest.approx(peak, rel=0.01)
    assert peak > 6_000_000
    assert "Peak CPU memory: " in prof.key_averages().table()


def test_memory_of_each_call_is_what_tracemalloc_says() -> None:
    x = gpugrad.ones(250_000)
    with profile(activities=CPU, profile_memory=True) as prof:
        with record_function("kept"):
            kept = x + 1
        with record_function("dropped"):
            x * 2
        del kept
    rows = prof.key_averages()
    for name, bytes_kept in {"add": 10**6, "mul": 10**6, "kept": 10**6}.items():
        assert only(rows, name).cpu_memory_usage == pytest.approx(bytes_kept, rel=0.01), name
    assert abs(only(rows, "kept").self_cpu_memory_usage) < 10_000
    assert abs(only(rows, "dropped").cpu_memory_usage) < 10_000


def test_memory_does_not_count_the_profilers_own() -> None:
    x = gpugrad.ones(2)
    x + 1
    with profile(activities=CPU, profile_memory=True, record_shapes=True) as prof, record_function("all"):
        for _ in range(3000):
            x + 1
    assert abs(only(prof.events(), "all").cpu_memory_usage) < 10_000
    assert prof.memory_peak["cpu"] < 20_000


def test_tracemalloc_that_was_on_stays_on() -> None:
    tracemalloc.start()
    try:
        with profile(activities=CPU, profile_memory=True):
            gpugrad.ones(3)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_memory_of_what_does_not_end_by_itself() -> None:
    left_open = record_function("left open")
    with profile(activities=CPU, profile_memory=True) as prof:
        with record_function("around"):
            left_open.__enter__()
            kept = gpugrad.ones(250_000)
        record_function("to the end").__enter__()
        del kept
    rows = prof.key_averages()
    assert only(rows, "left open").cpu_memory_usage == pytest.approx(10**6, rel=0.01)
    assert only(rows, "to the end").cpu_memory_usage == pytest.approx(-(10**6), rel=0.01)
