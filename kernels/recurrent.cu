// A step of a recurrent layer, all but its matrix product, and the gradients of one.
//
//   q = the product of the states and the weights, plus b
//   rnn_step    h = tanh(x + q), or its positive part
//   lstm_step   i, f, a, o = sigmoid, sigmoid, tanh, sigmoid of x + q;  c = f c + i a;  h = o tanh(c)
//   gru_step    r, z = sigmoid(x + q);  n = tanh(x + r q);  h = n + z (h - n)
//   *_backward  the gradients of what a step added up, from those of the h (and c) that it made
//
// Layout: rows of H elements, gates side by side (rows, 4 H) or (rows, 3 H) in PyTorch's order, all contiguous. `state`,
// `cell` and their gradients are those of all sequences, of which the first rows take part: they are read and written in
// place, by one thread.
// Numerics: float and double; the launcher widens half precision for the whole layer. sigmoid(x) is (1 + tanh(x / 2)) / 2.
// Geometry: an element of the state a thread and pass; blocks of 256.
// Bytes moved: every array once.
#include "common.cuh"

namespace gpugrad {

constexpr int kRecurrentThreads = 256;

__device__ __forceinline__ float tangent(float x) { return tanhf(x); }
__device__ __forceinline__ double tangent(double x) { return tanh(x); }
template <class T> __device__ __forceinline__ T sigmoid_by_tangent(T x) {
    return tangent(x * T(0.5)) * T(0.5) + T(0.5);
}

// Element `e` of (rows, H) within gates of `count` parts.
struct Gate {
    int64 first, j;  // that of its first part; its column
    __device__ __forceinline__ Gate(int64 e, int64 size, int count) {
        const int64 row = e / size;
        j = e - row * size;
        first = row * size * count + j;
    }
};

template <class T> __device__ __forceinline__ T plus_bias(T value, const T* bias, int64 at) {
    return bias == nullptr ? value : value + bias[at];
}

// The gradient of h: that which comes from the step behind, and that of the output.
template <class T> __device__ __forceinline__ T arrived(const T* dh, const T* g, int64 e) {
    return g == nullptr ? dh[e] : dh[e] + g[e];
}

// ---- plain -----------------------------------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(kRecurrentThreads)
rnn_step(int64 n, int64 size, const T* __restrict__ product, const T* __restrict__ x, const T* __restrict__ bias,
         T* __restrict__ state, T* __restrict__ out, bool relu) {
    GPUGRAD_GRID_LOOP(e, n) {
        const T sum = plus_bias(product[e] + x[e], bias, e % size);
        const T h = relu ? (sum > T(0) || sum != sum ? sum : T(0)) : tangent(sum);
        out[e] = h;
        state[e] = h;
    }
}

template <class T>
__global__ void __launch_bounds__(kRecurrentThreads)
rnn_step_backward(int64 n, const T* __restrict__ dh, const T* __restrict__ g, const T* __restrict__ out,
                  T* __restrict__ dx, bool relu) {
    GPUGRAD_GRID_LOOP(e, n) {
        const T h = out[e], slope = relu ? (h > T(0) ? T(1) : T(0)) : T(1) - h * h;
        dx[e] = arrived(dh, g, e) * slope;
    }
}

// ---- LSTM ------------------------------------------------------------------------------------------------------------

// `state` is null where the outputs are yet to be projected.
template <class T>
__global__ void __launch_bounds__(kRecurrentThreads)
lstm_step(int64 n, int64 size, const T* __restrict__ product, const T* __restrict__ x, const T* __restrict__ bias,
          T* __restrict__ state, T* __restrict__ cell, T* __restrict__ gates, T* __restrict__ cells,
          T* __restrict__ out) {
    GPUGRAD_GRID_LOOP(e, n) {
        const Gate at(e, size, 4);
        T gate[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            const int64 here = at.first + k * size;
            const T sum = plus_bias(product[here] + x[here], bias, at.j + k * size);
            gates[here] = gate[k] = k == 2 ? tangent(sum) : sigmoid_by_tangent(sum);
        }
        const T c = gate[1] * cell[e] + gate[0] * gate[2], h = gate[3] * tangent(c);
        cell[e] = cells[e] = c;
        out[e] = h;
        if (state != nullptr) state[e] = h;
    }
}

// `before` are the cells that the step began with; `dc` becomes their gradient.
template <class T>
__global__ void __launch_bounds__(kRecurrentThreads)
lstm_step_backward(int64 n, int64 size, const T* __restrict__ dh, const T* __restrict__ g, T* __restrict__ dc,
                   const T* __restrict__ gates, const T* __restrict__ cells, const T* __restrict__ before,
                   T* __restrict__ dgates) {
    GPUGRAD_GRID_LOOP(e, n) {
        const Gate at(e, size, 4);
        const T i = gates[at.first], f = gates[at.first + size];
        const T a = gates[at.first + 2 * size], o = gates[at.first + 3 * size];
        const T d = arrived(dh, g, e), t = tangent(cells[e]);
        const T dcell = dc[e] + d * o * (T(1) - t * t);
        dgates[at.first] = dcell * a * (i * (T(1) - i));
        dgates[at.first + size] = dcell * before[e] * (f * (T(1) - f));
        dgates[at.first + 2 * size] = dcell * i * (T(1) - a * a);
        dgates[at.first + 3 * size] = d * t * (o * (T(1) - o));
        dc[e] = dcell * f;
    }
}

// ---- GRU -------------------------------------------------------------------------------------------------------------

// `kept` (rows, 4 H) are r, z, n and the q of n: what the gradients need.
template <class T>
__global__ void __launch_bounds__(kRecurrentThreads)
gru_step(int64 n, int64 size, const T* __restrict__ product, const T* __restrict__ x, const T* __restrict__ bias,
         T* __restrict__ state, T* __restrict__ kept, T* __restrict__ out) {
    GPUGRAD_GRID_LOOP(e, n) {
        const Gate at(e, size, 3), to(e, size, 4);
        T q[3];
#pragma unroll
        for (int k = 0; k < 3; ++k) q[k] = plus_bias(product[at.first + k * size], bias, at.j + k * size);
        const T r = sigmoid_by_tangent(q[0] + x[at.first]), z = sigmoid_by_tangent(q[1] + x[at.first + size]);
        const T fresh = tangent(r * q[2] + x[at.first + 2 * size]);
        const T h = (state[e] - fresh) * z + fresh;
        kept[to.first] = r, kept[to.first + size] = z;
        kept[to.first + 2 * size] = fresh, kept[to.first + 3 * size] = q[2];
        out[e] = h;
        state[e] = h;
    }
}

// `dh` becomes what reaches the state but through the product.
template <class T>
__global__ void __launch_bounds__(kRecurrentThreads)
gru_step_backward(int64 n, int64 size, T* __restrict__ dh, const T* __restrict__ g, const T* __restrict__ kept,
                  const T* __restrict__ before, T* __restrict__ dx, T* __restrict__ dproduct) {
    GPUGRAD_GRID_LOOP(e, n) {
        const Gate at(e, size, 3), from(e, size, 4);
        const T r = kept[from.first], z = kept[from.first + size];
        const T fresh = kept[from.first + 2 * size], inner = kept[from.first + 3 * size];
        const T d = arrived<T>(dh, g, e);
        const T dn = d * (T(1) - z) * (T(1) - fresh * fresh);
        const T dr = dn * inner * r * (T(1) - r), dz = d * (before[e] - fresh) * z * (T(1) - z);
        dx[at.first] = dproduct[at.first] = dr;
        dx[at.first + size] = dproduct[at.first + size] = dz;
        dx[at.first + 2 * size] = dn;
        dproduct[at.first + 2 * size] = dn * r;
        dh[e] = d * z;
    }
}

}  // namespace gpugrad
