// What batch norm needs beyond the rows of layer_norm.cu: statistics and sums of columns.
//
//   mean, variance of a channel over (N, S), where x is (N, C, S): from those of the N rows of S elements each
//   dweight = sum over (N, S) of dy * x_hat, dbias = that of dy: from the sums of the rows
//
// Layout: (rows, cols) contiguous; a column is a channel. Its entries are elements (of x, or dy and x), or what is known
// of a piece: mean and variance of so many elements, or sums.
//
// Geometry: blocks of (32, kDown) threads take 32 columns and `stretch` rows, blockIdx.y counting the stretches; each
// thread goes down one column, kDown rows at a time, and the kDown threads of a column then put theirs together. Where
// there is more than one stretch, what they found is an array of as many rows for a second launch. Sums have a fixed
// order: the same inputs give the same bits.
//
// Numerics: mean and squared distances of kBatch entries in registers are formed in two passes; what is known of two sets
// of elements is merged as Chan, Golub and LeVeque do ("Updating formulae", 1979), without cancellation.
//
// Bytes moved: each entry once.
#include "norm.cuh"

namespace gpugrad {

constexpr int kDown = 16, kBatch = 8;

template <class C> struct Known {
    C count, mean, squares;  // squares: the sum of squared distances from the mean

    __device__ __forceinline__ void merge(C other_count, C other_mean, C other_squares) {
        const C both = count + other_count;
        if (both == C(0)) return;
        const C apart = other_mean - mean, part = other_count / both;
        mean += apart * part;
        squares += other_squares + apart * apart * count * part;
        count = both;
    }
};

// Entries are elements if `variances` is null, else means and variances of `each` elements, the last row's of `last`.
template <class T>
__global__ void __launch_bounds__(32 * kDown)
column_moments(const T* __restrict__ means, const Compute<T>* __restrict__ variances, Compute<T>* __restrict__ mean,
               Compute<T>* __restrict__ variance, int64 rows, int64 cols, int64 stretch, Compute<T> each, Compute<T> last) {
    using C = Compute<T>;
    __shared__ Known<C> found[kDown][32];
    const int64 column = static_cast<int64>(blockIdx.x) * 32 + threadIdx.x;
    const int64 end = (blockIdx.y + 1) * stretch < rows ? (blockIdx.y + 1) * stretch : rows;
    Known<C> mine{C(0), C(0), C(0)};
    for (int64 row = blockIdx.y * stretch + threadIdx.y; column < cols && row < end; row += kDown * kBatch) {
        C value[kBatch], middle = 0, squares = 0, count = 0;
#pragma unroll
        for (int k = 0; k < kBatch; ++k) {
            const int64 at = row + k * kDown;
            value[k] = at < end ? widen(means[at * cols + column]) : C(0);
        }
#pragma unroll
        for (int k = 0; k < kBatch; ++k) {
            const int64 at = row + k * kDown;
            const C weight = at >= end ? C(0) : at == rows - 1 ? last : each;
            middle += weight * value[k];
            count += weight;
        }
        middle /= count;
#pragma unroll
        for (int k = 0; k < kBatch; ++k) {
            const int64 at = row + k * kDown;
            if (at >= end) continue;
            const C inner = variances == nullptr ? C(0) : variances[at * cols + column];
            squares += (at == rows - 1 ? last : each) * (inner + (value[k] - middle) * (value[k] - middle));
        }
        mine.merge(count, middle, squares);
    }
    found[threadIdx.y][threadIdx.x] = mine;
    __syncthreads();
    if (threadIdx.y != 0 || column >= cols) return;
    for (int y = 1; y < kDown; ++y) {
        const Known<C> other = found[y][threadIdx.x];
        mine.merge(other.count, other.mean, other.squares);
    }
    mean[blockIdx.y * cols + column] = mine.mean;
    variance[blockIdx.y * cols + column] = mine.squares / mine.count;
}

// Sums down the columns of what `entry(row, column, sum, product)` adds.
template <class C, class F>
__device__ __forceinline__ void sum_columns(C* sums, C* products, int64 rows, int64 cols, int64 stretch, F entry) {
    __shared__ C found[2][kDown][32];
    const int64 column = static_cast<int64>(blockIdx.x) * 32 + threadIdx.x;
    const int64 end = (blockIdx.y + 1) * stretch < rows ? (blockIdx.y + 1) * stretch : rows;
    C sum = 0, product = 0;
#pragma unroll (sizeof(C) == 8 ? 1 : 4)
    for (int64 row = blockIdx.y * stretch + threadIdx.y; row < (column < cols ? end : 0); row += kDown)
        entry(row, column, sum, product);
    found[0][threadIdx.y][threadIdx.x] = sum;
    found[1][threadIdx.y][threadIdx.x] = product;
    __syncthreads();
    if (threadIdx.y != 0 || column >= cols) return;
    for (int y = 1; y < kDown; ++y) {
        sum += found[0][y][threadIdx.x];
        product += found[1][y][threadIdx.x];
    }
    if (sums != nullptr) sums[blockIdx.y * cols + column] = sum;
    if (products != nullptr) products[blockIdx.y * cols + column] = product;
}

// Of two arrays of sums, either of which may be null with its result.
template <class C>
__global__ void __launch_bounds__(32 * kDown)
column_sums(const C* __restrict__ a, const C* __restrict__ b, C* __restrict__ sums, C* __restrict__ products, int64 rows,
            int64 cols, int64 stretch) {
    sum_columns(sums, products, rows, cols, stretch, [&](int64 row, int64 column, C& sum, C& product) {
        if (a != nullptr) sum += a[row * cols + column];
        if (b != nullptr) product += b[row * cols + column];
    });
}

// Of dy and dy * x_hat.
template <class T, int BY>
__global__ void __launch_bounds__(32 * kDown)
column_products(const T* __restrict__ dy, const T* __restrict__ x, const Compute<T>* __restrict__ mean,
                const Compute<T>* __restrict__ variance, Compute<T>* __restrict__ sums, Compute<T>* __restrict__ products,
                Scheme scheme, int64 rows, int64 cols, int64 stretch) {
    using C = Compute<T>;
    const Norm<C, C> norm{mean, variance, nullptr, scheme};
    sum_columns(sums, products, rows, cols, stretch, [&](int64 row, int64 column, C& sum, C& product) {
        const auto own = norm.template of_column<BY>(norm.template of_row<BY>(row), column);
        const C g = widen(dy[row * cols + column]);
        sum += g;
        product += g * (widen(x[row * cols + column]) - own.mean) * own.scale;
    });
}

// Of each group of `per` neighbouring channels, in all samples, the sums weighted by the channels' weights.
template <class C, class P>
__global__ void __launch_bounds__(256) group_sums(
    const C* __restrict__ a, const C* __restrict__ b, const P* __restrict__ weight, C* __restrict__ sums,
    C* __restrict__ products, int64 groups, int64 per, int64 channels) {
    GPUGRAD_GRID_LOOP(group, groups) {
        C sum = 0, product = 0;
        int64 channel = group * per % channels;
#pragma unroll 1
        for (int64 row = group * per; row < (group + 1) * per; ++row, ++channel) {
            const C by = weight == nullptr ? C(1) : widen(weight[channel]);
            sum += by * a[row];
            product += by * b[row];
        }
        sums[group] = sum;
        products[group] = product;
    }
}

}  // namespace gpugrad
