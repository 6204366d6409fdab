// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT env: PIRN_DEBUG=deadlock=1
// EXPECT stderr: fatal error: goroutines wait for each other's mutexes - deadlock!
// EXPECT stderr like: goroutine 1 \(.*\) waits for the mutex at \S+, which goroutine 1 holds
// Y22: who locks a mutex that it holds is told so, although others run.
#include <pirn/mutex.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        pirn::go([] {
            for (;;) pirn::yield();
        });
        pirn::mutex m;
        m.lock();
        m.lock();
    });
}
