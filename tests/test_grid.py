"""What `grid_sample` and `affine_grid` refuse, and what they warn of, beside PyTorch's."""

from __future__ import annotations

from types import ModuleType

import pytest
from nn_pair import Case, assert_same

import gpugrad

ERRORS: list[tuple[type[Exception], Case]] = [
    (ValueError, lambda lib: lib.nn.functional.grid_sample(lib.ones(1, 1, 2, 2), lib.ones(1, 2, 2, 2), "cubic")),
    (
        ValueError,
        lambda lib: lib.nn.functional.grid_sample(lib.ones(1, 1, 2, 2), lib.ones(1, 2, 2, 2), padding_mode="wrap"),
    ),
    (RuntimeError, lambda lib: sample(lib, (1, 1, 2), (1, 2, 2))),
    (RuntimeError, lambda lib: sample(lib, (1, 1, 2, 2), (1, 2, 2, 3))),
    (RuntimeError, lambda lib: sample(lib, (2, 1, 2, 2), (1, 2, 2, 2))),
    (RuntimeError, lambda lib: sample(lib, (1, 1, 0, 2), (1, 2, 2, 2))),
    (RuntimeError, lambda lib: sample(lib, (1, 1, 2, 2, 2), (1, 2, 2, 2, 3), mode="bicubic")),
    (
        RuntimeError,
        lambda lib: lib.nn.functional.grid_sample(
            lib.ones(1, 1, 2, 2), lib.ones(1, 2, 2, 2).double(), align_corners=False
        ),
    ),
    (ValueError, lambda lib: lib.nn.functional.affine_grid(lib.ones(1, 2, 3).long(), (1, 1, 2, 2), False)),
    (ValueError, lambda lib: lib.nn.functional.affine_grid(lib.ones(1, 2, 2), (1, 1, 2, 2), False)),
    (ValueError, lambda lib: lib.nn.functional.affine_grid(lib.ones(1, 2, 3), (1, 1, 0, 2), False)),
    (NotImplementedError, lambda lib: lib.nn.functional.affine_grid(lib.ones(1, 2, 3), (1, 1, 2), False)),
]


def sample(lib: ModuleType, input: tuple[int, ...], grid: tuple[int, ...], mode: str = "bilinear") -> object:
    return lib.nn.functional.grid_sample(lib.ones(*input), lib.ones(*grid), mode, align_corners=False)


@pytest.mark.parametrize(("error", "case"), ERRORS, ids=range(len(ERRORS)))
def test_class_of_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    for library in (gpugrad, torch):
        with pytest.raises(error):
            case(library)


def test_left_out_align_corners_warns(torch: ModuleType) -> None:
    for library in (gpugrad, torch):
        f = library.nn.functional
        with pytest.warns(UserWarning, match="affine_grid behavior has changed to align_corners=False"):
            grid = f.affine_grid(library.eye(2, 3).unsqueeze(0), (1, 1, 2, 2))
        with pytest.warns(UserWarning, match="grid_sample and affine_grid behavior has changed"):
            f.grid_sample(library.ones(1, 1, 2, 2), grid)


def test_points_far_outside(torch: ModuleType) -> None:
    def case(lib: ModuleType) -> object:
        x = lib.arange(6.0).reshape(1, 1, 2, 3)
        grid = lib.tensor([[[[5.0, -7.0], [1e6, 0.0], [-1.0, 1.0]]]])
        modes = ("zeros", "border", "reflection")
        f = lib.nn.functional
        return [f.grid_sample(x, grid, mode, how, True).round() for how in modes for mode in ("bilinear", "nearest")]

    assert_same(case, torch)
