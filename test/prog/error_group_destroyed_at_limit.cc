// SPDX-License-Identifier: MIT
// EXPECT status 2: fatal error: sync: error_group destroyed while somebody waits for it
// EXPECT stderr: fatal error: sync: error_group destroyed while somebody waits for it
// EXPECT stderr: semacquire
// An error_group goes away under a goroutine that may not start a part yet.
#include <memory>

#include <pirn/error_group.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run(
        [] {
            auto group = std::make_unique<pirn::error_group>();
            group->set_limit(0);
            pirn::go([at = group.get()] { at->go([] {}); });
            pirn::yield();   // on one P it runs now, until it waits
            group.reset();
        },
        {.procs = 1});
}
