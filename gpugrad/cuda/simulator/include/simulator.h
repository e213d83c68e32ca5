// CUDA C++ for the host's compiler: what kernels find when the simulator compiles them. Included before their source.
#pragma once
// Without C++17's special functions, which CUDA does not have: they are half of what the compiler would read each time.
#if __has_include(<bits/c++config.h>)
#include <bits/c++config.h>
#undef _GLIBCXX_USE_STD_SPEC_FUNCS
#endif
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <limits>
#include <type_traits>
#include <utility>

#include "../runtime/runtime.h"

#define GPUGRAD_SIMULATOR 1
#define __CUDA_ARCH__ 900
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __grid_constant__
// One block runs at a time, so a static variable is the block's. build.py moves these variables into a section of their
// own, with guard zones, and turns `extern __shared__ T name[];` into a pointer to the launch's dynamic shared memory.
#define __shared__ static __attribute__((used))

extern "C" {
extern char gpugrad_dynamic_shared[];
void gpugrad_syncthreads(const char* file, int line);
int gpugrad_syncthreads_count(int predicate, const char* file, int line);
void gpugrad_syncwarp(unsigned mask, const char* file, int line);
uint64_t gpugrad_shuffle(int how, unsigned mask, uint64_t value, int by, int width, const char* file, int line);
uint64_t gpugrad_warp_vote(int op, unsigned mask, uint64_t value, const char* file, int line);
unsigned gpugrad_activemask();
unsigned gpugrad_lane();
void gpugrad_check_atomic(void* address, unsigned size, void* pc);
void gpugrad_assert_failed(const char* condition, const char* file, int line);
}

#include "vector_types.h"

extern "C" {
// Constant to the thread that reads them; uint3, not dim3: a class with constructors is never read-only to the compiler
extern const uint3 gpugrad_thread_index, gpugrad_block_index, gpugrad_block_size, gpugrad_grid_size;
}
#define threadIdx gpugrad_thread_index
#define blockIdx gpugrad_block_index
#define blockDim gpugrad_block_size
#define gridDim gpugrad_grid_size
constexpr int warpSize = 32;

#undef assert
#define assert(condition) ((condition) ? (void)0 : gpugrad_assert_failed(#condition, __FILE__, __LINE__))
#define __trap() gpugrad_assert_failed("__trap()", __FILE__, __LINE__)

#include "half.h"
// math.h uses half's conversions; warp.h and atomic.h its bits
#include "math_functions.h"
#include "warp.h"
#include "atomic.h"
#include "entry.h"
