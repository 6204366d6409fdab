// SPDX-License-Identifier: MIT
// Stealing: half of another P's queue, and the timers it does not get to.
#include "runtime/base/clock.h"
#include "runtime/sched.h"

namespace pirn::rt {

// Visits every other P once, from a random one on. `next_too`: also takes a P's next slot, which
// its owner is about to run unless the goroutine there computes on.
qnode* steal_work(m* mp, bool next_too) {
    sched* s = mp->owner;
    p* pp = mp->cpu;
    // Retired Ps too: their timers stay with them.
    std::uint32_t made = 0;
    // ORD(ps): acquire; pairs with the release in make_p.
    while (made < k_max_procs && s->ps[made].load(std::memory_order_acquire) != nullptr) ++made;
    const std::uint32_t first = mp->random.below(made);
    for (std::uint32_t i = 0; i < made; ++i) {
        // ORD(ps): acquire; pairs with the release in make_p.
        p* victim = s->ps[(first + i) % made].load(std::memory_order_acquire);
        // ORD(stealable): acquire; pairs with the release in see_other_ps.
        if (victim == pp || !victim->stealable.load(std::memory_order_acquire)) continue;
        if (victim->timers.first_ns.load(std::memory_order_relaxed) != base::k_never_ns) {
            const std::int64_t now = base::now_ns();
            if (victim->timers.first_ns.load(std::memory_order_relaxed) <= now) {
                run_timers(mp, victim, now);
                if (qnode* n = pp->queue.take_next(pp->alone)) return n;
                if (qnode* n = pp->queue.pop(pp->alone)) return n;
            }
        }
        if (qnode* n = victim->queue.steal(pp->queue)) {
            pp->steals.add();
            return n;
        }
        if (next_too) {
            if (qnode* n = victim->queue.steal_next()) {
                pp->steals.add();
                return n;
            }
        }
    }
    return nullptr;
}

}  // namespace pirn::rt
