// SPDX-License-Identifier: MIT
// Goroutines wake a thread of the program's own, and are woken by it, a million times.
#include "test/support/fixture.h"
#include "test/support/mailbox.h"

#include <atomic>
#include <memory>
#include <thread>

#include <pirn/runtime.h>

using namespace pirn;
using namespace pirn::test;

TEST_CASE("several goroutines wake a foreign thread and back, a million times") {
    on_procs([](int procs) {
        constexpr std::size_t k_goroutines = 5;
        const int rounds = at_full_speed(200'000);
        std::atomic<int> got{0};
        run([&] {
            struct two {
                mailbox to, back;
            };
            const auto boxes = std::make_unique<two[]>(k_goroutines);
            std::thread t([&] {
                for (int r = 0; r < rounds; ++r) {
                    for (std::size_t i = 0; i < k_goroutines; ++i) {
                        boxes[i].to.take();
                        boxes[i].back.put();
                    }
                }
            });
            for (std::size_t i = 0; i < k_goroutines; ++i) {
                go([&, mine = &boxes[i]] {
                    for (int r = 0; r < rounds; ++r) {
                        mine->to.put();
                        mine->back.take();
                        ++got;
                    }
                });
            }
            wait_until([] { return num_goroutine() == 1; });
            t.join();
        }, {.procs = procs});
        CHECK(got == static_cast<int>(k_goroutines) * rounds);
    });
}
