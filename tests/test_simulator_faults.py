"""Faults planted in kernels: each is found, in every order of the threads, and the process goes on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_tools import need

need("g++", "clang++")

import gpugrad.cuda.simulator as cupy  # noqa: E402
from gpugrad.cuda.simulator import build, settings  # noqa: E402

pytestmark = pytest.mark.skipif(not settings.checked(), reason="the simulator's own checks are off")

SOURCE = r"""#line 1 "planted.cu"
extern "C" {

__global__ void reverse(const float* x, float* out, int barrier) {
    __shared__ float tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    if (barrier) __syncthreads();
    out[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void in_one_warp(const float* x, float* out, int barrier) {
    extern __shared__ float row[];
    row[threadIdx.x] = x[threadIdx.x];
    if (barrier == 1) __syncwarp();
    if (barrier == 2) __shfl_sync(0xffffffffu, 1, 0);  // moves values, and orders no memory
    out[threadIdx.x] = row[threadIdx.x ^ 1];
}

__global__ void between_warps(float* out, int barrier) {
    __shared__ float last[2];
    if (threadIdx.x % 32 == 0) last[threadIdx.x / 32] = threadIdx.x;
    __syncwarp();
    if (barrier) __syncthreads();
    out[threadIdx.x] = last[0] + last[1];
}

__global__ void reuse(float* out, int barrier) {
    __shared__ int turn;
    for (int i = 0; i < 3; ++i) {
        if (threadIdx.x == 0) turn = i;
        __syncthreads();
        out[threadIdx.x] = turn;
        if (barrier) __syncthreads();
    }
}

__global__ void increment(int* out, int atomic) {
    __shared__ int total;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    if (atomic) atomicAdd(&total, 1);
    else total += 1;
    __syncthreads();
    out[threadIdx.x] = total;
}

__global__ void copy(const float* x, float* out, int n, int shift) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i + shift];
}

__global__ void store(float* out, int at) { out[at] = 1.0f; }

__device__ float pick(const float* p, int at) { return p[at]; }
__device__ void put(float* p, int at) { p[at] = 1.0f; }

__global__ void beyond_shared(float* out, int at, int write) {
    __shared__ float first[16];
    __shared__ float second[16];
    first[threadIdx.x] = second[threadIdx.x] = 0.0f;
    __syncthreads();
    if (write) put(first, at);
    out[threadIdx.x] = write ? 0.0f : pick(second, at);
}

__global__ void beyond_dynamic(float* out, int at) {
    extern __shared__ float row[];
    row[at] = 1.0f;
    out[0] = row[at];
}

__global__ void fresh_shared(float* out) {
    __shared__ float tile[32];
    if (threadIdx.x > 3) tile[threadIdx.x] = 1.0f;
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
}

__global__ void half_of_them(float* out) {
    if (threadIdx.x < 16) {
        __syncthreads();
    }
    out[threadIdx.x] = 0.0f;
}

__global__ void two_places(float* out) {
    if (threadIdx.x < 16) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    out[threadIdx.x] = 0.0f;
}

__global__ void half_a_warp(float* out) {
    float v = threadIdx.x;
    if (threadIdx.x < 16) v = __shfl_down_sync(0xffffffffu, v, 1);
    else __syncthreads();
    out[threadIdx.x] = v;
}

__global__ void misaligned(const float* x, float* out) {
    const float4 v = *reinterpret_cast<const float4*>(x + 1);
    out[threadIdx.x] = v.x + v.y + v.z + v.w;
}

__global__ void matrix(float* out, int column) {
    __shared__ float tile[4][8];
    tile[threadIdx.x][column] = 1.0f;
    out[threadIdx.x] = tile[threadIdx.x][column];
}

__global__ void arithmetic(int* out, int a, int b) { out[0] = a / b + (a << b); }

__global__ void asserts(int* out) {
    assert(threadIdx.x < 3);
    out[threadIdx.x] = 1;
}

}
"""

MODULE = cupy.RawModule(code=SOURCE)
SEEDS = range(10)


def launch(name: str, block: int, *args: Any, grid: int = 1, shared_mem: int = 0) -> None:
    MODULE.get_function(name)((grid,), (block,), args, shared_mem=shared_mem)


def i32(value: int) -> np.int32:
    return np.int32(value)


def floats(n: int) -> Any:
    return cupy.arange(n, dtype=np.float32)


@pytest.fixture(params=SEEDS, autouse=True)
def seed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(request.param))
    return request.param


def test_a_missing_barrier_is_a_race() -> None:
    x, out = floats(64), cupy.empty(64, np.float32)
    launch("reverse", 64, x, out, i32(1))
    np.testing.assert_array_equal(out.get(), np.arange(64)[::-1])
    with pytest.raises(cupy.SharedMemoryRace) as error:
        launch("reverse", 64, x, out, i32(0))
    message = str(error.value)
    assert "kernel reverse, block (0, 0, 0), thread (" in message
    assert "of tile (256 bytes)" in message
    assert "planted.cu:5" in message
    assert "planted.cu:7" in message
    launch("reverse", 64, x, out, i32(1))  # the process goes on
    np.testing.assert_array_equal(out.get(), np.arange(64)[::-1])


def test_lanes_of_a_warp_are_not_in_step() -> None:
    x, out = floats(32), cupy.empty(32, np.float32)
    launch("in_one_warp", 32, x, out, i32(1), shared_mem=128)
    np.testing.assert_array_equal(out.get(), np.arange(32) ^ 1)
    for barrier in (0, 2):
        with pytest.raises(cupy.SharedMemoryRace, match=r"of the dynamic shared memory, .* no barrier lies between"):
            launch("in_one_warp", 32, x, out, i32(barrier), shared_mem=128)


def test_a_warp_barrier_does_not_order_two_warps() -> None:
    out = cupy.empty(64, np.float32)
    launch("between_warps", 64, out, i32(1))
    np.testing.assert_array_equal(out.get(), np.full(64, 32))
    with pytest.raises((cupy.SharedMemoryRace, cupy.UninitializedRead), match="of last"):
        launch("between_warps", 64, out, i32(0))


def test_shared_memory_used_again_too_soon_is_a_race() -> None:
    out = cupy.empty(64, np.float32)
    launch("reuse", 64, out, i32(1))
    with pytest.raises(cupy.SharedMemoryRace, match="of turn"):
        launch("reuse", 64, out, i32(0))


def test_atomics_do_not_race_and_plain_sums_do() -> None:
    out = cupy.empty(96, np.int32)
    launch("increment", 96, out, i32(1))
    np.testing.assert_array_equal(out.get(), np.full(96, 96))
    with pytest.raises(cupy.SharedMemoryRace, match="of total"):
        launch("increment", 96, out, i32(0))


@pytest.mark.parametrize(
    ("shift", "where"), [(1, "0 bytes past the end"), (-1, "4 bytes before"), (8, "28 bytes past")]
)
def test_a_read_out_of_bounds(shift: int, where: str) -> None:
    x, out = floats(100), cupy.empty(100, np.float32)
    with pytest.raises(cupy.OutOfBounds, match=r"copy, block .*planted.cu:.*reads 4 bytes out of bounds") as error:
        launch("copy", 32, x, out, i32(100), i32(shift), grid=4)
    assert "an array of shape (100,) and float32" in str(error.value)
    if abs(shift) == 1:
        assert where in str(error.value)


def test_the_array_is_named_and_not_what_lay_in_its_place_before() -> None:
    for _ in range(40):  # freed at once, so that the next arrays of about this size take their places
        cupy.empty(63, np.float64)
    x, out = floats(100), cupy.empty(100, np.float32)
    with pytest.raises(cupy.OutOfBounds, match=r"0 bytes past the end of an array of shape \(100,\) and float32"):
        launch("copy", 32, x, out, i32(100), i32(1), grid=4)


@pytest.mark.parametrize("at", [-1, 100, 1000, 1 << 28])
def test_a_write_out_of_bounds_leaves_everything_as_it_was(at: int) -> None:
    neighbours = [floats(100) for _ in range(3)]
    with pytest.raises(cupy.OutOfBounds, match="writes 4 bytes out of bounds"):
        launch("store", 1, neighbours[1], i32(at))
    for array in neighbours:
        np.testing.assert_array_equal(array.get(), np.arange(100))


def test_a_freed_array_is_out_of_bounds() -> None:
    class Kept:
        ptr = floats(100).data.ptr

    with pytest.raises(cupy.OutOfBounds, match=r"byte 12 of an array of shape \(100,\) and float32, which was freed"):
        launch("store", 1, Kept(), i32(3))


def test_the_null_pointer() -> None:
    with pytest.raises(cupy.OutOfBounds, match="the null pointer"):
        launch("store", 1, None, i32(0))


@pytest.mark.parametrize("at", [16, -1])
def test_shared_variables_out_of_bounds(at: int) -> None:
    out = cupy.empty(16, np.float32)
    with pytest.raises(cupy.OutOfBounds, match=r"writes 4 bytes out of bounds of shared memory: [04] bytes .* first"):
        launch("beyond_shared", 16, out, i32(at), i32(1))
    with pytest.raises(cupy.OutOfBounds, match="reads 4 bytes out of bounds of shared memory"):
        launch("beyond_shared", 16, out, i32(at), i32(0))


def test_dynamic_shared_memory_out_of_bounds() -> None:
    out = cupy.empty(1, np.float32)
    launch("beyond_dynamic", 1, out, i32(7), shared_mem=32)
    with pytest.raises(cupy.OutOfBounds, match="byte 32 of the dynamic shared memory"):
        launch("beyond_dynamic", 1, out, i32(8), shared_mem=32)


def test_an_uninitialised_output() -> None:
    x, out = floats(100), cupy.empty((10, 10), np.float32)
    launch("copy", 32, x, out, i32(97), i32(0), grid=4)
    with pytest.raises(cupy.UninitializedRead, match=r"3 of 100 elements were never written, the first at \(9, 7\)"):
        out.get()
    with pytest.raises(cupy.UninitializedRead, match="add reads an array"):
        np.add(out, 1)
    np.testing.assert_array_equal(out[:9].get(), np.arange(90).reshape(9, 10))


def test_a_kernel_that_reads_what_nobody_wrote() -> None:
    out = cupy.empty(100, np.float32)
    with pytest.raises(
        cupy.UninitializedRead, match=r"reads 4 bytes that were never written.* of an array of shape \(7,\)"
    ):
        launch("copy", 7, cupy.empty(7, np.float32), out, i32(7), i32(0))


def test_shared_memory_that_nobody_wrote() -> None:
    out = cupy.empty(32, np.float32)
    with pytest.raises(cupy.UninitializedRead, match=r"thread \([0-3], 0, 0\).* of tile"):
        launch("fresh_shared", 32, out)


def test_divergent_barriers() -> None:
    out = cupy.empty(64, np.float32)
    with pytest.raises(
        cupy.DivergentBarrier, match=r"planted.cu:\d+: waits at __syncthreads.*has ended\n    __syncthreads"
    ):
        launch("half_of_them", 64, out)
    with pytest.raises(cupy.DivergentBarrier, match=r"waits at __syncthreads.* at __syncthreads .*planted.cu:\d+"):
        launch("two_places", 64, out)
    with pytest.raises(cupy.DivergentBarrier, match="__shfl_down_sync"):
        launch("half_a_warp", 32, out)


def test_undefined_behaviour() -> None:
    out, number = cupy.empty(32, np.float32), cupy.empty(4, np.int32)
    if build.find_compiler().is_gcc:  # clang takes a copied struct apart before it looks
        with pytest.raises(cupy.UndefinedBehavior, match="no multiple of 16 as 'const struct float4' needs"):
            launch("misaligned", 1, floats(8), out)
    with pytest.raises(cupy.UndefinedBehavior, match=r"index 8 is out of the bounds of 'float ?\[8\]'"):
        launch("matrix", 4, out, i32(8))
    with pytest.raises(cupy.UndefinedBehavior, match="undefined division of 1 and 0"):
        launch("arithmetic", 1, number, i32(1), i32(0))
    with pytest.raises(cupy.UndefinedBehavior, match="undefined shift of 1 and 40"):
        launch("arithmetic", 1, number, i32(1), i32(40))
    with pytest.raises(cupy.UndefinedBehavior, match=r"assertion failed: threadIdx.x < 3"):
        launch("asserts", 4, number)
