// SPDX-License-Identifier: MIT
// Blocking regions: a thread that may block in the kernel keeps its goroutine, but not its P; and
// goroutines that lock their thread.
//
// The protocol ORD(caller). An M that may block leaves its P to pp->caller, which names it. Coming
// back it exchanges its name for null and has its P again; sysmon, when that takes long and others
// could run, does the same and gives the P to another M. Who succeeds has the P. The way there and
// back without sysmon is a store and a compare-exchange.
//
// A goroutine comes back on the thread that it left, because the code around the region may hold
// the address of errno or of another thread-local: where its P is gone the M waits for one
// (bound.cc).
#include "runtime/syscall.h"

#include "runtime/base/clock.h"
#include "runtime/netpoll.h"
#include "runtime/sched.h"
#include "runtime/self.h"
#include "runtime/status.h"

namespace pirn {

using namespace rt;

namespace detail {

void blocking_region::enter(kind k) noexcept {
    m* mp = self();
    if (mp == nullptr || mp->cpu == nullptr || mp->cur() == nullptr) return;
    m_ = mp;
    p* pp = mp->cpu;
    sched* s = mp->owner;
    const int saved_errno = *mp->errno_address;
    enter_syscall(mp->cur());
    mp->called_from = pp;
    mp->cpu = nullptr;
    pp->calls.add();
    if (k == kind::is_long) {
        hand_off_p(s, pp);
        *mp->errno_address = saved_errno;
        return;
    }
    pp->patience_ns.store(k == kind::is_lock ? k_lock_patience_ns : k_patience_ns,
                          std::memory_order_relaxed);
    // ORD(caller): release; what the M has done with its P. Pairs with the acquire in retake.
    pp->caller.store(mp, std::memory_order_release);
    if (pp->queue.empty() && !any_for_all(s) && io_waiters() == 0 &&
        pp->timers.first_ns.load(std::memory_order_relaxed) == base::k_never_ns)
        return;
    // Others could run meanwhile.
    // ORD(sysmon): seq_cst fence; the caller is there before sysmon's next look is read. Pairs with
    // the fence in sysmon's loop.
    base::fence(std::memory_order_seq_cst);
    constexpr std::int64_t k_soon_ns = 100'000;
    const std::int64_t until_ns = s->sysmon_until_ns.load(std::memory_order_relaxed);
    if (until_ns == base::k_never_ns || until_ns > base::now_ns() + k_soon_ns) nudge_sysmon(s);
    *mp->errno_address = saved_errno;
}

void blocking_region::leave() noexcept {
    m* mp = static_cast<m*>(m_);
    p* pp = mp->called_from;
    sched* s = mp->owner;
    m* expected = mp;
    // ORD(caller): acquire; what sysmon did with the P before it let it be. Pairs with the release
    // in enter, its own.
    if (pp->caller.compare_exchange(expected, nullptr, std::memory_order_acquire,
                                    std::memory_order_relaxed)) [[likely]] {
        mp->cpu = pp;
        continue_running(mp->cur());
        if (!s->stopping.load(std::memory_order_relaxed)) [[likely]]
            return;
        abandon(mp);
    }
    const int saved_errno = *mp->errno_address;
    if (!wait_for_p(mp, mp->cur())) abandon(mp);
    *mp->errno_address = saved_errno;
}

}  // namespace detail

void lock_os_thread() { bind_thread(); }
void unlock_os_thread() { unbind_thread(); }

}  // namespace pirn

namespace pirn::rt {

g* current_goroutine() {
    m* mp = self();
    return mp != nullptr && mp->cpu != nullptr ? mp->cur() : nullptr;
}

void bind_thread() {
    m* mp = self();
    if (mp == nullptr || mp->cur() == nullptr) return;
    g* gp = mp->cur();
    if (gp->thread_locks++ != 0) return;
    gp->kind = qnode::k_bound;
    gp->bound = mp;
    mp->bound_g = gp;
    // Its next decision is the scheduling loop's.
    p* pp = mp->cpu != nullptr ? mp->cpu : mp->called_from;
    pp->attention.store(true, std::memory_order_relaxed);
}

void unbind_thread() {
    m* mp = self();
    if (mp == nullptr || mp->cur() == nullptr) return;
    g* gp = mp->cur();
    if (gp->thread_locks == 0 || --gp->thread_locks != 0) return;
    gp->kind = qnode::k_goroutine;
    gp->bound = nullptr;
    mp->bound_g = nullptr;
}

}  // namespace pirn::rt
