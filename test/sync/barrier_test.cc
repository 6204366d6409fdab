// SPDX-License-Identifier: MIT
// latch and barrier: as std's, among goroutines and threads.
#include <pirn/barrier.h>
#include <pirn/latch.h>

#include <array>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/support/place.h"

using namespace pirn::test;

TEST_CASE("a latch opens when it was counted down") {
    in_run([](verdict& v) {
        pirn::latch l(3);
        std::atomic<int> through{0};
        crowd all;
        for (int i = 0; i < 40; ++i)
            all.go([&] {
                l.wait();
                ++through;
            });
        std::thread outside([&] {
            l.wait();
            ++through;
        });
        UNTIL(pirn::rt::sema_waiting(&l) == 41);
        l.count_down(2);
        EXPECT(!l.try_wait());
        for (int i = 0; i < 10; ++i) pirn::yield();
        EXPECT(through == 0);
        EXPECT(panic_of([&] { l.count_down(2); }) == "sync: negative latch counter");
        l.arrive_and_wait();
        all.join();
        outside.join();
        EXPECT(through == 41);
        EXPECT(l.try_wait());
        l.wait();
        EXPECT(panic_of([&] { l.count_down(); }) == "sync: negative latch counter");
        EXPECT(panic_of([] { pirn::latch bad(-1); }) == "sync: negative latch counter");
        pirn::latch open(0);
        open.wait();
    });
}

TEST_CASE("Y30 a latch may be destroyed while others are still inside count_down") {
    const std::uint64_t random = seed("Y30 latch");
    in_run([random](verdict& v) {
        place<pirn::latch> here;
        pirn::latch* l = nullptr;
        int plain = 0;
        duel(
            at_full_speed(1000), random,
            [&] {
                l = here.make(1);
                plain = 0;
            },
            [&] {
                plain = 1;
                l->count_down();
            },
            [&] {
                l->wait();
                EXPECT(plain == 1);
                here.destroy(l);
            },
            [&] { EXPECT(here.untouched()); });
    });
}

TEST_CASE("a barrier's parties wait for each other in each phase") {
    in_run([](verdict& v) {
        constexpr int k_goroutines = 5, k_parties = k_goroutines + 1;
        const int phases = at_full_speed(200);
        int ended = 0;   // plain: the barrier orders it
        std::array<int, k_parties> done{};
        const auto at_end = [&]() noexcept {
            for (const int n : done) EXPECT(n == ended / 2 + 1);
            ++ended;
        };
        pirn::barrier b(k_parties, at_end);
        const auto work = [&](std::size_t me) {
            for (int i = 0; i < phases; ++i) {
                ++done[me];
                if (i % 5 == static_cast<int>(me) % 5) {
                    auto arrival = b.arrive();
                    b.wait(std::move(arrival));
                } else {
                    b.arrive_and_wait();
                }
                EXPECT(ended == 2 * i + 1);
                b.arrive_and_wait();   // nobody begins the next before all have looked
            }
        };
        crowd all;
        for (std::size_t g = 0; g < k_goroutines; ++g) all.go([&, g] { work(g); });
        std::thread outside([&] { work(k_goroutines); });
        all.join();
        outside.join();
        EXPECT(ended == 2 * phases);
    });
}

TEST_CASE("a party that drops out is not waited for any more") {
    in_run([](verdict& v) {
        std::atomic<int> ended{0};
        const auto at_end = [&]() noexcept { ++ended; };
        pirn::barrier b(3, at_end);
        crowd all;
        all.go([&] { b.arrive_and_drop(); });
        all.go([&] {
            for (int i = 0; i < 3; ++i) b.arrive_and_wait();
        });
        for (int i = 0; i < 3; ++i) b.arrive_and_wait();
        all.join();
        EXPECT(ended == 3);
        (void)b.arrive(2);
        EXPECT(ended == 4);
        EXPECT(panic_of([&] { (void)b.arrive(3); }) == "sync: misuse of barrier");
        EXPECT(panic_of([] { pirn::barrier<> bad(-1); }) == "sync: misuse of barrier");
    });
}
