// SPDX-License-Identifier: MIT
// How many Ps there are, and the change of that while they run.
#include "runtime/idle.h"
#include "runtime/sched.h"

namespace pirn::rt {

void add_idle_p(sched* s, p* pp) {
    lock_guard hold(s->mu);
    push_idle_p(s, pp);
}

// The number is set first: an M that gives its P up meanwhile sees it under mu and lists the P, or
// does not, accordingly.
void change_procs(sched* s, std::uint32_t n) {
    lock_guard turn(s->procs_mu);
    const std::uint32_t before = s->procs.load(std::memory_order_relaxed);
    for (std::uint32_t id = 0; id < n; ++id) {
        // ORD(ps): acquire; pairs with the release in make_p.
        if (s->ps[id].load(std::memory_order_acquire) == nullptr) make_p(s, id);
    }
    p* unused[k_max_procs];
    std::uint32_t unused_count = 0;
    {
        lock_guard hold(s->mu);
        s->procs.store(n, std::memory_order_relaxed);
        for (p** at = &s->idle_ps; *at != nullptr;) {
            p* pp = *at;
            if (pp->id < n) {
                at = &pp->next_idle;
                continue;
            }
            *at = pp->next_idle;
            pp->next_idle = nullptr;
            pp->status = p_status::retired;
            s->idle_p_count.fetch_sub(1, std::memory_order_relaxed);
            unused[unused_count++] = pp;
        }
        for (std::uint32_t id = before; id < n; ++id) {
            p* pp = s->ps[id].load(std::memory_order_relaxed);
            if (pp->status == p_status::retired) push_idle_p(s, pp);
        }
        for (auto& slot : s->ps) {
            p* pp = slot.load(std::memory_order_relaxed);  // made by this function's callers only
            if (pp == nullptr) break;
            // Nobody runs it, so nobody else tells it that it is not alone.
            if (pp->status != p_status::in_use) see_other_ps(pp);
            pp->attention.store(true, std::memory_order_relaxed);
        }
    }
    for (std::uint32_t i = 0; i < unused_count; ++i) {
        // ORD(ps): acquire; pairs with the release in make_p.
        move_timers(unused[i], s->ps[0].load(std::memory_order_acquire));
        unused[i]->stacks.drain();
        unused[i]->records.drain();
    }
    wake_from_outside(s);
}

void retire_p(sched* s, p* pp) {
    base::fifo<qnode> list;
    if (pp->first != nullptr) list.push_back(pp->first);
    pp->first = nullptr;
    if (qnode* n = pp->queue.take_next(false)) list.push_back(n);
    while (qnode* n = pp->queue.pop(false)) list.push_back(n);
    pp->stacks.drain();
    pp->records.drain();
    // ORD(ps): acquire; pairs with the release in make_p.
    move_timers(pp, s->ps[0].load(std::memory_order_acquire));
    if (!list.empty()) queue_global(s, std::move(list));
    wake_from_outside(s);
}

}  // namespace pirn::rt
