// SPDX-License-Identifier: MIT
// Who sleeps, who spins, who is woken. The only place that writes the idle and spinning words.
//
// Concept. Work may appear on any queue at any time; an idle M must not miss it, and not every
// piece of work may cost a wakeup. So at most one wakeup is in flight: whoever queues work wakes an
// M only if a P is idle and no M is spinning. A spinning M looks for work on every queue; when it
// finds some it stops spinning, and if it was the last spinner it wakes the next, so that the
// wakeups unfold as fast as there is work for them. One idle M sleeps in the poller (epoll, until
// the nearest timer), the others on their notes.
//
// The protocol ORD(idle), a store-then-load on both sides:
//   who queues work:                     who goes to sleep (give_up_p):
//   1. puts it on a queue                1. puts its P on the idle list, stops spinning
//   2. seq_cst fence                     2. seq_cst fence
//   3. reads idle_p_count and spinning   3. looks at every queue once more
// Either the first sees an idle P without a spinner and wakes, or the second sees the work. These
// steps are in handshake.h, which a test explores.
//
// A P's `next` slot is left to the P's own M, which runs it right after the goroutine that filled
// it: to wake for it is the most expensive mistake on a small machine. But that goroutine may go on
// computing. So an M that sees only `next` slots filled sleeps for a short time, not for good, and
// takes what has not moved since.
//
// Rejected: waking for each ready goroutine (a futex call each, and the woken find nothing);
// letting the sleeper poll by timeouts alone (latency, and an idle process that never sleeps).
#include <algorithm>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/handshake.h"
#include "runtime/idle.h"
#include "runtime/netpoll.h"
#include "runtime/sched.h"
#include "runtime/self.h"
#include "stack/segment.h"

namespace pirn::rt {
namespace {

constexpr std::int64_t k_next_patience_ns = 100'000;  // how long a filled next may stand
constexpr std::int64_t k_next_patience_max_ns = 10'000'000;

}  // namespace

p* pop_idle_p(sched* s, const p* wanted) {
    p** at = &s->idle_ps;
    for (p** look = at; wanted != nullptr && *look != nullptr; look = &(*look)->next_idle) {
        if (*look == wanted) at = look;
    }
    p* pp = *at;
    if (pp == nullptr) return nullptr;
    *at = pp->next_idle;
    pp->next_idle = nullptr;
    pp->status = p_status::in_use;
    s->idle_p_count.fetch_sub(1, std::memory_order_relaxed);
    return pp;
}

void push_idle_p(sched* s, p* pp) {
    pp->runner = nullptr;
    if (s->host_wants.load(std::memory_order_relaxed)) [[unlikely]] {
        give_host(s, pp, false);
        return;
    }
    pp->status = p_status::idle;
    pp->next_idle = s->idle_ps;
    s->idle_ps = pp;
    // Relaxed: give_up_p's fence follows.
    s->idle_p_count.fetch_add(1, std::memory_order_relaxed);
}

void take_p(m* mp, p* pp) {
    sched* s = mp->owner;
    mp->cpu = pp;
    pp->runner = mp;
    // Sysmon sleeps for good only while every P is idle.
    if (s->sysmon_until_ns.load(std::memory_order_relaxed) == base::k_never_ns) {
        s->coarse_ns.store(base::now_ns(), std::memory_order_relaxed);
        nudge_sysmon(s);
    }
    see_other_ps(pp);
}

namespace {

// What handshake.h works on, for the M that takes the step; null for a thread without one.
struct world {
    sched* s;
    m* mp;
    bool handed_on = false;  // retire_p has emptied the M's P
    base::atomic<std::uint32_t>& idle_p_count = s->idle_p_count;
    base::atomic<std::uint32_t>& spinning = s->spinning;

    void lock() { s->mu.acquire(); }
    void unlock() { s->mu.release(); }
    // Where all that is idle is the host's P, the host is called, to whom nobody else's M can go.
    p* pop_idle_p() {
        if (s->stopping.load(std::memory_order_relaxed)) return nullptr;
        p* pp = rt::pop_idle_p(s, nullptr);
        if (pp == nullptr) call_host(s);
        return pp;
    }
    bool push_idle_p();
    void hand_over(p* pp) { rt::hand_over(s, pp, true); }
    void take_p(p* pp) { rt::take_p(mp, pp); }
    void wake_next() { wake_for_work(mp->cpu); }
};

// An M without work gives back what it and the idle Ps hold on to.
void give_back_stacks(m* mp) {
    stack::trim_segments(*mp, 1);
    if (!stack::has_surplus()) return;
    {
        lock_guard hold(mp->owner->mu);
        for (p* pp = mp->owner->idle_ps; pp != nullptr; pp = pp->next_idle) {
            pp->stacks.drain();
            pp->records.drain();
        }
    }
    // A peak is over: what it has left elsewhere goes as well.
    if (!stack::trim()) return;
    trim_records();
    base::give_back();
}

// s->mu is held. The M that has been idle for the shortest time, off the list; null: there is none.
m* pop_idle_m(sched* s) {
    m* mp = s->idle_ms;
    if (mp == nullptr) return nullptr;
    s->idle_ms = mp->next_idle;
    mp->next_idle = nullptr;
    --s->m_idle;
    return mp;
}

}  // namespace

void start_spinning(m* mp) {
    mp->spinning = true;
    handshake::start_spinning(world{mp->owner, mp});
}

void stop_spinning(m* mp) {
    mp->spinning = false;
    handshake::stop_spinning(world{mp->owner, mp});
}

void queue_polled(p* pp, base::fifo<qnode>& found) {
    while (qnode* n = found.pop_front()) queue_back(pp, n);
}

outlook look_at_all(sched* s) {
    outlook o;
    o.work = any_for_all(s);
    for (auto& slot : s->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        if (!pp->queue.ring_empty())
            o.work = true;
        else if (!pp->queue.empty())
            o.next_only = true;
        o.first_timer_ns =
            std::min(o.first_timer_ns, pp->timers.first_ns.load(std::memory_order_relaxed));
    }
    return o;
}

bool world::push_idle_p() {
    p* pp = mp->cpu;
    // A P that maxprocs has retired is not offered again; its queue is empty by now.
    const bool retired = pp->id >= s->procs.load(std::memory_order_relaxed);
    if (!handed_on && (retired || any_for_all(s))) return false;
    pp->runner = nullptr;
    mp->cpu = nullptr;
    if (retired)
        pp->status = p_status::retired;
    else
        rt::push_idle_p(s, pp);
    return true;
}

bool give_up_p(m* mp, bool handed_on) {
    if (!handshake::give_up_p(world{mp->owner, mp, handed_on}, mp->spinning)) return false;
    mp->spinning = false;
    return true;
}

namespace {

// Takes an idle P, if there is one, to look for the work that was seen.
bool come_back(m* mp) {
    if (!handshake::come_back(world{mp->owner, mp})) return false;
    mp->spinning = true;
    return true;
}

// Takes an idle P, if there is one.
bool get_idle_p(m* mp) {
    sched* s = mp->owner;
    p* pp;
    {
        lock_guard hold(s->mu);
        pp = pop_idle_p(s, nullptr);
    }
    if (pp == nullptr) return false;
    take_p(mp, pp);
    return true;
}

enum class slept { have_p, look_again, stop };

// Waits for what a waker hands over: a P, or the wish that it look again.
slept take_handed(m* mp) {
    mp->wake.sleep(base::k_never_ns);
    mp->wake.clear();
    mp->place.after_sleep();
    p* pp = mp->handed;
    mp->handed = nullptr;
    if (mp->handed_look) {
        mp->handed_look = false;
        return slept::look_again;
    }
    if (pp == nullptr) return slept::stop;
    mp->spinning = mp->handed_spinning;
    take_p(mp, pp);
    return slept::have_p;
}

// Sleeps in the poller, if nobody else does and there is something to wait for there.
bool try_poller(m* mp, std::int64_t until_ns, slept& result) {
    sched* s = mp->owner;
    m* nobody = nullptr;
    // ORD(poller): acq_rel; pairs with the compare-exchange of whoever takes the poller out.
    if (!s->poller.compare_exchange(nobody, mp, std::memory_order_acq_rel,
                                    std::memory_order_relaxed))
        return false;
    s->poll_until_ns.store(until_ns, std::memory_order_relaxed);
    // ORD(poller-timer): seq_cst fence; the poller and its deadline are visible before the timers
    // are read again. Pairs with the fence in wake_for_timer.
    base::fence(std::memory_order_seq_cst);
    const outlook o = look_at_all(s);
    until_ns = std::min(until_ns, o.first_timer_ns);
    base::fifo<qnode> found;
    const bool hurry = o.work || s->stopping.load(std::memory_order_relaxed);
    poll_net(s, hurry ? 0 : until_ns, found);
    // ORD(poller): acq_rel; pairs with the compare-exchange of whoever takes the poller out.
    if (s->poller.exchange(nullptr, std::memory_order_acq_rel) != mp) {
        // Taken out: a P comes over the note.
        if (!found.empty()) queue_global(s, std::move(found));
        result = take_handed(mp);
        return true;
    }
    if (get_idle_p(mp)) {
        if (!found.empty()) {
            queue_polled(mp->cpu, found);
            wake_for_work(mp->cpu);  // also so that somebody else sleeps in the poller
        }
        result = slept::have_p;
        return true;
    }
    // Every P is busy, their Ms look at the net by themselves; or one rests.
    if (!found.empty()) {
        queue_global(s, std::move(found));
        wake_from_outside(s);
    }
    result = slept::look_again;
    return true;
}

// s->mu is held. Takes a particular M off the idle list; false: it is not there.
bool unlist_idle_m(sched* s, m* mp) {
    for (m** at = &s->idle_ms; *at != nullptr; at = &(*at)->next_idle) {
        if (*at != mp) continue;
        *at = mp->next_idle;
        mp->next_idle = nullptr;
        --s->m_idle;
        return true;
    }
    return false;
}

// Sleeps on the note until woken or `until_ns`.
slept sleep_on_note(m* mp, std::int64_t until_ns) {
    sched* s = mp->owner;
    bool suspicious = false;
    {
        lock_guard hold(s->mu);
        if (any_for_all(s) && s->idle_ps != nullptr) return slept::look_again;
        // ORD(stopping): relaxed under mu; wake_all takes mu after it was set.
        if (s->stopping.load(std::memory_order_relaxed)) return slept::stop;
        mp->next_idle = s->idle_ms;
        s->idle_ms = mp;
        ++s->m_idle;
        suspicious = looks_dead(s);
    }
    if (suspicious) until_ns = check_dead(s);
    if (mp->wake.sleep(until_ns)) return take_handed(mp);
    {
        lock_guard hold(s->mu);
        if (unlist_idle_m(s, mp)) return slept::look_again;
    }
    // Taken off the list by a waker at the same moment.
    return take_handed(mp);
}

}  // namespace

bool sleep_for_work(m* mp) {
    sched* s = mp->owner;
    std::int64_t patience_ns = k_next_patience_ns;
    give_back_stacks(mp);
    mp->place.before_sleep();
    for (;;) {
        const outlook o = look_at_all(s);
        if (s->stopping.load(std::memory_order_relaxed)) return false;
        const bool due = o.first_timer_ns != base::k_never_ns && o.first_timer_ns <= base::now_ns();
        if ((o.work || due) && come_back(mp)) return true;
        std::int64_t until_ns = o.first_timer_ns;
        if (o.next_only) {
            until_ns = std::min(until_ns, base::now_ns() + patience_ns);
            patience_ns = std::min(2 * patience_ns, k_next_patience_max_ns);
        }
        slept result = slept::look_again;
        // With every P busy, the net and the timers are theirs to look at.
        const bool idle_p = s->idle_p_count.load(std::memory_order_relaxed) != 0;
        const bool poll = idle_p && (o.first_timer_ns != base::k_never_ns || io_waiters() != 0);
        if (!poll || !try_poller(mp, until_ns, result))
            result = sleep_on_note(mp, o.next_only ? until_ns : base::k_never_ns);
        if (result == slept::have_p) return true;
        if (result == slept::stop) return false;
        // A next slot that outlasted our patience: its P's goroutine computes on.
        if (o.next_only && come_back(mp)) return true;
    }
}

namespace {

// Takes the M out of the poller's place, to be handed a P; null: nobody is there to be taken.
m* take_poller(sched* s) {
    m* mp = s->poller.load(std::memory_order_relaxed);
    if (mp == nullptr || mp == k_poller_taken) return nullptr;
    // ORD(poller): acq_rel; pairs with the compare-exchange and the exchange in try_poller.
    return s->poller.compare_exchange(mp, k_poller_taken, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)
               ? mp
               : nullptr;
}

}  // namespace

void hand_over(sched* s, p* pp, bool spinning) {
    m* mp = pop_idle_m(s);
    s->mu.release();
    bool in_poller = false;
    if (mp == nullptr) {
        mp = take_poller(s);
        in_poller = mp != nullptr;
    }
    if (mp == nullptr) {
        start_m(s, pp, spinning);
        return;
    }
    mp->handed = pp;
    mp->handed_spinning = spinning;
    s->wakeups.fetch_add(1, std::memory_order_relaxed);
    mp->place.before_wake(mp->tid);
    mp->wake.wake();
    if (in_poller) poll_break();
}

void hand_off_p(sched* s, p* pp) {
    if (pp->id >= s->procs.load(std::memory_order_relaxed)) {
        retire_p(s, pp);
        lock_guard hold(s->mu);
        pp->runner = nullptr;
        // maxprocs may have brought it back meanwhile.
        if (pp->id >= s->procs.load(std::memory_order_relaxed))
            pp->status = p_status::retired;
        else
            push_idle_p(s, pp);
        return;
    }
    const std::int64_t first_ns = pp->timers.first_ns.load(std::memory_order_relaxed);
    const bool due = first_ns != base::k_never_ns && first_ns <= base::now_ns();
    s->mu.acquire();
    if (s->stopping.load(std::memory_order_relaxed)) {
        s->mu.release();
        return;
    }
    pp->runner = nullptr;
    const bool work = due || pp->first != nullptr || !pp->queue.empty() || any_for_all(s);
    if (work && s->host_wants.load(std::memory_order_relaxed)) [[unlikely]] {
        give_host(s, pp, true);
        s->mu.release();
        return;
    }
    if (work) {
        hand_over(s, pp, false);
        return;
    }
    push_idle_p(s, pp);
    s->mu.release();
    // ORD(idle): seq_cst fence; as in handshake::give_up_p.
    base::fence(std::memory_order_seq_cst);
    const outlook o = look_at_all(s);
    const bool unwatched = s->poller.load(std::memory_order_relaxed) == nullptr &&
                           (o.first_timer_ns != base::k_never_ns || io_waiters() != 0);
    if (o.work || unwatched) wake_for_work_slow(s);
}

void wake_for_work_slow(sched* s) { handshake::send_wakeup(world{s, nullptr}); }

void wake_to_watch(sched* s) {
    m* mp;
    {
        lock_guard hold(s->mu);
        mp = pop_idle_m(s);
    }
    if (mp == nullptr) {
        start_m(s, nullptr, false);
        return;
    }
    mp->handed_look = true;
    mp->wake.wake();
}

void wake_from_outside(sched* s) {
    // Where every P is busy, the next look around finds it.
    if (handshake::wakeup_is_due(*s)) wake_for_work_slow(s);
}

void wake_for_timer(sched* s, std::int64_t when_ns) {
    // ORD(poller-timer): seq_cst fence; the timer is in its heap before the poller is looked at.
    // Pairs with the fence in try_poller.
    base::fence(std::memory_order_seq_cst);
    const m* poller = s->poller.load(std::memory_order_relaxed);
    if (poller == k_poller_taken) return;  // it gets up, and looks at the timers before it sleeps
    if (poller != nullptr) {
        if (when_ns < s->poll_until_ns.load(std::memory_order_relaxed)) poll_break();
        return;
    }
    if (s->idle_p_count.load(std::memory_order_relaxed) != 0)
        wake_for_work_slow(s);
    else
        sysmon_by(s, when_ns + k_timer_grace_ns);
}

void wake_all(sched* s) {
    m* list;
    {
        lock_guard hold(s->mu);
        list = s->idle_ms;
        s->idle_ms = nullptr;
        s->m_idle = 0;
        for (auto& slot : s->ps) {
            // ORD(ps): acquire; pairs with the release in make_p.
            p* pp = slot.load(std::memory_order_acquire);
            if (pp == nullptr) break;
            pp->attention.store(true, std::memory_order_relaxed);
        }
        for (m* mp = s->all_ms; mp != nullptr; mp = mp->next_all) {
            if (mp->waits == bound_wait::no) continue;
            mp->waits = bound_wait::no;
            mp->handed = nullptr;
            mp->wake.wake();
        }
    }
    while (list != nullptr) {
        m* next = list->next_idle;
        list->next_idle = nullptr;
        list->handed = nullptr;  // no P: stop
        list->wake.wake();
        list = next;
    }
    call_host_to_end(s);
    // ORD(poller-timer): seq_cst fence; `stopping` is visible before the poller's place is read.
    // Pairs with the fence in try_poller, which reads `stopping` after it.
    base::fence(std::memory_order_seq_cst);
    if (m* mp = take_poller(s)) {
        mp->handed = nullptr;
        mp->wake.wake();
        poll_break();
    }
}

}  // namespace pirn::rt
