// A stand-in for cuBLASLt, and for the few functions of cuBLAS that CuPy multiplies matrices with: the products are
// computed on the host as the libraries' documentation says, and submitted to streams as runtime.cc's other work.
//
// What a description cannot mean is refused: attributes of other sizes than theirs, leading dimensions shorter than a
// column, memory less aligned than the algorithm was chosen for, a workspace smaller than asked for.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

extern "C" int stand_in_submit(void* stream, void (*work)(void*), void (*forget)(void*), void* with);

namespace {

enum Status { kOk = 0, kNotInitialized = 1, kInvalidValue = 7, kNotSupported = 15 };
enum Type { kFloat = 0, kDouble = 1, kHalf = 2, kBfloat = 14 };
enum Operation { kTransA = 3, kTransB = 4, kEpilogue = 7, kBias = 8, kAux = 11, kAuxLeading = 12 };
enum Epilogue { kRelu = 2, kAddBias = 4, kGelu = 32, kWithAux = 128, kDRelu = 136, kDRelu_Bgrad = 152, kDGelu = 192,
                kDGelu_Bgrad = 208, kBgradA = 256, kBgradB = 512 };

struct Described {
    char kind = 0;  // h handle, o operation, l layout, p preference
    int compute = 0, scale = 0, type = 0;
    uint64_t rows = 0, columns = 0;
    int64_t leading = 0;
    std::map<int, int64_t> attributes;
};

int wrong(const char* what) { return fprintf(stderr, "stand-in: cuBLASLt: %s\n", what), kInvalidValue; }

size_t size_of(int type) { return type == kDouble ? 8 : type == kFloat ? 4 : 2; }

double load(const void* p, int type, int64_t i) {
    if (type == kFloat) return static_cast<const float*>(p)[i];
    if (type == kDouble) return static_cast<const double*>(p)[i];
    if (type == kHalf) return static_cast<const _Float16*>(p)[i];
    uint32_t bits = uint32_t(static_cast<const uint16_t*>(p)[i]) << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

void store(void* p, int type, int64_t i, double value) {
    if (type == kFloat) static_cast<float*>(p)[i] = float(value);
    else if (type == kDouble) static_cast<double*>(p)[i] = value;
    else if (type == kHalf) static_cast<_Float16*>(p)[i] = _Float16(value);
    else {
        float narrow = float(value);
        uint32_t bits;
        memcpy(&bits, &narrow, 4);
        if (narrow == narrow) bits += 0x7fff + (bits >> 16 & 1);
        static_cast<uint16_t*>(p)[i] = uint16_t(bits >> 16);
    }
}

struct Stack {
    char* at;
    int type, count;
    int64_t rows, columns, leading, apart;
    double get(int64_t k, int64_t r, int64_t c) const { return load(at, type, k * apart + c * leading + r); }
    void set(int64_t k, int64_t r, int64_t c, double v) const { store(at, type, k * apart + c * leading + r, v); }
};

struct Product {
    Stack a, b, c, d;
    bool transpose_a, transpose_b, wide;
    double alpha, beta;
    int epilogue = 1;
    char *vector = nullptr, *aux = nullptr;
    int64_t aux_leading = 0;
};

double gelu(double x) { return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }

double gelu_slope(double x) {
    double t = tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 0.134145 * x * x);
}

double beside(const Product& p, double value, int64_t row, int64_t column) {
    int e = p.epilogue;
    bool backward = e == kDRelu || e == kDRelu_Bgrad || e == kDGelu || e == kDGelu_Bgrad;
    if (backward && e < kDGelu) {
        uint8_t bits = reinterpret_cast<uint8_t*>(p.aux)[(column * p.aux_leading + row) / 8];
        return bits >> (row % 8) & 1 ? value : 0;
    }
    if (backward) return value * gelu_slope(load(p.aux, p.d.type, column * p.aux_leading + row));
    if (e == 1 || e >= kBgradA) return value;
    if (e & kAddBias) value += load(p.vector, p.d.type, row);
    if ((e & kWithAux) && (e & kGelu)) store(p.aux, p.d.type, column * p.aux_leading + row, value);
    if ((e & kWithAux) && (e & kRelu)) {
        uint8_t& bits = reinterpret_cast<uint8_t*>(p.aux)[(column * p.aux_leading + row) / 8];
        bits = uint8_t(value > 0 ? bits | 1 << (row % 8) : bits & ~(1 << (row % 8)));
    }
    if (e & kRelu) value = value > 0 ? value : 0;
    if (e & kGelu) value = gelu(value);
    return value;
}

void multiply(const Product& p) {
    int64_t terms = p.transpose_a ? p.a.rows : p.a.columns;
    std::vector<double> a(p.d.rows * terms), b(terms * p.d.columns), sums(p.d.rows);
    for (int64_t k = 0; k < p.d.count; ++k) {
        for (int64_t i = 0; i < p.d.rows; ++i)
            for (int64_t t = 0; t < terms; ++t) a[i * terms + t] = p.transpose_a ? p.a.get(k, t, i) : p.a.get(k, i, t);
        for (int64_t j = 0; j < p.d.columns; ++j)
            for (int64_t t = 0; t < terms; ++t) b[j * terms + t] = p.transpose_b ? p.b.get(k, j, t) : p.b.get(k, t, j);
        if (p.epilogue == kBgradB)
            for (int64_t j = 0; j < p.d.columns; ++j) {
                double sum = 0;
                for (int64_t t = 0; t < terms; ++t) sum += b[j * terms + t];
                store(p.vector, p.d.type, j, sum);
            }
        for (int64_t j = 0; j < p.d.columns; ++j)
            for (int64_t i = 0; i < p.d.rows; ++i) {
                double sum = 0;
                for (int64_t t = 0; t < terms; ++t) sum += a[i * terms + t] * b[j * terms + t];
                double value = beside(p, p.alpha * sum + (p.beta ? p.beta * p.c.get(k, i, j) : 0), i, j);
                p.d.set(k, i, j, value);
                sums[i] += value;
            }
        if (p.epilogue == kDRelu_Bgrad || p.epilogue == kDGelu_Bgrad)
            for (int64_t i = 0; i < p.d.rows; ++i) store(p.vector, p.d.type, i, sums[i]);
    }
}

int submit(Product product, void* stream) {
    auto work = [](void* with) { multiply(*static_cast<Product*>(with)); };
    auto forget = [](void* with) { delete static_cast<Product*>(with); };
    return stand_in_submit(stream, work, forget, new Product(product)) ? 14 : kOk;  // EXECUTION_FAILED
}

int64_t read(const void* from, size_t size) {
    int32_t narrow = 0;
    int64_t wide = 0;
    if (size == 4) return memcpy(&narrow, from, 4), narrow;
    return memcpy(&wide, from, 8), wide;
}

int set(void* of, char kind, int attribute, const void* from, size_t size, const std::map<int, size_t>& sizes) {
    auto* described = static_cast<Described*>(of);
    auto known = sizes.find(attribute);
    if (described->kind != kind || known == sizes.end() || known->second != size)
        return fprintf(stderr, "attribute %d of %zu bytes: ", attribute, size), wrong("it has another size or is unknown");
    described->attributes[attribute] = read(from, size);
    return kOk;
}

int64_t attribute(const Described& of, int name, int64_t otherwise) {
    auto found = of.attributes.find(name);
    return found == of.attributes.end() ? otherwise : found->second;
}

Stack stack(const void* at, const Described& layout) {
    return {static_cast<char*>(const_cast<void*>(at)), layout.type, int(attribute(layout, 5, 1)), int64_t(layout.rows),
            int64_t(layout.columns), layout.leading, attribute(layout, 6, 0)};
}

}  // namespace

extern "C" {

size_t cublasLtGetVersion() { return 130000; }
size_t cublasLtGetCudartVersion() { return 13000; }
const char* cublasLtGetStatusName(int status) { return status == kNotSupported ? "CUBLAS_STATUS_NOT_SUPPORTED" : "CUBLAS_STATUS_INVALID_VALUE"; }
const char* cublasLtGetStatusString(int status) { return cublasLtGetStatusName(status); }

int cublasLtCreate(void** made) {
    auto* d = new Described;
    d->kind = 'h';
    return *made = d, kOk;
}

int cublasLtDestroy(void* handle) { return delete static_cast<Described*>(handle), kOk; }

int cublasLtMatmulDescCreate(void** made, int compute, int scale) {
    auto* d = new Described;
    d->kind = 'o';
    d->compute = compute;
    d->scale = scale;
    return *made = d, kOk;
}

int cublasLtMatmulDescSetAttribute(void* of, int name, const void* from, size_t size) {
    return set(of, 'o', name, from, size, {{kTransA, 4}, {kTransB, 4}, {kEpilogue, 4}, {kBias, 8}, {kAux, 8}, {kAuxLeading, 8}});
}

int cublasLtMatrixLayoutCreate(void** made, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    if (leading < int64_t(rows) || !rows || !columns) return wrong("a layout's leading dimension is too short");
    auto* d = new Described;
    d->kind = 'l';
    d->type = type;
    d->rows = rows;
    d->columns = columns;
    d->leading = leading;
    return *made = d, kOk;
}

int cublasLtMatrixLayoutSetAttribute(void* of, int name, const void* from, size_t size) {
    return set(of, 'l', name, from, size, {{5, 4}, {6, 8}});
}

int cublasLtMatmulPreferenceCreate(void** made) {
    auto* d = new Described;
    d->kind = 'p';
    return *made = d, kOk;
}

int cublasLtMatmulPreferenceSetAttribute(void* of, int name, const void* from, size_t size) {
    return set(of, 'p', name, from, size, {{1, 8}, {5, 4}, {6, 4}, {7, 4}, {8, 4}});
}

int cublasLtMatmulDescDestroy(void* of) { return delete static_cast<Described*>(of), kOk; }
int cublasLtMatrixLayoutDestroy(void* of) { return delete static_cast<Described*>(of), kOk; }
int cublasLtMatmulPreferenceDestroy(void* of) { return delete static_cast<Described*>(of), kOk; }

struct Heuristic {
    uint64_t algorithm[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

int cublasLtMatmulAlgoGetHeuristic(void* handle, void* operation, void* a, void* b, void* c, void* d, void* preference,
                                   int wanted, Heuristic* found, int* count) {
    auto* how = static_cast<Described*>(preference);
    if (static_cast<Described*>(handle)->kind != 'h' || how->kind != 'p' || wanted < 1) return wrong("heuristic");
    memset(found, 0, sizeof *found);
    for (int k = 0; k < 4; ++k) found->algorithm[k] = attribute(*how, 5 + k, 256);  // the alignments it counts on
    found->algorithm[4] = found->workspace = attribute(*how, 1, 0);
    return *count = 1, kOk;
}

int cublasLtMatmul(void* handle, void* operation, const void* alpha, const void* a, void* a_layout, const void* b,
                   void* b_layout, const void* beta, const void* c, void* c_layout, void* d, void* d_layout,
                   const uint64_t* algorithm, void* space, size_t space_size, void* stream) {
    const auto& how = *static_cast<Described*>(operation);
    if (static_cast<Described*>(handle)->kind != 'h' || how.kind != 'o') return wrong("matmul");
    Product p{stack(a, *static_cast<Described*>(a_layout)), stack(b, *static_cast<Described*>(b_layout)),
              stack(c, *static_cast<Described*>(c_layout)), stack(d, *static_cast<Described*>(d_layout)),
              attribute(how, kTransA, 0) != 0, attribute(how, kTransB, 0) != 0, how.scale == kDouble, 0, 0};
    const Stack* each[] = {&p.a, &p.b, &p.c, &p.d};
    for (int k = 0; algorithm && k < 4; ++k)
        if (reinterpret_cast<uintptr_t>(each[k]->at) % algorithm[k]) return wrong("memory is less aligned than was said");
    if (algorithm && space_size < algorithm[4]) return wrong("the workspace is too small");
    int64_t rows = p.transpose_a ? p.a.columns : p.a.rows, terms = p.transpose_a ? p.a.rows : p.a.columns;
    int64_t columns = p.transpose_b ? p.b.rows : p.b.columns, also = p.transpose_b ? p.b.columns : p.b.rows;
    if (rows != p.d.rows || columns != p.d.columns || terms != also) return wrong("sizes do not fit");
    p.alpha = load(alpha, how.scale, 0);
    p.beta = load(beta, how.scale, 0);
    p.epilogue = int(attribute(how, kEpilogue, 1));
    p.vector = reinterpret_cast<char*>(attribute(how, kBias, 0));
    p.aux = reinterpret_cast<char*>(attribute(how, kAux, 0));
    p.aux_leading = attribute(how, kAuxLeading, 0);
    if (p.aux && reinterpret_cast<uintptr_t>(p.aux) % 16) return wrong("the auxiliary memory is not aligned");
    return submit(p, stream);
}

// ---- cuBLAS, as CuPy's matmul calls it ----

int cublasCreate_v2(void** made) { return cublasLtCreate(made); }
int cublasDestroy_v2(void* handle) { return cublasLtDestroy(handle); }
int cublasSetStream_v2(void* handle, void* stream) { return static_cast<Described*>(handle)->leading = reinterpret_cast<int64_t>(stream), kOk; }
int cublasGetStream_v2(void* handle, void** stream) { return *stream = reinterpret_cast<void*>(static_cast<Described*>(handle)->leading), kOk; }
int cublasSetWorkspace_v2(void*, void*, size_t) { return kOk; }
int cublasGetVersion_v2(void*, int* version) { return *version = 130000, kOk; }
int cublasSetPointerMode_v2(void* handle, int mode) { return static_cast<Described*>(handle)->compute = mode, kOk; }
int cublasGetPointerMode_v2(void* handle, int* mode) { return *mode = static_cast<Described*>(handle)->compute, kOk; }
int cublasSetMathMode(void*, int) { return kOk; }
int cublasGetMathMode(void*, int* mode) { return *mode = 0, kOk; }

int cublasGemmStridedBatchedEx(void* handle, int transpose_a, int transpose_b, int m, int n, int k, const void* alpha,
                               const void* a, int a_type, int lda, long long a_apart, const void* b, int b_type, int ldb,
                               long long b_apart, const void* beta, void* c, int c_type, int ldc, long long c_apart,
                               int count, int compute, int) {
    auto stack = [&](const void* at, int type, int64_t rows, int64_t columns, int ld, long long apart) {
        return Stack{static_cast<char*>(const_cast<void*>(at)), type, count, rows, columns, ld, apart};
    };
    int scale = compute == 70 || compute == 71 ? kDouble : kFloat;
    Stack out = stack(c, c_type, m, n, ldc, c_apart);
    Product p{transpose_a ? stack(a, a_type, k, m, lda, a_apart) : stack(a, a_type, m, k, lda, a_apart),
              transpose_b ? stack(b, b_type, n, k, ldb, b_apart) : stack(b, b_type, k, n, ldb, b_apart), out, out,
              transpose_a != 0, transpose_b != 0, scale == kDouble, load(alpha, scale, 0), load(beta, scale, 0)};
    return submit(p, reinterpret_cast<void*>(static_cast<Described*>(handle)->leading));
}

int cublasGemmEx(void* handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int a_type, int lda,
                 const void* b, int b_type, int ldb, const void* beta, void* c, int c_type, int ldc, int compute, int how) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c, c_type, ldc, 0, 1, compute, how);
}

int cublasSgemm_v2(void* handle, int ta, int tb, int m, int n, int k, const float* alpha, const float* a, int lda,
                   const float* b, int ldb, const float* beta, float* c, int ldc) {
    return cublasGemmEx(handle, ta, tb, m, n, k, alpha, a, kFloat, lda, b, kFloat, ldb, beta, c, kFloat, ldc, 68, 0);
}

int cublasDgemm_v2(void* handle, int ta, int tb, int m, int n, int k, const double* alpha, const double* a, int lda,
                   const double* b, int ldb, const double* beta, double* c, int ldc) {
    return cublasGemmEx(handle, ta, tb, m, n, k, alpha, a, kDouble, lda, b, kDouble, ldb, beta, c, kDouble, ldc, 70, 0);
}

int cublasSgemmStridedBatched(void* handle, int ta, int tb, int m, int n, int k, const float* alpha, const float* a, int lda,
                              long long sa, const float* b, int ldb, long long sb, const float* beta, float* c, int ldc, long long sc, int count) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, kFloat, lda, sa, b, kFloat, ldb, sb, beta, c, kFloat, ldc, sc, count, 68, 0);
}

int cublasDgemmStridedBatched(void* handle, int ta, int tb, int m, int n, int k, const double* alpha, const double* a, int lda,
                              long long sa, const double* b, int ldb, long long sb, const double* beta, double* c, int ldc, long long sc, int count) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, kDouble, lda, sa, b, kDouble, ldb, sb, beta, c, kDouble, ldc, sc, count, 70, 0);
}

// The arrays of addresses lie in device memory: they are read when the product is done.
struct Scattered {
    int ta, tb, m, n, k, type, lda, ldb, ldc, count;
    double alpha, beta;
    char *const *a, *const *b, *const *c;
};

int cublas_scattered(void* handle, const Scattered& given) {
    auto work = [](void* with) {
        auto& s = *static_cast<Scattered*>(with);
        for (int i = 0; i < s.count; ++i) {
            Stack out{s.c[i], s.type, 1, s.m, s.n, s.ldc, 0};
            multiply({{s.a[i], s.type, 1, s.ta ? s.k : s.m, s.ta ? s.m : s.k, s.lda, 0},
                      {s.b[i], s.type, 1, s.tb ? s.n : s.k, s.tb ? s.k : s.n, s.ldb, 0}, out, out, s.ta != 0, s.tb != 0,
                      s.type == kDouble, s.alpha, s.beta});
        }
    };
    auto forget = [](void* with) { delete static_cast<Scattered*>(with); };
    void* stream = reinterpret_cast<void*>(static_cast<Described*>(handle)->leading);
    return stand_in_submit(stream, work, forget, new Scattered(given)) ? 14 : kOk;
}

#define GEMM_BATCHED(name, T, type)                                                                                     \
    int name(void* handle, int ta, int tb, int m, int n, int k, const T* alpha, const void* a, int lda, const void* b,  \
             int ldb, const T* beta, const void* c, int ldc, int count) {                                               \
        auto at = [](const void* p) { return static_cast<char* const*>(p); };                                           \
        return cublas_scattered(handle, {ta, tb, m, n, k, type, lda, ldb, ldc, count, *alpha, *beta, at(a), at(b), at(c)}); \
    }
GEMM_BATCHED(cublasSgemmBatched, float, kFloat)
GEMM_BATCHED(cublasDgemmBatched, double, kDouble)

}  // extern "C"
