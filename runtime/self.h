// SPDX-License-Identifier: MIT
// The current M: the one thread_local of the project, and its accessor.
#pragma once

namespace pirn::rt {

struct m;

// The calling thread's M; null on threads that the runtime does not own. Returns the value, out of
// line and behind a memory barrier, so that no compiler carries a thread's answer (or its
// thread-local's address) across a switch to another thread: gcc and clang do so on aarch64, with
// -fPIC and with -flto. Never keep the result across a call that can switch.
m* self();
void set_self(m* mp);

}  // namespace pirn::rt
