// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stdout: 800 plain calls fit
// EXPECT stderr: fatal error: stack overflow
// EXPECT stderr like: goroutine [0-9]+ "plain" \[running\], entry function .*foreign::go_recurse
// EXPECT stderr: its stack of 262144 bytes is full
// EXPECT stderr: pirn::go({.stack = 1048576}, ...)
// EXPECT not stderr: segments
// A goroutine whose own code did not go through the pass has a large stack that does not grow.
#include <cstdio>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "test/prog/foreign.h"

int main() {
    return pirn::run([] {
        static int result = 0;
        foreign::go_recurse("fits", 800, &result);
        while (result == 0) pirn::yield();
        std::printf("%d plain calls fit\n", result);
        std::fflush(stdout);
        foreign::go_recurse("plain", 1'000'000, &result);
        pirn::sleep_for(std::chrono::seconds(30));
    });
}
