// How many elements, or which weights, fall into each bin.
//
//   count_bins    total[bin of x[i]] += 1 or weight[i]; what lies in no bin, a NaN too, is left out
//   number_bins   out[i] = bin of x[i], -1 for none
//
// The bin of a value is, BY
//   kNumbers   the value itself                                                              (bincount)
//   kEvenly    the k with edge(k) <= x < edge(k + 1), where edge(k) = low + k * step         (histc)
//   kBetween   the same between edges that are given, and rise                               (histogram)
// and the last of the last two holds its upper edge as well.
//
// Numerics: even edges are formed in float64 and rounded to Compute<T>, as they would be in an array of that; a first
// guess is put right by comparing with the two edges beside it. Counts are exact. Weights are added in float64, in no certain order:
// whoever needs the same bits every time numbers the bins and adds in order (index.cu).
// Layout: everything contiguous.
// Geometry: blocks of 256, four elements a thread and pass. Few bins (SHARED) are counted in shared memory, in `copies` of
// the bins among which warps take turns, and brought together once a block; many are counted where they lie.
// Bytes moved: x and the weights once; the bins once a block, or an atomic in the caches for each element.
#include "common.cuh"

namespace gpugrad {

constexpr int kBinThreads = 256, kBinFlight = 4, kPartBytes = 16384;

enum Binning : int { kNumbers, kEvenly, kBetween };

struct Even {
    double low, high;    // the outer edges, as values of Compute<T>
    double start, step;  // from which the others are formed
    double scale;        // bins for each unit
};

struct One {};  // in place of a weight

template <class W> struct TotalOf { using type = double; };
template <> struct TotalOf<One> { using type = uint64; };
template <class W> struct PartOf { using type = double; };
template <> struct PartOf<One> { using type = unsigned; };

template <class T> __device__ __forceinline__ Compute<T> even_edge(int64 k, const Even& even, int64 bins) {
    if (k == bins) return static_cast<Compute<T>>(even.high);
    const double exact = __dadd_rn(__dmul_rn(static_cast<double>(k), even.step), even.start);
    return static_cast<Compute<T>>(exact);
}

template <int BY, class T>
__device__ __forceinline__ int64 bin_of(T given, const T* edges, const Even& even, int64 bins) {
    if constexpr (BY == kNumbers) {
        const auto k = static_cast<int64>(given);
        return k >= 0 && k < bins ? k : -1;
    } else if constexpr (BY == kEvenly) {
        const auto value = widen(given);
        if (!(value >= even.low && value <= even.high)) return -1;
        int64 k = min(static_cast<int64>((value - even.low) * even.scale), bins - 1);
        if (value < even_edge<T>(k, even, bins)) --k;
        else if (k + 1 < bins && value >= even_edge<T>(k + 1, even, bins)) ++k;
        return k;
    } else {
        const auto value = widen(given);
        if (!(value >= widen(edges[0]) && value <= widen(edges[bins]))) return -1;
        int64 low = 0, high = bins;  // edge(low) <= value, and not so at high or at the last edge
        while (high - low > 1) {
            const int64 middle = low + (high - low) / 2;
            if (widen(edges[middle]) <= value) low = middle;
            else high = middle;
        }
        return low;
    }
}

template <int BY, class T, class W, bool SHARED>
__global__ void __launch_bounds__(kBinThreads)
count_bins(int64 n, typename TotalOf<W>::type* __restrict__ total, const T* __restrict__ x, const W* __restrict__ weight,
           const T* __restrict__ edges, Even even, int64 bins, int copies) {
    using Part = typename PartOf<W>::type;
    __shared__ Part part[SHARED ? kPartBytes / sizeof(Part) : 1];
    Part* mine = part;
    const int t = static_cast<int>(threadIdx.x);
    if constexpr (SHARED) {
        const int few = static_cast<int>(bins);
        for (int k = t; k < few * copies; k += kBinThreads) part[k] = 0;
        mine += t / 32 % copies * few;
        __syncthreads();
    }
    const int64 step = grid_stride();
    for (int64 first = global_thread(); first < n; first += kBinFlight * step) {
        T value[kBinFlight];
#pragma unroll
        for (int k = 0; k < kBinFlight; ++k)
            if (first + k * step < n) value[k] = x[first + k * step];
#pragma unroll
        for (int k = 0; k < kBinFlight; ++k) {
            if (first + k * step >= n) break;
            const int64 bin = bin_of<BY>(value[k], edges, even, bins);
            if (bin < 0) continue;
            Part amount = 1;
            if constexpr (sizeof(Part) == 8) amount = widen(weight[first + k * step]);
            if constexpr (SHARED) atomicAdd(mine + bin, amount);
            else atomicAdd(total + bin, amount);
        }
    }
    if constexpr (SHARED) {
        __syncthreads();
        const int few = static_cast<int>(bins);
        for (int k = t; k < few; k += kBinThreads) {
            typename TotalOf<W>::type sum = 0;
            for (int copy = 0; copy < copies; ++copy) sum += part[copy * few + k];
            if (sum != 0) atomicAdd(total + k, sum);
        }
    }
}

template <int BY, class T>
__global__ void __launch_bounds__(kBinThreads)
number_bins(int64 n, int64* __restrict__ out, const T* __restrict__ x, const T* __restrict__ edges, Even even, int64 bins) {
    GPUGRAD_GRID_LOOP(i, n) out[i] = bin_of<BY>(x[i], edges, even, bins);
}

}  // namespace gpugrad
