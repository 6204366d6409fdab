// SPDX-License-Identifier: MIT
// A bound on how many run: of 10,000 tasks 100 at most at once, each on a goroutine that is started
// only when there is a place for it.
#include <atomic>
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sync.h>

int main() {
    return pirn::run([] {
        constexpr int k_tasks = 10'000, k_at_once = 100;
        const auto places = pirn::make_chan<void>(k_at_once);
        std::atomic<int> ended{0}, running{0}, too_many{0};
        pirn::wait_group all;
        for (int i = 0; i < k_tasks; ++i) {
            places.send();
            all.go([&] {
                if (++running > k_at_once) ++too_many;
                pirn::yield();
                ++ended;
                --running;
                places.recv();
            });
        }
        all.wait();
        std::printf("%d ended, %d too many at once\n", ended.load(), too_many.load());
    });
}
