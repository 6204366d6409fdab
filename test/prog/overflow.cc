// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: stack overflow
// EXPECT stderr: goroutine
// EXPECT stderr: "deep"
// EXPECT stderr: entry function
// EXPECT stderr: its stack of 262144 bytes is full
// EXPECT stderr: .stack =
// G26: a stack overflow is reported by name, not as a segmentation fault.
#include <pirn/runtime.h>
#include <pirn/sleep.h>

static int recurse(int n) {
    volatile char frame[200];
    frame[0] = static_cast<char>(n);
    return recurse(n + 1) + frame[0];
}

int main() {
    return pirn::run([] {
        pirn::go({.name = "deep"}, [] { recurse(0); });
        pirn::sleep_for(std::chrono::seconds(30));
    });
}
