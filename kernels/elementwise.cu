// Elementwise formulas: the loops around a formula that gpugrad/cuda/elementwise.py prints as
//
//   struct Formula { static __device__ __forceinline__ auto apply(float x0, float x1) { ... } };
//
// An input is an array (`const T*`), one element in device memory that stands for all (`Single<T>`), or a number passed
// by value (`T`). Arithmetic is in Compute<T>: float32 for float16 and bfloat16.
//
// map_flat      all arrays contiguous and of the output's shape. W elements (16 bytes) to a load, four loads of each
//               input in flight; grid.x blocks of 256 threads take tiles of 256 * W * 4 elements in turn. W is 1 where an
//               array is not aligned.
// map_strided   anything else that broadcasts, up to 8 dimensions (neighbours that can be are merged on the host): one
//               element a thread and pass, its place in each input from its index. `Index` is int where all fits in it.
//
// Bytes moved: each input and the output once; a broadcast input comes from the caches.
#include "common.cuh"
#include "math.cuh"

namespace gpugrad {

constexpr int kMapThreads = 256, kInFlight = 4, kMaxDims = 8;

template <class T> struct Single {
    const T* element;
};

template <class C, int W> struct Tile {
    C item[kInFlight][W];
};

template <class T> struct Input {  // a number
    template <class Index> static __device__ __forceinline__ T read(T number, Index) { return number; }
    template <int W> static __device__ __forceinline__ Tile<T, W> tile(T number, int64) {
        Tile<T, W> all;
#pragma unroll
        for (int k = 0; k < kInFlight; ++k)
#pragma unroll
            for (int w = 0; w < W; ++w) all.item[k][w] = number;
        return all;
    }
};

template <class T> struct Input<Single<T>> {
    using C = Compute<T>;
    template <class Index> static __device__ __forceinline__ C read(Single<T> x, Index) { return widen(*x.element); }
    template <int W> static __device__ __forceinline__ Tile<C, W> tile(Single<T> x, int64) {
        return Input<C>::template tile<W>(widen(*x.element), 0);
    }
};

template <class T> struct Input<const T*> {
    using C = Compute<T>;
    template <class Index> static __device__ __forceinline__ C read(const T* x, Index i) { return widen(x[i]); }
    template <int W> static __device__ __forceinline__ Tile<C, W> tile(const T* x, int64 first) {
        Pack<T, W> packs[kInFlight];
#pragma unroll
        for (int k = 0; k < kInFlight; ++k) packs[k] = load_pack<W>(x + first + k * kMapThreads * W);
        Tile<C, W> all;
#pragma unroll
        for (int k = 0; k < kInFlight; ++k)
#pragma unroll
            for (int w = 0; w < W; ++w) all.item[k][w] = widen(packs[k].item[w]);
        return all;
    }
};

template <class F, int W, class Out, class... C>
__device__ __forceinline__ void write_tile(Out* out, const Tile<C, W>&... in) {
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) {
        Pack<Out, W> pack;
#pragma unroll
        for (int w = 0; w < W; ++w) pack.item[w] = narrow<Out>(F::apply(in.item[k][w]...));
        store_pack<W>(out + k * kMapThreads * W, pack);
    }
}

template <class F, int W, class Out, class... In>
__global__ void __launch_bounds__(kMapThreads) map_flat(int64 n, Out* __restrict__ out, In... in) {
    constexpr int kTile = kMapThreads * W * kInFlight;
    for (int64 start = static_cast<int64>(blockIdx.x) * kTile; start < n; start += static_cast<int64>(gridDim.x) * kTile) {
        const int64 first = start + threadIdx.x * W;
        if (start + kTile <= n) {
            write_tile<F, W>(out + first, Input<In>::template tile<W>(in, first)...);
        } else {
            for (int64 i = start + threadIdx.x; i < n; i += kMapThreads) out[i] = narrow<Out>(F::apply(Input<In>::read(in, i)...));
        }
    }
}

// Sizes of the dimensions, the last varying fastest, and the strides of each input in elements.
template <int INPUTS> struct Axes {
    int64 count;
    int64 size[kMaxDims];
    int64 stride[INPUTS][kMaxDims];
};

template <int... K> struct Places {};
template <int N, int... K> struct CountTo : CountTo<N - 1, N - 1, K...> {};
template <int... K> struct CountTo<0, K...> {
    using type = Places<K...>;
};

template <class F, class Index, class Out, int... K, class... In>
__device__ __forceinline__ void map_one(Index i, Out* out, const Axes<sizeof...(In)>& axes, Places<K...>, In... in) {
    Index offset[sizeof...(In)] = {};
    Index rest = i;
    for (int d = static_cast<int>(axes.count) - 1; d >= 0; --d) {
        const auto size = static_cast<Index>(axes.size[d]);
        const Index next = rest / size, at = rest - next * size;
        const Index added[] = {(offset[K] += at * static_cast<Index>(axes.stride[K][d]))...};
        (void)added;
        rest = next;
    }
    out[i] = narrow<Out>(F::apply(Input<In>::read(in, offset[K])...));
}

template <class F, class Index, class Out, class... In>
__global__ void __launch_bounds__(kMapThreads) map_strided(int64 n, Out* __restrict__ out, Axes<sizeof...(In)> axes, In... in) {
    GPUGRAD_GRID_LOOP(i, n)
        map_one<F>(static_cast<Index>(i), out, axes, typename CountTo<static_cast<int>(sizeof...(In))>::type(), in...);
}

}  // namespace gpugrad
