// Block barriers and warp collectives: arrive, wait, go on together.
//
// A barrier needs every thread of the block, at one place of the source. A collective needs every lane that its mask
// names and that has not ended, with one mask and one operation. Only __syncthreads and __syncwarp order memory.
#include <cstring>

#include "scheduler.h"

namespace simulator {

static uint32_t arrived, first_arrival;
static int predicate_sum, barrier_result;

void start_collectives() { arrived = predicate_sum = 0; }

const char* warp_op_name(WarpOp op) {
    static const char* const names[] = {
        "__syncwarp", "__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync",
        "__ballot_sync, __any_sync or __all_sync", "__match_any_sync", "__reduce_add_sync", "__reduce_min_sync",
        "__reduce_max_sync", "__reduce_min_sync", "__reduce_max_sync", "__reduce_and_sync", "__reduce_or_sync",
        "__reduce_xor_sync"};
    return names[op];
}

void Warp::start(uint32_t lanes) {
    alive = lanes == kWarp ? ~0u : (1u << lanes) - 1;
    waiting = 0;
    memset(seen, 0, sizeof seen);
    for (int lane = 0; lane < kWarp; ++lane) seen[lane][lane] = 1;
}

bool warp_ordered(uint32_t earlier, uint32_t clock) {
    return earlier / kWarp == current->warp && warps[current->warp].seen[current->lane][earlier % kWarp] >= clock;
}

uint32_t warp_clock() { return warps[current->warp].seen[current->lane][current->lane]; }

static void order_lanes(Warp& warp, uint32_t lanes) {
    uint32_t joint[kWarp] = {};
    for (int a = 0; a < kWarp; ++a)
        if (lanes >> a & 1)
            for (int b = 0; b < kWarp; ++b) joint[b] = warp.seen[a][b] > joint[b] ? warp.seen[a][b] : joint[b];
    for (int a = 0; a < kWarp; ++a)
        if (lanes >> a & 1) {
            memcpy(warp.seen[a], joint, sizeof joint);
            ++warp.seen[a][a];
        }
}

static uint64_t combine(WarpOp op, uint64_t a, uint64_t b) {
    const auto sa = static_cast<int32_t>(a), sb = static_cast<int32_t>(b);
    switch (op) {
        case kReduceAdd: return static_cast<uint32_t>(a + b);
        case kReduceMin: return a < b ? a : b;
        case kReduceMax: return a > b ? a : b;
        case kReduceMinSigned: return sa < sb ? a : b;
        case kReduceMaxSigned: return sa > sb ? a : b;
        case kReduceAnd: return a & b;
        case kReduceOr: return a | b;
        default: return a ^ b;
    }
}

static void compute(Warp& warp, WarpOp op, uint32_t lanes) {
    uint64_t total = 0;
    bool first = true;
    for (int lane = 0; lane < kWarp; ++lane) {
        if (!(lanes >> lane & 1)) continue;
        if (op == kBallot) {
            total |= uint64_t{warp.value[lane] != 0} << lane;
        } else if (op >= kReduceAdd) {
            total = first ? warp.value[lane] : combine(op, total, warp.value[lane]);
            first = false;
        } else if (op == kMatchAny) {
            warp.result[lane] = 0;
            for (int b = 0; b < kWarp; ++b)
                if (lanes >> b & 1 && warp.value[b] == warp.value[lane]) warp.result[lane] |= 1u << b;
        } else if (op != kSyncWarp) {
            // What a lane outside the collective holds is undefined: poison, that its use shows.
            const uint32_t from = warp.source[lane];
            warp.result[lane] = lanes >> from & 1 ? warp.value[from] : ~uint64_t{0};
        }
    }
    if (op == kBallot || op >= kReduceAdd)
        for (int lane = 0; lane < kWarp; ++lane)
            if (lanes >> lane & 1) warp.result[lane] = total;
}

void complete_warp_if_all_wait(Warp& warp, uint32_t mask) {
    const uint32_t lanes = mask & warp.alive;
    if ((warp.waiting & lanes) != lanes || !lanes) return;
    const auto base = static_cast<uint32_t>(&warp - warps) * kWarp;
    const auto first = static_cast<uint32_t>(__builtin_ctz(lanes));
    for (uint32_t lane = first + 1; lane < kWarp; ++lane)
        if (lanes >> lane & 1 && (warp.op[lane] != warp.op[first] || warp.mask[lane] != warp.mask[first]))
            raise_fault(divergence(kDivergentWarp, base + first, base + lane));
    compute(warp, warp.op[first], lanes);
    if (warp.op[first] == kSyncWarp) order_lanes(warp, lanes);
    warp.waiting &= ~lanes;
    for (uint32_t lane = first; lane < kWarp; ++lane)
        if (lanes >> lane & 1) ready.push_back(static_cast<uint16_t>(base + lane));
    shuffle_ready();
}

static int barrier(int predicate, const char* file, int line) {
    const uint32_t self = current->index;
    sites[self] = {file, line};
    states[self] = kAtBarrier;
    if (arrived++ == 0) first_arrival = self;
    const Site& first = sites[first_arrival];
    if (first.line != line || (first.file != file && strcmp(first.file, file) != 0))
        raise_fault(divergence(kDivergentBarrier, self, first_arrival));
    predicate_sum += predicate != 0;
    if (arrived == count) {
        if (early_read.kind != kNone) raise_fault(early_read);
        barrier_result = predicate_sum;
        arrived = predicate_sum = 0;
        ++epoch;
        for (uint32_t i = 0; i < count; ++i) ready.push_back(static_cast<uint16_t>(i));
        shuffle_ready();
    }
    wait_for_scheduler();
    return barrier_result;
}

static uint64_t collective(WarpOp op, uint32_t mask, uint64_t value, uint32_t source, const char* file, int line) {
    Warp& warp = warps[current->warp];
    const uint32_t lane = current->lane;
    sites[current->index] = {file, line};
    if (!(mask >> lane & 1)) {
        Fault fault = new_fault(kDivergentWarp, 0);
        fault.line = line;
        strncpy(fault.file, file, sizeof fault.file - 1);
        strcpy(fault.text, "calls a warp collective with a mask that does not name its own lane");
        raise_fault(fault);
    }
    states[current->index] = kAtWarp;
    warp.op[lane] = op;
    warp.mask[lane] = mask;
    warp.value[lane] = value;
    warp.source[lane] = source;
    warp.waiting |= 1u << lane;
    complete_warp_if_all_wait(warp, mask);
    wait_for_scheduler();
    return warp.result[lane];
}

}  // namespace simulator

using namespace simulator;

extern "C" {

void gpugrad_syncthreads(const char* file, int line) { barrier(0, file, line); }

int gpugrad_syncthreads_count(int predicate, const char* file, int line) { return barrier(predicate, file, line); }

void gpugrad_syncwarp(unsigned mask, const char* file, int line) { collective(kSyncWarp, mask, 0, 0, file, line); }

uint64_t gpugrad_shuffle(int how, unsigned mask, uint64_t value, int by, int width, const char* file, int line) {
    const int lane = current->lane, start = lane & ~(width - 1), end = start + width;
    int source = lane;
    switch (how) {
        case kShuffle: source = start + (by & (width - 1)); break;
        case kShuffleUp: source = lane - by < start ? lane : lane - by; break;
        case kShuffleDown: source = lane + by >= end ? lane : lane + by; break;
        case kShuffleXor: source = (lane ^ by) >= end ? lane : lane ^ by; break;
    }
    return collective(static_cast<WarpOp>(how), mask, value, static_cast<uint32_t>(source) % kWarp, file, line);
}

uint64_t gpugrad_warp_vote(int op, unsigned mask, uint64_t value, const char* file, int line) {
    return collective(static_cast<WarpOp>(op), mask, value, 0, file, line);
}

// The lanes that run: exact only where a warp does not diverge, as on the device.
unsigned gpugrad_activemask() { return warps[current->warp].alive & ~warps[current->warp].waiting; }

unsigned gpugrad_lane() { return current->lane; }

}  // extern "C"
