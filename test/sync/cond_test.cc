// SPDX-License-Identifier: MIT
// cond: Y15-Y19, the timed forms, and std::condition_variable_any with our locks.
#include <pirn/cond.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

#include <pirn/mutex.h>
#include <pirn/rw_mutex.h>
#include <pirn/sleep.h>

#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/support/place.h"

using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

constinit pirn::cond global;

// The condition's address is its only word's.
bool waiting(const pirn::cond& c, std::uint32_t n) { return pirn::rt::sema_waiting(&c) == n; }

}  // namespace

TEST_CASE("Y15 notify_one wakes exactly one, notify_all all") {
    in_run([](verdict& v) {
        // Go's TestCondSignal and TestCondBroadcast, with a thread among the waiters.
        pirn::mutex m;
        pirn::cond c;
        constexpr int k_goroutines = 5, k_all = k_goroutines + 1;
        int awake = 0;
        const auto wait = [&] {
            std::unique_lock hold(m);
            c.wait(hold);
            ++awake;
        };
        for (const bool all_at_once : {false, true}) {
            crowd all;
            for (int i = 0; i < k_goroutines; ++i) all.go(wait);
            std::thread outside(wait);
            UNTIL(waiting(c, k_all));
            if (all_at_once) {
                c.notify_all();
            } else {
                for (int n = 1; n <= k_all; ++n) {
                    c.notify_one();
                    EXPECT(waiting(c, static_cast<std::uint32_t>(k_all - n)));
                    UNTIL((std::lock_guard(m), awake == n));
                }
            }
            all.join();
            outside.join();
            EXPECT(awake == k_all);
            awake = 0;
        }
    });
}

TEST_CASE("Y16 those who wait are woken in their order, generation after generation") {
    in_run([](verdict& v) {
        // Go's TestCondSignalGenerations.
        pirn::mutex m;
        pirn::cond c;
        constexpr int k_waiters = 60;
        std::vector<int> order;
        crowd all;
        for (int i = 0; i < k_waiters; ++i) {
            all.go([&, i] {
                const std::lock_guard hold(m);
                c.wait(m);
                order.push_back(i);
            });
            UNTIL(waiting(c, static_cast<std::uint32_t>(i % 3) + 1));
            // With three in line: each goes on before the next is woken.
            if (i % 3 != 2) continue;
            for (int n = i - 1; n <= i + 1; ++n) {
                c.notify_one();
                UNTIL((std::lock_guard(m), order.size() == static_cast<std::size_t>(n)));
            }
        }
        all.join();
        for (int i = 0; i < k_waiters; ++i) EXPECT(order[static_cast<std::size_t>(i)] == i);
    });
}

TEST_CASE("Y16 a later waiter cannot steal an earlier one's notification") {
    in_run([](verdict& v) {
        // Go's TestCondSignalStealing.
        for (int round = 0; round < at_full_speed(200); ++round) {
            pirn::mutex m;
            pirn::cond c;
            std::atomic<bool> first_done{false};
            bool second_may = false;
            crowd all;
            all.go([&] {
                std::unique_lock hold(m);
                c.wait(hold);
                first_done = true;
            });
            UNTIL(waiting(c, 1));
            // It is notified, and another begins to wait, at the same time.
            all.go([&] {
                const std::lock_guard hold(m);
                c.notify_one();
            });
            all.go([&] {
                std::unique_lock hold(m);
                while (!second_may) c.wait(hold);
            });
            UNTIL(first_done.load());
            {
                const std::lock_guard hold(m);
                second_may = true;
                c.notify_all();
            }
            all.join();
        }
        EXPECT(true);
    });
}

TEST_CASE("Y17 a notification without a waiter is none") {
    in_run([](verdict& v) {
        pirn::mutex m;
        pirn::cond c;
        global.notify_all();
        c.notify_one();
        c.notify_all();
        crowd all;
        bool woken = false;
        all.go([&] {
            std::unique_lock hold(m);
            c.wait(hold);
            woken = true;
        });
        UNTIL(waiting(c, 1));
        for (int i = 0; i < 20; ++i) pirn::yield();
        {
            const std::lock_guard hold(m);
            EXPECT(!woken);
            c.notify_one();
        }
        all.join();
        EXPECT(woken);
    });
}

TEST_CASE("Y18 a wait unlocks as it joins the line, and locks before it returns") {
    const std::uint64_t random = seed("Y18");
    in_run([random](verdict& v) {
        // Were there a moment between, a notification would be lost and the two would hang.
        pirn::mutex m;
        pirn::cond c;
        int turn = 0;
        const auto play = [&](int mine) {
            std::unique_lock hold(m);
            c.wait(hold, [&] { return turn == mine; });
            EXPECT(!m.try_lock());
            turn = 1 - mine;
            c.notify_one();
        };
        duel(at_full_speed(1000), random, [] {}, [&] { play(0); }, [&] { play(1); }, [] {});
        // With threads, without a lock that is ours.
        std::mutex theirs;
        turn = 0;
        const auto ping = [&](int mine, int rounds) {
            for (int i = 0; i < rounds; ++i) {
                std::unique_lock hold(theirs);
                c.wait(hold, [&] { return turn == mine; });
                turn = 1 - mine;
                c.notify_all();
            }
        };
        std::thread one([&] { ping(0, 300); }), two([&] { ping(1, 300); });
        one.join();
        two.join();
        // What unlock throws comes out, and nobody stays in line.
        struct thrower {
            void lock() {}
            void unlock() { throw std::runtime_error("unlock"); }
        } bad;
        bool caught = false;
        try {
            c.wait(bad);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        EXPECT(caught && waiting(c, 0));
    });
}

TEST_CASE("the timed waits of a cond") {
    in_run([](verdict& v) {
        pirn::mutex m;
        pirn::cond c;
        const auto try_all = [&] {
            std::unique_lock hold(m);
            const auto start = std::chrono::steady_clock::now();
            EXPECT(c.wait_for(hold, 3ms) == std::cv_status::timeout);
            EXPECT(std::chrono::steady_clock::now() - start >= 3ms);
            EXPECT(hold.owns_lock() && !m.try_lock());
            EXPECT(c.wait_for(hold, -1s) == std::cv_status::timeout);
            EXPECT(!c.wait_for(hold, 1ms, [] { return false; }));
            EXPECT(c.wait_for(hold, 1ms, [] { return true; }));
            EXPECT(c.wait_until(hold, std::chrono::system_clock::now() + 2ms) ==
                   std::cv_status::timeout);
            EXPECT(!c.wait_until(hold, start, [] { return false; }));
        };
        try_all();
        std::thread(try_all).join();
        EXPECT(waiting(c, 0));
        // Notified before the deadline.
        crowd all;
        bool ready = false;
        all.go([&] {
            std::unique_lock hold(m);
            EXPECT(c.wait_for(hold, 1h, [&] { return ready; }));
        });
        all.go([&] {
            std::unique_lock hold(m);
            EXPECT(c.wait_for(hold, std::chrono::hours::max(), [&] { return ready; }));
        });
        UNTIL(waiting(c, 2));
        {
            const std::lock_guard hold(m);
            ready = true;
        }
        c.notify_all();
        all.join();
    });
}

TEST_CASE("a notification that comes with the deadline is counted once") {
    const std::uint64_t random = seed("cond deadlines");
    in_run([random](verdict& v) {
        // Nobody is told that it was notified more often than somebody was.
        pirn::mutex m;
        pirn::cond c;
        std::atomic<int> notified{0}, running{6};
        int taken = 0;
        crowd all;
        for (unsigned g = 0; g < 6; ++g)
            all.go([&, g] {
                std::minstd_rand dice(static_cast<unsigned>(random) + g);
                for (int i = 0; i < at_full_speed(200); ++i) {
                    std::unique_lock hold(m);
                    if (c.wait_for(hold, std::chrono::microseconds(dice() % 100)) ==
                        std::cv_status::no_timeout)
                        ++notified;
                }
                --running;
            });
        while (running != 0) {
            if (!waiting(c, 0)) {
                c.notify_one();
                ++taken;
            }
            pirn::yield();
        }
        all.join();
        EXPECT(notified <= taken);
        EXPECT(waiting(c, 0));
    });
}

TEST_CASE("Y19 a cond cannot be copied or moved, and takes any lock") {
    static_assert(!std::is_copy_constructible_v<pirn::cond>);
    static_assert(!std::is_move_constructible_v<pirn::cond>);
    in_run([](verdict& v) {
        pirn::rw_mutex rw;
        pirn::cond c;
        bool ready = false;
        crowd all;
        for (int i = 0; i < 2; ++i)
            all.go([&] {
                std::shared_lock hold(rw);
                c.wait(hold, [&] { return ready; });
            });
        UNTIL(waiting(c, 2));
        {
            const std::lock_guard hold(rw);   // the waiters let it go
            ready = true;
        }
        c.notify_all();
        all.join();
        EXPECT(rw.try_lock());
        rw.unlock();
    });
}

TEST_CASE("std::condition_variable_any works with our locks") {
    in_run([](verdict& v) {
        pirn::mutex m;
        pirn::rw_mutex rw;
        std::condition_variable_any c;
        int stage = 0;
        std::thread other([&] {
            std::unique_lock hold(m);
            c.wait(hold, [&] { return stage == 1; });
            stage = 2;
            c.notify_all();
        });
        {
            std::unique_lock hold(m);
            EXPECT(!c.wait_for(hold, 1ms, [&] { return stage == 2; }));
            stage = 1;
            c.notify_all();
            EXPECT(c.wait_for(hold, 30s, [&] { return stage == 2; }));
        }
        other.join();
        std::shared_lock shared(rw);
        EXPECT(c.wait_for(shared, 1ms) == std::cv_status::timeout);
        EXPECT(!rw.try_lock());
    });
}

TEST_CASE("a cond may be destroyed when all have been notified") {
    in_run([](verdict& v) {
        place<pirn::cond> here;
        for (int round = 0; round < at_full_speed(300); ++round) {
            pirn::mutex m;
            auto* c = here.make();
            int in = 0;
            crowd all;
            for (int g = 0; g < 3; ++g)
                all.go([&] {
                    std::unique_lock hold(m);
                    ++in;
                    c->wait(hold);
                });
            UNTIL((std::lock_guard(m), in == 3));
            // They have unlocked, but may not sleep yet.
            c->notify_all();
            here.destroy(c);
            all.join();
            EXPECT(here.untouched());
        }
    });
}

TEST_CASE("a cond outlives a run whose goroutines wait for it") {
    on_procs([](int procs) {
        static pirn::mutex m;
        static pirn::cond c;
        pirn::run(
            [&] {
                for (int i = 0; i < 4; ++i)
                    pirn::go([] {
                        m.lock();
                        c.wait(m);
                    });
                UNTIL(waiting(c, 4));
            },
            {.procs = procs});
        REQUIRE(waiting(c, 0));
        bool woken = false;
        std::thread other([&] {
            std::unique_lock hold(m);
            c.wait(hold);
            woken = true;
        });
        while (!waiting(c, 1)) std::this_thread::yield();
        c.notify_one();
        other.join();
        REQUIRE(woken);
    });
}
