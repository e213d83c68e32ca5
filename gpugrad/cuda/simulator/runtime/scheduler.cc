// Runs a grid: block after block, the threads of a block as fibers on one operating-system thread.
//
// A fiber runs threads to their end, one after another, until one waits at a barrier or a warp collective; then the
// next fiber takes over. So a kernel without barriers is a plain loop. The order of blocks, of threads and of those
// released by a barrier is drawn from the seed. A fault ends the launch: the stacks of its threads are abandoned.
#include "scheduler.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "fiber.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

extern "C" {
simulator::Index3 gpugrad_thread_index, gpugrad_block_index, gpugrad_block_size, gpugrad_grid_size;
}

namespace simulator {

Thread* current = nullptr;
const Launch* running = nullptr;
uint32_t epoch = 1, block_first_epoch = 1;
State states[kMaxThreads];
Site sites[kMaxThreads];
Warp warps[kMaxThreads / kWarp];
uint32_t count, done;
std::vector<uint16_t> ready;

namespace {

constexpr size_t kStack = 256 << 10;

struct Fiber {
    char* low = nullptr;
    void* stack_pointer = nullptr;
};

Thread threads[kMaxThreads];
Fiber* fiber_of[kMaxThreads];  // of a waiting thread
std::vector<Fiber*> all_fibers, idle;
std::vector<uint16_t> order;
Fiber* active = nullptr;
void* scheduler_stack = nullptr;
Fault* fault_out = nullptr;
bool faulted = false;
uint32_t started;
uint64_t random_state = 0;

uint32_t draw(uint32_t below) {  // splitmix64; the bias of the multiplication does not matter here
    uint64_t z = (random_state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return static_cast<uint32_t>(((z ^ (z >> 31)) >> 32) * below >> 32);
}

template <class T> void shuffle(std::vector<T>& list) {
    for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[draw(static_cast<uint32_t>(i))]);
}

void set_current(Thread* thread) {
    current = thread;
    thread_position(thread->index, &gpugrad_thread_index.x);
}

void finish_thread(uint32_t index) {
    states[index] = kDone;
    ++done;
    Warp& warp = warps[index / kWarp];
    warp.alive &= ~(1u << index % kWarp);
    for (uint32_t lane = 0; lane < kWarp; ++lane)  // those who waited for this thread alone
        if (warp.waiting >> lane & 1) complete_warp_if_all_wait(warp, warp.mask[lane]);
}

void fiber_main() {
    for (;;) {
        while (started < count) {
            Thread& thread = threads[order[started++]];
            thread.stack_low = active->low;
            thread.stack_high = active->low + kStack;
            set_current(&thread);
            running->entry(running->args);
            finish_thread(thread.index);
            if (!ready.empty() && draw(2)) break;  // let those go on who were released meanwhile
        }
        idle.push_back(active);
        gpugrad_switch(&active->stack_pointer, scheduler_stack);
    }
}

void reset(Fiber& fiber) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(fiber.low, kStack);  // of abandoned frames
#endif
    fiber.stack_pointer = prepare_stack(fiber.low + kStack, fiber_main);
}

Fiber* take_fiber() {
    if (idle.empty()) {
        auto* fiber = new Fiber;
        fiber->low = static_cast<char*>(mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(fiber->low, 4096, PROT_NONE);  // a stack that overflows stops the process, and corrupts nothing
        reset(*fiber);
        all_fibers.push_back(fiber);
        return fiber;
    }
    Fiber* fiber = idle.back();
    idle.pop_back();
    return fiber;
}

void run_on(Fiber* fiber) {
    active = fiber;
    gpugrad_switch(&scheduler_stack, fiber->stack_pointer);
}

// Nobody can go on: find two threads that wait for each other.
Fault explain_deadlock() {
    for (uint32_t i = 0; i < count; ++i) {
        if (states[i] != kAtBarrier && states[i] != kAtWarp) continue;
        const bool at_barrier = states[i] == kAtBarrier;
        const uint32_t base = at_barrier ? 0 : i / kWarp * kWarp, end = at_barrier ? count : std::min(base + kWarp, count);
        for (uint32_t j = base; j < end; ++j) {
            if (states[j] == states[i] || (!at_barrier && states[j] == kDone)) continue;
            if (at_barrier || warps[i / kWarp].mask[i % kWarp] >> j % kWarp & 1)
                return divergence(at_barrier ? kDivergentBarrier : kDivergentWarp, i, j);
        }
    }
    // Collectives alone, with masks that never meet.
    const auto i = static_cast<uint32_t>(std::find(states, states + count, kAtWarp) - states);
    const Warp& warp = warps[i / kWarp];
    uint32_t j = i;
    for (uint32_t lane = 0; lane < kWarp; ++lane)
        if (warp.waiting >> lane & 1 && warp.mask[lane] != warp.mask[i % kWarp]) j = i / kWarp * kWarp + lane;
    return divergence(kDivergentWarp, i, j);
}

void stop(const Fault& fault) {
    *fault_out = early_read.kind != kNone && fault.kind != kSharedRace ? early_read : fault;
    faulted = true;
}

void start_block(uint32_t serial, const Launch& launch) {
    gpugrad_block_index = {serial % launch.grid[0], serial / launch.grid[0] % launch.grid[1],
                           serial / launch.grid[0] / launch.grid[1]};
    block_first_epoch = ++epoch;
    early_read.kind = kNone;
    started = done = 0;
    start_collectives();
    ready.clear();
    memset(states, kUnstarted, count);
    for (uint32_t w = 0; w * kWarp < count; ++w) warps[w].start(std::min<uint32_t>(kWarp, count - w * kWarp));
    shuffle(order);
}

void run_block() {
    while (done < count && !faulted) {
        if (!ready.empty() && (started == count || draw(2))) {
            const uint16_t index = ready.back();
            ready.pop_back();
            states[index] = kReady;
            run_on(fiber_of[index]);
        } else if (started < count) {
            run_on(take_fiber());
        } else {
            stop(explain_deadlock());
        }
    }
    if (!faulted && early_read.kind != kNone) stop(early_read);
}

const char* refuse(const Launch& launch) {
    const uint64_t size = uint64_t{launch.block[0]} * launch.block[1] * launch.block[2];
    if (size == 0 || size > kMaxThreads || launch.block[2] > 64) return "a block has 1 to 1024 threads, at most 64 along z";
    if (launch.grid[0] == 0 || launch.grid[0] > 0x7fffffffu || launch.grid[1] - 1 > 65534 || launch.grid[2] - 1 > 65534)
        return "a grid has 1 to 2147483647 blocks along x, and 1 to 65535 along y and z";
    if (launch.dynamic_shared > 227 << 10) return "a block has at most 227 KiB of shared memory";
    return nullptr;
}

void prepare(const Launch& launch) {
    memcpy(&gpugrad_block_size, launch.block, sizeof launch.block);
    memcpy(&gpugrad_grid_size, launch.grid, sizeof launch.grid);
    count = launch.block[0] * launch.block[1] * launch.block[2];
    random_state = launch.seed;
    order.resize(count);
    for (uint32_t i = 0; i < count; ++i) {
        order[i] = static_cast<uint16_t>(i);
        threads[i] = {i, static_cast<uint8_t>(i % kWarp), static_cast<uint16_t>(i / kWarp), nullptr, nullptr};
    }
}

void abandon_fibers() {
    idle = all_fibers;
    for (Fiber* fiber : all_fibers) reset(*fiber);
}

}  // namespace

void shuffle_ready() { shuffle(ready); }

void wait_for_scheduler() {
    Thread* self = current;
    fiber_of[self->index] = active;
    gpugrad_switch(&active->stack_pointer, scheduler_stack);
    set_current(self);
}

void thread_position(uint32_t index, uint32_t position[3]) {
    const Index3& size = gpugrad_block_size;
    position[0] = index % size.x;
    position[1] = index / size.x % size.y;
    position[2] = index / size.x / size.y;
}

Fault new_fault(FaultKind kind, uint64_t pc) {
    Fault fault{};
    fault.kind = kind;
    fault.pc = pc;
    memcpy(fault.block, &gpugrad_block_index, sizeof fault.block);
    if (current) thread_position(current->index, fault.thread);
    return fault;
}

static const char* waits_for(uint32_t index) {
    if (states[index] == kAtBarrier) return "__syncthreads";
    return warp_op_name(warps[index / kWarp].op[index % kWarp]);
}

// The fault that threads a and b wait for different things.
Fault divergence(FaultKind kind, uint32_t a, uint32_t b) {
    Fault fault = new_fault(kind, 0);
    thread_position(a, fault.thread);
    thread_position(b, fault.other_thread);
    fault.line = sites[a].line;
    snprintf(fault.file, sizeof fault.file, "%s", sites[a].file);
    const uint32_t* p = fault.other_thread;
    if (states[b] == kDone)
        snprintf(fault.text, sizeof fault.text, "waits at %s, but thread (%u, %u, %u) has ended", waits_for(a), p[0], p[1], p[2]);
    else
        snprintf(fault.text, sizeof fault.text, "waits at %s (mask 0x%08x), but thread (%u, %u, %u) at %s (mask 0x%08x), %s:%d",
                 waits_for(a), states[a] == kAtWarp ? warps[a / kWarp].mask[a % kWarp] : ~0u, p[0], p[1], p[2], waits_for(b),
                 states[b] == kAtWarp ? warps[b / kWarp].mask[b % kWarp] : ~0u, sites[b].file, sites[b].line);
    return fault;
}

void raise_fault(Fault fault) {
    stop(fault);
    void* abandoned;
    gpugrad_switch(&abandoned, scheduler_stack);
    __builtin_unreachable();
}

}  // namespace simulator

using namespace simulator;

// Runs a grid. Returns 0, or 1 with the fault filled in.
extern "C" int gpugrad_launch(const Launch* launch, Fault* fault) {
    fault_out = fault;
    faulted = false;
    current = nullptr;
    running = launch;
    if (const char* why = refuse(*launch)) {
        *fault = Fault{};
        fault->kind = kLimits;
        snprintf(fault->text, sizeof fault->text, "%s", why);
        return 1;
    }
    prepare(*launch);
    start_shared_checks(*launch);
    std::vector<uint32_t> blocks(size_t{launch->grid[0]} * launch->grid[1] * launch->grid[2]);
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<uint32_t>(i);
    shuffle(blocks);
    for (size_t i = 0; i < blocks.size() && !faulted; ++i) {
        start_block(blocks[i], *launch);
        run_block();
    }
    if (faulted) abandon_fibers();
    return faulted;
}
