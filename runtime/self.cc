// SPDX-License-Identifier: MIT
// The one thread_local.
#include "runtime/self.h"

#include "runtime/m.h"

namespace pirn::rt {

[[gnu::noinline]] m* self() {
    asm volatile("" ::: "memory");
    m* mp = static_cast<m*>(arch::__pirn_thread);
    // The result passes through the barrier, so that two calls are two reads.
    asm volatile("" : "+r"(mp)::"memory");
    return mp;
}

[[gnu::noinline]] void set_self(m* mp) {
    asm volatile("" ::: "memory");
    arch::__pirn_thread = mp;
    asm volatile("" ::: "memory");
}

}  // namespace pirn::rt
