// Sorting rows, and places in sorted rows.
//
//   sort_tiles   the order of each tile of a row: pairs of key and index through a bitonic network in shared memory
//   merge_runs   neighbouring sorted runs of a row made one, two and two (merge path: Odeh, Green, Mwassi, Shmueli and
//                Birk, "Merge Path - Parallel Merging Made Simple", 2012)
//   search_rows  how many elements of a sorted row lie below each value, or not above it
//   found_among  whether each value is one of a vector, which is sorted or short; a NaN is none
//
// Numerics: none. Keys (keys.cuh) have the order of the values; for descending order all bits are turned. Pairs are distinct, as indices are, so that a sort of them is stable; in a merge
// equal keys of the first run go first.
// Layout: x and `order` (rows, n) contiguous, n < 2^31 - 2^20. Between the passes, keys and 32-bit indices (rows, n).
// Geometry: sort_tiles gives each segment of `length` slots (a power of two, at most kSortTile, that holds the row if one
// can) its part of a block of up to 512 threads, two slots a thread; merge_runs makes kSortTile elements with a block of
// 256; search_rows and found_among a value with a thread.
// Bytes moved: for n <= kSortTile x once and the order once. Else also key and index, in and out, log2(n / kSortTile) times.
#include "keys.cuh"

namespace gpugrad {

constexpr int kSortTile = 1024, kMergeThreads = 256, kMergeEach = kSortTile / kMergeThreads, kSearchThreads = 256;

// ---- Tiles -----------------------------------------------------------------------------------------------------------

// Sort each `length` slots of the block, `key` and `index` in shared memory.
template <class Key> __device__ __forceinline__ void sort_slots(Key* key, int* index, int length) {
    for (int size = 2; size <= length; size *= 2) {
        for (int by = size / 2; by > 0; by /= 2) {
            __syncthreads();
            const int t = static_cast<int>(threadIdx.x);
            const int low = (t & ~(by - 1)) * 2 | (t & (by - 1)), high = low | by;
            const bool ascending = (low & (length - 1) & size) == 0;  // all of them in the last round
            const Key a = key[low], b = key[high];
            const int i = index[low], j = index[high];
            if ((a > b || (a == b && i > j)) == ascending) {
                key[low] = b, key[high] = a;
                index[low] = j, index[high] = i;
            }
        }
    }
    __syncthreads();
}

// `order` is written where a segment holds a whole row, else `keys` and `indices`.
template <class T>
__global__ void __launch_bounds__(kSortTile / 2)
sort_tiles(const T* __restrict__ x, int64* __restrict__ order, KeyOf<T>* __restrict__ keys, int* __restrict__ indices,
           int64 rows, int64 n, int length, bool descending) {
    __shared__ KeyOf<T> key[kSortTile];
    __shared__ int index[kSortTile];
    const int64 segments = (n + length - 1) / length;  // of a row
    const int slots = 2 * static_cast<int>(blockDim.x);
    const int64 first = static_cast<int64>(blockIdx.x) * (slots / length);
    int64 row[2], place[2];
#pragma unroll
    for (int k = 0; k < 2; ++k) {
        const int slot = static_cast<int>(threadIdx.x + k * blockDim.x);
        const int64 segment = first + slot / length;
        row[k] = segment / segments;
        place[k] = (segment - row[k] * segments) * length + slot % length;
        const bool there = row[k] < rows && place[k] < n;
        const KeyOf<T> found = there ? key_of(x[row[k] * n + place[k]]) : ~KeyOf<T>(0);
        key[slot] = there && descending ? ~found : found;
        index[slot] = there ? static_cast<int>(place[k]) : kNoIndex;
    }
    sort_slots(key, index, length);
#pragma unroll
    for (int k = 0; k < 2; ++k) {
        const int slot = static_cast<int>(threadIdx.x + k * blockDim.x);
        if (row[k] >= rows || place[k] >= n) continue;
        const int64 at = row[k] * n + place[k];
        if (segments == 1) {
            order[at] = index[slot];
        } else {
            keys[at] = key[slot];
            indices[at] = index[slot];
        }
    }
}

// ---- Runs ------------------------------------------------------------------------------------------------------------

// How many of the first `count` elements of the merged runs come from `a`.
template <class Key, class Size>
__device__ __forceinline__ Size taken_from_first(const Key* a, Size a_size, const Key* b, Size b_size, Size count) {
    Size low = count > b_size ? count - b_size : 0, high = count < a_size ? count : a_size;
    while (low < high) {
        const Size middle = low + (high - low) / 2;
        if (a[middle] <= b[count - 1 - middle]) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Runs of `run` elements, a multiple of kSortTile, become runs of twice as many; the LAST time only `order` is written.
template <class Key, bool LAST>
__global__ void __launch_bounds__(kMergeThreads)
merge_runs(const Key* __restrict__ keys, const int* __restrict__ indices, Key* __restrict__ keys_out,
           int* __restrict__ indices_out, int64* __restrict__ order, int64 n, int64 run) {
    __shared__ Key key[kSortTile];
    __shared__ int index[kSortTile];
    __shared__ int64 bounds[2];
    const int t = static_cast<int>(threadIdx.x);
    const int64 tiles = (n + kSortTile - 1) / kSortTile;  // of a row
    const int64 row = blockIdx.x / tiles, start = (blockIdx.x - row * tiles) * kSortTile;
    const int64 pair = start / (2 * run) * (2 * run), middle = min(pair + run, n);
    const int64 a_size = middle - pair, b_size = min(pair + 2 * run, n) - middle;
    const int64 from = start - pair, to = min(from + kSortTile, a_size + b_size);
    const int64 base = row * n + pair;
    if (t < 2) bounds[t] = taken_from_first(keys + base, a_size, keys + base + a_size, b_size, t == 0 ? from : to);
    __syncthreads();
    const int64 a_from = bounds[0], b_from = from - a_from;
    const int a_count = static_cast<int>(bounds[1] - a_from), count = static_cast<int>(to - from);
    for (int i = t; i < count; i += kMergeThreads) {
        const int64 source = base + (i < a_count ? a_from + i : a_size + b_from + (i - a_count));
        key[i] = keys[source];
        index[i] = indices[source];
    }
    __syncthreads();
    const int first = t * kMergeEach;
    if (first >= count) return;
    int i = taken_from_first(key, a_count, key + a_count, count - a_count, first), j = a_count + first - i;
#pragma unroll
    for (int k = 0; k < kMergeEach; ++k) {
        if (first + k >= count) break;
        const bool from_a = j >= count || (i < a_count && key[i] <= key[j]);
        const int source = from_a ? i++ : j++;
        const int64 at = base + from + first + k;
        if (LAST) {
            order[at] = index[source];
        } else {
            keys_out[at] = key[source];
            indices_out[at] = index[source];
        }
    }
}

// ---- Places ----------------------------------------------------------------------------------------------------------

// `sequence` is (rows, length), or one row for all if `row_step` is 0; `each` values belong to a row. `right`: not above.
template <class T>
__global__ void __launch_bounds__(kSearchThreads)
search_rows(int64 count, int64* __restrict__ out, const T* __restrict__ sequence, const T* __restrict__ values,
            int64 length, int64 row_step, int64 each, bool right) {
    GPUGRAD_GRID_LOOP(v, count) {
        const T* row = sequence + v / each * row_step;
        const KeyOf<T> wanted = key_of(values[v]);
        int64 low = 0, high = length;
        while (low < high) {
            const int64 middle = low + (high - low) / 2;
            const KeyOf<T> found = key_of(row[middle]);
            if (found < wanted || (right && found == wanted)) low = middle + 1;
            else high = middle;
        }
        out[v] = low;
    }
}

template <class T, bool SORTED>
__global__ void __launch_bounds__(kSearchThreads)
found_among(int64 count, bool* __restrict__ out, const T* __restrict__ among, const T* __restrict__ values, int64 length,
            bool invert) {
    GPUGRAD_GRID_LOOP(v, count) {
        const T value = values[v];
        int64 low = 0;
        if constexpr (SORTED) {
            const KeyOf<T> wanted = key_of(value);
            for (int64 high = length; low < high;) {
                const int64 middle = low + (high - low) / 2;
                if (key_of(among[middle]) < wanted) low = middle + 1;
                else high = middle;
            }
        } else {
            while (low < length && widen(among[low]) != widen(value)) ++low;
        }
        out[v] = (low < length && widen(among[low]) == widen(value)) != invert;
    }
}

}  // namespace gpugrad
