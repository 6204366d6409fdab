// SPDX-License-Identifier: MIT
// semaphore: Y29, Y30, the timed forms.
#include <pirn/semaphore.h>

#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include <pirn/sleep.h>

#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/support/place.h"

using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

constinit pirn::semaphore global(3);

bool waiting(const pirn::semaphore& s, std::uint32_t n) {
    return pirn::rt::sema_waiting(&s) == n;
}

}  // namespace

TEST_CASE("Y29 a semaphore counts units") {
    REQUIRE(global.try_acquire(3));
    REQUIRE(!global.try_acquire());
    global.release(3);
    pirn::semaphore s;
    REQUIRE(!s.try_acquire());
    REQUIRE(s.try_acquire(0));
    s.release(5);
    REQUIRE(!s.try_acquire(6));
    REQUIRE(s.try_acquire(2));
    REQUIRE(s.try_acquire(3));
    REQUIRE(!s.try_acquire());
    REQUIRE(panic_of([&] { s.release(-1); }) == "sync: negative semaphore");
    REQUIRE(panic_of([&] { s.acquire(-1); }) == "sync: negative semaphore");
    REQUIRE(panic_of([] { pirn::semaphore bad(-1); }) == "sync: negative semaphore");
    s.release(pirn::semaphore::max());
    REQUIRE(panic_of([&] { s.release(); }) == "sync: semaphore released too often");
    REQUIRE(s.try_acquire(pirn::semaphore::max()));
}

TEST_CASE("Y29 first in, first out, also for many units") {
    in_run([](verdict& v) {
        pirn::semaphore s(2);
        std::vector<int> order;   // guarded by who has all units, or by the order itself
        crowd all;
        const auto wait = [&](int who, int k) {
            const auto before = pirn::rt::sema_waiting(&s);
            all.go([&, who, k] {
                s.acquire(k);
                order.push_back(who);
                if (who == 1) return;
                s.release(k);
            });
            UNTIL(waiting(s, before + 1));
        };
        wait(1, 5);
        // Two units are free, but one before us waits for more.
        EXPECT(!s.try_acquire());
        EXPECT(!s.try_acquire_for(1ms));
        wait(2, 1);
        wait(3, 1);
        s.release(2);
        EXPECT(waiting(s, 3));
        s.release(1);
        UNTIL(waiting(s, 2));
        all.join_but(2);
        EXPECT(order == std::vector<int>{1});
        s.release(1);
        all.join();
        EXPECT(order == (std::vector<int>{1, 2, 3}));
        EXPECT(s.try_acquire(1) && !s.try_acquire(1));
    });
}

TEST_CASE("Y29 one release serves all that it is enough for") {
    in_run([](verdict& v) {
        pirn::semaphore s;
        std::atomic<int> got{0};
        crowd all;
        for (const int k : {1, 2, 3, 10}) {
            const auto before = pirn::rt::sema_waiting(&s);
            all.go([&, k] {
                s.acquire(k);
                ++got;
            });
            UNTIL(waiting(s, before + 1));
        }
        s.release(7);
        UNTIL(got == 3);
        EXPECT(waiting(s, 1));
        EXPECT(!s.try_acquire());   // the one that is left is in line for the one that is left
        s.release(9);
        all.join();
        EXPECT(!s.try_acquire());
    });
}

TEST_CASE("Y29 no more than there are units at a time") {
    const std::uint64_t random = seed("Y29");
    in_run([random](verdict& v) {
        constexpr int k_units = 5;
        pirn::semaphore s(k_units);
        std::atomic<int> used{0};
        const auto work = [&](unsigned number) {
            std::minstd_rand dice(static_cast<unsigned>(random) + number);
            for (int i = 0; i < at_full_speed(2000); ++i) {
                const int k = static_cast<int>(dice() % k_units) + 1;
                const auto kind = dice() % 8;
                if (kind == 0 && !s.try_acquire(k)) continue;
                if (kind == 1 && !s.try_acquire_for(std::chrono::microseconds(dice() % 60), k))
                    continue;
                if (kind > 1) s.acquire(k);
                EXPECT(used.fetch_add(k) + k <= k_units);
                if (kind == 2) pirn::yield();
                used.fetch_sub(k);
                s.release(k);
            }
        };
        crowd all;
        for (unsigned g = 0; g < 8; ++g) all.go([&, g] { work(g); });
        std::thread outside([&] { work(99); });
        all.join();
        outside.join();
        EXPECT(s.try_acquire(k_units));
        EXPECT(!s.try_acquire());
    });
}

TEST_CASE("one that gives up is in nobody's way") {
    in_run([](verdict& v) {
        pirn::semaphore s(2);
        crowd all;
        std::atomic<int> got{0};
        std::atomic<bool> gave_up{false};
        all.go([&] {
            const auto start = std::chrono::steady_clock::now();
            EXPECT(!s.try_acquire_for(20ms, 3));
            EXPECT(std::chrono::steady_clock::now() - start >= 20ms);
            gave_up = true;
        });
        UNTIL(waiting(s, 1) || gave_up);
        for (int i = 0; i < 2; ++i)
            all.go([&] {
                s.acquire();
                ++got;
            });
        all.join();
        EXPECT(got == 2);
        std::thread([&] {
            EXPECT(!s.try_acquire_for(1ms));
            EXPECT(!s.try_acquire_until(std::chrono::system_clock::now() + 1ms));
        }).join();
        s.release();
        EXPECT(s.try_acquire());
    });
}

TEST_CASE("Y30 a semaphore may be destroyed while others are still inside release") {
    const std::uint64_t random = seed("Y30 semaphore");
    in_run([random](verdict& v) {
        place<pirn::semaphore> here;
        pirn::semaphore* s = nullptr;
        duel(
            at_full_speed(1000), random, [&] { s = here.make(); },
            [&] { s->release(2); },
            [&] {
                s->acquire(2);
                here.destroy(s);
            },
            [&] { EXPECT(here.untouched()); });
    });
}

TEST_CASE("a semaphore outlives a run whose goroutines wait for it") {
    on_procs([](int procs) {
        static pirn::semaphore s;
        pirn::run(
            [&] {
                for (int i = 0; i < 4; ++i) pirn::go([] { s.acquire(2); });
                UNTIL(waiting(s, 4));
            },
            {.procs = procs});
        REQUIRE(waiting(s, 0));
        s.release();
        REQUIRE(s.try_acquire());
        REQUIRE(!s.try_acquire());
    });
}
