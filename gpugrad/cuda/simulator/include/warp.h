// Barriers and warp collectives. Each passes on where it was called, so that a fault can say it.
#pragma once
#define GPUGRAD_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(GPUGRAD_SITE) { gpugrad_syncthreads(file, line); }
inline int __syncthreads_count(int p, GPUGRAD_SITE) { return gpugrad_syncthreads_count(p, file, line); }
inline int __syncthreads_or(int p, GPUGRAD_SITE) { return gpugrad_syncthreads_count(p, file, line) != 0; }
inline int __syncthreads_and(int p, GPUGRAD_SITE) {
    return gpugrad_syncthreads_count(p, file, line) == static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, GPUGRAD_SITE) { gpugrad_syncwarp(mask, file, line); }
inline unsigned __activemask() { return gpugrad_activemask(); }

namespace simulator {
// The order of WarpOp in ../runtime/scheduler.h
enum { kOpShuffle = 1, kOpUp, kOpDown, kOpXor, kOpBallot, kOpMatch, kOpAdd, kOpMin, kOpMax, kOpMinSigned, kOpMaxSigned, kOpAnd, kOpOr, kOpXorBits };

template <class T>
inline T exchange(int how, unsigned mask, T value, int by, int width, const char* file, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    bits = gpugrad_shuffle(how, mask, bits, by, width, file, line);
    __builtin_memcpy(&value, &bits, sizeof(T));
    return value;
}
}  // namespace simulator

template <class T> inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, GPUGRAD_SITE) {
    return simulator::exchange(simulator::kOpShuffle, mask, value, lane, width, file, line);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, GPUGRAD_SITE) {
    return simulator::exchange(simulator::kOpUp, mask, value, static_cast<int>(by), width, file, line);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, GPUGRAD_SITE) {
    return simulator::exchange(simulator::kOpDown, mask, value, static_cast<int>(by), width, file, line);
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, GPUGRAD_SITE) {
    return simulator::exchange(simulator::kOpXor, mask, value, by, width, file, line);
}

inline unsigned __ballot_sync(unsigned mask, int p, GPUGRAD_SITE) {
    return static_cast<unsigned>(gpugrad_warp_vote(simulator::kOpBallot, mask, p != 0, file, line));
}
inline int __any_sync(unsigned mask, int p, GPUGRAD_SITE) { return __ballot_sync(mask, p, file, line) != 0; }
inline int __all_sync(unsigned mask, int p, GPUGRAD_SITE) { return __ballot_sync(mask, !p, file, line) == 0; }
template <class T> inline unsigned __match_any_sync(unsigned mask, T value, GPUGRAD_SITE) {
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    return static_cast<unsigned>(gpugrad_warp_vote(simulator::kOpMatch, mask, bits, file, line));
}

#define GPUGRAD_REDUCE(name, T, op)                                                                          \
    inline T name(unsigned mask, T value, GPUGRAD_SITE) {                                                    \
        return static_cast<T>(gpugrad_warp_vote(simulator::op, mask, static_cast<uint32_t>(value), file, line)); \
    }
GPUGRAD_REDUCE(__reduce_add_sync, unsigned, kOpAdd)
GPUGRAD_REDUCE(__reduce_add_sync, int, kOpAdd)
GPUGRAD_REDUCE(__reduce_min_sync, unsigned, kOpMin)
GPUGRAD_REDUCE(__reduce_max_sync, unsigned, kOpMax)
GPUGRAD_REDUCE(__reduce_min_sync, int, kOpMinSigned)
GPUGRAD_REDUCE(__reduce_max_sync, int, kOpMaxSigned)
GPUGRAD_REDUCE(__reduce_and_sync, unsigned, kOpAnd)
GPUGRAD_REDUCE(__reduce_or_sync, unsigned, kOpOr)
GPUGRAD_REDUCE(__reduce_xor_sync, unsigned, kOpXorBits)
#undef GPUGRAD_REDUCE
