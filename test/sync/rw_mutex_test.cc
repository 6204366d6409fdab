// SPDX-License-Identifier: MIT
// rw_mutex: Y09-Y12, Y14, Y19, Y30. Y13 ends the process: test/prog/*_of_unlocked_rw_mutex.cc.
#include <pirn/rw_mutex.h>

#include <array>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include <pirn/mutex.h>
#include <pirn/sleep.h>

#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/support/place.h"

using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

constinit pirn::rw_mutex global;
const bool locked_before_main = [] {
    const std::shared_lock hold(global);
    return true;
}();

bool waiting(const pirn::rw_mutex& m, std::uint32_t n) { return pirn::rt::sema_waiting(&m) == n; }

// A goroutine that locks in its way, notes itself down, and unlocks.
void write_down(crowd& all, pirn::rw_mutex& m, std::vector<int>& order, int who) {
    all.go([&, who] {
        m.lock();
        order.push_back(who);
        m.unlock();
    });
}

}  // namespace

TEST_CASE("Y09 readers hold it at the same time") {
    REQUIRE(locked_before_main);
    in_run([](verdict& v) {
        // Go's TestParallelReaders: all readers are in before one leaves.
        constexpr int k_readers = 20;
        pirn::rw_mutex m;
        std::atomic<int> inside{0};
        crowd all;
        for (int i = 0; i < k_readers; ++i)
            all.go([&] {
                const std::shared_lock hold(m);
                ++inside;
                UNTIL(inside == k_readers);
            });
        all.join();
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("Y10 a writer excludes all") {
    const std::uint64_t random = seed("Y10");
    in_run([random](verdict& v) {
        // Go's HammerRWMutex: a writer adds a great number, a reader 1.
        pirn::rw_mutex m;
        std::atomic<int> activity{0};
        std::array<int, 4> plain{};
        const auto write = [&] {
            EXPECT(activity.fetch_add(10000) == 0);
            for (auto& x : plain) ++x;
            EXPECT(activity.fetch_sub(10000) == 10000);
        };
        const auto read = [&] {
            const int n = activity.fetch_add(1);
            EXPECT(n >= 0 && n < 10000);
            for (const int x : plain) EXPECT(x == plain[0]);
            activity.fetch_sub(1);
        };
        const auto work = [&](unsigned number, int rounds) {
            std::minstd_rand dice(static_cast<unsigned>(random) + number);
            for (int i = 0; i < rounds; ++i) {
                const auto kind = dice() % 12;
                if (kind == 0) {
                    const std::lock_guard hold(m);
                    write();
                } else if (kind == 1) {
                    const std::unique_lock hold(m, 50us);
                    if (hold) write();
                } else if (kind == 2) {
                    const std::unique_lock hold(m, std::try_to_lock);
                    if (hold) write();
                } else if (kind == 3) {
                    const std::shared_lock hold(m, 50us);
                    if (hold) read();
                } else if (kind == 4) {
                    const std::shared_lock hold(m);
                    pirn::yield();
                    read();
                } else {
                    const std::shared_lock hold(m);
                    read();
                }
            }
        };
        const int rounds = at_full_speed(4000);
        crowd all;
        for (unsigned g = 0; g < 8; ++g) all.go([&, g] { work(g, rounds); });
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 2; ++t) threads.emplace_back([&, t] { work(100 + t, rounds); });
        all.join();
        for (auto& t : threads) t.join();
        EXPECT(activity == 0);
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("Y11 a writer that waits keeps new readers out") {
    in_run([](verdict& v) {
        pirn::rw_mutex m;
        std::vector<int> order;
        std::atomic<int> readers{0};
        crowd all;
        m.lock_shared();
        write_down(all, m, order, 1);
        UNTIL(waiting(m, 1));
        EXPECT(!m.try_lock_shared());
        all.go([&] {
            const std::shared_lock hold(m);
            EXPECT(order.size() == 1);
            ++readers;
        });
        std::thread outside([&] {
            const std::shared_lock hold(m);
            EXPECT(order.size() == 1);
            ++readers;
        });
        UNTIL(waiting(m, 3));
        EXPECT(order.empty() && readers == 0);
        m.unlock_shared();
        all.join();
        outside.join();
        EXPECT(readers == 2);
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("Y12 the readers that wait come between two writers") {
    in_run([](verdict& v) {
        constexpr std::uint32_t k_readers = 100;   // more than are woken in one go elsewhere
        pirn::rw_mutex m;
        std::vector<int> order;
        std::atomic<std::uint32_t> readers{0};
        crowd all;
        m.lock();
        write_down(all, m, order, 1);
        UNTIL(waiting(m, 1));
        for (std::uint32_t i = 0; i < k_readers; ++i)
            all.go([&] {
                const std::shared_lock hold(m);
                EXPECT(order.empty());
                ++readers;
                UNTIL(readers == k_readers);   // all at once
            });
        UNTIL(waiting(m, k_readers + 1));
        write_down(all, m, order, 2);
        UNTIL(waiting(m, k_readers + 2));
        m.unlock();
        // They have it by now, although none has run, and the writer keeps others out.
        EXPECT(!m.try_lock());
        all.join();
        EXPECT(order == (std::vector<int>{1, 2}));
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("Y14 what try_lock and try_lock_shared find") {
    in_run([](verdict& v) {
        pirn::rw_mutex m;
        EXPECT(m.try_lock());
        EXPECT(!m.try_lock() && !m.try_lock_shared());
        std::thread([&] { EXPECT(!m.try_lock() && !m.try_lock_shared()); }).join();
        m.unlock();
        EXPECT(m.try_lock_shared() && m.try_lock_shared());
        EXPECT(!m.try_lock());
        m.unlock_shared();
        EXPECT(!m.try_lock());
        m.unlock_shared();
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("a writer gives up at its deadline and lets the readers in that it kept out") {
    in_run([](verdict& v) {
        pirn::rw_mutex m;
        std::atomic<int> readers{0};
        m.lock_shared();
        crowd all;
        std::atomic<bool> gave_up{false};
        all.go([&] {
            const auto start = std::chrono::steady_clock::now();
            EXPECT(!m.try_lock_for(20ms));
            EXPECT(std::chrono::steady_clock::now() - start >= 20ms);
            gave_up = true;
        });
        UNTIL(waiting(m, 1) || gave_up);
        for (int i = 0; i < 3; ++i)
            all.go([&] {
                const std::shared_lock hold(m);
                ++readers;
            });
        all.join();
        EXPECT(readers == 3);   // while we still hold it
        m.unlock_shared();
        EXPECT(m.try_lock());
        // Readers have deadlines, too; so have threads.
        all.go([&] { EXPECT(!m.try_lock_shared_for(1ms)); });
        all.go([&] { EXPECT(!m.try_lock_shared_until(std::chrono::system_clock::now() + 1ms)); });
        std::thread([&] {
            EXPECT(!m.try_lock_shared_for(1ms));
            EXPECT(!m.try_lock_until(std::chrono::steady_clock::now() + 1ms));
        }).join();
        all.join();
        EXPECT(waiting(m, 0));
        m.unlock();
        EXPECT(m.try_lock_for(0s));
        m.unlock();
    });
}

TEST_CASE("one of two writers gives up, and the other gets it from the last reader") {
    in_run([](verdict& v) {
        pirn::rw_mutex m;
        std::vector<int> order;
        crowd all;
        m.lock_shared();
        std::atomic<bool> gave_up{false};
        all.go([&] {
            EXPECT(!m.try_lock_for(5ms));
            gave_up = true;
        });
        UNTIL(waiting(m, 1) || gave_up);
        write_down(all, m, order, 2);
        UNTIL(gave_up && waiting(m, 1));
        EXPECT(!m.try_lock_shared());
        m.unlock_shared();
        all.join();
        EXPECT(order.size() == 1);
    });
}

TEST_CASE("deadlines that come when the mutex does") {
    const std::uint64_t random = seed("rw deadlines");
    in_run([random](verdict& v) {
        pirn::rw_mutex m;
        std::atomic<int> inside{0};
        const auto work = [&](unsigned number) {
            std::minstd_rand dice(static_cast<unsigned>(random) + number);
            for (int i = 0; i < at_full_speed(400); ++i) {
                const auto patience = std::chrono::microseconds(dice() % 60);
                if (dice() % 2 == 0) {
                    if (m.try_lock_for(patience)) {
                        EXPECT(++inside == 1);
                        if (dice() % 4 == 0) pirn::sleep_for(30us);
                        --inside;
                        m.unlock();
                    }
                } else if (m.try_lock_shared_for(patience)) {
                    if (dice() % 4 == 0) pirn::sleep_for(30us);
                    EXPECT(inside == 0);
                    m.unlock_shared();
                }
            }
        };
        crowd all;
        for (unsigned g = 0; g < 6; ++g) all.go([&, g] { work(g); });
        std::thread outside([&] { work(77); });
        all.join();
        outside.join();
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("Y19 an rw_mutex cannot be copied or moved, and std's locks take it") {
    static_assert(!std::is_copy_constructible_v<pirn::rw_mutex>);
    static_assert(!std::is_copy_assignable_v<pirn::rw_mutex>);
    static_assert(!std::is_move_constructible_v<pirn::rw_mutex>);
    static_assert(std::is_nothrow_default_constructible_v<pirn::rw_mutex>);
    pirn::rw_mutex a, b;
    pirn::mutex c;
    {
        const std::scoped_lock all(a, b, c);
        REQUIRE(!a.try_lock_shared());
        REQUIRE(!c.try_lock());
    }
    std::shared_lock shared(a);
    REQUIRE(std::shared_lock(a, std::try_to_lock).owns_lock());
    REQUIRE(!std::unique_lock(a, std::try_to_lock).owns_lock());
    shared.unlock();
    std::unique_lock<pirn::rw_mutex> one(a, std::defer_lock), two(b, std::defer_lock);
    std::lock(one, two);
    REQUIRE((one.owns_lock() && two.owns_lock()));
}

TEST_CASE("Y30 an rw_mutex may be destroyed while its last users are still inside unlock") {
    const std::uint64_t random = seed("Y30 rw");
    in_run([random](verdict& v) {
        place<pirn::rw_mutex> here;
        pirn::rw_mutex* m = nullptr;
        // Readers leave; the writer that comes after them destroys it.
        const auto destroy = [&] {
            m->lock();
            m->unlock();
            here.destroy(m);
        };
        duel(
            at_full_speed(4000), random,
            [&] {
                m = here.make();
                m->lock_shared();
            },
            [&] { m->unlock_shared(); }, destroy, [&] { EXPECT(here.untouched()); });
        // Two readers, of whom the last one wakes the writer that waits.
        for (int round = 0; round < at_full_speed(400); ++round) {
            m = here.make();
            m->lock_shared();
            m->lock_shared();
            crowd all;
            all.go(destroy);
            UNTIL(pirn::rt::sema_waiting(m) == 1);
            all.go([&] { m->unlock_shared(); });
            m->unlock_shared();
            all.join();
            EXPECT(here.untouched());
        }
        // Writers and readers in line; the last of all destroys it.
        for (int round = 0; round < at_full_speed(200); ++round) {
            constexpr int k_users = 9;
            std::atomic<int> left{k_users};
            m = here.make();
            m->lock();
            crowd all;
            for (int g = 0; g < k_users; ++g)
                all.go([&, g] {
                    if (g % 3 == 0) {
                        m->lock();
                        const bool last = --left == 0;
                        m->unlock();
                        if (last) destroy();
                    } else {
                        m->lock_shared();
                        const bool last = --left == 0;
                        m->unlock_shared();
                        if (last) destroy();
                    }
                });
            UNTIL(pirn::rt::sema_waiting(m) == k_users);
            m->unlock();
            all.join();
            EXPECT(here.untouched());
        }
    });
}

TEST_CASE("an rw_mutex outlives a run whose goroutines wait for it") {
    on_procs([](int procs) {
        for (const bool shared : {false, true}) {
            static pirn::rw_mutex m;
            shared ? m.lock_shared() : m.lock();
            pirn::run(
                [&] {
                    for (int i = 0; i < 3; ++i) pirn::go([] { m.lock(); });
                    UNTIL(waiting(m, 3));
                    for (int i = 0; i < 3; ++i) pirn::go([] { m.lock_shared(); });
                    UNTIL(waiting(m, 6));
                },
                {.procs = procs});
            REQUIRE(waiting(m, 0));
            std::atomic<bool> done{false};
            std::thread reader([&] {
                const std::shared_lock hold(m);
                done = true;
            });
            shared ? m.unlock_shared() : m.unlock();
            reader.join();
            REQUIRE(done);
            REQUIRE(m.try_lock());
            m.unlock();
        }
        for (const bool shared : {false, true}) {
            // The same, and nobody is there any more when the last reader leaves.
            static pirn::rw_mutex m;
            m.lock_shared();
            pirn::run(
                [&] {
                    pirn::go([] { m.lock(); });
                    UNTIL(waiting(m, 1));
                },
                {.procs = procs});
            REQUIRE(waiting(m, 0));
            m.unlock_shared();
            REQUIRE((shared ? m.try_lock_shared() : m.try_lock()));
            shared ? m.unlock_shared() : m.unlock();
        }
    });
}
