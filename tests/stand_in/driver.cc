// A stand-in for CUDA's driver, beneath CuPy itself: modules are libraries that the simulator (gpugrad/cuda/simulator)
// compiles, and kernels run in its scheduler, submitted to streams as runtime.cc's other work.
#include <cuda.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime.h"

extern "C" int gpugrad_launch(const simulator::Launch*, simulator::Fault*);
extern "C" int stand_in_submit(void* stream, void (*work)(void*), void (*forget)(void*), void* with);

namespace {

std::mutex lock;

struct Module {
    std::string image;
    const simulator::Kernel* kernels;
    const uint64_t* info;  // shared_begin, shared_end, image_begin, image_end, the number of variables and their ranges
    std::vector<uint64_t> ranges;
};

struct Function {
    Module* module;
    const simulator::Kernel* kernel;
    int dynamic_limit = 48 << 10;
};

// Where GPUGRAD_STAND_IN_LAUNCHES says: image, kernel, threads and dynamic shared memory, whenever either is a new most.
void note_launch(const Function& function, unsigned threads, unsigned shared) {
    static const char* const file = getenv("GPUGRAD_STAND_IN_LAUNCHES");
    static std::map<const simulator::Kernel*, std::pair<unsigned, unsigned>> most;
    if (!file) return;
    std::lock_guard guard(lock);
    auto& [most_threads, most_shared] = most[function.kernel];
    if (threads <= most_threads && shared <= most_shared) return;
    most_threads = std::max(most_threads, threads);
    most_shared = std::max(most_shared, shared);
    if (FILE* to = fopen(file, "a")) {
        fprintf(to, "%s\t%s\t%u\t%u\n", function.module->image.c_str(), function.kernel->name, threads, shared);
        fclose(to);
    }
}

}  // namespace

extern "C" {

CUresult cuGetErrorName(CUresult error, const char** text) {
    return *text = error == CUDA_ERROR_NOT_FOUND ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR", CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char** text) { return cuGetErrorName(error, text); }
CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int* version) { return *version = 13000, CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int* count) { return *count = 1, CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext* context) { return *context = reinterpret_cast<CUcontext>(0x10), CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
CUresult cuCtxGetDevice(CUdevice* device) { return *device = 0, CUDA_SUCCESS; }

// The image is not machine code but the path of a library: attach.py has the simulator make it.
CUresult cuModuleLoadData(CUmodule* made, const void* image) {
    std::lock_guard guard(lock);
    void* library = dlopen(static_cast<const char*>(image), RTLD_NOW | RTLD_LOCAL);
    if (!library) return fprintf(stderr, "stand-in: %s\n", dlerror()), CUDA_ERROR_INVALID_IMAGE;
    auto* module = new Module{static_cast<const char*>(image), static_cast<const simulator::Kernel*>(dlsym(library, "gpugrad_kernels")),
                              static_cast<const uint64_t*>(dlsym(library, "gpugrad_module")), {}};
    module->ranges.assign(module->info + 5, module->info + 5 + 2 * module->info[4]);
    return *made = reinterpret_cast<CUmodule>(module), CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }

CUresult cuModuleGetFunction(CUfunction* made, CUmodule given, const char* name) {
    auto* module = reinterpret_cast<Module*>(given);
    for (const simulator::Kernel* k = module->kernels; k->name; ++k)
        if (!strcmp(k->name, name)) return *made = reinterpret_cast<CUfunction>(new Function{module, k}), CUDA_SUCCESS;
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetGlobal(CUdeviceptr*, size_t*, CUmodule, const char*) { return CUDA_ERROR_NOT_FOUND; }

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction given) {
    auto* function = reinterpret_cast<Function*>(given);
    *value = attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ? function->dynamic_limit
             : attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK       ? 1024
             : attribute == CU_FUNC_ATTRIBUTE_NUM_REGS                    ? 32
                                                                          : 0;
    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction given, CUfunction_attribute attribute, int value) {
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
    if (value > (227 << 10)) return CUDA_ERROR_INVALID_VALUE;
    reinterpret_cast<Function*>(given)->dynamic_limit = value;
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int threads, size_t) {
    return *blocks = 2048 / threads, CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction, CUoccupancyB2DSize, size_t, int) {
    return *grid = 32, *block = 256, CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction given, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, CUstream stream, void** arguments, void**) {
    auto* function = reinterpret_cast<Function*>(given);
    if (!gx || !gy || !gz || !bx || !by || !bz || gy > 65535 || gz > 65535 || bx * by * bz > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    if (shared > unsigned(function->dynamic_limit)) return CUDA_ERROR_INVALID_VALUE;
    const simulator::Kernel& kernel = *function->kernel;
    std::vector<std::vector<char>> values;  // the driver copies them too: a graph may be launched much later
    for (uint32_t i = 0; i < kernel.count; ++i) {
        char* from = static_cast<char*>(arguments[i]);
        values.emplace_back(from, from + kernel.params[i].size);
    }
    note_launch(*function, bx * by * bz, shared);
    Module* module = function->module;
    auto* work = new std::function<void()>([=]() mutable {
        std::vector<void*> pointers;
        for (auto& value : values) pointers.push_back(value.data());
        pointers.push_back(nullptr);
        simulator::Launch launch{};
        launch.entry = kernel.entry;
        launch.args = pointers.data();
        unsigned sizes[] = {gx, gy, gz, bx, by, bz};
        memcpy(launch.grid, sizes, sizeof launch.grid);
        memcpy(launch.block, sizes + 3, sizeof launch.block);
        launch.dynamic_shared = shared;
        launch.shared_begin = reinterpret_cast<const char*>(module->info[0]);
        launch.shared_end = reinterpret_cast<const char*>(module->info[1]);
        launch.image_begin = reinterpret_cast<const char*>(module->info[2]);
        launch.image_end = reinterpret_cast<const char*>(module->info[3]);
        launch.shared_ranges = module->ranges.data();
        launch.shared_count = module->info[4];
        simulator::Fault fault{};
        if (gpugrad_launch(&launch, &fault)) {
            fprintf(stderr, "stand-in: a fault in %s: %s\n", kernel.name, fault.text);
            abort();
        }
    });
    auto run = [](void* with) { (*static_cast<std::function<void()>*>(with))(); };
    auto forget = [](void* with) { delete static_cast<std::function<void()>*>(with); };
    return static_cast<CUresult>(stand_in_submit(stream, run, forget, work));
}

}  // extern "C"
