// Pooling over one to three dimensions: the largest value or the mean of windows or bins, and the gradients.
//
//   max_pool  values[o] = max of x over window o, indices[o] = where in the plane     max_pool_backward, max_unpool
//   avg_pool  out[o]    = sum of x over window o / divisor(o)                         avg_pool_backward
//
// W is Windows (of one shape, with stride, padding, dilation) or Bins (of an adaptive pooling): see window.cuh.
// Layout: planes * pixels elements, planes one behind the other. Any of float32, float64, float16 and bfloat16.
//
// Geometry: one thread an output or a pixel; avg_pool<..., 32> has a warp an output, for bins of many pixels.
// Blocks are (outputs or pixels, planes), of up to kWindowThreads threads, whole warps along x for the latter; any grid.
//
// Numerics: arithmetic is float32 (float64 for float64), rounded once. Of equal values the first wins, of several NaN
// the last; a NaN beats any number, padding never wins. Backward, each pixel gathers from the windows over it: no
// atomics, same bits every time. Only max_unpool, whose indices may be any, adds atomically, and reports bad indices.
//
// Bytes moved: forward x once (overlaps come from the cache) and the outputs; backward the outputs and x once.
#include "window.cuh"

namespace gpugrad {

template <class T, class W>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks)
max_pool(const T* __restrict__ x, T* __restrict__ values, int64* __restrict__ indices, int planes, W w) {
    using C = Compute<T>;
    const int outs = product(w.out), pixels = product(w.size);
    GPUGRAD_PLANES_LOOP(plane, planes, i, outs) {
        const Place o(i, w.out);
        const Span ds = w.span(0, o.at[0]), hs = w.span(1, o.at[1]), cs = w.span(2, o.at[2]);
        const T* from = x + int64(plane) * pixels;
        C best = -infinity<C>();
        int where = (ds.first * w.size[1] + hs.first) * w.size[2] + cs.first;  // what a window of -inf chooses
        for (int d = ds.first; d < ds.stop; d += ds.step) {
            for (int h = hs.first; h < hs.stop; h += hs.step) {
                const int line = (d * w.size[1] + h) * w.size[2];
                for (int c = cs.first; c < cs.stop; c += cs.step) {
                    const C value = widen(from[line + c]);
                    if (value > best || value != value) {
                        best = value;
                        where = line + c;
                    }
                }
            }
        }
        values[int64(plane) * outs + i] = narrow<T>(best);
        indices[int64(plane) * outs + i] = where;
    }
}

// dx[pixel] = sum of g over the windows that chose the pixel.
template <class T, class W>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks) max_pool_backward(
    const T* __restrict__ g, const int64* __restrict__ indices, T* __restrict__ dx, int planes, W w) {
    const int outs = product(w.out), pixels = product(w.size);
    GPUGRAD_PLANES_LOOP(plane, planes, i, pixels) {
        const Place pixel(i, w.size);
        const Span ds = w.cover(0, pixel.at[0]), hs = w.cover(1, pixel.at[1]), cs = w.cover(2, pixel.at[2]);
        Compute<T> total = 0;
        for (int d = ds.first; d < ds.stop; ++d) {
            for (int h = hs.first; h < hs.stop; ++h) {
                const int64 line = int64(plane) * outs + (d * w.out[1] + h) * w.out[2];
                for (int c = cs.first; c < cs.stop; ++c) {
                    if (indices[line + c] == i) total += widen(g[line + c]);
                }
            }
        }
        dx[int64(plane) * pixels + i] = narrow<T>(total);
    }
}

template <class T, class W, int LANES>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks)
avg_pool(const T* __restrict__ x, T* __restrict__ out, int planes, W w) {
    using C = Compute<T>;
    const int outs = product(w.out), pixels = product(w.size);
    const int lane = static_cast<int>(threadIdx.x) % LANES;
    GPUGRAD_PLANES_LOOP(plane, planes, i, outs * LANES) {
        const Place o(i / LANES, w.out);
        const Span ds = w.span(0, o.at[0]), hs = w.span(1, o.at[1]), cs = w.span(2, o.at[2]);
        const T* from = x + int64(plane) * pixels;
        C total = 0;
        if constexpr (LANES == 1) {
            for (int d = ds.first; d < ds.stop; ++d) {
                for (int h = hs.first; h < hs.stop; ++h) {
                    const T* line = from + (d * w.size[1] + h) * w.size[2];
                    for (int c = cs.first; c < cs.stop; ++c) total += widen(line[c]);
                }
            }
        } else {
            const int counts[3] = {ds.count(), hs.count(), cs.count()};
            for (int k = lane; k < product(counts); k += LANES) {
                const Place at(k, counts);
                const int line = ((ds.first + at.at[0]) * w.size[1] + hs.first + at.at[1]) * w.size[2];
                total += widen(from[line + cs.first + at.at[2]]);
            }
            total = warp_reduce<Sum>(total);
        }
        if (lane == 0) out[int64(plane) * outs + i / LANES] = narrow<T>(total / static_cast<C>(w.divisor(o)));
    }
}

template <class T, class W>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks)
avg_pool_backward(const T* __restrict__ g, T* __restrict__ dx, int planes, W w) {
    using C = Compute<T>;
    const int outs = product(w.out), pixels = product(w.size);
    GPUGRAD_PLANES_LOOP(plane, planes, i, pixels) {
        const Place pixel(i, w.size);
        const Span ds = w.cover(0, pixel.at[0]), hs = w.cover(1, pixel.at[1]), cs = w.cover(2, pixel.at[2]);
        C total = 0;
        for (int d = ds.first; d < ds.stop; ++d) {
            for (int h = hs.first; h < hs.stop; ++h) {
                for (int c = cs.first; c < cs.stop; ++c) {
                    const int o = (d * w.out[1] + h) * w.out[2] + c;
                    total += widen(g[int64(plane) * outs + o]) / static_cast<C>(w.divisor(Place(o, w.out)));
                }
            }
        }
        dx[int64(plane) * pixels + i] = narrow<T>(total);
    }
}

// out[plane, indices[plane, o]] += g[plane, o], into zeros of the type that is added in.
template <class T, class C>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks) max_unpool(
    const T* __restrict__ g, const int64* __restrict__ indices, C* __restrict__ out, int planes, int outs,
    int pixels, uint64* error, int op) {
    GPUGRAD_PLANES_LOOP(plane, planes, o, outs) {
        const int64 i = int64(plane) * outs + o, at = indices[i];
        if (!check_index(error, op, at, pixels)) continue;
        atomicAdd(out + int64(plane) * pixels + at, static_cast<C>(widen(g[i])));
    }
}

// out[plane, o] = x[plane, indices[plane, o]]; where the index is bad, zero.
template <class T>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks) max_pool_gather(
    const T* __restrict__ x, const int64* __restrict__ indices, T* __restrict__ out, int planes, int outs,
    int pixels, uint64* error, int op) {
    GPUGRAD_PLANES_LOOP(plane, planes, o, outs) {
        const int64 i = int64(plane) * outs + o, at = indices[i];
        out[i] = check_index(error, op, at, pixels) ? x[int64(plane) * pixels + at] : narrow<T>(Compute<T>(0));
    }
}

}  // namespace gpugrad
