// Poisson numbers, each of its own rate.
//
//   poisson   out[i] = a Poisson number of the rate rate[i], for n contiguous elements
//
// Below a rate of 10 the distribution function is inverted step by step: some rate + 1 of them, of one uniform number.
// From there on it is Hoermann's transformed rejection PTRS (Insurance: Mathematics and Economics 12, 1993): 1.1 to 1.2
// tries on average, each of a Philox block of its own. Element i has block i of the draw, and the further blocks counted
// beside it (`more` of philox.cuh), which no other element and no other draw uses.
//
// Geometry: an element a thread and pass; blocks of 256, grid.x of a few blocks a multiprocessor. Bytes moved: each element
// once in and once out; some 30 to 60 double instructions a try are what bounds it.
// Numerics: in double whatever the type, with uniform numbers of 53 bits. The logarithm of a probability is taken relative
// to the rate, by log1p, and of k! by Stirling's series, so that it is as good at rates of 1e15 as at 10; at k of 1 and 2 it
// is 3e-4 and 2e-6 off, which at these rates have a probability below 1e-3. A rate that is negative or NaN is reported in
// the error words, and its number is NaN; that of infinity is infinity.
#include "philox.cuh"

namespace gpugrad {

__device__ __forceinline__ double poisson_by_inversion(double rate, double uniform) {  // rate < 10
    double probability = exp(-rate), k = 0;
    while (uniform >= probability && k < 100) {  // beyond which lies less than 1e-50
        uniform -= probability;
        k += 1;
        probability *= rate / k;
    }
    return k;
}

// log P(k) of a rate, for whole k >= 0.
__device__ __forceinline__ double poisson_log_probability(double k, double rate) {
    if (k == 0) return -rate;
    const double past = k - rate, inverse = 1 / k, square = inverse * inverse;
    const double series = inverse * (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square * (1.0 / 1680))));
    return past - k * log1p(past / rate) - 0.5 * log(6.283185307179586 * k) - series;
}

__device__ __forceinline__ double poisson_by_rejection(double rate, uint64 seed, uint64 block) {  // 10 <= rate < infinity
    const double b = 0.931 + 2.53 * sqrt(rate), a = 0.02483 * b - 0.059;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), quick = 0.9277 - 3.6224 / (b - 2);
    for (unsigned more = 0;; ++more) {
        const Words words = philox(seed, block, more);
        const double u = Real<double>::uniform(words, 0) - 0.5, v = Real<double>::uniform(words, 1);
        const double us = 0.5 - fabs(u);
        if (us == 0) continue;
        const double k = floor((2 * a / us + b) * u + rate + 0.43);
        if (us >= 0.07 && v <= quick) return k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        if (log(v * inverse_alpha / (a / (us * us) + b)) <= poisson_log_probability(k, rate)) return k;
    }
}

template <class T>
__global__ void __launch_bounds__(256)
poisson(RandomState* state, int64 n, const T* __restrict__ rate, T* __restrict__ out, uint64* error, int op) {
    const uint64 seed = state->seed, first = state->next;
    GPUGRAD_GRID_LOOP(i, n) {
        const double given = widen(rate[i]);
        const uint64 block = first + static_cast<uint64>(i);
        double drawn = given;  // infinity stays what it is
        if (!(given >= 0)) {
            report_index(error, op, i, n);
            drawn = 0 * infinity<double>();
        } else if (given < 10) {
            drawn = poisson_by_inversion(given, Real<double>::uniform(philox(seed, block), 0));
        } else if (given < infinity<double>()) {
            drawn = poisson_by_rejection(given, seed, block);
        }
        out[i] = narrow<T>(static_cast<Compute<T>>(drawn));
    }
    advance(state, first, static_cast<uint64>(n));
}

}  // namespace gpugrad
