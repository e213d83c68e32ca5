"""`Tensor.record_stream`: memory that another stream works with is not handed out before that work is done."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import gpugrad
from gpugrad.cuda.backend import simulated

pytestmark = pytest.mark.cuda


class Work:
    """Events that are done, or waited for, when the test says so."""

    def __init__(self) -> None:
        self.done = False
        self.recorded: list[int] = []  # handles of streams
        self.waited = 0


@pytest.fixture
def work(device: str, monkeypatch: pytest.MonkeyPatch) -> Work:
    if not simulated():
        pytest.skip("a real event is done when it is done")
    from gpugrad.cuda import backend

    cuda, work = backend.cupy().cuda, Work()

    class Event(cuda.Event):  # type: ignore[name-defined,misc]
        @property
        def done(self) -> bool:
            return work.done

        @done.setter
        def done(self, value: bool) -> None:
            pass

        def record(self, stream: Any = None) -> None:
            work.recorded.append(stream.ptr)

        def synchronize(self) -> None:
            work.waited += 1
            work.done = True

    monkeypatch.setattr(cuda, "Event", Event)
    return work


def test_memory_waits_for_the_stream(work: Work) -> None:
    stream, x = gpugrad.cuda.Stream(), gpugrad.ones(1000, device="cuda")
    memory = weakref.ref(x._array.data.mem)
    x.record_stream(stream)
    x.record_stream(stream)
    assert work.recorded == []  # the work to wait for is what was submitted until the tensor is gone
    view = x[10:]
    del x
    assert work.recorded == []
    del view
    assert work.recorded == [stream.cuda_stream] and memory() is not None
    gpugrad.ones(3, device="cuda")
    assert memory() is not None
    work.done = True
    gpugrad.ones(3, device="cuda")
    assert memory() is None


def test_several_streams_and_a_view(work: Work) -> None:
    streams = [gpugrad.cuda.Stream() for _ in range(2)]
    x = gpugrad.ones(4, 6, device="cuda")
    x.as_strided((2, 2), (1, 1)).record_stream(streams[0])
    x.t().record_stream(streams[1])
    assert work.recorded == []
    del x
    assert sorted(work.recorded) == sorted(s.cuda_stream for s in streams)
    work.done = True


def test_memory_is_given_back_when_there_is_no_room(work: Work) -> None:
    _, total = gpugrad.cuda.mem_get_info()
    room = 1 << 20  # besides what other tests hold
    gpugrad.cuda.set_per_process_memory_fraction((gpugrad.cuda.memory_allocated() + room) / total)
    try:
        x = gpugrad.empty(room // 2, dtype=gpugrad.uint8, device="cuda")
        x.record_stream(gpugrad.cuda.Stream())
        del x
        y = gpugrad.empty(room // 4 * 3, dtype=gpugrad.uint8, device="cuda")
        assert work.waited == 1 and y.numel() == room // 4 * 3
        with pytest.raises(gpugrad.OutOfMemoryError):
            gpugrad.empty(room // 2, dtype=gpugrad.uint8, device="cuda")
    finally:
        gpugrad.cuda.set_per_process_memory_fraction(1.0)


def test_a_tensor_that_goes_during_a_capture(work: Work) -> None:
    stream, x = gpugrad.cuda.Stream(), gpugrad.ones(1000, device="cuda")
    memory = weakref.ref(x._array.data.mem)
    x.record_stream(stream)
    work.done = True
    with gpugrad.cuda.graph(gpugrad.cuda.CUDAGraph()):
        del x
        gpugrad.ones(3, device="cuda")
        assert memory() is not None and work.recorded == []
    gpugrad.ones(3, device="cuda")
    assert work.recorded == [stream.cuda_stream]
    gpugrad.ones(3, device="cuda")
    assert memory() is None


def test_memory_comes_back(device: str) -> None:
    gc.collect()
    gpugrad.ones(1, device=device)
    before = gpugrad.cuda.memory_allocated()
    stream = gpugrad.cuda.Stream()
    x = gpugrad.ones(1 << 20, device=device)
    stream.wait_stream(gpugrad.cuda.current_stream())
    with gpugrad.cuda.stream(stream):
        y = (x * 2).sum()
    x.record_stream(stream)
    del x
    assert y.item() == 2 << 20
    gpugrad.cuda.synchronize()
    y = gpugrad.ones(1, device=device)
    assert gpugrad.cuda.memory_allocated() - before <= 1024


def test_what_is_refused(device: str) -> None:
    with pytest.raises(NotImplementedError, match=r"record_stream.*cpu.*\.cuda\(\)"):
        gpugrad.ones(2).record_stream(gpugrad.cuda.current_stream())
    with pytest.raises(TypeError, match=r"record_stream.*Stream.*int"):
        gpugrad.ones(2, device=device).record_stream(0)
