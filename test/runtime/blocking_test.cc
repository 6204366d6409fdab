// SPDX-License-Identifier: MIT
// Blocking regions give their P to others; goroutines that lock their thread keep it.
#include <catch2/catch.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "test/support/fixture.h"
#include "test/support/mailbox.h"

using namespace std::chrono_literals;
using pirn::test::on_procs;
using clock_type = std::chrono::steady_clock;

namespace {

// Keeps errno, which a signal that interrupts the call would change.
void block_for(std::chrono::milliseconds d) {
    const int before = errno;
    ::poll(nullptr, 0, static_cast<int>(d.count()));
    errno = before;
}

}  // namespace

TEST_CASE("G14 a blocking call releases its P", "[blocking]") {
    on_procs([](int procs) {
        int turns = 0;
        bool blocked = false;
        pirn::run(
            [&] {
                for (int i = 0; i < procs; ++i) {
                    pirn::go([&] {
                        pirn::blocking([] { block_for(200ms); });
                        blocked = true;
                    });
                }
                pirn::yield();
                const auto end = clock_type::now() + 100ms;
                while (clock_type::now() < end && !blocked) {
                    ++turns;
                    pirn::yield();
                }
            },
            {.procs = procs});
        REQUIRE(turns > 100);
    });
}

TEST_CASE("G14 sleepers go on while a call blocks", "[blocking]") {
    on_procs([](int procs) {
        bool in_time = false;
        pirn::run(
            [&] {
                for (int i = 0; i < procs; ++i)
                    pirn::go([] { pirn::blocking([] { block_for(300ms); }); });
                pirn::yield();
                const auto began = clock_type::now();
                for (int i = 0; i < 10; ++i) pirn::sleep_for(1ms);
                in_time = clock_type::now() - began < 250ms;
            },
            {.procs = procs});
        REQUIRE(in_time);
    });
}

TEST_CASE("G15 what comes back without a P is queued", "[blocking]") {
    on_procs([](int procs) {
        constexpr int k_calls = 40;
        int done = 0, errors = 0;
        pirn::run(
            [&] {
                pirn::rt::lock mu(pirn::rt::lock_rank::leaf);
                std::atomic<int> ended{0};
                for (int i = 0; i < k_calls; ++i) {
                    pirn::go([&, i] {
                        for (int k = 0; k < 5; ++k) {
                            errno = i;
                            pirn::blocking([] { block_for(1ms); });
                            if (errno != i) ++errors;
                        }
                        const pirn::rt::no_preemption guard;
                        pirn::rt::lock_guard hold(mu);
                        ++done;
                        ++ended;
                    });
                }
                while (ended < k_calls) pirn::yield();
            },
            {.procs = procs});
        REQUIRE(done == k_calls);
        REQUIRE(errors == 0);
    });
}

TEST_CASE("blocking returns what f returns, and throws what it throws", "[blocking]") {
    on_procs([](int procs) {
        int value = 0, reference = 0;
        std::string what;
        bool same_thread = false;
        pirn::run(
            [&] {
                value = pirn::blocking([] { return 7; });
                pirn::blocking([&]() -> int& { return reference; }) = 3;
                try {
                    pirn::blocking([] { throw std::runtime_error("out"); });
                } catch (const std::runtime_error& e) {
                    what = e.what();
                }
                const auto before = ::gettid();
                pirn::blocking([] { block_for(30ms); });
                same_thread = ::gettid() == before;
                pirn::blocking([] { pirn::blocking([] { block_for(1ms); }); });
            },
            {.procs = procs});
        REQUIRE(value == 7);
        REQUIRE(reference == 3);
        REQUIRE(what == "out");
        REQUIRE(same_thread);
    });
    REQUIRE(pirn::blocking([] { return 5; }) == 5);
}

TEST_CASE("within blocking the thread is like a foreign one", "[blocking]") {
    on_procs([](int procs) {
        bool ran = false;
        pirn::run(
            [&] {
                std::atomic<bool> done{false};
                pirn::blocking([&] {
                    pirn::go([&] { done = true; });
                    while (!done) {
                        pirn::yield();
                        pirn::sleep_for(1ms);
                        pirn::checkpoint();
                    }
                });
                ran = done;
            },
            {.procs = procs});
        REQUIRE(ran);
    });
}

TEST_CASE("a run ends while calls block and others come back", "[blocking]") {
    on_procs([](int procs) {
        for (int i = 0; i < 20; ++i) {
            pirn::run(
                [&] {
                    for (int k = 0; k < 8; ++k)
                        pirn::go([] {
                            for (;;) pirn::blocking([] { ::usleep(300); });
                        });
                    pirn::sleep_for(2ms);
                },
                {.procs = procs});
        }
        SUCCEED();
    });
}

TEST_CASE("G16 a thousand calls block at once, each on a thread, and all come back", "[blocking]") {
    on_procs([](int procs) {
        const int calls = pirn::test::at_full_speed(1000);
        std::atomic<int> inside{0}, back{0};
        int threads_then = 0;
        pirn::run(
            [&] {
                int silent[2];
                if (::pipe(silent) != 0) return;
                for (int i = 0; i < calls; ++i) {
                    pirn::go([&] {
                        pirn::blocking([&] {
                            ++inside;
                            pollfd p{silent[0], POLLIN, 0};
                            while (::poll(&p, 1, -1) < 0) {}
                        });
                        ++back;
                    });
                }
                while (inside < calls) pirn::sleep_for(1ms);
                threads_then = pirn::runtime_stats().threads;
                ::close(silent[1]);  // which each of them sees
                while (back < calls) pirn::sleep_for(1ms);
                ::close(silent[0]);
            },
            {.procs = procs});
        REQUIRE(back == calls);
        // One for each call; for the Ps, and what had just been on its way.
        REQUIRE(threads_then >= calls);
        REQUIRE(threads_then <= calls + 4 * procs + 4);
    });
}

TEST_CASE("G13 new goroutines are not affected by the lock of the one that starts them",
          "[blocking]") {
    on_procs([](int procs) {
        std::atomic<int> others{0}, on_mine{0};
        pirn::run(
            [&] {
                pirn::lock_os_thread();
                const int mine = ::gettid();
                for (int i = 0; i < 50; ++i) {
                    pirn::go([&] {
                        if (::gettid() == mine) ++on_mine;
                        ++others;
                    });
                }
                while (others < 50) pirn::yield();
                pirn::unlock_os_thread();
            },
            {.procs = procs});
        REQUIRE(others == 50);
        REQUIRE(on_mine == 0);
    });
}

TEST_CASE("G13 lock_os_thread: the same thread until unlocked, nobody else on it", "[blocking]") {
    on_procs([](int procs) {
        std::atomic<int> moved{0}, intruders{0}, others{0};
        pirn::run(
            [&] {
                std::atomic<int> locked_tid{0};
                std::atomic<bool> done{false};
                pirn::go([&] {
                    pirn::lock_os_thread();
                    pirn::lock_os_thread();
                    const int mine = ::gettid();
                    locked_tid = mine;
                    for (int i = 0; i < 300; ++i) {
                        if (i % 3 == 0) pirn::sleep_for(50us);
                        pirn::yield();
                        if (::gettid() != mine) ++moved;
                        if (i == 150) pirn::unlock_os_thread();  // nested: still locked
                    }
                    locked_tid = 0;
                    pirn::unlock_os_thread();
                    done = true;
                });
                for (int k = 0; k < 4; ++k) {
                    pirn::go([&] {
                        while (!done) {
                            if (::gettid() == locked_tid) ++intruders;
                            ++others;
                            pirn::yield();
                        }
                    });
                }
                while (!done) pirn::yield();
            },
            {.procs = procs});
        REQUIRE(moved == 0);
        REQUIRE(intruders == 0);
        REQUIRE(others > 0);
    });
}

TEST_CASE("G13 a goroutine that ends while locked ends its thread", "[blocking]") {
    on_procs([](int procs) {
        std::set<int> tids;
        int threads_before = 0, threads_after = 0;
        pirn::run(
            [&] {
                // m0 is the caller's thread, which is not ours to end: keep it busy elsewhere.
                pirn::lock_os_thread();
                for (int i = 0; i < 20; ++i) {
                    std::atomic<bool> done{false};
                    pirn::go([&] {
                        pirn::lock_os_thread();
                        tids.insert(::gettid());
                        done = true;
                    });
                    while (!done) pirn::sleep_for(100us);
                    if (i == 3) threads_before = pirn::runtime_stats().threads;
                }
                pirn::sleep_for(5ms);
                threads_after = pirn::runtime_stats().threads;
                pirn::unlock_os_thread();
            },
            {.procs = procs});
        REQUIRE(tids.size() > 1);
        REQUIRE(threads_after <= threads_before + procs + 2);
    });
}

TEST_CASE("K03 locked goroutines that wake each other", "[blocking]") {
    on_procs([](int procs) {
        int rounds = 0;
        pirn::run(
            [&] {
                pirn::test::mailbox there, back;
                pirn::go([&] {
                    pirn::lock_os_thread();
                    for (int i = 0; i < 200; ++i) {
                        there.take();
                        back.put();
                    }
                });
                pirn::lock_os_thread();
                for (int i = 0; i < 200; ++i) {
                    there.put();
                    back.take();
                    ++rounds;
                }
                pirn::unlock_os_thread();
            },
            {.procs = procs});
        REQUIRE(rounds == 200);
    });
}
