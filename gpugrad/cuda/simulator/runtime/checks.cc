// What every load and store of a checked kernel passes through.
//
// Kernels are compiled with -fsanitize=thread, which makes the compiler call __tsan_readN and __tsan_writeN before each
// access to memory that is not a private local variable, and with some checks of -fsanitize=undefined. Neither
// sanitizer's library is linked: the functions are defined here.
#include <cstdio>
#include <cstring>
#include <vector>

#include "scheduler.h"

extern "C" {
alignas(4096) char gpugrad_dynamic_shared[256 << 10];
}

namespace simulator {
namespace {

struct Mark {  // an access
    uint32_t epoch, clock;
    uint64_t pc;
    uint16_t thread;
    bool atomic;
};

// What is known of one byte of shared memory; the first of four stands for all four until one is touched alone.
struct Cell {
    Mark write;
    Mark reads[2];  // two, that whoever writes next there is another one to find
};

struct Granule {
    Cell cells[4];
    bool split;
};

struct Space {  // a range of shared memory: the module's variables, or the dynamic part
    const char *begin = nullptr, *end = nullptr;
    Granule* granules = nullptr;
    size_t reserved = 0;
};

Space variables, dynamic;
std::vector<Granule*> spare;

void prepare(Space& space, const char* begin, size_t bytes) {
    const size_t needed = (bytes + 3) / 4 + 1;
    if (space.begin != begin || needed > space.reserved) {
        delete[] space.granules;
        space.granules = new Granule[needed]();
        space.reserved = needed;
    }
    space.begin = begin;
    space.end = begin + bytes;
}

bool conflicts(const Mark& mark, bool atomic) {
    return mark.epoch == epoch && mark.thread != current->index && !(atomic && mark.atomic) &&
           !warp_ordered(mark.thread, mark.clock);
}

[[noreturn]] void raise_race(const Mark& other, bool other_writes, const void* address, bool write, uint64_t pc) {
    Fault fault = new_fault(kSharedRace, pc);
    fault.address = reinterpret_cast<uint64_t>(address);
    fault.is_write = write;
    fault.other_is_write = other_writes;
    fault.other_pc = other.pc;
    thread_position(other.thread, fault.other_thread);
    raise_fault(fault);
}

void note_read(Cell& cell, const Mark& mine) {
    for (Mark& read : cell.reads)
        if (read.epoch != epoch || read.thread == mine.thread || warp_ordered(read.thread, read.clock)) {
            read = mine;
            return;
        }
    if (cell.reads[0].thread / kWarp != mine.thread / kWarp) cell.reads[1] = mine;
}

void touch(Cell& cell, const char* address, bool write, bool atomic, uint64_t pc) {
    const Mark mine{epoch, warp_clock(), pc, static_cast<uint16_t>(current->index), atomic};
    if (conflicts(cell.write, atomic)) raise_race(cell.write, true, address, write, pc);
    if ((!write || atomic) && cell.write.epoch < block_first_epoch) {
        if (early_read.kind == kNone) {
            early_read = new_fault(kSharedUninitialized, pc);
            early_read.address = reinterpret_cast<uint64_t>(address);
        }
    }
    if (!write) return note_read(cell, mine);
    for (const Mark& read : cell.reads)
        if (conflicts(read, atomic)) raise_race(read, false, address, write, pc);
    cell.write = mine;
}

void check_shared(Space& space, const char* address, size_t size, bool write, bool atomic, uint64_t pc) {
    for (size_t offset = address - space.begin, end = offset + size; offset < end;) {
        Granule& granule = space.granules[offset / 4];
        if (offset % 4 == 0 && offset + 4 <= end && !granule.split) {
            touch(granule.cells[0], space.begin + offset, write, atomic, pc);
            offset += 4;
            continue;
        }
        if (!granule.split) {
            for (int i = 1; i < 4; ++i) granule.cells[i] = granule.cells[0];
            granule.split = true;
        }
        touch(granule.cells[offset % 4], space.begin + offset, write, atomic, pc);
        ++offset;
    }
}

[[noreturn]] void raise_access(FaultKind kind, const char* address, size_t size, bool write, uint64_t pc) {
    Fault fault = new_fault(kind, pc);
    fault.address = reinterpret_cast<uint64_t>(address);
    fault.size = static_cast<uint32_t>(size);
    fault.is_write = write;
    raise_fault(fault);
}

bool inside_variable(const char* address, size_t size) {
    const auto begin = reinterpret_cast<uint64_t>(address);
    const uint64_t* range = running->shared_ranges;
    size_t low = 0, high = running->shared_count;  // the last range that begins at or before the address
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (range[2 * middle] <= begin) low = middle + 1;
        else high = middle;
    }
    return low > 0 && begin + size <= range[2 * low - 1];
}

// Device memory; the common sizes are compared as one word.
void check_arena(uint8_t* state, const char* address, size_t size, bool write, bool atomic, uint64_t pc) {
    for (size_t i = 0; i < size; ++i) {
        if (state[i] == kUnaddressable) raise_access(kWildAccess, address, size, write, pc);
        if (state[i] == kFresh && (!write || atomic)) raise_access(kUninitialized, address, size, write, pc);
    }
    if (write) memset(state, kWritten, size);
}

void check_elsewhere(const char* address, size_t size, bool write, bool atomic, uint64_t pc) {
    if (address >= current->stack_low && address + size <= current->stack_high) return;
    if (address >= dynamic.begin && address < dynamic.begin + sizeof gpugrad_dynamic_shared) {
        if (address + size > dynamic.end) raise_access(kSharedBounds, address, size, write, pc);
        return check_shared(dynamic, address, size, write, atomic, pc);
    }
    if (address >= variables.begin && address < variables.end) {
        if (!inside_variable(address, size)) raise_access(kSharedBounds, address, size, write, pc);
        return check_shared(variables, address, size, write, atomic, pc);
    }
    if (address >= running->image_begin && address + size <= running->image_end) return;
    // threadIdx and its like, which g++ knows to be constant to a thread, and clang reads like any variable
    for (const Index3* index : {&gpugrad_thread_index, &gpugrad_block_index, &gpugrad_block_size, &gpugrad_grid_size})
        if (!write && address >= reinterpret_cast<const char*>(index) && address + size <= reinterpret_cast<const char*>(index + 1)) return;
    raise_access(kWildAccess, address, size, write, pc);
}

// The compiler took the address to be aligned to its size, or to 8 bytes.
inline void check_alignment(const void* pointer, size_t size, uint64_t pc) {
    const auto address = reinterpret_cast<uint64_t>(pointer);
    const size_t needed = size < 8 ? size : 8;
    if (!(address & (needed - 1))) return;
    Fault fault = new_fault(kMisaligned, pc);
    fault.address = address;
    fault.size = static_cast<uint32_t>(size);
    snprintf(fault.text, sizeof fault.text, "an access of %zu bytes", size);
    raise_fault(fault);
}

inline void check(const void* pointer, size_t size, bool write, bool atomic, uint64_t pc) {
    const auto* address = static_cast<const char*>(pointer);
    const auto offset = static_cast<size_t>(address - arena);
    if (offset < arena_size) {
        uint8_t* state = arena_shadow + offset;
        if (size == 4) {
            uint32_t word;
            memcpy(&word, state, 4);
            if (word == 0x02020202u) return;
        } else if (size == 8) {
            uint64_t word;
            memcpy(&word, state, 8);
            if (word == 0x0202020202020202u) return;
        }
        return check_arena(state, address, size, write, atomic, pc);
    }
    check_elsewhere(address, size, write, atomic, pc);
}

}  // namespace

Fault early_read;

void start_shared_checks(const Launch& launch) {
    prepare(variables, launch.shared_begin, launch.shared_end - launch.shared_begin);
    prepare(dynamic, gpugrad_dynamic_shared, launch.dynamic_shared);
    memset(gpugrad_dynamic_shared, 0xff, launch.dynamic_shared);  // poison, for kernels compiled without checks
}

}  // namespace simulator

using namespace simulator;

#define HERE reinterpret_cast<uint64_t>(__builtin_return_address(0))

extern "C" {

void __tsan_init() {}

#define ACCESS(kind, size, write)                                                                      \
    void __tsan_##kind##size(void* address) {                                                          \
        check_alignment(address, size, HERE);                                                          \
        check(address, size, write, false, HERE);                                                      \
    }                                                                                                  \
    void __tsan_unaligned_##kind##size(void* address) { check(address, size, write, false, HERE); }
#define ACCESSES(size)                 \
    ACCESS(read, size, false)          \
    ACCESS(write, size, true)          \
    ACCESS(volatile_read, size, false) \
    ACCESS(volatile_write, size, true)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
#undef ACCESSES
#undef ACCESS

void __tsan_read_range(void* address, unsigned long size) { check(address, size, false, false, HERE); }
void __tsan_write_range(void* address, unsigned long size) { check(address, size, true, false, HERE); }
// clang's calls for copies that it does not write out
void* __tsan_memcpy(void* to, const void* from, unsigned long size) {
    check(from, size, false, false, HERE);
    check(to, size, true, false, HERE);
    return memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, unsigned long size) {
    check(from, size, false, false, HERE);
    check(to, size, true, false, HERE);
    return memmove(to, from, size);
}
void* __tsan_memset(void* to, int value, unsigned long size) {
    check(to, size, true, false, HERE);
    return memset(to, value, size);
}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

// The header's atomics and copies say themselves what they touch, and for whom.
void gpugrad_check_atomic(void* address, unsigned size, void* pc) {
    check(address, size, true, true, reinterpret_cast<uint64_t>(pc));
}

// The handlers of the undefined-behaviour checks; each is given the place in the source first.
struct SourceLocation {
    const char* file;
    uint32_t line, column;
};
struct TypeDescriptor {
    uint16_t kind, info;
    char name[1];
};
struct TypeMismatch {
    SourceLocation where;
    const TypeDescriptor* type;
    unsigned char log_alignment, kind;
};
struct OutOfBounds {
    SourceLocation where;
    const TypeDescriptor *array, *index;
};

static Fault fault_at(const SourceLocation& where, FaultKind kind) {
    Fault fault = new_fault(kind, 0);
    fault.line = static_cast<int32_t>(where.line);
    snprintf(fault.file, sizeof fault.file, "%s", where.file);
    return fault;
}

void __ubsan_handle_type_mismatch_v1(TypeMismatch* data, uint64_t address) {
    Fault fault = fault_at(data->where, kMisaligned);
    fault.address = address;
    fault.size = 1u << data->log_alignment;
    snprintf(fault.text, sizeof fault.text, "%s", data->type->name);
    raise_fault(fault);
}

void __ubsan_handle_out_of_bounds(OutOfBounds* data, uint64_t index) {
    Fault fault = fault_at(data->where, kUndefined);
    // Indices wider than a register are passed by address; kernels have none.
    snprintf(fault.text, sizeof fault.text, "index %lld is out of the bounds of %s", static_cast<long long>(index),
             data->array->name);
    raise_fault(fault);
}

static void undefined(const SourceLocation* where, const char* what, uint64_t a, uint64_t b) {
    Fault fault = fault_at(*where, kUndefined);
    snprintf(fault.text, sizeof fault.text, "%s of %lld and %lld", what, static_cast<long long>(a), static_cast<long long>(b));
    raise_fault(fault);
}

void __ubsan_handle_shift_out_of_bounds(SourceLocation* where, uint64_t a, uint64_t b) { undefined(where, "undefined shift", a, b); }
void __ubsan_handle_add_overflow(SourceLocation* where, uint64_t a, uint64_t b) { undefined(where, "signed overflow in the sum", a, b); }
void __ubsan_handle_sub_overflow(SourceLocation* where, uint64_t a, uint64_t b) { undefined(where, "signed overflow in the difference", a, b); }
void __ubsan_handle_mul_overflow(SourceLocation* where, uint64_t a, uint64_t b) { undefined(where, "signed overflow in the product", a, b); }
void __ubsan_handle_divrem_overflow(SourceLocation* where, uint64_t a, uint64_t b) { undefined(where, "undefined division", a, b); }
void __ubsan_handle_negate_overflow(SourceLocation* where, uint64_t a) { undefined(where, "signed overflow in the negation", a, 0); }

void gpugrad_assert_failed(const char* condition, const char* file, int line) {
    Fault fault = fault_at({file, static_cast<uint32_t>(line), 0}, kAssert);
    snprintf(fault.text, sizeof fault.text, "%s", condition);
    raise_fault(fault);
}

}  // extern "C"
