// SPDX-License-Identifier: MIT
// Sleeping and the timer heap.
#include "test/support/fixture.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "runtime/timer.h"

using namespace pirn;
using namespace pirn::test;
using namespace std::chrono_literals;

TEST_CASE("T01 sleep_for is never too short; zero and negative return at once") {
    on_procs([](int procs) {
        std::atomic<int> early{0};
        clock::duration none{};
        run([&] {
            for (const auto d : {1us, 100us, 1000us, 5000us}) {
                const auto t = clock::now();
                sleep_for(d);
                if (clock::now() - t < d) ++early;
            }
            const auto t = clock::now();
            for (int i = 0; i < 100; ++i) {
                sleep_for(0s);
                sleep_for(-5s);
                sleep_until(clock::now() - 1h);
            }
            none = clock::now() - t;
        }, {.procs = procs});
        CHECK(early == 0);
        CHECK(none < 1s);
    });
}

TEST_CASE("T02 huge durations saturate and do not fire early") {
    CHECK(detail::saturate_ns(std::chrono::hours::max()) == INT64_MAX);
    CHECK(detail::saturate_ns(std::chrono::hours::min()) == INT64_MIN);
    CHECK(detail::saturate_ns(std::chrono::duration<double>(1e300)) == INT64_MAX);
    CHECK(detail::saturate_ns(std::chrono::duration<double, std::nano>(1.5)) == 2);
    CHECK(detail::saturate_ns(std::chrono::nanoseconds(7)) == 7);
    CHECK(detail::saturate_ns(std::chrono::nanoseconds::max()) == INT64_MAX);
    on_procs([](int procs) {
        std::atomic<int> woke{0};
        run([&] {
            go([&] { sleep_for(std::chrono::hours::max()); ++woke; });
            go([&] { sleep_for(std::chrono::nanoseconds::max()); ++woke; });
            go([&] { sleep_until(clock::time_point::max()); ++woke; });
            go([&] { sleep_for(std::chrono::duration<double>(1e300)); ++woke; });
            sleep_for(20ms);
        }, {.procs = procs});
        CHECK(woke == 0);
    });
}

TEST_CASE("T03 sleepers wake in the order of their deadlines; equal ones all wake") {
    std::vector<int> order;
    run([&] {
        std::atomic<int> done{0};
        const auto start = clock::now() + 20ms;
        for (const int ms : {7, 3, 9, 1, 5}) {
            go([&, ms] {
                sleep_until(start + std::chrono::milliseconds(2 * ms));
                order.push_back(ms);
                ++done;
            });
        }
        for (int i = 0; i < 50; ++i) go([&] { sleep_until(start); ++done; });
        wait_until([&] { return done == 55; });
    }, {.procs = 1});
    CHECK(order == std::vector<int>{1, 3, 5, 7, 9});
}

TEST_CASE("T12 ten thousand sleepers of random lengths all wake, none early") {
    on_procs([](int procs) {
        std::atomic<int> done{0}, early{0};
        run([&] {
            std::mt19937 random(12345);
            for (int i = 0; i < 10'000; ++i) {
                const auto d = std::chrono::microseconds(random() % 20'000);
                go([&, d] {
                    const auto t = clock::now();
                    sleep_for(d);
                    if (clock::now() - t < d) ++early;
                    ++done;
                });
            }
            wait_until([&] { sleep_for(1ms); return done == 10'000; });
        }, {.procs = procs});
        CHECK(done == 10'000);
        CHECK(early == 0);
    });
}

TEST_CASE("T14 a timer wakes an idle process promptly") {
    on_procs([](int procs) {
        std::vector<clock::duration> late;
        run([&] {
            for (int i = 0; i < 50; ++i) {
                const auto until = clock::now() + 2ms;
                sleep_until(until);
                late.push_back(clock::now() - until);
            }
        }, {.procs = procs});
        std::sort(late.begin(), late.end());
        // The median, since the machine may be busy. epoll_wait's rounding would cost 1 ms.
        CHECK(late[late.size() / 2] < 5ms);
    });
}

TEST_CASE("T13 timers fire while every P is busy with goroutines that yield") {
    on_procs([](int procs) {
        std::atomic<bool> stop{false};
        std::atomic<int> ended{0};
        run([&] {
            for (int i = 0; i < 2 * procs; ++i) {
                go([&] {
                    while (!stop) yield();
                    ++ended;
                });
            }
            for (int i = 0; i < 5; ++i) sleep_for(1ms);
            stop = true;
            wait_until([&] { return ended == 2 * procs; });
        }, {.procs = procs});
        CHECK(ended == 2 * procs);
    });
}

TEST_CASE("sleeping works on threads of the program's own, with and without a runtime") {
    const auto t = clock::now();
    sleep_for(5ms);
    CHECK(clock::now() - t >= 5ms);
    on_procs([](int procs) {
        clock::duration slept{};
        run([&] {
            std::atomic<bool> done{false};
            std::thread other([&] {
                const auto from = clock::now();
                sleep_for(5ms);
                slept = clock::now() - from;
                done = true;
            });
            wait_until([&] { return done.load(); });
            other.join();
        }, {.procs = procs});
        CHECK(slept >= 5ms);
    });
}

namespace {

struct counting : rt::timer {
    std::atomic<int>* n = nullptr;
};

void count_fire(rt::timer* t) { ++*static_cast<counting*>(t)->n; }

}  // namespace

TEST_CASE("T04 a stopped timer does not fire; stop tells whether it prevented that") {
    on_procs([](int procs) {
        std::atomic<int> fired{0};
        int prevented = 0, second = 0;
        run([&] {
            std::vector<counting> timers(500);
            for (auto& t : timers) {
                t.n = &fired;
                t.fire = count_fire;
            }
            std::mt19937 random(99);
            const auto now = base::now_ns();
            for (auto& t : timers)
                rt::timer_start(&t, now + static_cast<std::int64_t>(random() % 2'000'000));
            for (std::size_t i = 0; i < timers.size(); i += 2) {
                prevented += rt::timer_stop(&timers[i]);
                second += rt::timer_stop(&timers[i]);
            }
            sleep_for(5ms);
            wait_until([&] { return fired + prevented == 500; });
            for (auto& t : timers) second += rt::timer_stop(&t);
        }, {.procs = procs});
        CHECK(fired + prevented == 500);
        CHECK(second == 0);
    });
}

TEST_CASE("timers armed and stopped from many goroutines and threads at once") {
    on_procs([](int procs) {
        std::atomic<int> fired{0}, prevented{0}, done{0};
        constexpr int k_rounds = 300, k_parties = 6;
        run([&] {
            auto party = [&] {
                counting t;
                t.n = &fired;
                t.fire = count_fire;
                for (int r = 0; r < k_rounds; ++r) {
                    rt::timer_start(&t, base::now_ns() + (r % 3) * 20'000);
                    if (r % 2 == 0) yield();
                    prevented += rt::timer_stop(&t);
                }
                ++done;
            };
            std::thread outside(party);
            for (int i = 1; i < k_parties; ++i) go(party);
            wait_until([&] { return done == k_parties; });
            outside.join();
        }, {.procs = procs});
        CHECK(fired + prevented == k_rounds * k_parties);
    });
}

TEST_CASE("arming a timer without a runtime is a panic") {
    rt::timer t;
    CHECK_THROWS_AS(rt::timer_start(&t, 0), panic);
}
