// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// EXPECT stderr: goroutine
// EXPECT stderr: created by
// EXPECT stderr: in goroutine 1
// K01: everybody waits on channels that nobody sends to: reported with wait reasons and frames.
#include <pirn/chan.h>
#include <pirn/runtime.h>

[[gnu::noinline]] static void wait_for_ever(const pirn::chan<int>& c) {
    (void)c.recv();
    asm volatile("" ::: "memory");
}

int main() {
    return pirn::run([] {
        const auto c = pirn::make_chan<int>();
        pirn::go({.name = "waiter"}, [c] { wait_for_ever(c); });
        pirn::go([] { pirn::chan<int>().send(1); });
        wait_for_ever(c);
    });
}
