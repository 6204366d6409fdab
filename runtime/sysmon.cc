// SPDX-License-Identifier: MIT
// Sysmon: a thread without a P that looks after what the Ms cannot see to, because they block or
// compute.
//
//  - A P whose M has been in a blocking region for a while goes to another M, if others could run.
//  - A goroutine that has run for a slice while others wait is asked to give way; at once, where a
//    timer is due that nobody gets to.
//  - The net is polled when nobody has for a slice.
//  - What is kept for use again grows old (aging.h).
//
// It looks every 20 us while a P with work is in a blocking region, up to 100 us when that goes on
// for long without anything to do, every slice while any P is busy, and not at all while every P is
// idle and nothing is kept that grows old: then the one that takes a P wakes it.
//
// The protocol ORD(sysmon): who has something to be seen to makes it visible, fences, and reads
// when sysmon looks next; sysmon writes when it will look, fences, and looks once more.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/aging.h"
#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/netpoll.h"
#include "runtime/sched.h"
#include "runtime/trace.h"

namespace pirn::rt {
namespace {

#ifdef PIRN_PERTURB
constexpr std::int64_t k_slice_ns = 1'000'000;
#else
constexpr std::int64_t k_slice_ns = 10'000'000;
#endif
constexpr std::int64_t k_shortest_ns = 20'000;       // between looks
constexpr std::int64_t k_timer_look_ns = 500'000;    // between looks for the sake of timers
constexpr std::int64_t k_ask_again_ns = 1'000'000;
constexpr int k_short_looks = 50;                    // before the looks get rarer
constexpr std::int64_t k_longest_call_look_ns = 100'000;

// What was seen of a P at the look before.
struct seen {
    std::uint64_t count = 0;  // of calls or switches
    bool in_call = false;
    std::int64_t since_ns = 0;
};

class watcher {
  public:
    explicit watcher(sched* s) : s_(s) {}
    void run();

  private:
    std::int64_t look(std::int64_t now);
    std::int64_t look_at_call(p* pp, seen& x, m* caller, std::int64_t now);
    std::int64_t look_at_running(p* pp, seen& x, std::int64_t now);
    void poll(std::int64_t now);
    void age(std::int64_t now);
    bool everything_idle();
    void interrupt_all();
    bool stays(seen& x, bool in_call, std::uint64_t count, std::int64_t now);

    sched* s_;
    seen seen_[k_max_procs];
    std::int64_t call_delay_ns_ = k_shortest_ns;
    int looks_ = 0;
    // As of this look.
    bool watched_ = false;      // somebody sleeps in the poller
    bool idle_ = false;         // there is an idle P
    bool outside_ = false;      // goroutines wait for any P
    std::int64_t first_timer_ns_ = base::k_never_ns;
    bool timer_due_ = false;    // and nobody gets to it
    bool traces_ = false;       // schedtrace is on, whatever else there is to do
    std::int64_t age_at_ns_ = 0;
    bool ages_ = false;         // something is kept, perhaps, that is to be older then
};

// Whether the P is where it was; else this is where it is now.
bool watcher::stays(seen& x, bool in_call, std::uint64_t count, std::int64_t now) {
    if (x.in_call == in_call && x.count == count) return true;
    x = {count, in_call, now};
    return false;
}

// When to look at the P again.
std::int64_t watcher::look_at_call(p* pp, seen& x, m* caller, std::int64_t now) {
    const bool others = outside_ || !pp->queue.empty() ||
                        (!watched_ && (first_timer_ns_ != base::k_never_ns || io_waiters() != 0));
    const bool stayed = stays(x, true, pp->calls.get(), now);
    const std::int64_t patience_ns = pp->patience_ns.load(std::memory_order_relaxed);
    const std::int64_t taken_ns = x.since_ns + (others ? patience_ns : k_slice_ns);
    if (!stayed || now < taken_ns) return others ? now + call_delay_ns_ : taken_ns;
    // ORD(caller): acquire; what the M did with its P. Pairs with the release in enter.
    if (pp->caller.compare_exchange(caller, nullptr, std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
        looks_ = 0;
        hand_off_p(s_, pp);
    }
    return now + k_slice_ns;
}

std::int64_t watcher::look_at_running(p* pp, seen& x, std::int64_t now) {
    if (!stays(x, false, pp->switches.get(), now))
        return now + (timer_due_ ? k_timer_grace_ns : k_slice_ns);
    const std::int64_t ran_ns = now - x.since_ns;
    const bool others = outside_ || !pp->queue.empty();
    if (idle_) {
        // It would run them; it may have been on its way to sleep.
        if (others && ran_ns >= k_slice_ns) wake_for_work_slow(s_);
        return now + k_slice_ns;
    }
    // Each that gives way keeps a thread: for the sake of timers, which may be due all the time,
    // only a few do.
    constexpr std::uint32_t k_most_for_timers = 16;
    const bool for_timer = timer_due_ && ran_ns >= k_timer_grace_ns &&
                           s_->preempted.size() < k_most_for_timers;
    if ((others && ran_ns >= k_slice_ns) || for_timer) {
        ask_to_give_way(s_, pp, x.count);
        return now + k_ask_again_ns;
    }
    if (timer_due_) return now + k_timer_grace_ns;
    // Past its slice it is nobody's concern as long as nobody else wants to run.
    return (ran_ns < k_slice_ns ? x.since_ns : now) + k_slice_ns;
}

void watcher::poll(std::int64_t now) {
    // Relaxed: a rate limit.
    if (watched_ || io_waiters() == 0 ||
        now - s_->last_poll_ns.load(std::memory_order_relaxed) < k_slice_ns)
        return;
    s_->last_poll_ns.store(now, std::memory_order_relaxed);
    base::fifo<qnode> found;
    poll_net(s_, 0, found);
    if (found.empty()) return;
    queue_global(s_, std::move(found));
    wake_from_outside(s_);
}

void watcher::age(std::int64_t now) {
    const aging* kept = current_aging();
    if (kept == nullptr || now < age_at_ns_) return;
    age_at_ns_ = now + age_ns();
    const aging::outcome found = kept->age(s_);
    ages_ = found.kept || found.unwanted;
    if (!found.unwanted) return;
    try {
        go({.name = "pirn: gives back what was not used"}, [kept] { kept->sweep(); });
    } catch (...) {
        // The run has just ended, or there is no memory: another time.
    }
}

std::int64_t watcher::look(std::int64_t now) {
    s_->coarse_ns.store(now, std::memory_order_relaxed);
    const std::int64_t trace_ns = trace_sched(s_, now);
    watched_ = s_->poller.load(std::memory_order_relaxed) != nullptr;
    poll(now);
    idle_ = s_->idle_p_count.load(std::memory_order_relaxed) != 0;
    outside_ = any_for_all(s_) || s_->host_wants.load(std::memory_order_relaxed);
    first_timer_ns_ = base::k_never_ns;
    for (auto& slot : s_->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        const p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        first_timer_ns_ =
            std::min(first_timer_ns_, pp->timers.first_ns.load(std::memory_order_relaxed));
    }
    timer_due_ = !watched_ && first_timer_ns_ <= now - k_timer_grace_ns;
    if (idle_ && (timer_due_ || outside_)) wake_for_work_slow(s_);
    std::int64_t next = std::min(now + k_slice_ns, trace_ns);
    traces_ = trace_ns != base::k_never_ns;
    if (!watched_ && first_timer_ns_ != base::k_never_ns)
        next = std::min(next, std::max(first_timer_ns_ + k_timer_grace_ns, now + k_timer_look_ns));
    for (auto& slot : s_->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        seen& x = seen_[pp->id];
        if (m* caller = pp->caller.load(std::memory_order_relaxed))
            next = std::min(next, look_at_call(pp, x, caller, now));
        else if (pp->runner.get() != nullptr)
            next = std::min(next, look_at_running(pp, x, now));
    }
    if (++looks_ > k_short_looks)
        call_delay_ns_ = std::min(2 * call_delay_ns_, k_longest_call_look_ns);
    if (looks_ <= k_short_looks) call_delay_ns_ = k_shortest_ns;
    return next;
}

// Every P is idle: from here on, who takes one wakes this thread.
bool watcher::everything_idle() {
    lock_guard hold(s_->mu);
    for (auto& slot : s_->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        const p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        if (pp->status == p_status::in_use) return false;
    }
    // Relaxed: who takes a P has had mu after this.
    s_->sysmon_until_ns.store(base::k_never_ns, std::memory_order_relaxed);
    return true;
}

// The run ends: what still computes, and is m0's thread perhaps, is to leave.
void watcher::interrupt_all() {
    lock_guard hold(s_->mu);
    for (const m* mp = s_->all_ms; mp != nullptr; mp = mp->next_all) {
        if (mp->tid != 0 && mp->cur() != nullptr) interrupt(mp);
    }
}

void watcher::run() {
    constexpr int k_idle_looks = 2;  // before it sleeps for good
    int idle_looks = 0;
    while (!s_->sysmon_ends.load(std::memory_order_relaxed)) {
        std::int64_t now = base::now_ns();
        if (s_->stopping.load(std::memory_order_relaxed)) {
            interrupt_all();
            s_->sysmon_wake.sleep(now + k_ask_again_ns);
            s_->sysmon_wake.clear();
            continue;
        }
        std::int64_t next = look(now);
        s_->sysmon_until_ns.store(next, std::memory_order_relaxed);
        // ORD(sysmon): seq_cst fence; when it looks next is visible before it looks once more.
        base::fence(std::memory_order_seq_cst);
        next = std::min(next, look(now));
        idle_looks = s_->idle_p_count.load(std::memory_order_relaxed) >=
                             s_->procs.load(std::memory_order_relaxed)
                         ? idle_looks + 1
                         : 0;
        age(now);
        if (idle_looks == 0) ages_ = current_aging() != nullptr;
        if (idle_looks > k_idle_looks && !traces_ && everything_idle())
            next = ages_ ? age_at_ns_ : base::k_never_ns;
        if (s_->stopping.load(std::memory_order_relaxed)) continue;
        if (s_->sysmon_wake.sleep(next)) {
            s_->sysmon_wake.clear();
            looks_ = 0;
            ages_ = current_aging() != nullptr;
        }
    }
}

// The shortest time slice that the kernel gives (Linux 6.12; earlier ones ignore it): who asks for
// little at a time does not wait behind a thread that computes.
void ask_for_short_slices() {
    constexpr std::uint64_t k_slice = 100'000;
    struct {
        std::uint32_t size = 48, policy = SCHED_OTHER;
        std::uint64_t flags = 0;
        std::int32_t nice = 0;
        std::uint32_t priority = 0;
        std::uint64_t runtime = k_slice, deadline = 0, period = 0;
    } attributes;
    static_assert(sizeof attributes == 48);
    attributes.nice = ::getpriority(PRIO_PROCESS, 0);
    ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void* sysmon_main(void* arg) {
    auto* s = static_cast<sched*>(arg);
    s->sysmon_tid.store(static_cast<int>(::gettid()), std::memory_order_relaxed);
    ::pthread_setname_np(::pthread_self(), "pirn-sysmon");
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    ask_for_short_slices();
    watcher(s).run();
    return nullptr;
}

}  // namespace

void start_sysmon(sched* s) {
    if (const int e = ::pthread_create(&s->sysmon_thread, nullptr, sysmon_main, s); e != 0)
        base::fatalf("runtime: failed to create a thread: %s", std::strerror(e));
}

void stop_sysmon(sched* s) {
    s->sysmon_ends.store(true, std::memory_order_relaxed);
    nudge_sysmon(s);
    ::pthread_join(s->sysmon_thread, nullptr);
}

void nudge_sysmon(sched* s) {
    s->sysmon_until_ns.store(0, std::memory_order_relaxed);
    s->sysmon_wake.wake();
}

}  // namespace pirn::rt
