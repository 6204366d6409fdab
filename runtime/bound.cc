// SPDX-License-Identifier: MIT
// Goroutines that only one M may run, and Ms that wait for a P because they run nothing else: a
// goroutine that comes back from a blocking region, one that was made to give way, and one that has
// locked its thread.
//
// A goroutine like that is queued as all are (its kind is k_bound). The M that takes it off a queue
// does not run it, but gives its own P to the goroutine's M, and looks for another.
//
// Invariants, under sched::mu:
//  - An M with waits != no sleeps on its note, or is about to; who sets `waits` back to no is the
//    one that wakes it, with a P in `handed`, or with none when the run ends.
//  - bound_ready: the goroutine was taken off its queue before its M began to wait. It is on no
//    queue; its M finds it by the flag.
#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/idle.h"
#include "runtime/sched.h"
#include "runtime/status.h"

namespace pirn::rt {
namespace {

// s->mu is held.
void queue_for_p(m* mp, g* gp, shared_queue& queue) {
    gp->kind = qnode::k_bound;
    gp->bound = mp;
    mp->waits = bound_wait::for_p;
    queue.push(gp);
}

// Waits for the P, with `waits` set. False: the run ends.
bool sleep_for_p(m* mp) {
    sched* s = mp->owner;
    for (;;) {
        bool suspicious;
        {
            lock_guard hold(s->mu);
            suspicious = mp->waits == bound_wait::for_goroutine && looks_dead(s);
        }
        if (mp->wake.sleep(suspicious ? check_dead(s) : base::k_never_ns)) break;
    }
    mp->wake.clear();
    p* pp = mp->handed;
    mp->handed = nullptr;
    if (pp == nullptr) return false;
    take_p(mp, pp);
    return true;
}

// The goroutine goes on, on its M, which has a P.
void go_on(m* mp, g* gp) {
    mp->cpu->switches.add();
    if (gp->thread_locks == 0) {
        gp->kind = qnode::k_goroutine;
        gp->bound = nullptr;
    } else {
        // It comes to the scheduling loop at its next decision.
        mp->cpu->attention.store(true, std::memory_order_relaxed);
    }
    continue_running(gp);
}

// Takes the goroutine that this M is bound to, if it is runnable already.
bool take_ready(m* mp) {
    lock_guard hold(mp->owner->mu);
    const bool ready = mp->bound_ready;
    mp->bound_ready = false;
    return ready;
}

// The M's goroutine has ended, and so does the M: nobody else knows it from here on.
void end_binding(m* mp) {
    mp->bound_ended = false;
    // A thread that is not ours to end goes on as any other.
    if (is_lent(mp)) {
        mp->bound_g = nullptr;
        return;
    }
    sched* s = mp->owner;
    p* pp = mp->cpu;
    mp->cpu = nullptr;
    hand_off_p(s, pp);
    lock_guard hold(s->mu);
    mp->detached = !s->stopping.load(std::memory_order_relaxed);
    if (!mp->detached) return;  // the end of the run sees to it
    m** at = &s->all_ms;
    while (*at != mp) at = &(*at)->next_all;
    *at = mp->next_all;
    --s->m_count;
}

// The M gives its P away, and waits for its goroutine to be runnable and for a P. False: the run
// ends.
bool wait_without_p(m* mp) {
    sched* s = mp->owner;
    p* pp = nullptr;
    {
        lock_guard hold(s->mu);
        // ORD(stopping): relaxed under mu; wake_all takes mu after it was set.
        if (s->stopping.load(std::memory_order_relaxed)) return false;
        if (!mp->bound_ready) {
            mp->waits = bound_wait::for_goroutine;
            ++s->m_idle;
        } else {
            mp->bound_ready = false;
            pp = pop_idle_p(s, nullptr);
            if (pp == nullptr) queue_for_p(mp, mp->bound_g, s->global);
        }
    }
    // From here on `handed` is a waker's, and goes with its wakeup.
    if (pp == nullptr) return sleep_for_p(mp);
    take_p(mp, pp);
    return true;
}

}  // namespace

qnode* await_bound(m* mp) {
    sched* s = mp->owner;
    g* gp = mp->bound_g;
    if (mp->bound_ended) {
        end_binding(mp);
        return nullptr;
    }
    while (p* pp = mp->cpu) {
        if (s->stopping.load(std::memory_order_relaxed)) {
            pp->runner = nullptr;
            mp->cpu = nullptr;
            return nullptr;
        }
        qnode* n = take_ready(mp) ? gp : nullptr;
        if (n == nullptr && pp->id < s->procs.load(std::memory_order_relaxed)) n = look_at_hand(mp);
        if (n == gp) {
            pp->attention.store(true, std::memory_order_relaxed);
            return n;
        }
        if (n != nullptr && is_bound(n)) {
            give_p_to_bound(mp, to_g(n));
            continue;
        }
        pp->first = n;
        mp->cpu = nullptr;
        hand_off_p(s, pp);
    }
    if (!wait_without_p(mp)) return nullptr;
    mp->cpu->attention.store(true, std::memory_order_relaxed);
    return gp;
}

void give_p_to_bound(m* mp, g* gp) {
    sched* s = mp->owner;
    m* to = gp->bound;
    {
        lock_guard hold(s->mu);
        if (to->waits == bound_wait::no) {
            to->bound_ready = true;
            return;
        }
        if (to->waits == bound_wait::for_goroutine) --s->m_idle;
        to->waits = bound_wait::no;
        to->handed = mp->cpu;
        to->handed_spinning = false;
        mp->cpu = nullptr;
    }
    to->wake.wake();
}

bool wait_for_p(m* mp, g* gp) {
    sched* s = mp->owner;
    p* pp;
    {
        lock_guard hold(s->mu);
        // ORD(stopping): relaxed under mu; wake_all takes mu after it was set.
        if (s->stopping.load(std::memory_order_relaxed)) return false;
        pp = pop_idle_p(s, mp->called_from);
        if (pp == nullptr) queue_for_p(mp, gp, s->returned);
    }
    if (pp != nullptr) {
        take_p(mp, pp);
    } else {
        mp->called_from->attention.store(true, std::memory_order_relaxed);
        // Every P is busy; one that blocks is taken for it, one that computes gives way in time.
        sysmon_by(s, base::now_ns());
        if (!sleep_for_p(mp)) return false;
    }
    go_on(mp, gp);
    return true;
}

bool give_way(m* mp, g* gp) {
    sched* s = mp->owner;
    p* pp = mp->cpu;
    be_preempted(gp);
    {
        lock_guard hold(s->mu);
        // ORD(stopping): relaxed under mu; wake_all takes mu after it was set.
        if (s->stopping.load(std::memory_order_relaxed)) return false;
        mp->cpu = nullptr;
        queue_for_p(mp, gp, s->preempted);
    }
    hand_off_p(s, pp);
    if (!sleep_for_p(mp)) return false;
    go_on(mp, gp);
    return true;
}

}  // namespace pirn::rt
