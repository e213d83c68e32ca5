// The gradient of an embedding: rows of g added up by the rows of the table that they were read from.
//
//   row_keys     key[i] = index[i]; `rows`, which sorts behind all, for the one that is skipped and, reported, for bad ones.
//                Clears `bounds`
//   row_bounds   of the keys, sorted by `order`: bounds[r] and bounds[rows + r] are where row r begins and ends in it
//   sum_rows     out[r] = sum of g[order[j]] for j between the bounds of r, in that order; zeros without any
//   sum_long_rows   the same of rows that are named more than kLong times, which sum_rows leaves out
//
// Every row of `out` is written once, by whoever adds it up: nothing is cleared before, nothing added atomically, and every
// run gives the same bits. Sums are formed in Compute<T> and rounded once. Unless FRESH, sums are added to what `out` holds
// and rows without any stay as they are.
//
// Layout: g (n, width) and out (rows, width) contiguous. W neighbours are loaded at once: 16 bytes, or one element where a row
// is no multiple of that.
// Geometry: blocks of 256. sum_rows has a warp to a row, and 32 * W columns to a step; sum_long_rows looks at a row a thread,
// then has all eight warps to a row and 32 * W columns, each an eighth of what there is to add.
// Bytes moved: g once in, out once out, and 28 bytes an index besides its sort. Added to, only the rows that are named: once
// in and once out.
#include "common.cuh"

namespace gpugrad {

constexpr int kRowThreads = 256, kRowWarps = kRowThreads / 32, kRowBlocks = 5, kLong = 64, kTogether = 4;

template <class I>
__global__ void __launch_bounds__(kRowThreads) row_keys(
    int64 n, const I* __restrict__ index, int rows, int64 skip, int* __restrict__ key, int* __restrict__ bounds,
    uint64* __restrict__ error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const int64 row = index[i];
        key[i] = row != skip && check_index(error, op, row, rows) ? static_cast<int>(row) : rows;
    }
    GPUGRAD_GRID_LOOP(r, 2 * static_cast<int64>(rows)) bounds[r] = 0;
}

template <class I>
__global__ void __launch_bounds__(kRowThreads) row_bounds(
    int64 n, const int* __restrict__ key, const I* __restrict__ order, int rows, int* __restrict__ bounds) {
    GPUGRAD_GRID_LOOP(j, n) {
        const int row = key[order[j]];
        if (row == rows) continue;
        if (j == 0 || key[order[j - 1]] != row) bounds[row] = static_cast<int>(j);
        if (j == n - 1 || key[order[j + 1]] != row) bounds[rows + row] = static_cast<int>(j) + 1;
    }
}

template <class T, int W> struct RowSum {
    Compute<T> of[W] = {};

    __device__ __forceinline__ void add(const Pack<T, W>& pack) {
#pragma unroll
        for (int w = 0; w < W; ++w) of[w] += widen(pack.item[w]);
    }
    // Of the rows of g at order[first], order[first + step], ... below `last`; loads of a few are under way together.
    __device__ __forceinline__ void add_all(
        const T* __restrict__ g, const int64* __restrict__ order, int first, int last, int step, int64 width) {
        int j = first;
        for (; j + (kTogether - 1) * step < last; j += kTogether * step) {
            Pack<T, W> pack[kTogether];
#pragma unroll
            for (int k = 0; k < kTogether; ++k) pack[k] = load_pack<W>(g + order[j + k * step] * width);
#pragma unroll
            for (int k = 0; k < kTogether; ++k) add(pack[k]);
        }
        for (; j < last; j += step) add(load_pack<W>(g + order[j] * width));
    }
    template <bool FRESH> __device__ __forceinline__ void store(T* to) {
        if (!FRESH) add(load_pack<W>(to));
        Pack<T, W> pack;
#pragma unroll
        for (int w = 0; w < W; ++w) pack.item[w] = narrow<T>(of[w]);
        store_pack<W>(to, pack);
    }
};

// A warp to a row; what lies beyond the rows or columns, and rows that are named often, are left out.
template <class T, int W, bool FRESH>
__global__ void __launch_bounds__(kRowThreads, FRESH ? kRowBlocks : kRowBlocks - 1) sum_rows(
    const T* __restrict__ g, T* __restrict__ out, const int64* __restrict__ order, const int* __restrict__ bounds, int rows,
    int64 width) {
    const int64 row = static_cast<int64>(blockIdx.x) * kRowWarps + threadIdx.x / 32;
    const int64 across = static_cast<int64>(gridDim.y) * 32 * W;
    if (row >= rows) return;
    const int first = bounds[row], last = bounds[rows + row];
    if (last - first > kLong || (first == last && !FRESH)) return;
    for (int64 column = (blockIdx.y * 32 + threadIdx.x % 32) * W; column < width; column += across) {
        RowSum<T, W> total;
        total.add_all(g + column, order, first, last, 1, width);
        total.template store<FRESH>(out + row * width + column);
    }
}

// The block's warps together to one row after another, of those that its threads find to be named often. They lie gridDim.x
// apart: such rows are often neighbours, the first of a vocabulary.
template <class T, int W, bool FRESH>
__global__ void __launch_bounds__(kRowThreads, FRESH ? kRowBlocks : kRowBlocks - 1) sum_long_rows(
    const T* __restrict__ g, T* __restrict__ out, const int64* __restrict__ order, const int* __restrict__ bounds, int rows,
    int64 width) {
    __shared__ Compute<T> parts[kRowWarps][32 * W];
    __shared__ unsigned found[kRowWarps];
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int64 mine = static_cast<int64>(threadIdx.x) * gridDim.x + blockIdx.x;
    const unsigned long_ones = __ballot_sync(kAllLanes, mine < rows && bounds[rows + mine] - bounds[mine] > kLong);
    if (lane == 0) found[warp] = long_ones;
    __syncthreads();
    const int64 column = (static_cast<int64>(blockIdx.y) * 32 + lane) * W;
    for (int t = 0; t < kRowThreads; ++t) {  // the same for all threads
        if (!(found[t / 32] >> t % 32 & 1u)) continue;
        const int64 row = static_cast<int64>(t) * gridDim.x + blockIdx.x;
        RowSum<T, W> total;
        if (column < width) total.add_all(g + column, order, bounds[row] + warp, bounds[rows + row], kRowWarps, width);
        __syncthreads();  // what was there has been read
#pragma unroll
        for (int k = 0; k < W; ++k) parts[warp][k * 32 + lane] = total.of[k];
        __syncthreads();
        if (warp != 0 || column >= width) continue;
        for (int p = 1; p < kRowWarps; ++p)
#pragma unroll
            for (int k = 0; k < W; ++k) total.of[k] += parts[p][k * 32 + lane];
        total.template store<FRESH>(out + row * width + column);
    }
}

}  // namespace gpugrad
