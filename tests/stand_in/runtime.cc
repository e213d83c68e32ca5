// A stand-in for CUDA's runtime library, beneath CuPy itself: device memory is the host's, and work is done when it is
// submitted, or when a graph that captured it is launched.
//
// It holds calls to the rules that a capture of a graph imposes, to what was allocated, and to the sizes of the types in
// CUDA's headers, against which it is compiled. What nobody here calls is missing: attach.py says which was called.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace {

using Work = std::function<void()>;

constexpr size_t kTotal = size_t(16) << 30;
constexpr int kMultiprocessors = 4;

struct Graph {
    std::vector<Work> work;
};

struct Stream {
    unsigned flags = 0;
    int priority = 0;
    Graph* capturing = nullptr;
    cudaStreamCaptureMode mode{};
    bool broken = false;  // by a call that a capture refuses
};

struct Event {
    unsigned flags = 0;
    bool recorded = false, captured = false;
    std::chrono::steady_clock::time_point at;
};

std::recursive_mutex lock;
std::map<const char*, size_t> allocations, pinned;  // by address
size_t held = 0;
std::map<Stream*, bool> streams;
long counts[8];  // of launches, copies host to device, device to host, within the device, fills, allocations, waits, events

enum Count { kLaunches, kToDevice, kToHost, kWithin, kFills, kAllocations, kWaits, kEvents };

const bool skip = getenv("GPUGRAD_STAND_IN_SKIP") != nullptr;  // launch nothing, to time the host alone

thread_local cudaError_t last_error = cudaSuccess;
bool initialised = false;  // CuPy's first call is one of those that set it

cudaError_t fail(cudaError_t error, const char* why) {
    if (getenv("GPUGRAD_STAND_IN_VERBOSE")) fprintf(stderr, "stand-in: %s: %s\n", cudaGetErrorName(error), why);
    return last_error = error;
}

Stream legacy;

Stream* stream_of(cudaStream_t given) {
    auto bits = reinterpret_cast<uintptr_t>(given);
    return bits <= 2 ? &legacy : reinterpret_cast<Stream*>(given);
}

bool known(Stream* stream) { return stream == &legacy || streams.count(stream); }

// The error that submitting to `stream` gives: the legacy stream waits for blocking streams, which a capture refuses.
cudaError_t refused(Stream* stream) {
    if (!known(stream)) return fail(cudaErrorInvalidResourceHandle, "no such stream");
    if (stream == &legacy)
        for (auto& [other, _] : streams)
            if (other->capturing && !(other->flags & cudaStreamNonBlocking)) {
                other->broken = true;
                return fail(cudaErrorStreamCaptureImplicit, "the legacy stream would wait for a stream being captured");
            }
    return cudaSuccess;
}

cudaError_t submit(cudaStream_t given, Work work) {
    std::lock_guard guard(lock);
    Stream* stream = stream_of(given);
    if (cudaError_t error = refused(stream)) return error;
    if (stream->capturing) stream->capturing->work.push_back(std::move(work));
    else work();
    return cudaSuccess;
}

// What waits for the host is refused by any capture in mode global or of this thread, and by one of the stream itself.
cudaError_t refused_in_capture(Stream* waited_for, const char* call) {
    for (auto& [stream, _] : streams)
        if (stream->capturing && (stream == waited_for || waited_for == nullptr ||
                                  stream->mode != cudaStreamCaptureModeRelaxed)) {
            stream->broken = true;
            return fail(cudaErrorStreamCaptureUnsupported, call);
        }
    return cudaSuccess;
}

bool inside(const std::map<const char*, size_t>& ranges, const void* p, size_t bytes) {
    auto found = ranges.upper_bound(static_cast<const char*>(p));
    if (found == ranges.begin()) return false;
    --found;
    return static_cast<const char*>(p) + bytes <= found->first + found->second;
}

bool on_device(const void* p, size_t bytes) { return inside(allocations, p, bytes); }

cudaError_t check_copy(const void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return cudaSuccess;
    bool device_to = on_device(to, bytes), device_from = on_device(from, bytes);
    if (kind == cudaMemcpyDefault) kind = static_cast<cudaMemcpyKind>((device_from ? 2 : 0) + (device_to ? 1 : 0));
    if ((kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) != device_to)
        return fail(cudaErrorInvalidValue, "copy: where to is not where it says");
    if ((kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice) != device_from)
        return fail(cudaErrorInvalidValue, "copy: where from is not where it says");
    ++counts[kind == cudaMemcpyHostToDevice ? kToDevice : kind == cudaMemcpyDeviceToHost ? kToHost : kWithin];
    return cudaSuccess;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) long* stand_in_counts() { return counts; }

__attribute__((visibility("default"))) int stand_in_missing(const char* name) {
    fprintf(stderr, "stand-in: %s was called, and is not there\n", name);
    return cudaErrorNotSupported;
}

// Work of another library; `forget` is called once nothing can do it any more.
__attribute__((visibility("default"))) int stand_in_submit(void* stream, void (*work)(void*), void (*forget)(void*), void* with) {
    std::shared_ptr<void> held(with, forget);
    std::lock_guard guard(lock);
    ++counts[kLaunches];
    if (skip) return cudaSuccess;
    return submit(static_cast<cudaStream_t>(stream), [=] { work(held.get()); });
}

// ---- the runtime library: errors, devices ----

const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "cudaSuccess";
        case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
        case cudaErrorInitializationError: return "cudaErrorInitializationError";
        case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
        case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
        case cudaErrorNotReady: return "cudaErrorNotReady";
        case cudaErrorNotSupported: return "cudaErrorNotSupported";
        case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
        case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
        case cudaErrorStreamCaptureImplicit: return "cudaErrorStreamCaptureImplicit";
        case cudaErrorIllegalState: return "cudaErrorIllegalState";
        default: return "cudaErrorUnknown";
    }
}

// What every function of the runtime library is in a process that was forked after one was called: see attach.py.
__attribute__((visibility("default"))) int stand_in_forked() {
    return fail(cudaErrorInitializationError, "CUDA was initialised before the fork");
}

__attribute__((visibility("default"))) int stand_in_initialised() { return initialised; }

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

cudaError_t cudaGetLastError() {
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaDriverGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) { return initialised = true, *count = 1, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return initialised = true, *device = 0, cudaSuccess; }

cudaError_t cudaSetDevice(int device) {
    initialised = true;
    return device == 0 ? cudaSuccess : fail(cudaErrorInvalidDevice, "there is one device");
}

cudaError_t cudaDeviceSynchronize() {
    std::lock_guard guard(lock);
    ++counts[kWaits];
    return refused_in_capture(nullptr, "cudaDeviceSynchronize");
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    if (device != 0) return fail(cudaErrorInvalidDevice, "there is one device");
    switch (attribute) {
        case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
        case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
        case cudaDevAttrMultiProcessorCount: *value = kMultiprocessors; break;
        case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
        case cudaDevAttrWarpSize: *value = 32; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 << 10; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 227 << 10; break;
        case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
        case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *value = 65535; break;
        case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: *value = 1024; break;
        case cudaDevAttrMaxBlockDimZ: *value = 64; break;
        case cudaDevAttrMemoryPoolsSupported: *value = 1; break;
        default: *value = 0;
    }
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
    if (device != 0) return fail(cudaErrorInvalidDevice, "there is one device");
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "Stand-in");
    p->major = 9;
    p->totalGlobalMem = kTotal;
    p->multiProcessorCount = kMultiprocessors;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->warpSize = 32;
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerBlockOptin = 227 << 10;
    p->sharedMemPerMultiprocessor = 228 << 10;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->l2CacheSize = 50 << 20;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) { return *can = 0, cudaSuccess; }

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    *total = kTotal;
    *free = kTotal - held;
    return cudaSuccess;
}

// ---- memory ----

cudaError_t cudaMalloc(void** made, size_t bytes) {
    std::lock_guard guard(lock);
    for (auto& [stream, _] : streams)
        if (stream->capturing && stream->mode != cudaStreamCaptureModeRelaxed) {
            stream->broken = true;
            return fail(cudaErrorStreamCaptureUnsupported, "cudaMalloc");
        }
    if (held + bytes > kTotal) return fail(cudaErrorMemoryAllocation, "the device is full");
    if (bytes == 0) return *made = nullptr, cudaSuccess;
    char* memory = static_cast<char*>(aligned_alloc(512, (bytes + 511) / 512 * 512));
    if (!memory) return fail(cudaErrorMemoryAllocation, "the host is full");
    memset(memory, 0xA5, bytes < (64 << 20) ? bytes : (64 << 20));  // nobody may count on zeros
    allocations[memory] = bytes;
    held += bytes;
    ++counts[kAllocations];
    return *made = memory, cudaSuccess;
}

cudaError_t cudaFree(void* p) {
    std::lock_guard guard(lock);
    if (!p) return cudaSuccess;
    auto found = allocations.find(static_cast<char*>(p));
    if (found == allocations.end()) return fail(cudaErrorInvalidValue, "cudaFree of what was not allocated");
    for (auto& [stream, _] : streams)
        if (stream->capturing && stream->mode != cudaStreamCaptureModeRelaxed) {
            stream->broken = true;
            return fail(cudaErrorStreamCaptureUnsupported, "cudaFree");
        }
    held -= found->second;
    allocations.erase(found);
    free(p);
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** made, size_t bytes, unsigned) {
    std::lock_guard guard(lock);
    *made = aligned_alloc(512, (bytes + 511) / 512 * 512 + 512);
    pinned[static_cast<char*>(*made)] = bytes;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void* p) {
    std::lock_guard guard(lock);
    if (p && !pinned.erase(static_cast<char*>(p))) return fail(cudaErrorInvalidValue, "cudaFreeHost");
    free(p);
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* found, const void* p) {
    std::lock_guard guard(lock);
    memset(found, 0, sizeof *found);
    bool device = on_device(p, 1), host = inside(pinned, p, 1);
    found->type = device ? cudaMemoryTypeDevice : host ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
    found->device = device || host ? 0 : -2;
    found->devicePointer = device ? const_cast<void*>(p) : nullptr;
    found->hostPointer = device ? nullptr : const_cast<void*>(p);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    std::lock_guard guard(lock);
    if (cudaError_t error = check_copy(to, from, bytes, kind)) return error;
    return submit(stream, [=] { memmove(to, from, bytes); });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    std::lock_guard guard(lock);
    ++counts[kWaits];
    return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}

cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
    std::lock_guard guard(lock);
    if (bytes && !on_device(p, bytes)) return fail(cudaErrorInvalidValue, "cudaMemset of what was not allocated");
    ++counts[kFills];
    return submit(stream, [=] { memset(p, value, bytes); });
}

cudaError_t cudaMemset(void* p, int value, size_t bytes) { return cudaMemsetAsync(p, value, bytes, nullptr); }

// ---- streams, events, graphs ----

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* made, unsigned flags, int priority) {
    std::lock_guard guard(lock);
    Stream* stream = new Stream;
    stream->flags = flags;
    stream->priority = priority;
    streams[stream] = true;
    return *made = reinterpret_cast<cudaStream_t>(stream), cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* made, unsigned flags) {
    return cudaStreamCreateWithPriority(made, flags, 0);
}

cudaError_t cudaStreamCreate(cudaStream_t* made) { return cudaStreamCreateWithPriority(made, 0, 0); }

cudaError_t cudaStreamDestroy(cudaStream_t given) {
    std::lock_guard guard(lock);
    Stream* stream = stream_of(given);
    if (stream == &legacy || !streams.erase(stream)) return fail(cudaErrorInvalidResourceHandle, "cudaStreamDestroy");
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamGetFlags(cudaStream_t given, unsigned* flags) { return *flags = stream_of(given)->flags, cudaSuccess; }
cudaError_t cudaStreamGetPriority(cudaStream_t given, int* found) { return *found = stream_of(given)->priority, cudaSuccess; }

cudaError_t cudaStreamSynchronize(cudaStream_t given) {
    std::lock_guard guard(lock);
    ++counts[kWaits];
    Stream* stream = stream_of(given);
    if (cudaError_t error = refused(stream)) return error;
    if (stream->capturing) return refused_in_capture(stream, "cudaStreamSynchronize");
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t given) {
    std::lock_guard guard(lock);
    Stream* stream = stream_of(given);
    if (cudaError_t error = refused(stream)) return error;
    if (stream->capturing) return refused_in_capture(stream, "cudaStreamQuery");
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t given, cudaEvent_t event, unsigned) {
    std::lock_guard guard(lock);
    Stream* stream = stream_of(given);
    Event* waited = reinterpret_cast<Event*>(event);
    if (cudaError_t error = refused(stream)) return error;
    if (stream->capturing && waited->recorded && !waited->captured) {
        stream->broken = true;
        return fail(cudaErrorStreamCaptureIsolation, "a captured stream waits for what is not captured");
    }
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t given, cudaStreamCaptureStatus* status) {
    std::lock_guard guard(lock);
    Stream* stream = stream_of(given);
    if (cudaError_t error = refused(stream)) return error;
    *status = !stream->capturing ? cudaStreamCaptureStatusNone
              : stream->broken   ? cudaStreamCaptureStatusInvalidated
                                 : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t given, cudaStreamCaptureMode mode) {
    std::lock_guard guard(lock);
    Stream* stream = stream_of(given);
    if (stream == &legacy) return fail(cudaErrorStreamCaptureUnsupported, "the legacy stream cannot be captured");
    if (stream->capturing) return fail(cudaErrorIllegalState, "the stream is being captured already");
    stream->capturing = new Graph;
    stream->mode = mode;
    stream->broken = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t given, cudaGraph_t* made) {
    std::lock_guard guard(lock);
    Stream* stream = stream_of(given);
    *made = nullptr;
    if (!stream->capturing) return fail(cudaErrorIllegalState, "the stream is not being captured");
    Graph* graph = stream->capturing;
    stream->capturing = nullptr;
    if (stream->broken) return delete graph, fail(cudaErrorStreamCaptureInvalidated, "cudaStreamEndCapture");
    return *made = reinterpret_cast<cudaGraph_t>(graph), cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
    return *made = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph*>(graph))), cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    Graph* graph = reinterpret_cast<Graph*>(exec);
    for (Work& work : graph->work)
        if (cudaError_t error = submit(stream, work)) return error;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete reinterpret_cast<Graph*>(graph), cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return delete reinterpret_cast<Graph*>(exec), cudaSuccess; }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* made, unsigned flags) {
    Event* event = new Event;
    event->flags = flags;
    ++counts[kEvents];
    return *made = reinterpret_cast<cudaEvent_t>(event), cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* made) { return cudaEventCreateWithFlags(made, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete reinterpret_cast<Event*>(event), cudaSuccess; }

cudaError_t cudaEventRecord(cudaEvent_t given, cudaStream_t in) {
    std::lock_guard guard(lock);
    Stream* stream = stream_of(in);
    if (cudaError_t error = refused(stream)) return error;
    Event* event = reinterpret_cast<Event*>(given);
    event->captured = stream->capturing != nullptr;
    event->recorded = true;
    event->at = std::chrono::steady_clock::now();
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t given) {
    std::lock_guard guard(lock);
    ++counts[kWaits];
    Event* event = reinterpret_cast<Event*>(given);
    return event->captured ? fail(cudaErrorCapturedEvent, "cudaEventSynchronize") : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t given) {
    Event* event = reinterpret_cast<Event*>(given);
    return event->captured ? fail(cudaErrorCapturedEvent, "cudaEventQuery") : cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
    Event *a = reinterpret_cast<Event*>(from), *b = reinterpret_cast<Event*>(to);
    if (!a->recorded || !b->recorded || ((a->flags | b->flags) & cudaEventDisableTiming))
        return fail(cudaErrorInvalidResourceHandle, "cudaEventElapsedTime");
    *ms = std::chrono::duration<float, std::milli>(b->at - a->at).count();
    return cudaSuccess;
}

cudaError_t cudaProfilerStart() { return cudaSuccess; }
cudaError_t cudaProfilerStop() { return cudaSuccess; }

}  // extern "C"
