"""The simulated device: its arrays behave as CuPy's, its kernels compute what CUDA's would."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import need

need("g++", "clang++")

import gpugrad.cuda.simulator as cupy  # noqa: E402
from gpugrad.cuda.simulator import build, counters, settings  # noqa: E402

KERNELS = cupy.RawModule(
    code=r"""#line 1 "collected.cu"
#include <cuda_fp16.h>
#include <cuda_bf16.h>

struct Two { int a; double b; };

template <class T> __global__ void from_float(const float* x, T* out, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) out[i] = T(x[i]);
}
template <class T> __global__ void to_float(const T* x, float* out, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) out[i] = float(x[i]);
}

extern "C" {

// What CUDA's manual says of each, one row of 32 lanes apiece
__global__ void __launch_bounds__(32) lanes(int* out) {
    const int t = threadIdx.x;
    const unsigned all = 0xffffffffu;
    int* row = out + t;
    row[0 * 32] = __shfl_sync(all, t, 5);
    row[1 * 32] = __shfl_up_sync(all, t, 2);
    row[2 * 32] = __shfl_down_sync(all, t, 3);
    row[3 * 32] = __shfl_xor_sync(all, t, 4);
    row[4 * 32] = __shfl_sync(all, t, 1, 8);
    row[5 * 32] = __shfl_down_sync(all, t, 3, 8);
    row[6 * 32] = __shfl_up_sync(all, t, 3, 8);
    row[7 * 32] = __ballot_sync(all, t % 3 == 0);
    row[8 * 32] = __any_sync(all, t == 7);
    row[9 * 32] = __all_sync(all, t < 31);
    row[10 * 32] = __reduce_add_sync(all, t - 3);
    row[11 * 32] = __reduce_min_sync(all, t - 3);
    row[12 * 32] = __reduce_max_sync(all, unsigned(t));
    row[13 * 32] = __match_any_sync(all, t / 8);
    row[14 * 32] = t < 8 ? __shfl_xor_sync(0xffu, t, 1) : __shfl_xor_sync(0xffffff00u, t, 8);
    row[15 * 32] = static_cast<int>(__shfl_xor_sync(all, 1.5 * t, 16) * 2);
}

__global__ void atomics(int* counts, float* sum, unsigned long long* big, __half* narrow) {
    atomicAdd(counts + threadIdx.x % 4, 1);
    atomicMax(counts + 4, int(threadIdx.x));
    atomicMin(counts + 5, int(threadIdx.x));
    atomicExch(counts + 6, 9);
    atomicCAS(counts + 7, 0, 3);
    atomicAdd(sum, 0.5f);
    atomicAdd(big, 1ull << 40);
    atomicAdd(narrow, __float2half(0.25f));
}

__global__ void arguments(double* out, bool flag, signed char c, short s, unsigned u, long long l, float f, double d, Two two) {
    out[0] = flag; out[1] = c; out[2] = s; out[3] = u; out[4] = l; out[5] = f; out[6] = d; out[7] = two.a; out[8] = two.b;
}

__global__ void places(int* out) {
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}

__device__ int turns;
__global__ void count(int* out) { if (threadIdx.x == 0) out[0] = ++turns; }

__global__ void order(int* out, int* next) { out[atomicAdd(next, 1)] = blockIdx.x * blockDim.x + threadIdx.x; }

__global__ void votes(int* out) {
    const int odd = __syncthreads_count(threadIdx.x % 2);
    out[threadIdx.x] = odd + 1000 * __syncthreads_and(1) + 2000 * __syncthreads_or(threadIdx.x == 3);
}

__global__ void scale(float* x, const float* by, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= by[0];
}

}
""",
    name_expressions=[f"{way}_float<{t}>" for way in ("from", "to") for t in ("__half", "__nv_bfloat16")],
)


@pytest.fixture(autouse=True)
def fresh_counters() -> Iterator[None]:
    counters.reset()
    yield


# Kernels


@pytest.mark.parametrize("seed", range(10))
def test_warp_collectives(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    out = cupy.empty((16, 32), np.int32)
    KERNELS.get_function("lanes")((1,), (32,), (out,))
    t = np.arange(32)
    expected = [
        *(np.full(32, 5), np.where(t < 2, t, t - 2), np.where(t + 3 > 31, t, t + 3), t ^ 4),
        *(t // 8 * 8 + 1, np.where(t % 8 + 3 > 7, t, t + 3), np.where(t % 8 < 3, t, t - 3)),
        *(np.full(32, sum(1 << i for i in range(0, 32, 3))), np.ones(32), np.zeros(32)),
        *(np.full(32, (t - 3).sum()), np.full(32, -3), np.full(32, 31), 255 << t // 8 * 8),
        *(np.where(t < 8, t ^ 1, t ^ 8), 3 * (t ^ 16)),
    ]
    expected[14][8:16] = -1  # from lanes that the mask does not name: poison
    found = out.get()
    for row, wanted in enumerate(expected):
        np.testing.assert_array_equal(found[row].astype(np.uint32), wanted.astype(np.uint32), err_msg=f"row {row}")


@pytest.mark.parametrize(("name", "dtype"), [("__half", np.float16), ("__nv_bfloat16", ml_dtypes.bfloat16)])
def test_conversions_of_narrow_floats(name: str, dtype: Any) -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    back = cupy.empty(1 << 16, np.float32)
    KERNELS.get_function(f"to_float<{name}>")((16,), (256,), (cupy.asarray(every), back, np.int32(1 << 16)))
    np.testing.assert_array_equal(back.get(), every.astype(np.float32))

    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 1 << 16, np.uint32)
    exact = every.astype(np.float32)
    with np.errstate(all="ignore"):
        halfway = (exact[:-1] + np.nextafter(exact[1:], np.float32(0))) / 2  # where rounding is decided
    values = np.concatenate([bits.view(np.float32), exact, halfway])
    out = cupy.empty(values.shape, dtype)
    KERNELS.get_function(f"from_float<{name}>")((16,), (256,), (cupy.asarray(values), out, np.int32(values.size)))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out.get().astype(np.float32), values.astype(dtype).astype(np.float32))


def test_atomics() -> None:
    ints, total = cupy.zeros(8, np.int32), cupy.zeros(1, np.float32)
    big, narrow = cupy.zeros(1, np.uint64), cupy.zeros(1, np.float16)
    KERNELS.get_function("atomics")((2,), (64,), (ints, total, big, narrow))
    assert ints.get().tolist() == [32, 32, 32, 32, 63, 0, 9, 3]
    assert (total.item(), big.item(), narrow.item()) == (64.0, 128 << 40, 32.0)


def test_arguments_of_every_type() -> None:
    out = cupy.empty(9, np.float64)
    two = np.zeros((), np.dtype([("a", np.int32), ("b", np.float64)], align=True))
    two["a"], two["b"] = 8, 9.5
    scalars = (np.bool_(True), np.int8(-2), np.int16(-3), np.uint32(1 << 31), 1 << 40, np.float32(5.5), 6.25, two[()])
    KERNELS.get_function("arguments")((1,), (1,), (out, *scalars))
    assert out.get().tolist() == [1, -2, -3, 1 << 31, 1 << 40, 5.5, 6.25, 8, 9.5]


def test_arguments_that_do_not_fit() -> None:
    scale, x = KERNELS.get_function("scale"), cupy.zeros(4, np.float32)
    with pytest.raises(
        cupy.LaunchError, match=r"parameter 2 is an integer of 4 bytes, and was given int .int64., 8 bytes"
    ):
        scale((1,), (4,), (x, x, 4))
    with pytest.raises(cupy.LaunchError, match="parameter 1 is a pointer"):
        scale((1,), (4,), (x, 1.0, np.int32(4)))
    with pytest.raises(cupy.LaunchError, match="has 3 parameters, and was given 2"):
        scale((1,), (4,), (x, x))
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy.ndarray'>"):
        scale((1,), (4,), (x, np.zeros(4, np.float32), np.int32(4)))
    for grid, block in [((1,), (2048,)), ((0,), (4,)), ((1, 70000), (4,)), ((1,), (1, 1, 128))]:
        with pytest.raises(cupy.LaunchError, match="has 1 to"):
            scale(grid, block, (x, x, np.int32(4)))
    with pytest.raises(cupy.LaunchError, match="max_dynamic_shared_size_bytes"):
        scale((1,), (4,), (x, x, np.int32(4)), shared_mem=100 << 10)
    scale.max_dynamic_shared_size_bytes = 100 << 10
    scale((1,), (4,), (x, x, np.int32(4)), shared_mem=100 << 10)


def test_indices_in_three_dimensions() -> None:
    out = cupy.empty((24, 60), np.int32)
    KERNELS.get_function("places")((2, 3, 4), (3, 4, 5), (out,))
    np.testing.assert_array_equal(out.get(), 1000 * np.arange(24)[:, None] + np.arange(60))


def test_block_votes() -> None:
    out = cupy.empty(70, np.int32)
    KERNELS.get_function("votes")((1,), (70,), (out,))
    np.testing.assert_array_equal(out.get(), np.full(70, 35 + 3000))


def test_the_seed_draws_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []
    for seed in (0, 0, 1):
        monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
        out = cupy.empty(256, np.int32)
        KERNELS.get_function("order")((4,), (64,), (out, cupy.zeros(1, np.int32)))
        orders.append(out.get().tolist())
    assert orders[0] == orders[1] != orders[2]
    assert all(sorted(o) == list(range(256)) and o != sorted(o) for o in orders)


def test_device_variables_last_from_launch_to_launch() -> None:
    out = cupy.zeros(1, np.int32)
    count = KERNELS.get_function("count")
    count((1,), (32,), (out,))
    first = out.item()
    count((1,), (32,), (out,))
    assert out.item() == first + 1


def test_without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_CHECK", "0")
    monkeypatch.delenv("GPUGRAD_SIMULATE_SANITIZE", raising=False)
    out = cupy.empty(70, np.int32)
    KERNELS.get_function("votes")((1,), (70,), (out,))
    np.testing.assert_array_equal(out.get(), np.full(70, 35 + 3000))
    assert np.isnan(cupy.empty(3, np.float32).get()).all()  # poison, where nothing is tracked
    sums = cupy.zeros(4, np.int32)
    KERNELS.get_function("order")((1,), (4,), (cupy.empty(4, np.int32), sums))
    assert sums.get().tolist() == [4, 0, 0, 0]


def test_a_product_and_a_sum_are_rounded_once_if_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    if platform.machine() == "x86_64" and " fma " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor rounds twice")
    monkeypatch.delenv("GPUGRAD_SIMULATE_SANITIZE", raising=False)
    code = 'extern "C" __global__ void f(float* x) { x[0] = x[0] * x[0] - x[1]; }'
    third = np.float32(1) / np.float32(3)
    for fma, expected in (("0", 0.0), ("1", float(third) ** 2 - float(third * third))):
        monkeypatch.setenv("GPUGRAD_SIMULATE_FMA", fma)
        x = cupy.array([third, third * third], np.float32)
        cupy.RawModule(code=code).get_function("f")((1,), (1,), (x,))
        assert x[0].item() == expected
    assert expected != 0


# Sources


def test_a_source_that_does_not_compile_shows_its_line() -> None:
    code = '#line 1 "kernels/mine.cu"\nextern "C" __global__ void f(float* x) {\n    x[0] = undefined_name;\n}\n'
    with pytest.raises(cupy.cuda.compiler.CompileException) as error:
        cupy.RawModule(code=code).get_function("f")
    assert str(error.value).startswith("kernels/mine.cu:2:")
    assert "undefined_name" in str(error.value).splitlines()[0]
    assert str(error.value).splitlines()[1] == "    x[0] = undefined_name;"


def test_an_error_in_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "part.cuh").write_text("#pragma once\n\n__device__ int broken() { return nothing; }\n")
    code = '#include "part.cuh"\n#include "part.cuh"\nextern "C" __global__ void f() { int also = missing; }\n'
    with pytest.raises(cupy.cuda.compiler.CompileException) as error:
        cupy.RawModule(code=code, options=(f"-I{tmp_path}",)).get_function("f")
    assert str(error.value).startswith(f"{tmp_path / 'part.cuh'}:3:")
    assert "kernel.cu:3:" in str(error.value)


def test_kernels_are_found_by_name() -> None:
    with pytest.raises(RuntimeError, match=r"no kernel 'nothing'; it has .*lanes, atomics.*name_expressions"):
        KERNELS.get_function("nothing")


def test_a_changed_include_is_compiled_again(tmp_path: Path) -> None:
    out = cupy.empty(1, np.int32)
    for value in (3, 4):
        (tmp_path / "value.cuh").write_text(f"#define VALUE {value}\n")
        code = f'#include "value.cuh"\nextern "C" __global__ void f(int* x) {{ x[0] = VALUE; }}  // {value}\n'
        cupy.RawModule(code=code, options=(f"-I{tmp_path}",)).get_function("f")((1,), (1,), (out,))
        assert out.item() == value


def test_options_define_macros() -> None:
    out = cupy.empty(1, np.int32)
    code = 'extern "C" __global__ void f(int* x) { x[0] = VALUE; }'
    cupy.RawModule(code=code, options=("-DVALUE=5", "--use_fast_math")).get_function("f")((1,), (1,), (out,))
    assert out.item() == 5


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RuntimeError, match=r"neither .* is there: install one .*apt install g"):
        build.find_compiler.__wrapped__()


def test_gpugrad_does_not_import_it() -> None:
    code = "import sys, gpugrad; sys.exit(any('simulator' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Arrays


def test_no_implicit_copy_to_the_host() -> None:
    x = cupy.zeros(3)
    for convert in (
        np.asarray,
        np.array,
        lambda a: np.add(np.ones(3), a),
        lambda a: np.ones(3) + a,
        memoryview,
        np.save,
    ):
        with pytest.raises(TypeError):
            convert(x)
    with pytest.raises(TypeError, match=r"Implicit conversion to a NumPy array is not allowed. Please use `.get\(\)`"):
        np.asarray(x)
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy.ndarray'>"):
        x[...] = np.ones(3)
    assert counters == cupy.counters.__class__(launches=1, functions=1)


def test_transfers_are_counted() -> None:
    x = cupy.asarray(np.ones((4, 5), np.float32))
    assert (counters.host_to_device, counters.host_to_device_bytes) == (1, 80)
    (x * 2).sum(axis=1)
    assert (counters.device_to_host, counters.synchronizations) == (0, 0)
    float(x.sum())
    assert (counters.device_to_host, counters.device_to_host_bytes, counters.synchronizations) == (1, 4, 1)
    _ = x[x > 0]  # how many there are, the host must know
    cupy.cuda.Device().synchronize()
    assert (counters.device_to_host, counters.synchronizations) == (1, 3)


def test_numpy_functions_run_on_it_and_stay() -> None:
    value = np.arange(12, dtype=np.float32).reshape(3, 4)
    x = cupy.asarray(value)
    for function in (
        lambda a: np.exp(a).sum(),
        lambda a: np.add.reduce(a, axis=1, keepdims=True),
        lambda a: np.concatenate([a, a[:1]], axis=0),
        lambda a: np.where(a > 3, a, -a),
        lambda a: np.stack([a.T, a.T])[..., 1],
        lambda a: np.einsum("ij,kj->ik", a, a),
        lambda a: np.matmul(a, a.T),
        lambda a: a.mean(axis=0) - 2 * a.max(),
        lambda a: np.argmax(a, axis=1),
        lambda a: np.broadcast_to(a[:, :1], (3, 7)),
        lambda a: np.take_along_axis(a, np.argsort(-a, axis=1), axis=1),
        lambda a: np.full_like(a, 7),
        lambda a: np.split(a, 2, axis=1)[1],
        lambda a: a.astype(np.float16)[::2, ::-1],
        lambda a: a.reshape(2, 6).swapaxes(0, 1).ravel(),
        lambda a: a[1, 2],
        lambda a: a[[0, 2], 1:3],
    ):
        found, expected = function(x), function(value)
        assert type(found) is cupy.ndarray
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(found.get(), expected)
    assert counters.device_to_host == 17  # the comparisons' own


def test_what_cupy_lacks_is_lacking() -> None:
    x = cupy.ones((2, 3), np.float32)
    for call, error in (
        (lambda: np.linalg.vector_norm(x), "no implementation found for 'numpy.linalg.vector_norm'"),
        (lambda: np.max(x, axis=0, initial=-1), "unexpected keyword argument 'initial'"),
        (lambda: np.add.reduce(x, where=x > 0), "unexpected keyword argument 'where'"),
        (lambda: np.spacing(x), "CuPy has no spacing"),
    ):
        with pytest.raises(TypeError, match=error):
            call()
    with pytest.raises(NotImplementedError, match=r"`cupy_maximum.reduce` is not supported yet"):
        np.maximum.reduce(x)
    assert np.maximum(x, 2).sum().item() == 12
    assert not hasattr(x.flags, "writeable")
    np.diagonal(x)[...] = 5  # no view is read-only
    assert x.sum().item() == 14
    with pytest.raises(TypeError):
        range(x[0, 0].astype(np.int64))


@pytest.mark.skipif(not settings.checked(), reason="the simulator's own checks are off")
def test_uninitialised_elements_are_not_read() -> None:
    x = cupy.empty((3, 4), np.float32)
    x[:, 1:] = 1
    assert (x[:, 1:].get() == 1).all()
    for read in (
        lambda: x.get(),
        lambda: x + 1,
        lambda: x.sum(),
        lambda: x[:, 0].item(),
        lambda: np.concatenate([x, x]),
    ):
        with pytest.raises(cupy.UninitializedRead, match="elements were never written"):
            read()
    with pytest.raises(cupy.UninitializedRead, match=r"3 of 12 elements were never written, the first at \(0, 0\)"):
        x.copy().get()
    x[:, 0] = 2
    assert x.sum().item() == 15


def test_bfloat16() -> None:
    x = cupy.ones(5, ml_dtypes.bfloat16)
    assert ((x + x) / 4).dtype == ml_dtypes.bfloat16
    assert x.astype(np.float32).sum().item() == 5


def test_empty_arrays() -> None:
    x = cupy.empty((0, 3), np.float32)
    assert x.data.ptr == 0
    assert (x + 1).get().shape == (0, 3)
    assert x.sum().item() == 0
    assert x.T.copy().shape == (3, 0)
    assert cupy.empty(3)[:0].get().shape == (0,)


# Memory


def test_running_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = cupy.get_default_memory_pool()
    held = cupy.zeros(1000, np.float32)
    before = pool.used_bytes()
    monkeypatch.setenv("GPUGRAD_SIMULATE_MEMORY", str(before + (1 << 20)))
    with pytest.raises(
        cupy.cuda.memory.OutOfMemoryError, match=rf"allocating 2,097,152 bytes \(allocated so far: {before:,} bytes"
    ):
        cupy.empty(1 << 19, np.float32)
    assert pool.used_bytes() == before
    assert cupy.zeros(1000).sum().item() == 0  # the next step works
    assert held.sum().item() == 0


def test_the_pool_counts() -> None:
    pool = cupy.get_default_memory_pool()
    before = pool.used_bytes()
    x = cupy.empty(1000, np.uint8)
    assert pool.used_bytes() == before + 1024
    view = x[10:]
    del x
    assert pool.used_bytes() == before + 1024
    del view
    assert pool.used_bytes() == before
    assert pool.total_bytes() >= before + 1024
    pool.free_all_blocks()
    assert pool.total_bytes() == before


# Graphs


def test_a_graph_repeats_what_was_captured() -> None:
    x, by = cupy.ones(4, np.float32), cupy.full(1, 3, np.float32)
    scale, stream = KERNELS.get_function("scale"), cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        scale((1,), (4,), (x, by, np.int32(4)))
        y = np.add(x, 1)
        x -= 1
        with pytest.raises(cupy.cuda.CUDARuntimeError, match=r"ndarray.get waits for the device"):
            x.get()
        graph = stream.end_capture()
    assert x.get().tolist() == [1, 1, 1, 1]  # nothing was done yet
    for expected in (2, 5):
        graph.launch()
        assert x.get().tolist() == [expected] * 4
        assert y.get().tolist() == [expected + 2] * 4
    by.fill(10)
    graph.launch()
    assert x.get().tolist() == [49] * 4


def test_an_array_over_memory_with_strides_of_its_own() -> None:
    x = cupy.arange(12, dtype=np.int64)
    seen = cupy.ndarray((3, 4), np.int64, x.data + 8, (24, 8))  # windows that overlap
    np.testing.assert_array_equal(seen.get(), [[1, 2, 3, 4], [4, 5, 6, 7], [7, 8, 9, 10]])
    x[4] = 100
    assert seen[0, 3].item() == seen[1, 0].item() == 100
    with pytest.raises(ValueError):
        cupy.ndarray((3, 5), np.int64, x.data + 800, (24, 8))


@pytest.mark.parametrize(
    "code",
    [
        "// a template no more\n__global__ void set(int* x) { *x = 1; }",
        "#define KERNEL __global__ \\\n  void\nKERNEL set(int* x) { *x = 1; }",
        "template <class T> __global__ void other(T* x) {}\n/* of a template; */ __global__ void set(int* x) { *x = 1; }",
    ],
)
def test_a_kernel_that_is_no_template_is_found_by_its_name(code: str) -> None:
    x = cupy.zeros(1, np.int32)
    cupy.RawModule(code=code).get_function("set")((1,), (1,), (x,))
    assert x.get().tolist() == [1]
