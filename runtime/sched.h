// SPDX-License-Identifier: MIT
// The scheduler's shared state: one object for each run.
#pragma once

#include <cstdint>
#include <utility>

#include "runtime/base/list.h"
#include "runtime/handshake.h"
#include "runtime/m.h"
#include "runtime/p.h"
#include "runtime/trace.h"

namespace pirn::rt {

inline constexpr std::uint32_t k_max_procs = 1024;
// How late a timer may be before a busy P is made to look at it.
inline constexpr std::int64_t k_timer_grace_ns = 250'000;

inline m* const k_poller_taken = reinterpret_cast<m*>(1);

// Goroutines for whatever P comes. Changed under sched::mu; whether there are any is read by
// anyone: ORD(idle), see idle.cc.
class shared_queue {
  public:
    bool any() const { return size() != 0; }
    std::uint32_t size() const { return size_.load(std::memory_order_relaxed); }

    // Under mu. Relaxed: seen late it is seen at the next look, and who gives a P up looks under
    // mu; who queues fences before it looks for a sleeper.
    void push(qnode* n) {
        list_.push_back(n);
        note_size();
    }
    void append(base::fifo<qnode>&& list) {
        list_.append(std::move(list));
        note_size();
    }
    qnode* pop() {
        qnode* n = list_.pop_front();
        note_size();
        return n;
    }

  private:
    void note_size() {
        size_.store(static_cast<std::uint32_t>(list_.size()), std::memory_order_relaxed);
    }
    base::fifo<qnode> list_;
    base::atomic<std::uint32_t> size_{0};
};

struct sched {
    options opts;               // max_threads: guarded by mu
    // The time, as of sysmon's last look or of the first P's taking since all were idle: to within
    // a slice, for what is only shown.
    base::atomic<std::int64_t> coarse_ns{0};
    lock procs_mu{lock_rank::run};   // one maxprocs at a time

    lock mu{lock_rank::sched};
    // Guarded by mu.
    shared_queue global;
    shared_queue returned;   // from blocking regions, perhaps with a lock that others wait for
    shared_queue preempted;  // behind all that is runnable otherwise
    p* idle_ps = nullptr;
    m* idle_ms = nullptr;
    m* all_ms = nullptr;
    int m_count = 0;            // Ms that exist
    int m_idle = 0;             // of these, parked on their notes
    int next_m_id = 0;
    std::uint32_t ps_made = 0;

    // Atomic, read without the lock. ORD(idle): see idle.cc.
    base::atomic<std::uint32_t> idle_p_count{0};
    base::atomic<std::uint32_t> spinning{0};
    base::atomic<std::uint32_t> procs{1};
    base::atomic<p*> ps[k_max_procs];
    // The M that sleeps in the poller, and until when. Whoever takes it out (k_poller_taken) must
    // hand it a P and wake it; the place is free again when it has left the poller, so that a
    // wakeup meant for one M is never eaten by another.
    base::atomic<m*> poller{nullptr};
    base::atomic<std::int64_t> poll_until_ns{0};
    base::atomic<std::int64_t> last_poll_ns{0};
    base::atomic<bool> stopping{false};
    base::atomic<std::int64_t> dead_look_ns{0};   // back-off of the deadlock check
    base::atomic<std::uint64_t> ids{0};
    base::atomic<std::uint64_t> foreign_spawned{0};
    base::atomic<std::uint64_t> wakeups{0};
    base::atomic<std::uint64_t> polls{0};

    // sysmon.cc. When it looks next; k_never_ns: when it is woken.
    base::atomic<std::int64_t> sysmon_until_ns{0};
    note sysmon_wake;
    base::atomic<bool> sysmon_ends{false};
    pthread_t sysmon_thread{};
    base::atomic<int> sysmon_tid{0};
    trace_state trace;
    bool abandoned = false;     // in the child of a fork: only its m0 has it, and nothing runs
    bool embedded = false;      // begun by start: foreign threads come and go
    m* m0 = nullptr;            // the thread that called run; null where start did

    // host.cc. Guarded by mu, but for what is atomic.
    base::relaxed_ptr<m> host;  // the M of the thread that calls poll_once
    p* host_p = nullptr;        // its P, while it is outside
    bool host_rests = false;    // it is outside and has not been called: counted as an idle P
    base::atomic<bool> host_wants{false};  // it has no P, and gets the next one
    base::atomic<bool> host_inside{false};
    base::atomic<int> host_fd{-1};
    base::atomic<bool> main_exited{false};  // main left by goexit
};

// The run that is on, for threads that are not its Ms: held while in use, so that its end waits.
// Null when there is none.
class sched_ref {
  public:
    sched_ref();
    ~sched_ref();
    sched_ref(const sched_ref&) = delete;
    sched_ref& operator=(const sched_ref&) = delete;
    sched* get() const { return s_; }
    explicit operator bool() const { return s_ != nullptr; }

  private:
    sched* s_;
};

// Whether there is a run, from before its start until nothing of it is left.
bool run_exists();

// sched.cc: decisions on a P.

// The scheduling loop: runs goroutines until the M has to end. On g0.
void schedule_loop(m* mp);
// One pass of it: n, and what it leads to, until a look around is due. On g0.
void run_from_g0(m* mp, qnode* n);
// Entry function of every goroutine's stack.
void goroutine_entry(void* record);
// Ends the calling goroutine: its frames are done with. On its stack.
[[noreturn]] void goroutine_end();
// Queues a runnable one: next to run on this P, at its back, or for everyone.
void queue_next(p* pp, qnode* n);
void queue_back(p* pp, qnode* n);
void queue_global(sched* s, base::fifo<qnode>&& list);
// Whether goroutines wait for whatever P there is. A look: without the lock.
inline bool any_for_all(const sched* s) {
    return s->global.any() || s->returned.any() || s->preempted.any();
}
// Leaves the running goroutine where it stands, for good: the run ends.
[[noreturn]] void abandon(m* mp);

// steal.cc
qnode* steal_work(m* mp, bool next_too);

// find.cc

// Finds the next goroutine, sleeping if need be. Null: the M has to end (it has no P then).
qnode* find_runnable(m* mp);

// idle.cc: who sleeps, who spins, who is woken.

// Work was queued on pp (by its M), or from outside: sees to it that somebody idle looks for it,
// unless somebody does already.
void wake_for_work_slow(sched* s);
inline void wake_for_work(p* pp) {
    // A lone P's M finds its own work; its poller-less sleepers have nothing to look at.
    if (pp->alone) return;
    if (handshake::wakeup_is_due(*pp->owner)) wake_for_work_slow(pp->owner);
}
void wake_from_outside(sched* s);
// A P that no M has, and that the caller owns: to an M, if there is work for it.
void hand_off_p(sched* s, p* pp);
// An M without a P, whose goroutine can go on: takes an idle P (the one it had, if it can), or
// queues the goroutine and waits until it is given one. False: the run ends.
bool wait_for_p(m* mp, g* gp);
// The M gives its P away, its goroutine goes behind all others, and it waits for a P. False: the
// run ends.
bool give_way(m* mp, g* gp);
// A timer was armed for `when_ns`: an M that sleeps longer must look again.
void wake_for_timer(sched* s, std::int64_t when_ns);
// Every idle M and the poller come to the loop, which sees `stopping`.
void wake_all(sched* s);
// A new P. maxprocs: Ps come, or those above the number leave the idle list; the M that has one of
// these hands its queue on at its next look.
void add_idle_p(sched* s, p* pp);
void change_procs(sched* s, std::uint32_t n);
void retire_p(sched* s, p* pp);
// The M of a lone P learns that others exist: from here on it may be stolen from.
inline void see_other_ps(p* pp) {
    if (!pp->alone || pp->owner->procs.load(std::memory_order_relaxed) == 1) return;
    pp->alone = false;
    // ORD(stealable): release; the plain writes of a lone P. Pairs with the acquire in steal_work.
    pp->stealable.store(true, std::memory_order_release);
}

// timer.cc
// Runs what is due on the heap of pp, unless another M is at it.
void run_timers(m* mp, p* pp, std::int64_t now);
// Takes every timer out, unfired: the run is over.
void forget_timers(p* pp);
// Moves every timer of a retired P.
void move_timers(p* from, p* to);

// sysmon.cc
void start_sysmon(sched* s);
void stop_sysmon(sched* s);
// There is something to look at before it would look by itself.
void nudge_sysmon(sched* s);
inline void sysmon_by(sched* s, std::int64_t when_ns) {
    if (s->sysmon_until_ns.load(std::memory_order_relaxed) > when_ns) nudge_sysmon(s);
}

// host.cc: a thread that drives a P by poll_once.

// There is work, or the run ends: the host's thread is called by its descriptor, if it rests. The
// first under s->mu.
void call_host(sched* s);
void call_host_to_end(sched* s);
// Under s->mu: a P that nobody has becomes the host's. `called`: there is work for it.
void give_host(sched* s, p* pp, bool called);
// At the end of a run, when the host's thread has left.
void forget_host(sched* s);

// preempt.cc
void install_preemption();
// On an M's thread, which may have been made by one that is in the handler.
void admit_preemption();
void restore_preemption();
// Asks the goroutine that runs on pp to give way, if it is the one that has run there since the
// P's `switches` was so many.
void ask_to_give_way(sched* s, p* pp, std::uint64_t switches);
// Has an M look at what its P is asked for.
void interrupt(const m* mp);
// The slow path of a check where `callee` is called, which returns to `site`: gives way if that can
// be done here.
void give_way_at(const void* site, const void* callee);
// Whether an address is text of the library itself. Only where stacks grow.
bool in_runtime_text(const void* address);

// init.cc
m* make_m(sched* s);
m* start_m(sched* s, p* pp, bool spinning);   // a new thread; null: without a P
// The calling thread becomes mp, and is a foreign one again.
void adopt_thread(m* mp);
void leave_thread(m* mp);
// What the thread has left with the M is given back.
void forget_thread(m* mp);
p* make_p(sched* s, std::uint32_t id);

// deadlock.cc
// Under s->mu: every M sleeps. Whether it looks like one.
bool looks_dead(sched* s);
// Not under a lock: reports and ends the process, unless a foreign thread might still send; then
// until when to sleep before another look.
std::int64_t check_dead(sched* s);

}  // namespace pirn::rt
