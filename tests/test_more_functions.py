"""What the less usual functions refuse, and `range`, beside PyTorch's."""

from __future__ import annotations

from types import ModuleType

import pytest
from nn_pair import Case, assert_same

import gpugrad

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.range is deprecated"),
    pytest.mark.filterwarnings("ignore:range.. is deprecated"),
]
RANGES: list[Case] = [
    lambda lib: lib.range(0, 3),
    lambda lib: lib.range(1, 2, 0.25),
    lambda lib: lib.range(3, 0, -1),
    lambda lib: lib.range(0, 4, 3, dtype=lib.int64),
    lambda lib: lib.range(2, 2),
]


@pytest.mark.parametrize("case", RANGES, ids=range(len(RANGES)))
def test_range(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)


ERRORS: list[tuple[type[Exception], Case]] = [
    (RuntimeError, lambda lib: lib.range(0, 3, -1)),
    (RuntimeError, lambda lib: lib.range(0, 3, 0)),
    (RuntimeError, lambda lib: lib.matrix_exp(lib.ones(2, 3))),
    (RuntimeError, lambda lib: lib.linalg.tensorinv(lib.ones(2, 3), 1)),
    (RuntimeError, lambda lib: lib.linalg.tensorinv(lib.ones(2, 2), 0)),
    (RuntimeError, lambda lib: lib.linalg.tensorsolve(lib.ones(2, 2, 3), lib.ones(2, 2))),
    (RuntimeError, lambda lib: lib.linalg.vander(lib.ones(3), N=1)),
    (RuntimeError, lambda lib: lib.vander(lib.ones(3, 2))),
    (RuntimeError, lambda lib: lib.select_scatter(lib.ones(2, 2), lib.ones(3), 0, 0)),
    (RuntimeError, lambda lib: lib.slice_scatter(lib.ones(2, 2), lib.ones(2, 1), 0)),
    (RuntimeError, lambda lib: lib.diagonal_scatter(lib.ones(2, 2), lib.ones(1))),
    (TypeError, lambda lib: lib.isin(1, 2)),
    (TypeError, lambda lib: lib.unravel_index(lib.ones(2), (2, 2))),
    (ValueError, lambda lib: lib.unravel_index(lib.tensor([1]), (-2, 2))),
]


@pytest.mark.parametrize(("error", "case"), ERRORS, ids=range(len(ERRORS)))
def test_class_of_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    for library in (gpugrad, torch):
        with pytest.raises(error):
            case(library)


def test_range_warns() -> None:
    with pytest.warns(UserWarning, match="use arange"):
        gpugrad.range(0, 2)


QUESTIONS: list[Case] = [
    lambda lib: [lib.ones(2).is_cpu, lib.ones(2).get_device(), lib.ones(1).is_nonzero()],
    lambda lib: [lib.ones(2).is_same_size(lib.zeros(2)), lib.ones(2).is_same_size(lib.zeros(1, 2))],
    lambda lib: [lib.ones(2).is_conj(), lib.is_conj(lib.ones(2)), lib.ones(2).is_neg(), lib.is_neg(lib.ones(2))],
    lambda lib: [lib.ones(2).real, lib.ones(2).conj(), lib.ones(2).resolve_conj(), lib.ones(2).resolve_neg()],
    lambda lib: [f(lib.ones(2)) for f in (lib.real, lib.conj, lib.resolve_conj, lib.resolve_neg)],
]


@pytest.mark.parametrize("case", QUESTIONS, ids=range(len(QUESTIONS)))
def test_questions(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)
