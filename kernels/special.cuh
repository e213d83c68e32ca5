// Special functions that CUDA does not have, in float and double; gpugrad/ops/special_numpy*.py are their meaning.
//
// Float arithmetic throughout where the argument is float (a few units in the last place), except polygamma of orders
// whose factorial is beyond float. DLMF is the NIST Digital Library of Mathematical Functions (dlmf.nist.gov).
#pragma once
#include "math.cuh"

namespace gpugrad {

template <class C> constexpr bool kNarrow = sizeof(C) == 4;
template <class C> constexpr C kPi = C(3.14159265358979323846);
template <class C> constexpr C kSqrtHalf = C(0.70710678118654752440);
template <class C> constexpr C kEps = kNarrow<C> ? C(1.1920929e-7) : C(2.220446049250313e-16);

// ---- the next number of a type ---------------------------------------------------------------------------------------

template <class S> struct Bits {};  // of the types of 16 bits
template <> struct Bits<__half> {
    static __device__ __forceinline__ unsigned short of(float x) { return __half_as_ushort(narrow<__half>(x)); }
    static __device__ __forceinline__ float from(unsigned short bits) { return widen(__ushort_as_half(bits)); }
};
template <> struct Bits<__nv_bfloat16> {
    static __device__ __forceinline__ unsigned short of(float x) {
        return __bfloat16_as_ushort(narrow<__nv_bfloat16>(x));
    }
    static __device__ __forceinline__ float from(unsigned short bits) { return widen(__ushort_as_bfloat16(bits)); }
};

// The number of type S next to x on the way to y.
template <class S, class C> __device__ __forceinline__ C next_after(C x, C y) {
    if constexpr (kIsFloat<S>) {
        return nextafter(x, y);
    } else {
        if (is_nan(x) || is_nan(y)) return x + y;
        if (x == y) return y;
        if (x == C(0)) return Bits<S>::from(y < C(0) ? 0x8001 : 1);
        const bool away = (y > x) == (x > C(0));
        return Bits<S>::from(static_cast<unsigned short>(Bits<S>::of(x) + (away ? 1 : -1)));
    }
}

// ---- logarithms with their limits, sinc ------------------------------------------------------------------------------

template <class C> __device__ __forceinline__ C xlogy(C x, C y) { return x == C(0) && !is_nan(y) ? C(0) : x * log(y); }
template <class C> __device__ __forceinline__ C xlog1py(C x, C y) {
    return x == C(0) && !is_nan(y) ? C(0) : x * log1p(y);
}
template <class C> __device__ __forceinline__ C entr(C x) {
    return x == C(0) ? C(0) : x < C(0) ? -infinity<C>() : -x * log(x);
}
template <class C> __device__ __forceinline__ C sinc(C x) { return x == C(0) ? C(1) : sinpi(x) / (kPi<C> * x); }

template <class C> __device__ __forceinline__ C logit(C x) {  // near 1/2 as 2 artanh(2x - 1), A&S 4.6.22
    return x >= C(0.25) && x < C(0.75) ? C(2) * atanh(C(2) * x - C(1)) : log(x / (C(1) - x));
}
// With eps, x is first brought to [eps, 1 - eps]; a negative eps is none. It is a constant of the formula.
template <class C> __device__ __forceinline__ C logit(C x, double eps) {
    if (eps < 0) return logit(x);
    const C low = static_cast<C>(eps), high = static_cast<C>(1.0 - eps);
    return logit(x < low ? low : x > high ? high : x);
}

template <class C> __device__ __forceinline__ C logaddexp(C x, C y) {
    if (x == y) return x + C(0.69314718055994530942);  // infinities too
    const C difference = x - y;
    return difference > C(0) ? x + log1p(exp(-difference)) : y + log1p(exp(difference));
}
template <class C> __device__ __forceinline__ C logaddexp2(C x, C y) {
    if (x == y) return x + C(1);
    const C difference = x - y, log2_e = C(1.44269504088896340736);
    return difference > C(0) ? x + log2_e * log1p(exp2(-difference)) : y + log2_e * log1p(exp2(difference));
}

// ---- the normal distribution -----------------------------------------------------------------------------------------

template <class C> __device__ __forceinline__ C ndtr(C x) { return normcdf(x); }
template <class C> __device__ __forceinline__ C ndtri(C p) { return normcdfinv(p); }
template <class C> __device__ __forceinline__ C log_ndtr(C x) {  // through erfcx where ndtr underflows
    if (x < C(-1)) return log(C(0.5) * erfcx(-x * kSqrtHalf<C>)) - C(0.5) * x * x;
    return log1p(-normcdf(-x));
}

// 1 + erf(x / sqrt 2), for results stored as S. For half precision -log2 erfc(|x| / sqrt 2) is a polynomial, fitted for a
// largest relative error of erfc of 4e-6 up to 5.8, where erfc is less than half an ulp of 2. That takes half the
// instructions of erf, which would bound formulas on 2 bytes instead of memory.
template <class S, class C> __device__ __forceinline__ C twice_ndtr(C x) {
    if constexpr (sizeof(Compute<S>) == sizeof(S)) {
        return erf(x * kSqrtHalf<C>) + C(1);
    } else {
        const float a = fabsf(x);
        float q = 1.7827655e-6f;
        q = q * a - 6.0539180e-5f;
        q = q * a + 9.2196825e-4f;
        q = q * a - 8.4730359e-3f;
        q = q * a + 5.3885072e-2f;
        q = q * a + 0.45854560f;
        q = q * a + 1.1512135f;
        const float tail = exp2f(-q * a);
        return x < 0.0f ? tail : 2.0f - tail;
    }
}

// ---- digamma and trigamma --------------------------------------------------------------------------------------------
// Recurrence up to 10 (DLMF 5.5.2, 5.15.5), asymptotic series (5.11.2, 5.15.8), reflection (5.5.4, 5.15.6).

constexpr int kShift = 10;

// sum of the first terms of c_0 + c_1 y + ..., as many as the type can tell
template <class C> __device__ __forceinline__ C bernoulli_series(C y, const double (&c)[8]) {
    C total = C(c[kNarrow<C> ? 3 : 7]);
#pragma unroll
    for (int j = kNarrow<C> ? 2 : 6; j >= 0; --j) total = total * y + C(c[j]);
    return total;
}

template <class C> __device__ __forceinline__ C digamma_positive(C x) {
    constexpr double c[8] = {1. / 12, -1. / 120, 1. / 252, -1. / 240, 5. / 660, -691. / 32760, 7. / 84, -3617. / 8160};
    C lower = 0;
    if (x < C(kShift)) {
#pragma unroll 1
        for (int k = kShift - 1; k > 0; --k) lower += C(1) / (x + C(k));
        lower += C(1) / x;  // -0 + 0 would lose its sign
        x += C(kShift);
    }
    const C inverse = C(1) / (x * x);
    return log(x) - C(0.5) / x - inverse * bernoulli_series(inverse, c) - lower;
}

template <class C> __device__ C digamma(C x) {
    if (!(x < C(0))) return digamma_positive(x);
    const C r = x - rint(x);
    if (r == C(0)) return not_a_number<C>();  // a pole: the sign of infinity would be arbitrary
    return digamma_positive(C(1) - x) - kPi<C> / tan(kPi<C> * r);
}

template <class C> __device__ __forceinline__ C trigamma_positive(C x) {
    constexpr double c[8] = {1. / 6, -1. / 30, 1. / 42, -1. / 30, 5. / 66, -691. / 2730, 7. / 6, -3617. / 510};
    C lower = 0;
    if (x < C(kShift)) {
#pragma unroll 1
        for (int k = kShift - 1; k >= 0; --k) {
            const C at = C(1) / (x + C(k));
            lower += at * at;
        }
        x += C(kShift);
    }
    const C inverse = C(1) / (x * x);
    return C(1) / x + C(0.5) * inverse + inverse * bernoulli_series(inverse, c) / x + lower;
}

template <class C> __device__ C trigamma(C x) {
    if (!(x < C(0))) return trigamma_positive(x);
    const C root = kPi<C> / sinpi(x);
    return root * root - trigamma_positive(C(1) - x);
}

// ---- Hurwitz's zeta function -----------------------------------------------------------------------------------------

// sum over k >= 0 of (q + k)^-s for s > 1 and q > 0, by Euler and Maclaurin (DLMF 25.11.28)
template <class C> __device__ __noinline__ C hurwitz(C s, C q) {
    constexpr double c[8] = {1. / 12,          -1. / 720,      1. / 30240,         -1. / 1209600,
                             1. / 47900160,    -691. / 1307674368000., 1. / 74724249600., -3617. / 10670622842880000.};
    C head = 0;
#pragma unroll 1
    for (int k = kShift - 1; k >= 0; --k) head += pow(q + C(k), -s);
    const C start = q + C(kShift), last = pow(start, -s);
    if (last < kEps<C> * head) return head;  // for large s the series diverges, where it no longer matters
    C tail = C(0.5), factor = s / start;
    constexpr int kTerms = kNarrow<C> ? 5 : 8;
#pragma unroll
    for (int j = 0; j < kTerms; ++j) {
        tail += C(c[j]) * factor;
        factor *= (s + C(2 * j + 1)) / start * ((s + C(2 * j + 2)) / start);
    }
    return head + pow(start, C(1) - s) / (s - C(1)) + last * tail;
}

template <class C> __device__ C zeta(C s, C q) {
    if (s == C(1)) return infinity<C>();
    if (s < C(1)) return not_a_number<C>();
    if (q <= C(0) && q == floor(q)) return infinity<C>();
    if (is_infinite(q)) return not_a_number<C>();  // as PyTorch has it
    if (!(q < C(0))) return hurwitz(s, q);
    if (s != floor(s)) return not_a_number<C>();
    // The sum over all integers k of (q + k)^-s depends only on the distance r of q from the nearest integer. Taken at
    // r it splits into three parts; taken at q, into the sum wanted and (-1)^s times that for 1 - q.
    const C r = q - rint(q), sign = fmod(s, C(2)) == C(0) ? C(1) : C(-1), nearest = pow(r, -s);
    if (is_infinite(nearest)) return nearest;
    return nearest + hurwitz(s, C(1) + r) + sign * (hurwitz(s, C(1) - r) - hurwitz(s, C(1) - q));
}

// (-1)^(n + 1) n! zeta(n + 1, x) (DLMF 25.11.12); n is a constant of the formula.
template <class C> __device__ __forceinline__ C polygamma(int n, C x) {
    if (n == 0) return digamma(x);
    if (n == 1) return trigamma(x);
    if (kNarrow<C> && n > 30) return static_cast<C>(polygamma<double>(n, static_cast<double>(x)));
    C factorial = 1;
    for (int k = 2; k <= n && k <= 171; ++k) factorial *= C(k);
    return (n % 2 ? factorial : -factorial) * zeta(C(n + 1), x);
}

// ---- modified Bessel functions of the first kind ---------------------------------------------------------------------

// exp(-x) I_ORDER(x) for x >= 0: the power series (DLMF 10.25.2), whose terms are positive, then the asymptotic one
// (10.40.1) from where exp(-2x), its relative error, no longer counts.
template <int ORDER, class C> __device__ __forceinline__ C scaled_bessel(C x) {
    if (x < C(kNarrow<C> ? 10 : 22)) {
        const C square = C(0.25) * x * x;
        C term = 1, total = 1;
#pragma unroll 1
        for (int k = 1; k < 64 && term > kEps<C> / C(4) * total; ++k) {
            term *= square / C(k * (k + ORDER));
            total += term;
        }
        return exp(-x) * (ORDER == 0 ? total : C(0.5) * x * total);
    }
    C term = 1, total = 1;
#pragma unroll 1
    for (int k = 1; k < 28 && fabs(term) > kEps<C> / C(4); ++k) {
        term *= C((2 * k - 1) * (2 * k - 1) - 4 * ORDER * ORDER) / (C(8 * k) * x);
        total += term;
    }
    return total / (C(2.50662827463100050242) * sqrt(x));  // sqrt(2 pi x)
}

template <class C> __device__ C i0e(C x) { return scaled_bessel<0>(fabs(x)); }
template <class C> __device__ C i1e(C x) {
    const C value = scaled_bessel<1>(fabs(x));
    return x < C(0) ? -value : value;
}
// exp(|x|) is beyond the type before these are: half of it on either side. At the infinities they are NaN, as PyTorch's.
template <class C> __device__ C i0(C x) {
    const C half = exp(C(0.5) * fabs(x));
    return half * i0e(x) * half;
}
template <class C> __device__ C i1(C x) {
    const C half = exp(C(0.5) * fabs(x));
    return half * i1e(x) * half;
}

}  // namespace gpugrad
