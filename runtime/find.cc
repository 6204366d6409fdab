// SPDX-License-Identifier: MIT
// Where an M with a P looks for the next goroutine: at hand, then elsewhere. What it does without
// one is idle.cc's.
#include <algorithm>

#include "runtime/base/clock.h"
#include "runtime/idle.h"
#include "runtime/netpoll.h"
#include "runtime/sched.h"
#include "stack/segment.h"

namespace pirn::rt {
namespace {

constexpr std::uint32_t k_check_interval_timers = 16;
constexpr std::int64_t k_busy_poll_ns = 100'000;  // a busy P looks at the net this often
constexpr int k_spin_rounds = 100;
constexpr int k_spin_rounds_before_next = 30;     // a pause, so that its owner can run it
constexpr int k_pauses_per_round = 8;

qnode* take_from(sched* s, shared_queue& queue) {
    if (!queue.any()) return nullptr;
    lock_guard hold(s->mu);
    return queue.pop();
}

// s->mu is held. Up to `most` from the global queue: one is returned, the rest go to pp.
qnode* take_global(sched* s, p* pp, std::size_t most) {
    if (!s->global.any()) return nullptr;
    const std::size_t procs = s->procs.load(std::memory_order_relaxed);
    const std::size_t all = s->global.size();
    std::size_t n = std::min({all / procs + 1, all, std::size_t{k_ring / 2}, most});
    qnode* first = s->global.pop();
    for (; n > 1; --n) {
        qnode* more = s->global.pop();
        if (more->kind == qnode::k_goroutine) prefetch_goroutine(more);
        if (!pp->queue.push(more)) {
            // Cannot be: the ring was empty. Keep it all the same.
            s->global.push(more);
            break;
        }
    }
    return first;
}

qnode* look_at_global(sched* s, p* pp, std::size_t most) {
    if (!s->global.any()) return nullptr;
    lock_guard hold(s->mu);
    return take_global(s, pp, most);
}

// A busy M's cached segments, as stack.h has it: looked at every k_idle_ns.
void tend_segments(m* mp) {
    if (mp->segments == nullptr || mp->segments->next == nullptr) return;
    const std::int64_t now = base::now_ns();
    if (now - mp->trimmed_ns < stack::k_idle_ns) return;
    const std::uint64_t hops = stack::hops_of(*mp);
    stack::trim_segments(*mp, hops == mp->hops_before ? 1 : stack::k_cached_segments);
    mp->hops_before = hops;
    mp->trimmed_ns = now;
}

// The look around that is due every so many decisions: global queue, network.
qnode* look_around(sched* s, p* pp, std::int64_t now) {
    // By turns first: else those that give way would wait for as long as there is too much to do.
    pp->preempted_first = !pp->preempted_first;
    if (pp->preempted_first) {
        if (qnode* n = take_from(s, s->preempted)) return n;
    }
    if (qnode* n = look_at_global(s, pp, 1)) return n;
    if (qnode* n = take_from(s, s->preempted)) return n;
    if (io_waiters() != 0) {
        if (now == 0) now = base::now_ns();
        // Relaxed: a rate limit.
        if (now - s->last_poll_ns.load(std::memory_order_relaxed) > k_busy_poll_ns) {
            s->last_poll_ns.store(now, std::memory_order_relaxed);
            base::fifo<qnode> found;
            poll_net(s, 0, found);
            queue_polled(pp, found);
        }
    }
    // The ring before `next`, once: two goroutines that wake each other don't starve it.
    return pp->queue.pop(pp->alone);
}

}  // namespace

qnode* look_at_hand(m* mp) {
    sched* s = mp->owner;
    p* pp = mp->cpu;
    // Relaxed: what was asked for before is looked at below; what comes after asks again.
    pp->attention.store(false, std::memory_order_relaxed);
    see_other_ps(pp);
    if (qnode* n = pp->first) {
        pp->first = nullptr;
        return n;
    }
    // Before what is queued here, because others may wait for a lock that it holds; but by turns.
    pp->took_returned = !pp->took_returned;
    if (pp->took_returned) {
        if (qnode* n = take_from(s, s->returned)) return n;
    } else if (s->returned.any()) {
        pp->attention.store(true, std::memory_order_relaxed);
    }
    std::int64_t now = 0;
    const bool timers = pp->timers.first_ns.load(std::memory_order_relaxed) != base::k_never_ns;
    if (timers) {
        now = base::now_ns();
        run_timers(mp, pp, now);
    }
    // Only a look around starts the count again: an M that comes here for other reasons all the
    // time would never get to it.
    if (!pp->check_due && --pp->until_check == 0) pp->check_due = true;
    if (pp->check_due) {
        pp->check_due = false;
        pp->until_check = timers ? k_check_interval_timers : k_check_interval;
        tend_segments(mp);
        if (qnode* n = look_around(s, pp, now)) return n;
    }
    if (qnode* n = pp->queue.take_next(pp->alone)) return n;
    if (qnode* n = pp->queue.pop(pp->alone)) return n;
    if (qnode* n = look_at_global(s, pp, k_ring)) return n;
    if (qnode* n = take_from(s, s->returned)) return n;
    return take_from(s, s->preempted);
}

namespace {

// Looks elsewhere: network, other Ps.
qnode* look_elsewhere(m* mp) {
    sched* s = mp->owner;
    p* pp = mp->cpu;
    const std::uint32_t procs = s->procs.load(std::memory_order_relaxed);
    if (procs == 1) return nullptr;
    if (io_waiters() != 0 && s->poller.load(std::memory_order_relaxed) == nullptr) {
        base::fifo<qnode> found;
        poll_net(s, 0, found);
        if (qnode* n = found.pop_front()) {
            queue_polled(pp, found);
            return n;
        }
    }
    // Spinners are at most half of the busy Ps: more would only get in each other's way.
    const std::uint32_t busy = procs - s->idle_p_count.load(std::memory_order_relaxed);
    if (!mp->spinning) {
        if (2 * s->spinning.load(std::memory_order_relaxed) >= busy) return nullptr;
        start_spinning(mp);
    }
    for (int round = 0; round < k_spin_rounds; ++round) {
        if (qnode* n = steal_work(mp, round >= k_spin_rounds_before_next)) return n;
        if (qnode* n = look_at_global(s, pp, k_ring)) return n;
        if (s->stopping.load(std::memory_order_relaxed) ||
            pp->attention.load(std::memory_order_relaxed))
            return nullptr;
        for (int i = 0; i < k_pauses_per_round; ++i) arch::pause();
    }
    return nullptr;
}

}  // namespace

qnode* find_runnable(m* mp) {
    sched* s = mp->owner;
    for (;;) {
        if (mp->bound_g != nullptr) {
            if (qnode* n = await_bound(mp)) return n;
            if (mp->bound_g != nullptr || !is_lent(mp)) return nullptr;
            continue;
        }
        if (mp->cpu == nullptr && !sleep_for_work(mp)) return nullptr;
        p* pp = mp->cpu;
        if (s->stopping.load(std::memory_order_relaxed)) {
            pp->runner = nullptr;
            mp->cpu = nullptr;
            return nullptr;
        }
        if (pp->id >= s->procs.load(std::memory_order_relaxed)) {
            retire_p(s, pp);
            give_up_p(mp, true);
            continue;
        }
        if (s->host_wants.load(std::memory_order_relaxed)) [[unlikely]] {
            // It was taken from the thread that called for it.
            if (mp->spinning) stop_spinning(mp);
            mp->cpu = nullptr;
            hand_off_p(s, pp);
            continue;
        }
        qnode* n = look_at_hand(mp);
        if (n == nullptr) n = look_elsewhere(mp);
        if (n != nullptr) {
            if (mp->spinning) stop_spinning(mp);
            if (!is_bound(n)) return n;
            give_p_to_bound(mp, to_g(n));
            continue;
        }
        if (s->stopping.load(std::memory_order_relaxed)) continue;
        give_up_p(mp, false);
    }
}

}  // namespace pirn::rt
