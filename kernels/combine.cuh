// What reductions and scans combine: states, how an element enters one, how two become one, what comes out.
//
// A combiner R has a State (what is known of some of the elements), `identity()` (of none), `lift(x, i)` (of element x
// with index i), `combine(a, b)` (of both; a's elements come first), `finish<C>(state)` (the result) and, where adding
// one element is cheaper than combining, `add(state, x, i)`. `number` is a parameter of the op. Where the order of the
// elements does not matter, nor does that of combining; only rounding depends on it, and kernels keep it fixed.
#pragma once
#include "common.cuh"

namespace gpugrad {

template <class A> __device__ __forceinline__ A magnitude(A x) { return x < A(0) ? -x : x == A(0) ? A(0) : x; }
__device__ __forceinline__ float square_root(float x) { return sqrtf(x); }
__device__ __forceinline__ double square_root(double x) { return sqrt(x); }
__device__ __forceinline__ float power(float x, float y) { return powf(x, y); }
__device__ __forceinline__ double power(double x, double y) { return pow(x, y); }
// Integers wrap around, as they do on the host; signed overflow is undefined in C++.
template <class A> __device__ __forceinline__ A sum_of(A a, A b) { return a + b; }
template <class A> __device__ __forceinline__ A product_of(A a, A b) { return a * b; }
__device__ __forceinline__ int64 sum_of(int64 a, int64 b) {
    return static_cast<int64>(static_cast<uint64>(a) + static_cast<uint64>(b));
}
__device__ __forceinline__ int64 product_of(int64 a, int64 b) {
    return static_cast<int64>(static_cast<uint64>(a) * static_cast<uint64>(b));
}
template <class C> __device__ __forceinline__ bool is_nan(C x) { return x != x; }

// The least and the largest value of a type, infinities included.
template <class C> __device__ __forceinline__ C lowest() {
    return static_cast<C>(-1) < C(0) ? static_cast<C>(1ull << (sizeof(C) * 8 - 1)) : C(0);
}
template <> __device__ __forceinline__ float lowest<float>() { return -infinity<float>(); }
template <> __device__ __forceinline__ double lowest<double>() { return -infinity<double>(); }
template <class C> __device__ __forceinline__ C highest() { return static_cast<C>(~lowest<C>()); }
template <> __device__ __forceinline__ bool highest<bool>() { return true; }
template <> __device__ __forceinline__ float highest<float>() { return infinity<float>(); }
template <> __device__ __forceinline__ double highest<double>() { return infinity<double>(); }

// ---- Blocks of rows of threads: a row of blockDim.x threads to each of blockDim.y items -----------------------------

__device__ __forceinline__ int64 first_of_block() { return static_cast<int64>(blockIdx.x) * blockDim.y; }
__device__ __forceinline__ int64 next_block() { return static_cast<int64>(gridDim.x) * blockDim.y; }

// ---- States, and how lanes pass them on -----------------------------------------------------------------------------

template <class R> using StateOf = typename R::State;

template <class C> struct Found {  // an element and its index; the index is -1 where there is none
    C value;
    int64 index;
};
template <class A> struct Moments {
    A count, mean, squares;  // sum of the squared distances from the mean
};
template <class A> struct ScaledSum {  // total * exp(top)
    A top, total;
};

// `lane(member)` of every member of a state.
template <class S, class F> __device__ __forceinline__ S lanewise(S s, F lane) { return lane(s); }
template <class C, class F> __device__ __forceinline__ Found<C> lanewise(Found<C> s, F lane) {
    return {lane(s.value), lane(s.index)};
}
template <class A, class F> __device__ __forceinline__ Moments<A> lanewise(Moments<A> s, F lane) {
    return {lane(s.count), lane(s.mean), lane(s.squares)};
}
template <class A, class F> __device__ __forceinline__ ScaledSum<A> lanewise(ScaledSum<A> s, F lane) {
    return {lane(s.top), lane(s.total)};
}

// ---- Sums and products: A is what they are formed in ----------------------------------------------------------------

// R with `identity` and `combine` over plain numbers gets the rest.
template <class R, class A> struct Plain {
    using State = A;
    A number;
    template <class C> __device__ __forceinline__ A lift(C x, int64) const { return static_cast<A>(x); }
    template <class C> __device__ __forceinline__ void add(A& s, C x, int64 i) const {
        const R& self = static_cast<const R&>(*this);
        s = self.combine(s, self.lift(x, i));
    }
    template <class C> __device__ __forceinline__ C finish(A s) const { return static_cast<C>(s); }
};

template <class A> struct SumOf : Plain<SumOf<A>, A> {
    __device__ __forceinline__ A identity() const { return A(0); }
    __device__ __forceinline__ A combine(A a, A b) const { return sum_of(a, b); }
};
template <class A> struct MeanOf : Plain<MeanOf<A>, A> {  // number: how many there are
    __device__ __forceinline__ A identity() const { return A(0); }
    __device__ __forceinline__ A combine(A a, A b) const { return a + b; }
    template <class C> __device__ __forceinline__ C finish(A s) const { return s / this->number; }
};
template <class A> struct ProductOf : Plain<ProductOf<A>, A> {
    __device__ __forceinline__ A identity() const { return A(1); }
    __device__ __forceinline__ A combine(A a, A b) const { return product_of(a, b); }
};

// ---- Truth and counts -----------------------------------------------------------------------------------------------

template <class A> struct AllOf : Plain<AllOf<A>, A> {
    __device__ __forceinline__ A identity() const { return A(1); }
    __device__ __forceinline__ A combine(A a, A b) const { return a & b; }
    template <class C> __device__ __forceinline__ A lift(C x, int64) const { return A(x != C(0)); }
};
template <class A> struct AnyOf : Plain<AnyOf<A>, A> {
    __device__ __forceinline__ A identity() const { return A(0); }
    __device__ __forceinline__ A combine(A a, A b) const { return a | b; }
    template <class C> __device__ __forceinline__ A lift(C x, int64) const { return A(x != C(0)); }
};
template <class A> struct CountOf : Plain<CountOf<A>, A> {
    __device__ __forceinline__ A identity() const { return A(0); }
    __device__ __forceinline__ A combine(A a, A b) const { return a + b; }
    template <class C> __device__ __forceinline__ A lift(C x, int64) const { return A(x != C(0)); }
};

// ---- Norms ----------------------------------------------------------------------------------------------------------

template <class A> struct AbsoluteSumOf : Plain<AbsoluteSumOf<A>, A> {
    __device__ __forceinline__ A identity() const { return A(0); }
    __device__ __forceinline__ A combine(A a, A b) const { return a + b; }
    __device__ __forceinline__ A lift(A x, int64) const { return magnitude(x); }
};
template <class A> struct EuclideanOf : Plain<EuclideanOf<A>, A> {
    __device__ __forceinline__ A identity() const { return A(0); }
    __device__ __forceinline__ A combine(A a, A b) const { return a + b; }
    __device__ __forceinline__ A lift(A x, int64) const { return x * x; }
    template <class C> __device__ __forceinline__ C finish(A s) const { return square_root(s); }
};
template <class A> struct PowerNormOf : Plain<PowerNormOf<A>, A> {  // number: the order
    __device__ __forceinline__ A identity() const { return A(0); }
    __device__ __forceinline__ A combine(A a, A b) const { return a + b; }
    __device__ __forceinline__ A lift(A x, int64) const { return power(magnitude(x), this->number); }
    template <class C> __device__ __forceinline__ C finish(A s) const { return power(s, A(1) / this->number); }
};

// ---- Extremes: a NaN wins -------------------------------------------------------------------------------------------

template <class C> struct MaxOf : Plain<MaxOf<C>, C> {
    __device__ __forceinline__ C identity() const { return lowest<C>(); }
    __device__ __forceinline__ C combine(C a, C b) const { return a > b || is_nan(a) ? a : b; }
};
template <class C> struct MinOf : Plain<MinOf<C>, C> {
    __device__ __forceinline__ C identity() const { return highest<C>(); }
    __device__ __forceinline__ C combine(C a, C b) const { return a < b || is_nan(a) ? a : b; }
};
template <class C> struct LargestMagnitudeOf : Plain<LargestMagnitudeOf<C>, C> {
    __device__ __forceinline__ C identity() const { return C(0); }
    __device__ __forceinline__ C combine(C a, C b) const { return a > b || is_nan(a) ? a : b; }
    __device__ __forceinline__ C lift(C x, int64) const { return magnitude(x); }
};
template <class C> struct LeastMagnitudeOf : Plain<LeastMagnitudeOf<C>, C> {
    __device__ __forceinline__ C identity() const { return highest<C>(); }
    __device__ __forceinline__ C combine(C a, C b) const { return a < b || is_nan(a) ? a : b; }
    __device__ __forceinline__ C lift(C x, int64) const { return magnitude(x); }
};

// Where the extreme is: the first of equal ones, or with LAST the last.
template <class C, bool LARGEST, bool LAST> struct PlaceOf {
    using State = Found<C>;
    C number;
    __device__ __forceinline__ State identity() const { return {LARGEST ? lowest<C>() : highest<C>(), -1}; }
    __device__ __forceinline__ State lift(C x, int64 i) const { return {x, i}; }
    __device__ __forceinline__ void add(State& s, C x, int64 i) const { s = combine(s, lift(x, i)); }
    __device__ __forceinline__ State combine(State a, State b) const {
        if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
        const bool both = is_nan(a.value) && is_nan(b.value);
        if (both || a.value == b.value) return (a.index < b.index) == LAST ? b : a;
        if (is_nan(a.value) || is_nan(b.value)) return is_nan(a.value) ? a : b;
        return (a.value > b.value) == LARGEST ? a : b;
    }
    template <class Out> __device__ __forceinline__ Out finish(State s) const { return static_cast<Out>(s.index); }
};

// ---- Variance: Welford's, so that one pass does ---------------------------------------------------------------------

template <class A> struct VarianceOf {  // number: the degrees of freedom
    using State = Moments<A>;
    A number;
    __device__ __forceinline__ State identity() const { return {A(0), A(0), A(0)}; }
    __device__ __forceinline__ State lift(A x, int64) const { return {A(1), x, x - x}; }
    __device__ __forceinline__ void add(State& s, A x, int64) const {
        s.count += A(1);
        const A off = x - s.mean;
        s.mean += off / s.count;
        s.squares += off * (x - s.mean);
    }
    __device__ __forceinline__ State combine(State a, State b) const {
        if (a.count == A(0)) return b;
        if (b.count == A(0)) return a;
        const A count = a.count + b.count, off = b.mean - a.mean, share = b.count / count;
        return {count, a.mean + off * share, a.squares + b.squares + off * off * (a.count * share)};
    }
    template <class C> __device__ __forceinline__ C finish(State s) const { return s.squares / number; }
};
template <class A> struct DeviationOf : VarianceOf<A> {
    template <class C> __device__ __forceinline__ C finish(Moments<A> s) const {
        return square_root(s.squares / this->number);
    }
};

// ---- The logarithm of a sum of exponentials: scaled anew when a larger element comes --------------------------------

template <class A> struct LogSumExpOf {
    using State = ScaledSum<A>;
    A number;
    __device__ __forceinline__ State identity() const { return {-infinity<A>(), A(0)}; }
    __device__ __forceinline__ State lift(A x, int64) const { return {x, x == -infinity<A>() ? A(0) : A(1)}; }
    __device__ __forceinline__ void add(State& s, A x, int64 i) const { s = combine(s, lift(x, i)); }
    __device__ __forceinline__ State combine(State a, State b) const {
        if (b.top == a.top) return {a.top, a.total + b.total};  // infinite ones too, whose difference is NaN
        const bool falls = b.top < a.top;
        const A scale = exponential(falls ? b.top - a.top : a.top - b.top);
        return falls ? State{a.top, a.total + b.total * scale} : State{b.top, a.total * scale + b.total};
    }
    template <class C> __device__ __forceinline__ C finish(State s) const { return logarithm(s.total) + s.top; }
};

}  // namespace gpugrad
