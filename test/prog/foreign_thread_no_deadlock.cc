// SPDX-License-Identifier: MIT
// EXPECT stdout: got 42
// EXPECT not stderr: deadlock
// K05: a thread of the program's own that may still send defers the deadlock report.
#include <chrono>
#include <cstdio>
#include <thread>

#include <pirn/chan.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        const auto c = pirn::make_chan<int>();
        std::thread t([c] {
            std::this_thread::sleep_for(std::chrono::milliseconds(80));
            c.send(42);
        });
        std::printf("got %d\n", c.recv().value_or(0));
        t.join();
    });
}
