// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// EXPECT stderr: goroutine 1 [sync.Mutex.Lock
// Y22: a function given to once::call that calls it again waits for itself.
#include <pirn/once.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        pirn::once o;
        o.call([&] { o.call([] {}); });
    });
}
