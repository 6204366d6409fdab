// SPDX-License-Identifier: MIT
// EXPECT stderr like: \A(?!([^!]*"keeper"){3})
// EXPECT stderr like: pirn: warning: goroutine \d+ \("keeper"\) waits \[sleep\] at 0x
// EXPECT stderr: in sleep_with_lock
// EXPECT stderr: while it holds a lock of the operating system: who wants that keeps a thread
// EXPECT stderr like: \("keeper"\) waits \[chan receive\] at 0x
// EXPECT stderr: in receive_with_locks
// EXPECT stderr: while it holds locks of the operating system: who wants that keeps a thread
// A debug build names each place where a goroutine waits with a std::mutex locked, once.
#include <chrono>
#include <mutex>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <pirn/wait_group.h>

namespace {
std::mutex first, second;
}  // namespace

[[gnu::noinline]] static void sleep_with_lock() {
    const std::lock_guard hold(first);
    pirn::sleep_for(std::chrono::milliseconds(1));
}

[[gnu::noinline]] static void receive_with_locks(pirn::chan<int> from) {
    const std::scoped_lock hold(first, second);
    from.recv();
}

int main() {
    return pirn::run([] {
        pirn::wait_group all;
        const auto c = pirn::make_chan<int>();
        all.add(1);
        pirn::go({.name = "keeper"}, [&] {
            for (int i = 0; i < 3; ++i) {
                sleep_with_lock();
                receive_with_locks(c);
            }
            all.done();
        });
        for (int i = 0; i < 3; ++i) {
            pirn::sleep_for(std::chrono::milliseconds(10));
            c.send(i);
        }
        all.wait();
    });
}
