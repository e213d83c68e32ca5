// Atomics. Threads are fibers that only leave at barriers, so reading, changing and writing is one piece already; what
// is left is to tell the checks that the access was atomic.
#pragma once
#if defined(GPUGRAD_CHECKED)
#define GPUGRAD_CHECK_ATOMIC(address, size) gpugrad_check_atomic(address, size, __builtin_return_address(0))
#else
#define GPUGRAD_CHECK_ATOMIC(address, size) ((void)0)
#endif
#define GPUGRAD_ATOMIC __attribute__((noinline, no_sanitize("thread", "undefined")))

namespace simulator {
template <class T> struct Same { using type = T; };
template <class T> using Exact = typename Same<T>::type;  // no deduction: atomicAdd(float*, 1) converts the 1

template <class T> inline constexpr bool is_narrow = std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>;
template <class T> inline constexpr bool is_word =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;
}  // namespace simulator

#define GPUGRAD_ATOMIC_FUNCTION(name, condition, result)                                   \
    template <class T> GPUGRAD_ATOMIC T name(T* address, simulator::Exact<T> value) {      \
        static_assert(condition, "CUDA has no " #name " for this type");                   \
        GPUGRAD_CHECK_ATOMIC(address, sizeof(T));                                          \
        const T old = *address;                                                            \
        *address = result;                                                                 \
        return old;                                                                        \
    }                                                                                      \
    template <class T> GPUGRAD_ATOMIC T name##_block(T* address, simulator::Exact<T> value) { return name(address, value); }

GPUGRAD_ATOMIC_FUNCTION(atomicAdd, simulator::is_word<T> || std::is_floating_point_v<T> || simulator::is_narrow<T>, old + value)
GPUGRAD_ATOMIC_FUNCTION(atomicSub, (std::is_same_v<T, int> || std::is_same_v<T, unsigned>), old - value)
GPUGRAD_ATOMIC_FUNCTION(atomicExch, simulator::is_word<T> || (std::is_same_v<T, float>), value)
GPUGRAD_ATOMIC_FUNCTION(atomicMin, simulator::is_word<T> || (std::is_same_v<T, long long>), old < value ? old : value)
GPUGRAD_ATOMIC_FUNCTION(atomicMax, simulator::is_word<T> || (std::is_same_v<T, long long>), old > value ? old : value)
GPUGRAD_ATOMIC_FUNCTION(atomicAnd, simulator::is_word<T>, old & value)
GPUGRAD_ATOMIC_FUNCTION(atomicOr, simulator::is_word<T>, old | value)
GPUGRAD_ATOMIC_FUNCTION(atomicXor, simulator::is_word<T>, old ^ value)
GPUGRAD_ATOMIC_FUNCTION(atomicInc, (std::is_same_v<T, unsigned>), old >= value ? 0 : old + 1)
GPUGRAD_ATOMIC_FUNCTION(atomicDec, (std::is_same_v<T, unsigned>), old == 0 || old > value ? value : old - 1)
#undef GPUGRAD_ATOMIC_FUNCTION

template <class T>
GPUGRAD_ATOMIC T atomicCAS(T* address, simulator::Exact<T> expected, simulator::Exact<T> value) {
    static_assert(simulator::is_word<T> || std::is_same_v<T, unsigned short>, "CUDA has no atomicCAS for this type");
    GPUGRAD_CHECK_ATOMIC(address, sizeof(T));
    const T old = *address;
    if (old == expected) *address = value;
    return old;
}

template <class Format>
GPUGRAD_ATOMIC simulator::Narrow2<Format> atomicAdd(simulator::Narrow2<Format>* address, simulator::Narrow2<Format> value) {
    GPUGRAD_CHECK_ATOMIC(address, 4);
    const simulator::Narrow2<Format> old = *address;
    *address = old + value;
    return old;
}
