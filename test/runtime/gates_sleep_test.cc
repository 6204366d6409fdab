// SPDX-License-Identifier: MIT
// Gates of calls that sleep: for a time, or until a signal.
#include "test/runtime/gates_test.h"

#include <csignal>
#include <cstdlib>
#include <thread>

#include <poll.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

// std::this_thread::__sleep_for, of seconds and nanoseconds: what sleep_for called before its
// header could do it by itself, and older objects still call.
extern "C" void sleep_in_library(long seconds, long nanoseconds) asm(
    "_ZNSt11this_thread11__sleep_forENSt6chrono8durationIlSt5ratioILl1ELl1EEEENS1_IlS2_"
    "ILl1ELl1000000000EEEE");

TEST_CASE("sleeping lets others run") {
    const timespec a_while = for_a_while();
    try_all({
        {"nanosleep", [&] { return ::nanosleep(&a_while, nullptr) == 0; }, nothing},
        {"clock_nanosleep", [&] {
            return ::clock_nanosleep(CLOCK_MONOTONIC, 0, &a_while, nullptr) == 0;
        }, nothing},
        {"usleep", [] { return ::usleep(300'000) == 0; }, nothing},
        {"sleep", [] { return ::sleep(1) == 0; }, nothing},
        {"thrd_sleep", [&] { return ::thrd_sleep(&a_while, nullptr) == 0; }, nothing},
        {"std::this_thread::sleep_for", [] {
            const auto before = std::chrono::steady_clock::now();
            std::this_thread::sleep_for(k_a_while);
            return std::chrono::steady_clock::now() - before >= k_a_while;
        }, nothing},
        {"sleep_for", [] {
            const auto before = std::chrono::steady_clock::now();
            sleep_in_library(0, std::chrono::nanoseconds(k_a_while).count());
            return std::chrono::steady_clock::now() - before >= k_a_while;
        }, nothing},
        {"poll with a time", [] { return ::poll(nullptr, 0, 300) == 0; }, nothing},
    });
}

TEST_CASE("waiting for a signal lets others run") {
    sigset_t usr, before, none;
    ::sigemptyset(&none);
    ::sigemptyset(&usr);
    ::sigaddset(&usr, SIGUSR1);
    ::sigaddset(&usr, SIGUSR2);
    ::pthread_sigmask(SIG_BLOCK, &usr, &before);
    const auto handler = std::signal(SIGUSR2, [](int) {});
    std::atomic<pthread_t> sleeper{};
    const auto kill = [&] { ::pthread_kill(sleeper, SIGUSR1); };
    const auto waiting = [&](auto wait) {
        return [&, wait] {
            sleeper = ::pthread_self();
            return wait();
        };
    };
    try_all({
        {"sigwait", waiting([&] {
            int got = 0;
            return ::sigwait(&usr, &got) == 0 && got == SIGUSR1;
        }), kill},
        {"sigwaitinfo", waiting([&] { return ::sigwaitinfo(&usr, nullptr) == SIGUSR1; }), kill},
        {"sigtimedwait", waiting([&] {
            const timespec most{20, 0};
            return ::sigtimedwait(&usr, nullptr, &most) == SIGUSR1;
        }), kill},
        {"sigsuspend", waiting([&] {
            sigset_t all_but = before;
            ::sigdelset(&all_but, SIGUSR2);
            return ::sigsuspend(&all_but) == -1 && errno == EINTR;
        }), [&] { ::pthread_kill(sleeper, SIGUSR2); }},
    });
    // A signal that comes before the pause is not seen by it: there are more.
    std::atomic<bool> paused{false};
    std::thread killer;
    try_call({"pause", waiting([&] {
        ::pthread_sigmask(SIG_UNBLOCK, &usr, nullptr);
        const bool right = ::pause() == -1 && errno == EINTR;
        paused = true;
        ::pthread_sigmask(SIG_BLOCK, &usr, nullptr);
        return right;
    }), [&] {
        killer = std::thread([&] {
            while (!paused) {
                ::pthread_kill(sleeper, SIGUSR2);
                std::this_thread::sleep_for(10ms);
            }
        });
    }});
    if (killer.joinable()) killer.join();
    timespec at_once{};
    while (::sigtimedwait(&usr, nullptr, &at_once) > 0) {}
    std::signal(SIGUSR2, handler);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

#endif
