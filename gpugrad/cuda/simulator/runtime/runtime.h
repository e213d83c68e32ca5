// What the simulator's parts know of each other: the scheduler (scheduler.cc), the checks (checks.cc), the arena
// (arena.cc), the header that kernels are compiled against (../include/simulator.h) and Python (../library.py).
#pragma once
#include <cstddef>
#include <cstdint>

namespace simulator {

constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;

enum FaultKind : int32_t {
    kNone,
    kWildAccess,         // an address in no allocation
    kUninitialized,      // a read of global memory that nobody wrote
    kSharedBounds,       // an address between or beyond the block's shared variables
    kSharedUninitialized,
    kSharedRace,
    kDivergentBarrier,
    kDivergentWarp,
    kMisaligned,
    kUndefined,          // other undefined behaviour: array index, shift, overflow, division by zero
    kAssert,
    kLimits,             // a launch no GPU would accept
};

// Read by Python through ctypes: keep library.py in step.
struct Fault {
    int32_t kind, is_write;
    uint32_t block[3], thread[3], other_thread[3];
    uint32_t size;
    uint64_t address, pc, other_pc;
    int32_t line, other_is_write;
    char file[256], text[512];
};

struct Param {
    uint32_t size;
    char kind;  // p pointer, f floating, i integer or bool, o anything else
};

struct Kernel {
    const char* name;
    void (*entry)(void* const* args);
    uint32_t count;
    const Param* params;
};

struct Launch {
    void (*entry)(void* const* args);
    void* const* args;
    uint32_t grid[3], block[3];
    uint64_t seed, dynamic_shared;
    const char *shared_begin, *shared_end;  // the module's shared variables, guard zones between them
    const char *image_begin, *image_end;    // all of the module, as loaded
    const uint64_t* shared_ranges;          // begin, end of each shared variable, ascending
    uint64_t shared_count;
};

// One thread of the running block.
struct Thread {
    uint32_t index;
    uint8_t lane;
    uint16_t warp;
    const char *stack_low, *stack_high;  // of the fiber it runs on
};

struct Index3 {
    unsigned x, y, z;
};

extern Thread* current;
extern const Launch* running;
extern uint32_t epoch, block_first_epoch;  // grow at every block barrier, and at the start of every block

bool warp_ordered(uint32_t earlier, uint32_t clock);  // whether a __syncwarp lies between that access and now
uint32_t warp_clock();
[[noreturn]] void raise_fault(Fault fault);  // ends the launch
Fault new_fault(FaultKind kind, uint64_t pc);
void thread_position(uint32_t index, uint32_t position[3]);

extern char* arena;            // device memory
extern uint8_t* arena_shadow;  // a state for each byte of it
extern size_t arena_size;
enum ByteState : uint8_t { kUnaddressable, kFresh, kWritten };

void start_shared_checks(const Launch& launch);

// A read of shared memory that nobody has written yet: a race if another thread writes there before the next barrier,
// and a fault of its own if none does. So it is kept until one of the two is certain, and stands for what follows of it.
extern Fault early_read;

}  // namespace simulator
