// SPDX-License-Identifier: MIT
// EXPECT procs: 1
// EXPECT stdout: counted 1600000, and all of it by hops
// EXPECT not stderr: warning
// As hot_call.cc, with fewer than a million hops a second (600,000): nothing to be said.
#include <cstdio>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "test/prog/foreign.h"

[[gnu::noinline]] static int count_by_calls(int n, int times) {
    for (int i = 0; i < times; ++i) n = foreign::add_one(n);
    return n;
}

int main() {
    return pirn::run([] {
        static int counted = 0;
        static bool done = false;
        pirn::go([] {
            auto next = pirn::clock::now();
            for (int burst = 0; burst < 160; ++burst) {
                counted = count_by_calls(counted, 10'000);
                next += std::chrono::microseconds(16'667);
                pirn::sleep_until(next);
            }
            done = true;
        });
        while (!done) pirn::sleep_for(std::chrono::milliseconds(10));
        const bool all = pirn::runtime_stats().hops >= 1'600'000;
        std::printf("counted %d%s\n", counted, all ? ", and all of it by hops" : "");
    });
}
