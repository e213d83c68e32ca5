// Reading and writing by index: rows of a table, places along several dimensions, an index for every element.
//
//   read_places    out[o, j, c] = x[o, index[j], c]           (embedding, index_select, take, x[i])
//   write_places   x[o, index[j], c] = value[o, j, c]         (index_copy, index_fill, x[i] = v)
//   add_places     x[o, index[j], c] += value[o, j, c]        (index_add, the adjoint of reading): atomic
//   settle_places  the last two with the indices sorted: whoever finds the first of equal ones takes them all, in order,
//                  so that every run gives the same bits. Sums are formed in Compute<T> and rounded once.
//   gather_along   out[i][j] = x[index[i][j]][j]              (gather, and what max, sort, ... pick)
//   scatter_along  x[index[i][j]][j] = or += or *= src[i][j], or the larger or smaller of both: atomic
//   number_places, number_along, wrap_indices   indices as places: several dimensions made one, along one of many, checked
//
// `Places` says where in x an element lies: o and c are walked through the dimensions before and behind the indexed one,
// whatever their strides. Where c is contiguous, T is up to 16 bytes of neighbours at once. Values have the order of
// (o, j, c); `value_step` 0 is one value for all.
//
// Atomic sums need A of 4 or 8 bytes: the host gives float16 and bfloat16 a float32 array, small integers an int32 one.
//
// Bad indices: the first is reported in the error words, zeros are read in its place, nothing is written.
// Geometry: an element a thread and pass; blocks of 256, grid.x of a few blocks a multiprocessor.
// Bytes moved: indices once an inner row (from the caches but once), elements once in and once out; atomics read and write.
#include "strides.cuh"

namespace gpugrad {

constexpr int kIndexThreads = 256, kFlight = 4;

struct Places {
    int64 count, inner;     // of indices; of elements behind the indexed dimension
    int64 size, stride;     // of the indexed dimension
    int64 skip;             // an index that is left out
    int64 dims, outer_dims; // of the others; how many of these lie before
    int64 extent[kWalkDims], step[kWalkDims];
};

// Where an element of (o, j, c) comes from: its index's number, and its offset but for the index.
struct Spot {
    int64 j, offset;
};

template <class Index> __device__ __forceinline__ Spot spot(Index i, const Places& places) {
    const auto inner = static_cast<Index>(places.inner), count = static_cast<Index>(places.count);
    const Index line = i / inner;
    Index column = i - line * inner, outer = line / count;
    Spot found{line - outer * count, 0};
    // The first dimension behind the indexed one and the first before it are what is left of a division
    int d = static_cast<int>(places.dims) - 1;
    const int behind = static_cast<int>(places.outer_dims);
#pragma unroll 1
    for (; d > behind; --d) {
        const Index next = column / static_cast<Index>(places.extent[d]);
        found.offset += (column - next * static_cast<Index>(places.extent[d])) * places.step[d];
        column = next;
    }
    if (d == behind) found.offset += column * places.step[d--];
#pragma unroll 1
    for (; d > 0; --d) {
        const Index next = outer / static_cast<Index>(places.extent[d]);
        found.offset += (outer - next * static_cast<Index>(places.extent[d])) * places.step[d];
        outer = next;
    }
    if (d == 0) found.offset += outer * places.step[0];
    return found;
}

// Where an index points; -1 if it is left out or, which is reported, out of range.
__device__ __forceinline__ int64 target(int64 index, const Places& places, int64 offset, uint64* error, int op) {
    if (index == places.skip || !check_index(error, op, index, places.size)) return -1;
    return index * places.stride + offset;
}

template <class T, class I, class Index>
__global__ void __launch_bounds__(kIndexThreads)
read_places(int64 n, T* __restrict__ out, const T* __restrict__ x, const I* __restrict__ index, Places places,
            uint64* __restrict__ error, int op) {
    const int64 step = grid_stride();
    for (int64 first = global_thread(); first < n; first += kFlight * step) {
        T value[kFlight];
#pragma unroll
        for (int k = 0; k < kFlight; ++k) {
            if (first + k * step < n) {
                const Spot at = spot(static_cast<Index>(first + k * step), places);
                const int64 from = target(index[at.j], places, at.offset, error, op);
                value[k] = from >= 0 ? x[from] : T{};
            }
        }
#pragma unroll
        for (int k = 0; k < kFlight; ++k)
            if (first + k * step < n) out[first + k * step] = value[k];
    }
}

template <class T, class I, class Index>
__global__ void __launch_bounds__(kIndexThreads)
write_places(int64 n, T* __restrict__ x, const T* __restrict__ value, int64 value_step, const I* __restrict__ index,
             Places places, uint64* __restrict__ error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const Spot at = spot(static_cast<Index>(i), places);
        const int64 to = target(index[at.j], places, at.offset, error, op);
        if (to >= 0) x[to] = value[i * value_step];
    }
}

// ---- Atomics ---------------------------------------------------------------------------------------------------------

enum Combine : int { kWrite, kAdd, kMultiply, kLargest, kSmallest };

template <int BYTES> struct WordOf { using type = unsigned; };
template <> struct WordOf<8> { using type = uint64; };

template <int HOW, class A> __device__ __forceinline__ A combined(A old, A value) {
    using Word = typename WordOf<sizeof(A)>::type;
    if constexpr (HOW == kMultiply) {
        if constexpr (static_cast<A>(0.5f) != A(0)) return old * value;
        else return static_cast<A>(static_cast<Word>(old) * static_cast<Word>(value));  // wraps
    }
    if constexpr (HOW == kLargest) return value > old || value != value ? value : old;  // a NaN stays
    if constexpr (HOW == kSmallest) return value < old || value != value ? value : old;
    return value;
}

__device__ __forceinline__ void atomic_sum(float* at, float value) { atomicAdd(at, value); }
__device__ __forceinline__ void atomic_sum(double* at, double value) { atomicAdd(at, value); }
__device__ __forceinline__ void atomic_sum(int* at, int value) {
    atomicAdd(reinterpret_cast<unsigned*>(at), static_cast<unsigned>(value));
}
__device__ __forceinline__ void atomic_sum(int64* at, int64 value) {
    atomicAdd(reinterpret_cast<uint64*>(at), static_cast<uint64>(value));
}

template <int HOW, class A> __device__ __forceinline__ void atomic_combine(A* at, A value) {
    if constexpr (HOW == kAdd) {
        atomic_sum(at, value);
    } else {
        using Word = typename WordOf<sizeof(A)>::type;
        auto* word = reinterpret_cast<Word*>(at);
        Word seen = atomicCAS(word, Word(0), Word(0)), expected;
        do {
            expected = seen;
            A made = combined<HOW>(reinterpret_cast<A&>(expected), value);
            if (reinterpret_cast<Word&>(made) == expected) return;
            seen = atomicCAS(word, expected, reinterpret_cast<Word&>(made));
        } while (seen != expected);
    }
}

template <class A, class V, class I, class Index>
__global__ void __launch_bounds__(kIndexThreads)
add_places(int64 n, A* __restrict__ x, const V* __restrict__ value, int64 value_step, const I* __restrict__ index,
           Places places, uint64* __restrict__ error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const Spot at = spot(static_cast<Index>(i), places);
        const int64 to = target(index[at.j], places, at.offset, error, op);
        if (to >= 0) atomic_sum(x + to, static_cast<A>(widen(value[i * value_step])));
    }
}

// ---- In order --------------------------------------------------------------------------------------------------------

// `index` is sorted; `order` says at which place each of them stood before.
template <class T, bool ADD, class Index>
__global__ void __launch_bounds__(kIndexThreads)
settle_places(int64 n, T* __restrict__ x, const T* __restrict__ value, int64 value_step, const int64* __restrict__ index,
              const int64* __restrict__ order, Places places, uint64* __restrict__ error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const Spot at = spot(static_cast<Index>(i), places);
        const int64 mine = index[at.j];
        if (at.j > 0 && index[at.j - 1] == mine) continue;
        const int64 to = target(mine, places, at.offset, error, op);
        if (to < 0) continue;
        const T* values = value + (i - at.j * places.inner) * value_step;  // those of this o and c
        const int64 apart = places.inner * value_step;
        if constexpr (ADD) {
            auto total = widen(x[to]);
            for (int64 j = at.j; j < places.count && index[j] == mine; ++j) total += widen(values[order[j] * apart]);
            x[to] = narrow<T>(total);
        } else {
            int64 last = at.j;
            while (last + 1 < places.count && index[last + 1] == mine) ++last;
            x[to] = values[order[last] * apart];
        }
    }
}

// ---- An index for every element --------------------------------------------------------------------------------------

// `walk` goes over the indices: through `index`, and through x but for the dimension of `size` that is indexed.
template <class T, class I, class Index>
__global__ void __launch_bounds__(kIndexThreads)
gather_along(int64 n, T* __restrict__ out, const T* __restrict__ x, const I* __restrict__ index, Walk<2> walk, int64 size,
             int64 stride, uint64* __restrict__ error, int op) {
    const int64 step = grid_stride();
    for (int64 first = global_thread(); first < n; first += kFlight * step) {
        T value[kFlight];
#pragma unroll
        for (int k = 0; k < kFlight; ++k) {
            if (first + k * step < n) {
                const auto at = offsets(static_cast<Index>(first + k * step), walk);
                const int64 found = index[at.of[0]];
                value[k] = check_index(error, op, found, size) ? x[at.of[1] + found * stride] : T{};
            }
        }
#pragma unroll
        for (int k = 0; k < kFlight; ++k)
            if (first + k * step < n) out[first + k * step] = value[k];
    }
}

// `walk`: index, x, src. Without `src`, `value` is written.
template <int HOW, class A, class V, class I, class Index>
__global__ void __launch_bounds__(kIndexThreads)
scatter_along(int64 n, A* __restrict__ x, const V* __restrict__ src, V value, const I* __restrict__ index, Walk<3> walk,
              int64 size, int64 stride, uint64* __restrict__ error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const auto at = offsets(static_cast<Index>(i), walk);
        const int64 found = index[at.of[0]];
        if (!check_index(error, op, found, size)) continue;
        A* to = x + at.of[1] + found * stride;
        const V given = src ? src[at.of[2]] : value;
        if constexpr (HOW == kWrite) *to = given;
        else atomic_combine<HOW>(to, static_cast<A>(widen(given)));
    }
}

// ---- Indices as places -----------------------------------------------------------------------------------------------

// `index` (dims, count): the places along each dimension as one, -1 for what is out of range.
template <class I>
__global__ void __launch_bounds__(kIndexThreads)
number_places(int64 count, int64* __restrict__ out, const I* __restrict__ index, Walk<1> indexed,
              uint64* __restrict__ error, int op) {
    GPUGRAD_GRID_LOOP(j, count) {
        int64 place = 0;
        for (int d = 0; d < static_cast<int>(indexed.dims); ++d) {
            const int64 found = index[d * count + j];
            const bool good = check_index(error, op, found, indexed.size[d]);
            place = good && place >= 0 ? place + found * indexed.stride[0][d] : -1;
        }
        out[j] = place;
    }
}

// Where scatter_along would write, -1 for what is out of range.
template <class I, class Index>
__global__ void __launch_bounds__(kIndexThreads)
number_along(int64 n, int64* __restrict__ out, const I* __restrict__ index, Walk<2> walk, int64 size, int64 stride,
             uint64* __restrict__ error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const auto at = offsets(static_cast<Index>(i), walk);
        const int64 found = index[at.of[0]];
        out[i] = check_index(error, op, found, size) ? at.of[1] + found * stride : -1;
    }
}

// Indices from 0 on; negative ones count from the end. Bad ones become 0: a kernel that follows finds its way.
template <class I>
__global__ void __launch_bounds__(kIndexThreads)
wrap_indices(int64 n, int64* __restrict__ out, const I* __restrict__ index, int64 size,
             uint64* __restrict__ error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const int64 found = index[i], place = found < 0 ? found + size : found;
        if (place >= 0 && place < size) out[i] = place;
        else report_index(error, op, found, size), out[i] = 0;
    }
}

}  // namespace gpugrad
