// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: stack overflow
// EXPECT stderr: goroutine 1 [running], entry function the main function
// G26: the main goroutine's overflow, by a frame larger than a page.
#include <pirn/runtime.h>

static int recurse(int n) {
    volatile char frame[20'000];
    frame[0] = static_cast<char>(n);
    frame[sizeof frame - 1] = 1;
    return recurse(n + 1) + frame[0];
}

int main() {
    pirn::options o;
#ifdef PIRN_PERTURB
    o.max_stack = 16u << 20;  // Every call takes a segment of its own, and memory for it.
#endif
    return pirn::run([] { return recurse(0); }, o);
}
