// SPDX-License-Identifier: MIT
// The one thread_local, and what is asked of it.
#include "runtime/self.h"

#include "runtime/m.h"
#include "runtime/sched.h"
#include "runtime/where.h"

namespace pirn::rt {

namespace {

// Only for functions that are called out of line.
[[gnu::always_inline]] inline m* read_self() {
    asm volatile("" ::: "memory");
    m* mp = static_cast<m*>(arch::__pirn_thread);
    // The result passes through the barrier, so that two calls are two reads.
    asm volatile("" : "+r"(mp)::"memory");
    return mp;
}

}  // namespace

[[gnu::noinline]] m* self() { return read_self(); }

[[gnu::noinline]] void set_self(m* mp) {
    asm volatile("" ::: "memory");
    arch::__pirn_thread = mp;
    asm volatile("" ::: "memory");
}

[[gnu::noinline]] std::uint32_t current_p() {
    const m* mp = read_self();
    // An M that its run leaves behind still has its P, when the next run has one of that number.
    // Relaxed: such an M has been seen not to come to a check for long.
    if (mp == nullptr || mp->cpu == nullptr || mp->owner->stopping.load(std::memory_order_relaxed))
        return k_no_p;
    return mp->cpu->id;
}

}  // namespace pirn::rt
