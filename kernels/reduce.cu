// Reductions over any dimensions: out[o] = finish(combine of lift(x[o, r]) over all r). What is combined: combine.cuh.
//
// Layout: an array of any strides. `kept` are the dimensions of the result, in its order; the reduced ones are a `run`,
// the one whose elements lie closest together, and `segments`, all others. Results are contiguous. Arithmetic is in
// the combiner's type: float32 for float16 and bfloat16, int64 for sums of integers and bools.
//
// reduce_rows      for runs of neighbours. Blocks are (threads a row, rows), 256 in all, each row a power of two;
//                  within a row `lanes` threads take a run together, 16 bytes a load and four loads in flight from the
//                  run's first 16-byte boundary on, and the threads' states are combined by halves.
// reduce_columns   for results that are neighbours. Blocks are (columns, threads a column), at most 256 in all; the
//                  threads of a column take every blockDim.y-th element, eight loads in flight (four of 8 bytes).
// reduce_parts     finishes what was reduced in parts: where results are few, blockIdx.y counts parts of `share`
//                  elements whose states go to `parts`, (results, parts). No atomics: the same input, the same bits.
//
// Bytes moved: x once; the states of the parts, at most some thousand, twice.
// Measured on an H200, in parts of a copy's rate: sums of 1 GiB 1.02 to 1.05 (of 256 MiB 0.93: a twentieth of the time
// is the second launch's).
#include "combine.cuh"
#include "strides.cuh"

namespace gpugrad {

constexpr int kReduceThreads = 256;

// Blocks to a multiprocessor at a time: the launcher makes four of each to share few results, and they are to start together.
template <class T, class State> constexpr int kReduceBlocks = sizeof(State) <= 4 && sizeof(T) >= 2 ? 4 : 2;

struct Reduction {
    int64 results, elements;  // `elements` to each result
    int64 share;              // elements to a part
    int64 lanes;              // threads that take a run together
    int64 run, run_stride;    // the innermost of the reduced dimensions; the others are `segments`
    Walk<1> kept, segments;
};

// ---- One thread's elements ------------------------------------------------------------------------------------------

template <class T> constexpr int kLoads = sizeof(T) < 8 ? 8 : 4;  // of one element, in flight at a time
template <class T> constexpr int kPackLoads = sizeof(T) > 1 ? 4 : 2;  // of 16 bytes: more single bytes would spill

// `count` elements, each `jump` from the one before; the first has the index `first`, the next first + step.
template <class R, class T>
__device__ __forceinline__ void take(
    const R& r, StateOf<R>& state, const T* x, int64 count, int64 jump, int64 first, int64 step) {
    constexpr int L = kLoads<T>;
    for (; count >= L; count -= L, x += L * jump, first += L * step) {
        Compute<T> value[L];
#pragma unroll
        for (int k = 0; k < L; ++k) value[k] = widen(x[k * jump]);
#pragma unroll
        for (int k = 0; k < L; ++k) r.add(state, value[k], first + k * step);
    }
    for (; count > 0; --count, x += jump, first += step) r.add(state, static_cast<Compute<T>>(widen(*x)), first);
}

// How many of begin + thread, begin + thread + threads, ... lie below end.
__device__ __forceinline__ int64 shared_among(int64 begin, int64 end, int thread, int threads) {
    const int64 left = end - begin - thread;
    return left > 0 ? divide(left + threads - 1, threads) : 0;
}

template <class R, class T, int W>
__device__ __forceinline__ void add_pack(const R& r, StateOf<R>& state, const Pack<T, W>& pack, int64 first) {
#pragma unroll
    for (int w = 0; w < W; ++w) r.add(state, static_cast<Compute<T>>(widen(pack.item[w])), first + w);
}

// Thread `lane` of `lanes` that take the neighbours x[0] to x[count - 1] 16 bytes at a time.
template <class R, class T>
__device__ __forceinline__ void take_neighbours(
    const R& r, StateOf<R>& state, const T* x, int64 count, int lane, int lanes, int64 first) {
    constexpr int W = kPack<T>;
    const int head = static_cast<int>(min(static_cast<int64>(elements_to_boundary(x)), count));
    for (int i = lane; i < head; i += lanes) r.add(state, static_cast<Compute<T>>(widen(x[i])), first + i);
    x += head;
    count -= head;
    first += head;
    const int tail = static_cast<int>(count % W);
    for (int i = lane; i < tail; i += lanes)
        r.add(state, static_cast<Compute<T>>(widen(x[count - tail + i])), first + count - tail + i);
    const int64 jump = static_cast<int64>(lanes) * W;
    int64 i = static_cast<int64>(lane) * W;
    count -= tail;
    for (; i + (kPackLoads<T> - 1) * jump < count; i += kPackLoads<T> * jump) {
        Pack<T> pack[kPackLoads<T>];
#pragma unroll
        for (int k = 0; k < kPackLoads<T>; ++k) pack[k] = load_pack<W>(x + i + k * jump);
#pragma unroll
        for (int k = 0; k < kPackLoads<T>; ++k) add_pack(r, state, pack[k], first + i + k * jump);
    }
    for (; i < count; i += jump) add_pack(r, state, load_pack<W>(x + i), first + i);
}

// Elements begin to end of one result: segment by segment, a group of `lanes` threads to each.
template <bool NEIGHBOURS, class R, class T>
__device__ __forceinline__ StateOf<R> take_row(const R& r, const T* x, int64 begin, int64 end, const Reduction& of) {
    StateOf<R> state = r.identity();
    const int t = static_cast<int>(threadIdx.x), lanes = static_cast<int>(of.lanes);
    const int lane = t & (lanes - 1), groups = static_cast<int>(blockDim.x) / lanes;
    if (begin >= end) return state;
    const int64 last = divide(end - 1, of.run);
    for (int64 s = divide(begin, of.run) + t / lanes; s <= last; s += groups) {
        const int64 first = s * of.run, from = max(begin - first, 0ll), to = min(end - first, of.run);
        const T* run = x + offset(s, of.segments) + from * of.run_stride;
        if constexpr (NEIGHBOURS) {
            take_neighbours(r, state, run, to - from, lane, lanes, first + from);
        } else {
            const int64 count = shared_among(from, to, lane, lanes);
            take(r, state, run + lane * of.run_stride, count, lanes * of.run_stride, first + from + lane, lanes);
        }
    }
    return state;
}

// Elements begin to end of one result, by all threads of its column.
template <bool SEGMENTS, class R, class T>
__device__ __forceinline__ StateOf<R> take_column(const R& r, const T* x, int64 begin, int64 end, const Reduction& of) {
    StateOf<R> state = r.identity();
    const int thread = static_cast<int>(threadIdx.y), threads = static_cast<int>(blockDim.y);
    if constexpr (!SEGMENTS) {
        const int64 count = shared_among(begin, end, thread, threads), first = begin + thread;
        take(r, state, x + first * of.run_stride, count, threads * of.run_stride, first, threads);
    } else {
#pragma unroll 4
        for (int64 i = begin + thread; i < end; i += threads) {
            const int64 s = divide(i, of.run), at = offset(s, of.segments) + (i - s * of.run) * of.run_stride;
            r.add(state, static_cast<Compute<T>>(widen(x[at])), i);
        }
    }
    return state;
}

// ---- Results --------------------------------------------------------------------------------------------------------

// Over the blockDim.x threads of a row; thread 0 of each has the result. `scratch` holds one state for each warp.
template <class R>
__device__ __forceinline__ StateOf<R> combine_row(const R& r, StateOf<R> state, StateOf<R>* scratch) {
    const int threads = static_cast<int>(blockDim.x);
    for (int by = min(threads, 32) / 2; by > 0; by /= 2)
        state = r.combine(state, lanewise(state, [=](auto member) { return __shfl_xor_sync(kAllLanes, member, by); }));
    if (threads <= 32) return state;
    const int thread = static_cast<int>(threadIdx.y) * threads + static_cast<int>(threadIdx.x);
    const int warp = thread / 32, warps = threads / 32;
    __syncthreads();  // the row before has been read
    if (threadIdx.x % 32 == 0) scratch[warp] = state;
    __syncthreads();
    if (threadIdx.x == 0)
        for (int w = 1; w < warps; ++w) state = r.combine(state, scratch[warp + w]);
    return state;
}

template <class R, class Out>
__device__ __forceinline__ void put(const R& r, StateOf<R> state, int64 o, Out* out, StateOf<R>* parts) {
    if (parts != nullptr) parts[o * gridDim.y + blockIdx.y] = state;
    else out[o] = narrow<Out>(r.template finish<Compute<Out>>(state));
}

template <class R, class T, class Out, bool NEIGHBOURS>
__global__ void __launch_bounds__(kReduceThreads, kReduceBlocks<T, StateOf<R>>)
reduce_rows(const T* __restrict__ x, Out* __restrict__ out, StateOf<R>* __restrict__ parts, Reduction of,
            double number) {
    __shared__ StateOf<R> scratch[kReduceThreads / 32];
    const R r{static_cast<decltype(R::number)>(number)};
    const int64 begin = blockIdx.y * of.share, end = min(begin + of.share, of.elements);
    for (int64 top = first_of_block(); top < of.results; top += next_block()) {
        const int64 o = top + threadIdx.y;
        auto state = r.identity();
        if (o < of.results) state = take_row<NEIGHBOURS>(r, x + offset(o, of.kept), begin, end, of);
        state = combine_row(r, state, scratch);
        if (threadIdx.x == 0 && o < of.results) put(r, state, o, out, parts);
    }
}

template <class R, class T, class Out, bool SEGMENTS>
__global__ void __launch_bounds__(kReduceThreads, kReduceBlocks<T, StateOf<R>>)
reduce_columns(const T* __restrict__ x, Out* __restrict__ out, StateOf<R>* __restrict__ parts, Reduction of,
               double number) {
    __shared__ StateOf<R> scratch[kReduceThreads];
    const R r{static_cast<decltype(R::number)>(number)};
    const int columns = static_cast<int>(blockDim.x), each = static_cast<int>(blockDim.y);
    const int64 begin = blockIdx.y * of.share, end = min(begin + of.share, of.elements);
    StateOf<R>* const mine = scratch + threadIdx.y * columns + threadIdx.x;
    const int64 all_columns = static_cast<int64>(gridDim.x) * columns;
    for (int64 left = static_cast<int64>(blockIdx.x) * columns; left < of.results; left += all_columns) {
        const int64 o = left + threadIdx.x;
        auto state = r.identity();
        if (o < of.results) state = take_column<SEGMENTS>(r, x + offset(o, of.kept), begin, end, of);
        __syncthreads();  // the columns before have been read
        *mine = state;
        for (int by = each / 2; by > 0; by /= 2) {
            __syncthreads();
            if (static_cast<int>(threadIdx.y) < by) *mine = r.combine(*mine, mine[by * columns]);
        }
        if (threadIdx.y == 0 && o < of.results) put(r, *mine, o, out, parts);
    }
}

// A row of `blockDim.x` threads to each result.
template <class R, class T, class Out>
__global__ void __launch_bounds__(kReduceThreads, 2)
reduce_parts(const StateOf<R>* __restrict__ parts, Out* __restrict__ out, int64 results, int64 count, double number) {
    __shared__ StateOf<R> scratch[kReduceThreads / 32];
    const R r{static_cast<decltype(R::number)>(number)};
    for (int64 top = first_of_block(); top < results; top += next_block()) {
        const int64 o = top + threadIdx.y;
        auto state = r.identity();
        if (o < results)
            for (int64 p = threadIdx.x; p < count; p += blockDim.x) state = r.combine(state, parts[o * count + p]);
        state = combine_row(r, state, scratch);
        if (threadIdx.x == 0 && o < results) out[o] = narrow<Out>(r.template finish<Compute<Out>>(state));
    }
}

}  // namespace gpugrad
