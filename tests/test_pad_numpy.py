"""Padding of arrays: against PyTorch, by hand, and its gradient as an adjoint."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from spatial_checks import adjoint, close, normal, same, torch_gradients

from gpugrad.ops.pad_numpy import pad, pad_grad

# spatial shape, padding, mode
PADS = [
    ((5,), [(2, 3)], "constant"),
    ((5, 4), [(-1, 2), (3, -2)], "constant"),
    ((4,), [(3, 3)], "reflect"),
    ((4, 5), [(1, 2), (0, 3)], "reflect"),
    ((4,), [(5, 6)], "replicate"),
    ((3, 4, 2), [(1, 0), (2, 3), (0, 1)], "replicate"),
    ((4,), [(4, 3)], "circular"),
    ((3, 5), [(2, 1), (0, 5)], "circular"),
]
CROPS = [((5,), [(-1, 3)], "reflect"), ((5,), [(2, -2)], "replicate"), ((5,), [(-2, 3)], "circular")]


@pytest.mark.parametrize(("spatial", "padding", "mode"), PADS)
def test_pad_matches_torch(torch: ModuleType, spatial: tuple, padding: list, mode: str) -> None:
    x = normal(2, 3, *spatial)
    tx = torch.tensor(x, requires_grad=True)
    flat = [width for pair in reversed(padding) for width in pair]
    value = 1.5 if mode == "constant" else None
    expected = torch.nn.functional.pad(tx, flat, mode, value)
    out = pad(x, padding=padding, mode=mode, value=1.5)
    same(out, expected.detach())
    g = normal(*out.shape, seed=2)
    close(pad_grad(g, input_shape=x.shape, padding=padding, mode=mode), *torch_gradients(torch, expected, g, tx))


@pytest.mark.parametrize(("spatial", "padding", "mode"), PADS + CROPS)
def test_pad_adjoint(spatial: tuple, padding: list, mode: str) -> None:
    x = normal(2, 3, *spatial)
    out = pad(x, padding=padding, mode=mode)
    g = normal(*out.shape, seed=2)
    adjoint(out, g, pad_grad(g, input_shape=x.shape, padding=padding, mode=mode), x)


@pytest.mark.parametrize(
    ("mode", "width", "expected"),
    [
        ("constant", (1, -2), [9, 0, 1]),
        ("reflect", (2, 1), [2, 1, 0, 1, 2, 3, 2]),
        ("reflect", (-1, 2), [1, 2, 3, 2, 1]),
        ("replicate", (-2, 1), [2, 3, 3]),
        ("circular", (1, 2), [3, 0, 1, 2, 3, 0, 1]),
        ("circular", (-1, 2), [1, 2, 3, 1, 2]),
    ],
)
def test_pad_by_hand(mode: str, width: tuple[int, int], expected: list[int]) -> None:
    same(pad(np.arange(4.0), padding=[width], mode=mode, value=9), expected)


@pytest.mark.parametrize(
    ("mode", "width", "message"),
    [
        ("reflect", (4, 0), "less than the corresponding input dimension"),
        ("circular", (0, 5), "wrapping around more than once"),
        ("circular", (-2, 3), "wrapping around more than once"),
        ("constant", (-3, -2), "crops more than"),
        ("constant", (-5, 6), "crops more than"),
        ("replicate", (-3, -2), "crops more than"),
    ],
)
def test_pad_refuses(mode: str, width: tuple[int, int], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        pad(np.arange(4.0), padding=[width], mode=mode)


def test_pad_refuses_what_it_does_not_know() -> None:
    with pytest.raises(NotImplementedError, match="unknown mode 'mirror'"):
        pad(np.arange(4.0), padding=[(1, 1)], mode="mirror")
    with pytest.raises(RuntimeError, match="no element to replicate"):
        pad(np.arange(0.0), padding=[(1, 1)], mode="replicate")
