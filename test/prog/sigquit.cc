// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: SIGQUIT: quit
// EXPECT stderr like: goroutine \d+ "asker" \[running\]:
// EXPECT stderr: asks_for_it
// EXPECT stderr like: goroutine \d+ "reader" \[chan receive\]:
// EXPECT stderr: waits_here
// EXPECT stderr like: created by (starts_reader|__morestack)
// EXPECT procs: 1
// SIGQUIT shows all goroutines, with the frames of the parked ones too, and ends the program. Where
// every call hops, what called go is the hop.
#include <csignal>

#include <pirn/chan.h>
#include <pirn/runtime.h>

[[gnu::noinline]] static void waits_here(pirn::chan<int> never) {
    never.recv();
    asm volatile("");
}

[[gnu::noinline]] static void starts_reader(pirn::chan<int> never) {
    pirn::go({.name = "reader"}, [never] { waits_here(never); });
    asm volatile("");
}

[[gnu::noinline]] static void asks_for_it() {
    ::raise(SIGQUIT);
    asm volatile("");
}

int main() {
    return pirn::run([] {
        const auto never = pirn::make_chan<int>();
        starts_reader(never);
        for (int i = 0; i < 10; ++i) pirn::yield();
        pirn::go({.name = "asker"}, [] { asks_for_it(); });
        waits_here(never);
    });
}
