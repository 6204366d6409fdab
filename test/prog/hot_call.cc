// SPDX-License-Identifier: MIT
// EXPECT stdout: counted 12000000
// EXPECT stderr like: pirn: warning: a call at 0x[0-9a-f]+ in .*count_by_calls
// EXPECT stderr like: goes on on a stack segment [0-9.]+ million times a second
// EXPECT stderr: pirn::on_large_stack around the loop
// EXPECT stderr: {.stack = 65536}
// A loop that hops at each turn is slower than it need be; the call is named.
#include <cstdio>

#include <pirn/runtime.h>

#include "test/prog/foreign.h"

[[gnu::noinline]] static int count_by_calls(int times) {
    int n = 0;
    for (int i = 0; i < times; ++i) n = foreign::add_one(n);
    return n;
}

int main() {
    return pirn::run([] {
        static int counted = 0;
        pirn::go([] { counted = count_by_calls(12'000'000); });
        while (counted == 0) pirn::yield();
        std::printf("counted %d\n", counted);
    });
}
