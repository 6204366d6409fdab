// SPDX-License-Identifier: MIT
// What gdb_test.py stops in: a goroutine that has hopped twice, by a call of foreign code, and by
// the large frame of what that calls back.
#include <cstdio>

#include <pirn/runtime.h>

#include "test/prog/foreign.h"

static volatile int result = 0;

[[gnu::noinline]] static void deepest(int n) {
    result = n;  // line of deepest
    asm volatile("" ::: "memory");
}

[[gnu::noinline]] static int large(int n) {
    volatile char frame[300'000];
    frame[0] = 1;
    deepest(n + frame[0]);  // line of large
    return frame[0];
}

[[gnu::noinline]] static int middle(int n) {
    const int got = large(n) + 1;  // line of middle
    return got + 1;
}

[[gnu::noinline]] static void small(int n) {
    const int got = foreign::call_back(middle, n);  // line of small
    result = got;
}

int main() {
    return pirn::run([] {
        static bool ended = false;
        pirn::go([] {
            small(1);  // line of operator()
            ended = true;
        });
        while (!ended) pirn::yield();
        std::printf("result %d\n", result);
    });
}
