"""What launchers keep: when it is used again, and when it must not be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpugrad

pytestmark = pytest.mark.cuda


class Copier:
    """A launcher that copies its inputs, float32, and counts how often it is asked."""

    def __init__(self, device: str, **options: Any) -> None:
        from gpugrad.cuda import copy, launches

        self.kernel = copy.kernel("copy_flat<unsigned int, unsigned int, 1>")
        self.asked = 0
        self.run = launches.repeated(self.launch, **options)

    def launch(self, do: Any, *arrays: Any, how: str = "") -> Any:
        self.asked += 1
        if how == "raises":
            raise ValueError(how)
        outs = []
        for x in arrays:
            out = do.empty(x.shape, x.dtype)
            given = gpugrad.cuda.array.adopt(x.copy()) if how == "of a copy" else x
            do(self.kernel, (1,), (256,), (np.int64(x.size), out, given))
            outs.append(out.reshape(-1) if how == "flattened" else x if how == "the input" else out)
        return None if how == "nothing" else outs if how == "list" else tuple(outs)

    def values(self, *tensors: Any, how: str = "") -> Any:
        found = self.run(*[t._array for t in tensors], how=how)
        return found if found is None else [x.get().tolist() for x in found]


def made(device: str, *values: float) -> Any:
    return gpugrad.tensor(values, dtype=gpugrad.float32, device=device)


@pytest.fixture
def copier(device: str) -> Copier:
    gpugrad.zeros(1, device=device)
    return Copier(device)


def test_one_decision_for_arrays_that_lie_alike(copier: Copier, device: str) -> None:
    first = [copier.values(made(device, *x), made(device, *y)) for x, y in (((1, 2), (3,)), ((4, 5), (6,)))]
    assert first == [[[1, 2], [3]], [[4, 5], [6]]] and copier.asked == 1
    assert copier.values(made(device, 7), made(device, 8, 9)) == [[7], [8, 9]] and copier.asked == 2
    copier.values(made(device, 1, 2), made(device, 3), how="list")
    assert copier.asked == 3
    apart = gpugrad.arange(5.0, device=device)[1:3]  # it begins in the middle of 16 bytes
    assert copier.values(apart, made(device, 3)) == [[1, 2], [3]] and copier.asked == 4


def test_what_is_not_kept_holds_no_memory(device: str) -> None:
    """A convolution of many images makes their columns block after block."""
    from gpugrad.cuda import launches

    gpugrad.zeros(1, device=device)
    held: list[int] = []

    @launches.repeated
    def launcher(do: Any) -> None:
        for k in range(4):
            if k == 1:
                do.once()
            do.empty((1000,), np.dtype(np.float32))
            held.append(gpugrad.cuda.memory_allocated())

    launcher()
    assert held[1] == held[2] == held[3] < held[0]


@pytest.mark.parametrize("how", ["list", "flattened", "the input", "nothing"])
def test_what_is_returned_comes_again(how: str, copier: Copier, device: str) -> None:
    for values in ([1.0, 2.0], [3.0, 4.0]):
        x = made(device, *values).reshape(1, 2)
        found = copier.run(x._array, how=how)
        assert type(found) is {"list": list, "nothing": type(None)}.get(how, tuple)
        if found is not None:
            assert found[0].shape == ((2,) if how == "flattened" else (1, 2))
            assert found[0].get().reshape(-1).tolist() == values and (found[0] is x._array) == (how == "the input")
    assert copier.asked == 1


def test_results_are_of_memory_of_their_own(copier: Copier, device: str) -> None:
    x = made(device, 1, 2)
    (first,), (second,), (third,) = (copier.run(x._array) for _ in range(3))
    assert len({a.data.ptr for a in (x._array, first, second, third)}) == 4 and copier.asked == 1


def test_two_inputs_in_one_place_say_nothing_of_others(copier: Copier, device: str) -> None:
    x = made(device, 1, 2)
    assert copier.values(x, x) == [[1, 2], [1, 2]]
    assert copier.values(x, made(device, 3, 4)) == [[1, 2], [3, 4]] and copier.asked == 2
    assert copier.values(x, x) == [[1, 2], [1, 2]] and copier.asked == 2  # either way round


def test_what_is_not_known_is_not_kept(copier: Copier, device: str) -> None:
    for values in ([1, 2], [3, 4]):
        assert copier.values(made(device, *values), how="of a copy") == [values]
        with pytest.raises(ValueError, match="raises"):
            copier.values(made(device, *values), how="raises")
        assert [x.shape for x in copier.run(gpugrad.zeros(0, device=device)._array)] == [(0,)]
    assert copier.asked == 6


def test_a_setting_that_decides(device: str) -> None:
    gpugrad.zeros(1, device=device)
    copier = Copier(device, by=gpugrad.get_float32_matmul_precision)
    before, x = gpugrad.get_float32_matmul_precision(), made(device, 1, 2)
    try:
        for precision in ("highest", "high", "highest", "high"):
            gpugrad.set_float32_matmul_precision(precision)
            assert copier.values(x) == [[1, 2]]
    finally:
        gpugrad.set_float32_matmul_precision(before)
    assert copier.asked == 2


def test_so_many_are_kept_and_no_more(copier: Copier, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import launches

    monkeypatch.setattr(launches, "MOST_KEPT", 1)
    for _ in range(2):
        for values in ([1.0], [1.0, 2.0]):
            assert copier.values(made(device, *values)) == [values]
    assert copier.asked == 3


def test_bad_indices_are_looked_for_every_time(device: str) -> None:
    from gpugrad.cuda import bounds

    gpugrad.zeros(1, device=device)
    copier = Copier(device)
    launch = copier.launch
    copier.launch = lambda do, x: do.words() is not None and launch(do, x)  # type: ignore[method-assign]
    from gpugrad.cuda import launches

    copier.run = launches.repeated(copier.launch)
    for _ in range(2):
        bounds._used = False
        copier.run(made(device, 1)._array)
        assert bounds._used
    assert copier.asked == 1
