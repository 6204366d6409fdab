// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// EXPECT stderr: goroutine 1 [sync.Mutex.Lock
// K04: the main goroutine waits for a mutex whose owner waits for it.
#include <pirn/chan.h>
#include <pirn/mutex.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        pirn::mutex mu;
        const auto has_it = pirn::make_chan<void>(), never = pirn::make_chan<void>();
        pirn::go([&] {
            mu.lock();
            has_it.send();
            (void)never.recv();
        });
        (void)has_it.recv();
        mu.lock();
    });
}
