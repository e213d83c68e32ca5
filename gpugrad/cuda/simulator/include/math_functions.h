// Device functions that math.h lacks. Fast approximations compute the exact function: tolerances are the device's affair.
#pragma once

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline void __sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float exp10f(float x) { return powf(10.0f, x); }
// By the distance from the nearest integer, so that sinpi is exactly 0 at every integer, as CUDA's is.
inline double sinpi(double x) {
    const double nearest = rint(x), sine = sin((x - nearest) * 3.14159265358979323846);
    return fmod(nearest, 2.0) == 0.0 ? sine : -sine;
}
inline double cospi(double x) {
    const double nearest = rint(x), cosine = fabs(x - nearest) == 0.5 ? 0.0 : cos((x - nearest) * 3.14159265358979323846);
    return fmod(nearest, 2.0) == 0.0 ? cosine : -cosine;
}
inline void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }

inline double normcdf(double x) { return static_cast<double>(0.5L * erfcl(-x * 0.70710678118654752440L)); }
inline double erfcx(double x) {  // exp(x^2) erfc(x)
    const long double z = x, u = 1 / (z * z);
    if (x < 100.0) return static_cast<double>(expl(z * z) * erfcl(z));
    return static_cast<double>(0.5641895835477562869480795L / z * (1 - u / 2 * (1 - 3 * u / 2)));
}

namespace simulator {
// The x > 0 with erfc(x) = q: Winitzki's approximation, then Newton's method on log erfc, which is nearly a parabola.
inline long double erfc_inverse(long double q) {
    const long double slope = 1.1283791670955125739L, log_q = logl(q * (2 - q)), half = 4.3307467750799504L + log_q / 2;
    long double x = sqrtl(sqrtl(half * half - log_q / 0.147L) - half);
    for (int i = 0; i < 8; ++i) x += (logl(erfcl(x)) - logl(q)) * erfcl(x) / (slope * expl(-x * x));
    return x;
}
inline double erf_inverse(long double y) {  // |y| <= 1/2
    long double x = y * 0.8862269254527580136L;
    for (int i = 0; i < 6; ++i) x -= (erfl(x) - y) * 0.8862269254527580136L * expl(x * x);
    return static_cast<double>(x);
}
}  // namespace simulator

inline double erfinv(double y) {
    const double size = fabs(y);
    if (!(size < 1.0)) return size == 1.0 ? y * INFINITY : NAN;
    return size <= 0.5 ? simulator::erf_inverse(y) : copysign(static_cast<double>(simulator::erfc_inverse(1.0L - size)), y);
}
inline double normcdfinv(double p) {
    if (!(p > 0.0 && p < 1.0)) return p == 0.0 ? -INFINITY : p == 1.0 ? INFINITY : NAN;
    const long double root = 1.4142135623730950488L, below = p < 0.5 ? p : 1.0L - p;
    if (below > 0.25L) return static_cast<double>(root * simulator::erf_inverse(2.0L * p - 1.0L));
    return static_cast<double>((p < 0.5 ? -root : root) * simulator::erfc_inverse(2.0L * below));
}

#define GPUGRAD_IN_FLOAT(name)                                                        \
    inline float name##f(float x) { return static_cast<float>(name(static_cast<double>(x))); } \
    inline float name(float x) { return name##f(x); }
GPUGRAD_IN_FLOAT(sinpi)
GPUGRAD_IN_FLOAT(cospi)
GPUGRAD_IN_FLOAT(normcdf)
GPUGRAD_IN_FLOAT(normcdfinv)
GPUGRAD_IN_FLOAT(erfcx)
GPUGRAD_IN_FLOAT(erfinv)
#undef GPUGRAD_IN_FLOAT
inline void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }

// Rounding modes other than the nearest are not simulated.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __frsqrt_rn(float a) { return 1.0f / sqrtf(a); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

inline float __int_as_float(int bits) { return simulator::bits_float(static_cast<uint32_t>(bits)); }
inline float __uint_as_float(unsigned bits) { return simulator::bits_float(bits); }
inline int __float_as_int(float value) { return static_cast<int>(simulator::float_bits(value)); }
inline unsigned __float_as_uint(float value) { return simulator::float_bits(value); }
inline double __longlong_as_double(long long bits) {
    double value;
    __builtin_memcpy(&value, &bits, 8);
    return value;
}
inline long long __double_as_longlong(double value) {
    long long bits;
    __builtin_memcpy(&bits, &value, 8);
    return bits;
}
inline int __double2hiint(double value) { return static_cast<int>(__double_as_longlong(value) >> 32); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
inline int __float2int_ru(float x) { return static_cast<int>(ceilf(x)); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; ++i) reversed |= (x >> i & 1u) << (31 - i);
    return reversed;
}
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<long long>(a) * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline int __mul24(int a, int b) { return a * b; }
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>(((static_cast<uint64_t>(high) << 32 | low) << (by & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (by & 31));
}

// CUDA has min and max of any two arithmetic types; of two floating ones they are fmin and fmax: a NaN gives the other.
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
inline std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    const T x = static_cast<T>(a), y = static_cast<T>(b);
    return x > y || y != y ? x : y;
}
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
inline std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    const T x = static_cast<T>(a), y = static_cast<T>(b);
    return x < y || y != y ? x : y;
}

// Cache hints are loads and stores like any other.
#define GPUGRAD_LOAD(name) template <class T> inline T name(const T* address) { return *address; }
GPUGRAD_LOAD(__ldg)
GPUGRAD_LOAD(__ldcg)
GPUGRAD_LOAD(__ldca)
GPUGRAD_LOAD(__ldcs)
GPUGRAD_LOAD(__ldlu)
GPUGRAD_LOAD(__ldcv)
#undef GPUGRAD_LOAD
#define GPUGRAD_STORE(name) template <class T> inline void name(T* address, T value) { *address = value; }
GPUGRAD_STORE(__stwb)
GPUGRAD_STORE(__stcg)
GPUGRAD_STORE(__stcs)
GPUGRAD_STORE(__stwt)
#undef GPUGRAD_STORE

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {}
inline long long clock64() {
    static long long ticks = 0;
    return ++ticks;
}
