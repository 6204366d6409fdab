// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// EXPECT stderr: goroutine 1 [
// K03: goroutines that have locked their threads are asleep like any other, whoever woke them last.
#include <pirn/chan.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        const auto there = pirn::make_chan<int>(), back = pirn::make_chan<int>();
        pirn::lock_os_thread();
        pirn::go([=] {
            pirn::lock_os_thread();
            while (const auto n = there.recv()) back.send(*n + 1);
        });
        int n = 0;
        for (int i = 0; i < 100; ++i) {
            there.send(n);
            n = back.recv().value_or(0);
        }
        (void)back.recv();  // nobody has sent anything
    });
}
