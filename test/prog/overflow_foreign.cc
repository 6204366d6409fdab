// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stdout: 200 foreign calls fit
// EXPECT stderr: fatal error: stack overflow
// EXPECT stderr like: goroutine [0-9]+ "caller" \[running\], entry function .*main
// EXPECT stderr like: its stack of [0-9]{6,} bytes in [1-9] segments is full
// EXPECT stderr: code that was not compiled for growing stacks
// EXPECT stderr: more than the 65536 bytes
// EXPECT stderr: pirn::go({.stack =
// EXPECT stderr: pkg-config pirn
// EXPECT not stderr: exceeds
// Code that did not go through the pass has at least 64 KB; where it takes more than is there, the
// guard below its segment sees it.
#include <cstdio>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "test/prog/foreign.h"

int main() {
    return pirn::run([] {
        pirn::go({.name = "caller"}, [] {
            std::printf("%d foreign calls fit\n", foreign::recurse(200));
            std::fflush(stdout);
            foreign::recurse(1'000'000);
        });
        pirn::sleep_for(std::chrono::seconds(30));
    });
}
