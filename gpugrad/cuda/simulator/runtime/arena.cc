// Device memory: one reservation of address space, with a shadow byte for each of its bytes. Pages are committed by the
// operating system when they are touched. Python (memory.py) decides what lies where.
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "runtime.h"

namespace simulator {
char* arena = nullptr;
uint8_t* arena_shadow = nullptr;
size_t arena_size = 0;

static char* reserve(size_t bytes) {
    void* found = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return found == MAP_FAILED ? nullptr : static_cast<char*>(found);
}
}  // namespace simulator

using namespace simulator;

// Returns the address of the arena, 0 if `bytes` of address space cannot be had.
extern "C" uint64_t gpugrad_arena_open(uint64_t bytes) {
    arena = reserve(bytes);
    arena_shadow = reinterpret_cast<uint8_t*>(reserve(bytes));
    arena_size = arena && arena_shadow ? bytes : 0;
    return arena_size ? reinterpret_cast<uint64_t>(arena) : 0;
}

// For the address sanitizer, which keeps its own account; without it, nothing to do.
extern "C" void gpugrad_arena_fence(uint64_t address, uint64_t bytes, int closed) {
#if defined(__SANITIZE_ADDRESS__)
    if (closed) __asan_poison_memory_region(reinterpret_cast<void*>(address), bytes);
    else __asan_unpoison_memory_region(reinterpret_cast<void*>(address), bytes);
#else
    (void)address, (void)bytes, (void)closed;
#endif
}

extern "C" void gpugrad_arena_release(uint64_t address, uint64_t bytes) {
    madvise(reinterpret_cast<void*>(address), bytes, MADV_DONTNEED);
}

extern "C" uint64_t gpugrad_arena_shadow() { return reinterpret_cast<uint64_t>(arena_shadow); }
