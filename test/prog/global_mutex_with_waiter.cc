// SPDX-License-Identifier: MIT
// EXPECT status 7
// A global mutex, destroyed when the process exits, may still be waited for by a thread.
#include <mutex>
#include <thread>

#include <pirn/mutex.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

namespace {
pirn::mutex global;
}  // namespace

int main() {
    static pirn::mutex local;
    global.lock();
    local.lock();
    pirn::start();
    for (pirn::mutex* m : {&global, &local}) {
        pirn::go([m] { m->lock(); });
        std::thread([m] { m->lock(); }).detach();
    }
    pirn::sleep_for(std::chrono::milliseconds(20));
    return 7;
}
