// SPDX-License-Identifier: MIT
// Semaphore: a buffered channel has room for as many as may be at work at once.
#include <atomic>
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sync.h>

int main() {
    return pirn::run([] {
        const auto slots = pirn::make_chan<void>(3);
        std::atomic<int> working{0}, too_many{0};
        pirn::wait_group all;
        for (int i = 0; i < 100; ++i) {
            all.go([&] {
                slots.send();
                if (++working > 3) ++too_many;
                pirn::yield();
                --working;
                slots.recv();
            });
        }
        all.wait();
        std::printf("100 went through, %d too many at once\n", too_many.load());
    });
}
