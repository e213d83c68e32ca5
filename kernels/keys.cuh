// Keys of values: unsigned integers in the same order, where -0 and 0 have one key, and NaNs the largest.
#pragma once
#include "common.cuh"

namespace gpugrad {

constexpr int kNoIndex = 0x7fffffff;  // of a place without an element

__device__ __forceinline__ unsigned key_of(float value) {
    if (value != value) return ~0u;
    const auto bits = static_cast<unsigned>(__float_as_int(value + 0.0f));  // -0 becomes 0
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ uint64 key_of(double value) {
    if (value != value) return ~0ull;
    const auto bits = static_cast<uint64>(__double_as_longlong(value + 0.0));
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}
__device__ __forceinline__ unsigned key_of(__half value) { return key_of(widen(value)); }
__device__ __forceinline__ unsigned key_of(__nv_bfloat16 value) { return key_of(widen(value)); }
__device__ __forceinline__ unsigned key_of(unsigned value) { return value; }
__device__ __forceinline__ unsigned key_of(int value) { return static_cast<unsigned>(value) ^ 0x80000000u; }  // or smaller
__device__ __forceinline__ uint64 key_of(uint64 value) { return value; }
__device__ __forceinline__ uint64 key_of(int64 value) { return static_cast<uint64>(value) ^ 1ull << 63; }

template <class T> using KeyOf = decltype(key_of(T()));

}  // namespace gpugrad
