// Interpolation along one dimension: a matrix with a narrow band times every line of an array.
//
//   out[l, o, c] = sum over k < width of weight[o, k] * x[l, first[o] + k, c]
//
// The band of row o begins at first[o]; rows with fewer weights than `width` are filled with zeros, and no band leaves x. So
// the gradient, whose matrix is the transpose, is the same kernel, without atomics.
// Layout: x (lines, size, inner), out (lines, new, inner), contiguous. Sums are formed in Compute<T> and rounded once.
// Geometry: an element a thread and pass; blocks of 256. Neighbouring threads share their weights if inner > 1.
// Bytes moved: out once; x `width` times, from the caches but once.
#include "common.cuh"

namespace gpugrad {

constexpr int kResampleThreads = 256;

template <class T, class Index>
__global__ void __launch_bounds__(kResampleThreads)
resample_along(int64 n, T* __restrict__ out, const T* __restrict__ x, const int* __restrict__ first,
               const Compute<T>* __restrict__ weight, int width, int64 size, int64 made, int64 inner) {
    GPUGRAD_GRID_LOOP(i, n) {
        const Index at = static_cast<Index>(i), across = static_cast<Index>(inner);
        const Index row = at / across, line = row / static_cast<Index>(made);
        const Index o = row - line * static_cast<Index>(made);
        const Index start = line * static_cast<Index>(size) + static_cast<Index>(first[o]);
        const T* source = x + (start * across + (at - row * across));
        Compute<T> sum = 0;
        for (int k = 0; k < width; ++k, source += across) sum += weight[o * width + k] * widen(*source);
        out[i] = narrow<T>(sum);
    }
}

}  // namespace gpugrad
