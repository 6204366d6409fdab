// SPDX-License-Identifier: MIT
// The floor of a context switch on x86-64: program counter and stack pointer change, nothing else.
//
// The limit contenders are built on it. It carries no word, keeps no unwind information and sets no
// end to a stack trace: what it leaves out is what the real switch is measured against. Its users
// are built with -fomit-frame-pointer, because a clobbered rbp is refused in a function that
// addresses its frame by it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

struct bare_context {
    void* pc;
    void* sp;
};

// Saves where we are in *from and continues *to. Every register is declared lost, so the compiler
// keeps what it needs in the frame; nothing is pushed, so the red zone needs no stepping over.
[[gnu::always_inline]] inline void bare_swap(bare_context* from, bare_context* to) {
    asm volatile(
        "leaq 1f(%%rip), %%rax\n\t"
        "movq %%rax, 0(%%rdi)\n\t"
        "movq %%rsp, 8(%%rdi)\n\t"
        "movq 8(%%rsi), %%rsp\n\t"
        "jmpq *0(%%rsi)\n"
        "1:"
        : "+D"(from), "+S"(to)
        :
        : "rax", "rbx", "rcx", "rdx", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
          "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");
}

// Prepares *c so that the first swap to it enters entry(), which must never return.
// A function expects rsp at 8 below a multiple of 16, as after the call that is missing here.
inline void bare_make(bare_context* c, std::byte* stack, std::size_t size_bytes, void (*entry)()) {
    const auto top = reinterpret_cast<std::uintptr_t>(stack + size_bytes) & ~std::uintptr_t{15};
    c->pc = reinterpret_cast<void*>(entry);
    c->sp = reinterpret_cast<void*>(top - 8);
}

}  // namespace bench
