// What every kernel shares: types, 16-byte loads and stores, reductions, loops, the error word.
//
// Compiles with NVRTC, nvcc and the simulator's C++ compiler. Everything lies in namespace gpugrad.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace gpugrad {

using int64 = long long;
using uint64 = unsigned long long;

constexpr unsigned kAllLanes = 0xffffffffu;

// ---- Types -----------------------------------------------------------------------------------------------------------
// Storage is T; arithmetic on float16 and bfloat16 is float32.

template <class T> struct ComputeOf { using type = T; };
template <> struct ComputeOf<__half> { using type = float; };
template <> struct ComputeOf<__nv_bfloat16> { using type = float; };
template <class T> using Compute = typename ComputeOf<T>::type;

template <class T> __device__ __forceinline__ Compute<T> widen(T value) { return value; }
__device__ __forceinline__ float widen(__half value) { return __half2float(value); }
__device__ __forceinline__ float widen(__nv_bfloat16 value) { return __bfloat162float(value); }

template <class T, class C> struct Narrow {
    static __device__ __forceinline__ T from(C value) { return static_cast<T>(value); }
};
template <> struct Narrow<__half, float> {
    static __device__ __forceinline__ __half from(float value) { return __float2half_rn(value); }
};
template <> struct Narrow<__nv_bfloat16, float> {
    static __device__ __forceinline__ __nv_bfloat16 from(float value) { return __float2bfloat16_rn(value); }
};
template <class T, class C> __device__ __forceinline__ T narrow(C value) { return Narrow<T, C>::from(value); }

template <class C> __device__ __forceinline__ C infinity();
template <> __device__ __forceinline__ float infinity<float>() { return __int_as_float(0x7f800000); }
template <> __device__ __forceinline__ double infinity<double>() { return __longlong_as_double(0x7ff0000000000000ll); }

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }
__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }

// ---- 16 bytes at a time ----------------------------------------------------------------------------------------------

template <class T> constexpr int kPack = 16 / static_cast<int>(sizeof(T));

template <class T, int N = kPack<T>> struct alignas(sizeof(T) * N) Pack { T item[N]; };

// `address` is a multiple of the pack's size.
template <int N, class T> __device__ __forceinline__ Pack<T, N> load_pack(const T* address) {
    return *reinterpret_cast<const Pack<T, N>*>(address);
}
template <int N, class T> __device__ __forceinline__ void store_pack(T* address, const Pack<T, N>& pack) {
    *reinterpret_cast<Pack<T, N>*>(address) = pack;
}

// How many elements lie before the first 16-byte boundary.
template <class T> __device__ __forceinline__ int elements_to_boundary(const T* address) {
    const auto past = static_cast<unsigned>(reinterpret_cast<uint64>(address) & 15u);
    return static_cast<int>((16u - past) % 16u / sizeof(T));
}

// ---- Reductions ------------------------------------------------------------------------------------------------------

struct Sum {
    template <class C> static __device__ __forceinline__ C identity() { return C(0); }
    template <class C> static __device__ __forceinline__ C combine(C a, C b) { return a + b; }
};

struct Max {  // a NaN wins, as in PyTorch
    template <class C> static __device__ __forceinline__ C identity() { return -infinity<C>(); }
    template <class C> static __device__ __forceinline__ C combine(C a, C b) { return a > b || a != a ? a : b; }
};

// Over groups of WIDTH neighbouring lanes; every lane of the warp calls it, and every lane has the result.
template <class Op, int WIDTH = 32, class C> __device__ __forceinline__ C warp_reduce(C value) {
#pragma unroll
    for (int by = WIDTH / 2; by > 0; by /= 2) value = Op::combine(value, __shfl_xor_sync(kAllLanes, value, by));
    return value;
}

// Over a block of THREADS threads along x, a multiple of 32; every thread calls it, and every thread has the result.
// `scratch` is shared memory of THREADS / 32 elements that no other call uses before the next barrier.
template <class Op, int THREADS, class C> __device__ __forceinline__ C block_reduce(C value, C* scratch) {
    constexpr int kWarps = THREADS / 32;
    value = warp_reduce<Op>(value);
    if (kWarps == 1) return value;
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
    __syncthreads();
    value = scratch[0];
#pragma unroll
    for (int w = 1; w < kWarps; ++w) value = Op::combine(value, scratch[w]);
    return value;
}

// ---- Loops -----------------------------------------------------------------------------------------------------------

__device__ __forceinline__ int64 global_thread() { return static_cast<int64>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64 grid_stride() { return static_cast<int64>(gridDim.x) * blockDim.x; }

// for (int64 i : every element of n that is this thread's)
#define GPUGRAD_GRID_LOOP(i, n) \
    for (::gpugrad::int64 i = ::gpugrad::global_thread(), i##_stride = ::gpugrad::grid_stride(); i < (n); i += i##_stride)

// ---- The error word --------------------------------------------------------------------------------------------------
// Four 64-bit words in device memory, zero while all is well. The first bad index is kept: the op's number (not zero),
// the index, the size it had to lie below. The host reads the words when it next waits for the device.

__device__ __forceinline__ void report_index(uint64* error, int op, int64 index, int64 size) {
    if (atomicCAS(error, 0ull, static_cast<uint64>(op)) != 0) return;
    error[1] = static_cast<uint64>(index);
    error[2] = static_cast<uint64>(size);
}

// Whether 0 <= index < size; if not, it is reported.
__device__ __forceinline__ bool check_index(uint64* error, int op, int64 index, int64 size) {
    if (static_cast<uint64>(index) < static_cast<uint64>(size)) return true;
    report_index(error, op, index, size);
    return false;
}

}  // namespace gpugrad
