// Values that an op refuses, found without a wait for the device.
//
//   report_outside   reports one of `x` that does not lie from `least` to `most`, or is NaN, in the error words
//
// Geometry: an element a thread and pass; blocks of 256, grid.x of a few blocks a multiprocessor.
// Bytes moved: each element once in.
#include "common.cuh"

namespace gpugrad {

template <class T>
__global__ void __launch_bounds__(256)
report_outside(int64 n, const T* __restrict__ x, Compute<T> least, Compute<T> most, uint64* error, int op) {
    GPUGRAD_GRID_LOOP(i, n) {
        const Compute<T> value = widen(x[i]);
        if (!(value >= least && value <= most)) report_index(error, op, i, n);
    }
}

}  // namespace gpugrad
