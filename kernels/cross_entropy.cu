// Cross-entropy and the negative log-likelihood of class indices, and their gradients.
//
//   p = softmax(x);   with w the weights of the classes, s the smoothing, n the number of classes and t the target:
//   loss = (1 - s) * w[t] * -log p[t] + s / n * sum over c of w[c] * -log p[c]       0 where t is `ignored`
//   dx   = A * p - soft * w - hard at t,   hard = d * (1 - s) * w[t],  soft = d * s / n,  A = hard + soft * sum w
//
// The mean divides the losses' sum, and dy, by the sum of w[t] of what is not ignored: d is dy or that quotient.
// Negative log-likelihood is the first term, with s = 0 and -x[t] for -log p[t].
//
// Layout: x, p and dx are (rows, cols) contiguous, classes along a row; or (outer, cols, inner), classes `inner` apart.
// T is any of float32, float64, float16 and bfloat16; P, that of the weights, T or float32; arithmetic is float32 (float64
// for float64). Targets are int64. One that is no class is reported in `error` and ignored.
//
// Geometry
//   cross_entropy_forward           THREADS threads hold a row in registers (see softmax.cu): one read, one write of p;
//                                   SMOOTH if s is not 0
//   cross_entropy_forward_long      a block a row of any length, read twice, the second time mostly from the L2 cache
//   cross_entropy_forward_columns   see softmax.cu
//   cross_entropy_backward          THREADS threads a row, 16 bytes at a time; blockIdx.y counts `chunk`s of a long row
//   cross_entropy_backward_columns  as forward
//   nll_forward, nll_backward       a thread a target
//   target_counts                   a thread a target: what the mean divides by
//   add_up, add_parts               one block: sums of what the blocks of a launch before found
// Each block writes the sum of its losses and of their weights to `parts`; their order is fixed, and so are the bits.
//
// Bytes moved: forward and backward 2 * rows * cols * sizeof(T).
#include "norm.cuh"
#include "row.cuh"

namespace gpugrad {

constexpr int kTargetThreads = 256;

struct Choices {
    int64 ignored;
    double smoothing, share;  // s and s / n
};

// Of two sums that are formed together.
template <class C> struct Two {
    C loss, weight;
};

// A row's target and what it weighs; `kept` is false if it does not count.
template <class C> struct Target {
    int64 at;
    bool kept;
    C weight;
};

template <class C, class P>
__device__ __forceinline__ Target<C> target_of(int64 at, const P* weight, int64 cols, const Choices& choices) {
    const bool kept = at != choices.ignored && at >= 0 && at < cols;
    return {kept ? at : 0, kept, !kept ? C(0) : weight == nullptr ? C(1) : C(widen(weight[at]))};
}

__device__ __forceinline__ void check_target(int64 at, int64 cols, const Choices& choices, uint64* error, int op) {
    if (at != choices.ignored) check_index(error, op, at, cols);
}

// ---- Forward ---------------------------------------------------------------------------------------------------------

// The loss of a row; `smooth` is the sum over c of w[c] * -log p[c].
template <class C>
__device__ __forceinline__ Two<C> loss_of(Target<C> target, C minus_log_p, C smooth, const Choices& choices) {
    if (!target.kept) return {C(0), C(0)};
    const auto s = static_cast<C>(choices.smoothing);
    const C hard = minus_log_p * target.weight;
    return {s == C(0) ? hard : hard * (C(1) - s) + smooth * C(choices.share), target.weight};
}

template <class T, class P, bool SMOOTH, int THREADS, int EACH>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS)
cross_entropy_forward(const T* __restrict__ x, const int64* __restrict__ targets, const P* __restrict__ weight,
                      T* __restrict__ p, T* __restrict__ losses, Two<Compute<T>>* __restrict__ parts, int64 rows, int cols,
                      Choices choices, uint64* error, int op) {
    using C = Compute<T>;
    using Part = RowPart<T, THREADS, EACH>;
    constexpr int kTogether = THREADS <= 32 ? 128 / THREADS : 1;
    __shared__ C maxima[THREADS / 32 + 1], sums[THREADS / 32 + 1], smooths[THREADS / 32 + 1];
    const int64 row = static_cast<int64>(blockIdx.x) * kTogether + threadIdx.y;
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
        if constexpr (SMOOTH) {
            total += exponential(v);
        } else {
            v = exponential(v);
            total += v;
        }
    });
    total = row_reduce<Sum, THREADS>(total, sums);
    C smooth = 0;
    if constexpr (SMOOTH) {
        const C log_total = logarithm(total);
        part.at_columns(span, [&](C& v, int c) {
            smooth += (log_total - v) * (weight == nullptr ? C(1) : C(widen(weight[c])));
        });
        smooth = row_reduce<Sum, THREADS>(smooth, smooths);
    }
    const C last = reciprocal(total);
    part.each([&](C& v) { v = (SMOOTH ? exponential(v) : v) * last; });
    part.store(p + start, span);

    __shared__ Two<C> found[kTogether];
    if (threadIdx.x == 0) {
        Two<C> mine{C(0), C(0)};
        if (row < rows) {
            const auto target = target_of<C>(targets[row], weight, cols, choices);
            check_target(targets[row], cols, choices, error, op);
            const C minus_log_p = logarithm(total) - (C(widen(x[start + target.at])) - top);
            mine = loss_of(target, minus_log_p, smooth, choices);
            if (losses != nullptr) losses[row] = narrow<T>(mine.loss);
        }
        found[threadIdx.y] = mine;
    }
    if (parts == nullptr) return;
    __syncthreads();
    if (threadIdx.x != 0 || threadIdx.y != 0) return;
    Two<C> sum = found[0];
    for (int y = 1; y < kTogether; ++y) sum = {sum.loss + found[y].loss, sum.weight + found[y].weight};
    parts[blockIdx.x] = sum;
}

template <class T, class P>
__global__ void __launch_bounds__(kLongThreads)
cross_entropy_forward_long(const T* __restrict__ x, const int64* __restrict__ targets, const P* __restrict__ weight,
                           T* __restrict__ p, T* __restrict__ losses, Two<Compute<T>>* __restrict__ parts, int64 cols,
                           Choices choices, uint64* error, int op) {
    using C = Compute<T>;
    __shared__ C maxima[kLongThreads / 32], sums[kLongThreads / 32], smooths[kLongThreads / 32];
    x += blockIdx.x * cols;
    p += blockIdx.x * cols;
    ScaledSum<C> mine;
    walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
        const auto in = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) mine.add(widen(in.item[i]));
    }, x);
    const C top = block_reduce<Max, kLongThreads>(mine.top, maxima);
    const C total = block_reduce<Sum, kLongThreads>(mine.share(top), sums);
    const C log_total = logarithm(total), last = reciprocal(total);
    C smooth = 0;
    walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
        auto pack = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) {
            const C v = widen(pack.item[i]) - top;
            if (choices.smoothing != 0)
                smooth += (log_total - v) * (weight == nullptr ? C(1) : C(widen(weight[at + i])));
            pack.item[i] = narrow<T>(exponential(v) * last);
        }
        store_pack<width.value>(p + at, pack);
    }, x, p);
    if (choices.smoothing != 0) smooth = block_reduce<Sum, kLongThreads>(smooth, smooths);
    if (threadIdx.x != 0) return;
    const auto target = target_of<C>(targets[blockIdx.x], weight, cols, choices);
    check_target(targets[blockIdx.x], cols, choices, error, op);
    const auto loss = loss_of(target, log_total - (C(widen(x[target.at])) - top), smooth, choices);
    if (losses != nullptr) losses[blockIdx.x] = narrow<T>(loss.loss);
    if (parts != nullptr) parts[blockIdx.x] = loss;
}

// Of what the first line of threads along x has, to `parts`. Every thread of the block calls it.
template <class C> __device__ __forceinline__ void sum_line(Two<C> mine, Two<C>* parts) {
    __shared__ Two<C> found[32];
    if (threadIdx.y == 0) {
        mine = {warp_reduce<Sum>(mine.loss), warp_reduce<Sum>(mine.weight)};
        if (threadIdx.x % 32 == 0) found[threadIdx.x / 32] = mine;
    }
    __syncthreads();
    if (threadIdx.x != 0 || threadIdx.y != 0) return;
    for (unsigned w = 1; w < blockDim.x / 32; ++w) mine = {mine.loss + found[w].loss, mine.weight + found[w].weight};
    parts[blockIdx.x] = mine;
}

template <class T, class P>
__global__ void __launch_bounds__(kColumnThreads)
cross_entropy_forward_columns(const T* __restrict__ x, const int64* __restrict__ targets, const P* __restrict__ weight,
                              T* __restrict__ p, T* __restrict__ losses, Two<Compute<T>>* __restrict__ parts, unsigned columns,
                              int64 cols, unsigned inner, Choices choices, uint64* error, int op) {
    using C = Compute<T>;
    __shared__ C scratch[kColumnThreads];
    const unsigned column = blockIdx.x * blockDim.x + threadIdx.x;
    const int64 start = column < columns ? column_start(column, cols, inner) : 0;
    const int64 mine = column < columns ? cols : 0;  // columns beyond the last take part in the barriers, with no elements
    ScaledSum<C> sum;
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < mine; k += blockDim.y) sum.add(widen(x[start + k * inner]));
    const C top = column_reduce<Max>(sum.top, scratch);
    const C total = column_reduce<Sum>(sum.share(top), scratch);
    const C log_total = logarithm(total), last = reciprocal(total);
    C smooth = 0;
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < mine; k += blockDim.y) {
        const C v = widen(x[start + k * inner]) - top;
        if (choices.smoothing != 0) smooth += (log_total - v) * (weight == nullptr ? C(1) : C(widen(weight[k])));
        p[start + k * inner] = narrow<T>(exponential(v) * last);
    }
    smooth = column_reduce<Sum>(smooth, scratch);
    Two<C> loss{C(0), C(0)};
    if (threadIdx.y == 0 && column < columns) {
        const auto target = target_of<C>(targets[column], weight, cols, choices);
        check_target(targets[column], cols, choices, error, op);
        const C shifted = C(widen(x[start + target.at * inner])) - top;
        loss = loss_of(target, log_total - shifted, smooth, choices);
        if (losses != nullptr) losses[column] = narrow<T>(loss.loss);
    }
    if (parts != nullptr) sum_line(loss, parts);
}

template <class T, class P>
__global__ void __launch_bounds__(kTargetThreads)
nll_forward(const T* __restrict__ x, const int64* __restrict__ targets, const P* __restrict__ weight, T* __restrict__ losses,
            Two<Compute<T>>* __restrict__ parts, unsigned columns, int64 cols, unsigned inner, Choices choices, uint64* error,
            int op) {
    using C = Compute<T>;
    Two<C> mine{C(0), C(0)};
#pragma unroll 1
    GPUGRAD_GRID_LOOP(column, columns) {
        const auto target = target_of<C>(targets[column], weight, cols, choices);
        check_target(targets[column], cols, choices, error, op);
        const C score = widen(x[column_start(static_cast<unsigned>(column), cols, inner) + target.at * inner]);
        const C loss = target.kept ? -score * target.weight : C(0);
        if (losses != nullptr) losses[column] = narrow<T>(loss);
        mine = {mine.loss + loss, mine.weight + target.weight};
    }
    if (parts != nullptr) sum_line(mine, parts);
}

template <class C> __device__ __forceinline__ Two<C> sum_of_parts(const Two<C>* parts, int64 count) {
    __shared__ C losses[kLongThreads / 32], weights[kLongThreads / 32];
    Two<C> mine{C(0), C(0)};
    for (int64 i = threadIdx.x; i < count; i += kLongThreads)
        mine = {mine.loss + parts[i].loss, mine.weight + parts[i].weight};
    return {block_reduce<Sum, kLongThreads>(mine.loss, losses), block_reduce<Sum, kLongThreads>(mine.weight, weights)};
}

// The losses' sum, divided by that of the weights for the MEAN.
template <class T, bool MEAN>
__global__ void __launch_bounds__(kLongThreads)
add_up(const Two<Compute<T>>* __restrict__ parts, int64 count, T* __restrict__ out) {
    const auto sum = sum_of_parts(parts, count);
    if (threadIdx.x == 0) out[0] = narrow<T>(MEAN ? sum.loss / sum.weight : sum.loss);
}

template <class C>
__global__ void __launch_bounds__(kLongThreads)
add_parts(const Two<C>* __restrict__ parts, int64 count, Two<C>* __restrict__ out) {
    const auto sum = sum_of_parts(parts, count);
    if (threadIdx.x == 0) out[0] = sum;
}

// ---- Backward --------------------------------------------------------------------------------------------------------

// Each block's sum of the weights of its targets, as the second of `parts`, and the first block's of those of all classes
// as the first.
template <class C, class P>
__global__ void __launch_bounds__(kTargetThreads) target_counts(
    const int64* __restrict__ targets, const P* __restrict__ weight, Two<C>* __restrict__ parts, int64 count, int64 cols,
    Choices choices) {
    Two<C> mine{C(0), C(0)};
    GPUGRAD_GRID_LOOP(i, count) mine.weight += target_of<C>(targets[i], weight, cols, choices).weight;
    for (int64 c = threadIdx.x; blockIdx.x == 0 && c < cols; c += kTargetThreads)
        mine.loss += weight == nullptr ? C(1) : C(widen(weight[c]));
    sum_line(mine, parts);
}

// What the elements of a row share: dx = all * p - soft * w - (hard at the target).
template <class C> struct Slopes {
    C all, soft, hard;
    int64 target;
};

// `totals` are those of target_counts, null where neither a mean nor smoothing needs them; dy is one number unless `each`
// target has its own.
template <class C, class T, class P>
__device__ __forceinline__ Slopes<C> slopes_of(const T* dy, const int64* targets, const P* weight, const Two<C>* totals,
                                               int64 row, int64 cols, bool each, bool mean, const Choices& choices) {
    const auto target = target_of<C>(targets[row], weight, cols, choices);
    C scale = widen(dy[each ? row : 0]);
    if (mean) scale /= totals->weight;
    const auto s = static_cast<C>(choices.smoothing);
    const C hard = scale * (C(1) - s) * target.weight;
    if (s == C(0)) return {hard, C(0), hard, target.kept ? target.at : -1};
    const C soft = target.kept ? scale * C(choices.share) : C(0);
    return {hard + soft * totals->loss, soft, hard, target.kept ? target.at : -1};
}

template <class C, class P>
__device__ __forceinline__ C slope_at(const Slopes<C>& slopes, C p, int64 c, const P* weight) {
    C made = p * slopes.all;
    if (slopes.soft != C(0)) made -= slopes.soft * (weight == nullptr ? C(1) : C(widen(weight[c])));
    return c == slopes.target ? made - slopes.hard : made;
}

template <class T, class P, int THREADS>
__global__ void __launch_bounds__(THREADS < 128 ? 128 : THREADS)
cross_entropy_backward(const T* __restrict__ dy, const T* __restrict__ p, const int64* __restrict__ targets,
                       const P* __restrict__ weight, const Two<Compute<T>>* __restrict__ totals,
                       T* __restrict__ dx, Rows shape, int each, int mean, Choices choices) {
    using C = Compute<T>;
    const Piece piece(shape);
    if (!piece.there(shape)) return;
    const auto slopes = slopes_of(dy, targets, weight, totals, piece.row, shape.cols, each, mean, choices);
    p += piece.start;
    dx += piece.start;
    walk_row<THREADS>(piece.cols, [&](int64 at, auto width) {
        auto pack = load_pack<width.value>(p + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i)
            pack.item[i] = narrow<T>(slope_at(slopes, C(widen(pack.item[i])), piece.column + at + i, weight));
        store_pack<width.value>(dx + at, pack);
    }, p, dx);
}

template <class T, class P>
__global__ void __launch_bounds__(kColumnThreads)
cross_entropy_backward_columns(const T* __restrict__ dy, const T* __restrict__ p, const int64* __restrict__ targets,
                               const P* __restrict__ weight, const Two<Compute<T>>* __restrict__ totals,
                               T* __restrict__ dx, unsigned columns, int64 cols, unsigned inner, int each, int mean,
                               Choices choices) {
    using C = Compute<T>;
    const unsigned column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    const int64 start = column_start(column, cols, inner);
    const auto slopes = slopes_of(dy, targets, weight, totals, column, cols, each, mean, choices);
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < cols; k += blockDim.y)
        dx[start + k * inner] = narrow<T>(slope_at(slopes, C(widen(p[start + k * inner])), k, weight));
}

// `dx` is zero.
template <class T, class P>
__global__ void __launch_bounds__(kTargetThreads)
nll_backward(const T* __restrict__ dy, const int64* __restrict__ targets, const P* __restrict__ weight,
             const Two<Compute<T>>* __restrict__ totals, T* __restrict__ dx, unsigned columns, int64 cols,
             unsigned inner, int each, int mean, Choices choices) {
    using C = Compute<T>;
#pragma unroll 1
    GPUGRAD_GRID_LOOP(column, columns) {
        const auto slopes = slopes_of(dy, targets, weight, totals, column, cols, each, mean, choices);
        if (slopes.target >= 0) dx[column_start(static_cast<unsigned>(column), cols, inner) + slopes.target * inner] = narrow<T>(-slopes.hard);
    }
}

}  // namespace gpugrad
