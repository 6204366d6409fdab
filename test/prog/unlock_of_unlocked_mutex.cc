// SPDX-License-Identifier: MIT
// EXPECT status 2: fatal error: sync: unlock of unlocked mutex
// EXPECT stderr: fatal error: sync: unlock of unlocked mutex
// Y03: unlocking a mutex that nobody holds ends the process.
#include <pirn/mutex.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        pirn::mutex m;
        m.lock();
        m.unlock();
        try {
            m.unlock();
        } catch (...) {
            return 0;  // it is no panic
        }
        return 0;
    });
}
