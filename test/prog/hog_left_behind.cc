// SPDX-License-Identifier: MIT
// EXPECT status 3
// EXPECT stdout: again
// The end of a run does not wait for a goroutine that never comes to a check; a next run works.
#include <cstdio>

#include <unistd.h>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

int main() {
    pirn::run([] {
        static volatile bool spins = false;
        pirn::go([] {
            // Not on the thread that called run: that one has to come back to return from it.
            while (::gettid() == ::getpid()) pirn::sleep_for(std::chrono::microseconds(100));
            spins = true;
            for (;;) asm volatile("");
        });
        while (!spins) pirn::sleep_for(std::chrono::milliseconds(1));
    }, {.procs = 2});
    return pirn::run([] {
        int n = 0;
        pirn::go([&] { n = 3; });
        while (n == 0) pirn::yield();
        std::puts("again");
        std::fflush(stdout);
        return n;
    }, {.procs = 1});
}
