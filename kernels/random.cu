// Arrays filled with random numbers, of the words that philox.cuh makes.
//
//   words    elements from a block
//   1        4: float, __half and __nv_bfloat16; Bernoulli draws of every type
//   2        2: double; integers, so that any range is even to 1 in 2^64 of its size
//
// fill<Draw>   grid.x blocks of 256 threads take 16 bytes (or one Philox block) a thread and pass; one 16-byte store where
//              the array is aligned. Bytes moved: the output once. On sm_90 some 75 instructions to four uniform floats,
//              100 to four normal ones, in the time that memory takes for 16 bytes a thread (about 110 issue slots):
//              float fills are to be bound by memory, half precision by arithmetic.
// Numerics: uniform numbers have 24 bits (double 53); logarithms take a word whole, and of exponential numbers its
// complement where that is nearer to 1, so that they are never 0. Normal numbers reach 6.8 (double 9.5); of float the square
// of the radius is within 4e-7 and a sine within 5e-7 of what the words stand for: numbers are within 3e-6, but for radii
// below 0.1, of which there are 0.5%. (cuRAND, which PyTorch draws by, has the sine of the same units.)
#include "philox.cuh"

namespace gpugrad {

constexpr int kFillThreads = 256;

__device__ __forceinline__ void sine_cosine_pi(float x, float* s, float* c) { sincospif(x, s, c); }
__device__ __forceinline__ void sine_cosine_pi(double x, double* s, double* c) { sincospi(x, s, c); }

// Box and Muller: the first word (or two, of a double) of a pair gives the radius, the second the angle.
__device__ __forceinline__ void normal_pair(const Words& w, int k, double* v) {
    const double radius = sqrt(2 * Real<double>::exponential(w, k));
    double sine, cosine;
    sine_cosine_pi(2 * Real<double>::uniform(w, k + 1), &sine, &cosine);
    v[0] = radius * cosine;
    v[1] = radius * sine;
}
// By the units for special functions: the logarithm to 2^-22, the angle, which is from -pi to pi, to 2^-21.
__device__ __forceinline__ void normal_pair(const Words& w, int k, float* v) {
    const float u = fmaf(static_cast<float>(w.word[k]), 0x1p-32f, 0x1p-33f);
    const float square = fmaxf(-1.3862944f * __log2f(u), 1e-30f);  // -2 log(u); not 0, of which rsqrt is infinite
    const float radius = square * rsqrtf(square);
    float sine, cosine;
    __sincosf(static_cast<float>(static_cast<int>(w.word[k + 1])) * 1.4629180e-9f, &sine, &cosine);  // 2 pi / 2^32
    v[0] = radius * cosine;
    v[1] = radius * sine;
}
template <class C> __device__ __forceinline__ void normal_numbers(const Words& w, C* v) {  // kEach of them
#pragma unroll
    for (int k = 0; k < Real<C>::kEach; k += 2) normal_pair(w, k, v + k);
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

template <class Draw, class T>
__global__ void __launch_bounds__(kFillThreads) fill(RandomState* state, int64 n, T* __restrict__ out, Draw draw, const void* given) {
    constexpr int kEach = Draw::kEach, kWidth = kPack<T>, kRun = kEach > kWidth ? kEach : kWidth;
    const uint64 seed = state->seed, first = state->next;
    advance(state, first, static_cast<uint64>((n + kEach - 1) / kEach));
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
}

template <class State> __global__ void set_random_state(State* state, uint64 seed, uint64 next) {
    state->seed = seed;
    state->next = next;
    state->done = state->spare = 0;
}

}  // namespace gpugrad
