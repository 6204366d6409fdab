// SPDX-License-Identifier: MIT
// The one thread_local.
#include "runtime/self.h"

namespace pirn::rt {
namespace {
[[gnu::tls_model("initial-exec")]] thread_local m* tls_self = nullptr;
}

[[gnu::noinline]] m* self() {
    asm volatile("" ::: "memory");
    m* mp = tls_self;
    // The result passes through the barrier, so that two calls are two reads.
    asm volatile("" : "+r"(mp)::"memory");
    return mp;
}

[[gnu::noinline]] void set_self(m* mp) {
    asm volatile("" ::: "memory");
    tls_self = mp;
    asm volatile("" ::: "memory");
}

}  // namespace pirn::rt
