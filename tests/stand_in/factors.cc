// A stand-in for cuSOLVER and the functions of cuBLAS on lists of matrices, as far as CuPy calls them: LAPACK, which NumPy
// carries, on the host, submitted to streams as runtime.cc's other work.
//
// What a call cannot mean is refused: matrices that lie closer than their columns are long, a workspace smaller than
// asked for, sizes that the documentation excludes. A result's `info` says what LAPACK's says.
#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

extern "C" int stand_in_submit(void* stream, void (*work)(void*), void (*forget)(void*), void* with);
extern "C" int cublasGetStream_v2(void* handle, void** stream);

namespace {

using Int = int64_t;  // of the LAPACK inside NumPy's wheels
enum Status { kOk = 0, kInvalidValue = 3, kExecutionFailed = 6, kCublasInvalidValue = 7, kCublasExecutionFailed = 13 };
constexpr int kSpace = 64;     // elements of workspace that every routine asks for: LAPACK takes its own from the host
constexpr int kJacobiMost = 32;  // rows and columns that batched singular values may have

struct Handle {
    void* stream = nullptr;
};

template <class T>
constexpr char kLetter = sizeof(T) == 4 ? 's' : 'd';

// A routine of LAPACK, which returns its info. Fortran's lengths of texts come last; routines without texts ignore them.
template <class T, class... A>
Int lapack(const char* name, A... arguments) {
    char full[32];
    snprintf(full, sizeof full, "scipy_%c%s_64_", kLetter<T>, name);
    auto routine = reinterpret_cast<void (*)(A..., Int*, size_t, size_t)>(dlsym(RTLD_DEFAULT, full));
    if (!routine) fprintf(stderr, "stand-in: there is no %s\n", full), abort();
    Int info = 0;
    return routine(arguments..., &info, 1, 1), info;
}

// The same for a routine that is given memory to work in, as much as it asks for.
template <class T, class... A>
Int with_space(const char* name, A... arguments) {
    Int size = -1;
    T wanted = 0;
    lapack<T>(name, arguments..., &wanted, &size);
    std::vector<T> space(size = std::max<Int>(1, Int(wanted)));
    return lapack<T>(name, arguments..., space.data(), &size);
}

int submit(void* stream, std::function<void()> work, int failed = kExecutionFailed) {
    auto run = [](void* with) { (*static_cast<std::function<void()>*>(with))(); };
    auto forget = [](void* with) { delete static_cast<std::function<void()>*>(with); };
    return stand_in_submit(stream, run, forget, new std::function<void()>(std::move(work))) ? failed : kOk;
}

int on(void* handle, std::function<void()> work) { return submit(static_cast<Handle*>(handle)->stream, std::move(work)); }

int on_cublas(void* handle, std::function<void()> work) {
    void* stream = nullptr;
    cublasGetStream_v2(handle, &stream);
    return submit(stream, std::move(work), kCublasExecutionFailed);
}

int wrong(const char* name) { return fprintf(stderr, "stand-in: cuSOLVER: %s: a size is not allowed\n", name), kInvalidValue; }

char letter(int operation) { return "NTC"[operation]; }
char triangle(int fill) { return "LU"[fill]; }
char job(int vectors) { return "NV"[vectors]; }

// ---- what both libraries have ----

template <class T>
int factorize(Int m, Int n, T* a, Int lda, int* pivots) {
    std::vector<Int> wide(std::min(m, n));
    Int info = lapack<T>("getrf", &m, &n, a, &lda, wide.data());
    std::copy(wide.begin(), wide.end(), pivots);
    return int(info);
}

template <class T>
int substitute(int operation, Int n, Int count, const T* a, Int lda, const int* pivots, T* b, Int ldb) {
    std::vector<Int> wide(pivots, pivots + n);
    char transposed = letter(operation);
    return int(lapack<T>("getrs", &transposed, &n, &count, a, &lda, wide.data(), b, &ldb));
}

template <class T>
int invert(Int n, const T* a, Int lda, const int* pivots, T* c, Int ldc) {
    std::vector<Int> wide(pivots, pivots + n);
    for (Int j = 0; j < n; ++j) std::copy(a + j * lda, a + j * lda + n, c + j * ldc);
    return int(with_space<T>("getri", &n, c, &ldc, wide.data()));
}

template <class T>
int eigenvalues(int vectors, int fill, Int n, T* a, Int lda, T* w) {
    char how = job(vectors), which = triangle(fill);
    return int(with_space<T>("syev", &how, &which, &n, a, &lda, w));
}

// U and V whole, not V transposed, as gesvdj gives them.
template <class T>
int singular_values(int vectors, Int m, Int n, T* a, Int lda, T* s, T* u, Int ldu, T* v, Int ldv) {
    char how = vectors ? 'A' : 'N';
    std::vector<T> vt(n * n);
    Int info = with_space<T>("gesvd", &how, &how, &m, &n, a, &lda, s, u, &ldu, vt.data(), &n);
    for (Int i = 0; vectors && i < n; ++i)
        for (Int j = 0; j < n; ++j) v[j * ldv + i] = vt[i * n + j];
    return int(info);
}

}  // namespace

extern "C" {

// ---- cuSOLVER: handles ----

int cusolverDnCreate(void** made) { return *made = new Handle, kOk; }
int cusolverDnDestroy(void* handle) { return delete static_cast<Handle*>(handle), kOk; }
int cusolverDnSetStream(void* handle, void* stream) { return static_cast<Handle*>(handle)->stream = stream, kOk; }
int cusolverDnGetStream(void* handle, void** stream) { return *stream = static_cast<Handle*>(handle)->stream, kOk; }
int cusolverGetProperty(int which, int* value) { return *value = which == 0 ? 12 : 0, kOk; }
int cusolverDnCreateParams(void** made) { return *made = new Handle, kOk; }
int cusolverDnDestroyParams(void* params) { return delete static_cast<Handle*>(params), kOk; }
int cusolverDnCreateGesvdjInfo(void** made) { return *made = new Handle, kOk; }
int cusolverDnDestroyGesvdjInfo(void* info) { return delete static_cast<Handle*>(info), kOk; }
int cusolverDnCreateSyevjInfo(void** made) { return *made = new Handle, kOk; }
int cusolverDnDestroySyevjInfo(void* info) { return delete static_cast<Handle*>(info), kOk; }

int cusolverDnXsyevd_bufferSize(void*, void*, int, int, int64_t, int, const void*, int64_t, int, const void*, int,
                                size_t* device, size_t* host) {
    return *device = *host = kSpace, kOk;
}

int cusolverDnXsyevd(void* handle, void*, int vectors, int fill, int64_t n, int type, void* a, int64_t lda, int, void* w,
                     int compute, void*, size_t device, void*, size_t host, int* info) {
    if (n < 0 || lda < std::max<int64_t>(1, n) || device < kSpace || host < kSpace || type != compute) return wrong("Xsyevd");
    return on(handle, [=] {
        *info = type == 0 ? eigenvalues(vectors, fill, n, static_cast<float*>(a), lda, static_cast<float*>(w))
                          : eigenvalues(vectors, fill, n, static_cast<double*>(a), lda, static_cast<double*>(w));
    });
}

// ---- the same for float (S) and double (D) ----

#define FOR(P, T)                                                                                                      \
    int cusolverDn##P##getrf_bufferSize(void*, int, int, T*, int, int* size) { return *size = kSpace, kOk; }           \
    int cusolverDn##P##getrf(void* handle, int m, int n, T* a, int lda, T*, int* pivots, int* info) {                  \
        if (m < 0 || n < 0 || lda < std::max(1, m)) return wrong("getrf");                                             \
        return on(handle, [=] { *info = factorize(m, n, a, lda, pivots); });                                           \
    }                                                                                                                  \
    int cusolverDn##P##getrs(void* handle, int operation, int n, int count, const T* a, int lda, const int* pivots,    \
                             T* b, int ldb, int* info) {                                                               \
        if (n < 0 || count < 0 || std::min(lda, ldb) < std::max(1, n)) return wrong("getrs");                          \
        return on(handle, [=] { *info = substitute(operation, n, count, a, lda, pivots, b, ldb); });                   \
    }                                                                                                                  \
    int cusolverDn##P##potrf_bufferSize(void*, int, int, T*, int, int* size) { return *size = kSpace, kOk; }           \
    int cusolverDn##P##potrf(void* handle, int fill, int n, T* a, int lda, T*, int space, int* info) {                 \
        if (n < 0 || lda < std::max(1, n) || space < kSpace) return wrong("potrf");                                    \
        return on(handle, [=, which = triangle(fill), n = Int(n), lda = Int(lda)] {                                    \
            *info = int(lapack<T>("potrf", &which, &n, a, &lda));                                                      \
        });                                                                                                            \
    }                                                                                                                  \
    int cusolverDn##P##potrfBatched(void* handle, int fill, int n, T** a, int lda, int* info, int batch) {             \
        if (n < 0 || lda < std::max(1, n)) return wrong("potrfBatched");                                               \
        return on(handle, [=, which = triangle(fill), n = Int(n), lda = Int(lda)] {                                    \
            for (int k = 0; k < batch; ++k) info[k] = int(lapack<T>("potrf", &which, &n, a[k], &lda));                 \
        });                                                                                                            \
    }                                                                                                                  \
    int cusolverDn##P##geqrf_bufferSize(void*, int, int, T*, int, int* size) { return *size = kSpace, kOk; }           \
    int cusolverDn##P##geqrf(void* handle, int m, int n, T* a, int lda, T* tau, T*, int space, int* info) {            \
        if (m < 0 || n < 0 || lda < std::max(1, m) || space < kSpace) return wrong("geqrf");                           \
        return on(handle, [=, m = Int(m), n = Int(n), lda = Int(lda)] {                                                \
            *info = int(with_space<T>("geqrf", &m, &n, a, &lda, tau));                                                 \
        });                                                                                                            \
    }                                                                                                                  \
    int cusolverDn##P##orgqr_bufferSize(void*, int, int, int, const T*, int, const T*, int* size) {                    \
        return *size = kSpace, kOk;                                                                                    \
    }                                                                                                                  \
    int cusolverDn##P##orgqr(void* handle, int m, int n, int k, T* a, int lda, const T* tau, T*, int space,            \
                             int* info) {                                                                              \
        if (m < n || n < k || k < 0 || lda < std::max(1, m) || space < kSpace) return wrong("orgqr");                  \
        return on(handle, [=, m = Int(m), n = Int(n), k = Int(k), lda = Int(lda)] {                                    \
            *info = int(with_space<T>("orgqr", &m, &n, &k, a, &lda, tau));                                             \
        });                                                                                                            \
    }                                                                                                                  \
    int cusolverDn##P##gesvd_bufferSize(void*, int m, int n, int* size) {                                              \
        return m < n ? wrong("gesvd_bufferSize") : (*size = kSpace, kOk);                                              \
    }                                                                                                                  \
    int cusolverDn##P##gesvd(void* handle, signed char jobu, signed char jobvt, int m, int n, T* a, int lda, T* s,     \
                             T* u, int ldu, T* vt, int ldvt, T*, int space, T*, int* info) {                           \
        if (m < n || n < 0 || lda < std::max(1, m) || space < kSpace) return wrong("gesvd");                           \
        return on(handle, [=, m = Int(m), n = Int(n), lda = Int(lda), ldu = Int(ldu), ldvt = Int(ldvt)] {              \
            *info = int(with_space<T>("gesvd", &jobu, &jobvt, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt));                \
        });                                                                                                            \
    }                                                                                                                  \
    int cusolverDn##P##gesvdjBatched_bufferSize(void*, int, int, int, const T*, int, const T*, const T*, int,          \
                                                const T*, int, int* size, void*, int) {                                \
        return *size = kSpace, kOk;                                                                                    \
    }                                                                                                                  \
    int cusolverDn##P##gesvdjBatched(void* handle, int vectors, int m, int n, T* a, int lda, T* s, T* u, int ldu,      \
                                     T* v, int ldv, T*, int space, int* info, void*, int batch) {                      \
        if (std::max(m, n) > kJacobiMost || std::min(lda, ldu) < m || ldv < n || space < kSpace)                       \
            return wrong("gesvdjBatched");                                                                             \
        return on(handle, [=] {                                                                                        \
            for (size_t k = 0; k < size_t(batch); ++k)                                                                 \
                info[k] = singular_values(vectors, m, n, a + k * lda * n, lda, s + k * std::min(m, n),                 \
                                          u + k * ldu * m, ldu, v + k * ldv * n, ldv);                                 \
        });                                                                                                            \
    }                                                                                                                  \
    int cusolverDn##P##syevjBatched_bufferSize(void*, int, int, int, const T*, int, const T*, int* size, void*, int) { \
        return *size = kSpace, kOk;                                                                                    \
    }                                                                                                                  \
    int cusolverDn##P##syevjBatched(void* handle, int vectors, int fill, int n, T* a, int lda, T* w, T*, int space,    \
                                    int* info, void*, int batch) {                                                     \
        if (n < 0 || lda < std::max(1, n) || space < kSpace) return wrong("syevjBatched");                             \
        return on(handle, [=] {                                                                                        \
            for (size_t k = 0; k < size_t(batch); ++k)                                                                 \
                info[k] = eigenvalues(vectors, fill, n, a + k * lda * n, lda, w + k * n);                              \
        });                                                                                                            \
    }                                                                                                                  \
    int cublas##P##geam(void* handle, int ta, int tb, int m, int n, const T* alpha, const T* a, int lda, const T* beta, \
                        const T* b, int ldb, T* c, int ldc) {                                                          \
        return on_cublas(handle, [=, alpha = *alpha, beta = *beta] {                                                   \
            for (size_t j = 0; j < size_t(n); ++j)                                                                     \
                for (size_t i = 0; i < size_t(m); ++i)                                                                 \
                    c[j * ldc + i] = (alpha ? alpha * a[ta ? i * lda + j : j * lda + i] : 0) +                         \
                                     (beta ? beta * b[tb ? i * ldb + j : j * ldb + i] : 0);                            \
        });                                                                                                            \
    }                                                                                                                  \
    int cublas##P##getrfBatched(void* handle, int n, T* const* a, int lda, int* pivots, int* info, int batch) {        \
        if (n < 0 || batch < 0 || lda < std::max(1, n)) return kCublasInvalidValue;                                    \
        return on_cublas(handle, [=] {                                                                                 \
            for (int k = 0; k < batch; ++k) info[k] = factorize(n, n, a[k], lda, pivots + size_t(k) * n);              \
        });                                                                                                            \
    }                                                                                                                  \
    int cublas##P##getriBatched(void* handle, int n, const T* const* a, int lda, const int* pivots, T* const* c,       \
                                int ldc, int* info, int batch) {                                                       \
        if (n < 0 || batch < 0 || std::min(lda, ldc) < std::max(1, n)) return kCublasInvalidValue;                     \
        return on_cublas(handle, [=] {                                                                                 \
            for (int k = 0; k < batch; ++k) info[k] = invert(n, a[k], lda, pivots + size_t(k) * n, c[k], ldc);         \
        });                                                                                                            \
    }                                                                                                                  \
    int cublas##P##getrsBatched(void* handle, int operation, int n, int count, const T* const* a, int lda,             \
                                const int* pivots, T* const* b, int ldb, int* info, int batch) {                       \
        bool allowed = n >= 0 && count >= 0 && batch >= 0 && std::min(lda, ldb) >= std::max(1, n);                     \
        *info = allowed ? 0 : -1; /* on the host, unlike the others */                                                 \
        if (!allowed) return kCublasInvalidValue;                                                                      \
        return on_cublas(handle, [=] {                                                                                 \
            for (int k = 0; k < batch; ++k)                                                                            \
                substitute(operation, n, count, a[k], lda, pivots + size_t(k) * n, b[k], ldb);                         \
        });                                                                                                            \
    }

FOR(S, float)
FOR(D, double)

}  // extern "C"
