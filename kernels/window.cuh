// Where the windows of convolutions and poolings lie: along three spatial axes, the leading ones of size 1 if there are
// fewer. Sizes are 32-bit: a plane, padding included, has fewer than 2^30 pixels, and there are fewer than 2^30 planes;
// offsets between planes are 64-bit.
#pragma once
#include "common.cuh"

namespace gpugrad {

constexpr int kWindowThreads = 256;
constexpr int kWindowBlocks = 4;  // room for 64 registers a thread, without which a few kernels spill

// Pixels first, first + step, ... below stop.
struct Span {
    int first, stop, step;
    __device__ __forceinline__ int count() const { return stop > first ? (stop - first + step - 1) / step : 0; }
};

__device__ __forceinline__ int product(const int (&sizes)[3]) { return sizes[0] * sizes[1] * sizes[2]; }

// Which element of an array of `sizes` the one at position `i` is.
struct Place {
    int at[3];
    __device__ __forceinline__ Place(int i, const int (&sizes)[3]) {
        const auto n = static_cast<unsigned>(i);
        const unsigned line = n / static_cast<unsigned>(sizes[2]);
        at[2] = static_cast<int>(n - line * static_cast<unsigned>(sizes[2]));
        at[0] = static_cast<int>(line / static_cast<unsigned>(sizes[1]));
        at[1] = static_cast<int>(line - static_cast<unsigned>(at[0]) * static_cast<unsigned>(sizes[1]));
    }
};

// Every element `i` of `count` of every plane of `planes` that is this thread's: blocks are (along a plane, planes).
#define GPUGRAD_PLANES_LOOP(plane, planes, i, count)                                                                   \
    for (int plane = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y); plane < (planes);                        \
         plane += static_cast<int>(gridDim.y * blockDim.y))                                                            \
        for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < (count);                             \
             i += static_cast<int>(gridDim.x * blockDim.x))

// Windows of one shape: the launcher's structure of 32-bit integers.
struct Windows {
    int size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    int count_padding, override_divisor;  // of means: whether padding counts; what to divide by, if not 0

    // The pixels of window `o`.
    __device__ __forceinline__ Span span(int axis, int o) const {
        const int start = o * stride[axis] - padding[axis], step = dilation[axis];
        const int end = start + (kernel[axis] - 1) * step + 1;
        const int first = start < 0 ? start + (step - 1 - start) / step * step : start;
        return {first, min(end, size[axis]), step};
    }

    // All windows with pixel `i`; with dilation, or between strides, also some without.
    __device__ __forceinline__ Span cover(int axis, int i) const {
        const int before = i + padding[axis], reach = (kernel[axis] - 1) * dilation[axis];
        const int first = before > reach ? (before - reach + stride[axis] - 1) / stride[axis] : 0;
        const int last = before / stride[axis];
        return {first, min(last + 1, out[axis]), 1};
    }

    // What the sum over a window is divided by; without dilation.
    __device__ __forceinline__ int divisor(const Place& o) const {
        if (override_divisor != 0) return override_divisor;
        int total = 1;
#pragma unroll
        for (int axis = 0; axis < 3; ++axis) {
            const int start = o.at[axis] * stride[axis] - padding[axis];
            const int end = min(start + kernel[axis], size[axis] + padding[axis]);
            total *= count_padding ? end - start : min(end, size[axis]) - max(start, 0);
        }
        return total;
    }
};

// Bins: bin o of n reaches from floor(o * size / n) up to, not including, ceil((o + 1) * size / n). Along each axis
// (size + 1) * (n + 1) is less than 2^31.
struct Bins {
    int size[3], out[3];

    // The span that bin `i` of `bins` has of `n`.
    static __device__ __forceinline__ Span share(int i, int n, int bins) {
        const unsigned start = static_cast<unsigned>(i * n), by = static_cast<unsigned>(bins);
        return {static_cast<int>(start / by), static_cast<int>((start + n + by - 1) / by), 1};
    }
    __device__ __forceinline__ Span span(int axis, int o) const { return share(o, size[axis], out[axis]); }
    __device__ __forceinline__ Span cover(int axis, int i) const { return share(i, out[axis], size[axis]); }
    __device__ __forceinline__ int divisor(const Place& o) const {
        return span(0, o.at[0]).count() * span(1, o.at[1]).count() * span(2, o.at[2]).count();
    }
};

}  // namespace gpugrad
