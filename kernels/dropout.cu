// Dropout in one pass, and again on the way back, by a mask of one bit an element.
//
//   drop         out = x * (keep ? scale : 0), where keep has the probability below / 2^32; writes the mask, unless it is null
//   drop_again   the same by a mask that is there: dx of g, and g of what dx is differentiated by
//
// Element i is kept by word i % 4 of block i / 4 of the draw (philox.cuh), as a fill of the whole mask would have it.
//
// Layout: x, g and out are contiguous. A byte of the mask is the eight elements of one thread, which lie in runs of kRun
// neighbours (a Philox block, or 16 bytes): so both the packs and the bytes of neighbouring threads are neighbours. There is
// a byte for each thread of a tile of 2048 elements, whether or not all of these exist.
// Geometry: a tile a block of 256 threads and pass. Arithmetic on float16 and bfloat16 is float32; 0 times infinity is NaN.
// Bytes moved: x once in and once out, and an eighth of a byte an element; two Philox blocks are some 100 instructions to 64
// bytes of float32, which hide behind the memory, and to 32 bytes of half precision, which are about even with it.
#include "philox.cuh"

namespace gpugrad {

constexpr int kDropThreads = 256, kBits = 8;

template <class T> constexpr int kRun = sizeof(T) == 2 ? 8 : 4;

// Where element `e` of the eight lies whose first is `first`.
template <class T> __device__ __forceinline__ int64 place_of(int64 first, int e) {
    return first + e / kRun<T> * kRun<T> * kDropThreads + e % kRun<T>;
}

// Eight elements times `scale` where a bit of `kept(first)` is set, else times 0. The loads are under way while it is drawn.
template <class T, class Kept>
__device__ __forceinline__ void drop_tile(int64 n, int64 tile, T* __restrict__ out, const T* __restrict__ x, Compute<T> scale, Kept kept) {
    constexpr int kPacks = kBits / kPack<T>;
    const int64 first = tile * (kDropThreads * kBits) + threadIdx.x * kRun<T>;
    const auto at = [&](int p) { return place_of<T>(first, p * kPack<T>); };
    if ((tile + 1) * (kDropThreads * kBits) <= n && elements_to_boundary(x) == 0 && elements_to_boundary(out) == 0) {
        Pack<T> packs[kPacks];
#pragma unroll
        for (int p = 0; p < kPacks; ++p) packs[p] = load_pack<kPack<T>>(x + at(p));
        const unsigned bits = kept(first);
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
#pragma unroll
            for (int w = 0; w < kPack<T>; ++w) {
                T& item = packs[p].item[w];
                item = narrow<T>(widen(item) * (bits >> (p * kPack<T> + w) & 1u ? scale : Compute<T>(0)));
            }
            store_pack<kPack<T>>(out + at(p), packs[p]);
        }
    } else {
        const unsigned bits = kept(first);
#pragma unroll
        for (int e = 0; e < kBits; ++e) {
            const int64 i = place_of<T>(first, e);
            if (i < n) out[i] = narrow<T>(widen(x[i]) * (bits >> e & 1u ? scale : Compute<T>(0)));
        }
    }
}

template <class T>
__global__ void __launch_bounds__(kDropThreads) drop(
    RandomState* state, int64 n, T* __restrict__ out, const T* __restrict__ x, unsigned char* __restrict__ mask, unsigned below,
    Compute<T> scale) {
    const uint64 seed = state->seed, next = state->next;
    advance(state, next, static_cast<uint64>((n + 3) / 4));
    const int64 tiles = (n + kDropThreads * kBits - 1) / (kDropThreads * kBits);
    for (int64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        drop_tile(n, tile, out, x, scale, [&](int64 first) {
            unsigned bits = 0;
#pragma unroll
            for (int e = 0; e < kBits; e += 4) {
                const Words drawn = philox(seed, next + static_cast<uint64>(place_of<T>(first, e)) / 4);
#pragma unroll
                for (int k = 0; k < 4; ++k) bits |= static_cast<unsigned>(drawn.word[k] < below) << (e + k);
            }
            if (mask != nullptr) mask[tile * kDropThreads + threadIdx.x] = static_cast<unsigned char>(bits);
            return bits;
        });
    }
}

template <class T>
__global__ void __launch_bounds__(kDropThreads) drop_again(
    int64 n, T* __restrict__ out, const T* __restrict__ g, const unsigned char* __restrict__ mask, Compute<T> scale) {
    drop_tile(n, blockIdx.x, out, g, scale, [&](int64) {
        return static_cast<unsigned>(mask[static_cast<int64>(blockIdx.x) * kDropThreads + threadIdx.x]);
    });
}

}  // namespace gpugrad
