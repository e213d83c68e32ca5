// One step of an optimizer for many parameters in one launch. gpugrad/ops/optimizer_updates.py and its
// neighbour state each formula.
//
// update<Rule, T>   `tensors` lists parameters, gradients and each kind of state, all of dtype T (at most 64 of each), and
//                   single numbers of each, first its step count; a block of 256 threads takes 64 bytes of each list a thread, 16 at a time where all
//                   arrays of a tensor are aligned. Everything but the gradients is written. `lr`, if not null, is the
//                   learning rate, in device memory; the other options travel by value. Nothing is read back, and the last
//                   block to finish moves the numbers on (1 is added to the steps), so that a captured step goes on at each replay: `done` is a word
//                   of device memory that is 0 between launches. If `found`, where it is not null, is not 0, nothing is
//                   written: a gradient has been found infinite or NaN.
// Bytes moved: parameters and states read and written once, gradients read once: 28 bytes a float of Adam.
// Measured on an H200, in parts of a copy's rate: AdamW 0.98.
// Numerics: float32 for float16 and bfloat16, each rounded once; 1 - beta^t as -expm1(t log beta), exact to an ulp or two
// at any t.
#include "tensors.cuh"

namespace gpugrad {

__device__ __forceinline__ float expm1_of(float x) { return expm1f(x); }
__device__ __forceinline__ double expm1_of(double x) { return expm1(x); }

template <class C> __device__ __forceinline__ C larger(C a, C b) { return a > b || a != a ? a : b; }  // a NaN wins

// ---- Rules -----------------------------------------------------------------------------------------------------------
// The options as the host passes them; `rest` of a decay is 1 - decay, taken before it is rounded. `start` makes ready for
// a step (the first is 1), with the learning rate in `rate`; `apply` changes one element: x is the parameter, the gradient,
// the states. A rule with more numbers of each tensor than the step says so in kNumbers; its `start` is given them, and
// its `turn` makes them those of the next step.

template <class Rule> constexpr int kNumbers = 1;

// The gradient to descend.
template <class C> __device__ __forceinline__ C descent(C p, C g, C weight_decay, C maximize) {
    const C signed_g = maximize != C(0) ? -g : g;
    return weight_decay != C(0) ? signed_g + weight_decay * p : signed_g;
}

template <class C, bool MOMENTUM> struct Sgd {
    static constexpr int kLists = MOMENTUM ? 3 : 2;
    C rate, momentum, rest, weight_decay, nesterov, maximize;
    __device__ __forceinline__ void start(C) {}
    __device__ __forceinline__ void apply(C* x) const {
        C g = descent(x[0], x[1], weight_decay, maximize);
        if constexpr (MOMENTUM) {
            C& buffer = x[kLists - 1];
            buffer = momentum * buffer + rest * g;
            g = nesterov != C(0) ? g + momentum * buffer : buffer;
        }
        x[0] -= rate * g;
    }
};

template <class C, bool AMSGRAD> struct Adam {
    static constexpr int kLists = AMSGRAD ? 5 : 4;
    C rate, beta1, rest1, log_beta1, beta2, rest2, log_beta2, eps, weight_decay, decoupled, maximize;
    C shrink, size, inverse_root;  // made by `start`
    __device__ __forceinline__ void start(C step) {
        shrink = decoupled != C(0) ? C(1) - rate * weight_decay : C(1);
        if (decoupled != C(0)) weight_decay = C(0);
        size = rate / -expm1_of(step * log_beta1);
        inverse_root = C(1) / sqrt(-expm1_of(step * log_beta2));
    }
    __device__ __forceinline__ void apply(C* x) const {
        C &p = x[0], &m = x[2], &v = x[3];
        p *= shrink;
        const C g = descent(p, x[1], weight_decay, maximize);
        m = beta1 * m + rest1 * g;
        v = beta2 * v + rest2 * g * g;
        C second = v;
        if constexpr (AMSGRAD) second = x[kLists - 1] = larger(x[kLists - 1], v);
        if (rate != C(0)) p -= size * m / (sqrt(second) * inverse_root + eps);
    }
};

template <class C, bool MOMENTUM, bool CENTERED> struct RmsProp {
    static constexpr int kLists = 3 + MOMENTUM + CENTERED;
    C rate, alpha, rest, eps, weight_decay, momentum, maximize;
    __device__ __forceinline__ void start(C) {}
    __device__ __forceinline__ void apply(C* x) const {
        const C g = descent(x[0], x[1], weight_decay, maximize);
        x[2] = alpha * x[2] + rest * g * g;
        C variance = x[2];
        if constexpr (CENTERED) {
            C& mean = x[kLists - 1];
            mean = alpha * mean + rest * g;
            variance -= mean * mean;
        }
        C move = g / (sqrt(variance) + eps);
        if constexpr (MOMENTUM) move = x[3] = momentum * x[3] + move;
        x[0] -= rate * move;
    }
};

template <class C> struct Adagrad {
    static constexpr int kLists = 3;
    C rate, rate_decay, eps, weight_decay, maximize;
    __device__ __forceinline__ void start(C step) { rate /= C(1) + (step - C(1)) * rate_decay; }
    __device__ __forceinline__ void apply(C* x) const {
        const C g = descent(x[0], x[1], weight_decay, maximize);
        x[2] += g * g;
        x[0] -= rate * g / (sqrt(x[2]) + eps);
    }
};

template <class C> struct Adadelta {
    static constexpr int kLists = 4;
    C rate, rho, rest, eps, weight_decay, maximize;
    __device__ __forceinline__ void start(C) {}
    __device__ __forceinline__ void apply(C* x) const {
        const C g = descent(x[0], x[1], weight_decay, maximize);
        x[2] = rho * x[2] + rest * g * g;
        const C move = sqrt(x[3] + eps) / sqrt(x[2] + eps) * g;
        x[3] = rho * x[3] + rest * move * move;
        x[0] -= rate * move;
    }
};

template <class C> struct Adamax {
    static constexpr int kLists = 4;
    C rate, beta1, rest1, log_beta1, beta2, eps, weight_decay, maximize;
    __device__ __forceinline__ void start(C step) { rate /= -expm1_of(step * log_beta1); }
    __device__ __forceinline__ void apply(C* x) const {
        const C g = descent(x[0], x[1], weight_decay, maximize);
        x[2] = beta1 * x[2] + rest1 * g;
        x[3] = larger(beta2 * x[3], fabs(g) + eps);
        x[0] -= rate * (x[2] / x[3]);
    }
};

template <class C> struct NAdam {
    static constexpr int kLists = 4;
    C rate, beta1, rest1, beta2, rest2, log_beta2, eps, weight_decay, decoupled, maximize, momentum_decay;
    C now, ahead, shrink, inverse;  // made by `start`
    __device__ __forceinline__ double momentum(double step) const {  // 0.96^x is exp(x log(0.96))
        return beta1 * (1 - 0.5 * exp(step * momentum_decay * -0.040821994520255166));
    }
    __device__ __forceinline__ void start(C step, float product) {
        const double mu = momentum(step), following = momentum(step + 1);
        const double so_far = product * static_cast<float>(mu);
        now = static_cast<C>((1 - mu) / (1 - so_far));
        ahead = static_cast<C>(following / (1 - so_far * following));
        shrink = decoupled != C(0) ? C(1) - rate * weight_decay : C(1);
        if (decoupled != C(0)) weight_decay = C(0);
        inverse = C(1) / -expm1_of(step * log_beta2);
    }
    __device__ __forceinline__ void apply(C* x) const {
        C &p = x[0], &m = x[2], &v = x[3];
        p *= shrink;
        const C g = descent(p, x[1], weight_decay, maximize);
        m = beta1 * m + rest1 * g;
        v = beta2 * v + rest2 * g * g;
        p -= rate * (now * g + ahead * m) / (sqrt(v * inverse) + eps);
    }
    __device__ __forceinline__ void turn(float step, float* product) const {
        *product *= static_cast<float>(momentum(step));
    }
};
template <class C> constexpr int kNumbers<NAdam<C>> = 2;

template <class C> struct RAdam {
    static constexpr int kLists = 4;
    C rate, beta1, rest1, log_beta1, beta2, rest2, log_beta2, eps, weight_decay, decoupled, maximize, limit;
    C shrink, size, known;  // made by `start`: in float64, as rho is a small difference
    __device__ __forceinline__ void start(C step) {
        shrink = decoupled != C(0) ? C(1) - rate * weight_decay : C(1);
        if (decoupled != C(0)) weight_decay = C(0);
        const double t = step, most = limit, correction = -expm1(t * static_cast<double>(log_beta2));
        const double rho = most - 2 * t * (1 - correction) / correction;
        double factor = 1 / -expm1(t * static_cast<double>(log_beta1));
        if (rho > 5) factor *= sqrt(correction * (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho));
        known = rho > 5 ? C(1) : C(0);
        size = rate * static_cast<C>(factor);
    }
    __device__ __forceinline__ void apply(C* x) const {
        C &p = x[0], &m = x[2], &v = x[3];
        p *= shrink;
        const C g = descent(p, x[1], weight_decay, maximize);
        m = beta1 * m + rest1 * g;
        v = beta2 * v + rest2 * g * g;
        p -= size * (known != C(0) ? m / (sqrt(v) + eps) : m);
    }
};

template <class C> struct Rprop {
    static constexpr int kLists = 4;
    C rate, shrink, grow, smallest, largest, maximize;  // there is no learning rate
    __device__ __forceinline__ void start(C) {}
    __device__ __forceinline__ void apply(C* x) const {
        const C g = descent(x[0], x[1], C(0), maximize), turn = g * x[2];
        const C size = x[3] * (turn > C(0) ? grow : turn < C(0) ? shrink : C(1));
        x[3] = size < smallest ? smallest : size > largest ? largest : size;
        x[2] = turn < C(0) ? C(0) : g;
        x[0] -= x[2] > C(0) ? x[3] : x[2] < C(0) ? -x[3] : x[2] * x[3];  // 0 or NaN
    }
};

template <class C> struct Asgd {
    static constexpr int kLists = 3;
    C rate, lambd, alpha, t0, weight_decay, maximize;
    C eta, shrink, mu;  // made by `start`: `eta` is the learning rate of this step
    __device__ __forceinline__ void start(C, float eta_now, float mu_now) {
        eta = eta_now;
        shrink = C(1) - lambd * eta;
        mu = mu_now;
    }
    __device__ __forceinline__ void apply(C* x) const {
        x[0] = shrink * x[0] - eta * descent(x[0], x[1], weight_decay, maximize);
        x[2] = mu != C(1) ? x[2] + mu * (x[0] - x[2]) : x[0];
    }
    __device__ __forceinline__ void turn(float step, float* next_eta, float* next_mu) const {
        const double decayed = static_cast<double>(lambd) * rate * step, past = static_cast<double>(step) - t0;
        *next_eta = static_cast<float>(rate * exp(-static_cast<double>(alpha) * log1p(decayed)));
        *next_mu = past > 1 ? static_cast<float>(1 / past) : 1.0f;
    }
};
template <class C> constexpr int kNumbers<Asgd<C>> = 3;

// ---- The step --------------------------------------------------------------------------------------------------------

template <class Rule> using Table = Tensors<Rule::kLists, kNumbers<Rule>>;

template <class T, int W, class Rule>
__device__ __forceinline__ void update_pack(const Table<Rule>& tensors, int number, int64 at, const Rule& rule) {
    constexpr int LISTS = Rule::kLists;
    Pack<T, W> packs[LISTS];
#pragma unroll
    for (int l = 0; l < LISTS; ++l) packs[l] = load_pack<W>(static_cast<const T*>(tensors.data[l][number]) + at);
#pragma unroll
    for (int w = 0; w < W; ++w) {
        Compute<T> x[LISTS];
#pragma unroll
        for (int l = 0; l < LISTS; ++l) x[l] = widen(packs[l].item[w]);
        rule.apply(x);
#pragma unroll
        for (int l = 0; l < LISTS; ++l)
            if (l != 1) packs[l].item[w] = narrow<T>(x[l]);
    }
#pragma unroll
    for (int l = 0; l < LISTS; ++l)
        if (l != 1) store_pack<W>(static_cast<T*>(tensors.data[l][number]) + at, packs[l]);
}

// The last block to come here moves the numbers on, which all have read.
template <class Rule>
__device__ __forceinline__ void count_step(const Table<Rule>& tensors, const Rule& rule, unsigned* done) {
    __shared__ bool last;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        last = atomicInc(done, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last || threadIdx.x >= tensors.count) return;
    const unsigned i = threadIdx.x;
    const float step = *tensors.number[0][i] += 1.0f;
    if constexpr (kNumbers<Rule> == 2) rule.turn(step, tensors.number[1][i]);
    if constexpr (kNumbers<Rule> == 3) rule.turn(step, tensors.number[1][i], tensors.number[2][i]);
}

// Of doubles two blocks at a time are asked for: left to itself the compiler spills for more of them.
template <class T> constexpr int kBlocksAtOnce = sizeof(T) == 8 ? 2 : 0;

template <class Rule, class T>
__global__ void __launch_bounds__(kChunkThreads, kBlocksAtOnce<T>)
    update(const __grid_constant__ Table<Rule> tensors, Rule rule, const float* lr, unsigned* done, const float* found) {
    if (found != nullptr && *found != 0.0f) return;
    const Part part = part_of_block<T>(tensors);
    if (lr != nullptr) rule.rate = *lr;
    const int i = part.number;
    const float step = done != nullptr ? *tensors.number[0][i] + 1.0f : 1.0f;
    if constexpr (kNumbers<Rule> == 1) rule.start(step);
    if constexpr (kNumbers<Rule> == 2) rule.start(step, *tensors.number[1][i]);
    if constexpr (kNumbers<Rule> == 3) rule.start(step, *tensors.number[1][i], *tensors.number[2][i]);
#pragma unroll 1  // the loads of one pass are enough, and divisions of doubles would spill
    for (int64 at = part.begin + threadIdx.x * kPack<T>; at < part.packed; at += kChunkThreads * kPack<T>)
        update_pack<T, kPack<T>>(tensors, i, at, rule);
    for (int64 at = part.packed + threadIdx.x; at < part.end; at += kChunkThreads)
        update_pack<T, 1>(tensors, i, at, rule);
    if (done != nullptr) count_step(tensors, rule, done);
}

}  // namespace gpugrad
