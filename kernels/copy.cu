// Copies: from any strides to any strides, from any type to any type; fills; parts side by side; copies with a border.
//
// Where types do not change, elements are moved as bits: `T` is an unsigned integer of 1, 2, 4 or 8 bytes, or `Wide`, 16
// bytes that hold several elements where all strides allow it. In conversions numbers go as C++ converts them, float16
// and bfloat16 by way of float32 (float64 to float16 in one rounding, as NumPy does).
//
//   copy_flat       both contiguous: packs of W elements, four in flight
//   copy_strided    any strides, up to 8 dimensions (merged on the host): an element a thread, four in flight
//   copy_tiled      one side contiguous along one dimension, the other along another: square tiles go through shared memory,
//                   so that both sides are read and written in rows; the rest of the dimensions is a batch
//   fill_flat, fill_strided   the same for a value
//   fill_sequence   numbers evenly spaced (arange, linspace)
//   join_columns    up to 32 contiguous parts side by side: out[r] = parts[0][r], parts[1][r], ... (cat, stack)
//   copy_bordered   each dimension shifted, and continued beyond its ends: zeros or a value, mirrored, repeated, around
//                   (pad, crop, roll)
//   fold_border     the adjoint of the last three along one dimension: each input element sums what was read from it
//   triangle        zeros above or below a diagonal
//
// Geometry: blocks of 256 threads; copy_* and fill_* have as many as there is to do, for the others grid.x is a few
// blocks a multiprocessor, which go on until all is done.
// Bytes moved: each element once in and once out; what is not read (borders, triangles) only out.
// Measured on an H200, in parts of a copy's rate: transposed float32 0.79, cat 1.00.
#include "strides.cuh"

namespace gpugrad {

constexpr int kCopyThreads = 256, kAtOnce = 4;

// ---- Conversion ------------------------------------------------------------------------------------------------------

template <class Out, class In> struct Convert {
    static __device__ __forceinline__ Out from(In value) {
        if constexpr (sizeof(Out) < sizeof(int) && sizeof(Compute<Out>) == sizeof(Out)) {
            return static_cast<Out>(static_cast<int>(widen(value)));  // floats out of range wrap, as in NumPy
        } else if constexpr (sizeof(Compute<Out>) != sizeof(Out)) {
            return narrow<Out>(static_cast<float>(widen(value)));
        } else {
            return static_cast<Out>(widen(value));
        }
    }
};
template <class T> struct Convert<T, T> {
    static __device__ __forceinline__ T from(T value) { return value; }
};
template <class In> struct Convert<bool, In> {
    static __device__ __forceinline__ bool from(In value) { return widen(value) != Compute<In>(0); }
};
template <> struct Convert<bool, bool> {
    static __device__ __forceinline__ bool from(bool value) { return value; }
};
template <> struct Convert<__half, double> {
    static __device__ __forceinline__ __half from(double value) { return __double2half(value); }
};

// ---- Copies ----------------------------------------------------------------------------------------------------------

template <class Out, class In, int W>
__global__ void __launch_bounds__(kCopyThreads) copy_flat(int64 n, Out* __restrict__ out, const In* __restrict__ in) {
    constexpr int kTile = kCopyThreads * W * kAtOnce;
    for (int64 start = static_cast<int64>(blockIdx.x) * kTile; start < n; start += static_cast<int64>(gridDim.x) * kTile) {
        if (start + kTile <= n) {
            const int64 first = start + threadIdx.x * W;
            Pack<In, W> found[kAtOnce];
#pragma unroll
            for (int k = 0; k < kAtOnce; ++k) found[k] = load_pack<W>(in + first + k * kCopyThreads * W);
#pragma unroll
            for (int k = 0; k < kAtOnce; ++k) {
                Pack<Out, W> made;
#pragma unroll
                for (int w = 0; w < W; ++w) made.item[w] = Convert<Out, In>::from(found[k].item[w]);
                store_pack<W>(out + first + k * kCopyThreads * W, made);
            }
        } else {
            for (int64 i = start + threadIdx.x; i < n; i += kCopyThreads) out[i] = Convert<Out, In>::from(in[i]);
        }
    }
}

template <class Out, class In, class Index>
__global__ void __launch_bounds__(kCopyThreads)
copy_strided(int64 n, Out* __restrict__ out, const In* __restrict__ in, Walk<2> walk) {
    const int64 step = grid_stride();
    for (int64 first = global_thread(); first < n; first += kAtOnce * step) {
        Index to[kAtOnce];
        In value[kAtOnce];
#pragma unroll
        for (int k = 0; k < kAtOnce; ++k) {
            if (first + k * step < n) {
                const auto at = offsets(static_cast<Index>(first + k * step), walk);
                to[k] = at.of[0];
                value[k] = in[at.of[1]];
            }
        }
#pragma unroll
        for (int k = 0; k < kAtOnce; ++k)
            if (first + k * step < n) out[to[k]] = Convert<Out, In>::from(value[k]);
    }
}

// `in` is contiguous along a dimension of `rows` elements and steps by `in_step` along one of `cols`; `out` is contiguous
// along the one of `cols` and steps by `out_step` along the one of `rows`. `batch` walks what is left, `count` of them.
// Blocks are (32, 8).
template <class Out, class In>
__global__ void __launch_bounds__(kCopyThreads)
copy_tiled(Out* __restrict__ out, const In* __restrict__ in, int64 rows, int64 cols, int64 out_step, int64 in_step,
           int64 count, Walk<2> batch) {
    constexpr int kSide = sizeof(In) <= 2 ? 64 : 32;
    __shared__ In tile[kSide][kSide + (sizeof(In) < 4 ? 4 / sizeof(In) : 1)];
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    // Tiles are counted in 32 bits: 2^32 of them would fill more memory than there is, and int64 divisions spill
    const unsigned across = (cols + kSide - 1) / kSide, each = across * unsigned((rows + kSide - 1) / kSide);
    const unsigned tiles = each * unsigned(count);
    for (unsigned t = blockIdx.x; t < tiles; t += gridDim.x) {
        const unsigned plane = t / each, left = t - plane * each;
        const int64 row = int64(left / across) * kSide, col = int64(left % across) * kSide;
        const auto base = offsets_as<int64>(plane, batch);
        const In* from = in + base.of[1] + row + x + (col + y) * in_step;
        Out* to = out + base.of[0] + col + x + (row + y) * out_step;
        const bool whole = row + kSide <= rows && col + kSide <= cols;
#pragma unroll
        for (int c = 0; c < kSide; c += 8, from += 8 * in_step)
#pragma unroll
            for (int r = 0; r < kSide; r += 32)
                if (whole || (row + r + x < rows && col + c + y < cols)) tile[c + y][r + x] = from[r];
        __syncthreads();
#pragma unroll
        for (int r = 0; r < kSide; r += 8, to += 8 * out_step)
#pragma unroll
            for (int c = 0; c < kSide; c += 32)
                if (whole || (row + r + y < rows && col + c + x < cols)) to[c] = Convert<Out, In>::from(tile[c + x][r + y]);
        __syncthreads();
    }
}

// ---- Fills -----------------------------------------------------------------------------------------------------------

template <class T, int W> __global__ void __launch_bounds__(kCopyThreads) fill_flat(int64 n, T* __restrict__ out, T value) {
    Pack<T, W> pack;
#pragma unroll
    for (int w = 0; w < W; ++w) pack.item[w] = value;
    GPUGRAD_GRID_LOOP(i, n / W) store_pack<W>(out + i * W, pack);
    const int64 tail = n / W * W + global_thread();
    if (tail < n) out[tail] = value;
}

template <class T, class Index>
__global__ void __launch_bounds__(kCopyThreads) fill_strided(int64 n, T* __restrict__ out, Walk<1> walk, T value) {
    GPUGRAD_GRID_LOOP(i, n) out[offsets(static_cast<Index>(i), walk).of[0]] = value;
}

// ---- Numbers in a row ------------------------------------------------------------------------------------------------

// Rounded after each operation, as on the host: no fused multiply-add.
__device__ __forceinline__ int64 in_row(int64 start, int64 step, int64 i) { return start + step * i; }
__device__ __forceinline__ float in_row(float start, float step, int64 i) { return __fadd_rn(start, __fmul_rn(step, i)); }
__device__ __forceinline__ double in_row(double start, double step, int64 i) {
    return __dadd_rn(start, __dmul_rn(step, i));
}

// `first`, `first + step`, ... for the first `half` elements; the others are counted back from `last`.
template <class T, class W>
__global__ void __launch_bounds__(kCopyThreads)
fill_sequence(int64 n, T* __restrict__ out, int64 half, W first, W last, W step) {
    GPUGRAD_GRID_LOOP(i, n) {
        out[i] = Convert<T, W>::from(i < half ? in_row(first, step, i) : in_row(last, -step, n - 1 - i));
    }
}

// ---- Parts side by side ----------------------------------------------------------------------------------------------

constexpr int kParts = 32;

// Part p has columns end[p - 1] to end[p] of the `cols` columns of the output, from `first` (that of part 0) on.
template <class T> struct Parts {
    int64 count, first;
    const T* data[kParts];
    int64 end[kParts];
};

template <class T, class Index>
__global__ void __launch_bounds__(kCopyThreads)
join_columns(T* __restrict__ out, int64 rows, int64 cols, Parts<T> parts) {
    const int64 wide = parts.end[parts.count - 1] - parts.first;
    GPUGRAD_GRID_LOOP(i, rows * wide) {
        const Index row = static_cast<Index>(i) / static_cast<Index>(wide);
        const int64 col = parts.first + (i - static_cast<int64>(row) * wide);
        int low = 0, high = static_cast<int>(parts.count) - 1;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (col < parts.end[middle]) high = middle;
            else low = middle + 1;
        }
        const int64 begin = low ? parts.end[low - 1] : parts.first;
        out[row * cols + col] = parts.data[low][row * (parts.end[low] - begin) + col - begin];
    }
}

// ---- Borders ---------------------------------------------------------------------------------------------------------

enum Border : int { kConstant, kReflect, kReplicate, kCircular };

// The place in a dimension of `size` elements that place `at`, perhaps beyond its ends, is read from; -1: from nowhere.
template <int BORDER> __device__ __forceinline__ int64 source_of(int64 at, int64 size) {
    if (BORDER == kConstant) return at >= 0 && at < size ? at : -1;
    if (BORDER == kReplicate) return at < 0 ? 0 : at < size ? at : size - 1;
    if (BORDER == kCircular) return at < 0 ? at + size : at < size ? at : at - size;
    const int64 folded = at < 0 ? -at : at;
    return folded < size ? folded : 2 * (size - 1) - folded;
}

// Per dimension: the sizes of output and input, how far the input is shifted, the input's stride.
struct Frame {
    int64 dims;
    int64 size[kWalkDims], from[kWalkDims], before[kWalkDims], stride[kWalkDims];
};

template <class T, int BORDER, class Index>
__global__ void __launch_bounds__(kCopyThreads)
copy_bordered(int64 n, T* __restrict__ out, const T* __restrict__ in, Frame frame, T value) {
    GPUGRAD_GRID_LOOP(i, n) {
        Index rest = static_cast<Index>(i);
        int64 place = 0;
        bool inside = true;
        for (int d = static_cast<int>(frame.dims) - 1; d >= 0; --d) {
            const Index next = rest / static_cast<Index>(frame.size[d]);
            const int64 at = rest - next * static_cast<Index>(frame.size[d]);
            const int64 source = source_of<BORDER>(at - frame.before[d], frame.from[d]);
            inside = inside && source >= 0;
            place += source * frame.stride[d];
            rest = next;
        }
        out[i] = inside ? in[place] : value;
    }
}

// dx (outer, size, inner) from g (outer, padded, inner), `before` places of which lie ahead of dx[:, first]; the `kept`
// elements from `first` on were read, those before and behind were cropped (only kCircular has any).
template <class T, int BORDER>
__global__ void __launch_bounds__(kCopyThreads)
fold_border(int64 n, T* __restrict__ dx, const T* __restrict__ g, int64 size, int64 padded, int64 inner, int64 before,
            int64 first, int64 kept) {
    GPUGRAD_GRID_LOOP(i, n) {
        const int64 line = i / inner, column = i - line * inner, outer = line / size, at = line - outer * size - first;
        const T* source = g + outer * padded * inner + column;
        Compute<T> total = 0;
        const auto add = [&](int64 place) {
            if (place >= 0 && place < padded) total += widen(source[place * inner]);
        };
        if (at >= 0 && at < kept) {
            if (BORDER == kReplicate) {
                const int64 low = at == 0 ? 0 : before + at, high = at == kept - 1 ? padded - 1 : before + at;
                for (int64 p = low; p <= high; ++p) add(p);
            } else {
                add(before + at);
                if (BORDER == kReflect && at > 0) add(before - at);
                if (BORDER == kReflect && at < kept - 1) add(before + 2 * (kept - 1) - at);
                if (BORDER == kCircular) add(before + at - kept);
                if (BORDER == kCircular) add(before + at + kept);
            }
        }
        dx[i] = narrow<T>(total);
    }
}

// ---- Triangles -------------------------------------------------------------------------------------------------------

// Keeps what has column - row <= diagonal (LOWER), or >= diagonal.
template <class T, bool LOWER>
__global__ void __launch_bounds__(kCopyThreads)
triangle(int64 n, T* __restrict__ out, const T* __restrict__ in, int64 rows, int64 cols, int64 diagonal) {
    GPUGRAD_GRID_LOOP(i, n) {
        const int64 line = i / cols, apart = i - line * cols - line % rows;
        out[i] = (LOWER ? apart <= diagonal : apart >= diagonal) ? in[i] : T(0);
    }
}

}  // namespace gpugrad
