// SPDX-License-Identifier: MIT
// EXPECT status 2: fatal error: sync: wait_group destroyed while somebody waits for it
// EXPECT stderr: fatal error: sync: wait_group destroyed while somebody waits for it
// EXPECT stderr: sync.WaitGroup.Wait
// A wait_group goes away under a goroutine that waits for it.
#include <memory>

#include <pirn/runtime.h>
#include <pirn/wait_group.h>

int main() {
    return pirn::run(
        [] {
            auto group = std::make_unique<pirn::wait_group>();
            group->add(1);
            pirn::go([at = group.get()] { at->wait(); });
            pirn::yield();   // on one P it runs now, until it waits
            group.reset();
        },
        {.procs = 1});
}
