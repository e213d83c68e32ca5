// Elementwise formulas: the loops around a formula that gpugrad/cuda/printing.py prints as
//
//   struct Formula0 { static __device__ __forceinline__ Values<float> apply(float x0, float x1) { ... } };
//
// An input is an array (`const T*`), one element in device memory that stands for all (`Single<T>`), or a number passed
// by value (`T`). Up to three outputs, of one shape. Arithmetic is in Compute<T>: float32 for float16 and bfloat16.
//
// map_flat      all arrays contiguous and of the outputs' shape. W elements (16 bytes) to a load, L loads of each input
//               in flight; grid.x blocks of 256 threads take tiles of 256 * W * L elements in turn. W is 1 where an
//               array is not aligned; L is 1, and W too, for long formulas, which are bound by arithmetic.
// map_strided   anything else that broadcasts, up to 8 dimensions (neighbours that can be are merged on the host): W
//               neighbours along the last dimension form a group, their place in each input from the index of the first,
//               with a division for each dimension but one; L groups a thread and pass, 1 or 2. An input is read W
//               elements at once where it is contiguous there, once where it is repeated. W is 1 unless it divides the
//               last dimension and every contiguous row starts on its boundary. `Index` is unsigned where all fits in
//               it: 32-bit divisions.
//
// Bytes moved: each input and the outputs once; a broadcast input comes from the caches.
// Measured on an H200, in parts of a copy's rate: exp, SiLU and GELU 0.96 to 0.97 (GELU in bfloat16 too), add 1.02,
// bias add 0.98. A block takes one tile: blocks that go round, eight to a multiprocessor, came to 0.86 for exp.
#include "common.cuh"
#include "math.cuh"
#include "special.cuh"

namespace gpugrad {

constexpr int kMapThreads = 256, kMaxDims = 8;

// ---- what a formula returns, and where it goes -----------------------------------------------------------------------

template <class... C> struct Values {};
template <class C, class... Rest> struct Values<C, Rest...> {
    C first;
    Values<Rest...> rest;
};

template <class... Out> struct Outputs {};
template <class Out, class... Rest> struct Outputs<Out, Rest...> {
    Out* first;
    Outputs<Rest...> rest;
};

template <int W, class... C> __device__ __forceinline__ void store_values(Outputs<>, int64, const Values<C...> (&)[W]) {}

template <int W, class Out, class... Outs, class C, class... Rest>
__device__ __forceinline__ void store_values(Outputs<Out, Outs...> out, int64 at, const Values<C, Rest...> (&values)[W]) {
    Pack<Out, W> pack;
    Values<Rest...> rest[W];
#pragma unroll
    for (int w = 0; w < W; ++w) {
        pack.item[w] = narrow<Out>(values[w].first);
        rest[w] = values[w].rest;
    }
    store_pack<W>(out.first + at, pack);
    store_values<W>(out.rest, at, rest);
}

// ---- inputs ----------------------------------------------------------------------------------------------------------

template <class T> struct Single {
    const T* element;
};

// `load` reads what W neighbours need, and may be repeated before anything is used; `at` is one of them as arithmetic
// takes it. `step` is the distance of neighbours: 1, or anything with W loads.
template <class T> struct Input {  // a number
    template <int W> struct Loaded {
        T number;
        __device__ __forceinline__ T at(int) const { return number; }
    };
    template <int W> static __device__ __forceinline__ Loaded<W> load(T number, int64) { return {number}; }
    template <int W> static __device__ __forceinline__ Loaded<W> load(T number, int64, int64) { return {number}; }
};

template <class T> struct Input<Single<T>> {
    using C = Compute<T>;
    template <int W> using Loaded = typename Input<C>::template Loaded<W>;
    template <int W> static __device__ __forceinline__ Loaded<W> load(Single<T> x, int64) { return {widen(*x.element)}; }
};

template <class T> struct Input<const T*> {
    using C = Compute<T>;
    template <int W> struct Loaded {
        Pack<T, W> pack;
        __device__ __forceinline__ C at(int w) const { return widen(pack.item[w]); }
    };
    template <int W> static __device__ __forceinline__ Loaded<W> load(const T* x, int64 first) {
        return {load_pack<W>(x + first)};
    }
    template <int W> static __device__ __forceinline__ Loaded<W> load(const T* x, int64 first, int64 step) {
        if (W == 1 || step == 1) return load<W>(x, first);
        Loaded<W> made;
#pragma unroll
        for (int w = 0; w < W; ++w) made.pack.item[w] = x[first + w * step];
        return made;
    }
};

template <class F, int W, class... Out, class... Loaded>
__device__ __forceinline__ void apply_and_store(Outputs<Out...> out, int64 at, const Loaded&... in) {
    decltype(F::apply(in.at(0)...)) values[W];
#pragma unroll
    for (int w = 0; w < W; ++w) values[w] = F::apply(in.at(w)...);
    store_values<W>(out, at, values);
}

// ---- contiguous arrays -----------------------------------------------------------------------------------------------

template <int W, int L, class Loaded> struct InFlight {
    Loaded each[L];
};

template <class In, int W, int L> __device__ __forceinline__ auto load_tile(In in, int64 first) {
    InFlight<W, L, typename Input<In>::template Loaded<W>> tile;
#pragma unroll
    for (int l = 0; l < L; ++l) tile.each[l] = Input<In>::template load<W>(in, first + l * (kMapThreads * W));
    return tile;
}

template <class F, int W, int L, class... Out, class... Tile>
__device__ __forceinline__ void finish_tile(Outputs<Out...> out, int64 first, const Tile&... tile) {
#pragma unroll
    for (int l = 0; l < L; ++l) apply_and_store<F, W>(out, first + l * (kMapThreads * W), tile.each[l]...);
}

template <class F, int W, int L, class... Out, class... In>
__device__ __forceinline__ void flat_loop(int64 n, Outputs<Out...> out, In... in) {
    constexpr int kTile = kMapThreads * W * L;
    const int64 stride = static_cast<int64>(gridDim.x) * kTile;
    for (int64 start = static_cast<int64>(blockIdx.x) * kTile; start < n; start += stride) {
        const int64 first = start + threadIdx.x * W;
        if (start + kTile <= n) {
            finish_tile<F, W, L>(out, first, load_tile<In, W, L>(in, first)...);
        } else {
            for (int64 i = start + threadIdx.x; i < n; i += kMapThreads)
                apply_and_store<F, 1>(out, i, Input<In>::template load<1>(in, i)...);
        }
    }
}

// ---- any other layout ------------------------------------------------------------------------------------------------

// Sizes of the dimensions, the last varying fastest and counted in groups of W, and the strides of each input in elements.
template <int INPUTS> struct Axes {
    int64 count;
    int64 size[kMaxDims];
    int64 stride[INPUTS][kMaxDims];
    int64 step[INPUTS];  // of neighbours along the last dimension
};

template <int... K> struct Places {};
template <int N, int... K> struct CountTo : CountTo<N - 1, N - 1, K...> {};
template <int... K> struct CountTo<0, K...> {
    using type = Places<K...>;
};

// How far a group's first element lies from the first of all, in each input.
template <int INPUTS> struct Reach {
    int64 offset[INPUTS] = {};

    template <class Index> __device__ __forceinline__ Reach(Index group, const Axes<INPUTS>& axes) {
#pragma unroll 1  // there is mostly one
        for (int d = static_cast<int>(axes.count) - 1; d > 0; --d) {
            const auto size = static_cast<Index>(axes.size[d]);
            const Index next = group / size;
            move(group - next * size, d, axes);
            group = next;
        }
        move(group, 0, axes);  // nothing lies beyond the first dimension: no division
    }
    template <class Index> __device__ __forceinline__ void move(Index by, int d, const Axes<INPUTS>& axes) {
#pragma unroll
        for (int k = 0; k < INPUTS; ++k) offset[k] += static_cast<int64>(by) * axes.stride[k][d];
    }
};

template <class In, int W, int L, int INPUTS>
__device__ __forceinline__ auto load_groups(In in, const Reach<INPUTS> (&reach)[L], int k, int64 step) {
    InFlight<W, L, typename Input<In>::template Loaded<W>> groups;
#pragma unroll
    for (int l = 0; l < L; ++l) groups.each[l] = Input<In>::template load<W>(in, reach[l].offset[k], step);
    return groups;
}

template <class F, int W, int L, class... Out, class... Groups>
__device__ __forceinline__ void finish_groups(Outputs<Out...> out, int64 first, const Groups&... groups) {
#pragma unroll
    for (int l = 0; l < L; ++l) apply_and_store<F, W>(out, (first + l * kMapThreads) * W, groups.each[l]...);
}

// L groups, kMapThreads apart.
template <class F, class Index, int W, int L, class... Out, int... K, class... In>
__device__ __forceinline__ void map_groups(
    int64 first, Outputs<Out...> out, const Axes<sizeof...(In)>& axes, Places<K...>, In... in) {
    using At = Reach<sizeof...(In)>;
    if constexpr (L == 1) {
        const At reach[] = {At(static_cast<Index>(first), axes)};
        finish_groups<F, W, L>(out, first, load_groups<In, W>(in, reach, K, axes.step[K])...);
    } else {
        static_assert(L == 2);
        const At reach[] = {At(static_cast<Index>(first), axes), At(static_cast<Index>(first + kMapThreads), axes)};
        finish_groups<F, W, L>(out, first, load_groups<In, W>(in, reach, K, axes.step[K])...);
    }
}

template <class F, class Index, int W, int L, class... Out, class... In>
__device__ __forceinline__ void strided_loop(int64 n, Outputs<Out...> out, const Axes<sizeof...(In)>& axes, In... in) {
    const typename CountTo<static_cast<int>(sizeof...(In))>::type places;
    const int64 stride = static_cast<int64>(gridDim.x) * (kMapThreads * L);
    int64 group = static_cast<int64>(blockIdx.x) * (kMapThreads * L) + threadIdx.x;
    for (; group + (L - 1) * kMapThreads < n; group += stride) map_groups<F, Index, W, L>(group, out, axes, places, in...);
    if (group < n) map_groups<F, Index, W, 1>(group, out, axes, places, in...);
}

// ---- kernels, by the number of outputs -------------------------------------------------------------------------------

template <class F, int W, int L, class A, class... In>
__global__ void __launch_bounds__(kMapThreads, 2) map_flat(int64 n, A* a, In... in) {
    flat_loop<F, W, L>(n, Outputs<A>{a, {}}, in...);
}
template <class F, int W, int L, class A, class B, class... In>
__global__ void __launch_bounds__(kMapThreads, 2) map_flat_2(int64 n, A* a, B* b, In... in) {
    flat_loop<F, W, L>(n, Outputs<A, B>{a, {b, {}}}, in...);
}
template <class F, int W, int L, class A, class B, class D, class... In>
__global__ void __launch_bounds__(kMapThreads, 2) map_flat_3(int64 n, A* a, B* b, D* d, In... in) {
    flat_loop<F, W, L>(n, Outputs<A, B, D>{a, {b, {d, {}}}}, in...);
}

template <class F, class Index, int W, int L, class A, class... In>
__global__ void __launch_bounds__(kMapThreads, 2) map_strided(int64 n, Axes<sizeof...(In)> axes, A* a, In... in) {
    strided_loop<F, Index, W, L>(n, Outputs<A>{a, {}}, axes, in...);
}
template <class F, class Index, int W, int L, class A, class B, class... In>
__global__ void __launch_bounds__(kMapThreads, 2) map_strided_2(int64 n, Axes<sizeof...(In)> axes, A* a, B* b, In... in) {
    strided_loop<F, Index, W, L>(n, Outputs<A, B>{a, {b, {}}}, axes, in...);
}
template <class F, class Index, int W, int L, class A, class B, class D, class... In>
__global__ void __launch_bounds__(kMapThreads, 2) map_strided_3(
    int64 n, Axes<sizeof...(In)> axes, A* a, B* b, D* d, In... in) {
    strided_loop<F, Index, W, L>(n, Outputs<A, B, D>{a, {b, {d, {}}}}, axes, in...);
}

}  // namespace gpugrad
