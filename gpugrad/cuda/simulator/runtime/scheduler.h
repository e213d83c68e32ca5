// What the collectives (collectives.cc) need of the scheduler.
#pragma once
#include <vector>

#include "runtime.h"

extern "C" {
extern simulator::Index3 gpugrad_thread_index, gpugrad_block_index, gpugrad_block_size, gpugrad_grid_size;
}

namespace simulator {

enum State : uint8_t { kUnstarted, kReady, kAtBarrier, kAtWarp, kDone };

struct Site {
    const char* file;
    int line;
};

enum WarpOp : uint8_t {
    kSyncWarp, kShuffle, kShuffleUp, kShuffleDown, kShuffleXor, kBallot, kMatchAny,
    kReduceAdd, kReduceMin, kReduceMax, kReduceMinSigned, kReduceMaxSigned, kReduceAnd, kReduceOr, kReduceXor,
};

struct Warp {
    uint32_t alive, waiting;  // lanes
    WarpOp op[kWarp];         // what a waiting lane waits for, and with what
    uint32_t mask[kWarp], source[kWarp];
    uint64_t value[kWarp], result[kWarp];
    uint32_t seen[kWarp][kWarp];  // seen[a][b]: the clock of lane b at the last __syncwarp that ordered it before a
    void start(uint32_t lanes);
};

extern State states[kMaxThreads];
extern Site sites[kMaxThreads];  // where a waiting thread waits
extern Warp warps[kMaxThreads / kWarp];
extern uint32_t count, done;
extern std::vector<uint16_t> ready;

void shuffle_ready();
void wait_for_scheduler();  // leaves the current thread, and returns when it is released
Fault divergence(FaultKind kind, uint32_t a, uint32_t b);
void start_collectives();
void complete_warp_if_all_wait(Warp& warp, uint32_t mask);
const char* warp_op_name(WarpOp op);

}  // namespace simulator
