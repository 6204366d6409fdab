// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stdout: 300 calls fit
// EXPECT stderr: runtime: goroutine stack exceeds 1048576-byte limit
// EXPECT stderr: fatal error: stack overflow
// EXPECT stderr like: goroutine [0-9]+ "too deep" \[running\], entry function .*main
// EXPECT stderr like: its stack has grown to [0-9]{6,7} bytes in [1-4] segments
// EXPECT stderr like: and needs [0-9]+ more
// EXPECT stderr: options::max_stack sets the limit: pirn::run(main, {.max_stack = 2097152})
// EXPECT not stderr: its stack of
// A stack that grows does so up to options::max_stack and not further.
#include <cstdio>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

// A kilobyte for each call.
static int recurse(int n) {
    volatile char frame[1000];
    frame[0] = static_cast<char>(n);
    return n == 0 ? 0 : recurse(n - 1) + frame[0] - static_cast<char>(n) + 1;
}

int main() {
    return pirn::run(
        [] {
            pirn::go({.name = "too deep"}, [] {
                std::printf("%d calls fit\n", recurse(300));
                std::fflush(stdout);
                recurse(1'000'000);
            });
            pirn::sleep_for(std::chrono::seconds(30));
        },
        {.max_stack = 1u << 20});
}
