// SPDX-License-Identifier: MIT
// EXPECT status 3
// EXPECT stdout: again
// Without preemption: the end of a run does not wait for a goroutine that never comes to a check; a
// next run works.
// The one left behind keeps what it may touch: its stack, to begin with.
#include <atomic>
#include <cstdio>

#include <unistd.h>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

static std::atomic<long> rounds{0};

[[gnu::noinline]] static void spin() {
    volatile char mine[4096];
    for (unsigned i = 0;; ++i) {
        mine[i % sizeof mine] = 1;
        if (i % sizeof mine == 0) ++rounds;
    }
}

int main() {
    pirn::run([] {
        pirn::go([] {
            // Not on the thread that called run: that one has to come back to return from it.
            while (::gettid() == ::getpid()) pirn::sleep_for(std::chrono::microseconds(100));
            spin();
        });
        while (rounds == 0) pirn::sleep_for(std::chrono::milliseconds(1));
    }, {.procs = 2, .preempt = pirn::preemption::off});
    const int status = pirn::run([] {
        int n = 0;
        pirn::go([&] { n = 3; });
        while (n == 0) pirn::yield();
        std::puts("again");
        std::fflush(stdout);
        return n;
    }, {.procs = 1});
    const long before = rounds;
    while (rounds < before + 2) ::usleep(100);
    return status;
}
