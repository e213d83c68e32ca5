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
    assert pinned[1:].is_pinned() and pinned.detach().is_pinned() and not (pinned + 1).is_pinned()
    with pytest.raises(RuntimeError, match="only dense CPU tensors can be pinned"):
        x.to(device).pin_memory()


@pytest.mark.cuda
def test_factories_that_pin(device: str) -> None:
    made = [
        gpugrad.zeros(2, pin_memory=True),
        gpugrad.ones(2, pin_memory=True, requires_grad=True),
        gpugrad.empty(0, 3, pin_memory=True),
        gpugrad.tensor([1.0, 2.0], pin_memory=True),
        gpugrad.rand(2, pin_memory=True),
        gpugrad.randperm(2, pin_memory=True),
    ]
    assert all(t.is_pinned() for t in made) and made[1].requires_grad and made[1].is_leaf
    assert made[3].tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="only dense CPU tensors can be pinned"):
        gpugrad.zeros(2, device=device, pin_memory=True)


@pytest.mark.cuda
@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_that_pins(device: str, workers: int) -> None:
    """Tensors in whatever holds them; what was pinned is copied to the device as it was."""
    data = [{"x": gpugrad.full((2,), float(i)), "name": str(i), "pair": (i, [gpugrad.ones(1)])} for i in range(4)]
    loader = gpugrad.utils.data.DataLoader(data, batch_size=2, pin_memory=True, num_workers=workers)
    batches = list(loader)
    assert [b["name"] for b in batches] == [["0", "1"], ["2", "3"]]
    for batch in batches:
        number, (inner,) = batch["pair"]
        assert batch["x"].is_pinned() and number.is_pinned() and inner.is_pinned()
    assert batches[1]["x"].to(device, non_blocking=True).tolist() == [[2.0, 2.0], [3.0, 3.0]]


def test_dlpack_shares_memory_with_jax() -> None:
    jax = pytest.importorskip("jax", reason="needs JAX: ci/test --peers installs it")
    memory = np.zeros(64, np.float32)  # JAX copies what does not lie on a boundary of 64 bytes
    start = -memory.ctypes.data % 64 // 4
    mine = gpugrad.from_numpy(memory[start : start + 6]).reshape(2, 3)
    theirs = jax.numpy.from_dlpack(mine)
    assert theirs.unsafe_buffer_pointer() == mine.data_ptr() and theirs.tolist() == mine.tolist()
    back = gpugrad.from_dlpack(theirs)
    assert back.data_ptr() == mine.data_ptr()
    frozen = gpugrad.from_dlpack(jax.numpy.arange(3.0))
    with pytest.raises(RuntimeError, match="read-only"):
        frozen.add_(1)  # JAX's arrays do not change
    assert (frozen + 1).tolist() == [1, 2, 3]
