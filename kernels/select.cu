// Choosing elements: those that are not zero, and the first of each run of equal ones.
//
//   flag_nonzero    bit i = x[i] != 0                                  (a NaN is not zero, -0 is)
//   flag_runs       bit i = row i of x differs from row i - 1          (bit 0 is set; a NaN differs from all)
//   list_flagged    place[r] = i as indices along the dimensions       (nonzero)
//   take_flagged    out[r] = x[i]                                      (masked_select, x[mask], unique)
//   spread_flagged  out[i] = value[r] where bit i is set, else 0       (the adjoint of the last)
//   write_flagged   x[i] = value[r] where bit i is set                 (x[mask] = value)
//   number_runs     out[order[i]] = r + bit i - 1                      (which run an element belongs to)
//
// r, the rank of i, is how many bits are set before bit i. Elements go by tiles of kSelectTile: the first two kernels
// write the bits, 32 to a word, and `counts`, how many of each tile are set; scan.cu makes `ends` of these, how many are
// set up to the end of each tile; the others count on from there. The last of `ends` is the size of the result, which
// the host must read to make room for it.
//
// Layout: x, where it is walked, of any strides; `words` and results contiguous, padding of the last tile included.
// Geometry: a tile to a block and pass, blocks of 256; in turn, 256 neighbours at a time, so that a warp's ballot is a word.
// Numerics: none. Elements are told apart as values and moved as bits.
// Bytes moved: x once for the bits, 1/8 byte an element for each pass over these, then what is chosen in and out.
#include "strides.cuh"

namespace gpugrad {

constexpr int kSelectThreads = 256, kSelectEach = 8, kSelectTile = kSelectThreads * kSelectEach;
constexpr int kWarps = kSelectThreads / 32, kTileWords = kSelectTile / 32;

// ---- Bits ------------------------------------------------------------------------------------------------------------

// The words and counts of this block's tiles; `scratch` holds kWarps ints. AHEAD elements of a thread are in flight.
template <int AHEAD, class Chosen>
__device__ __forceinline__ void flag_tiles(int64 n, unsigned* words, int64* counts, int* scratch, Chosen chosen) {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    for (int64 tile = blockIdx.x; tile * kSelectTile < n; tile += gridDim.x) {
        const int64 first = tile * kSelectTile + threadIdx.x;
        int count = 0;
#pragma unroll 1
        for (int j = 0; j < kSelectEach; j += AHEAD) {
            bool flag[AHEAD];
#pragma unroll
            for (int k = 0; k < AHEAD; ++k) {
                const int64 i = first + (j + k) * kSelectThreads;
                flag[k] = i < n && chosen(i);
            }
#pragma unroll
            for (int k = 0; k < AHEAD; ++k) {
                const unsigned word = __ballot_sync(kAllLanes, flag[k]);
                count += __popc(word);
                if (lane == 0) words[tile * kTileWords + (j + k) * kWarps + warp] = word;
            }
        }
        __syncthreads();  // the counts of the tile before have been read
        if (lane == 0) scratch[warp] = count;
        __syncthreads();
        if (threadIdx.x == 0) {
            int total = 0;
#pragma unroll
            for (int w = 0; w < kWarps; ++w) total += scratch[w];
            counts[tile] = total;
        }
    }
}

// Elements as bits; of floats the sign is left out. Here and below, `Index` counts the elements of a walk.
template <class Bits, bool FLOATING, class Index>
__global__ void __launch_bounds__(kSelectThreads)
flag_nonzero(int64 n, unsigned* __restrict__ words, int64* __restrict__ counts, const Bits* __restrict__ x, Walk<1> from) {
    __shared__ int scratch[kWarps];
    constexpr int kAhead = sizeof(Index) == 4 ? kSelectEach : 1;  // a 64-bit division takes too many registers
    flag_tiles<kAhead>(n, words, counts, scratch, [=](int64 i) {
        const Bits value = x[offset_in(static_cast<Index>(i), from)];
        return static_cast<Bits>(FLOATING ? value << 1 : value) != 0;
    });
}

// x is n rows of `width`, contiguous.
template <class T>
__global__ void __launch_bounds__(kSelectThreads)
flag_runs(int64 n, unsigned* __restrict__ words, int64* __restrict__ counts, const T* __restrict__ x, int64 width) {
    __shared__ int scratch[kWarps];
    flag_tiles<1>(n, words, counts, scratch, [=](int64 i) {
        const T* row = x + i * width;
        int64 same = 0;
        if (i > 0)
            while (same < width && widen(row[same]) == widen(row[same - width])) ++same;
        return i == 0 || same < width;
    });
}

// ---- Ranks -----------------------------------------------------------------------------------------------------------

// The words of a tile, and how many bits are set before each, within its half of the tile.
struct Ranks {
    unsigned word[kTileWords];
    int before[kTileWords];
    int of_first_half;
};

// `visit(i, whether it is chosen, rank)` for every element of this block's tiles.
template <class Visit>
__device__ __forceinline__ void visit_tiles(
    int64 n, const unsigned* words, const int64* ends, Ranks& ranks, Visit visit) {
    static_assert(kTileWords == 64, "the words of a tile are counted by two warps");
    const int t = static_cast<int>(threadIdx.x), warp = t / 32, lane = t % 32;
    for (int64 tile = blockIdx.x; tile * kSelectTile < n; tile += gridDim.x) {
        const unsigned mine = t < kTileWords ? words[tile * kTileWords + t] : 0;
        const int own = __popc(mine);
        int through = own;  // all of the half up to this word
#pragma unroll
        for (int by = 1; by < 32; by *= 2) {
            const int below = __shfl_up_sync(kAllLanes, through, by);
            if (lane >= by) through += below;
        }
        __syncthreads();  // the tile before has been visited
        if (t < kTileWords) ranks.word[t] = mine, ranks.before[t] = through - own;
        if (t == 31) ranks.of_first_half = through;
        __syncthreads();
        const int64 base = tile > 0 ? ends[tile - 1] : 0;
#pragma unroll
        for (int k = 0; k < kSelectEach; ++k) {
            const int w = k * kWarps + warp;
            const unsigned word = ranks.word[w];
            const int rank = ranks.before[w] + (w < 32 ? 0 : ranks.of_first_half) + __popc(word & ((1u << lane) - 1));
            const int64 i = tile * kSelectTile + k * kSelectThreads + t;
            if (i < n) visit(i, (word >> lane & 1u) != 0, base + rank);
        }
    }
}

// `shape` has the sizes of the dimensions and, for each, how far its index of the first lies from `place`; that of the
// next element lies `step` further on.
template <class Index>
__global__ void __launch_bounds__(kSelectThreads)
list_flagged(int64 n, int64* __restrict__ place, const unsigned* __restrict__ words, const int64* __restrict__ ends,
             Walk<1> shape, int64 step) {
    __shared__ Ranks ranks;
    visit_tiles(n, words, ends, ranks, [&](int64 i, bool chosen, int64 rank) {
        if (!chosen) return;
        auto rest = static_cast<Index>(i);
        for (int d = static_cast<int>(shape.dims) - 1; d >= 0; --d) {
            const auto size = static_cast<Index>(shape.size[d]);
            const Index next = d > 0 ? rest / size : 0;
            place[rank * step + shape.stride[0][d]] = rest - next * size;
            rest = next;
        }
    });
}

template <class Bits, class Index>
__global__ void __launch_bounds__(kSelectThreads)
take_flagged(int64 n, Bits* __restrict__ out, const unsigned* __restrict__ words, const int64* __restrict__ ends,
             const Bits* __restrict__ x, Walk<1> from) {
    __shared__ Ranks ranks;
    visit_tiles(n, words, ends, ranks, [&](int64 i, bool chosen, int64 rank) {
        if (chosen) out[rank] = x[offset_in(static_cast<Index>(i), from)];
    });
}

template <class Bits>
__global__ void __launch_bounds__(kSelectThreads)
spread_flagged(int64 n, Bits* __restrict__ out, const unsigned* __restrict__ words, const int64* __restrict__ ends,
               const Bits* __restrict__ value) {
    __shared__ Ranks ranks;
    visit_tiles(n, words, ends, ranks, [&](int64 i, bool chosen, int64 rank) { out[i] = chosen ? value[rank] : Bits(0); });
}

template <class Bits, class Index>
__global__ void __launch_bounds__(kSelectThreads)
write_flagged(int64 n, Bits* __restrict__ x, const unsigned* __restrict__ words, const int64* __restrict__ ends,
              const Bits* __restrict__ value, Walk<1> to) {
    __shared__ Ranks ranks;
    visit_tiles(n, words, ends, ranks, [&](int64 i, bool chosen, int64 rank) {
        if (chosen) x[offset_in(static_cast<Index>(i), to)] = value[rank];
    });
}

// Without `order` elements are in their places.
template <class Place>
__global__ void __launch_bounds__(kSelectThreads)
number_runs(int64 n, Place* __restrict__ out, const unsigned* __restrict__ words, const int64* __restrict__ ends,
            const Place* __restrict__ order) {
    __shared__ Ranks ranks;
    visit_tiles(n, words, ends, ranks, [&](int64 i, bool chosen, int64 rank) {
        out[order != nullptr ? order[i] : i] = rank + (chosen ? 0 : -1);
    });
}

}  // namespace gpugrad
