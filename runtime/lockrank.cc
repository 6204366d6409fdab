// SPDX-License-Identifier: MIT
// The check of lock order, on the runtime's own threads. Empty without -Dchecks=true.
#include "runtime/lockrank.h"

#ifdef PIRN_CHECKS

#include "runtime/base/check.h"
#include "runtime/m.h"
#include "runtime/self.h"

namespace pirn::rt {

void lockrank_acquire(lock_rank rank) {
    m* mp = self();
    if (mp == nullptr) return;
    const auto r = static_cast<std::uint8_t>(rank);
    // Several channels at once (select) are ordered by address among themselves; of two timer
    // heaps the first P's comes first.
    if (mp->held_count > 0) {
        const std::uint8_t top = mp->held[mp->held_count - 1];
        if (top > r || (top == r && rank != lock_rank::hchan && rank != lock_rank::timers))
            base::fatalf("runtime: lock order: rank %d acquired while %d is held", r, top);
        // A select may hold any number of channels.
        if (top == r && rank == lock_rank::hchan) {
            ++mp->held_channels;
            return;
        }
    }
    PIRN_CHECK(mp->held_count < sizeof mp->held);
    mp->held[mp->held_count++] = r;
}

void lockrank_release(lock_rank rank) {
    m* mp = self();
    if (mp == nullptr) return;
    if (rank == lock_rank::hchan && mp->held_channels > 0) {
        --mp->held_channels;
        return;
    }
    for (int i = mp->held_count - 1; i >= 0; --i) {
        if (mp->held[i] != static_cast<std::uint8_t>(rank)) continue;
        for (int j = i; j + 1 < mp->held_count; ++j) mp->held[j] = mp->held[j + 1];
        --mp->held_count;
        return;
    }
    base::fatalf("runtime: lock order: rank %d released but not held", static_cast<int>(rank));
}

}  // namespace pirn::rt

#endif
