// What losses need beside formulas and reductions.
//
//   check_probabilities   reports the first of `x` that does not lie in [0, 1], or is NaN, in the error words
//
// Geometry: an element a thread and pass; blocks of 256, grid.x of a few blocks a multiprocessor.
// Bytes moved: each element once in.
#include "common.cuh"

namespace gpugrad {

template <class T>
__global__ void __launch_bounds__(256) check_probabilities(int64 n, const T* __restrict__ x, uint64* error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const Compute<T> value = widen(x[i]);
        if (!(value >= Compute<T>(0) && value <= Compute<T>(1))) report_index(error, op, i, n);
    }
}

}  // namespace gpugrad
