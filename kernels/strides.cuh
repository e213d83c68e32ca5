// Where elements lie: arrays of one shape walked in one order, each by its own strides.
#pragma once
#include "common.cuh"

namespace gpugrad {

constexpr int kWalkDims = 8;

// Sizes of the dimensions, the last varying fastest, and the strides of each array, in elements; they may be negative.
template <int ARRAYS> struct Walk {
    int64 dims;
    int64 size[kWalkDims];
    int64 stride[ARRAYS][kWalkDims];
};

template <int ARRAYS, class Index> struct Offsets {
    Index of[ARRAYS];
};

// How far element `i` of the walk lies from the first one in each array.
template <class Index, int ARRAYS>
__device__ __forceinline__ Offsets<ARRAYS, Index> offsets(Index i, const Walk<ARRAYS>& walk) {
    Offsets<ARRAYS, Index> found;
#pragma unroll
    for (int a = 0; a < ARRAYS; ++a) found.of[a] = 0;
    for (int d = static_cast<int>(walk.dims) - 1; d >= 0; --d) {
        const auto size = static_cast<Index>(walk.size[d]);
        const Index next = i / size, at = i - next * size;
#pragma unroll
        for (int a = 0; a < ARRAYS; ++a) found.of[a] += at * static_cast<Index>(walk.stride[a][d]);
        i = next;
    }
    return found;
}

// 16 bytes moved as they are.
struct alignas(16) Wide {
    uint64 low, high;
};

}  // namespace gpugrad
