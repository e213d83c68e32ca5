// What the norms share: which mean, variance and parameter belong to an element, and how blocks cover rows.
#pragma once
#include "common.cuh"

namespace gpugrad {

__device__ __forceinline__ float reciprocal_root(float x) { return rsqrtf(x); }
__device__ __forceinline__ double reciprocal_root(double x) { return rsqrt(x); }

enum Belongs { kByColumn, kByRow, kByTable };  // see layer_norm.cu

// What an element is normalized by. `index` is that of the statistics, where they are a row's.
template <class C> struct Own {
    C mean, scale, weight;
    long long index;
};

struct Scheme {  // see kByRow in layer_norm.cu
    int64 per, period, channels;
    double eps;
};

// `mean` is null for RMS norm, `weight` where there is none.
template <class C, class P> struct Norm {
    const C* __restrict__ mean;
    const C* __restrict__ variance;
    const P* __restrict__ weight;
    const Scheme& scheme;

    __device__ __forceinline__ void read_statistics(Own<C>& own, int64 at) const {
        own.index = at;
        own.mean = mean == nullptr ? C(0) : mean[at];
        own.scale = reciprocal_root(variance[at] + static_cast<C>(scheme.eps));
    }
    __device__ __forceinline__ void read_weight(Own<C>& own, int64 at) const {
        own.weight = weight == nullptr ? C(1) : widen(weight[at]);
    }

    // What all elements of the row share.
    template <int BY> __device__ __forceinline__ Own<C> of_row(int64 row) const {
        Own<C> own{C(0), C(1), C(1), 0};
        if (BY == kByColumn) read_statistics(own, row);
        if (BY == kByRow) read_statistics(own, row / scheme.per % scheme.period);
        if (BY == kByRow) read_weight(own, row % scheme.channels);
        return own;
    }
    // That, completed by what the column says.
    template <int BY> __device__ __forceinline__ Own<C> of_column(Own<C> own, int64 column) const {
        if (BY == kByTable) read_statistics(own, column);
        if (BY != kByRow) read_weight(own, column);
        return own;
    }
};

struct Rows {
    int64 rows, cols, chunk;
};

// The part of a row that a line of threads along x has: blockIdx.y counts chunks.
struct Piece {
    int64 row, column, start, cols;
    __device__ __forceinline__ explicit Piece(Rows shape) {
        row = static_cast<int64>(blockIdx.x) * blockDim.y + threadIdx.y;
        column = blockIdx.y * shape.chunk;
        start = row * shape.cols + column;
        cols = shape.cols - column < shape.chunk ? shape.cols - column : shape.chunk;
    }
    __device__ __forceinline__ bool there(Rows shape) const { return row < shape.rows; }
};

}  // namespace gpugrad
