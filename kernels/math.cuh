// Arithmetic of formulas where C++ differs from NumPy, by the names gpugrad's ops print.
//
// Integers wrap around, as NumPy's do, instead of overflowing; a quotient by zero is -1 (all bits set) and its remainder
// the dividend, as on NVIDIA's own divider: PyTorch's CUDA kernels give the same and raise nothing either. Functions
// that mean something else for each kind of number take any type; those of floating numbers are in special.cuh.
#pragma once
#include "common.cuh"

namespace gpugrad {

template <class T> constexpr bool kIsFloat = false;
template <> constexpr bool kIsFloat<float> = true;
template <> constexpr bool kIsFloat<double> = true;
template <class T> constexpr bool kIsSigned = T(-1) < T(0);

template <class T> __device__ __forceinline__ T not_a_number() { return infinity<T>() - infinity<T>(); }

template <class T> __device__ __forceinline__ bool is_nan(T x) { return x != x; }

template <class T> __device__ __forceinline__ bool is_infinite(T x) {
    if constexpr (kIsFloat<T>) return x == infinity<T>() || x == -infinity<T>();
    else return false;
}

template <class T> __device__ __forceinline__ bool is_finite(T x) {
    if constexpr (kIsFloat<T>) return x - x == T(0);
    else return true;
}

template <class T> __device__ __forceinline__ bool sign_bit(T x) {
    if constexpr (kIsFloat<T>) return copysign(T(1), x) < T(0);
    else return x < T(0);
}

// Whether |x - y| <= atol + |rtol * y|, in floating arithmetic; infinities are close to themselves.
template <class T> __device__ __forceinline__ bool is_close(T x, T y, T rtol, T atol, bool equal_nan) {
    const bool near = fabs(x - y) <= atol + fabs(rtol * y) && is_finite(y);
    return near || x == y || (equal_nan && is_nan(x) && is_nan(y));
}

// ---- sums and products that wrap around ------------------------------------------------------------------------------

template <int BYTES> struct UnsignedOf { using type = unsigned; };  // narrower integers are computed in 32 bits
template <> struct UnsignedOf<8> { using type = uint64; };
template <class T> using Unsigned = typename UnsignedOf<sizeof(T)>::type;

template <class T> __device__ __forceinline__ T add(T x, T y) {
    if constexpr (kIsFloat<T>) return x + y;
    else return static_cast<T>(Unsigned<T>(x) + Unsigned<T>(y));
}

template <class T> __device__ __forceinline__ T subtract(T x, T y) {
    if constexpr (kIsFloat<T>) return x - y;
    else return static_cast<T>(Unsigned<T>(x) - Unsigned<T>(y));
}

template <class T> __device__ __forceinline__ T multiply(T x, T y) {
    if constexpr (kIsFloat<T>) return x * y;
    else return static_cast<T>(Unsigned<T>(x) * Unsigned<T>(y));
}

template <class T> __device__ __forceinline__ T negate(T x) {
    if constexpr (kIsFloat<T>) return -x;
    else return static_cast<T>(0u - Unsigned<T>(x));
}

template <class T> __device__ __forceinline__ T absolute(T x) {
    if constexpr (kIsFloat<T>) return fabs(x);
    else return x < T(0) ? negate(x) : x;
}

// ---- quotients -------------------------------------------------------------------------------------------------------

template <class T> __device__ __forceinline__ T truncate_divide(T x, T y) {
    if constexpr (kIsFloat<T>) {
        return trunc(x / y);
    } else {
        if (y == T(0)) return static_cast<T>(-1);
        if (kIsSigned<T> && y == static_cast<T>(-1)) return negate(x);  // the smallest number has no opposite
        return static_cast<T>(x / y);
    }
}

template <class T> __device__ __forceinline__ T fmod_of(T x, T y) {  // of the sign of x
    if constexpr (kIsFloat<T>) {
        return fmod(x, y);
    } else {
        if (y == T(0)) return x;
        if (kIsSigned<T> && y == static_cast<T>(-1)) return T(0);
        return static_cast<T>(x % y);
    }
}

template <class T> __device__ __forceinline__ T remainder_of(T x, T y) {  // of the sign of y
    const T rest = fmod_of(x, y);
    return rest != T(0) && (y < T(0)) != (rest < T(0)) && y != T(0) ? add(rest, y) : rest;
}

template <class T> __device__ __forceinline__ T floor_divide(T x, T y) {
    if constexpr (kIsFloat<T>) {  // floor(x / y) of the exact quotient, which x / y may round up to an integer
        if (y == T(0)) return x / y;
        const T rest = fmod(x, y);
        T quotient = (x - rest) / y;
        if (rest != T(0) && (y < T(0)) != (rest < T(0))) quotient -= T(1);
        if (quotient == T(0)) return copysign(T(0), x / y);
        const T below = floor(quotient);
        return quotient - below > T(0.5) ? below + T(1) : below;
    } else {
        const T quotient = truncate_divide(x, y), rest = fmod_of(x, y);
        const bool lower = rest != T(0) && (y < T(0)) != (rest < T(0)) && y != T(0);
        return lower ? static_cast<T>(quotient - T(1)) : quotient;
    }
}

// ---- rounding: integers are as they are ------------------------------------------------------------------------------

template <class T> __device__ __forceinline__ T floor_of(T x) {
    if constexpr (kIsFloat<T>) return floor(x);
    else return x;
}

template <class T> __device__ __forceinline__ T ceil_of(T x) {
    if constexpr (kIsFloat<T>) return ceil(x);
    else return x;
}

template <class T> __device__ __forceinline__ T trunc_of(T x) {
    if constexpr (kIsFloat<T>) return trunc(x);
    else return x;
}

template <class T> __device__ __forceinline__ T round_of(T x) {
    if constexpr (kIsFloat<T>) return rint(x);
    else return x;
}

// ---- powers ----------------------------------------------------------------------------------------------------------

template <class T> __device__ __forceinline__ T power(T x, T y) {
    if constexpr (kIsFloat<T>) {
        return pow(x, y);
    } else {
        if (y < T(0)) {  // 1 / x^-y, rounded to an integer
            const bool odd = (y & T(1)) != T(0);
            return x == T(1) || (x == static_cast<T>(-1) && !odd) ? T(1) : x == static_cast<T>(-1) ? x : T(0);
        }
        Unsigned<T> result = 1, square = static_cast<Unsigned<T>>(x);
        for (auto rest = static_cast<Unsigned<T>>(y); rest != 0; rest >>= 1) {
            if (rest & 1) result *= square;
            square *= square;
        }
        return static_cast<T>(result);
    }
}

// ---- integers and bits -----------------------------------------------------------------------------------------------

__device__ __forceinline__ bool bitwise_not(bool x) { return !x; }
template <class T> __device__ __forceinline__ T bitwise_not(T x) { return static_cast<T>(~x); }

// By as many bits as the type has, or by a negative number, everything is shifted out.
template <class T> __device__ __forceinline__ bool shifts_all(T by) {
    return static_cast<uint64>(by) >= 8 * sizeof(T);
}

template <class T> __device__ __forceinline__ T shift_left(T x, T by) {
    return shifts_all(by) ? T(0) : static_cast<T>(Unsigned<T>(x) << by);
}

template <class T> __device__ __forceinline__ T shift_right(T x, T by) {
    if (shifts_all(by)) return x < T(0) ? static_cast<T>(-1) : T(0);
    return static_cast<T>(x >> by);
}

template <class T> __device__ __forceinline__ Unsigned<T> magnitude(T x) {
    return x < T(0) ? 0u - static_cast<Unsigned<T>>(x) : static_cast<Unsigned<T>>(x);
}

template <class T> __device__ __forceinline__ T gcd(T x, T y) {  // Euclid's
    Unsigned<T> a = magnitude(x), b = magnitude(y);
    while (b != 0) {
        const Unsigned<T> rest = a % b;
        a = b;
        b = rest;
    }
    return static_cast<T>(a);
}

template <class T> __device__ __forceinline__ T lcm(T x, T y) {
    const Unsigned<T> divisor = magnitude(gcd(x, y));
    return divisor == 0 ? T(0) : absolute(static_cast<T>(magnitude(x) / divisor * magnitude(y)));
}

}  // namespace gpugrad
