// __half and __nv_bfloat16: storage of 16 bits, arithmetic in float rounded to nearest even after every operation.
#pragma once

namespace simulator {

inline uint32_t float_bits(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    return bits;
}

inline float bits_float(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

// A float that rounds to 16 bits as the double itself would: towards zero, its last bit set if anything was cut off.
inline float round_to_odd(double value) {
    float near = static_cast<float>(value);
    if (static_cast<double>(near) == value || value != value) return near;
    uint32_t bits = float_bits(near);
    if (__builtin_fabs(static_cast<double>(near)) > __builtin_fabs(value)) bits -= 1;
    return bits_float(bits | 1u);
}

struct Half {
    static uint16_t encode(float value) {
        const uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
        if (magnitude > 0x7f800000u) return 0x7fff;
        if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65536 and above: infinity
        if (magnitude < 0x38800000u) {  // subnormal: adding 0.5 leaves it, rounded, in the low bits
            const uint32_t rounded = float_bits(bits_float(magnitude) + 0.5f) - 0x3f000000u;
            return static_cast<uint16_t>(sign | rounded);
        }
        const uint32_t rounded = magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u);
        return static_cast<uint16_t>(sign | rounded >> 13);
    }
    static float decode(uint16_t bits) {
        const uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
        if (rest >= 0x7c00u) return bits_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
        if (rest < 0x400u) return bits_float(sign | float_bits(static_cast<float>(rest) * 5.9604644775390625e-8f));
        return bits_float(sign | ((rest << 13) + 0x38000000u));
    }
};

struct Bfloat16 {
    static uint16_t encode(float value) {
        const uint32_t bits = float_bits(value);
        if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
        return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    }
    static float decode(uint16_t bits) { return bits_float(static_cast<uint32_t>(bits) << 16); }
};

template <class Format> struct Narrow {
    uint16_t bits;
    Narrow() = default;
    Narrow(float value) : bits(Format::encode(value)) {}
    Narrow(double value) : bits(Format::encode(round_to_odd(value))) {}
    Narrow(int value) : bits(Format::encode(static_cast<float>(value))) {}
    Narrow(unsigned value) : bits(Format::encode(static_cast<float>(value))) {}
    Narrow(long long value) : bits(Format::encode(static_cast<float>(value))) {}
    operator float() const { return Format::decode(bits); }
    static Narrow from_bits(uint16_t bits) {
        Narrow made;
        made.bits = bits;
        return made;
    }
    friend Narrow operator+(Narrow a, Narrow b) { return float(a) + float(b); }
    friend Narrow operator-(Narrow a, Narrow b) { return float(a) - float(b); }
    friend Narrow operator*(Narrow a, Narrow b) { return float(a) * float(b); }
    friend Narrow operator/(Narrow a, Narrow b) { return float(a) / float(b); }
    friend Narrow operator-(Narrow a) { return from_bits(a.bits ^ 0x8000u); }
    friend bool operator==(Narrow a, Narrow b) { return float(a) == float(b); }
    friend bool operator!=(Narrow a, Narrow b) { return float(a) != float(b); }
    friend bool operator<(Narrow a, Narrow b) { return float(a) < float(b); }
    friend bool operator>(Narrow a, Narrow b) { return float(a) > float(b); }
    friend bool operator<=(Narrow a, Narrow b) { return float(a) <= float(b); }
    friend bool operator>=(Narrow a, Narrow b) { return float(a) >= float(b); }
    Narrow& operator+=(Narrow b) { return *this = *this + b; }
    Narrow& operator-=(Narrow b) { return *this = *this - b; }
    Narrow& operator*=(Narrow b) { return *this = *this * b; }
    Narrow& operator/=(Narrow b) { return *this = *this / b; }
};

template <class Format> struct alignas(4) Narrow2 {
    Narrow<Format> x, y;
};

}  // namespace simulator

using __half = simulator::Narrow<simulator::Half>;
using __half2 = simulator::Narrow2<simulator::Half>;
using half = __half;
using half2 = __half2;
using __nv_bfloat16 = simulator::Narrow<simulator::Bfloat16>;
using __nv_bfloat162 = simulator::Narrow2<simulator::Bfloat16>;
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;

inline float __half2float(__half h) { return h; }
inline __half __float2half(float f) { return f; }
inline __half __float2half_rn(float f) { return f; }
inline __half __double2half(double d) { return d; }
inline unsigned short __half_as_ushort(__half h) { return h.bits; }
inline __half __ushort_as_half(unsigned short bits) { return __half::from_bits(bits); }
inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline __half2 __floats2half2_rn(float x, float y) { return {x, y}; }
inline __half2 __float22half2_rn(float2 v) { return {v.x, v.y}; }
inline float2 __half22float2(__half2 v) { return {v.x, v.y}; }
inline __half2 __half2half2(__half h) { return {h, h}; }
inline __half __low2half(__half2 v) { return v.x; }
inline __half __high2half(__half2 v) { return v.y; }
inline float __low2float(__half2 v) { return v.x; }
inline float __high2float(__half2 v) { return v.y; }

inline float __bfloat162float(__nv_bfloat16 b) { return b; }
inline __nv_bfloat16 __float2bfloat16(float f) { return f; }
inline __nv_bfloat16 __float2bfloat16_rn(float f) { return f; }
inline __nv_bfloat16 __double2bfloat16(double d) { return d; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 b) { return b.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return __nv_bfloat16::from_bits(bits); }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 v) { return {v.x, v.y}; }
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {v.x, v.y}; }
inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 b) { return {b, b}; }
inline float __low2float(__nv_bfloat162 v) { return v.x; }
inline float __high2float(__nv_bfloat162 v) { return v.y; }

#define GPUGRAD_NARROW(T)                                                                      \
    inline T __hadd(T a, T b) { return a + b; }                                                \
    inline T __hsub(T a, T b) { return a - b; }                                                \
    inline T __hmul(T a, T b) { return a * b; }                                                \
    inline T __hdiv(T a, T b) { return a / b; }                                                \
    inline T __hneg(T a) { return -a; }                                                        \
    inline T __habs(T a) { return T::from_bits(a.bits & 0x7fffu); }                            \
    inline T __hfma(T a, T b, T c) { return fmaf(a, b, c); }                                   \
    inline T __hmax(T a, T b) { return fmaxf(a, b); }                                          \
    inline T __hmin(T a, T b) { return fminf(a, b); }                                          \
    inline bool __hisnan(T a) { return float(a) != float(a); }                                 \
    inline bool __heq(T a, T b) { return a == b; }                                             \
    inline bool __hgt(T a, T b) { return a > b; }                                              \
    inline bool __hlt(T a, T b) { return a < b; }                                              \
    inline T hexp(T a) { return expf(a); }                                                     \
    inline T hlog(T a) { return logf(a); }                                                     \
    inline T hsqrt(T a) { return sqrtf(a); }
GPUGRAD_NARROW(__half)
GPUGRAD_NARROW(__nv_bfloat16)
#undef GPUGRAD_NARROW

#define GPUGRAD_NARROW2(T)                                                                     \
    inline T __hadd2(T a, T b) { return {a.x + b.x, a.y + b.y}; }                              \
    inline T __hsub2(T a, T b) { return {a.x - b.x, a.y - b.y}; }                              \
    inline T __hmul2(T a, T b) { return {a.x * b.x, a.y * b.y}; }                              \
    inline T __hfma2(T a, T b, T c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; } \
    inline T operator+(T a, T b) { return __hadd2(a, b); }                                     \
    inline T operator-(T a, T b) { return __hsub2(a, b); }                                     \
    inline T operator*(T a, T b) { return __hmul2(a, b); }
GPUGRAD_NARROW2(__half2)
GPUGRAD_NARROW2(__nv_bfloat162)
#undef GPUGRAD_NARROW2
