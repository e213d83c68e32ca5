// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the words of random kernels.
//
// A stream is a sequence of blocks of four 32-bit words: block k is ten rounds of a bijection of the counter k under the
// stream's seed. A draw takes the next blocks of it, and each element has its own words of them: its number depends on
// the seed, the place in the stream and the element's position alone, not on the grid, the device or the order of threads.
//
// The seed and the number of the next block lie in device memory, and the last block of threads moves the number on:
// nothing is read back, and a captured draw makes new numbers at each replay. One stream of a device may draw from a
// generator at a time.
#pragma once
#include "common.cuh"

namespace gpugrad {

struct RandomState {
    uint64 seed;
    uint64 next;           // number of the next block of words
    unsigned done, spare;  // how many blocks of threads of the running fill are through
};

struct Words {
    unsigned word[4];
};

// The upper half of a product of 32-bit factors. As a shift it would be 64-bit arithmetic, and so would the next product's
// factor: an addition more for each, and round keys that stay out of the uniform registers (79 instructions a block, not 57).
__device__ __forceinline__ unsigned upper(uint64 product) {
    return static_cast<unsigned>(__double2hiint(__longlong_as_double(static_cast<int64>(product))));
}

// Block `counter` of the stream; `more` counts further blocks for an element that needs an unknown number of them.
__device__ __forceinline__ Words philox(uint64 seed, uint64 counter, unsigned more = 0) {
    unsigned a = static_cast<unsigned>(counter), b = static_cast<unsigned>(counter >> 32), c = more, d = 0;
    unsigned k0 = static_cast<unsigned>(seed), k1 = static_cast<unsigned>(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint64 p = 0xD2511F53ull * a, q = 0xCD9E8D57ull * c;
        a = upper(q) ^ b ^ k0;
        b = static_cast<unsigned>(q);
        c = upper(p) ^ d ^ k1;
        d = static_cast<unsigned>(p);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{a, b, c, d}};
}

// ---- Numbers of words ------------------------------------------------------------------------------------------------
// Real<float> of one word, Real<double> of two. All take the words of number `k` of a block.

template <class C> struct Real;

template <> struct Real<float> {
    static constexpr int kEach = 4;
    static __device__ __forceinline__ float uniform(const Words& w, int k) {  // [0, 1)
        return static_cast<float>(w.word[k] >> 8) * 0x1p-24f;
    }
    static __device__ __forceinline__ float exponential(const Words& w, int k) {  // -log(u), u in (0, 1)
        const unsigned u = w.word[k];
        if (u < 0x80000000u) return -logf(fmaf(static_cast<float>(u), 0x1p-32f, 0x1p-33f));
        return -log1pf(-fmaf(static_cast<float>(~u), 0x1p-32f, 0x1p-33f));
    }
    static __device__ __forceinline__ float centred(const Words& w, int k) {  // (-1/2, 1/2)
        const float u = fmaf(static_cast<float>(static_cast<int>(w.word[k] ^ 0x80000000u)), 0x1p-32f, 0x1p-33f);
        return fminf(fmaxf(u, -0.5f + 0x1p-25f), 0.5f - 0x1p-25f);
    }
};

template <> struct Real<double> {
    static constexpr int kEach = 2;
    static __device__ __forceinline__ uint64 bits(const Words& w, int k) {
        return static_cast<uint64>(w.word[2 * k]) << 32 | w.word[2 * k + 1];
    }
    static __device__ __forceinline__ double uniform(const Words& w, int k) {
        return static_cast<double>(bits(w, k) >> 11) * 0x1p-53;
    }
    static __device__ __forceinline__ double exponential(const Words& w, int k) {
        const uint64 u = bits(w, k);
        if (u < 0x8000000000000000ull) return -log(fma(static_cast<double>(u), 0x1p-64, 0x1p-65));
        return -log1p(-fma(static_cast<double>(~u), 0x1p-64, 0x1p-65));
    }
    static __device__ __forceinline__ double centred(const Words& w, int k) {
        const double u = fma(static_cast<double>(static_cast<int64>(bits(w, k) ^ 0x8000000000000000ull)), 0x1p-64, 0x1p-65);
        return fmin(fmax(u, -0.5 + 0x1p-54), 0.5 - 0x1p-54);
    }
};

// ---- The end of a draw -----------------------------------------------------------------------------------------------

// Every block of threads calls it when it has read `state`, whose next draw then begins `blocks` further on.
__device__ __forceinline__ void advance(RandomState* state, uint64 from, uint64 blocks) {
    __syncthreads();
    if (threadIdx.x != 0) return;
    __threadfence();
    if (atomicInc(&state->done, gridDim.x - 1) == gridDim.x - 1) state->next = from + blocks;
}

}  // namespace gpugrad
