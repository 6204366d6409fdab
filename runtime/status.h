// SPDX-License-Identifier: MIT
// A goroutine's life: each transition between two states, by the one that may make it.
#pragma once

#include "runtime/base/check.h"
#include "runtime/g.h"

namespace pirn::rt {

namespace detail_status {
inline void change(g* gp, g_status from, g_status to) {
    PIRN_ASSERT(gp->status.load(std::memory_order_relaxed) == from);
    (void)from;
    // Relaxed: queues and locks publish a goroutine; the word is for dumps and assertions.
    gp->status.store(to, std::memory_order_relaxed);
}
// ORD(parked): release; the goroutine's stack is left. Pairs with the acquire in scan::claim.
inline void change_off_stack(g* gp, g_status from, g_status to) {
    PIRN_ASSERT(gp->status.load(std::memory_order_relaxed) == from);
    (void)from;
    gp->status.store(to, std::memory_order_release);
}
}  // namespace detail_status

// By the M that takes it off a queue, or gives it its first stack.
inline void begin_running(g* gp) {
    detail_status::change(gp, g_status::idle, g_status::running);
}
inline void resume_running(g* gp) {
    detail_status::change(gp, g_status::runnable, g_status::running);
}
// By whoever comes in on the M after it: the goroutine is off its stack.
inline void become_waiting(g* gp) {
    detail_status::change_off_stack(gp, g_status::running, g_status::waiting);
}
inline void become_runnable_again(g* gp) {
    detail_status::change_off_stack(gp, g_status::running, g_status::runnable);
}
inline void become_idle(g* gp) { detail_status::change(gp, g_status::dead, g_status::idle); }
// By the waker that has its wait record.
inline void make_runnable(g* gp) {
    detail_status::change(gp, g_status::waiting, g_status::runnable);
}
// By the goroutine itself, or its M.
inline void enter_syscall(g* gp) {
    detail_status::change(gp, g_status::running, g_status::syscall);
}
inline void be_preempted(g* gp) {
    detail_status::change(gp, g_status::running, g_status::preempted);
}
inline void continue_running(g* gp) {
    PIRN_ASSERT(gp->status.load(std::memory_order_relaxed) == g_status::syscall ||
                gp->status.load(std::memory_order_relaxed) == g_status::preempted);
    // Relaxed: as above.
    gp->status.store(g_status::running, std::memory_order_relaxed);
}
inline void begin_growing(g* gp) {
    detail_status::change(gp, g_status::running, g_status::growing);
}
inline void end_growing(g* gp) {
    detail_status::change(gp, g_status::growing, g_status::running);
}
inline void become_dead(g* gp) { detail_status::change(gp, g_status::running, g_status::dead); }

}  // namespace pirn::rt
