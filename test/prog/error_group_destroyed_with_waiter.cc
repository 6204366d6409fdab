// SPDX-License-Identifier: MIT
// EXPECT status 2: fatal error: sync: error_group destroyed while somebody waits for it
// EXPECT stderr: fatal error: sync: error_group destroyed while somebody waits for it
// EXPECT stderr: sync.WaitGroup.Wait
// An error_group goes away under a goroutine that waits for its parts.
#include <memory>

#include <pirn/error_group.h>
#include <pirn/mutex.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run(
        [] {
            static pirn::mutex closed;
            closed.lock();
            auto group = std::make_unique<pirn::error_group>();
            group->go([] { closed.lock(); });
            pirn::go([at = group.get()] { at->wait(); });
            for (int i = 0; i < 3; ++i) pirn::yield();   // on one P both run now, until they wait
            group.reset();
        },
        {.procs = 1});
}
