// Cross-entropy and the negative log-likelihood of class indices, and their gradients.
//
//   p = softmax(x);   with w the weights of the classes, s the smoothing, n the number of classes and t the target:
//   loss = (1 - s) * w[t] * -log p[t] + s / n * sum over c of w[c] * -log p[c]       0 where t is `ignored`
//   dx   = A * p - soft * w - hard at t,   hard = d * (1 - s) * w[t],  soft = d * s / n,  A = hard + soft * sum w
//
// The mean divides the losses' sum by the sum of w[t] of what is not ignored: d is one over that, else 1. dx is made in the
// forward, for a cotangent of 1: who has another multiplies by it. It is null where nobody will ask for it. Negative
// log-likelihood is the first term, with s = 0 and -x[t] for -log p[t].
//
// Layout: x and dx are (rows, cols) contiguous, classes along a row; or (outer, cols, inner), classes `inner` apart. T is
// any of float32, float64, float16 and bfloat16; P, that of the weights, T or float32; arithmetic and dx of float16 are
// float32 (a mean over many would vanish in float16 before it is scaled). Targets are int64. One that is no class is
// reported in `error` and ignored.
//
// Geometry
//   cross_entropy           THREADS threads hold a row in registers (see softmax.cu), ROWS rows a block: one read, one write
//                           of dx; SMOOTH if s is not 0. A grid of one block needs no other launch: it finds what the mean
//                           divides by, and writes `out`
//   cross_entropy_long      a block a row of any length, read twice, the second time mostly from the L2 cache
//   cross_entropy_columns   see softmax.cu
//   nll_forward, nll_backward   a thread a target
//   target_counts           a thread a target, 32 blocks at most: what the mean divides by. Who needs it adds up the blocks'
//   add_up                  one block: the sum of what the blocks of a launch before found
// Each block writes the sum of its losses and of their weights to `parts`; their order is fixed, and so are the bits.
//
// Bytes moved: x once in, dx once out, 2 * rows * cols * sizeof(T) in all; of long rows up to 1.5 times as many. Without dx
// x once, and of long ones as well unless they are smoothed.
// Measured on an H200, in parts of a copy's rate: 8192 float32 classes with gradient 0.91, its two small launches included.
#include "norm.cuh"
#include "row.cuh"

namespace gpugrad {

constexpr int kTargetThreads = 256;

template <class T> struct GradientOf { using type = T; };
template <> struct GradientOf<__half> { using type = float; };
template <class T> using Gradient = typename GradientOf<T>::type;

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

// ---- What all targets weigh ------------------------------------------------------------------------------------------

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

// Their sum, of at most 32 blocks; zeros if there is none. Every lane of the warp calls it, and has it.
template <class C> __device__ __forceinline__ Two<C> counted(const Two<C>* parts, int count) {
    if (count == 0) return {C(0), C(0)};
    const int lane = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x) % 32;
    const bool there = lane < count;
    return {warp_reduce<Sum>(there ? parts[lane].loss : C(0)), warp_reduce<Sum>(there ? parts[lane].weight : C(0))};
}

// ---- Cross-entropy ---------------------------------------------------------------------------------------------------

// The loss of a row; `smooth` is the sum over c of w[c] * -log p[c].
template <class C>
__device__ __forceinline__ Two<C> loss_of(Target<C> target, C minus_log_p, C smooth, const Choices& choices) {
    if (!target.kept) return {C(0), C(0)};
    const auto s = static_cast<C>(choices.smoothing);
    const C hard = minus_log_p * target.weight;
    return {s == C(0) ? hard : hard * (C(1) - s) + smooth * C(choices.share), target.weight};
}

// What the elements of a row share: dx = all * p - soft * w - (hard at the target).
template <class C> struct Slopes {
    C all, soft, hard;

    // `over` is what the mean divides by, else 1; `classes` the sum of the weights of all classes.
    __device__ __forceinline__ Slopes(Target<C> target, C over, C classes, const Choices& choices) {
        const auto s = static_cast<C>(choices.smoothing);
        const C scale = C(1) / over;
        hard = scale * (C(1) - s) * target.weight;
        soft = s != C(0) && target.kept ? scale * C(choices.share) : C(0);
        all = soft != C(0) ? hard + soft * classes : hard;
    }
    // Without what is taken off at the target.
    template <class P> __device__ __forceinline__ C at(C p, const P* weight, int64 c) const {
        const C made = p * all;
        return soft == C(0) ? made : made - soft * (weight == nullptr ? C(1) : C(widen(weight[c])));
    }
};

// Of what the first thread of each row of the block has; every thread of the block calls it and has the result.
template <int ROWS, class C> __device__ __forceinline__ Two<C> sum_rows(Two<C> mine, Two<C>* found) {
    if (threadIdx.x == 0) found[threadIdx.y] = mine;
    __syncthreads();
    Two<C> sum{C(0), C(0)};
    for (int r = (threadIdx.y * blockDim.x + threadIdx.x) % 32; r < ROWS; r += 32)
        sum = {sum.loss + found[r].loss, sum.weight + found[r].weight};
    return {warp_reduce<Sum>(sum.loss), warp_reduce<Sum>(sum.weight)};
}

// Blocks to a multiprocessor that registers are to be left for: 24 warps, with 16 bytes times 8 a thread in flight.
template <class T, bool SMOOTH, int THREADS, int EACH>
constexpr int kResident = SMOOTH || EACH < 32 || sizeof(Compute<T>) == 8 ? 1 : THREADS < 128 ? 6 : 768 / THREADS;

// The losses go to `losses`, or their sum to `parts` or, from a grid of one block, reduced to `out`; the others are null.
template <class T, class P, bool SMOOTH, int THREADS, int EACH, int ROWS>
__global__ void __launch_bounds__(THREADS* ROWS, kResident<T, SMOOTH, THREADS, EACH>) cross_entropy(
    const T* __restrict__ x, const int64* __restrict__ targets, const P* __restrict__ weight,
    Gradient<T>* __restrict__ dx, T* __restrict__ losses, Two<Compute<T>>* __restrict__ parts, T* __restrict__ out,
    int64 rows, int cols, const Two<Compute<T>>* __restrict__ counts, int count,
    int mean, Choices choices, uint64* error, int op) {
    using C = Compute<T>;
    using Part = RowPart<T, THREADS, EACH>;
    __shared__ C maxima[THREADS / 32 + 1], sums[THREADS / 32 + 1], smooths[THREADS / 32 + 1];
    __shared__ Two<C> found[ROWS];
    const int64 row = static_cast<int64>(blockIdx.x) * ROWS + threadIdx.y;
    const bool there = row < rows;  // rows beyond the last take part in the shuffles, with no columns
    const int64 start = there ? row * cols : 0;
    const typename Part::Span span(x + start, there ? cols : 0);
    Part part;
    part.load(x + start, span, -infinity<C>());
    const auto target = there ? target_of<C>(targets[row], weight, cols, choices) : Target<C>{0, false, C(0)};
    const C score = there ? widen(x[start + target.at]) : C(0);
    if (there && threadIdx.x == 0) check_target(targets[row], cols, choices, error, op);
    Two<C> whole = counted(counts, count);

    C top = -infinity<C>();
    part.each([&](C& v) { top = Top::combine(top, v); });
    top = row_reduce<Top, THREADS>(top, maxima);
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
    const C log_total = logarithm(total), last = reciprocal(total);
    C smooth = 0;
    if constexpr (SMOOTH) {
        part.at_columns(span, [&](C& v, int c) {
            smooth += (log_total - v) * (weight == nullptr ? C(1) : C(widen(weight[c])));
        });
        smooth = row_reduce<Sum, THREADS>(smooth, smooths);
    }
    const auto mine = loss_of(target, log_total - (score - top), smooth, choices);
    if (losses == nullptr) {
        const auto sum = sum_rows<ROWS>(mine, found);
        if (out != nullptr) whole.weight = sum.weight;
        if (threadIdx.x == 0 && threadIdx.y == 0) {
            if (out != nullptr) *out = narrow<T>(mean ? sum.loss / sum.weight : sum.loss);
            else parts[blockIdx.x] = sum;
        }
    } else if (there && threadIdx.x == 0) {
        losses[row] = narrow<T>(mine.loss);
    }
    if (dx == nullptr) return;

    const Slopes<C> slopes(target, mean ? whole.weight : C(1), whole.loss, choices);
    if constexpr (SMOOTH) part.at_columns(span, [&](C& v, int c) { v = slopes.at(exponential(v) * last, weight, c); });
    else part.each([&](C& v) { v *= last * slopes.all; });
    part.at_column(span, target.kept ? static_cast<int>(target.at) : -1, [&](C& v) { v -= slopes.hard; });
    part.store(dx + start, span);
}

template <class T, class P>
__global__ void __launch_bounds__(kLongThreads, 1) cross_entropy_long(
    const T* __restrict__ x, const int64* __restrict__ targets, const P* __restrict__ weight,
    Gradient<T>* __restrict__ dx, T* __restrict__ losses, Two<Compute<T>>* __restrict__ parts, int64 cols,
    const Two<Compute<T>>* __restrict__ counts, int count,
    int mean, Choices choices, uint64* error, int op) {
    using C = Compute<T>;
    __shared__ C maxima[kLongThreads / 32], sums[kLongThreads / 32], smooths[kLongThreads / 32];
    x += blockIdx.x * cols;
    if (dx != nullptr) dx += blockIdx.x * cols;
    const auto target = target_of<C>(targets[blockIdx.x], weight, cols, choices);
    const C score = widen(x[target.at]);
    const auto whole = counted(counts, count);
    ScaledSum<C> mine;
    walk_row<kLongThreads>(cols, [&](int64 at, auto width) {
        const auto in = load_pack<width.value>(x + at);
#pragma unroll
        for (int i = 0; i < width.value; ++i) mine.add(widen(in.item[i]));
    }, x);
    const C top = block_reduce<Top, kLongThreads>(mine.top, maxima);
    const C total = block_reduce<Sum, kLongThreads>(mine.share(top), sums);
    const C log_total = logarithm(total), last = reciprocal(total);
    const Slopes<C> slopes(target, mean ? whole.weight : C(1), whole.loss, choices);
    const int64 hit = target.kept ? target.at : -1;
    C smooth = 0;
    const bool again = dx != nullptr || choices.smoothing != 0;
    walk_row<kLongThreads>(again ? cols : 0, [&](int64 at, auto width) {
        const auto in = load_pack<width.value>(x + at);
        Pack<Gradient<T>, width.value> made;
#pragma unroll
        for (int i = 0; i < width.value; ++i) {
            const C v = widen(in.item[i]) - top;
            if (choices.smoothing != 0)
                smooth += (log_total - v) * (weight == nullptr ? C(1) : C(widen(weight[at + i])));
            made.item[i] = narrow<Gradient<T>>(slopes.at(exponential(v) * last, weight, at + i) - (at + i == hit ? slopes.hard : C(0)));
        }
        if (dx != nullptr) store_pack<width.value>(dx + at, made);
    }, x, dx);
    if (choices.smoothing != 0) smooth = block_reduce<Sum, kLongThreads>(smooth, smooths);
    if (threadIdx.x != 0) return;
    check_target(targets[blockIdx.x], cols, choices, error, op);
    const auto loss = loss_of(target, log_total - (score - top), smooth, choices);
    if (losses != nullptr) losses[blockIdx.x] = narrow<T>(loss.loss);
    else parts[blockIdx.x] = loss;
}

template <class T, class P>
__global__ void __launch_bounds__(kColumnThreads, 1) cross_entropy_columns(
    const T* __restrict__ x, const int64* __restrict__ targets, const P* __restrict__ weight,
    Gradient<T>* __restrict__ dx, T* __restrict__ losses, Two<Compute<T>>* __restrict__ parts, unsigned columns,
    int64 cols, unsigned inner, const Two<Compute<T>>* __restrict__ counts, int count,
    int mean, Choices choices, uint64* error, int op) {
    using C = Compute<T>;
    __shared__ C scratch[kColumnThreads];
    const unsigned column = blockIdx.x * blockDim.x + threadIdx.x;
    const bool there = column < columns;  // columns beyond the last take part in the barriers, with no elements
    const int64 start = there ? column_start(column, cols, inner) : 0, mine = there ? cols : 0;
    const auto target = there ? target_of<C>(targets[column], weight, cols, choices) : Target<C>{0, false, C(0)};
    const auto whole = counted(counts, count);
    ScaledSum<C> sum;
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < mine; k += blockDim.y) sum.add(widen(x[start + k * inner]));
    const C top = column_reduce<Top>(sum.top, scratch);
    const C total = column_reduce<Sum>(sum.share(top), scratch);
    const C log_total = logarithm(total), last = reciprocal(total);
    const Slopes<C> slopes(target, mean ? whole.weight : C(1), whole.loss, choices);
    const int64 hit = target.kept ? target.at : -1;
    C smooth = 0;
    const int64 again = dx != nullptr || choices.smoothing != 0 ? mine : 0;
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 k = threadIdx.y; k < again; k += blockDim.y) {
        const C v = widen(x[start + k * inner]) - top;
        if (choices.smoothing != 0) smooth += (log_total - v) * (weight == nullptr ? C(1) : C(widen(weight[k])));
        if (dx != nullptr) dx[start + k * inner] = narrow<Gradient<T>>(slopes.at(exponential(v) * last, weight, k) - (k == hit ? slopes.hard : C(0)));
    }
    smooth = column_reduce<Sum>(smooth, scratch);
    Two<C> loss{C(0), C(0)};
    if (threadIdx.y == 0 && there) {
        check_target(targets[column], cols, choices, error, op);
        const C shifted = C(widen(x[start + target.at * inner])) - top;
        loss = loss_of(target, log_total - shifted, smooth, choices);
        if (losses != nullptr) losses[column] = narrow<T>(loss.loss);
    }
    if (parts != nullptr) sum_line(loss, parts);
}

// The losses' sum, divided by that of the weights for the MEAN.
template <class T, bool MEAN>
__global__ void __launch_bounds__(kLongThreads)
add_up(const Two<Compute<T>>* __restrict__ parts, int64 count, T* __restrict__ out) {
    using C = Compute<T>;
    __shared__ C losses[kLongThreads / 32], weights[kLongThreads / 32];
    Two<C> mine{C(0), C(0)};
    for (int64 i = threadIdx.x; i < count; i += kLongThreads)
        mine = {mine.loss + parts[i].loss, mine.weight + parts[i].weight};
    const C loss = block_reduce<Sum, kLongThreads>(mine.loss, losses);
    const C weight = block_reduce<Sum, kLongThreads>(mine.weight, weights);
    if (threadIdx.x == 0) out[0] = narrow<T>(MEAN ? loss / weight : loss);
}

// ---- Negative log-likelihood -----------------------------------------------------------------------------------------

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

// `dx` is zero; dy is one number unless `each` target has its own.
template <class T, class P>
__global__ void __launch_bounds__(kTargetThreads)
nll_backward(const T* __restrict__ dy, const int64* __restrict__ targets, const P* __restrict__ weight, T* __restrict__ dx,
             unsigned columns, int64 cols, unsigned inner, const Two<Compute<T>>* __restrict__ counts, int count, int each,
             int mean, Choices choices) {
    using C = Compute<T>;
    const C over = mean ? counted(counts, count).weight : C(1);
#pragma unroll 1
    GPUGRAD_GRID_LOOP(column, columns) {
        const auto target = target_of<C>(targets[column], weight, cols, choices);
        const C slope = -widen(dy[each ? column : 0]) / over * target.weight;
        if (target.kept) dx[column_start(static_cast<unsigned>(column), cols, inner) + target.at * inner] = narrow<T>(slope);
    }
}

}  // namespace gpugrad
