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

// How far element `i` of the walk lies from the first one in each array: as a `To`, which may be wider than `Index`. Nothing
// lies beyond the first dimension, which needs no division.
template <class To, class Index, int ARRAYS>
__device__ __forceinline__ Offsets<ARRAYS, To> offsets_as(Index i, const Walk<ARRAYS>& walk) {
    Offsets<ARRAYS, To> found;
#pragma unroll
    for (int a = 0; a < ARRAYS; ++a) found.of[a] = 0;
#pragma unroll 1
    for (int d = static_cast<int>(walk.dims) - 1; d > 0; --d) {
        const auto size = static_cast<Index>(walk.size[d]);
        const Index next = i / size, at = i - next * size;
#pragma unroll
        for (int a = 0; a < ARRAYS; ++a) found.of[a] += at * static_cast<To>(walk.stride[a][d]);
        i = next;
    }
#pragma unroll
    for (int a = 0; a < ARRAYS; ++a) found.of[a] += i * static_cast<To>(walk.stride[a][0]);
    return found;
}

template <class Index, int ARRAYS>
__device__ __forceinline__ Offsets<ARRAYS, Index> offsets(Index i, const Walk<ARRAYS>& walk) {
    return offsets_as<Index>(i, walk);
}

// a / b, for 0 <= a and 0 < b; 64-bit division takes several times as long as 32-bit.
__device__ __forceinline__ int64 divide(int64 a, int64 b) {
    return ((a | b) >> 32) == 0 ? static_cast<int64>(static_cast<unsigned>(a) / static_cast<unsigned>(b)) : a / b;
}

// The same of one array.
__device__ __forceinline__ int64 offset(int64 i, const Walk<1>& walk) {
    int64 at = 0;
    for (int d = static_cast<int>(walk.dims) - 1; d > 0; --d) {
        const int64 next = divide(i, walk.size[d]);
        at += (i - next * walk.size[d]) * walk.stride[0][d];
        i = next;
    }
    return at + i * walk.stride[0][0];
}

// The same where `Index` counts the elements.
template <class Index> __device__ __forceinline__ int64 offset_in(Index i, const Walk<1>& walk) {
    int64 at = 0;
    for (int d = static_cast<int>(walk.dims) - 1; d > 0; --d) {
        const auto size = static_cast<Index>(walk.size[d]);
        const Index next = i / size;
        at += (i - next * size) * walk.stride[0][d];
        i = next;
    }
    return at + i * walk.stride[0][0];
}

// 16 bytes moved as they are.
struct alignas(16) Wide {
    uint64 low, high;
};

}  // namespace gpugrad
