// SPDX-License-Identifier: MIT
// Preemption: a goroutine that has had its slice is made to give way, where it stands.
//
// Sysmon sets the P's `attention` and sends the M a signal. The handler runs on the M's signal
// stack. Where the interrupted code went through the pass, is not the library's own, and holds
// nothing that others could wait for, the goroutine gives way at once: its M gives the P away and
// sleeps, in the handler, until it is given one again. The kernel keeps every register meanwhile,
// and so does the M, which runs nothing else: thread-locals and OS locks stay what they were.
// Anywhere else the handler sets the limit word so that the next check fails, and the goroutine
// gives way there, on the slow path of a hop, in the same manner.
//
// The signal goes to a thread that has had the P for a slice; that it is the right one, and that
// something was asked at all, is the handler's to see. It carries a mark, by which it is told from
// one that somebody else sends: that is passed on to the program's own handler.
//
// Rejected: to write the limit word of another thread (it may be on g0, in a handler, or between
// two stacks, and every write of the word would have to look again); to save the registers by hand
// and switch to another goroutine on the same thread (addresses of thread-locals in registers).
#include <cerrno>
#include <csignal>

#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sched.h"
#include "runtime/self.h"
#include "runtime/signal.h"
#include "runtime/syscall.h"

extern "C" {
// The bounds of the section that the library's text lies in; the linker makes them.
[[gnu::weak, gnu::visibility("hidden")]] extern const char __start_pirn_text[];
[[gnu::weak, gnu::visibility("hidden")]] extern const char __stop_pirn_text[];
}

namespace pirn::rt {

no_preemption::no_preemption() : gp_(current_goroutine()) {
    if (gp_ != nullptr) ++gp_->not_preempted;
}
no_preemption::~no_preemption() {
    if (gp_ != nullptr) --gp_->not_preempted;
}

#ifdef PIRN_SPLIT

bool in_runtime_text(const void* address) {
    const char* at = static_cast<const char*>(address);
    return at >= __start_pirn_text && at < __stop_pirn_text;
}

namespace {

constexpr int k_signal = SIGURG;  // ignored where nobody handles it
const char k_mark = 0;            // its address goes with the signal

// Whether the goroutine may lose its P: nobody waits for what it holds, or for what it does for the
// one that ran before, and no exception is on its way, because the unwinder runs on a segment that
// has been given back already.
bool may_give_way(const m* mp, const g* gp) {
    const p* pp = mp->cpu;
    const bool asked =
        mp->owner->stopping.load(std::memory_order_relaxed) ||
        (mp->bound_g == nullptr && pp->attention.load(std::memory_order_relaxed) &&
         pp->asked_at.load(std::memory_order_relaxed) == pp->switches.get());
    return asked && (gp->os_locks | gp->not_preempted) == 0 && mp->after == after_switch::nothing &&
           !gp->ending && mp->eh_globals->uncaught == 0;
}

// The limit word with which the interrupted code goes on.
std::uintptr_t answer(const void* context, std::uintptr_t limit) {
    m* mp = self();
    if (mp == nullptr || mp->cpu == nullptr || mp->cur() == nullptr) return limit;
    g* gp = mp->cur();
    // Else the thread is between two stacks, or in a handler. It may have been asked before and
    // have come to no check since.
    if ((limit != gp->limit && limit != arch::k_give_way) || !may_give_way(mp, gp)) return limit;
    const void* pc = arch::interrupted_pc(context);
    if (mp->owner->opts.preempt == preemption::full && !in_runtime_text(pc) &&
        arch::is_growing_text(pc)) {
        const int saved_errno = *mp->errno_address;
        if (!give_way(mp, gp)) {
            admit_preemption();  // the handler is not returned from
            abandon(mp);
        }
        *mp->errno_address = saved_errno;
        return gp->limit;
    }
    mp->asked_to_give_way = true;
    return arch::k_give_way;
}

bool is_ours(const siginfo_t* info) {
    return info->si_code == SI_QUEUE && info->si_value.sival_ptr == &k_mark;
}

void on_signal(int number, siginfo_t* info, void* context) {
    PIRN_PLAIN();
    const std::uintptr_t limit = arch::limit();
    arch::set_limit(0);
    // The kernel loses the mark where too many signals are queued: so each is answered.
    if (!is_ours(info)) pass_to_program(number, info, context);
    const std::uintptr_t next = answer(context, limit);
    arch::set_limit(next);
}

}  // namespace

void install_preemption() {
    take_signal(k_signal, on_signal);
}

void admit_preemption() {
    sigset_t unblock;
    ::sigemptyset(&unblock);
    ::sigaddset(&unblock, k_signal);
    ::pthread_sigmask(SIG_UNBLOCK, &unblock, nullptr);
}

void restore_preemption() { give_signal_back(); }

// Neither the caller nor the callee may be the library's: it may have come to the callee by a jump.
void give_way_at(const void* site, const void* callee) {
    m* mp = self();
    g* gp = mp->cur();
    if (gp == nullptr || mp->cpu == nullptr || !may_give_way(mp, gp) || in_runtime_text(site) ||
        in_runtime_text(callee))
        return;
    if (!give_way(mp, gp)) abandon(mp);
}

void ask_to_give_way(sched* s, p* pp, std::uint64_t switches) {
    pp->asked_at.store(switches, std::memory_order_relaxed);
    pp->attention.store(true, std::memory_order_relaxed);
    if (s->opts.preempt == preemption::off) return;
    lock_guard hold(s->mu);
    const m* mp = pp->runner.get();
    // On g0 it is in the scheduler.
    if (mp == nullptr || mp->tid == 0 || mp->cur() == nullptr) return;
    // Each goroutine that gives way keeps an M. Near the limit none does.
    constexpr int k_spare_ms = 16;
    if (s->idle_ms == nullptr && s->m_count + k_spare_ms >= s->opts.max_threads) return;
    interrupt(mp);
}

void interrupt(const m* mp) {
    if (mp->owner->opts.preempt == preemption::off) return;
    siginfo_t info{};
    info.si_signo = k_signal;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = const_cast<char*>(&k_mark);
    // Where that is forbidden, without the mark.
    if (::syscall(SYS_rt_tgsigqueueinfo, info.si_pid, mp->tid, k_signal, &info) != 0)
        ::syscall(SYS_tgkill, info.si_pid, mp->tid, k_signal);
}

#else

void install_preemption() {}
void admit_preemption() {}
void interrupt(const m*) {}
void restore_preemption() {}
void give_way_at(const void*, const void*) {}
void ask_to_give_way(sched*, p* pp, std::uint64_t) {
    pp->attention.store(true, std::memory_order_relaxed);
}

#endif

}  // namespace pirn::rt
