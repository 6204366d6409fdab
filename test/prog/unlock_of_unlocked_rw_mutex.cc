// SPDX-License-Identifier: MIT
// EXPECT status 2: fatal error: sync: Unlock of unlocked RWMutex
// EXPECT stderr: fatal error: sync: Unlock of unlocked RWMutex
// Y13: a writer's unlock while a writer only waits for readers ends the process.
#include <pirn/runtime.h>
#include <pirn/rw_mutex.h>

int main() {
    return pirn::run([] {
        static pirn::rw_mutex m;
        m.lock_shared();
        pirn::go([] { m.lock(); });
        while (m.try_lock_shared()) {
            m.unlock_shared();
            pirn::yield();
        }
        m.unlock();
    });
}
