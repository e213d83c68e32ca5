// Switching stacks: what a call preserves is pushed, the stack pointer exchanged, the rest popped. Without assembly for
// the machine, ucontext does it, ten times slower (a system call each).
#pragma once
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
extern "C" void gpugrad_switch(void** save, void* to) asm("gpugrad_switch");
asm(R"(
.text
.p2align 4
gpugrad_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
inline void* prepare_stack(char* high, void (*main)()) {
    auto* top = reinterpret_cast<uint64_t*>(high - 64);  // 16-byte aligned
    top[-1] = 0;                                         // where main would return to: it never does
    top[-2] = reinterpret_cast<uint64_t>(main);
    for (int i = 3; i <= 8; ++i) top[-i] = 0;
    return top - 8;
}
#elif defined(__aarch64__)
extern "C" void gpugrad_switch(void** save, void* to) asm("gpugrad_switch");
asm(R"(
.text
.p2align 4
gpugrad_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
inline void* prepare_stack(char* high, void (*main)()) {
    auto* top = reinterpret_cast<uint64_t*>(high - 64) - 20;
    for (int i = 0; i < 20; ++i) top[i] = 0;
    top[11] = reinterpret_cast<uint64_t>(main);  // x30
    return top;
}
#else
#include <ucontext.h>
// The "stack pointer" is a ucontext_t at the top of the stack it describes, or on the stack that was left.
inline void gpugrad_switch(void** save, void* to) {
    ucontext_t here;
    *save = &here;
    swapcontext(&here, static_cast<ucontext_t*>(to));
}
inline void* prepare_stack(char* high, void (*main)()) {
    auto* context = reinterpret_cast<ucontext_t*>((reinterpret_cast<uintptr_t>(high) - sizeof(ucontext_t)) & ~63ull);
    getcontext(context);
    context->uc_stack.ss_size = 192 << 10;
    context->uc_stack.ss_sp = reinterpret_cast<char*>(context) - context->uc_stack.ss_size;
    context->uc_link = nullptr;
    makecontext(context, main, 0);
    return context;
}
#endif
