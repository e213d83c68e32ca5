"""The CUDA device as a program meets it: tensors move, work stays where it is, errors say what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_tools import need, on_host

import gpugrad
from gpugrad import nn

pytestmark = pytest.mark.cuda


def test_tensors_move_and_gradients_follow(device: str) -> None:
    x = gpugrad.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    there = x.to(device)
    assert there.is_cuda and str(there.device) == "cuda:0" and there.to("cuda:0") is there and x.to("cpu") is x
    (there * there).sum().backward()
    assert x.grad is not None and not x.grad.is_cuda
    np.testing.assert_array_equal(x.grad.numpy(), [[2.0, 4.0, 6.0]])
    np.testing.assert_array_equal(there.detach().cpu().numpy(), x.detach().numpy())


@pytest.mark.parametrize("move_first", [True, False])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_training_is_the_cpu_s(device: str, name: str, move_first: bool) -> None:
    losses = []
    for where in ("cpu", device):
        gpugrad.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        x, target = gpugrad.randn(5, 6), gpugrad.randint(0, 3, (5,))
        if move_first:
            model.to(where)
        optimizer = getattr(gpugrad.optim, name)(model.parameters(), lr=0.1)
        model.to(where)
        x, target = x.to(where), target.to(where)
        found = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        losses.append(found)
        assert all(p.grad is not None and p.grad.device.type == where for p in model.parameters())
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_devices_do_not_mix_but_numbers_do(device: str) -> None:
    x = gpugrad.ones(3, device=device)
    with pytest.raises(RuntimeError, match="at least two devices, cuda:0 and cpu"):
        x + gpugrad.ones(3)
    scale = gpugrad.tensor(2.0, requires_grad=True)
    y = x * scale
    y.sum().backward()
    assert y.is_cuda and scale.grad is not None and scale.grad.item() == 3.0 and not scale.grad.is_cuda


@pytest.mark.parametrize("pinned", [False, True])
def test_copies_go_from_device_to_device(device: str, pinned: bool) -> None:
    """As in PyTorch, and as a captured step gets its next batch: no other in-place op takes another device's values."""
    host = gpugrad.zeros(2, 3)
    host = host.pin_memory() if pinned else host
    there = gpugrad.arange(6.0).reshape(2, 3).to(device)
    assert host.copy_(there, non_blocking=True) is host and not host.is_cuda and host.is_pinned() == pinned
    assert host.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    batch = gpugrad.tensor([7, 8, 9], dtype=gpugrad.int64)
    assert there.copy_(batch) is there and there.is_cuda
    assert there.tolist() == [[7.0, 8.0, 9.0]] * 2  # broadcast and converted
    w = gpugrad.ones(3, requires_grad=True)
    y = gpugrad.zeros(2, 3, device=device)
    y.copy_(w)
    (y * 2).sum().backward()
    assert w.grad is not None and not w.grad.is_cuda and w.grad.tolist() == [4.0] * 3


def test_the_host_is_reached_only_when_asked(device: str) -> None:
    x = gpugrad.ones(3, device=device)
    with pytest.raises(TypeError, match=r"can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu\(\)"):
        x.numpy()
    with pytest.raises(TypeError):
        np.asarray(x)
    assert x.sum().item() == 3.0 and x.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: gpugrad.zeros(2, 3, **options),
        lambda **options: gpugrad.full((2,), 7, **options),
        lambda **options: gpugrad.arange(5, **options),
        lambda **options: gpugrad.linspace(0, 1, 4, **options),
        lambda **options: gpugrad.eye(3, **options),
        lambda **options: gpugrad.tensor([1, 2], **options),
        lambda **options: gpugrad.ones_like(gpugrad.zeros(2, 2), **options),
        lambda **options: gpugrad.as_tensor(np.ones(2), **options),
    ],
)
def test_factories_make_tensors_there(device: str, make: Any) -> None:
    here, there = make(), make(device=device)
    assert there.is_cuda and there.dtype == here.dtype
    np.testing.assert_array_equal(on_host(there), on_host(here))


RANGES: dict[str, Any] = {
    "arange": lambda **options: gpugrad.arange(-3, 1000, 7, **options),
    "arange, down": lambda **options: gpugrad.arange(5, -5, -1, **options),
    "arange of floats": lambda **options: gpugrad.arange(0.1, 30.0, 0.03, **options),
    "arange of nothing": lambda **options: gpugrad.arange(0, **options),
    "linspace": lambda **options: gpugrad.linspace(-1, 2.7, 1001, **options),
    "linspace of one": lambda **options: gpugrad.linspace(3, 5, 1, **options),
    "eye": lambda **options: gpugrad.eye(3, 5, **options),
    "eye, tall": lambda **options: gpugrad.eye(5, 3, **options),
}


@pytest.mark.parametrize("name", RANGES)
def test_ranges_are_the_cpu_s_and_made_there(device: str, name: str) -> None:
    """To the last bit, without a copy from the host: a step that numbers its positions may be captured."""
    make = RANGES[name]
    for dtype in (None, gpugrad.float64, gpugrad.float16, gpugrad.bfloat16, gpugrad.int32, gpugrad.uint8):
        here = make(dtype=dtype)
        if name.startswith("eye"):
            np.testing.assert_array_equal(on_host(here), np.eye(*here.shape))
        graph = gpugrad.cuda.CUDAGraph()
        with gpugrad.cuda.graph(graph):
            there = make(dtype=dtype, device=device)
            there += 1
        for _ in range(2):  # a replay makes it anew
            graph.replay()
        assert there.dtype == here.dtype
        np.testing.assert_array_equal(on_host(there), on_host(here + 1), err_msg=str(dtype))


def test_what_a_device_is_asked(device: str) -> None:
    major, minor = (gpugrad.version.cuda or "").split(".")
    assert int(major) >= 12 and int(minor) >= 0
    assert gpugrad.cuda.is_tf32_supported() == (gpugrad.cuda.get_device_capability() >= (8, 0))
    x = gpugrad.ones(2, device=device)
    with gpugrad.cuda.device_of(x), gpugrad.cuda.device_of(gpugrad.ones(2)):
        assert gpugrad.cuda.current_device() == x.get_device()


def test_the_accelerator_is_the_cuda_device(device: str) -> None:
    accelerator, cuda = gpugrad.accelerator, gpugrad.cuda
    stream, before = cuda.Stream(), cuda.current_stream()
    accelerator.set_stream(stream)
    assert accelerator.current_stream() == stream
    accelerator.set_stream(before)
    with accelerator.device_index(0), accelerator.device_index(None):
        assert accelerator.current_device_index() == 0
    x = gpugrad.ones(1000, device=device)
    assert accelerator.memory_allocated() == cuda.memory_allocated() >= x.nbytes
    assert accelerator.memory_reserved() == cuda.memory_reserved()
    accelerator.reset_peak_memory_stats()
    assert accelerator.max_memory_allocated() == cuda.max_memory_allocated()
    assert accelerator.max_memory_reserved() == cuda.max_memory_reserved()
    assert accelerator.memory_stats() == cuda.memory_stats()
    assert accelerator.get_memory_info() == cuda.mem_get_info()
    accelerator.empty_cache()


@pytest.mark.parametrize("make", [gpugrad.tensor, gpugrad.asarray, gpugrad.as_tensor])
def test_a_tensor_made_of_another_stays_on_its_device(device: str, make: Any) -> None:
    x = gpugrad.ones(2, 3, device=device)
    assert make(x).is_cuda and make(x, dtype=gpugrad.float16).is_cuda and not make(x, device="cpu").is_cuda
    copy = gpugrad.tensor(x, requires_grad=True)
    assert copy.is_leaf and copy.requires_grad and copy is not x
    copy.detach().fill_(5)
    assert x.tolist() == [[1.0] * 3] * 2
    assert gpugrad.asarray(x) is x and gpugrad.asarray(x, copy=True) is not x
    with pytest.raises(ValueError, match="can't alias"):
        gpugrad.asarray(x, dtype=gpugrad.float64, copy=False)


def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(RuntimeError, match="invalid device ordinal: cuda:7 was asked for"):
        gpugrad.zeros(1, device="cuda:7")


def test_a_written_view_is_looked_up_in_a_gradient_of_another_memory_order(device: str) -> None:
    x = gpugrad.ones(2, 3, device=device, requires_grad=True)
    y = x * 2
    y.view(-1)[:2].fill_(1.0)
    y.view(3, 2)[2] = x.view(-1)[:2] * 3
    (y.t() * gpugrad.arange(1.0, 7.0, device=device).reshape(3, 2)).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[12.0, 18.0, 10.0], [4.0, 0.0, 0.0]]


def test_two_devices(device: str) -> None:
    """tests/two_devices.py, in a process that has two: kernels and caches are made for as many as there are."""
    from gpugrad.cuda import backend

    several = backend.device_count() > 1
    if not several:
        need("g++", "clang++")
    simulated = {} if several else {"GPUGRAD_SIMULATE": "1", "GPUGRAD_SIMULATE_DEVICES": "2"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/two_devices.py"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_DISABLE_PLUGIN_AUTOLOAD"} | simulated
    done = subprocess.run(command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr


def test_out_of_memory_says_how_much_there_is_and_the_next_step_works(device: str) -> None:
    _, total = gpugrad.cuda.mem_get_info()
    x = gpugrad.ones(1000, device=device, requires_grad=True)
    with pytest.raises(gpugrad.cuda.OutOfMemoryError) as error:
        (gpugrad.ones(total // 4 + 1000, device=device) * x.sum()).sum().backward()
    said = str(error.value)
    assert said.startswith("CUDA out of memory") and f"The device has {total / 2**20:.1f} MiB in all" in said
    assert "arrays hold" in said and isinstance(error.value, RuntimeError)
    (x * x).sum().backward()
    assert x.grad is not None and x.grad.sum().item() == 2000.0


def test_a_changed_header_is_compiled_again(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import backend, module

    backend.require()
    for path in module.folder().glob("*.cu*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    given: list[str] = []

    def record(source: str, options: Any, names: Any, headers: str) -> Any:
        given.append(headers)
        raise RuntimeError("not compiled")

    monkeypatch.setattr(module.nvrtc, "load", record)
    monkeypatch.setattr(backend, "simulated", lambda: False)
    monkeypatch.setattr(module, "_toolkit_includes", list)
    monkeypatch.setattr(module, "folder", lambda: tmp_path)
    for text in ("", "", "// changed"):
        module._digest.cache_clear()
        (tmp_path / "common.cuh").write_text(text)
        with pytest.raises(RuntimeError, match="not compiled"):
            module.compiled("// the same source", "kernel")
    assert given[0] == given[1] != given[2]
    module._digest.cache_clear()


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (RuntimeError('Failure finding "libnvrtc.so.13 or libnvrtc.so.12"'), "kernel compiler .*gpugrad.cuda13.*nvrtc"),
        (ImportError("libnvrtc.so.13: cannot open shared object file"), "kernel compiler .*gpugrad.cuda13.*nvrtc"),
        (RuntimeError("another"), "^another$"),
    ],
)
def test_a_missing_library_says_what_to_install(
    device: str, raised: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpugrad.cuda import backend, module

    backend.require()

    def fail(*given: Any, **options: Any) -> None:
        raise raised

    monkeypatch.setattr(backend.cupy(), "RawModule", fail)
    monkeypatch.setattr(module.nvrtc, "load", fail)
    with pytest.raises(RuntimeError, match=says):
        module.compiled("// nothing has been compiled of this", "kernel")


def test_missing_headers_and_matrix_products_say_what_to_install(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import backend, gemm, module

    backend.require()
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "isfile", lambda path: False)
        with pytest.raises(RuntimeError, match=r"headers \(cuda_fp16.h\), .*gpugrad\[cuda13\].*nvidia-cuda-runtime"):
            module._toolkit_includes()

    def fail(*arrays: Any, **options: Any) -> None:
        raise ImportError("libcublas.so.13: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(gemm.cublaslt, "library", lambda: None)
    monkeypatch.setattr(gemm.cp, "matmul", fail)
    with pytest.raises(RuntimeError, match=r"matrix products .*libcublas.*nvidia-cublas"):
        gpugrad.ones(2, 2, device=device) @ gpugrad.ones(2, 2, device=device)
