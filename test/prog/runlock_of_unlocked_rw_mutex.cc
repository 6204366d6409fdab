// SPDX-License-Identifier: MIT
// EXPECT status 2: fatal error: sync: RUnlock of unlocked RWMutex
// EXPECT stderr: fatal error: sync: RUnlock of unlocked RWMutex
// Y13: a reader's unlock of what only a writer holds ends the process.
#include <pirn/runtime.h>
#include <pirn/rw_mutex.h>

int main() {
    return pirn::run([] {
        pirn::rw_mutex m;
        m.lock_shared();
        m.unlock_shared();
        m.lock();
        m.unlock_shared();
    });
}
