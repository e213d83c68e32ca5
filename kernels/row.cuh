// Rows: how threads share the elements of one, held in registers or walked 16 bytes at a time.
#pragma once
#include "common.cuh"

namespace gpugrad {

// ---- A row in registers ----------------------------------------------------------------------------------------------

// A parameter's elements for the W columns from `column` on: 16 bytes at a time where the row's packs lie as the parameter's
// do, else one by one. Neighbouring threads are W columns apart, so that single loads of a warp touch W times the lines.
template <int W, class P> struct OfColumns {
    Compute<P> item[W];

    __device__ __forceinline__ OfColumns(const P* parameter, int column, bool aligned) {
        constexpr int kWidth = kPack<P> < W ? kPack<P> : W;
        if (aligned) {
#pragma unroll
            for (int i = 0; i < W; i += kWidth) {
                const auto pack = load_pack<kWidth>(parameter + column + i);
#pragma unroll
                for (int k = 0; k < kWidth; ++k) item[i + k] = widen(pack.item[k]);
            }
        } else {
#pragma unroll
            for (int i = 0; i < W; ++i) item[i] = widen(parameter[column + i]);
        }
    }
};

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

    // To a row that lies as the one loaded does, perhaps of a wider type.
    template <class Out> __device__ __forceinline__ void store(Out* row, Span span) const {
        const int t = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            const int at = t + p * THREADS;
            if (at < span.packs) {
                Pack<Out, kWidth> pack;
#pragma unroll
                for (int i = 0; i < kWidth; ++i) pack.item[i] = narrow<Out>(item[p * kWidth + i]);
                store_pack<kWidth>(row + span.head + at * kWidth, pack);
            }
        }
        if (t < span.head) row[t] = narrow<Out>(head);
        if (span.tail() + t < span.cols) row[span.tail() + t] = narrow<Out>(tail);
    }

    // f(element) for each, the missing ones too
    template <class F> __device__ __forceinline__ void each(F f) {
#pragma unroll
        for (int i = 0; i < EACH; ++i) f(item[i]);
        f(head);
        f(tail);
    }

    // f(element, the other part's element) for each
    template <class F> __device__ __forceinline__ void with(const RowPart& other, F f) {
#pragma unroll
        for (int i = 0; i < EACH; ++i) f(item[i], other.item[i]);
        f(head, other.head);
        f(tail, other.tail);
    }

    // f(element, that of a parameter of its column) for each that is there; the parameter begins on a 16-byte boundary
    template <class P, class F> __device__ __forceinline__ void with_columns(Span span, const P* parameter, F f) {
        const int t = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            const int at = t + p * THREADS;
            if (at < span.packs) {
                const OfColumns<kWidth, P> own(parameter, span.head + at * kWidth, span.head == 0);
#pragma unroll
                for (int i = 0; i < kWidth; ++i) f(item[p * kWidth + i], own.item[i]);
            }
        }
        if (t < span.head) f(head, widen(parameter[t]));
        if (span.tail() + t < span.cols) f(tail, widen(parameter[span.tail() + t]));
    }

    // f(element) of that column, if it is this thread's; no column is -1
    template <class F> __device__ __forceinline__ void at_column(Span span, int column, F f) {
        const int t = static_cast<int>(threadIdx.x), place = column - span.head - t * kWidth;
        if (place >= 0 && place % (THREADS * kWidth) < kWidth) {
#pragma unroll
            for (int p = 0; p < kPacks; ++p)
#pragma unroll
                for (int i = 0; i < kWidth; ++i)
                    if (place == p * THREADS * kWidth + i) f(item[p * kWidth + i]);
        }
        if (t < span.head && t == column) f(head);
        if (span.tail() + t < span.cols && span.tail() + t == column) f(tail);
    }

    // f(element, its column) for each that is there
    template <class F> __device__ __forceinline__ void at_columns(Span span, F f) {
        const int t = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            const int at = t + p * THREADS;
            if (at < span.packs) {
#pragma unroll
                for (int i = 0; i < kWidth; ++i) f(item[p * kWidth + i], span.head + at * kWidth + i);
            }
        }
        if (t < span.head) f(head, t);
        if (span.tail() + t < span.cols) f(tail, span.tail() + t);
    }
};

// Over the THREADS threads of a row.
template <class Op, int THREADS, class C> __device__ __forceinline__ C row_reduce(C value, C* scratch) {
    if constexpr (THREADS <= 32) return warp_reduce<Op, THREADS>(value);
    else return block_reduce<Op, THREADS>(value, scratch);
}

// ---- A row of any length ---------------------------------------------------------------------------------------------

constexpr int kLongThreads = 512;  // few rows at a time: what is read a second time is still in the L2 cache

template <int N> struct Width {
    static constexpr int value = N;
};

// Whether as many elements lie before the first boundary of W elements.
template <int W, class T> __device__ __forceinline__ bool lie_equally(const T*) { return true; }
template <int W, class T, class U, class... More>
__device__ __forceinline__ bool lie_equally(const T* a, const U* b, const More*... more) {
    const auto apart = reinterpret_cast<uint64>(a) / sizeof(T) ^ reinterpret_cast<uint64>(b) / sizeof(U);
    return apart % W == 0 && lie_equally<W>(b, more...);
}

// f(column, Width<W>) for every W elements from that column on that are this thread's: W is 16 bytes' worth of the first
// of `rows` where all allow it, 1 at the ends or where they do not lie equally. AHEAD of the wide ones are in flight, but of float64.
template <int THREADS, int AHEAD = 4, class F, class T, class... Rows>
__device__ __forceinline__ void walk_row(int64 cols, F f, const T* row, const Rows*... rows) {
    constexpr int kWidth = kPack<T>, kAhead = sizeof(Compute<T>) == 8 ? 1 : AHEAD;
    const int64 first = elements_to_boundary(row);
    const int64 head = lie_equally<kWidth>(row, rows...) && first < cols ? first : cols;
    const int64 packs = (cols - head) / kWidth;
    for (int64 i = threadIdx.x; i < head; i += THREADS) f(i, Width<1>());
#pragma unroll kAhead
    for (int64 p = threadIdx.x; p < packs; p += THREADS) f(head + p * kWidth, Width<kWidth>());
    for (int64 i = head + packs * kWidth + threadIdx.x; i < cols; i += THREADS) f(i, Width<1>());
}

// ---- Softmax ---------------------------------------------------------------------------------------------------------

struct Top {  // the larger of two numbers, in one instruction: a NaN makes the sum of exponentials one, whatever is subtracted
    static __device__ __forceinline__ float combine(float a, float b) { return fmaxf(a, b); }
    static __device__ __forceinline__ double combine(double a, double b) { return fmax(a, b); }
};

// Of a sum of exponentials, which is from 1 to 2^31 or NaN: without the code for everything else, which costs registers.
__device__ __forceinline__ float reciprocal(float x) { return __fdividef(1.0f, x); }
__device__ __forceinline__ double reciprocal(double x) { return 1.0 / x; }

// The sum of exp(x - top), together with top: it is scaled when a larger element comes. One exponential an element.
template <class C> struct ScaledSum {
    C top = -infinity<C>(), total = C(0);

    __device__ __forceinline__ void add(C x) {
        if (x == -infinity<C>()) return;  // adds 0, and -inf - -inf would be NaN
        const bool smaller = x <= top;
        const C scale = exponential(smaller ? x - top : top - x);
        total = smaller ? total + scale : total * scale + C(1);
        top = smaller ? top : x;
    }

    // What it adds to the sum of exp(x - other): `other` is the largest of several tops.
    __device__ __forceinline__ C share(C other) const {
        return total == C(0) ? C(0) : total * exponential(top - other);
    }
};

// ---- Columns of (outer, n, inner): neighbours along `inner` are read by neighbouring threads -------------------------

// Where a column begins; its elements lie `inner` apart. threadIdx.y walks along it, blockDim.y at a time. There are at
// most 2^31 columns: a division of 64 bits is a call.
__device__ __forceinline__ int64 column_start(unsigned column, int64 n, unsigned inner) {
    return column / inner * (n - 1) * inner + column;
}

constexpr int kColumnThreads = 512;  // in a block, at most

// Over threadIdx.y; every thread of the block calls it and has the result. `scratch` has blockDim.x * blockDim.y elements.
template <class Op, class C> __device__ __forceinline__ C column_reduce(C value, C* scratch) {
    if (blockDim.y == 1) return value;
    scratch[threadIdx.y * blockDim.x + threadIdx.x] = value;
    __syncthreads();
    value = scratch[threadIdx.x];
    for (unsigned y = 1; y < blockDim.y; ++y) value = Op::combine(value, scratch[y * blockDim.x + threadIdx.x]);
    __syncthreads();
    return value;
}

}  // namespace gpugrad
