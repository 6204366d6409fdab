// SPDX-License-Identifier: MIT
// Goroutines that do not give way by themselves are made to: at a check of the stack, and by a
// signal where there is none; and keep their thread, their registers and what they hold.
#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "test/support/fixture.h"

#if defined(PIRN_SPLIT) && !defined(PIRN_ASAN) && !defined(PIRN_TSAN)

using namespace std::chrono_literals;
using pirn::test::on_procs;
using clock_type = std::chrono::steady_clock;

namespace {

std::atomic<bool> stop_hogs{false};
std::atomic<std::uint64_t> work{0};

// Has a check at its entry: a call and a frame.
[[gnu::noinline]] std::uint64_t step(std::uint64_t n) {
    volatile std::uint64_t frame[64];
    frame[n % 64] = n;
    asm volatile("" ::: "memory");
    return frame[n % 64] * 3 + 1;
}

// No call, hence no check.
[[gnu::noinline]] std::uint64_t burn_without_calls() {
    std::uint64_t n = 1;
    while (!stop_hogs.load(std::memory_order_relaxed)) n = n * 6364136223846793005u + 1;
    return n;
}

[[gnu::noinline]] std::uint64_t burn_with_calls() {
    std::uint64_t n = 1;
    while (!stop_hogs.load(std::memory_order_relaxed)) n = step(n);
    return n;
}

// Starts `hogs` of them and returns what f returned; they end afterwards.
template <class Hog, class F>
void among_hogs(int procs, pirn::preemption preempt, int hogs, Hog hog, F f) {
    stop_hogs = false;
    std::atomic<int> ended{0};
    pirn::run(
        [&] {
            for (int i = 0; i < hogs; ++i) {
                pirn::go([&] {
                    work += hog();
                    ++ended;
                });
            }
            f();
            stop_hogs = true;
            while (ended < hogs) pirn::sleep_for(1ms);
        },
        {.procs = procs, .preempt = preempt});
}

// How often the main goroutine gets to run again among hogs; 20 if it is not kept out.
template <class Hog>
int turns_among(int procs, pirn::preemption preempt, Hog hog) {
    int turns = 0;
    among_hogs(procs, preempt, 2 * procs, hog, [&] {
        for (; turns < 20; ++turns) pirn::sleep_for(1ms);
    });
    return turns;
}

std::chrono::nanoseconds latest_of_sleeps(int n) {
    std::chrono::nanoseconds latest{0};
    for (int i = 0; i < n; ++i) {
        const auto due = clock_type::now() + 1ms;
        pirn::sleep_until(due);
        latest = std::max<std::chrono::nanoseconds>(latest, clock_type::now() - due);
    }
    return latest;
}

}  // namespace

TEST_CASE("G12 a hog with no calls does not block others", "[preempt]") {
    on_procs([](int procs) {
        REQUIRE(turns_among(procs, pirn::preemption::full, burn_without_calls) == 20);
    });
}

TEST_CASE("G12 cooperative: a hog that calls gives way at a check", "[preempt]") {
    on_procs([](int procs) {
        REQUIRE(turns_among(procs, pirn::preemption::cooperative, burn_with_calls) == 20);
    });
}

TEST_CASE("who gives way at a check needs no more stack than it may have", "[preempt]") {
    // The main goroutine starts on more than this already.
    constexpr std::size_t k_max_stack = 1 << 20;
    on_procs([](int procs) {
        stop_hogs = false;
        std::atomic<int> turns{0};
        pirn::run(
            [&] {
                for (int i = 0; i < 2 * procs; ++i) {
                    pirn::go([&] {
                        while (++turns < 20) pirn::yield();
                        stop_hogs = true;
                    });
                }
                work += burn_with_calls();
            },
            {.procs = procs, .max_stack = k_max_stack, .preempt = pirn::preemption::cooperative});
        REQUIRE(turns > 0);
    });
}

TEST_CASE("a hog that is asked within a small function of libc gives way", "[preempt]") {
    on_procs([](int procs) {
        // It needs no check of the stack, so that one that is asked there comes to none.
        const auto hog = [] {
            static char bytes[4096];
            std::uint64_t n = 0;
            while (!stop_hogs.load(std::memory_order_relaxed)) {
                n += std::memchr(bytes, 1, sizeof bytes) == nullptr;
                asm volatile("" : : "r"(bytes) : "memory");
            }
            return n;
        };
        REQUIRE(turns_among(procs, pirn::preemption::full, hog) == 20);
    });
}

TEST_CASE("every hog gets its turn", "[preempt]") {
    on_procs([](int procs) {
        constexpr int k_hogs = 4;
        std::array<std::atomic<std::uint64_t>, k_hogs> rounds{};
        pirn::run(
            [&] {
                for (auto& mine : rounds) {
                    pirn::go([&mine] {
                        for (;;) mine.store(mine.load(std::memory_order_relaxed) + 1,
                                            std::memory_order_relaxed);
                    });
                }
                auto all_had_one = [&] {
                    for (auto& mine : rounds) {
                        if (mine == 0) return false;
                    }
                    return true;
                };
                // Long, for a machine that has other things to do.
                const auto end = clock_type::now() + 10s;
                while (!all_had_one() && clock_type::now() < end) pirn::sleep_for(10ms);
            },
            {.procs = procs});
        for (auto& mine : rounds) REQUIRE(mine > 0u);
    });
}

TEST_CASE("a hog gets its turn though there is always more than the queue holds", "[preempt]") {
    on_procs([](int procs) {
        constexpr int k_crowd = 600;
        std::atomic<bool> done{false};
        std::atomic<int> left{k_crowd};
        pirn::run(
            [&] {
                for (int i = 0; i < k_crowd; ++i) {
                    pirn::go([&] {
                        while (!done) pirn::yield();
                        --left;
                    });
                }
                // Several slices long.
                const auto end = clock_type::now() + 100ms;
                std::uint64_t n = 0;
                while (clock_type::now() < end) ++n;
                work += n;
                done = true;
                while (left > 0) pirn::yield();
            },
            {.procs = procs});
        REQUIRE(left == 0);
    });
}

TEST_CASE("off: a hog keeps its P", "[preempt]") {
    // With one P and no preemption the sleeper has to wait until the hog ends by itself.
    std::atomic<bool> slept{false};
    bool slept_before_end = true;
    pirn::run(
        [&] {
            pirn::go([&] {
                pirn::sleep_for(1ms);
                slept = true;
            });
            pirn::yield();
            const auto end = clock_type::now() + 100ms;
            while (clock_type::now() < end) {}
            slept_before_end = slept;
        },
        {.procs = 1, .preempt = pirn::preemption::off});
    REQUIRE_FALSE(slept_before_end);
}

TEST_CASE("a timer that is due does not wait for a hog's slice", "[preempt]") {
    on_procs([](int procs) {
        // The best of several: the machine has other things to do as well.
        std::chrono::nanoseconds best{1h};
        among_hogs(procs, pirn::preemption::full, 2 * procs, burn_without_calls, [&] {
            for (int i = 0; i < 20; ++i) best = std::min(best, latest_of_sleeps(1));
        });
        REQUIRE(best < 5ms);
    });
}

TEST_CASE("a goroutine that is made to give way stays on its thread", "[preempt]") {
    on_procs([](int procs) {
        std::atomic<int> moved{0}, errnos{0}, checks{0};
        among_hogs(procs, pirn::preemption::full, 2 * procs,
                   [&] {
                       const auto mine = ::gettid();
                       errno = 1234;
                       int* const where = &errno;
                       while (!stop_hogs.load(std::memory_order_relaxed)) {
                           if (::gettid() != mine) ++moved;
                           if (errno != 1234 || where != &errno) ++errnos;
                           ++checks;
                       }
                       return std::uint64_t{0};
                   },
                   [] { pirn::sleep_for(150ms); });
        REQUIRE(moved == 0);
        REQUIRE(errnos == 0);
        REQUIRE(checks > 0);
    });
}

TEST_CASE("no register is lost where a signal makes a goroutine give way", "[preempt]") {
    on_procs([](int procs) {
        std::atomic<int> wrong{0};
        among_hogs(procs, pirn::preemption::full, 3 * procs,
                   [&] {
                       // Sums that keep general and vector registers busy, computed over and over;
                       // from a volatile, or compilers try to compute them.
                       volatile std::uint64_t seed = 0;
                       auto sums = [&seed] {
                           std::array<std::uint64_t, 12> a{seed};
                           std::array<double, 12> d{};
                           for (std::uint64_t i = 0; i < 20'000; ++i) {
                               for (std::size_t k = 0; k < a.size(); ++k) {
                                   a[k] = a[k] * 31 + i + k;
                                   d[k] = d[k] * 0.5 + static_cast<double>(a[k] >> 40);
                               }
                           }
                           double sum = 0;
                           for (std::size_t k = 0; k < a.size(); ++k)
                               sum += d[k] + static_cast<double>(a[k] & 0xffff);
                           return sum;
                       };
                       const double first = sums();
                       while (!stop_hogs.load(std::memory_order_relaxed)) {
                           if (sums() != first) ++wrong;
                       }
                       return std::uint64_t{0};
                   },
                   [] { pirn::sleep_for(200ms); });
        REQUIRE(wrong == 0);
    });
}

TEST_CASE("no goroutine gives way while an exception is on its way", "[preempt]") {
    on_procs([](int procs) {
        struct slow {
            ~slow() {
                const auto end = clock_type::now() + 15ms;
                while (clock_type::now() < end) {}
                seen = std::uncaught_exceptions();
            }
            int& seen;
        };
        std::atomic<int> right{0};
        among_hogs(procs, pirn::preemption::full, 2 * procs, burn_without_calls, [&] {
            for (int i = 0; i < 4; ++i) {
                int seen = 0;
                try {
                    slow s{seen};
                    throw std::runtime_error("x");
                } catch (const std::runtime_error&) {
                    if (seen == 1 && std::uncaught_exceptions() == 0) ++right;
                }
            }
        });
        REQUIRE(right == 4);
    });
}

TEST_CASE("a run ends while goroutines wait to go on", "[preempt]") {
    on_procs([](int procs) {
        for (int i = 0; i < 5; ++i) {
            stop_hogs = false;
            pirn::run(
                [&] {
                    for (int k = 0; k < 4 * procs; ++k) pirn::go(burn_without_calls);
                    pirn::sleep_for(25ms);
                },
                {.procs = procs});
        }
        SUCCEED();
    });
}

namespace {

std::atomic<int> urgent_signals{0};
std::atomic<int> wrong_signals{0};

void on_urgent(int number, siginfo_t* info, void* context) {
    sigset_t blocked;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    if (number != SIGURG || info->si_code != SI_USER || info->si_pid != ::getpid() ||
        context == nullptr || ::sigismember(&blocked, SIGHUP) != 1)
        ++wrong_signals;
    ++urgent_signals;
}

// One to the process; whether the handler was called for it, and for nothing else.
bool urgent_signal_arrives() {
    const int before = urgent_signals;
    ::kill(::getpid(), SIGURG);
    const auto end = clock_type::now() + 10s;
    while (urgent_signals == before && clock_type::now() < end) std::this_thread::yield();
    return urgent_signals == before + 1;
}

// Says whether `now` is what the program asked for.
bool is_as_asked(const struct sigaction& now) {
    return now.sa_sigaction == on_urgent && (now.sa_flags & SA_SIGINFO) != 0 &&
           (now.sa_flags & SA_ONSTACK) == 0 && ::sigismember(&now.sa_mask, SIGHUP) == 1;
}

}  // namespace

TEST_CASE("Q07 a program's handler for SIGURG gets its own, and hogs give way", "[preempt]") {
    struct sigaction mine {}, before {}, now {};
    mine.sa_sigaction = on_urgent;
    mine.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigaddset(&mine.sa_mask, SIGHUP);
    urgent_signals = 0;
    wrong_signals = 0;
    REQUIRE(::sigaction(SIGURG, nullptr, &before) == 0);
    on_procs([&](int procs) {
        int turns = 0, arrived = 0, shown = 0;
        bool sent_before = false;
        // Once from before the run, and once from within it.
        for (const bool from_before : {true, false}) {
            ::sigaction(SIGURG, from_before ? &mine : &before, nullptr);
            const int handled = urgent_signals;
            among_hogs(procs, pirn::preemption::full, 2 * procs, burn_without_calls, [&] {
                struct sigaction old {};
                if (!from_before) ::sigaction(SIGURG, &mine, &old);
                sent_before = sent_before || old.sa_handler != SIG_DFL;
                ::sigaction(SIGURG, nullptr, &now);
                shown += is_as_asked(now);
                for (int i = 0; i < 10; ++i) {
                    pirn::sleep_for(1ms);
                    ++turns;
                    arrived += urgent_signal_arrives();
                }
            });
            REQUIRE(urgent_signals == handled + 10);  // none of sysmon's
            ::sigaction(SIGURG, nullptr, &now);
            REQUIRE(is_as_asked(now));
            REQUIRE(urgent_signal_arrives());  // after the run
        }
        REQUIRE(turns == 20);
        REQUIRE(arrived == 20);
        REQUIRE(shown == 2);
        REQUIRE_FALSE(sent_before);
    });
    REQUIRE(wrong_signals == 0);
    // Ignored while a run is on, and once only.
    int ignored = -1, once = -1;
    pirn::run([&] {
        ::signal(SIGURG, SIG_IGN);
        const int handled = urgent_signals;
        ::kill(::getpid(), SIGURG);
        ignored = urgent_signals - handled;
        mine.sa_flags |= static_cast<int>(SA_RESETHAND);
        ::sigaction(SIGURG, &mine, nullptr);
        urgent_signal_arrives();
        ::kill(::getpid(), SIGURG);
        once = urgent_signals - handled;
    }, {.procs = 1});
    REQUIRE(ignored == 0);
    REQUIRE(once == 1);
    ::sigaction(SIGURG, &before, nullptr);
}

TEST_CASE("checkpoint gives way when asked", "[preempt]") {
    bool slept = false;
    pirn::run(
        [&] {
            pirn::go([&] {
                pirn::sleep_for(1ms);
                slept = true;
            });
            pirn::yield();
            while (!slept) pirn::checkpoint();
        },
        {.procs = 1, .preempt = pirn::preemption::off});
    REQUIRE(slept);
}

#endif
