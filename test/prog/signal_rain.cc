// SPDX-License-Identifier: MIT
// EXPECT procs: 2
// EXPECT stdout like: ^[1-9][0-9]{2,} signals of each kind and more; 0 wrong
// EXPECT not stderr: fatal
// Q07: SIGALRM and SIGPROF a thousand times a second for two seconds (a minute in test/stress),
// each with a handler that takes several KB and was installed without SA_ONSTACK, while goroutines
// send, grow, throw and compute.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <optional>
#include <stdexcept>

#include <sys/time.h>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <pirn/wait_group.h>

#include "test/prog/foreign.h"

namespace {

#ifndef RAIN_SECONDS
#define RAIN_SECONDS 2
#endif

std::atomic<int> alarms{0}, profs{0}, wrong{0};
std::atomic<bool> stop{false};

void handler(int number) {
    volatile char room[6000];
    for (unsigned i = 0; i < sizeof room; i += 8) room[i] = 'x';
    ++(number == SIGALRM ? alarms : profs);
    wrong += foreign::recurse(10) != 10;
}

void start(int number, int timer) {
    struct sigaction act {};
    act.sa_handler = handler;
    act.sa_flags = SA_RESTART;
    ::sigaction(number, &act, nullptr);
    const itimerval often{{0, 1000}, {0, 1000}};
    ::setitimer(static_cast<__itimer_which_t>(timer), &often, nullptr);
}

[[gnu::noinline]] int sum_deep(int n) {
    volatile int here[40];
    here[n % 40] = n;
    return n == 0 ? 0 : sum_deep(n - 1) + here[n % 40];
}

[[gnu::noinline]] int throw_deep(int n) {
    volatile char room[150];
    room[0] = 0;
    if (n == 0) throw std::runtime_error("from far below");
    return throw_deep(n - 1) + room[0];
}

void work(int seed, const pirn::chan<long>& in, const pirn::chan<long>& out) {
    const pirn::defer end{[&] { out.close(); }};
    for (int round = 1; !stop; ++round) {
        if (seed % 2 == 0) out.send(round);
        const std::optional<long> got = in.recv();
        if (!got) return;  // the other has stopped
        wrong += *got != round;
        if (seed % 2 != 0) out.send(round);
        wrong += sum_deep(300) != 300 * 301 / 2;
        wrong += foreign::call_back(sum_deep, 100) != 100 * 101 / 2;
        try {
            throw_deep(20);
            ++wrong;
        } catch (const std::runtime_error&) {
        }
    }
}

}  // namespace

int main() {
    return pirn::run([] {
        pirn::wait_group wg;
        start(SIGALRM, ITIMER_REAL);
        start(SIGPROF, ITIMER_PROF);
        constexpr int k_pairs = 8;
        for (int i = 0; i < k_pairs; ++i) {
            const auto there = pirn::make_chan<long>(1), back = pirn::make_chan<long>(1);
            wg.go([=] { work(2 * i, back, there); });
            wg.go([=] { work(2 * i + 1, there, back); });
        }
        pirn::sleep_for(std::chrono::seconds(RAIN_SECONDS));
        const itimerval never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::setitimer(ITIMER_PROF, &never, nullptr);
        stop = true;
        wg.wait();
        std::printf("%d signals of each kind and more; %d wrong\n",
                    std::min(alarms.load(), profs.load()), wrong.load());
        return wrong == 0 ? 0 : 1;
    });
}
