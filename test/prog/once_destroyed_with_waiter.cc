// SPDX-License-Identifier: MIT
// EXPECT status 2: fatal error: sync: once destroyed while somebody waits for it
// EXPECT stderr: fatal error: sync: once destroyed while somebody waits for it
// EXPECT stderr: sync.Mutex.Lock
// A once goes away under a goroutine that waits for the function which another one runs.
#include <memory>

#include <pirn/mutex.h>
#include <pirn/once.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run(
        [] {
            static pirn::mutex closed;
            closed.lock();
            auto o = std::make_unique<pirn::once>();
            const auto call = [at = o.get()] { at->call([] { closed.lock(); }); };
            pirn::go(call);
            pirn::go(call);
            for (int i = 0; i < 3; ++i) pirn::yield();   // on one P both run now, until they wait
            o.reset();
        },
        {.procs = 1});
}
