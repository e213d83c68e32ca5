// Running sums, products, extremes and logarithms of sums of exponentials along a dimension:
//
//   out[i] = finish(combine of lift(x[0]), ..., lift(x[i]))        what is combined: combine.cuh
//
// Layout: an array of any strides, as lines along the dimension; results are contiguous, in the order of the array.
// Sums and products are formed in float64 for float32, in float32 for float16 and bfloat16, in int64 for integers.
// Reversed, a line begins at its end.
//
// scan_lines    blocks of (threads a line, lines), 256 in all, a warp or the block to a line; a pass takes kItems
//               neighbours a thread: scanned by the thread, over the warp by shuffles, over the block's warps.
//               Neighbours that lie on their boundary (`packed`) are loaded and stored as one. Few long lines are
//               done in parts, blockIdx.y: totals of the parts first (`totals` is given, nothing else is written), then
//               scan_starts, then the parts again, each from its start. No atomics: the same input gives the same bits.
// scan_columns  a thread to a line, for lines that lie side by side or are short.
// shift_along   elements moved along a dimension, with a number in the places that become free.
//
// Bytes moved: x and the result once; x twice in parts.
#include "combine.cuh"
#include "strides.cuh"

namespace gpugrad {

constexpr int kScanThreads = 256, kItems = 4;

struct Lines {
    int64 count, length;
    int64 share;              // elements to a part
    int64 step, result_step;  // from one element of a line to the next
    int64 reverse, packed;
    Walk<1> from, to;  // where lines begin, in x and in the result

    __device__ __forceinline__ int64 place(int64 i) const { return reverse ? length - 1 - i : i; }
};

template <class R> __device__ __forceinline__ StateOf<R> lane_below(StateOf<R> state, int by) {
    return lanewise(state, [=](auto member) { return __shfl_up_sync(kAllLanes, member, static_cast<unsigned>(by)); });
}

// The items of a line's threads, in order, become what `carry` and all up to each one combine to; `carry` goes on.
// `scratch` holds a state for each warp of the block; all threads of the block take part.
template <class R>
__device__ __forceinline__ void scan_tile(
    const R& r, StateOf<R> (&item)[kItems], StateOf<R>& carry, StateOf<R>* scratch) {
    using State = StateOf<R>;
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int k = 1; k < kItems; ++k) item[k] = r.combine(item[k - 1], item[k]);
    State through = item[kItems - 1];  // all of the warp up to this thread
#pragma unroll
    for (int by = 1; by < 32; by *= 2) {
        const State below = lane_below<R>(through, by);
        if (lane >= by) through = r.combine(below, through);
    }
    const State total = lanewise(through, [](auto member) { return __shfl_sync(kAllLanes, member, 31); });
    const State below = lane_below<R>(through, 1);
    State before = carry;
    if (blockDim.x == 32) {
        carry = r.combine(carry, total);
    } else {
        const int warp = static_cast<int>(threadIdx.x) / 32, warps = static_cast<int>(blockDim.x) / 32;
        __syncthreads();  // the tile before has been read
        if (lane == 0) scratch[warp] = total;
        __syncthreads();
        for (int w = 0; w < warps; ++w) {
            carry = r.combine(carry, scratch[w]);
            if (w + 1 == warp) before = carry;
        }
    }
    if (lane > 0) before = r.combine(before, below);
#pragma unroll
    for (int k = 0; k < kItems; ++k) item[k] = r.combine(before, item[k]);
}

template <class R, class T>
__device__ __forceinline__ void load_items(
    const R& r, StateOf<R> (&item)[kItems], const T* line, int64 first, int64 end, const Lines& of) {
    Compute<T> value[kItems];
    if (of.packed && first < end) {
        const auto pack = load_pack<kItems>(line + (of.reverse ? of.length - kItems - first : first));
#pragma unroll
        for (int k = 0; k < kItems; ++k) value[k] = widen(of.reverse ? pack.item[kItems - 1 - k] : pack.item[k]);
    } else {
#pragma unroll
        for (int k = 0; k < kItems; ++k)
            value[k] = first + k < end ? widen(line[of.place(first + k) * of.step]) : Compute<T>(0);
    }
#pragma unroll
    for (int k = 0; k < kItems; ++k) item[k] = first + k < end ? r.lift(value[k], first + k) : r.identity();
}

template <class R, class Out>
__device__ __forceinline__ void store_items(
    const R& r, const StateOf<R> (&item)[kItems], Out* line, int64 first, int64 end, const Lines& of) {
    Pack<Out, kItems> pack;
#pragma unroll
    for (int k = 0; k < kItems; ++k) pack.item[k] = narrow<Out>(r.template finish<Compute<Out>>(item[k]));
    if (of.packed) {
        if (first >= end) return;
        Pack<Out, kItems> ordered;
#pragma unroll
        for (int k = 0; k < kItems; ++k) ordered.item[k] = of.reverse ? pack.item[kItems - 1 - k] : pack.item[k];
        store_pack<kItems>(line + (of.reverse ? of.length - kItems - first : first), ordered);
    } else {
#pragma unroll
        for (int k = 0; k < kItems; ++k)
            if (first + k < end) line[of.place(first + k) * of.result_step] = pack.item[k];
    }
}

template <class R, class T, class Out>
__global__ void __launch_bounds__(kScanThreads, 2)
scan_lines(const T* __restrict__ x, Out* __restrict__ out, const StateOf<R>* __restrict__ starts,
           StateOf<R>* __restrict__ totals, Lines of) {
    using State = StateOf<R>;
    __shared__ State scratch[kScanThreads / 32];
    const R r{};
    const int64 begin = blockIdx.y * of.share, end = min(begin + of.share, of.length);
    for (int64 top = first_of_block(); top < of.count; top += next_block()) {
        const int64 line = top + threadIdx.y;
        const bool there = line < of.count;  // threads without a line take part in shuffles and barriers
        const T* source = x + (there ? offset(line, of.from) : 0);
        Out* target = out + (there ? offset(line, of.to) : 0);
        State carry = there && starts != nullptr ? starts[line * gridDim.y + blockIdx.y] : r.identity();
        for (int64 tile = begin; tile < end; tile += static_cast<int64>(blockDim.x) * kItems) {
            const int64 first = tile + threadIdx.x * kItems, last = there ? end : 0;
            State item[kItems];
            load_items(r, item, source, first, last, of);
            scan_tile(r, item, carry, scratch);
            if (totals == nullptr) store_items(r, item, target, first, last, of);
        }
        if (totals != nullptr && there && threadIdx.x == 0) totals[line * gridDim.y + blockIdx.y] = carry;
    }
}

// Where each part starts: what the parts before it combine to. A block of 256 threads to a line.
template <class R>
__global__ void __launch_bounds__(kScanThreads, 2)
scan_starts(const StateOf<R>* __restrict__ totals, StateOf<R>* __restrict__ starts, int64 parts) {
    using State = StateOf<R>;
    __shared__ State scratch[kScanThreads / 32];
    const R r{};
    totals += blockIdx.x * parts;
    starts += blockIdx.x * parts;
    State carry = r.identity();
    if (threadIdx.x == 0) starts[0] = carry;
    for (int64 tile = 0; tile < parts - 1; tile += kScanThreads * kItems) {
        const int64 first = tile + threadIdx.x * kItems;
        State item[kItems];
#pragma unroll
        for (int k = 0; k < kItems; ++k) item[k] = first + k < parts - 1 ? totals[first + k] : r.identity();
        scan_tile(r, item, carry, scratch);
#pragma unroll
        for (int k = 0; k < kItems; ++k)
            if (first + k < parts - 1) starts[first + k + 1] = item[k];
    }
}

template <class R, class T, class Out>
__global__ void __launch_bounds__(kScanThreads, 2)
scan_columns(const T* __restrict__ x, Out* __restrict__ out, Lines of) {
    constexpr int kAhead = 4;  // loads in flight
    const R r{};
    GPUGRAD_GRID_LOOP(line, of.count) {
        const T* source = x + offset(line, of.from) + of.place(0) * of.step;
        Out* target = out + offset(line, of.to) + of.place(0) * of.result_step;
        const int64 step = of.reverse ? -of.step : of.step, result_step = of.reverse ? -of.result_step : of.result_step;
        StateOf<R> state = r.identity();
        for (int64 i = 0; i < of.length; i += kAhead) {
            Compute<T> value[kAhead];
#pragma unroll
            for (int k = 0; k < kAhead; ++k)
                value[k] = i + k < of.length ? widen(source[(i + k) * step]) : Compute<T>(0);
#pragma unroll
            for (int k = 0; k < kAhead; ++k) {
                if (i + k >= of.length) break;
                state = r.combine(state, r.lift(value[k], i + k));
                target[(i + k) * result_step] = narrow<Out>(r.template finish<Compute<Out>>(state));
            }
        }
    }
}

// x is contiguous: `length` places along the dimension, each of `inner` elements. `Index` counts all elements.
template <class T, class Index>
__global__ void __launch_bounds__(kScanThreads)
shift_along(const T* __restrict__ x, T* __restrict__ out, int64 n, int64 length, int64 inner, int64 by, double fill) {
    const T free = narrow<T>(static_cast<Compute<T>>(fill));
    const int64 shift = by * inner;
    GPUGRAD_GRID_LOOP(i, n) {
        const Index line = static_cast<Index>(i) / static_cast<Index>(inner);
        const int64 from = static_cast<int64>(line % static_cast<Index>(length)) - by;
        out[i] = from >= 0 && from < length ? x[i - shift] : free;
    }
}

}  // namespace gpugrad
