"""What a program does with two CUDA devices: run by test_cuda_device.py, in a process that has two, simulated or not."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gpugrad
import gpugrad.nn.functional as F
from gpugrad import cuda, nn


@pytest.fixture(autouse=True)
def first_is_current() -> Iterator[None]:
    assert cuda.device_count() >= 2
    cuda.set_device(0)
    yield
    assert cuda.current_device() == 0, "the current device is not the caller's any more"


def on(device: str, *shape: int, seed: int = 0, dtype: Any = None) -> Any:
    array = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return gpugrad.tensor(array).to(device, dtype)


INDEX = [[2, 0, 1], [1, 1, 0]]


def index(device: str) -> Any:
    return gpugrad.tensor(INDEX).to(device)


# One of each family: what is kept between calls of each differs
OPS: dict[str, Callable[[Any], Any]] = {
    "formula": lambda x: gpugrad.exp(x * 2 + 1),
    "broadcast": lambda x: x * x[0],
    "strided": lambda x: x.t() * 2.0,
    "matmul": lambda x: x @ x.t(),
    "linear": lambda x: F.linear(x, x[:2], x[0, :2]),
    "copy": lambda x: x.t().contiguous(),
    "convert": lambda x: x.double(),
    "flip": lambda x: x.flip(0),
    "pad": lambda x: F.pad(x, (1, 2)),
    "cat": lambda x: gpugrad.cat([x, x], 1),
    "tile": lambda x: x.repeat(2, 3),
    "sum": lambda x: x.sum(1),
    "sum of all": lambda x: x.sum(),
    "mean of columns": lambda x: x.mean(0),
    "max": lambda x: x.max(1).values,
    "var": lambda x: x.var(1),
    "norm": lambda x: x.norm(),
    "cumsum": lambda x: x.cumsum(1),
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "logsumexp": lambda x: x.logsumexp(1),
    "layer_norm": lambda x: F.layer_norm(x, (x.shape[1],)),
    "rms_norm": lambda x: F.rms_norm(x, (x.shape[1],)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "cross_entropy": lambda x: F.cross_entropy(x, index(x.device)[0, :1].expand(len(x))),
    "embedding": lambda x: F.embedding(index(x.device), x),
    "gather": lambda x: x.gather(1, index(x.device)),
    "index_select": lambda x: x.index_select(0, index(x.device)[0]),
    "index": lambda x: x[index(x.device)],
    "mask": lambda x: x.masked_fill(x > 0, 0.0),
    "masked_scatter": lambda x: x.masked_scatter(x > 0, x * 2),
    "scatter": lambda x: x.scatter(1, index(x.device), 3.0),
    "index_put": lambda x: x.clone().index_put((index(x.device),), x[0]),
    "index by a list": lambda x: x[[0, 2]],
    "in place": lambda x: (x * 2).mul_(3.0).add_(x),
    "write to a view": lambda x: _written(x * 1),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 0),
    "einsum": lambda x: gpugrad.einsum("ij,kj->ik", x, x),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "mse": lambda x: F.mse_loss(x, x.detach() + 1),
    "unused of several": lambda x: x.topk(2, 1).values,
    "one_hot": lambda x: x[:2, :3] * F.one_hot(index(x.device)[0], 3)[:2],
    "scatter_add": lambda x: x.scatter_add(0, index(x.device), x[:2, :3]),
    "slice": lambda x: x[1:, ::2],
    "where": lambda x: gpugrad.where(x > 0, x, x * 2),
    "sort": lambda x: x.sort(1).values,
    "conv2d": lambda x: F.conv2d(x.reshape(1, 1, *x.shape), x[:2, :2].reshape(1, 1, 2, 2)),
    "max_pool": lambda x: F.max_pool2d(x.reshape(1, 1, *x.shape), 2),
    "avg_pool": lambda x: F.avg_pool2d(x.reshape(1, 1, *x.shape), 2),
}


def _written(x: Any) -> Any:
    x[1:, 2] = 5.0
    x[0] += x[1]
    return x


@pytest.mark.filterwarnings("ignore::gpugrad.cuda.array.HostFallbackWarning")
@pytest.mark.parametrize("name", OPS)
def test_work_is_done_where_the_arrays_are(name: str) -> None:
    found = []
    for device in ("cuda:0", "cuda:1", "cpu"):
        x = on(device, 4, 6).requires_grad_()
        out = OPS[name](x)
        out.backward(gpugrad.ones_like(out))
        assert out.device == x.device == x.grad.device and str(x.device) == device
        found.append([t.detach().cpu().numpy() for t in (out, x.grad)])
    for got in found[:2]:
        for mine, expected in zip(got, found[2]):
            np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)


def test_tensors_move_between_them_and_gradients_go_back() -> None:
    x = on("cuda:0", 3, 4).requires_grad_()
    there = x.to("cuda:1")
    assert str(there.device) == "cuda:1" and there.get_device() == 1 and there.to("cuda:1") is there
    assert x.to("cuda") is x and str(there.to("cuda").device) == "cuda:0"  # cuda: the current one
    (there * there).sum().backward()
    assert str(x.grad.device) == "cuda:0"
    np.testing.assert_array_equal(x.grad.cpu().numpy(), 2 * x.detach().cpu().numpy())


def test_mixing_them_is_an_error_that_names_both() -> None:
    x, y = on("cuda:0", 3), on("cuda:1", 3)
    for mix in (lambda: x + y, lambda: y @ x, lambda: gpugrad.cat([x, y]), lambda: F.linear(x, y.reshape(1, 3))):
        with pytest.raises(RuntimeError, match=r"at least two devices, cuda:\d and cuda:\d"):
            mix()
    assert (y * gpugrad.tensor(2.0)).device == y.device  # numbers of the CPU go anywhere


def test_the_current_device_is_where_cuda_is() -> None:
    with cuda.device(1):
        assert cuda.current_device() == 1
        assert str(gpugrad.zeros(2, device="cuda").device) == "cuda:1"
        assert str(gpugrad.tensor([1.0]).cuda().device) == "cuda:1"
        assert str((on("cuda:0", 2) + 1).device) == "cuda:0"
    assert str(gpugrad.ones(2, device="cuda").device) == "cuda:0"
    assert str(gpugrad.rand(2, device="cuda:1").device) == "cuda:1"
    assert str(gpugrad.arange(3, device="cuda:1").device) == "cuda:1"
    with pytest.raises(RuntimeError, match="invalid device ordinal: cuda:9"):
        gpugrad.zeros(1, device="cuda:9")


def test_streams_belong_to_a_device() -> None:
    stream = cuda.Stream("cuda:1")
    assert str(stream.device) == "cuda:1" and cuda.current_stream("cuda:1") == cuda.default_stream("cuda:1")
    with cuda.stream(stream):
        assert cuda.current_device() == 1 and cuda.current_stream() == stream
        assert cuda.current_stream("cuda:0") == cuda.default_stream("cuda:0") != stream
        y = gpugrad.ones(3, device="cuda") * 2
    assert cuda.current_device() == 0 and cuda.current_stream("cuda:1") == cuda.default_stream("cuda:1")
    event = stream.record_event()
    event.synchronize()
    cuda.current_stream().wait_event(event)
    cuda.synchronize("cuda:1")
    assert str(y.device) == "cuda:1" and y.tolist() == [2.0] * 3


def test_memory_is_counted_apart() -> None:
    gc.collect()  # what other tests left
    before = [cuda.memory_allocated(d) for d in range(2)]
    cuda.reset_peak_memory_stats(1)
    x = gpugrad.zeros(1 << 20, device="cuda:1")
    after = [cuda.memory_allocated(d) for d in range(2)]
    assert after[0] == before[0] and after[1] - before[1] == x.numel() * 4
    del x
    assert cuda.memory_allocated(1) == before[1]
    assert cuda.max_memory_allocated(1) == after[1]


def test_random_numbers_are_each_device_s_own() -> None:
    gpugrad.manual_seed(0)
    draws = [[gpugrad.rand(4, device=f"cuda:{d}").tolist() for _ in range(2)] for d in range(2)]
    assert draws[0] == draws[1] and draws[0][0] != draws[0][1]
    cuda.manual_seed_all(0)
    assert gpugrad.rand(4, device="cuda:1").tolist() == draws[1][0]
    with pytest.raises(RuntimeError, match="Expected a 'cuda:1' generator device but found 'cuda:0'"):
        gpugrad.rand(4, device="cuda:1", generator=gpugrad.Generator("cuda:0"))
    assert (F.dropout(gpugrad.ones(64, device="cuda:1"), 0.5).cpu().numpy() == 2).any()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "NAdam"])
@pytest.mark.filterwarnings("ignore::gpugrad.cuda.array.HostFallbackWarning")
def test_a_model_on_both_trains_as_on_the_cpu(name: str) -> None:
    losses = []
    for first, second in (("cpu", "cpu"), ("cuda:0", "cuda:1"), ("cuda:1", "cuda:1")):
        gpugrad.manual_seed(0)
        below, above = nn.Linear(6, 8).to(first), nn.Linear(8, 3).to(second)
        optimizer = getattr(gpugrad.optim, name)([*below.parameters(), *above.parameters()], lr=0.05)
        x, target = on(first, 5, 6), gpugrad.tensor([0, 2, 1, 1, 0]).to(second)
        found = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = F.cross_entropy(above(F.relu(below(x)).to(second)), target)
            loss.backward()
            nn.utils.clip_grad_norm_(above.parameters(), 1.0)
            optimizer.step()
            found.append(loss.item())
        losses.append(found)
        assert str(below.weight.device) == first and str(above.weight.grad.device) == second
    for found in losses[1:]:
        np.testing.assert_allclose(found, losses[0], rtol=1e-5)


def test_a_bad_index_on_the_second_is_reported_and_cleared() -> None:
    table = on("cuda:1", 3, 2)
    F.embedding(gpugrad.tensor([5]).to("cuda:1"), table)
    with pytest.raises(IndexError, match="index 5 is out of bounds for a dimension of size 3"):
        cuda.synchronize("cuda:1")
    cuda.synchronize("cuda:1")
    assert F.embedding(gpugrad.tensor([1]).to("cuda:1"), table).shape == (1, 2)


@pytest.mark.parametrize("device", [0, 1])
def test_a_step_is_captured_on_each(device: int) -> None:
    with cuda.device(device):
        x = gpugrad.ones(3, device="cuda")
        _ = x * 3 + 1
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            y = x * 3 + 1
        x.fill_(2.0)
        graph.replay()
        assert y.tolist() == [7.0] * 3


SOURCE = """
template <typename T> __global__ void twice(const T* x, T* out, long long n) {
  long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
  if (i < n) out[i] = x[i] + x[i];
}
"""


def test_a_kernel_of_one_s_own_runs_on_each() -> None:
    @cuda.kernel(SOURCE, forward="twice<T>")
    def twice(x: Any) -> Any:
        return x * 2

    for device in ("cuda:0", "cuda:1"):
        out = twice(gpugrad.ones(5, device=device))
        assert str(out.device) == device and out.tolist() == [2.0] * 5


def test_modules_and_files_are_placed(tmp_path: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to("cuda:1")
    assert {str(t.device) for t in model.state_dict().values()} == {"cuda:1"}
    gpugrad.save(model.state_dict(), tmp_path / "model")
    assert {str(t.device) for t in gpugrad.load(tmp_path / "model").values()} == {"cuda:1"}
    loaded = gpugrad.load(tmp_path / "model", map_location={"cuda:1": "cuda:0"})
    assert {str(t.device) for t in loaded.values()} == {"cuda:0"}
