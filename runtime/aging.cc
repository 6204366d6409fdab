// SPDX-License-Identifier: MIT
// What sysmon makes older: who keeps it, and which Ps' it may touch.
#include "runtime/aging.h"

#include "runtime/base/atomic.h"
#include "runtime/fork.h"
#include "runtime/sched.h"

namespace pirn::rt {
namespace {

constinit base::atomic<const aging*> the_aging{nullptr};
constinit base::atomic<std::int64_t> an_age_ns{1'000'000'000};

}  // namespace

idle_ps::idle_ps(sched* s) : s_(s) { s_->mu.acquire(); }
idle_ps::~idle_ps() { s_->mu.release(); }

bool idle_ps::has(std::uint32_t number) const {
    if (number >= k_max_procs) return false;
    // ORD(ps): acquire; pairs with the release in make_p.
    const p* pp = s_->ps[number].load(std::memory_order_acquire);
    return pp == nullptr || pp->status == p_status::idle || pp->status == p_status::retired;
}

std::int64_t age_ns() { return an_age_ns.load(std::memory_order_relaxed); }
void set_age_ns(std::int64_t ns) { an_age_ns.store(ns, std::memory_order_relaxed); }

void set_aging(const aging* what) {
    // Relaxed: it is a constant, as all that it points to.
    the_aging.store(what, std::memory_order_relaxed);
}
const aging* current_aging() { return the_aging.load(std::memory_order_relaxed); }

void forget_aging() {
    if (const aging* what = current_aging()) what->forget();
}

}  // namespace pirn::rt
