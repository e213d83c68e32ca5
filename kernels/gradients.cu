// Gradients as they lie in `.grad`: their norm over all parameters, scaling them, adding one to another; and the scale of
// the loss they are of.
//
// norm_parts<KIND, T>   each block reduces its chunk of a tensor (see tensors.cuh) to one double at `parts[blockIdx.x]`: the
//                       sum of |x|^p, or the maximum of |x|. float32 within a thread and its block for float16, bfloat16
//                       and float32. Bytes moved: the gradients once.
// norm_total<KIND, T>   one block reduces the parts, in an order of their numbers alone, and takes the root. The norm of a
//                       list is always the same number.
// scale_down<T>         multiplies by limit / (norm + 1e-6) if that is below 1, the norm read from device memory. Bytes
//                       moved: the gradients twice, and none if there is nothing to scale.
// unscale<T>            divides by `*scale` (multiplies by its inverse) and makes `*found` 1 if an element was infinite or
//                       NaN. Bytes moved: the gradients twice, once if there is nothing to divide by.
// update_scale          one thread: the next scale of the loss, and how often in a row it was right.
// accumulate<T>         target += g for contiguous arrays, 16 bytes at a time where both are aligned. Three transfers an
//                       element.
// accumulate_strided    the same for arrays of any strides, the target's without repeats: an element a thread, four in flight.
#include "math.cuh"
#include "strides.cuh"
#include "tensors.cuh"

namespace gpugrad {

enum Kind { kLargest, kSum, kSquares, kPowers };

template <int KIND> struct CombineOf { using type = Sum; };
template <> struct CombineOf<kLargest> { using type = Max; };

__device__ __forceinline__ float power(float x, float p) { return powf(x, p); }
__device__ __forceinline__ double power(double x, double p) { return pow(x, p); }

template <int KIND, class C> __device__ __forceinline__ C term(C x, C p) {
    if (KIND == kSquares) return x * x;
    return KIND == kPowers ? power(fabs(x), p) : fabs(x);
}

template <int KIND, class T>
__global__ void __launch_bounds__(kChunkThreads)
    norm_parts(const __grid_constant__ Tensors<1> tensors, double p, double* parts) {
    using C = Compute<T>;
    using Combine = typename CombineOf<KIND>::type;
    __shared__ C scratch[kChunkThreads / 32];
    const Part part = part_of_block<T>(tensors);
    const T* data = static_cast<const T*>(tensors.data[0][part.number]);
    C found = KIND == kLargest ? C(0) : Combine::template identity<C>();
    for (int64 i = part.begin + threadIdx.x * kPack<T>; i < part.packed; i += kChunkThreads * kPack<T>) {
        const auto pack = load_pack<kPack<T>>(data + i);
#pragma unroll
        for (int w = 0; w < kPack<T>; ++w) found = Combine::combine(found, term<KIND>(widen(pack.item[w]), C(p)));
    }
    for (int64 i = part.packed + threadIdx.x; i < part.end; i += kChunkThreads)
        found = Combine::combine(found, term<KIND>(widen(data[i]), C(p)));
    found = block_reduce<Combine, kChunkThreads>(found, scratch);
    if (threadIdx.x == 0) parts[blockIdx.x] = found;
}

template <int KIND, class T>
__global__ void __launch_bounds__(kChunkThreads) norm_total(const double* parts, int64 count, double p, T* total) {
    using Combine = typename CombineOf<KIND>::type;
    __shared__ double scratch[kChunkThreads / 32];
    double found = 0;
    for (int64 i = threadIdx.x; i < count; i += kChunkThreads) found = Combine::combine(found, parts[i]);
    found = block_reduce<Combine, kChunkThreads>(found, scratch);
    if (threadIdx.x != 0) return;
    if (KIND == kSquares) found = sqrt(found);
    if (KIND == kPowers) found = pow(found, 1 / p);
    *total = narrow<T>(static_cast<Compute<T>>(found));
}

template <class T>
__global__ void __launch_bounds__(kChunkThreads)
    scale_down(const __grid_constant__ Tensors<1> tensors, const T* total, double limit) {
    using C = Compute<T>;
    const C scale = static_cast<C>(limit) / (widen(narrow<T>(widen(*total) + C(1e-6))));
    if (scale >= C(1)) return;
    const C by = widen(narrow<T>(scale));
    const Part part = part_of_block<T>(tensors);
    T* data = static_cast<T*>(tensors.data[0][part.number]);
    for (int64 i = part.begin + threadIdx.x * kPack<T>; i < part.packed; i += kChunkThreads * kPack<T>) {
        auto pack = load_pack<kPack<T>>(data + i);
#pragma unroll
        for (int w = 0; w < kPack<T>; ++w) pack.item[w] = narrow<T>(widen(pack.item[w]) * by);
        store_pack<kPack<T>>(data + i, pack);
    }
    for (int64 i = part.packed + threadIdx.x; i < part.end; i += kChunkThreads)
        data[i] = narrow<T>(widen(data[i]) * by);
}

template <class T>
__global__ void __launch_bounds__(kChunkThreads)
    unscale(const __grid_constant__ Tensors<1> tensors, const float* scale, float* found) {
    using C = Compute<T>;
    const C by = static_cast<C>(static_cast<float>(1.0 / *scale));
    const bool writes = by != C(1);
    const Part part = part_of_block<T>(tensors);
    T* data = static_cast<T*>(tensors.data[0][part.number]);
    bool finite = true;
    for (int64 i = part.begin + threadIdx.x * kPack<T>; i < part.packed; i += kChunkThreads * kPack<T>) {
        auto pack = load_pack<kPack<T>>(data + i);
#pragma unroll
        for (int w = 0; w < kPack<T>; ++w) {
            const C x = widen(pack.item[w]);
            finite = finite && is_finite(x);
            pack.item[w] = narrow<T>(x * by);
        }
        if (writes) store_pack<kPack<T>>(data + i, pack);
    }
    for (int64 i = part.packed + threadIdx.x; i < part.end; i += kChunkThreads) {
        const C x = widen(data[i]);
        finite = finite && is_finite(x);
        if (writes) data[i] = narrow<T>(x * by);
    }
    if (!finite) *found = 1.0f;  // whoever writes it writes the same
}

template <class T>
__global__ void update_scale(T* scale, int* tracker, const T* found, double growth, T backoff, int interval) {
    if (*found != T(0)) {
        *scale *= backoff;
        *tracker = 0;
        return;
    }
    const int successes = *tracker + 1;
    const T grown = static_cast<T>(*scale * growth);
    if (successes == interval && is_finite(grown)) *scale = grown;
    *tracker = successes == interval ? 0 : successes;
}

template <class T> __global__ void __launch_bounds__(kChunkThreads) accumulate(int64 n, T* target, const T* g) {
    const bool aligned = elements_to_boundary(target) == 0 && elements_to_boundary(g) == 0;
    const int64 packs = aligned ? n / kPack<T> : 0;
    GPUGRAD_GRID_LOOP(i, packs) {
        auto have = load_pack<kPack<T>>(target + i * kPack<T>);
        const auto more = load_pack<kPack<T>>(g + i * kPack<T>);
#pragma unroll
        for (int w = 0; w < kPack<T>; ++w) have.item[w] = narrow<T>(widen(have.item[w]) + widen(more.item[w]));
        store_pack<kPack<T>>(target + i * kPack<T>, have);
    }
    GPUGRAD_GRID_LOOP(i, n - packs * kPack<T>) {
        const int64 at = packs * kPack<T> + i;
        target[at] = narrow<T>(widen(target[at]) + widen(g[at]));
    }
}

constexpr int kAddedAtOnce = 4;

template <class T, class Index>
__global__ void __launch_bounds__(kChunkThreads)
    accumulate_strided(int64 n, T* __restrict__ target, const T* __restrict__ g, Walk<2> walk) {
    const int64 step = grid_stride();
    for (int64 first = global_thread(); first < n; first += kAddedAtOnce * step) {
        Index to[kAddedAtOnce];
        T sum[kAddedAtOnce];
#pragma unroll
        for (int k = 0; k < kAddedAtOnce; ++k) {
            if (first + k * step < n) {
                const auto at = offsets(static_cast<Index>(first + k * step), walk);
                to[k] = at.of[0];
                sum[k] = narrow<T>(widen(target[at.of[0]]) + widen(g[at.of[1]]));
            }
        }
#pragma unroll
        for (int k = 0; k < kAddedAtOnce; ++k)
            if (first + k * step < n) target[to[k]] = sum[k];
    }
}

}  // namespace gpugrad
