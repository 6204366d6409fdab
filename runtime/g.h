// SPDX-License-Identifier: MIT
// G: a goroutine. It is the header of its own stack, made with the stack and reused with it.
#pragma once

#include <cstddef>
#include <cstdint>

#include <pirn/runtime.h>

#include "arch/arch.h"
#include "runtime/base/atomic.h"
#include "runtime/base/cacheline.h"
#include "runtime/base/sanitizer.h"
#include "runtime/park.h"
#include "stack/stack.h"

namespace pirn::rt {

struct m;
struct local_table;
using detail::qnode;
using detail::spawn_record;

enum class g_status : std::uint32_t {
    idle,      // free, in a cache of stacks. The stack belongs to the cache.
    runnable,  // on one run queue, not running. Nobody uses the stack; who takes it off the queue
               // runs it next.
    running,   // on an M with a P. The stack is its own; it moves itself on.
    syscall,   // in a blocking region, on an M whose P may be taken. The stack is its own.
    preempted, // made to give way where it stood, on one queue. Its M keeps the stack, and waits
               // for a P; who takes it off the queue gives the M one.
    growing,   // running, and on its way to a segment that must be made first. As running.
    waiting,   // parked. Nobody uses the stack, but for the value a waker copies to or from its
               // frame. The waker that took its wait record moves it to runnable.
    dead,      // ended; its M is leaving the stack and gives it back next.
};
// The transitions are in status.h; scan.h keeps a goroutine in the state that it is in.

// What C++ keeps for each thread and a goroutine takes along: the two words behind
// __cxa_get_globals() (caught exceptions, count of uncaught ones) and errno. An M knows the
// addresses of its thread's own; they are never asked for again, because compilers cache the
// accessors across a switch.
struct thread_state {
    void* caught_exceptions = nullptr;
    std::uint64_t uncaught_exceptions = 0;
    bool has_exceptions = false;   // else the two words are not valid, and stand for zero
    int saved_errno = 0;
};

struct alignas(base::k_cache_line_bytes) g final : stack::block, qnode {
    // Owned by whoever runs the goroutine, or by its parked stack.
    arch::context ctx;
    thread_state carried;
    base::atomic<g_status> status{g_status::idle};
    wait_reason reason = wait_reason::none;
    bool ending = false;               // goexit is unwinding it
    bool is_main = false;
    m* bound = nullptr;                // kind is k_bound: the M that may run it
    std::uint32_t thread_locks = 0;    // lock_os_thread's nesting, and os_bindings
    std::uint32_t os_locks = 0;        // OS mutexes held (gates_lock.cc)
    std::uint32_t os_bindings = 0;     // how many of these have bound it to its M
    std::uint32_t not_preempted = 0;   // scopes of no_preemption that it is in
    waiter* waiting = nullptr;         // its wait record until it goes on, if it can be dropped
    local_table* locals = nullptr;     // its goroutine_locals (locals.cc); null: none yet
    std::uint64_t id = 0;
    std::int64_t waiting_since_ns = 0;  // by the coarse clock (sched.h)
    // From its spawn record, for dumps.
    const void* entry = nullptr;
    const void* created_at = nullptr;
    std::uint64_t created_by = 0;
    const char* name = nullptr;
    std::uint32_t name_bytes = 0;
    [[no_unique_address]] base::san_fiber san;
};

inline g* to_g(qnode* n) { return static_cast<g*>(n); }
inline bool is_bound(const qnode* n) { return n->kind == qnode::k_bound; }
inline spawn_record* to_record(qnode* n) { return static_cast<spawn_record*>(n); }

// Has what running a parked goroutine touches on its way to the cache: its header and the frames
// below it. For those that have waited long, in a crowd.
inline void prefetch_goroutine(const qnode* n) {
    constexpr int k_frames_bytes = 448;
    const char* at = reinterpret_cast<const char*>(static_cast<const g*>(n));
    for (int line = -k_frames_bytes; line < static_cast<int>(sizeof(g));
         line += static_cast<int>(base::k_cache_line_bytes))
        __builtin_prefetch(at + line, 1);
}

}  // namespace pirn::rt
