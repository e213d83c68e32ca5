"""A process forked after CUDA was used: CUDA does not work in it, and what does not need CUDA does."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import gpugrad

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning"),  # JAX's, where another test has loaded it
]


def in_a_child(call: Callable[[], Any]) -> Any:
    """What `call` returns in a forked process, or the class and the text of what it raises."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def child() -> None:
        try:
            there.send(call())
        except Exception as error:
            there.send((type(error), str(error)))

    process = context.Process(target=child)
    process.start()
    there.close()
    try:
        return here.recv()
    finally:
        process.join()


@pytest.fixture
def x(device: str) -> gpugrad.Tensor:
    """A tensor on the device, which is in use: kernels ran and the generator drew."""
    return gpugrad.rand(3, device=device) + 1


def seeded() -> Any:
    before = gpugrad.cuda.is_initialized()
    gpugrad.manual_seed(3)
    gpugrad.cuda.manual_seed(4)
    gpugrad.cuda.manual_seed_all(5)
    with gpugrad.random.fork_rng():
        return before, gpugrad.initial_seed(), gpugrad.rand(2).tolist()


def test_seeding_leaves_cuda_alone(x: gpugrad.Tensor) -> None:
    gpugrad.manual_seed(3)
    expected = gpugrad.rand(2).tolist()
    assert in_a_child(seeded) == (False, 3, expected)
    assert gpugrad.cuda.is_initialized() and not gpugrad.cuda._is_in_bad_fork()
    assert in_a_child(gpugrad.cuda._is_in_bad_fork) is True


USES: dict[str, Callable[[gpugrad.Tensor], Any]] = {
    "a new tensor": lambda x: gpugrad.ones(2, device="cuda"),
    "a formula": lambda x: x * 2,
    "a reduction": lambda x: x.sum(),
    "a product": lambda x: x @ x,
    "a draw": lambda x: x.bernoulli_(0.5),
    "a copy to the host": lambda x: x.cpu(),
    "a copy from the host": lambda x: gpugrad.ones(2).to("cuda"),
    "a number": lambda x: x[0].item(),
    "a list": lambda x: x.tolist(),
    "waiting": lambda x: gpugrad.cuda.synchronize(),
    "a stream": lambda x: gpugrad.cuda.Stream(),
    "the current device": lambda x: gpugrad.cuda.current_device(),
    "a generator": lambda x: gpugrad.Generator("cuda"),
}


@pytest.mark.parametrize("use", USES)
def test_every_use_of_the_device_is_refused(x: gpugrad.Tensor, use: str) -> None:
    kind, text = in_a_child(lambda: repr(USES[use](x)))
    assert issubclass(kind, RuntimeError)
    assert text.endswith(  # ops put their names before it
        "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the 'spawn' start "
        "method"
    )


def test_cuda_itself_refuses(x: gpugrad.Tensor) -> None:
    """That the simulator, and the stand-in for CUDA, do as CUDA does: else the tests above would prove nothing."""
    from gpugrad.cuda import backend

    cp = backend.cupy()
    runtime = cp.cuda.runtime
    calls: list[Callable[[], Any]] = [
        *(runtime.deviceSynchronize, runtime.memGetInfo),
        *(lambda: cp.empty(3).fill(1), lambda: cp.cuda.Stream().ptr, lambda: cp.zeros(3).get()),
    ]
    for call in calls:
        kind, text = in_a_child(call)
        assert kind.__name__ == "CUDARuntimeError" and "cudaErrorInitializationError" in text


BEFORE = """
import os, gpugrad
child = os.fork()
assert gpugrad.ones(2, device="cuda").sum().item() == 2 and not gpugrad.cuda._is_in_bad_fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""


def test_a_process_forked_before_cuda_was_used_may_use_it(device: str) -> None:
    done = subprocess.run([sys.executable, "-c", BEFORE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
