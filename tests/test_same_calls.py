"""Calls in every form that PyTorch takes them in: the same text gives the same here."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from nn_pair import Case, assert_same


def x(lib: Any) -> Any:
    return lib.arange(6.0).view(2, 3) - 2


def index(lib: Any) -> Any:
    return lib.tensor([[0, 1, 2], [2, 1, 0]])


CALLS: list[Case] = [
    lambda lib: lib.arange(end=5),
    lambda lib: lib.arange(start=1, end=5, step=2),
    lambda lib: lib.nn.functional.hardshrink(x(lib), 1.5),
    lambda lib: lib.hardshrink(x(lib), lambd=1.5),
    lambda lib: lib.hardshrink(x(lib), 1.5),
    lambda lib: lib.celu(x(lib), 0.5).round(decimals=4),
    lambda lib: lib.threshold(x(lib), 1, -7),
    lambda lib: lib.diag(x(lib), out=lib.zeros(2)),
    lambda lib: lib.diag(lib.ones(2), 1, out=lib.zeros(3, 3)),
    lambda lib: lib.zeros_like(x(lib), memory_format=lib.preserve_format),
    lambda lib: lib.rand_like(x(lib), layout=lib.strided, memory_format=lib.preserve_format).shape,
    lambda lib: lib.randn_like(x(lib), memory_format=lib.contiguous_format).shape,
    lambda lib: lib.randint_like(x(lib), 3, layout=lib.strided).shape,
    lambda lib: x(lib).clone(memory_format=lib.contiguous_format),
    lambda lib: x(lib).t().contiguous(memory_format=lib.contiguous_format).stride(),
    lambda lib: x(lib).t().is_contiguous(memory_format=lib.contiguous_format),
    lambda lib: [str(lib.preserve_format), isinstance(lib.preserve_format, lib.memory_format)],
    lambda lib: [str(x(lib).layout), x(lib).layout is lib.strided, isinstance(lib.strided, lib.layout)],
    lambda lib: x(lib)[:, lib.newaxis].shape,
    lambda lib: x(lib).new_zeros(size=(2,)),
    lambda lib: x(lib).new_ones(size=(2, 1), dtype=lib.int64),
    lambda lib: x(lib).new_empty(size=(2, 1)).shape,
    lambda lib: x(lib).expand(size=(2, 2, 3)),
    lambda lib: x(lib).reshape(shape=(3, 2)),
    lambda lib: x(lib).repeat(repeats=(2, 1)),
    lambda lib: x(lib).permute(dims=(1, 0)),
    lambda lib: lib.cat([x(lib), x(lib)], axis=1),
    lambda lib: lib.concat([x(lib), x(lib)], axis=-1),
    lambda lib: lib.stack([x(lib), x(lib)], axis=1),
    lambda lib: lib.linalg.norm(input=x(lib)),
    lambda lib: lib.linalg.matrix_norm(input=x(lib), ord="nuc").round(decimals=4),
    lambda lib: lib.randint(high=5, size=(3,)).shape,
    lambda lib: lib.randint(5, size=(3,)).shape,
    lambda lib: lib.randint(3, 4, size=(3,)),
    lambda lib: lib.nn.functional.cosine_similarity(x(lib)[None].expand(3, 2, 3), x(lib)).tolist()[0][0] > 0.99,
    lambda lib: lib.nn.functional.cosine_similarity(x(lib), lib.ones(3), dim=0).round(decimals=5),
    lambda lib: lib.nn.functional.cosine_similarity(x(lib).half(), lib.ones(2, 3, dtype=lib.bool)).dtype,
    lambda lib: lib.tensor([1, 2], dtype=lib.uint8) + -1,
    lambda lib: lib.tensor([1, 2], dtype=lib.uint8) * -1,
    lambda lib: -1 - lib.tensor([1, 2], dtype=lib.uint8),
    lambda lib: lib.tensor([1, 255], dtype=lib.uint8).clamp(-1, 3),
    lambda lib: lib.tensor([100, 2], dtype=lib.int8) + 200,
    lambda lib: lib.tensor([1, 2], dtype=lib.uint8).mul_(-1),
    lambda lib: lib.tensor([1, 2], dtype=lib.uint8) == 257,
    lambda lib: lib.matrix_exp(lib.zeros(2, 2)),
]


@pytest.mark.parametrize("case", CALLS, ids=range(len(CALLS)))
def test_a_call_gives_what_it_gives_in_torch(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)


@pytest.mark.filterwarnings("ignore:size_average and reduce args")
@pytest.mark.parametrize("reduced", [(0,), (1,), (None, 0), (False, True)])
def test_deprecated_reductions_may_be_numbers(torch: ModuleType, reduced: Any) -> None:
    assert_same(lambda lib: lib.nn.functional.smooth_l1_loss(x(lib), 3 * x(lib), *reduced), torch)
    assert_same(lambda lib: lib.nn.MSELoss(*reduced)(x(lib), 3 * x(lib)), torch)
