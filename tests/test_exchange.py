"""Memory shared with other libraries."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import gpugrad


def test_dlpack_shares_memory_with_numpy() -> None:
    x = gpugrad.arange(6, dtype=gpugrad.float32).reshape(2, 3)
    there = np.from_dlpack(x)
    back = gpugrad.from_dlpack(there)
    x[0, 1] = 7
    assert there[0, 1] == 7 and back[0, 1].item() == 7


def test_dlpack_shares_memory_with_pytorch(torch: ModuleType) -> None:
    mine = gpugrad.zeros(3)
    theirs = torch.from_dlpack(mine)
    theirs[1] = 5
    assert mine.tolist() == [0, 5, 0] and gpugrad.from_dlpack(theirs).tolist() == [0, 5, 0]


def test_what_cannot_be_shared() -> None:
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(gpugrad.ones(2, requires_grad=True))
    with pytest.raises(TypeError, match=r"from_dlpack\(\): expected an array with __dlpack__, got list"):
        gpugrad.from_dlpack([1, 2])
    with pytest.raises(TypeError, match=r"expected cupy.ndarray \(got ndarray\)"):
        gpugrad.from_cupy(np.ones(2))
    assert not hasattr(gpugrad.ones(2), "__cuda_array_interface__")


@pytest.mark.cuda
def test_cuda_tensors_share_memory(device: str) -> None:
    from gpugrad.cuda import backend

    cupy = backend.cupy()
    array = cupy.zeros(3, np.float32)
    x = gpugrad.from_cupy(array)
    x.add_(2)
    assert x.is_cuda and cupy.asnumpy(array).tolist() == [2, 2, 2]
    assert x.__cuda_array_interface__["data"] == array.__cuda_array_interface__["data"]
    with pytest.raises(RuntimeError, match="requires grad"):
        _ = x.requires_grad_().__cuda_array_interface__


@pytest.mark.cuda
def test_pinned_memory(device: str) -> None:
    x = gpugrad.ones(3)
    pinned = x.pin_memory()
    assert not x.is_pinned() and pinned.is_pinned() and pinned.pin_memory() is pinned
    assert pinned.to(device, non_blocking=True).tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="only dense CPU tensors can be pinned"):
        x.to(device).pin_memory()
