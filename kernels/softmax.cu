// Softmax and log-softmax, and their gradients.
//
//   softmax       y = exp(x - max x) / sum exp(x - max x)      dx = y * (dy - sum y dy)
//   log-softmax   y = x - max x - log sum exp(x - max x)       dx = dy - exp(y) * sum dy
//
// Layout: `rows` rows of `cols` contiguous elements, rows one behind the other; or, for a dimension that is not the last,
// (outer, n, inner) with the n elements of a column `inner` apart. Any of float32, float64, float16 and bfloat16;
// arithmetic is float32 (float64 for float64): the maximum is exact, sums are formed per thread, then by halves.
//
// Geometry
//   softmax_*           THREADS threads hold a row in registers, EACH elements a thread: one read and one write of the
//                       row. Blocks are (THREADS, 128 / THREADS) for THREADS up to 32 and (THREADS) above; grid.x covers
//                       the rows. Loads are 16 bytes wide from the row's first 16-byte boundary on; what lies before and
//                       behind is one element a thread. All arrays of a call must lie equally to that boundary.
//   softmax_*_long      rows of any length: a block of kLongThreads a row, which it reads twice, the second time mostly
//                       from the L2 cache. Arrays that do not lie equally are walked an element at a time.
//   softmax_*_columns   a block has blockDim.x columns, neighbours if `inner` is not 1, and blockDim.y threads along each;
//                       they are read twice.
//
// Bytes moved: forward 2 * rows * cols * sizeof(T), backward 3; where it is read twice, up to 1.5 times as many.
// Measured on an H200, in parts of a copy's rate: rows of 1024 float32 0.97, of 8192 0.96, of 33 0.94, backward 1.02.
#include "row.cuh"

namespace gpugrad {

template <class T, bool LOG, int THREADS, int EACH>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS)
softmax_forward(const T* __restrict__ x, T* __restrict__ out, int64 rows, int cols) {
    using C = Compute<T>;
    using Part = RowPart<T, THREADS, EACH>;
    __shared__ C maxima[THREADS / 32 + 1], sums[THREADS / 32 + 1];
    const int64 row = static_cast<int64>(blockIdx.x) * blockDim.y + threadIdx.y;
    const int64 start = row < rows ? row * cols : 0;  // rows beyond the last take part in the shuffles, with no columns
    const typename Part::Span span(x + start, row < rows ? cols : 0);

    Part part;
    part.load(x + start, span, -infinity<C>());
    C top = -infinity<C>();
    part.each([&](C& v) { top = Top::combine(top, v); });
    top = row_reduce<Top, THREADS>(top, maxima);

    C total = 0;
    part.each([&](C& v) {
        v -= top;
        if constexpr (LOG) {
            total += exponential(v);
        } else {
            v = exponential(v);
            total += v;
        }
    });
    total = row_reduce<Sum, THREADS>(total, sums);

    const C last = LOG ? logarithm(total) : reciprocal(total);
    part.each([&](C& v) { v = LOG ? v - last : v * last; });
    part.store(out + start, span);
}

template <class T, bool LOG, int THREADS, int EACH>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS)
softmax_backward(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dx, int64 rows, int cols) {
    using C = Compute<T>;
    using Part = RowPart<T, THREADS, EACH>;
    __shared__ C sums[THREADS / 32 + 1];
    const int64 row = static_cast<int64>(blockIdx.x) * blockDim.y + threadIdx.y;
    const int64 start = row < rows ? row * cols : 0;
    const typename Part::Span span(dy + start, row < rows ? cols : 0);

    Part gradient, value;
    gradient.load(dy + start, span, C(0));
    value.load(y + start, span, C(0));
    C total = 0;
    gradient.with(value, [&](C& g, const C& v) { total += LOG ? g : g * v; });
    total = row_reduce<Sum, THREADS>(total, sums);

    gradient.with(value, [&](C& g, const C& v) { g = LOG ? g - exponential(v) * total : v * (g - total); });
    gradient.store(dx + start, span);
}

template <class T, bool LOG>
__global__ void __launch_bounds__(kLongThreads)
softmax_forward_long(const T* __restrict__ x, T* __restrict__ out, int64 cols) {
    using C = Compute<T>;
    __shared__ C maxima[kLongThreads / 32], sums[kLongThreads / 32];
    x += blockIdx.x * cols;
    out += blockIdx.x * cols;
    ScaledSum<C> mine;
    walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
        const auto in = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) mine.add(widen(in.item[i]));
    }, x);
    const C top = block_reduce<Top, kLongThreads>(mine.top, maxima);
    const C total = block_reduce<Sum, kLongThreads>(mine.share(top), sums);
    const C last = LOG ? logarithm(total) : reciprocal(total);
    walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
        auto pack = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) {
            const C v = widen(pack.item[i]) - top;
            pack.item[i] = narrow<T>(LOG ? v - last : exponential(v) * last);
        }
        store_pack<width.value>(out + at, pack);
    }, x, out);
}

template <class T, bool LOG>
__global__ void __launch_bounds__(kLongThreads)
softmax_backward_long(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dx, int64 cols) {
    using C = Compute<T>;
    __shared__ C sums[kLongThreads / 32];
    dy += blockIdx.x * cols;
    y += blockIdx.x * cols;
    dx += blockIdx.x * cols;
    C mine = 0;
    walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
        const auto g = load_pack<width.value>(dy + at);
        const auto v = load_pack<width.value>(y + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) mine += LOG ? widen(g.item[i]) : widen(g.item[i]) * widen(v.item[i]);
    }, dy, y);
    const C total = block_reduce<Sum, kLongThreads>(mine, sums);
    walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
        auto pack = load_pack<width.value>(dy + at);
        const auto value = load_pack<width.value>(y + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) {
            const C g = widen(pack.item[i]), v = widen(value.item[i]);
            pack.item[i] = narrow<T>(LOG ? g - exponential(v) * total : v * (g - total));
        }
        store_pack<width.value>(dx + at, pack);
    }, dy, y, dx);
}

template <class T, bool LOG>
__global__ void __launch_bounds__(kColumnThreads)
softmax_forward_columns(const T* __restrict__ x, T* __restrict__ out, unsigned columns, int64 n, unsigned inner) {
    using C = Compute<T>;
    __shared__ C scratch[kColumnThreads];
    const unsigned column = blockIdx.x * blockDim.x + threadIdx.x;
    const int64 start = column < columns ? column_start(column, n, inner) : 0;
    const int64 mine = column < columns ? n : 0;  // columns beyond the last take part in the barriers, with no elements
    ScaledSum<C> sum;
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < mine; k += blockDim.y) sum.add(widen(x[start + k * inner]));
    const C top = column_reduce<Top>(sum.top, scratch);
    const C total = column_reduce<Sum>(sum.share(top), scratch);
    const C last = LOG ? logarithm(total) : reciprocal(total);
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < mine; k += blockDim.y) {
        const C v = widen(x[start + k * inner]) - top;
        out[start + k * inner] = narrow<T>(LOG ? v - last : exponential(v) * last);
    }
}

template <class T, bool LOG>
__global__ void __launch_bounds__(kColumnThreads) softmax_backward_columns(
    const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dx, unsigned columns, int64 n, unsigned inner) {
    using C = Compute<T>;
    __shared__ C scratch[kColumnThreads];
    const unsigned column = blockIdx.x * blockDim.x + threadIdx.x;
    const int64 start = column < columns ? column_start(column, n, inner) : 0;
    const int64 mine = column < columns ? n : 0;
    C sum = 0;
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < mine; k += blockDim.y) {
        const int64 at = start + k * inner;
        sum += LOG ? widen(dy[at]) : widen(dy[at]) * widen(y[at]);
    }
    const C total = column_reduce<Sum>(sum, scratch);
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < mine; k += blockDim.y) {
        const int64 at = start + k * inner;
        const C g = widen(dy[at]), v = widen(y[at]);
        dx[at] = narrow<T>(LOG ? g - exponential(v) * total : v * (g - total));
    }
}

}  // namespace gpugrad
