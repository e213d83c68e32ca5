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
SHAPES = [(3, 3), (2, 4), (7, 3), (4, 3), (5, 3), (2, 2, 2), (0, 3), (3, 0)]


@pytest.mark.parametrize("case", RANGES, ids=range(len(RANGES)))
def test_range(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)


METHODS: list[Case] = [
    *[lambda lib, s=shape, w=wrap: lib.ones(s).fill_diagonal_(3, w) for shape in SHAPES for wrap in (False, True)],
    lambda lib: lib.ones(3, 4).t().fill_diagonal_(2.5),
    lambda lib: lib.ones(4, 4)[1:, 1:].fill_diagonal_(2.5),
    lambda lib: lib.ones(2, 3, 4).sum_to_size(3, 1),
    lambda lib: lib.ones(2, 3).sum_to_size((1,)),
    lambda lib: lib.ones(2, 3).sum_to_size([2, 3]),
    lambda lib: lib.ones(2).double().new([1, 2]),
    lambda lib: lib.ones(2).long().new(2, 3).zero_(),
    lambda lib: lib.ones(2).new(),
]


@pytest.mark.parametrize("case", METHODS, ids=range(len(METHODS)))
def test_methods(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)


def test_a_filled_diagonal_has_no_gradient() -> None:
    x = gpugrad.ones(2, 3, requires_grad=True)
    y = (x * 2)[:, 1:].fill_diagonal_(5)
    (y * y).sum().backward()
    assert y.tolist() == [[5, 2], [2, 5]]
    assert x.grad is not None and x.grad.tolist() == [[0, 0, 8], [0, 8, 0]]


def test_a_diagonal_of_repeated_elements_is_not_filled() -> None:
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        gpugrad.ones(1).expand(2, 2).fill_diagonal_(1)


ERRORS: list[tuple[type[Exception], Case]] = [
    (RuntimeError, lambda lib: lib.range(0, 3, -1)),
    (RuntimeError, lambda lib: lib.ones(3).fill_diagonal_(1)),
    (RuntimeError, lambda lib: lib.ones(2, 2, 3).fill_diagonal_(1)),
    (RuntimeError, lambda lib: lib.ones(2, 3).sum_to_size(2)),
    (RuntimeError, lambda lib: lib.ones(3).sum_to_size(2, 3)),
    (TypeError, lambda lib: lib.ones(3).new(1.5)),
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
