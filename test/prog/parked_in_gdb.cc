// SPDX-License-Identifier: MIT
// What gdb_test.py looks around in: goroutines that are parked while another one runs.
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/debug.h>
#include <pirn/runtime.h>

static volatile int stops = 0;

[[gnu::noinline]] static void stop_here() {
    stops = stops + 1;
    asm volatile("" ::: "memory");
}

[[gnu::noinline]] static int waits(const pirn::chan<int>& c) {
    const int got = c.recv().value_or(0);  // line of waits
    return got + stops;
}

[[gnu::noinline]] static int waits_below(const pirn::chan<int>& c) {
    volatile char frame[300];
    frame[0] = 1;
    const int got = waits(c);  // line of waits_below
    return got + frame[0];
}

int main() {
    return pirn::run([] {
        const auto c = pirn::make_chan<int>(), sum = pirn::make_chan<int>();
        for (int i = 0; i < 3; ++i)
            pirn::go({.name = i == 1 ? "the second" : ""}, [=] { sum.send(waits_below(c)); });
        while (pirn::runtime_stats().parks < 3) pirn::yield();
        stop_here();
        int all = 0;
        for (int i = 0; i < 3; ++i) c.send(10);
        for (int i = 0; i < 3; ++i) all += sum.recv().value_or(0);
        std::printf("sum %d\n", all);
    }, {.procs = 1});
}
