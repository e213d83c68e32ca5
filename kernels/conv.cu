// Convolution as matrix products: images to columns and back, and the bias.
//
//   columns[n, c, k, p] = x[n, c, pixel of window p under tap k], zero on padding            im2col
//   x[n, c, i]          = sum of columns[n, c, k, p] over all (k, p) that read pixel i       col2im, its adjoint
//   out = weight (O, C K) @ columns (C K, P)    columns' = weight^T @ out'    weight' = out' @ columns^T
//
// Layout: x is (N, C, *size), contiguous. A column's elements lie `row` apart from tap to tap and from channel to
// channel, its images `image` apart, and neighbouring windows side by side: (N, C K, P) with row = P, image = C K P for
// products image by image, or (C K, N P) with row = N P, image = P for one product over all images.
//
// Geometry: one thread a window and channel (im2col), or a pixel (col2im), K taps each; neighbouring threads have
// neighbouring windows, so that columns are read and written in full lines. Blocks are (windows, planes), of up to
// kWindowThreads threads; any grid.
//
// With one input channel a group there is nothing to multiply as matrices: depthwise and its adjoints form the sums,
// one thread an output or pixel, one block a tap of the weight's gradient.
//
// Numerics: im2col moves bits. col2im sums in float32 (float64 for float64), in the order of the taps, and rounds once;
// there are no atomics: same inputs, same bits. Columns of a half-precision gradient are float32.
//
// Bytes moved: im2col writes K times the windows and reads x about once (taps after the first come from the cache);
// col2im the reverse. add_bias reads and writes its array once.
#include "window.cuh"

namespace gpugrad {

template <class T>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks)
im2col(const T* __restrict__ x, T* __restrict__ columns, int planes, int channels, int64 row, int64 image, Windows w) {
    const int windows = product(w.out), pixels = product(w.size), taps = product(w.kernel);
    GPUGRAD_PLANES_LOOP(plane, planes, p, windows) {
        const int n = plane / channels;
        const Place o(p, w.out);
        const T* from = x + int64(plane) * pixels;
        T* to = columns + n * image + int64(plane - n * channels) * taps * row + p;
        const int d0 = o.at[0] * w.stride[0] - w.padding[0];
        const int h0 = o.at[1] * w.stride[1] - w.padding[1];
        const int w0 = o.at[2] * w.stride[2] - w.padding[2];
        for (int kd = 0, d = d0; kd < w.kernel[0]; ++kd, d += w.dilation[0]) {
            for (int kh = 0, h = h0; kh < w.kernel[1]; ++kh, h += w.dilation[1]) {
                const bool inside = d >= 0 && d < w.size[0] && h >= 0 && h < w.size[1];
                const int line = inside ? (d * w.size[1] + h) * w.size[2] : 0;
                for (int kw = 0, c = w0; kw < w.kernel[2]; ++kw, c += w.dilation[2]) {
                    *to = inside && c >= 0 && c < w.size[2] ? from[line + c] : narrow<T>(Compute<T>(0));
                    to += row;
                }
            }
        }
    }
}

// The window that reads pixel `i` of an axis under tap `k`, or -1.
__device__ __forceinline__ int window_of(const Windows& w, int axis, int i, int k) {
    const int at = i + w.padding[axis] - k * w.dilation[axis];
    if (at < 0) return -1;
    const auto o = static_cast<int>(static_cast<unsigned>(at) / static_cast<unsigned>(w.stride[axis]));
    return o * w.stride[axis] == at && o < w.out[axis] ? o : -1;
}

// C is the type of the columns, T that of x.
template <class C, class T>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks)
col2im(const C* __restrict__ columns, T* __restrict__ x, int planes, int channels, int64 row, int64 image, Windows w) {
    const int pixels = product(w.size), taps = product(w.kernel);
    GPUGRAD_PLANES_LOOP(plane, planes, i, pixels) {
        const int n = plane / channels;
        const Place pixel(i, w.size);
        const C* from = columns + n * image + int64(plane - n * channels) * taps * row;
        Compute<T> total = 0;
        for (int kd = 0; kd < w.kernel[0]; ++kd) {
            const int od = window_of(w, 0, pixel.at[0], kd);
            if (od < 0) continue;
            for (int kh = 0; kh < w.kernel[1]; ++kh) {
                const int oh = window_of(w, 1, pixel.at[1], kh);
                if (oh < 0) continue;
                const C* line = from + static_cast<int64>((kd * w.kernel[1] + kh) * w.kernel[2]) * row +
                                static_cast<int64>((od * w.out[1] + oh) * w.out[2]);
                for (int kw = 0; kw < w.kernel[2]; ++kw) {
                    const int ow = window_of(w, 2, pixel.at[2], kw);
                    if (ow >= 0) total += widen(line[kw * row + ow]);
                }
            }
        }
        x[int64(plane) * pixels + i] = narrow<T>(total);
    }
}

// ---- one input channel a group: sums of products, without columns ----

// out[n, c, p] = sum over k of weight[c, k] * x[n, c / each, pixel of window p under tap k].
template <class T>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks) depthwise(
    const T* __restrict__ x, const T* __restrict__ weight, T* __restrict__ out, int planes, int channels, int each,
    Windows w) {
    const int windows = product(w.out), pixels = product(w.size), taps = product(w.kernel);
    GPUGRAD_PLANES_LOOP(plane, planes, p, windows) {
        const Place o(p, w.out);
        const T* from = x + int64(plane / each) * pixels;
        const T* by = weight + int64(plane % channels) * taps;
        Compute<T> total = 0;
        for (int kd = 0, d = o.at[0] * w.stride[0] - w.padding[0]; kd < w.kernel[0]; ++kd, d += w.dilation[0]) {
            for (int kh = 0, h = o.at[1] * w.stride[1] - w.padding[1]; kh < w.kernel[1]; ++kh, h += w.dilation[1]) {
                if (d < 0 || d >= w.size[0] || h < 0 || h >= w.size[1]) continue;
                const int line = (d * w.size[1] + h) * w.size[2], tap = (kd * w.kernel[1] + kh) * w.kernel[2];
                for (int kw = 0, c = o.at[2] * w.stride[2] - w.padding[2]; kw < w.kernel[2]; ++kw, c += w.dilation[2]) {
                    if (c >= 0 && c < w.size[2]) total += widen(by[tap + kw]) * widen(from[line + c]);
                }
            }
        }
        out[int64(plane) * windows + p] = narrow<T>(total);
    }
}

// Its adjoint in x: `planes` are those of x, `channels` its channels.
template <class T>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks) depthwise_input(
    const T* __restrict__ g, const T* __restrict__ weight, T* __restrict__ dx, int planes, int channels, int each,
    Windows w) {
    const int windows = product(w.out), pixels = product(w.size), taps = product(w.kernel);
    GPUGRAD_PLANES_LOOP(plane, planes, i, pixels) {
        const Place pixel(i, w.size);
        Compute<T> total = 0;
        for (int tap = 0; tap < taps; ++tap) {
            const Place k(tap, w.kernel);
            const int od = window_of(w, 0, pixel.at[0], k.at[0]);
            const int oh = window_of(w, 1, pixel.at[1], k.at[1]);
            const int ow = window_of(w, 2, pixel.at[2], k.at[2]);
            if (od < 0 || oh < 0 || ow < 0) continue;
            const int p = (od * w.out[1] + oh) * w.out[2] + ow;
            for (int e = 0; e < each; ++e) {
                const T by = weight[(int64(plane % channels) * each + e) * taps + tap];
                total += widen(by) * widen(g[(int64(plane) * each + e) * windows + p]);
            }
        }
        dx[int64(plane) * pixels + i] = narrow<T>(total);
    }
}

// Its adjoint in the weight: a block for each channel of g (blockIdx.y) and tap (blockIdx.x).
template <class T>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks) depthwise_weight(
    const T* __restrict__ g, const T* __restrict__ x, T* __restrict__ dw, int images, int channels, int each,
    Windows w) {
    using C = Compute<T>;
    __shared__ C scratch[kWindowThreads / 32];
    const int windows = product(w.out), pixels = product(w.size), taps = product(w.kernel);
    const int channel = static_cast<int>(blockIdx.y), tap = static_cast<int>(blockIdx.x);
    const int from = channel / each, inputs = channels / each;
    const Place k(tap, w.kernel);
    C total = 0;
    const int64 count = int64(images) * windows;
    for (int64 i = threadIdx.x; i < count; i += kWindowThreads) {
        const int64 n = (count >> 31) == 0 ? static_cast<unsigned>(i) / static_cast<unsigned>(windows) : i / windows;
        const int p = static_cast<int>(i - n * windows);
        const Place o(p, w.out);
        const int d = o.at[0] * w.stride[0] - w.padding[0] + k.at[0] * w.dilation[0];
        const int h = o.at[1] * w.stride[1] - w.padding[1] + k.at[1] * w.dilation[1];
        const int c = o.at[2] * w.stride[2] - w.padding[2] + k.at[2] * w.dilation[2];
        if (d < 0 || d >= w.size[0] || h < 0 || h >= w.size[1] || c < 0 || c >= w.size[2]) continue;
        const T value = x[(n * inputs + from) * pixels + (d * w.size[1] + h) * w.size[2] + c];
        total += widen(value) * widen(g[(n * channels + channel) * windows + p]);
    }
    total = block_reduce<Sum, kWindowThreads>(total, scratch);
    if (threadIdx.x == 0) dw[int64(channel) * taps + tap] = narrow<T>(total);
}

// out[n, c, p] += bias[c], WIDTH elements at a time, `packs` to a plane.
template <class T, int WIDTH>
__global__ void __launch_bounds__(kWindowThreads, kWindowBlocks)
add_bias(T* __restrict__ out, const T* __restrict__ bias, int planes, int channels, int packs) {
    GPUGRAD_PLANES_LOOP(plane, planes, i, packs) {
        const auto by = widen(bias[plane % channels]);
        T* at = out + (int64(plane) * packs + i) * WIDTH;
        auto pack = load_pack<WIDTH>(at);
#pragma unroll
        for (int k = 0; k < WIDTH; ++k) pack.item[k] = narrow<T>(widen(pack.item[k]) + by);
        store_pack<WIDTH>(at, pack);
    }
}

}  // namespace gpugrad
