// SPDX-License-Identifier: MIT
// The contract that each CPU folder meets. A port is one folder with these files:
//
//   regs.h      offsets of the structures below and of the first frame, for assembly and C++
//   switch.S    __pirn_switch, __pirn_jump, __pirn_entry, __pirn_call_on, __pirn_restart_on,
//               __pirn_call_as_if_at
//   switch.h    switch_to and jump_to: the inline wrappers
//   morestack.S __pirn_morestack and its entries: a call that does not fit goes on on a segment
//   frame.h     make_context: the picture of a first frame; resume_point_of: where a parked stack
//               goes on
//   cpu.h       pause, cycles, interrupted_sp and _pc, limit, set_limit and limit_address,
//               shadow_stack_is_on
//
// and nothing outside arch/ asks which CPU it is. The folder is chosen by the build.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/base/atomic.h"

struct _Unwind_Exception;

namespace pirn::arch {

// Where a stack that is not running goes on. Written by the switch that leaves it.
struct context {
    void* pc = nullptr;
    void* sp = nullptr;
};

// Growth. Code that went through the pass (split/) compares its stack pointer with the limit word,
// a word in the thread's control block, and goes to morestack where there is not enough: the call
// then runs on a segment and comes back when it returns, throws or is unwound. At the limit
// k_reserve_bytes are still usable. The word is 0 where no goroutine runs: no check fails there.
inline constexpr std::size_t k_reserve_bytes = 512;
// What a call of code that did not go through the pass finds below it.
inline constexpr std::size_t k_foreign_bytes = 64 << 10;

// The upper end of a segment: first the record of the call that runs on it (a hop), found through
// the frame pointer while it lasts.
struct alignas(64) segment {
    void* fp = nullptr;              // of the caller
    void* ra = nullptr;              // aarch64: the caller's return address; x86-64: the target
    void* sp = nullptr;              // where the caller's stack goes on
    std::uintptr_t limit_before = 0;
    segment* below = nullptr;        // the hop before; null: made on the goroutine's own stack
    segment* next = nullptr;         // in a cache
    std::size_t room = 0;            // bytes from the limit to this
    std::uintptr_t limit = 0;
};

// What morestack needs of a goroutine. Its own stack ends where this begins.
struct growth {
    std::uintptr_t limit = 0;        // of the stack it is on now
    segment* hops = nullptr;         // the newest hop
};

// What morestack needs of a thread that runs goroutines.
struct growing_thread {
    base::relaxed_ptr<growth> running;  // the goroutine; null on the thread's own stack
    segment* segments = nullptr;        // a cache: those at hand, newest first
    base::atomic<std::uint64_t> hops_left{0};  // until the run time is to look at one
    context g0;                         // the thread's own stack, parked while a goroutine runs
};

// Called in the search phase of an exception that no frame of a goroutine handles, on top of the
// thrower's intact frames. May end the process; if it returns, the unwinder gives up.
using uncaught_hook = void (*)(_Unwind_Exception*);
void set_uncaught_hook(uncaught_hook hook);

// Registers of a parked stack as they will be when its switch_to has returned: the point from
// which a debugger or a dump can unwind it with the compiler's own CFI.
struct resume_point {
    const void* pc;
    const void* sp;
    const void* fp;
};

extern "C" {
// The calling thread's growing_thread, read by morestack. Initial-exec; written by the runtime.
extern constinit thread_local growing_thread* __pirn_thread [[gnu::tls_model("initial-exec")]];
// Called by morestack, on the thread's own stack with every register saved, to put a segment with
// room for `bytes` in front of the thread's cache: for a call of `callee` (or where its body
// begins) that returns to `site`. Does not return where that cannot be had. Also called when
// hops_left has run out, and where the limit word was k_give_way.
extern void (*__pirn_add_segment)(std::size_t bytes, const void* site, const void* callee);
// Called where alloca has taken the stack pointer to `sp`, below the limit. Does not return.
extern void (*__pirn_alloca_report)(const void* sp);
// How far above the limit the stack pointer must be for malloc, free, new and delete: what these
// need beyond the reserve.
extern std::size_t __pirn_allocation_bytes;
// Whether operator new and delete are the C++ library's own, which call malloc and free.
extern bool __pirn_new_is_malloc;
// Called where a thread that runs no goroutines has a limit word. Defined by the runtime.
[[noreturn]] void __pirn_stray_limit();
// Runs fn(arg) where k_foreign_bytes are left: on this stack or on a segment.
void __pirn_call_large(void (*fn)(void*), void* arg);
// Runs fn(arg) on the stack that ends at `top` (16-aligned), leaving the one it is called on for
// good. fn must not return.
[[noreturn]] void __pirn_restart_on(void* top, void (*fn)(void*), void* arg);
// Runs fn(arg) on the stack that ends at `top` (16-aligned) and returns its result on the
// caller's stack. The unwinder walks through it.
void* __pirn_call_on(void* top, void* (*fn)(void*), void* arg);
// Calls fn(arg) on the caller's stack; an unwinder started inside fn goes on at *at.
void* __pirn_call_as_if_at(const resume_point* at, void* (*fn)(void*), void* arg);
}

inline void* call_on(void* top, void* (*fn)(void*), void* arg) {
    return __pirn_call_on(top, fn, arg);
}
inline void* call_as_if_at(const resume_point* at, void* (*fn)(void*), void* arg) {
    return __pirn_call_as_if_at(at, fn, arg);
}

}  // namespace pirn::arch

// Says to the pass that the function it stands in gets no check: it may run where the limit word
// belongs to another stack than the one it is on.
#ifdef PIRN_SPLIT
#define PIRN_PLAIN() asm volatile(".pirn_plain")
#else
#define PIRN_PLAIN() static_cast<void>(0)
#endif

#include "cpu.h"
#include "frame.h"
#include "regs.h"
#include "switch.h"

namespace pirn::arch {

// As the limit word: no check passes, so that the goroutine comes to the run time.
inline constexpr std::uintptr_t k_give_way = static_cast<std::uintptr_t>(PIRN_GIVE_WAY);

// Whether `address` is text of the program or of a library that it has loaded, and can be read.
bool is_text(const void* address);

// Whether `address` lies in a function that went through the pass, as the table for unwinding and
// the marker say. May be asked in a signal handler.
bool is_growing_text(const void* address);

// Whether the function at `entry` has the pass's marker before it. What lies before a page that a
// function begins may not be there.
inline bool went_through_pass(const void* entry) {
    if (reinterpret_cast<std::uintptr_t>(entry) % 4096 == 0) [[unlikely]] {
        if (!is_text(static_cast<const char*>(entry) - 1)) return false;
    }
    std::uint32_t word;
    __builtin_memcpy(&word, static_cast<const char*>(entry) - sizeof word, sizeof word);
    return word == PIRN_MARKER;
}

// The newest hop of a goroutine is over, in whatever way: its segment goes to the thread's cache.
[[gnu::always_inline]] inline void leave_hop(growth& g, growing_thread& thread) {
    segment* s = g.hops;
    g.hops = s->below;
    g.limit = s->limit_before;
    s->next = thread.segments;
    thread.segments = s;
}

static_assert(offsetof(context, pc) == PIRN_CONTEXT_PC);
static_assert(offsetof(context, sp) == PIRN_CONTEXT_SP);
static_assert(sizeof(context) == PIRN_CONTEXT_SIZE);
static_assert(offsetof(resume_point, pc) == PIRN_RESUME_POINT_PC);
static_assert(offsetof(resume_point, sp) == PIRN_RESUME_POINT_SP);
static_assert(offsetof(resume_point, fp) == PIRN_RESUME_POINT_FP);
static_assert(offsetof(segment, fp) == PIRN_SEGMENT_FP);
static_assert(offsetof(segment, ra) == PIRN_SEGMENT_RA);
static_assert(offsetof(segment, sp) == PIRN_SEGMENT_SP);
static_assert(offsetof(segment, limit_before) == PIRN_SEGMENT_LIMIT_BEFORE);
static_assert(offsetof(segment, below) == PIRN_SEGMENT_BELOW);
static_assert(offsetof(segment, next) == PIRN_SEGMENT_NEXT);
static_assert(offsetof(segment, room) == PIRN_SEGMENT_ROOM);
static_assert(offsetof(segment, limit) == PIRN_SEGMENT_LIMIT);
static_assert(sizeof(segment) == 64);
static_assert(offsetof(growth, limit) == PIRN_GROWTH_LIMIT);
static_assert(offsetof(growth, hops) == PIRN_GROWTH_HOPS);
static_assert(offsetof(growing_thread, running) == PIRN_THREAD_CUR);
static_assert(offsetof(growing_thread, segments) == PIRN_THREAD_SEGMENTS);
static_assert(offsetof(growing_thread, hops_left) == PIRN_THREAD_HOPS_LEFT);
static_assert(offsetof(growing_thread, g0) + PIRN_CONTEXT_SP == PIRN_THREAD_G0_SP);
static_assert(k_foreign_bytes == PIRN_FOREIGN_BYTES);

}  // namespace pirn::arch
