// The few largest, or smallest, elements of rows, in order.
//
//   top_few   order[r, 0..k) = where the k largest keys of row r lie; of equal ones the first comes first
//
// THREADS threads hold a part of a row in registers, EACH elements a thread, and know the best of their own. k times they find
// the best of all, and whoever has it finds its next. Rows of more parts leave the k best of each, keys and places, to a
// second pass over these: there equal keys lie in the order of their places, too.
//
// Layout: x (rows, n) contiguous, and `at` like it (which place each came from, kNoIndex for none) or null. `order` (rows, k)
// or, of several parts, `keys` and `places` (rows, parts * k).
// Numerics: none; see keys.cuh. For the smallest all bits of the keys are turned.
// Geometry: grid (rows / ROWS, parts); a warp to a part, and ROWS of them to a block, where a warp is enough.
// Bytes moved: x once. Some 200 instructions for each of the k, to a warp: a sort of 1024 elements has as many as for 150.
#include "keys.cuh"

namespace gpugrad {

template <class Key> struct Ranked {
    Key key;
    int place;  // in the row
};

// Whether `a` comes before `b`; nothing comes before an element, wherever it lies.
template <class Key> __device__ __forceinline__ bool before(const Ranked<Key>& a, const Ranked<Key>& b) {
    if (b.place == kNoIndex) return a.place != kNoIndex;
    return a.place != kNoIndex && (a.key > b.key || (a.key == b.key && a.place < b.place));
}

// The first of all threads along x, which all of the block call and all have. `scratch` holds one for each warp.
template <int THREADS, class Key> __device__ __forceinline__ Ranked<Key> first_of_all(Ranked<Key> best, Ranked<Key>* scratch) {
#pragma unroll
    for (int by = 16; by > 0; by /= 2) {
        const Ranked<Key> other{__shfl_xor_sync(kAllLanes, best.key, by), __shfl_xor_sync(kAllLanes, best.place, by)};
        if (before(other, best)) best = other;
    }
    if (THREADS == 32) return best;
    __syncthreads();  // what was there has been read
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = best;
    __syncthreads();
    best = scratch[0];
#pragma unroll
    for (int w = 1; w < THREADS / 32; ++w)
        if (before(scratch[w], best)) best = scratch[w];
    return best;
}

template <class T, int THREADS, int EACH, int ROWS>
__global__ void __launch_bounds__(THREADS* ROWS, 1) top_few(
    int64 rows, int n, int k, bool smallest, const T* __restrict__ x, const int* __restrict__ at,
    int64* __restrict__ order, KeyOf<T>* __restrict__ keys, int* __restrict__ places) {
    using Key = KeyOf<T>;
    __shared__ Ranked<Key> scratch[THREADS / 32];
    const int64 row = static_cast<int64>(blockIdx.x) * ROWS + threadIdx.y;
    const bool there = row < rows;  // what is beyond the last row takes part in the shuffles, with no elements
    const int start = static_cast<int>(blockIdx.y) * (THREADS * EACH) + static_cast<int>(threadIdx.x);
    const int64 out = (row * gridDim.y + blockIdx.y) * k;
    if (there) x += row * n;
    if (there && at != nullptr) at += row * n;
    Key key[EACH];
    unsigned left = 0;  // a bit for each element that has not been chosen
#pragma unroll
    for (int e = 0; e < EACH; ++e) {
        const int place = start + e * THREADS;
        if (!there || place >= n || (at != nullptr && at[place] == kNoIndex)) continue;
        key[e] = smallest ? ~key_of(x[place]) : key_of(x[place]);
        left |= 1u << e;
    }
    const auto best_left = [&] {
        Ranked<Key> best{Key(0), kNoIndex};
#pragma unroll
        for (int e = 0; e < EACH; ++e)
            if (left >> e & 1u && (best.place == kNoIndex || key[e] > best.key)) best = {key[e], start + e * THREADS};
        return best;
    };
    Ranked<Key> best = best_left();
#pragma unroll 1
    for (int i = 0; i < k; ++i) {
        const Ranked<Key> top = first_of_all<THREADS>(best, scratch);
        const bool none = top.place == kNoIndex;
        if (there && (none ? threadIdx.x == 0 : top.place == best.place)) {
            const int place = none || at == nullptr ? top.place : at[top.place];
            if (order != nullptr) {
                order[out + i] = place;
            } else {
                keys[out + i] = top.key;
                places[out + i] = place;
            }
        }
        if (!none && top.place == best.place) {
            left &= ~(1u << (top.place - start) / THREADS);
            best = best_left();
        }
    }
}

}  // namespace gpugrad
