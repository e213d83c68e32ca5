// Functions of formulas that CUDA does not have, by the names gpugrad's ops print.
#pragma once
#include "common.cuh"

namespace gpugrad {

// A number as arithmetic has it: what formulas write constants with.
template <class C> __device__ __forceinline__ C not_a_number() { return infinity<C>() - infinity<C>(); }

}  // namespace gpugrad
