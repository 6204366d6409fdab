// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// EXPECT stderr: goroutine 1 [sync.WaitGroup.Wait
// K04: the main goroutine waits for a group that nobody is left to finish.
#include <pirn/runtime.h>
#include <pirn/wait_group.h>

int main() {
    return pirn::run([] {
        pirn::wait_group wg;
        wg.add(2);
        pirn::go([&] { wg.done(); });
        wg.wait();
    });
}
