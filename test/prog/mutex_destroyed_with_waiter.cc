// SPDX-License-Identifier: MIT
// EXPECT status 2: fatal error: sync: mutex destroyed while somebody waits for it
// EXPECT stderr: fatal error: sync: mutex destroyed while somebody waits for it
// EXPECT stderr: sync.Mutex.Lock
// A mutex goes away under a goroutine that waits for it.
#include <memory>

#include <pirn/mutex.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run(
        [] {
            auto m = std::make_unique<pirn::mutex>();
            m->lock();
            pirn::go([at = m.get()] { at->lock(); });
            pirn::yield();   // on one P it runs now, until it waits
            m.reset();
        },
        {.procs = 1});
}
