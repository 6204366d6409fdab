// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: stack overflow
// EXPECT stderr like: goroutine [0-9]+ "deep" \[running\], entry function .*main
// EXPECT stderr like: its stack (of|has grown to) [0-9]+ bytes
// EXPECT stderr like: \.(stack|max_stack) =
// G26: a stack overflow is reported by name, not as a segmentation fault, with stacks that grow and
// without.
#include <pirn/runtime.h>
#include <pirn/sleep.h>

static int recurse(int n) {
    volatile char frame[200];
    frame[0] = static_cast<char>(n);
    return recurse(n + 1) + frame[0];
}

int main() {
    return pirn::run(
        [] {
            pirn::go({.name = "deep"}, [] { recurse(0); });
            pirn::sleep_for(std::chrono::seconds(30));
        },
        {.max_stack = 4u << 20});
}
