// SPDX-License-Identifier: MIT
// mutex: Y01, Y02, Y04-Y08, Y19, Y30. Y03 ends the process: test/prog/unlock_of_unlocked_mutex.cc.
#include <pirn/mutex.h>

#include <array>
#include <chrono>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include <pirn/sleep.h>

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/sanitizer.h"
#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/support/place.h"

using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

// Usable before main and without a runtime.
constinit pirn::mutex global;
const bool locked_before_main = [] {
    const std::lock_guard hold(global);
    return true;
}();

// Until this much time has really passed.
void let_pass(std::chrono::nanoseconds d) {
    const auto end = std::chrono::steady_clock::now() + d;
    while (std::chrono::steady_clock::now() < end) {
    }
}

}  // namespace

TEST_CASE("Y01 mutual exclusion among goroutines and threads") {
    REQUIRE(locked_before_main);
    in_run([](verdict& v) {
        constexpr int k_goroutines = 10, k_threads = 2, k_rounds = 20000;
        pirn::mutex m;
        long plain = 0;
        std::atomic<int> inside{0};
        const auto work = [&](int rounds) {
            for (int i = 0; i < rounds; ++i) {
                const std::lock_guard hold(m);
                if (i % 64 == 0) EXPECT(++inside == 1);
                ++plain;
                if (i % 64 == 0) --inside;
            }
        };
        crowd all;
        for (int g = 0; g < k_goroutines; ++g) all.go([&] { work(k_rounds); });
        std::vector<std::thread> threads;
        for (int t = 0; t < k_threads; ++t) threads.emplace_back([&] { work(k_rounds); });
        all.join();
        for (auto& t : threads) t.join();
        EXPECT(plain == (k_goroutines + k_threads) * k_rounds);
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("Y01 mutual exclusion where the holder gives way") {
    in_run([](verdict& v) {
        pirn::mutex m;
        std::atomic<int> inside{0};
        crowd all;
        for (int g = 0; g < 20; ++g)
            all.go([&] {
                for (int i = 0; i < 100; ++i) {
                    m.lock();
                    EXPECT(++inside == 1);
                    pirn::yield();
                    --inside;
                    m.unlock();
                    if (i % 3 == 0) pirn::yield();
                }
            });
        all.join();
        EXPECT(inside == 0);
    });
}

TEST_CASE("Y02 try_lock is false while held and true after") {
    in_run([](verdict& v) {
        pirn::mutex m;
        EXPECT(m.try_lock());
        EXPECT(!m.try_lock());
        crowd all;
        all.go([&] { EXPECT(!m.try_lock()); });
        all.join();
        std::thread([&] { EXPECT(!m.try_lock()); }).join();
        m.unlock();
        all.go([&] {
            EXPECT(m.try_lock());
            m.unlock();
        });
        all.join();
        // With a waiter, too.
        m.lock();
        all.go([&] {
            m.lock();
            m.unlock();
        });
        UNTIL(pirn::rt::sema_waiting(&m) == 1);
        EXPECT(!m.try_lock());
        m.unlock();
        all.join();
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("Y04 one goroutine locks and another unlocks") {
    in_run([](verdict& v) {
        pirn::mutex m;
        for (int round = 0; round < 100; ++round) {
            m.lock();
            crowd all;
            all.go([&] { m.unlock(); });
            m.lock();
            all.join();
            std::thread([&] { m.unlock(); }).join();
            EXPECT(m.try_lock());
            m.unlock();
        }
    });
}

TEST_CASE("Y05 a waiter behind a hot loop gets the mutex soon") {
    in_run([](verdict& v) {
        // Go's TestMutexFairness.
        pirn::mutex m;
        std::atomic<bool> stop{false};
        crowd all;
        all.go([&] {
            while (!stop) {
                m.lock();
                pirn::sleep_for(100us);
                m.unlock();
            }
        });
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < 10; ++i) {
            pirn::sleep_for(100us);
            m.lock();
            m.unlock();
        }
        EXPECT(std::chrono::steady_clock::now() - start < 10s);
        stop = true;
        all.join();
    });
}

TEST_CASE("Y06 starvation mode: handed over in order, no barging, left by the last") {
    // On one P nothing runs between two calls without a yield: each step is certain.
    verdict v;
    pirn::run(
        [&] {
            pirn::mutex m;
            std::vector<int> order;
            crowd all;
            m.lock();
            for (std::size_t w = 0; w < 4; ++w) {
                all.go([&, w] {
                    m.lock();
                    order.push_back(static_cast<int>(w));
                    m.unlock();
                });
                UNTIL(pirn::rt::sema_waiting(&m) == w + 1);
            }
            // Normal mode: the first is woken, and loses to who is running.
            m.unlock();
            EXPECT(pirn::rt::sema_waiting(&m) == 3);
            EXPECT(m.try_lock());
            // Having waited for so long, it asks for starvation mode, at the front of the queue.
            let_pass(2ms);
            UNTIL(pirn::rt::sema_waiting(&m) == 4);
            EXPECT(order.empty());
            m.unlock();
            // Handed over: it is not free, although the new holder has not run yet.
            EXPECT(!m.try_lock());
            // One who comes now gets in line.
            all.go([&] {
                m.lock();
                order.push_back(4);
                m.unlock();
            });
            all.join();
            EXPECT(order == (std::vector<int>{0, 1, 2, 3, 4}));
            // The mode is left: a fresh waiter loses again to who is running.
            EXPECT(m.try_lock());
            all.go([&] {
                m.lock();
                m.unlock();
            });
            UNTIL(pirn::rt::sema_waiting(&m) == 1);
            m.unlock();
            EXPECT(m.try_lock());
            m.unlock();
            all.join();
        },
        {.procs = 1});
    REQUIRE(v.text() == "");
}

TEST_CASE("Y06 starvation mode is left by one that has not waited long") {
    verdict v;
    pirn::run(
        [&] {
            pirn::mutex m;
            std::vector<int> order;
            crowd all;
            const auto wait = [&](int who) {
                const auto parked = pirn::rt::sema_waiting(&m);
                all.go([&, who] {
                    m.lock();
                    order.push_back(who);
                    m.unlock();
                });
                UNTIL(pirn::rt::sema_waiting(&m) == parked + 1);
            };
            m.lock();
            wait(0);
            m.unlock();
            EXPECT(m.try_lock());
            let_pass(2ms);
            UNTIL(pirn::rt::sema_waiting(&m) == 1);
            // Two that are fresh stand behind the starving one.
            wait(1);
            wait(2);
            m.unlock();
            all.join();
            EXPECT(order == (std::vector<int>{0, 1, 2}));
            EXPECT(m.try_lock());
            m.unlock();
        },
        {.procs = 1});
    REQUIRE(v.text() == "");
}

TEST_CASE("Y07 uncontended lock and unlock make no system call") {
    if (pirn::base::k_under_tsan) {
        WARN("the sanitizer's own thread makes system calls: not tested");
        return;
    }
    // In strict seccomp mode any other call than read, write and _exit kills the process.
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        pirn::mutex m;
        if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) ::_exit(77);
        bool ok = true;
        for (int i = 0; i < 10000; ++i) {
            m.lock();
            ok = ok && !m.try_lock();
            m.unlock();
            ok = ok && m.try_lock();
            m.unlock();
        }
        // _exit would be exit_group, which is not among the allowed ones.
        ::syscall(SYS_exit, ok ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        WARN("no seccomp here: not tested");
        return;
    }
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
}

TEST_CASE("Y08 an unlock happens before every later lock") {
    const std::uint64_t random = seed("Y08");
    in_run([random](verdict& v) {
        pirn::mutex m;
        // Each sees all that was written before, in the order of the locks.
        std::array<int, 8> plain{};
        const auto step = [&](std::size_t from) {
            const std::lock_guard hold(m);
            for (std::size_t i = 0; i < plain.size(); ++i) {
                EXPECT(plain[i] == plain[0]);
                if (i == from) pirn::yield();
            }
            for (auto& x : plain) ++x;
        };
        duel(2000, random, [] {}, [&] { step(9); }, [&] { step(9); }, [] {});
        crowd all;
        for (std::size_t g = 0; g < 6; ++g)
            all.go([&, g] {
                for (int i = 0; i < 50; ++i) step(g);
            });
        all.join();
        EXPECT(plain[0] == 4300);
    });
}

TEST_CASE("a mutex is waited for until a deadline") {
    in_run([](verdict& v) {
        pirn::mutex m;
        EXPECT(m.try_lock_for(0s));
        const auto fail = [&] {
            const auto start = std::chrono::steady_clock::now();
            EXPECT(!m.try_lock_for(2ms));
            EXPECT(std::chrono::steady_clock::now() - start >= 2ms);
            EXPECT(!m.try_lock_for(-1h));
            EXPECT(!m.try_lock_until(start));
            EXPECT(!m.try_lock_until(std::chrono::system_clock::now() + 1ms));
        };
        fail();
        std::thread(fail).join();
        // Another that waits gets it, although one before it has given up.
        crowd all;
        all.go(fail);
        bool got = false;
        all.go([&] {
            const std::unique_lock hold(m, std::chrono::hours::max());
            EXPECT(hold.owns_lock());
            got = true;
        });
        all.join_but(1);
        m.unlock();
        all.join();
        EXPECT(got);
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("deadlines that come when the mutex does") {
    const std::uint64_t random = seed("mutex deadlines");
    in_run([random](verdict& v) {
        pirn::mutex m;
        int inside = 0;
        const auto work = [&](unsigned number) {
            std::minstd_rand dice(static_cast<unsigned>(random) + number);
            for (int i = 0; i < at_full_speed(400); ++i) {
                if (!m.try_lock_for(std::chrono::microseconds(dice() % 60))) continue;
                EXPECT(++inside == 1);
                if (dice() % 4 == 0) pirn::sleep_for(30us);
                --inside;
                m.unlock();
            }
        };
        crowd all;
        for (unsigned g = 0; g < 6; ++g) all.go([&, g] { work(g); });
        std::thread outside([&] { work(77); });
        all.join();
        outside.join();
        EXPECT(pirn::rt::sema_waiting(&m) == 0);
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("Y19 a mutex cannot be copied or moved") {
    static_assert(!std::is_copy_constructible_v<pirn::mutex>);
    static_assert(!std::is_copy_assignable_v<pirn::mutex>);
    static_assert(!std::is_move_constructible_v<pirn::mutex>);
    static_assert(!std::is_move_assignable_v<pirn::mutex>);
    static_assert(sizeof(pirn::mutex) <= 8);
    static_assert(std::is_standard_layout_v<pirn::mutex>);
    static_assert(std::is_nothrow_default_constructible_v<pirn::mutex>);
    pirn::mutex a, b;
    {
        const std::scoped_lock both(a, b);
        REQUIRE(!a.try_lock());
    }
    std::unique_lock hold(a, std::try_to_lock);
    REQUIRE(hold.owns_lock());
}

TEST_CASE("Y30 a mutex may be destroyed while its last user is still inside unlock") {
    const std::uint64_t random = seed("Y30");
    in_run([random](verdict& v) {
        // Two users; the one that leaves last destroys it, and the other may not have returned yet.
        place<pirn::mutex> here;
        pirn::mutex* m = nullptr;
        int left = 0;
        const auto use = [&] {
            m->lock();
            const bool last = --left == 0;
            m->unlock();
            if (last) here.destroy(m);
        };
        duel(
            8000, random,
            [&] {
                m = here.make();
                left = 2;
            },
            use, use, [&] { EXPECT(here.untouched()); });

        // With waiters in the queue: each unlock has someone to wake.
        for (int round = 0; round < 200; ++round) {
            constexpr int k_users = 8;
            m = here.make();
            left = k_users;
            m->lock();
            crowd all;
            for (int g = 0; g < k_users; ++g) all.go(use);
            UNTIL(pirn::rt::sema_waiting(m) == k_users);
            m->unlock();
            all.join();
            EXPECT(here.untouched());
        }
    });
}

TEST_CASE("a mutex outlives a run whose goroutines wait for it") {
    on_procs([](int procs) {
        static pirn::mutex m;
        m.lock();
        pirn::run(
            [&] {
                for (int i = 0; i < 5; ++i) pirn::go([] { m.lock(); });
                UNTIL(pirn::rt::sema_waiting(&m) == 5);
            },
            {.procs = procs});
        REQUIRE(pirn::rt::sema_waiting(&m) == 0);
        m.unlock();
        REQUIRE(m.try_lock());
        long plain = 0;
        std::thread other([&] {
            const std::lock_guard hold(m);
            ++plain;
        });
        m.unlock();
        other.join();
        REQUIRE(plain == 1);
        REQUIRE(m.try_lock());
        m.unlock();
    });
}
