// Random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//
// A stream is a sequence of blocks of four 32-bit words: block k is ten rounds of a bijection of the counter k under the
// stream's seed. A fill takes the next blocks of it, and each element has its own words of them: its number depends on
// the seed, the place in the stream and the element's position alone, not on the grid, the device or the order of threads.
//
//   words    elements from a block
//   1        4: float, __half and __nv_bfloat16; Bernoulli draws of every type
//   2        2: double; integers, so that any range is even to 1 in 2^64 of its size
//
// The seed and the number of the next block lie in device memory, and the last block of threads moves the number on:
// nothing is read back, and a captured fill draws new numbers at each replay. One stream of a device may draw from a
// generator at a time.
//
// fill<Draw>   grid.x blocks of 256 threads take 16 bytes (or one Philox block) a thread and pass; one 16-byte store where
//              the array is aligned. Bytes moved: the output once. 40 multiplications a Philox block: about 12 integer
//              instructions a float, so that float fills are bound by memory on an H100, half precision by arithmetic.
// Numerics: uniform numbers have 24 bits (double 53); logarithms take a word whole, and its complement where that is
// nearer to 1, so that exponential numbers are never 0 and normal ones reach 6.8 (double 9.5).
#include "common.cuh"

namespace gpugrad {

constexpr int kFillThreads = 256;

struct RandomState {
    uint64 seed;
    uint64 next;           // number of the next block of words
    unsigned done, spare;  // how many blocks of threads of the running fill are through
};

struct Words {
    unsigned word[4];
};

__device__ __forceinline__ Words philox(uint64 seed, uint64 counter) {
    unsigned a = static_cast<unsigned>(counter), b = static_cast<unsigned>(counter >> 32), c = 0, d = 0;
    unsigned k0 = static_cast<unsigned>(seed), k1 = static_cast<unsigned>(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint64 p = 0xD2511F53ull * a, q = 0xCD9E8D57ull * c;
        a = static_cast<unsigned>(q >> 32) ^ b ^ k0;
        b = static_cast<unsigned>(q);
        c = static_cast<unsigned>(p >> 32) ^ d ^ k1;
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

__device__ __forceinline__ void sine_cosine_pi(float x, float* s, float* c) { sincospif(x, s, c); }
__device__ __forceinline__ void sine_cosine_pi(double x, double* s, double* c) { sincospi(x, s, c); }

// Box and Muller: the first number of a pair gives the radius, the second the angle. v has kEach numbers.
template <class C> __device__ __forceinline__ void normal_numbers(const Words& w, C* v) {
#pragma unroll
    for (int k = 0; k < Real<C>::kEach; k += 2) {
        const C radius = sqrt(2 * Real<C>::exponential(w, k));
        C sine, cosine;
        sine_cosine_pi(2 * Real<C>::uniform(w, k + 1), &sine, &cosine);
        v[k] = radius * cosine;
        v[k + 1] = radius * sine;
    }
}

// An integer or bool of a wide number: by way of int64, so that too large ones wrap.
template <class T> struct Whole {
    static __device__ __forceinline__ T from(int64 value) { return narrow<T>(static_cast<Compute<T>>(value)); }
};
template <> struct Whole<bool> {
    static __device__ __forceinline__ bool from(int64 value) { return value != 0; }
};

// ---- Draws -----------------------------------------------------------------------------------------------------------
// Each makes kEach elements of type T of one block of words; `at` is the place of the first in the array, `given` an array
// of as many elements that the draw reads.

template <class T> struct Uniform {  // [low, high)
    using C = Compute<T>;
    static constexpr int kEach = Real<C>::kEach;
    C low, high;
    __device__ __forceinline__ void operator()(const Words& w, int64, const void*, T* v) const {
        const T start = narrow<T>(low), end = narrow<T>(high);
#pragma unroll
        for (int k = 0; k < kEach; ++k) {
            const T value = narrow<T>(fma(Real<C>::uniform(w, k), high - low, low));
            v[k] = widen(value) == widen(end) ? start : value;  // rounding may have reached the end
        }
    }
};

template <class T> struct Normal {
    using C = Compute<T>;
    static constexpr int kEach = Real<C>::kEach;
    C mean, std;
    __device__ __forceinline__ void operator()(const Words& w, int64, const void*, T* v) const {
        C z[kEach];
        normal_numbers(w, z);
#pragma unroll
        for (int k = 0; k < kEach; ++k) v[k] = narrow<T>(fma(z[k], std, mean));
    }
};

template <class T> struct LogNormal {
    using C = Compute<T>;
    static constexpr int kEach = Real<C>::kEach;
    C mean, std;
    __device__ __forceinline__ void operator()(const Words& w, int64, const void*, T* v) const {
        C z[kEach];
        normal_numbers(w, z);
#pragma unroll
        for (int k = 0; k < kEach; ++k) v[k] = narrow<T>(gpugrad::exponential(fma(z[k], std, mean)));
    }
};

template <class T> struct Exponential {
    using C = Compute<T>;
    static constexpr int kEach = Real<C>::kEach;
    C mean;  // 1 / lambda
    __device__ __forceinline__ void operator()(const Words& w, int64, const void*, T* v) const {
#pragma unroll
        for (int k = 0; k < kEach; ++k) v[k] = narrow<T>(mean * Real<C>::exponential(w, k));
    }
};

template <class T> struct Cauchy {
    using C = Compute<T>;
    static constexpr int kEach = Real<C>::kEach;
    C median, sigma;
    __device__ __forceinline__ void operator()(const Words& w, int64, const void*, T* v) const {
#pragma unroll
        for (int k = 0; k < kEach; ++k) {
            C sine, cosine;
            sine_cosine_pi(Real<C>::centred(w, k), &sine, &cosine);
            v[k] = narrow<T>(fma(sine / cosine, sigma, median));
        }
    }
};

template <class T> struct Geometric {  // trials up to the first success
    static constexpr int kEach = 2;
    double scale;  // -1 / log(1 - p)
    __device__ __forceinline__ void operator()(const Words& w, int64, const void*, T* v) const {
#pragma unroll
        for (int k = 0; k < kEach; ++k) {
            const double trials = ceil(scale * Real<double>::exponential(w, k));
            v[k] = Whole<T>::from(static_cast<int64>(fmin(trials, 0x1p62)));
        }
    }
};

template <class T> struct Bernoulli {  // `one` with the probability below / 2^32, else 0
    static constexpr int kEach = 4;
    uint64 below;
    double one;
    __device__ __forceinline__ void operator()(const Words& w, int64, const void*, T* v) const {
        const T yes = narrow<T>(static_cast<Compute<T>>(one)), no = narrow<T>(Compute<T>(0));
#pragma unroll
        for (int k = 0; k < kEach; ++k) v[k] = w.word[k] < below ? yes : no;
    }
};

template <class T, class P> struct BernoulliEach {  // 1 with the probability that `given` has at the place
    static constexpr int kEach = Real<Compute<P>>::kEach;
    int64 n;
    __device__ __forceinline__ void operator()(const Words& w, int64 at, const void* given, T* v) const {
        const P* p = static_cast<const P*>(given);
#pragma unroll
        for (int k = 0; k < kEach; ++k) {
            const bool yes = at + k < n && Real<Compute<P>>::uniform(w, k) < widen(p[at + k]);
            v[k] = narrow<T>(Compute<T>(yes));
        }
    }
};

template <class T> struct Integers {  // low + [0, span); a span of 0 is 2^64
    static constexpr int kEach = 2;
    uint64 span;
    int64 low;
    __device__ __forceinline__ void operator()(const Words& w, int64, const void*, T* v) const {
#pragma unroll
        for (int k = 0; k < kEach; ++k) {
            const uint64 bits = Real<double>::bits(w, k), drawn = span ? __umul64hi(bits, span) : bits;
            v[k] = Whole<T>::from(static_cast<int64>(drawn + static_cast<uint64>(low)));
        }
    }
};

// ---- Fills -----------------------------------------------------------------------------------------------------------

// Every block of threads calls it when it has read `state`, whose next fill then begins `blocks` further on.
__device__ __forceinline__ void advance(RandomState* state, uint64 from, uint64 blocks) {
    __syncthreads();
    if (threadIdx.x != 0) return;
    __threadfence();
    if (atomicInc(&state->done, gridDim.x - 1) == gridDim.x - 1) state->next = from + blocks;
}

template <class Draw, class T>
__global__ void __launch_bounds__(kFillThreads) fill(RandomState* state, int64 n, T* __restrict__ out, Draw draw, const void* given) {
    constexpr int kEach = Draw::kEach, kWidth = kPack<T>, kRun = kEach > kWidth ? kEach : kWidth;
    const uint64 seed = state->seed, first = state->next;
    const bool aligned = elements_to_boundary(out) == 0;
    GPUGRAD_GRID_LOOP(run, (n + kRun - 1) / kRun) {
        const int64 start = run * kRun;
        T made[kRun];
#pragma unroll
        for (int k = 0; k < kRun; k += kEach)
            draw(philox(seed, first + static_cast<uint64>((start + k) / kEach)), start + k, given, made + k);
        if (aligned && start + kRun <= n) {
#pragma unroll
            for (int k = 0; k < kRun; k += kWidth) {
                Pack<T> pack;
#pragma unroll
                for (int w = 0; w < kWidth; ++w) pack.item[w] = made[k + w];
                store_pack<kWidth>(out + start + k, pack);
            }
        } else {
#pragma unroll
            for (int k = 0; k < kRun; ++k)
                if (start + k < n) out[start + k] = made[k];
        }
    }
    advance(state, first, static_cast<uint64>((n + kEach - 1) / kEach));
}

template <class State> __global__ void set_random_state(State* state, uint64 seed, uint64 next) {
    state->seed = seed;
    state->next = next;
    state->done = state->spare = 0;
}

}  // namespace gpugrad
