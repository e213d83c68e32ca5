// Softmax and log-softmax over the last dimension, and their gradients.
//
//   softmax       y = exp(x - max x) / sum exp(x - max x)      dx = y * (dy - sum y dy)
//   log-softmax   y = x - max x - log sum exp(x - max x)       dx = dy - exp(y) * sum dy
//
// Layout: `rows` rows of `cols` contiguous elements, rows one behind the other. Any of float32, float64, float16 and
// bfloat16; arithmetic is float32 (float64 for float64): the maximum is exact, sums are formed per thread, then by halves.
//
// Geometry: THREADS threads hold a row in registers, EACH elements a thread: one read and one write of the row. Blocks
// are (THREADS, 128 / THREADS) for THREADS up to 32 and (THREADS) above; grid.x covers the rows. Loads are 16 bytes wide
// from the row's first 16-byte boundary on; what lies before and behind is one element a thread. All arrays of a call
// must lie equally to that boundary; if they do not, or cols > THREADS * EACH, the *_long kernels serve: a block of 256
// threads a row, which they read twice (the second time mostly from the L2 cache), an element at a time.
//
// Bytes moved: forward 2 * rows * cols * sizeof(T), backward 3.
#include "common.cuh"

namespace gpugrad {

// One thread's part of a row: packs, and at most one element before the first and one behind the last.
template <class T, int THREADS, int EACH> struct RowPart {
    using C = Compute<T>;
    static constexpr int kWidth = kPack<T>, kPacks = EACH / kPack<T>;
    static_assert(EACH % kPack<T> == 0 && THREADS >= kPack<T>, "a part is whole packs; head and tail one element a thread");

    C item[EACH], head, tail;

    struct Span {
        int head, packs, cols;
        __device__ __forceinline__ Span(const T* row, int cols) : cols(cols) {
            head = min(elements_to_boundary(row), cols);
            packs = (cols - head) / kWidth;
        }
        __device__ __forceinline__ int tail() const { return head + packs * kWidth; }
    };

    __device__ __forceinline__ void load(const T* row, Span span, C missing) {
        const int t = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            const int at = t + p * THREADS;
            if (at < span.packs) {
                const auto pack = load_pack<kWidth>(row + span.head + at * kWidth);
#pragma unroll
                for (int i = 0; i < kWidth; ++i) item[p * kWidth + i] = widen(pack.item[i]);
            } else {
#pragma unroll
                for (int i = 0; i < kWidth; ++i) item[p * kWidth + i] = missing;
            }
        }
        head = t < span.head ? widen(row[t]) : missing;
        tail = span.tail() + t < span.cols ? widen(row[span.tail() + t]) : missing;
    }

    __device__ __forceinline__ void store(T* row, Span span) const {
        const int t = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            const int at = t + p * THREADS;
            if (at < span.packs) {
                Pack<T> pack;
#pragma unroll
                for (int i = 0; i < kWidth; ++i) pack.item[i] = narrow<T>(item[p * kWidth + i]);
                store_pack<kWidth>(row + span.head + at * kWidth, pack);
            }
        }
        if (t < span.head) row[t] = narrow<T>(head);
        if (span.tail() + t < span.cols) row[span.tail() + t] = narrow<T>(tail);
    }

    // f(element, the other part's element) for each
    template <class F> __device__ __forceinline__ void with(const RowPart& other, F f) {
#pragma unroll
        for (int i = 0; i < EACH; ++i) f(item[i], other.item[i]);
        f(head, other.head);
        f(tail, other.tail);
    }

    template <class F> __device__ __forceinline__ void each(F f) {
#pragma unroll
        for (int i = 0; i < EACH; ++i) f(item[i]);
        f(head);
        f(tail);
    }
};

// Over the THREADS threads of a row.
template <class Op, int THREADS, class C> __device__ __forceinline__ C row_reduce(C value, C* scratch) {
    if constexpr (THREADS <= 32) return warp_reduce<Op, THREADS>(value);
    else return block_reduce<Op, THREADS>(value, scratch);
}

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
    part.each([&](C& v) { top = Max::combine(top, v); });
    top = row_reduce<Max, THREADS>(top, maxima);

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

    const C last = LOG ? logarithm(total) : C(1) / total;
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

constexpr int kLongThreads = 256;

// The sum of exp(x - top), together with top: it is scaled when a larger element comes. One exponential an element.
template <class C> struct ScaledSum {
    C top, total;
    __device__ __forceinline__ void add(C x) {
        if (x == -infinity<C>()) return;  // adds 0, and -inf - -inf would be NaN
        const bool smaller = x <= top;
        const C scale = exponential(smaller ? x - top : top - x);
        total = smaller ? total + scale : total * scale + C(1);
        top = smaller ? top : x;
    }
};

template <class T, bool LOG>
__global__ void __launch_bounds__(kLongThreads)
softmax_forward_long(const T* __restrict__ x, T* __restrict__ out, int64 cols) {
    using C = Compute<T>;
    __shared__ C maxima[kLongThreads / 32], sums[kLongThreads / 32];
    x += blockIdx.x * cols;
    out += blockIdx.x * cols;
    ScaledSum<C> mine{-infinity<C>(), C(0)};
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 i = threadIdx.x; i < cols; i += kLongThreads) mine.add(widen(x[i]));
    const C top = block_reduce<Max, kLongThreads>(mine.top, maxima);
    const C share = mine.total == C(0) ? C(0) : mine.total * exponential(mine.top - top);
    const C total = block_reduce<Sum, kLongThreads>(share, sums);
    const C last = LOG ? logarithm(total) : C(1) / total;
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 i = threadIdx.x; i < cols; i += kLongThreads) {
        const C v = widen(x[i]) - top;
        out[i] = narrow<T>(LOG ? v - last : exponential(v) * last);
    }
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
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 i = threadIdx.x; i < cols; i += kLongThreads) mine += LOG ? widen(dy[i]) : widen(dy[i]) * widen(y[i]);
    const C total = block_reduce<Sum, kLongThreads>(mine, sums);
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 i = threadIdx.x; i < cols; i += kLongThreads) {
        const C g = widen(dy[i]), v = widen(y[i]);
        dx[i] = narrow<T>(LOG ? g - exponential(v) * total : v * (g - total));
    }
}

}  // namespace gpugrad
