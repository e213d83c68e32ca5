// Normalization over rows: layer, group, instance and RMS norm, the elementwise part of batch norm; and their gradients.
//
//   y  = x_hat * weight + bias            x_hat = (x - mean) * scale,  scale = 1 / sqrt(variance + eps)
//   dx = scale * (s - mean(s) - x_hat * mean(s * x_hat)),  s = dy * weight    dweight = sum dy * x_hat    dbias = sum dy
//
// RMS norm is the same with a mean of 0 and the mean square for variance; there `mean(s)` is left out.
//
// Layout: `rows` rows of `cols` contiguous elements, rows one behind the other. BY says what belongs to what:
//   kByColumn   statistics to the row, parameters to the column (layer norm, RMS norm)
//   kByRow      both to the row: parameters to channel row % channels, statistics to (row / per) % period. The rows are
//               the pixels of one channel of one sample: batch norm has per 1 and period `channels`, instance norm per 1,
//               group norm as many as a group has channels, both as period the number of groups in all samples
//   kByTable    both to the column (batch norm of (N, C))
// T, the storage of x, dy, y and dx, is any of float32, float64, float16 and bfloat16; P, that of the parameters, T or
// float32. Statistics and all arithmetic are float32 (float64 for float64).
//
// Geometry
//   row_moments            THREADS threads hold a row in registers, EACH elements a thread, and go over it twice: the
//                          mean, then the squared distances from it. One read. row_moments_long: rows of any length, a
//                          block each, two reads.
//   normalize, its gradient, row_sums
//                          THREADS threads a row, 16 bytes at a time from the row's first boundary on; the first two cut
//                          long rows into `chunk` elements along grid.y, with a block for each.
//   layer_norm_backward    as many blocks as fit take rows in turn; a thread has the same columns of each, so
//                          that it adds up dweight and dbias in registers, and writes them once for its block. W is 16
//                          bytes' worth if cols is a multiple of that, else 1. batch_norm.cu sums what the blocks wrote.
//   layer_norm_forward, rms_norm_forward
//                          a row in registers, as in row_moments: one read, one write. Longer rows go through row_moments
//                          and normalize.
//
// Bytes moved, in rows * cols * sizeof(T): row_moments 1, normalize 2, layer_norm_backward 3, *_norm_forward 2.
// Measured on an H200, in parts of a copy's rate: forward 0.94, backward 0.81 (rms norm 0.85).
#include "norm.cuh"
#include "row.cuh"

namespace gpugrad {

// ---- Statistics ------------------------------------------------------------------------------------------------------

// RMS: the mean square alone; `mean` is not written.
template <class T, bool RMS, int THREADS, int EACH>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS)
row_moments(const T* __restrict__ x, Compute<T>* __restrict__ mean, Compute<T>* __restrict__ variance, int64 rows, int cols) {
    using C = Compute<T>;
    using Part = RowPart<T, THREADS, EACH>;
    __shared__ C sums[THREADS / 32 + 1], squares[THREADS / 32 + 1];
    const int64 row = static_cast<int64>(blockIdx.x) * blockDim.y + threadIdx.y;
    const int64 start = row < rows ? row * cols : 0;  // rows beyond the last take part in the shuffles, with no columns
    const typename Part::Span span(x + start, row < rows ? cols : 0);
    Part part;
    part.load(x + start, span, C(0));
    C middle = 0;
    if constexpr (!RMS) {
        part.each([&](C& v) { middle += v; });
        middle = row_reduce<Sum, THREADS>(middle, sums) / cols;
    }
    C square = 0;
    part.at_columns(span, [&](C& v, int) { square += (v - middle) * (v - middle); });
    square = row_reduce<Sum, THREADS>(square, squares) / cols;
    if (row < rows && threadIdx.x == 0) {
        if constexpr (!RMS) mean[row] = middle;
        variance[row] = square;
    }
}

template <class T, bool RMS>
__global__ void __launch_bounds__(kLongThreads)
row_moments_long(const T* __restrict__ x, Compute<T>* __restrict__ mean, Compute<T>* __restrict__ variance, int64 cols) {
    using C = Compute<T>;
    __shared__ C sums[kLongThreads / 32], squares[kLongThreads / 32];
    x += blockIdx.x * cols;
    C middle = 0;
    if constexpr (!RMS) {
        walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
            const auto in = load_pack<width.value>(x + at);
#pragma unroll
            for (int i = 0; i < width.value; ++i) middle += widen(in.item[i]);
        }, x);
        middle = block_reduce<Sum, kLongThreads>(middle, sums) / cols;
    }
    C square = 0;
    walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
        const auto in = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) square += (widen(in.item[i]) - middle) * (widen(in.item[i]) - middle);
    }, x);
    square = block_reduce<Sum, kLongThreads>(square, squares) / cols;
    if (threadIdx.x == 0) {
        if constexpr (!RMS) mean[blockIdx.x] = middle;
        variance[blockIdx.x] = square;
    }
}

// ---- Element by element ----------------------------------------------------------------------------------------------

// With a weight and a bias for each column, 1024 threads of two packs each keep as much in flight as half as many of four,
// and have registers enough: 64.
template <int THREADS> constexpr int kBlockOf = THREADS < 128 ? 128 : THREADS;  // threads of a block, of which THREADS have a row

template <class T, class P, int BY, int THREADS>
__global__ void __launch_bounds__(kBlockOf<THREADS>, BY == kByColumn ? 1024 / kBlockOf<THREADS> : 0) normalize(
    const T* __restrict__ x, const Compute<T>* __restrict__ mean, const Compute<T>* __restrict__ variance,
    const P* __restrict__ weight, const P* __restrict__ bias, T* __restrict__ out, Scheme scheme, Rows shape) {
    using C = Compute<T>;
    const Norm<C, P> norm{mean, variance, weight, scheme};
    const Piece piece(shape);
    if (!piece.there(shape)) return;
    const auto whole = norm.template of_row<BY>(piece.row);
    const C shift = BY == kByRow && bias != nullptr ? widen(bias[piece.row % scheme.channels]) : C(0);
    x += piece.start;
    out += piece.start;
    walk_row<THREADS, BY == kByColumn ? 2 : 4>(piece.cols, [&](int64 at, auto width) {
        auto pack = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) {
            const int64 column = piece.column + at + i;
            const auto own = norm.template of_column<BY>(whole, column);
            const C added = BY != kByRow && bias != nullptr ? widen(bias[column]) : shift;
            pack.item[i] = narrow<T>((widen(pack.item[i]) - own.mean) * own.scale * own.weight + added);
        }
        store_pack<width.value>(out + at, pack);
    }, x, out);
}

// Given the sums of dy and dy * x_hat over all that shares a mean, of s and s * x_hat if they are `weighted`, the first
// of them none for RMS norm: dx. `share` is one over how many elements share a mean.
template <class T, class P, int BY, int THREADS>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS)
normalize_gradient(const T* __restrict__ dy, const T* __restrict__ x, const Compute<T>* __restrict__ mean,
                   const Compute<T>* __restrict__ variance, const P* __restrict__ weight,
                   const Compute<T>* __restrict__ sums, const Compute<T>* __restrict__ products, T* __restrict__ dx,
                   Scheme scheme, Rows shape, int weighted, Compute<T> share) {
    using C = Compute<T>;
    const Norm<C, P> norm{mean, variance, weight, scheme};
    const Piece piece(shape);
    if (!piece.there(shape)) return;
    const auto whole = norm.template of_row<BY>(piece.row);
    dy += piece.start;
    x += piece.start;
    dx += piece.start;
    walk_row<THREADS>(piece.cols, [&](int64 at, auto width) {
        auto g = load_pack<width.value>(dy + at);
        const auto value = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) {
            const int64 column = piece.column + at + i;
            const auto own = norm.template of_column<BY>(whole, column);
            const int64 of = BY == kByTable ? column : whole.index;
            const C x_hat = (widen(value.item[i]) - own.mean) * own.scale;
            const C sum = sums == nullptr ? C(0) : sums[of];
            const C common = (sum + x_hat * products[of]) * share * (weighted ? C(1) : own.weight);
            g.item[i] = narrow<T>((widen(g.item[i]) * own.weight - common) * own.scale);
        }
        store_pack<width.value>(dx + at, g);
    }, dy, x, dx);
}

// Of each row the sums of s and s * x_hat where parameters belong to columns, else of dy and dy * x_hat.
template <class T, class P, int BY, int THREADS>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS)
row_sums(const T* __restrict__ dy, const T* __restrict__ x, const Compute<T>* __restrict__ mean,
         const Compute<T>* __restrict__ variance, const P* __restrict__ weight, Compute<T>* __restrict__ sums,
         Compute<T>* __restrict__ products, Scheme scheme, Rows shape) {
    using C = Compute<T>;
    const Norm<C, P> norm{mean, variance, weight, scheme};
    __shared__ C scratch[2][THREADS / 32 + 1];
    const Piece piece(shape);
    const bool there = piece.there(shape);
    const auto whole = norm.template of_row<BY>(there ? piece.row : 0);
    dy += there ? piece.start : 0;
    x += there ? piece.start : 0;
    C sum = 0, product = 0;
    walk_row<THREADS>(there ? piece.cols : 0, [&](int64 at, auto width) {
        const auto g = load_pack<width.value>(dy + at);
        const auto value = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) {
            const auto own = norm.template of_column<BY>(whole, at + i);
            const C s = BY == kByColumn ? widen(g.item[i]) * own.weight : widen(g.item[i]);
            sum += s;
            product += s * (widen(value.item[i]) - own.mean) * own.scale;
        }
    }, dy, x);
    sum = row_reduce<Sum, THREADS>(sum, scratch[0]);
    product = row_reduce<Sum, THREADS>(product, scratch[1]);
    if (there && threadIdx.x == 0) {
        sums[piece.row] = sum;
        products[piece.row] = product;
    }
}

// ---- In one pass -----------------------------------------------------------------------------------------------------

template <class T, class P, int THREADS, int EACH>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS) layer_norm_forward(
    const T* __restrict__ x, const P* __restrict__ weight, const P* __restrict__ bias, T* __restrict__ out,
    Compute<T>* __restrict__ mean, Compute<T>* __restrict__ variance, int64 rows, int cols, Compute<T> eps) {
    using C = Compute<T>;
    using Part = RowPart<T, THREADS, EACH>;
    __shared__ C sums[THREADS / 32 + 1], squares[THREADS / 32 + 1];
    const int64 row = static_cast<int64>(blockIdx.x) * blockDim.y + threadIdx.y;
    const int64 start = row < rows ? row * cols : 0;
    const typename Part::Span span(x + start, row < rows ? cols : 0);
    Part part;
    part.load(x + start, span, C(0));
    C middle = 0;
    part.each([&](C& v) { middle += v; });
    middle = row_reduce<Sum, THREADS>(middle, sums) / cols;
    C square = 0;
    part.at_columns(span, [&](C& v, int) {
        v -= middle;
        square += v * v;
    });
    square = row_reduce<Sum, THREADS>(square, squares) / cols;
    const C scale = reciprocal_root(square + eps);
    part.each([&](C& v) { v *= scale; });
    if (weight != nullptr) part.with_columns(span, weight, [](C& v, C own) { v *= own; });
    if (bias != nullptr) part.with_columns(span, bias, [](C& v, C own) { v += own; });
    part.store(out + start, span);
    if (row < rows && threadIdx.x == 0) {
        mean[row] = middle;
        variance[row] = square;
    }
}

template <class T, class P, int THREADS, int EACH>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS, 1) rms_norm_forward(
    const T* __restrict__ x, const P* __restrict__ weight, T* __restrict__ out, int64 rows, int cols, Compute<T> eps,
    Compute<T> share) {
    using C = Compute<T>;
    using Part = RowPart<T, THREADS, EACH>;
    __shared__ C squares[THREADS / 32 + 1];
    const int64 row = static_cast<int64>(blockIdx.x) * blockDim.y + threadIdx.y;
    const int64 start = row < rows ? row * cols : 0;
    const typename Part::Span span(x + start, row < rows ? cols : 0);
    Part part;
    part.load(x + start, span, C(0));
    C square = 0;
    part.each([&](C& v) { square += v * v; });
    const C scale = reciprocal_root(row_reduce<Sum, THREADS>(square, squares) * share + eps);
    part.each([&](C& v) { v *= scale; });
    if (weight != nullptr) part.with_columns(span, weight, [](C& v, C own) { v *= own; });
    part.store(out + start, span);
}

// Two sums over the THREADS threads of a row at once. `scratch` is not written again before the next barrier but one.
template <int THREADS, class C> __device__ __forceinline__ void row_sum_two(C& a, C& b, C* scratch) {
    a = warp_reduce<Sum, THREADS < 32 ? THREADS : 32>(a);
    b = warp_reduce<Sum, THREADS < 32 ? THREADS : 32>(b);
    if constexpr (THREADS > 32) {
        constexpr int kWarps = THREADS / 32;
        if (threadIdx.x % 32 == 0) {
            scratch[threadIdx.x / 32] = a;
            scratch[kWarps + threadIdx.x / 32] = b;
        }
        __syncthreads();
        a = b = 0;
#pragma unroll
        for (int w = 0; w < kWarps; ++w) {
            a += scratch[w];
            b += scratch[kWarps + w];
        }
    }
}

// To each of the EACH sums of the first line of threads, those of the other lines.
template <int THREADS, int LINES, int EACH, class C> __device__ __forceinline__ void add_lines(C (&sums)[EACH], C* added) {
    __syncthreads();
#pragma unroll
    for (int k = 0; k < EACH; ++k) added[(k * LINES + threadIdx.y) * THREADS + threadIdx.x] = sums[k];
    __syncthreads();
    if (threadIdx.y != 0) return;
#pragma unroll
    for (int k = 0; k < EACH; ++k)
        for (int y = 1; y < LINES; ++y) sums[k] += added[(k * LINES + y) * THREADS + threadIdx.x];
}

// `share` is 1 / cols. `dx`, `dweight` and `dbias` may be null; the last two have a row for each block.
template <class T, class P, bool RMS, int THREADS, int EACH, int W>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS)
layer_norm_backward(const T* __restrict__ dy, const T* __restrict__ x, const Compute<T>* __restrict__ mean,
                    const Compute<T>* __restrict__ variance, const P* __restrict__ weight, T* __restrict__ dx,
                    Compute<T>* __restrict__ dweight, Compute<T>* __restrict__ dbias, int64 rows, int cols, Compute<T> eps,
                    Compute<T> share) {
    using C = Compute<T>;
    constexpr int kPacks = EACH / W, kTogether = THREADS <= 32 ? 128 / THREADS : 1;
    __shared__ C scratch[2][THREADS > 32 ? THREADS / 16 : 1];
    C of_weight[EACH] = {}, of_bias[EACH] = {};
    int turn = 0;
    for (int64 first = static_cast<int64>(blockIdx.x) * kTogether; first < rows;
         first += static_cast<int64>(gridDim.x) * kTogether, turn ^= 1) {
        const int64 row = first + threadIdx.y;
        const int mine = row < rows ? cols : 0;
        const int64 start = row < rows ? row * cols : 0;
        const C middle = RMS || row >= rows ? C(0) : mean[row];
        C scale = RMS || row >= rows ? C(1) : reciprocal_root(variance[row] + eps);
        C g[EACH], x_hat[EACH], sum = 0, product = 0;
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            const int at = (static_cast<int>(threadIdx.x) + p * THREADS) * W;
            if (at >= mine) {
#pragma unroll
                for (int i = 0; i < W; ++i) g[p * W + i] = x_hat[p * W + i] = C(0);
                continue;
            }
            const auto gradient = load_pack<W>(dy + start + at);
            const auto value = load_pack<W>(x + start + at);
            const Pack<P, W> own = weight == nullptr ? Pack<P, W>{} : load_pack<W>(weight + at);
#pragma unroll
            for (int i = 0; i < W; ++i) {
                const int k = p * W + i;
                g[k] = widen(gradient.item[i]);
                x_hat[k] = (widen(value.item[i]) - middle) * scale;
                const C s = weight == nullptr ? g[k] : g[k] * widen(own.item[i]);
                sum += RMS ? x_hat[k] * x_hat[k] : s;
                product += s * x_hat[k];
            }
        }
        row_sum_two<THREADS>(sum, product, scratch[turn]);
        if constexpr (RMS) {  // until now x_hat was x
            scale = reciprocal_root(sum * share + eps);
            product *= scale;
#pragma unroll
            for (int k = 0; k < EACH; ++k) x_hat[k] *= scale;
        }
        const C shift = RMS ? C(0) : sum * share, slope = product * share;
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            const int at = (static_cast<int>(threadIdx.x) + p * THREADS) * W;
            Pack<T, W> made;
            [[maybe_unused]] const bool weighted = W > 1 && weight != nullptr && at < mine;
            [[maybe_unused]] const Pack<P, W> own = weighted ? load_pack<W>(weight + at) : Pack<P, W>{};
#pragma unroll
            for (int i = 0; i < W; ++i) {
                const int k = p * W + i;
                of_weight[k] += g[k] * x_hat[k];
                of_bias[k] += g[k];
                C s;
                if constexpr (W > 1) s = weighted ? g[k] * widen(own.item[i]) : g[k];
                else s = weight == nullptr || at >= mine ? g[k] : g[k] * widen(weight[at + i]);  // no register to spare
                made.item[i] = narrow<T>((s - shift - x_hat[k] * slope) * scale);
            }
            if (dx != nullptr && at < mine) store_pack<W>(dx + start + at, made);
        }
    }
    if constexpr (kTogether > 1) {
        __shared__ C added[128 * EACH];
        add_lines<THREADS, kTogether>(of_weight, added);
        add_lines<THREADS, kTogether>(of_bias, added);
    }
    if (threadIdx.y != 0) return;
#pragma unroll
    for (int k = 0; k < EACH; ++k) {
        const int column = (static_cast<int>(threadIdx.x) + k / W * THREADS) * W + k % W;
        if (column >= cols) continue;
        if (dweight != nullptr) dweight[static_cast<int64>(blockIdx.x) * cols + column] = of_weight[k];
        if (dbias != nullptr) dbias[static_cast<int64>(blockIdx.x) * cols + column] = of_bias[k];
    }
}

}  // namespace gpugrad
