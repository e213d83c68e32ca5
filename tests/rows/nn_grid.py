"""Affine grids and sampling at their points."""

from __future__ import annotations

import itertools
from typing import Any

from op_table import Row, arr


def sample(mode: str, padding: str, corners: bool) -> Any:
    def call(m: Any, x: Any, grid: Any) -> Any:
        return m.nn.functional.grid_sample(x, grid, mode, padding, corners)

    return call


def grid(size: tuple[int, ...], corners: bool) -> Any:
    return lambda m, theta: m.nn.functional.affine_grid(theta, size, corners)


IMAGE, VOLUME = (arr(2, 3, 4, 5), arr(2, 3, 2, 2)), (arr(2, 2, 3, 2, 4), arr(2, 2, 2, 1, 3))
MODES = list(itertools.product(("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)))

ROWS = [
    *[
        Row(
            f"grid_sample {mode} {padding} {corners}",
            sample(mode, padding, corners),
            [IMAGE] if mode == "bicubic" else [IMAGE, VOLUME],
            smooth=mode != "nearest",
        )
        for mode, padding, corners in MODES
    ],
    *[Row(f"affine_grid {corners}", grid((2, 1, 3, 4), corners), [(arr(2, 2, 3),)]) for corners in (False, True)],
    Row("affine_grid of volumes", grid((2, 1, 3, 1, 4), False), [(arr(2, 3, 4),)]),
]
